"""`yizhan completion`: what makes the shell complete commands, options and codes of units."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from gateway.cli.office import ConfigOption, opened
from gateway.errors import CommandError

app = typer.Typer(help="Completion of commands for bash or zsh.")


class Shell(StrEnum):
    """A shell that can be taught."""

    BASH = "bash"
    ZSH = "zsh"


class Words(StrEnum):
    """What the office is asked for while somebody types."""

    UNIT = "unit"
    LOGIN = "login"


@app.command()
def completion(
    shell: Annotated[Shell | None, typer.Argument(metavar="[bash|zsh]", help="The shell.")] = None,
    words: Annotated[
        Words | None,
        typer.Option(hidden=True, help="Print the words of that kind: the scripts ask for them."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print the script that completes commands, options, codes of units and logins.

    For bash: `yizhan completion bash > /etc/bash_completion.d/yizhan`. For zsh:
    `yizhan completion zsh > /usr/local/share/zsh/site-functions/_yizhan`.

    Example: yizhan completion bash
    """
    if words is not None:
        for word in _known(words, config):
            sys.stdout.write(f"{word}\n")
        return
    if shell is None:
        raise CommandError("for which shell? `yizhan completion bash`, or zsh")
    from gateway.cli.shell import script

    sys.stdout.write(script(shell.value))


def _known(words: Words, config: ConfigOption) -> list[str]:
    from sqlalchemy import select

    from gateway.directory.tables import accounts, units

    column = units.c.code if words is Words.UNIT else accounts.c.login
    with opened(config) as office:
        return office.database.read_now(lambda c: list(c.scalars(select(column).order_by(column))))
