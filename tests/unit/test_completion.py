"""What the shells complete is what there is: commands, options, fixed words, units, logins."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.cli.main import COMMANDS
from gateway.cli.shell import script
from tests.integration.test_manuals import put_yizhan

BASH = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_yizhan
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# What zsh's own builtins are told; they work only while somebody types.
ZSH = """
compdef() {{ }}
compadd() {{
    shift
    for one; do case $one in "${{words[CURRENT]}}"*) print -r -- $one ;; esac; done
}}
_files() {{ print -r -- FILES }}
source {script}
words=({words})
CURRENT=${{#words}}
_yizhan
"""


@pytest.fixture(params=["bash", "zsh"])
def complete(
    request: pytest.FixtureRequest, program: Callable[[str], str], office_template: Path,
    tmp_path: Path,
) -> Callable[..., list[str]]:  # fmt: skip
    """What the shell offers for the last of the words."""
    shell = program(request.param)
    file = tmp_path / "script"
    file.write_text(script(request.param), encoding="utf-8")
    path = f"{put_yizhan(tmp_path / 'bin' / 'yizhan').parent}:{os.environ['PATH']}"
    root = Path(__file__).resolve().parents[2]

    def ask(*words: str) -> list[str]:
        text = (BASH if request.param == "bash" else ZSH).format(
            script=shlex.quote(str(file)), words=shlex.join(["yizhan", *words])
        )
        done = subprocess.run(
            [shell, "--norc" if request.param == "bash" else "-f"],
            input=text, capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path,
            env={"PATH": path, "PYTHONPATH": str(root), "LANG": "C.UTF-8",
                 "YIZHAN_CONFIG": str(office_template / "yizhan.toml")},
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout.split()

    return ask


@pytest.mark.one_database("shells know no database")
def test_commands_options_and_fixed_words_are_completed(complete: Callable[..., list[str]]) -> None:
    assert complete("") == list(COMMANDS)
    assert complete("stat") == ["status"]
    assert complete("unit", "ad") == ["add"]
    assert complete("unit", "add", "--le") == ["--level"]
    assert complete("unit", "add", "--level", "") == ["municipal", "district", "subdistrict"]
    assert complete("completion", "") == ["bash", "zsh"]
    assert complete("nonsense") == []


@pytest.mark.one_database("shells know no database")
def test_files_are_completed_where_a_file_is_meant(complete: Callable[..., list[str]]) -> None:
    (found,) = complete("check", "--config", "scr")
    assert found in ("script", "FILES")
    assert complete("backup", "ver")[0] == "verify"


@pytest.mark.one_database("the office is asked by a command that is tested elsewhere")
def test_codes_of_units_and_logins_are_asked_of_the_office(
    complete: Callable[..., list[str]],
) -> None:
    assert complete("unit", "show", "wat") == ["water"]
    assert complete("document", "list", "--unit", "educ") == ["education"]
    assert "water" in complete("account", "show", "wat")


def test_an_office_that_is_not_there_completes_nothing_and_says_nothing(
    complete: Callable[..., list[str]],
) -> None:
    assert complete("-c", "/nonexistent", "unit", "show", "wat") == []
