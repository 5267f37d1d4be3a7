"""The command `yizhan`: each command's module is imported only when that command is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.errors import CommandError, ConfigurationError, YizhanError

# Each module has an `app`; the sentence stands here so that `yizhan --help` imports none of them.
COMMANDS = {
    "serve": "Run the post office.",
    "check": "Say all that is wrong with an office's set-up.",
    "init": "Make a new office, step by step.",
    "unit": "Units: add, list, show, change, remove, merge; desk for their desks.",
    "account": "Accounts: add, list, show, change, remove, password, unlock.",
    "group": "Groups of units.",
    "duty": "Duty persons and rooms.",
    "directory": "Import and export units, accounts and groups; the log of changes.",
    "seal": "Electronic seals: issue, import, replace, cancel, list, export, log.",
    "policy": "Rules: test, explain, checks, rules.",
    "document": "Documents: list, show, export.",
    "delivery": "Deliveries: sign for a document in a unit's name.",
    "mailbox": "Mailboxes: list, show, export.",
    "receipt": "Verify a receipt.",
    "fsck": "Check that nothing is lost, double or changed; repair what can be.",
    "backup": "Backups: make, verify, list.",
    "restore": "Restore a backup: from, status, release.",
    "export": "Everything in open formats, for the owner.",
    "storage": "Encryption at rest: status, encrypt, rotate, escrow, recover.",
    "demo": "Make the demo office, or play the demo story.",
}


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the library's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        called = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        if called == cmd_name:
            module: Any = import_module(f"gateway.cli.{cmd_name}")
            command: Any = without_completion(typer.main.get_command(module.app))
        else:
            command = typer.main.get_command(_placeholder(COMMANDS[cmd_name]))
        command.name = cmd_name
        return command


def without_completion(command: Any) -> Any:
    """The command without the two options that would complete only a part of the program."""
    completion = ("install_completion", "show_completion")
    command.params = [one for one in command.params if one.name not in completion]
    return command


def _placeholder(sentence: str) -> typer.Typer:
    """What the overview shows of a command that is not imported."""
    shown = typer.Typer(add_completion=False)
    shown.command(help=sentence)(lambda: None)
    return shown


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Yizhan (驿站): an electronic post office for official documents.",
)


def _print_manual(wanted: bool) -> None:
    if wanted:
        from gateway.cli import manual

        sys.stdout.write(manual.render())
        raise typer.Exit


@app.callback()
def _root(
    manual: Annotated[
        bool,
        typer.Option("--manual", hidden=True, is_eager=True, callback=_print_manual),
    ] = False,
) -> None:
    """Yizhan (驿站): an electronic post office for official documents.

    Example: yizhan document list --config var/demo/yizhan.toml
    """


def main() -> None:
    """Run a command; an error is one sentence on stderr and a non-zero status."""
    try:
        app()
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
