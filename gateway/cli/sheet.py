"""`yizhan account sheet`: a printed page for each account, to be handed to its owner."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.office import ConfigOption, JsonOption, Office, emit, opened

if TYPE_CHECKING:
    from gateway.directory.model import Account
    from gateway.directory.snapshot import Directory


def sheet(
    logins: Annotated[
        list[str] | None, typer.Argument(metavar="[LOGIN]...", help="Whose; or --unit, or --all.")
    ] = None,
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE.html", help="New file, a page an account."),
    ],
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="All accounts of that unit; repeatable.")
    ] = None,
    everybody: Annotated[bool, typer.Option("--all", help="All accounts of the office.")] = False,
    new_password: Annotated[
        bool,
        typer.Option(
            "--new-password",
            help="Make new first passwords and print them. With --unit and --all only for those "
            "whose owner has not chosen one.",
        ),
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make the sheets (开通单) that people set up their mail programs by, to be printed.

    One HTML file with a page of A4 for each account, in its owner's language: servers, ports,
    login, first password, fingerprint of the office CA, address of the portal. No password is kept
    in the clear: a sheet has one only with --new-password, else a line to write it on.

    Example: yizhan account sheet --unit water --new-password --output sheets.html
    """
    from gateway.cli.papers import new_file
    from gateway.composition import load_templates
    from gateway.errors import CommandError
    from gateway.expiry import ca_file, describe
    from gateway.portal import sheet as sheets

    if not logins and not unit and not everybody:
        raise CommandError("say whose sheets: logins, --unit CODE or --all")
    out = new_file(output, 0o600)
    finished = False
    try:
        with opened(config) as office, out:
            chosen = _chosen(office, logins or [], unit or [], everybody)
            if not chosen:
                raise CommandError("there is no such account that is open and not a machine's")
            fresh = _fresh(chosen, set(logins or [])) if new_password else {}
            ca = ca_file(office.config)
            fingerprint = describe(ca)[0].sha256 if ca is not None else ""
            directory = _directory(office)
            pages = [
                sheets.make_sheet(
                    office.config,
                    directory,
                    account,
                    password=fresh.get(account.login, ""),
                    fingerprint=fingerprint,
                    now=office.clock.now(),
                )
                for account in chosen
            ]
            out.write(sheets.render(pages, load_templates()).encode())
            out.flush()
            os.fsync(out.fileno())  # a password that is in force is on paper, or at least on disk
            _set(office, fresh)
            finished = True
    finally:
        if not finished:
            output.unlink(missing_ok=True)
    facts = {"file": str(output), "sheets": len(chosen), "new_passwords": sorted(fresh)}
    emit(
        facts,
        as_json,
        lambda: typer.echo(
            f"{output}: {len(chosen)} sheets, {len(fresh)} with a new password. Print it from a "
            "web browser (or save it as PDF there), and then remove it."
        ),
    )


def _directory(office: Office) -> Directory:
    from gateway.directory.snapshot import load

    return office.database.read_now(lambda conn: load(conn, office.config.office.domain))


def _chosen(
    office: Office, logins: Sequence[str], units: Sequence[str], everybody: bool
) -> list[Account]:
    """The accounts, each once, in the order of units and logins. Raises CommandError."""
    from gateway.directory.edit import find_unit
    from gateway.directory.model import AccountKind
    from gateway.errors import CommandError

    directory = _directory(office)
    named = []
    for login in logins:
        account = directory.account(login)
        if account is None:
            raise CommandError(f"there is no account {login!r}; `yizhan account list` shows all")
        if not account.active or account.kind is AccountKind.MACHINE:
            raise CommandError(f"account {login!r} is closed, or a machine's; it needs no sheet")
        named.append(account)
    ids = office.database.read_now(lambda conn: [find_unit(conn, code) for code in units])
    others = [
        account
        for account in directory.accounts()
        if account.active
        and account.kind is not AccountKind.MACHINE
        and (everybody or any(account.roles_in(unit_id) for unit_id in ids))
    ]
    codes = {one.id: one.code for one in directory.units()}
    others.sort(key=lambda one: (codes[one.memberships[0].unit_id], one.login))
    return list({account.login: account for account in (*named, *others)}.values())


def _fresh(chosen: Sequence[Account], named: set[str]) -> dict[str, str]:
    """New passwords: of a whole unit nobody loses the one that the owner has chosen."""
    from gateway.directory.passwords import new_password

    return {
        account.login: new_password()
        for account in chosen
        if account.login in named
        or not account.password_hash
        or account.first_password_at is not None
    }


def _set(office: Office, fresh: Mapping[str, str]) -> None:
    """Set them, all in one transaction."""
    from concurrent.futures import ThreadPoolExecutor

    from sqlalchemy import Connection

    from gateway.cli.progress import Progress
    from gateway.directory.edit import set_password
    from gateway.directory.passwords import hash_password

    progress, hashes = Progress(), {}
    with ThreadPoolExecutor(2) as pool:
        hashed = zip(fresh, pool.map(hash_password, fresh.values()), strict=True)
        for number, (login, one) in enumerate(hashed):
            progress("hashing passwords", number)
            hashes[login] = one
    progress.end()
    now = office.clock.now()

    def work(connection: Connection) -> None:
        for login, one in hashes.items():
            set_password(connection, login, one, first=True, actor=office.actor, now=now)

    if hashes:
        office.database.write_now(work)
