"""The command `yizhan`: each command's module is imported only when that command is called.

What everybody waits for, the overview above all, imports nothing: neither typer nor the database.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.errors import CommandError, ConfigurationError, YizhanError

if TYPE_CHECKING:
    from typer.core import TyperCommand, TyperGroup

    Command = TyperCommand | TyperGroup

# Each module has an `app`; the sentence stands here so that `yizhan --help` imports none of them.
COMMANDS = {
    "serve": "Run the post office.",
    "status": "How the office stands, on one screen.",
    "search": "Documents that contain words, the newest first.",
    "log": "Everything about one document, in the order in which it happened.",
    "doctor": "What is wrong with a running office, and what to do.",
    "check": "Say all that is wrong with an office's set-up.",
    "init": "Make a new office, step by step.",
    "unit": "Units: add, list, show, change, remove, merge, readiness; desk for their desks.",
    "account": "Accounts: add, list, show, change, remove, password, unlock, refetch, sheet.",
    "group": "Groups of units.",
    "duty": "Duty persons and rooms.",
    "directory": "Import and export units, accounts and groups; the log of changes.",
    "certificate": "Certificate of the doors and office CA: show, ca, renew, make-ca.",
    "records": "The DNS records that mail programs look for.",
    "seal": "Electronic seals: issue, import, replace, cancel, list, export, log.",
    "policy": "Rules: test, explain, checks, rules.",
    "document": "Documents: list, show, export.",
    "delivery": "Deliveries: sign, return, in a unit's name.",
    "mailbox": "Mailboxes: list, show, export, quota, rights.",
    "receipt": "Verify a receipt.",
    "fsck": "Check that nothing is lost, double or changed; repair what can be.",
    "backup": "Backups: make, verify, list.",
    "restore": "Restore a backup: from, status, release.",
    "export": "Everything in open formats, for the owner.",
    "storage": "Encryption at rest: status, encrypt, rotate, escrow, recover.",
    "completion": "Completion of commands for bash or zsh.",
    "demo": "Make the demo office, or play the demo story.",
}


_ABOUT = "Yizhan (驿站): an electronic post office for official documents."
_EXAMPLE = "yizhan status --config var/demo/yizhan.toml"
_NOT_UNDERSTOOD = 2
_YOUNG = 100_000  # objects made until the collector looks for cycles


def load(name: str) -> Command:
    """One of `COMMANDS`, imported."""
    import typer

    module: Any = import_module(f"gateway.cli.{name}")
    command: Command = without_completion(typer.main.get_command(module.app))
    return command


def without_completion(command: Any) -> Any:
    """The command without the two options that would complete only a part of the program."""
    completion = ("install_completion", "show_completion")
    command.params = [one for one in command.params if one.name not in completion]
    return command


def overview() -> str:
    """What `yizhan --help` shows."""
    widest = max(map(len, COMMANDS))
    rows = "".join(f"  {name:<{widest}}  {sentence}\n" for name, sentence in COMMANDS.items())
    return (
        f"Usage: yizhan COMMAND [OPTIONS] [ARGS]...\n\n  {_ABOUT}\n\nCommands:\n{rows}\n"
        "Options:\n  --help     Show this message; `yizhan COMMAND --help` shows a command's own.\n"
        f"  --version  Show the version.\n\nExample: {_EXAMPLE}\n"
    )


def _run(words: list[str]) -> None:
    # Help and errors in plain words, without frames: what would draw them takes 0.15 s to import.
    os.environ.setdefault("TYPER_USE_RICH", "0")
    # A command is over before its garbage matters, and to look for it is a tenth of its start.
    gc.set_threshold(_YOUNG)
    # Nobody's plug-in belongs into the settings, and to look for them takes time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    match words:
        case [] | ["--help" | "help", *_]:
            sys.stdout.write(overview())
        case ["--version", *_]:
            from gateway import __version__

            sys.stdout.write(f"yizhan {__version__}\n")
        case ["--manual"]:
            from gateway.cli import manual

            sys.stdout.write(manual.render())
        case ["--man", folder]:
            from gateway.cli.man import write

            write(Path(folder))
        case [name, *rest] if name in COMMANDS:
            load(name).main(args=rest, prog_name=f"yizhan {name}")
        case [name, *_]:
            _refuse(name)


def _refuse(name: str) -> None:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, 1)
    meant = f"; did you mean `yizhan {near[0]}`?" if near else "; `yizhan --help` shows all"
    what = "option" if name.startswith("-") else "command"
    sys.stderr.write(f"yizhan: there is no {what} {name!r}{meant}\n")
    sys.exit(_NOT_UNDERSTOOD)


def main() -> None:
    """Run a command; an error is one sentence on stderr and a non-zero status."""
    try:
        _run(sys.argv[1:])
    except YizhanError as error:
        prefix = "" if isinstance(error, ConfigurationError | CommandError) else "yizhan: "
        sys.stderr.write(f"{prefix}{error}\n")
        sys.exit(getattr(error, "exit_status", 1))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except Exception as error:  # an operator gets a sentence, a developer the trace
        if os.environ.get("YIZHAN_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename:
            sys.stderr.write(f"{error.filename}: {error.strerror}\n")
            sys.exit(1)
        sys.stderr.write(
            f"yizhan: an error of the program itself ({type(error).__name__}: {error}); "
            "run it again with YIZHAN_DEBUG=1 and report what it prints\n"
        )
        sys.exit(70)  # EX_SOFTWARE
