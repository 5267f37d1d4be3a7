"""The pages for people, taken apart for tests: their links, their commands, what they quote."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.office import ROOT

PAGES = [ROOT / "README.md", ROOT / "README.zh-CN.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
_HEREDOC = re.compile(r"<<'(\w+)'")


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", text(page))


def console_commands(page: Path) -> list[str]:
    """What the page's ```console blocks tell the reader to type: after `$ ` or `# `."""
    found: list[str] = []
    for language, block in _BLOCK.findall(text(page)):
        if language == "console":
            found += _typed(block)
    return found


def bare_calls(page: Path) -> list[str]:
    """Lines of other blocks that show a call of `yizhan`, perhaps with `<placeholders>`."""
    found = re.findall(r"^ *(yizhan [a-z].*)$", text(page), re.M)
    return [re.sub(r"<[\w ]+>", "PLACEHOLDER", line) for line in found]


def _typed(block: str) -> Iterator[str]:
    lines = iter(block.splitlines())
    for line in lines:
        if line[:2] not in ("$ ", "# "):
            continue  # what the command printed
        command = line[2:]
        end = _HEREDOC.search(command)
        while end and not command.endswith(f"\n{end[1]}"):
            command += "\n" + next(lines)
        yield command


def calls(command: str) -> Iterator[list[str]]:
    """The words after each `yizhan` that a line of shell calls."""
    first_line = command.partition("\n")[0]
    words = shlex.shlex(first_line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    words.commenters = "#"
    begins, call = True, None
    for word in words:
        if set(word) <= set("();<>|&"):
            if call is not None:
                yield call
            begins, call = not set(word) & set("<>"), None  # behind those stands a file
        elif call is not None:
            call.append(word)
        elif begins and Path(word).name == "yizhan":
            call = []
        else:
            begins = word == "do"
    if call is not None:
        yield call


@cache
def command_tree() -> dict[str, Any]:
    """Every command by the words that call it, as `seal issue`."""
    from gateway.cli import main, manual

    return {
        path: command
        for name in main.COMMANDS
        for path, command in manual.walk(name, main.load(name))
    }


def parse(words: list[str]) -> None:
    """Read a command line as `yizhan` would, without running it. Raises what the parser raises."""
    if words[0] in ("--help", "--version", "--manual", "--man"):
        return
    tree = command_tree()
    path = words[0]
    rest = words[1:]
    while rest and f"{path} {rest[0]}" in tree:
        path = f"{path} {rest.pop(0)}"
    command = tree[path]
    command.context_class(command, info_name=path)
    if "--help" not in rest and not getattr(command, "commands", None):
        command.make_context(path, rest)


def links(page: Path) -> list[str]:
    """Targets of the page's links that lead to files of this house."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """The places in the page to which a link may lead, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
