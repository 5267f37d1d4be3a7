"""The manual pages are whole, and the formatter has nothing to say against them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import config
from gateway.cli import man
from gateway.cli.main import COMMANDS
from tests import manuals


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return man.write(tmp_path_factory.mktemp("man"))


def shown(man_program: str, page: Path) -> str:
    """What a person sees; a warning of the formatter fails the test."""
    done = subprocess.run(
        [man_program, "--warnings", "--local-file", str(page)],
        capture_output=True, text=True, timeout=60, check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANPAGER": "cat"},
    )  # fmt: skip
    assert done.stderr == "", page.name
    return done.stdout


def test_there_is_a_page_for_every_command_and_for_the_settings(pages: list[Path]) -> None:
    names = {f"{page.parent.name}/{page.name}" for page in pages}
    wanted = {f"man1/yizhan-{name}.1" for name in COMMANDS}
    assert names == wanted | {"man1/yizhan.1", "man5/yizhan.toml.5"}


def test_every_page_is_formatted_without_a_warning(
    pages: list[Path], program: Callable[[str], str]
) -> None:
    for page in pages:
        text = shown(program("man"), page)
        assert "NAME" in text and "SEE ALSO" in text, page.name


def test_the_page_of_a_command_has_all_its_options(pages: list[Path]) -> None:
    for path, command in manuals.command_tree().items():
        if getattr(command, "commands", None):
            continue
        text = next(p for p in pages if p.name == f"yizhan-{path.split()[0]}.1").read_text("utf-8")
        for one in command.params:
            if one.param_type_name == "option" and not one.hidden:
                for name in one.opts:
                    assert name.replace("-", "\\-") in text, f"yizhan {path} {name}"


def test_the_page_of_the_settings_has_them_all(pages: list[Path]) -> None:
    text = next(page for page in pages if page.name == "yizhan.toml.5").read_text(encoding="utf-8")
    for section in (config.Config, config.Limits, config.Blobs):
        for key in section.model_fields:
            assert key in text


@pytest.mark.parametrize(
    ("written", "roff"),
    [
        (".so /etc/passwd", "\\&.so /etc/passwd\n"),
        ("'quoted", "\\&'quoted\n"),
        ("a\\fBb", "a\\efBb\n"),
        ("one `word`", "one word\n"),
    ],
)
def test_no_text_of_ours_is_an_order_to_the_formatter(written: str, roff: str) -> None:
    assert man._text(written) == roff


def test_the_same_version_makes_the_same_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1780000000")
    assert man.pages()["yizhan"] == man.pages()["yizhan"]
    assert '"2026-' not in man.pages()["yizhan"]
    assert " 2026-05-28 " in man.pages()["yizhan"]
