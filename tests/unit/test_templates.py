"""The templates of the office are tried with facts of every kind before they come into force."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway import composition, resources
from gateway.errors import ConfigurationError
from gateway.reminders.ladder import Ladder

LETTERS = [
    "reminder.j2", "receipt.j2", "receipt_subject.j2", "summary.j2", "summary_subject.j2",
    "alert.j2", "alert_subject.j2",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped templates that the office uses."""
    shutil.copytree(resources.folder("templates"), tmp_path / "templates")
    monkeypatch.setattr(resources, "folder", lambda _name: tmp_path / "templates")
    return tmp_path / "templates"


@pytest.mark.parametrize("name", LETTERS)
@pytest.mark.parametrize("text", ["{{ ofice }}", "{% if title == 'never' %}{{ ofice }}{% endif %}"])
def test_a_name_that_nobody_gives_keeps_the_old_templates_in_force(
    folder: Path, name: str, text: str
) -> None:
    templates = composition.load_templates()
    file = folder / "zh-CN" / name
    file.write_text(text, encoding="utf-8")
    before = dict(templates._environments)
    with pytest.raises(ConfigurationError) as caught:
        templates.reload()
    assert caught.value.public == f"{file}: 'ofice' is undefined"
    assert templates._environments == before
    with pytest.raises(ConfigurationError):
        composition.load_templates()


def test_a_template_that_fails_on_some_facts_is_one_sentence(folder: Path) -> None:
    file = folder / "en" / "summary.j2"
    file.write_text("{{ 1 / total }}", encoding="utf-8")  # of a document without recipients
    with pytest.raises(ConfigurationError) as caught:
        composition.load_templates()
    assert caught.value.public == f"{file}: division by zero"


def test_a_reminder_whose_template_fails_is_a_plain_one() -> None:
    class Failing:
        def render(self, *_: object, **__: object) -> str:
            raise ZeroDivisionError

    office: Any = None
    ladder = Ladder(office, office, Failing())
    for language, begins in (("zh-CN", "【和平】贵单位有公文待签收"), ("en", "[和平] Your unit")):
        assert ladder._render(language, {"office": "和平"}).startswith(begins)
