"""Makes the demo office: one like any other, with people, passwords and seals to play with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from gateway import config as configuration
from gateway import config_file
from gateway.directory.demo_office import ACCOUNTS, SECURITY_OFFICER, populate
from gateway.directory.passwords import hash_password, new_password
from gateway.directory.snapshot import load
from gateway.domain.address import Address
from gateway.errors import CommandError
from gateway.exchange import cabinet
from gateway.exchange.mailroom import open_mailboxes
from gateway.founding import Plan, found, take_away
from gateway.seals import custody
from gateway.seals.handover import armoured
from gateway.seals.workshop import Workshop
from gateway.store.database import Database
from gateway.store.drivers import open_blobs

DOMAIN = "heping.test"
_ACTOR = "demo"
PORTS = (2587, 2465, 2580, 2443, 2143, 2993, 2110, 2995)
"""Submission (STARTTLS, TLS), console, portal, IMAP (STARTTLS, TLS), POP3 (STARTTLS, TLS)."""
_OURS = ("seals", "sms", "accounts.toml")  # beside what every office has


def make(
    folder: Path,
    now: datetime,
    say: Callable[[str], None],
    *,
    ports: Sequence[int] = PORTS,
) -> Path:
    """Make the demo office in that folder; returns its configuration file.

    Raises CommandError if there is one already.
    """
    plan = Plan(
        folder=folder,
        state=folder / "state",
        domain=DOMAIN,
        name="和平区政府电子邮局",
        name_en="Heping District Post Office",
        submission_port=ports[0],
        submissions_port=ports[1],
        console_port=ports[2],
        portal_port=ports[3],
        imap_port=ports[4],
        imaps_port=ports[5],
        pop3_port=ports[6],
        pop3s_port=ports[7],
        portal_url=f"https://localhost:{ports[3]}/",  # no DNS knows the demo's names
        notifier="spool",
        spool=folder / "sms",
        security_officer=SECURITY_OFFICER,
        encrypt=False,  # so that whoever looks into the demo's folder sees what is kept
    )
    for taken in (folder / name for name in ("yizhan.toml", *_OURS)):
        if taken.exists():
            raise CommandError(f"{taken}: there is an office here already; nothing was changed")
    say("making 44 units and their accounts ...")
    passwords = {account.login: new_password() for account in ACCOUNTS}
    with ThreadPoolExecutor(2) as pool:
        hashes = dict(zip(passwords, pool.map(hash_password, passwords.values()), strict=True))
    path = None
    try:
        path = found(plan, now, say, lambda c, config: _fill(c, config, hashes, now))
        say("making their seals ...")
        _make_seals(config_file.load(path), folder / "seals", now)
        _write_accounts(folder / "accounts.toml", passwords)
    except BaseException:
        # Whoever stops it half way gets a whole one at the next try, not half a one for ever.
        if path is not None:
            take_away(plan)
        for made in (folder / name for name in _OURS):
            if made.is_dir():
                shutil.rmtree(made)
            else:
                made.unlink(missing_ok=True)
        raise
    return path


def _fill(
    connection: Connection, config: configuration.Config, hashes: Mapping[str, str], now: datetime
) -> None:
    populate(connection, DOMAIN, hashes, _ACTOR, now)
    directory = load(connection, DOMAIN)
    mailboxes = open_mailboxes(open_blobs(config))
    cabinet.furnish(mailboxes, connection, directory.owners(), now)


def _make_seals(config: configuration.Config, folder: Path, now: datetime) -> None:
    """A seal for each unit, both halves under the folder so that a mail client can use them."""
    database = Database(config.state.database_url, readers=1)
    try:
        _issue_seals(database, config, folder, now)
    finally:
        database.stop()


def _issue_seals(
    database: Database, config: configuration.Config, folder: Path, now: datetime
) -> None:
    folder.mkdir(mode=0o700)
    units = database.read_now(lambda c: load(c, DOMAIN)).units()
    with Workshop(config.seals, config.state.directory) as workshop:
        made = {
            unit: workshop.issue(
                unit.name_en or unit.code, str(unit.address), passphrase="", years=3
            )
            for unit in units
        }

    def enter(connection: Connection) -> None:
        for unit, seal in made.items():
            custody.enter(connection, unit.id, seal.entry, limit=3, actor=_ACTOR, now=now)

    database.write_now(enter)
    for unit, seal in made.items():
        _write(folder / f"{unit.code}.sec.asc", seal.private)
        _write(folder / f"{unit.code}.pub.asc", armoured(seal.entry.certificate))
    book = database.read_now(custody.load_book)
    _write(folder / "office-key.pub.asc", armoured(book.office_certificate))


def _write_accounts(path: Path, passwords: Mapping[str, str]) -> None:
    lines = ["# The accounts of the demo office. Each unit's own login is its code."]
    for account in ACCOUNTS:
        address: Address = account.address(DOMAIN)
        lines += [
            "",
            f"[accounts.{_key(account.login)}]",
            f'address = "{address}"',
            f'unit = "{account.unit}"',
            f'password = "{passwords[account.login]}"',
        ]
    _write(path, ("\n".join(lines) + "\n").encode())


def _key(login: str) -> str:
    return login if login.replace("-", "").isalnum() else f'"{login}"'


def _write(path: Path, octets: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
