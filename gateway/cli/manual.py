"""The manual of all commands, made from the commands themselves: what docs/commands.md holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.cli.main import COMMANDS, load

_WIDTH = 96

_HEAD = """# Commands

Everything is one program, `yizhan`. This page is made from the code: `make docs`.

- **Which office.** `--config FILE`, else the environment variable `YIZHAN_CONFIG`, else
  `/etc/yizhan/yizhan.toml`.
- **Who may run them.** The owner of the state directory. root steps down to that owner; anybody
  else is refused with a sentence. `receipt verify --office-key`, `policy test` and `policy checks`
  need no office.
- **When they take effect.** At once; they work beside the running daemon. Only a changed
  configuration file wants a restart, and rules, templates and certificates a SIGHUP.
- **For programs.** `--json` prints JSON to standard output. Sentences about errors go to standard
  error.

An exit status is one of:

"""

EXIT_STATUSES = {
    0: "Done.",
    1: "It could not be done, or what was asked is not so (a receipt is not proved, the doctor "
    "finds something wrong). One sentence says why.",
    2: "The command line was not understood.",
    70: "An error of the program itself; `YIZHAN_DEBUG=1` shows where.",
    78: "The configuration or the state directory cannot be used. One sentence for each fault, "
    "with file and key.",
}


def render() -> str:
    """The whole page, Markdown."""
    found = [(name, load(name)) for name in COMMANDS]
    rows = "".join(
        f"| [`yizhan {name}`](#yizhan-{name}) | {sentence} |\n"
        for name, sentence in COMMANDS.items()
    )
    index = f"\n| command | what for |\n| --- | --- |\n{rows}"
    pages = (_page(path, command) for name, one in found for path, command in walk(name, one))
    statuses = "".join(f"- `{n}`: {meaning}\n" for n, meaning in EXIT_STATUSES.items())
    return _HEAD + statuses + index + "".join(pages)


def walk(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """A command and all below it, with the words that call it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(f"{path} {name}", inner)


def _page(path: str, command: Any) -> str:
    depth = "##" if " " not in path else "###"
    command.rich_markup_mode = None  # plain text: no frames, no colours
    context = command.context_class(
        command, info_name=f"yizhan {path}", terminal_width=_WIDTH, max_content_width=_WIDTH
    )
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return f"\n{depth} yizhan {path}\n\n```text\n" + "\n".join(lines) + "\n```\n"
