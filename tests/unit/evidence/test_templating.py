"""Templates: all languages complete, no empty places, no second header field."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from gateway.domain.event import Event, Reason
from gateway.errors import ConfigurationError
from gateway.templating import Templates


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_language_that_is_not_there_reads_english(tmp_path: Path) -> None:
    made = Templates(write(tmp_path, {"en/a.j2": "hello {{ x }}", "zh-CN/a.j2": "你好 {{ x }}"}))
    assert made.languages == ("en", "zh-CN")
    assert made.render("zh-CN", "a.j2", x=1) == "你好 1"
    assert made.render("fr", "a.j2", x=1) == "hello 1"


def test_a_name_that_nobody_gave_is_an_error(tmp_path: Path) -> None:
    made = Templates(write(tmp_path, {"en/a.j2": "{{ x }}"}))
    with pytest.raises(UndefinedError):
        made.render("en", "a.j2")


def test_html_is_escaped_and_text_is_not(tmp_path: Path) -> None:
    made = Templates(write(tmp_path, {"en/a.html.j2": "{{ x }}", "en/a.j2": "{{ x }}"}))
    assert made.render("en", "a.html.j2", x="<b>") == "&lt;b&gt;"
    assert made.render("en", "a.j2", x="<b>") == "<b>"


@pytest.mark.parametrize("value", ["a\r\nBcc: x", "a\nb", "a\rb", "a\0b", "a\x7fb"])
def test_the_header_filter_refuses_what_could_begin_another_field(
    tmp_path: Path, value: str
) -> None:
    made = Templates(write(tmp_path, {"en/a.j2": "{{ x | header }}"}))
    assert made.render("en", "a.j2", x="通知") == "通知"
    with pytest.raises(ValueError, match="control character"):
        made.render("en", "a.j2", x=value)


def test_a_missing_or_broken_template_is_a_sentence_with_its_file_and_line(tmp_path: Path) -> None:
    files = {"en/a.j2": "x", "en/b.j2": "x\n{% if %}", "zh-CN/b.j2": "x"}
    with pytest.raises(ConfigurationError) as caught:
        Templates(write(tmp_path, files))
    assert f"{tmp_path}/zh-CN/a.j2: this template is missing" in caught.value.public
    assert f"{tmp_path}/en/b.j2: line 2: " in caught.value.public


def test_templates_without_english_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no templates in English"):
        Templates(write(tmp_path, {"zh-CN/a.j2": "x"}))


def test_a_reload_that_fails_keeps_what_is_in_force(tmp_path: Path) -> None:
    made = Templates(write(tmp_path, {"en/a.j2": "one"}))
    write(tmp_path, {"en/a.j2": "{% broken"})
    assert made.render("en", "a.j2") == "one"
    with pytest.raises(ConfigurationError):
        made.reload()
    assert made.render("en", "a.j2") == "one"
    write(tmp_path, {"en/a.j2": "two"})
    made.reload()
    made.check()
    assert made.render("en", "a.j2") == "two"


@pytest.mark.parametrize("language", ["zh-CN", "en"])
def test_every_event_and_reason_has_words_in_every_language(language: str) -> None:
    from gateway.resources import folder

    text = (folder("templates") / language / "receipt_words.j2").read_text(encoding="utf-8")
    for name in [*Event, *Reason]:
        assert f'"{name.value}": "' in text, name
