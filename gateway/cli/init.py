"""`yizhan init`: make a real office, step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.config import Config
    from gateway.founding import Plan

app = typer.Typer(help="Make a new office, step by step.")


@app.command()
def init(
    folder: Annotated[
        Path, typer.Option("--folder", help="Folder for yizhan.toml and the certificate.")
    ] = Path("/etc/yizhan"),
    state: Annotated[
        Path, typer.Option("--state", help="State directory; it must belong to the daemon's user.")
    ] = Path("/var/lib/yizhan"),
    domain: Annotated[str, typer.Option(help="Mail domain, e.g. heping.test.")] = "",
    name: Annotated[str, typer.Option(help="Name of the office in Chinese.")] = "",
    name_en: Annotated[str, typer.Option("--name-en", help="Name in English.")] = "",
    address: Annotated[str, typer.Option(help="IP address on which clients connect.")] = "",
    operator: Annotated[str, typer.Option(help="Login of the first operator.")] = "",
    unit: Annotated[str, typer.Option(help="Code of the operator's unit, e.g. office.")] = "",
    unit_name: Annotated[str, typer.Option("--unit-name", help="Chinese name of that unit.")] = "",
    recovery_certificate: Annotated[
        Path | None,
        typer.Option(
            "--recovery-certificate",
            metavar="FILE",
            help="OpenPGP certificate of the recovery key; without it a key pair is made.",
        ),
    ] = None,
    database: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="Empty PostgreSQL database, postgresql+psycopg://...; without it SQLite is used.",
        ),
    ] = "",
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing; what is missing is an error.")
    ] = False,
) -> None:
    """Make a new office: configuration, certificate, database, keys and the first operator.

    Nothing that exists is overwritten. Questions are asked for what no option gives. Run it as
    root, and both folders belong to the daemon's user: all that it makes will be that user's.

    Example: yizhan init --folder /etc/yizhan --state /var/lib/yizhan --domain heping.test
    """
    from gateway.cli.office import become_owner
    from gateway.directory.passwords import new_password
    from gateway.domain.clock import SystemClock
    from gateway.founding import Plan, found, is_unfinished, require_database

    if state.is_dir():  # made for the daemon's user: what is in it must be that user's too
        become_owner(state)

    def ask(question: str, given: str, default: str = "") -> str:
        if given:
            return given
        if yes:
            if default:
                return default
            raise CommandError(f"{question}: give it as an option, see `yizhan init --help`")
        answer: str = typer.prompt(question, default=default or None)
        return answer.strip()

    for taken in (folder / "yizhan.toml", state / "identity"):
        if taken.exists() and not is_unfinished(folder, state):
            raise CommandError(f"{taken}: there is an office here already; nothing was changed")
    plan = Plan(
        folder=folder.absolute(),
        state=state.absolute(),
        domain=ask("Mail domain of the office", domain).lower(),
        name=ask("Name of the office in Chinese", name),
        name_en=ask("Name of the office in English", name_en, "Post Office"),
        address=ask("IP address on which clients connect", address, "127.0.0.1"),
        security_officer="",
        recovery_certificate=recovery_certificate,
        database=database,
    )
    require_database(plan)
    unit = ask("Code of the operator's unit", unit, "office")
    unit_name = ask("Chinese name of that unit", unit_name)
    operator = ask("Login of the first operator", operator, "operator")
    now = SystemClock().now()
    password = new_password()
    path = found(plan, now, _say, _first_people(unit, unit_name, operator, password, now))
    print(
        f"\nThe office is ready.\n"
        f"  configuration  {path}\n"
        f"  first login    {operator}, password {password} (shown once)\n\n"
        f"{_keys(plan)}\n"
        f"Next:\n"
        f"  yizhan check --config {path}\n"
        f"  yizhan directory import units.csv --config {path}\n"
        f"  yizhan serve --config {path}"
    )


def _keys(plan: Plan) -> str:
    """What must be carried to the safe, and why."""
    from gateway import founding

    lines = [
        "Documents are kept encrypted. Put copies of these into the safe:",
        f"  storage key    {plan.folder / founding.STORAGE_KEY} (a copy: the daemon needs it here)",
    ]
    if plan.recovery_certificate is None:
        lines.append(
            f"  recovery key   {plan.recovery_secret} (MOVE it: with it a lost storage key and the "
            "keys of a backup come back; nothing here needs it)"
        )
    return "\n".join(lines) + "\n"


def _say(sentence: str) -> None:
    sys.stderr.write(f"yizhan: {sentence}\n")


def _first_people(
    unit: str, unit_name: str, operator: str, password: str, now: datetime
) -> Callable[[Connection, Config], None]:
    """What enters the operator and their unit, with mailboxes, into the new office."""
    from gateway.directory import edit
    from gateway.directory.model import AccountKind, Level, Role, UnitClass
    from gateway.directory.passwords import hash_password
    from gateway.directory.snapshot import load
    from gateway.exchange import cabinet
    from gateway.exchange.mailroom import open_mailboxes
    from gateway.store.drivers import open_blobs

    hashed = hash_password(password)

    def fill(connection: Connection, config: Config) -> None:
        edit.add_unit(
            connection,
            code=unit,
            name=unit_name,
            name_en="",
            level=Level.DISTRICT,
            unit_class=UnitClass.ORGAN,
            actor="init",
            now=now,
        )
        edit.add_account(
            connection,
            login=operator,
            name=operator,
            kind=AccountKind.PERSONAL,
            units={unit: (Role.OPERATOR, Role.CLERK)},
            password_hash=hashed,
            actor="init",
            now=now,
        )
        mailboxes = open_mailboxes(open_blobs(config))
        owners = load(connection, config.office.domain).owners()
        cabinet.furnish(mailboxes, connection, owners, now)

    return fill
