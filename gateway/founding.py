"""Founding an office: state directory, database, keys, certificate and configuration file.

Nothing that exists is ever overwritten: a second `init` on the same place says so and stops. What
fails half way (no gpg, a full disk) is taken away again, so that it can be tried again; what a
crash or a power cut has left is taken away by the next try. The configuration file gets its name
last, when all the rest is on disk, so an office is there as a whole or not at all.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from gateway import authority, config_file
from gateway.config import Config
from gateway.config_types import is_domain
from gateway.errors import CommandError, YizhanError
from gateway.evidence import keys as evidence_keys
from gateway.reminders.notifiers import spool
from gateway.seals import custody
from gateway.seals.escrow import write_escrow
from gateway.seals.recovery import create_recovery_key, usable_certificate
from gateway.seals.signer import load_office_signer
from gateway.seals.workshop import create_office_key
from gateway.store import durable, identity, migrate, server, storage_key
from gateway.store.database import Database
from gateway.store.engine import make_engine

CONFIGURATION = "yizhan.toml"
UNFINISHED = "unfinished"  # in the state directory until all is on disk
STORAGE_KEY = "storage.key"
RECOVERY = "recovery.asc"
RECOVERY_SECRET = "recovery-secret.asc"  # noqa: S105  # a file name
CA = "ca.crt"
CA_KEY = "ca.key"
# Beside the configuration.
_FILES = ("tls.crt", "tls.key", CA, CA_KEY, STORAGE_KEY, RECOVERY, RECOVERY_SECRET)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the founder has decided."""

    folder: Path  # for the configuration file and the certificate
    state: Path
    domain: str
    name: str
    name_en: str = ""
    submission_port: int = 587
    submissions_port: int = 465
    console_port: int = 2580
    portal_port: int = 443
    imap_port: int = 143
    imaps_port: int = 993
    pop3_port: int = 110
    pop3s_port: int = 995
    portal_url: str = ""  # empty: made from host name and port
    address: str = "127.0.0.1"
    notifier: str = "log"
    spool: Path | None = None
    utf8_replies: str = "smtputf8"
    security_officer: str = ""
    database: str = ""  # URL of an empty PostgreSQL database; empty: SQLite
    encrypt: bool = True  # blobs at rest; with it goes the recovery key
    recovery_certificate: Path | None = None  # of a recovery key that is there; else one is made

    @property
    def recovery_secret(self) -> Path:
        """Where the secret half of a recovery key that was made here waits for the safe."""
        return self.folder / RECOVERY_SECRET


Fill = Callable[[Connection, Config], None]


def nobody(_connection: Connection, _config: Config) -> None:
    """An office without people."""


def found(plan: Plan, now: datetime, say: Callable[[str], None], fill: Fill = nobody) -> Path:
    """Make the office; returns the path of its configuration file.

    `fill` enters the first units and accounts; if it raises, there is no office either.

    Raises CommandError if anything is there already or a directory cannot be made, and what `fill`
    raises.
    """
    file = plan.folder / CONFIGURATION
    if is_unfinished(plan.folder, plan.state):
        say("taking away what an earlier try has left ...")
        # With files of the same names elsewhere that try had nothing to do.
        mark = (plan.state / UNFINISHED).read_text(encoding="utf-8", errors="replace")
        take_away(plan, files=mark == str(plan.folder))
    _verify(plan)
    require_database(plan)
    for folder in (plan.folder, plan.state, plan.state / "blobs"):
        try:
            _make_folder(folder)
        except OSError as error:
            raise CommandError(f"{folder}: cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CommandError(f"{folder}: cannot be written; it must belong to the daemon's user")
    try:
        write_new(plan.state / UNFINISHED, os.fsencode(plan.folder), 0o600)
        durable.sync(plan.state / UNFINISHED)
        durable.sync(plan.state)
        _make(plan, file.with_name(f".{file.name}.new"), now, say, fill)
        _publish(plan, file)
    except BaseException:
        take_away(plan)
        if plan.database:  # it was empty; what an earlier try has left there is not touched
            engine = make_engine(plan.database)
            server.empty(engine)
            engine.dispose()
        raise
    return file


def require_database(plan: Plan) -> None:
    """Whether the database that was given is there, usable and empty; raises CommandError."""
    if not plan.database:
        return
    if not plan.database.startswith("postgresql+psycopg://"):
        raise CommandError(
            "--database: must be a PostgreSQL URL such as "
            "postgresql+psycopg://yizhan@db.heping.test/yizhan"
        )
    try:
        engine = make_engine(plan.database)
        try:
            server.require_empty(engine)
        finally:
            engine.dispose()
    except YizhanError as error:
        raise CommandError(error.public.replace("state.database", "--database")) from error


def is_unfinished(folder: Path, state: Path) -> bool:
    """Whether a founding there was cut off, so that what it left may be taken away."""
    return not (folder / CONFIGURATION).exists() and (state / UNFINISHED).exists()


def _verify(plan: Plan) -> None:
    """Raise CommandError for anything that is there already, and for a plan that cannot be."""
    for taken in (plan.folder / CONFIGURATION, plan.state / identity.FILE):
        if taken.exists():
            raise CommandError(f"{taken}: there is an office here already; nothing was changed")
    for taken in (plan.folder / name for name in _FILES):
        if taken.exists():
            raise CommandError(f"{taken}: there is such a file already; nothing was changed")
    if plan.state.is_dir() and any(plan.state.iterdir()):
        raise CommandError(f"{plan.state}: this folder is not empty; nothing was changed")
    if not is_domain(plan.domain):
        raise CommandError(f"{plan.domain!r} is not a domain name such as heping.test")
    if not (plan.name.strip() and (plan.name + plan.name_en).isprintable()):
        raise CommandError(f"{plan.name!r} is not a name")
    try:
        ipaddress.ip_address(plan.address)
    except ValueError:
        raise CommandError(f"{plan.address!r} is not an IP address") from None


def _make_folder(folder: Path) -> None:
    """Make it and what is missing above it, so that they last. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
        durable.sync(one.parent)


def _publish(plan: Plan, file: Path) -> None:
    """Sync all that was made, and only then give the configuration file its name."""
    durable.sync_tree(plan.state)
    if plan.spool is not None:
        durable.sync_tree(plan.spool)
        durable.sync(plan.spool.parent)
    new = file.with_name(f".{file.name}.new")
    for made in (new, *(plan.folder / name for name in _FILES)):
        if made.exists():
            durable.sync(made)
    durable.sync(plan.folder)  # a new name may last before the others do
    new.rename(file)
    durable.sync(plan.folder)
    (plan.state / UNFINISHED).unlink()
    durable.sync(plan.state)


def _make(plan: Plan, file: Path, now: datetime, say: Callable[[str], None], fill: Fill) -> None:
    say("making the office CA and the certificate ...")
    make_certificates(plan, now)
    if plan.spool is not None:
        spool.prepare(plan.spool)
    # The URL of a database may have a password.
    write_new(file, render(plan).encode(), 0o600 if plan.database else 0o644)
    settings = config_file.load(file)
    say("making the database ...")
    if not plan.database:
        write_new(plan.state / "yizhan.db", b"", 0o600)  # what SQLite puts beside it has its mode
    database = Database(settings.state.database_url, readers=1)
    try:
        migrate.upgrade(database.engine)
        say("making the office key ...")
        certificate = create_office_key(
            settings.seals,
            plan.state,
            name=plan.name_en or plan.name,
            address=f"postmaster@{plan.domain}",
        )
        if plan.encrypt:
            _make_storage_key(plan, settings, say)
        signer = load_office_signer(settings.seals, plan.state)
        say("making the evidence key ...")
        key = evidence_keys.create_evidence_key(plan.state)
        word = evidence_keys.certify(key, office=plan.domain, now=now, signer=signer)

        def keep(connection: Connection) -> None:
            custody.set_office_certificate(connection, certificate)
            evidence_keys.keep_certificate(connection, word)
            fill(connection, settings)

        database.write_now(keep)
        identity.create(database, plan.state, plan.domain, now)
    finally:
        database.stop()


def _make_storage_key(plan: Plan, settings: Config, say: Callable[[str], None]) -> None:
    """The storage key, and its escrow to the office key and the recovery key."""
    if plan.recovery_certificate is None:
        say("making the recovery key ...")
        certificate, secret = create_recovery_key(settings.seals, plan.state, plan.domain)
        write_new(plan.recovery_secret, secret.encode("ascii"), 0o600)
    else:
        certificate = _usable(plan.recovery_certificate)
    write_new(plan.folder / RECOVERY, certificate.encode("ascii"), 0o644)
    say("making the storage key ...")
    ring = storage_key.KeyRing((storage_key.generate(),))
    write_new(plan.folder / STORAGE_KEY, ring.render(), 0o600)
    write_escrow(settings, ring)


def _usable(path: Path) -> str:
    try:
        return usable_certificate(path.read_bytes(), f"recovery certificate: {path}")
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror}") from error


def take_away(plan: Plan, *, files: bool = True) -> None:
    """Undo a founding that failed; the state directory was empty before it.

    `files` is whether those beside the configuration are of that founding, too.
    """
    for name in (CONFIGURATION, f".{CONFIGURATION}.new", *_FILES) if files else ():
        (plan.folder / name).unlink(missing_ok=True)
    mark = plan.state / UNFINISHED
    for left in plan.state.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left != mark:
            left.unlink(missing_ok=True)
    mark.unlink(missing_ok=True)  # last: as long as anything is left, the next try may take it away


def make_certificates(plan: Plan, now: datetime) -> None:
    """The office CA (`ca.crt`, `ca.key`) and the doors' certificate by it (`tls.crt`, `tls.key`).

    `tls.crt` holds the whole chain, the server's own first.
    """
    server = authority.names(plan.domain, f"mail.{plan.domain}", [plan.address])
    office = authority.make_authority(plan.name, plan.domain, server, now)
    key = authority.new_key()
    certificate = authority.issue(office, server, key, now)
    write_new(plan.folder / CA_KEY, authority.key_pem(office.key), 0o600)
    write_new(plan.folder / CA, authority.chain_pem([office.certificate]), 0o644)
    write_new(plan.folder / "tls.key", authority.key_pem(key), 0o600)
    chain = authority.chain_pem([certificate, office.certificate])
    write_new(plan.folder / "tls.crt", chain, 0o644)


def render(plan: Plan) -> str:
    """The text of the configuration file."""
    state = os.path.relpath(plan.state, plan.folder)
    inside = not state.startswith("..")
    lines = [
        "# Yizhan: the configuration of one office. Every setting: docs/configuration.md",
        "",
        "[office]",
        f'domain = "{plan.domain}"',
        f"name = {_quoted(plan.name)}",
        f"name_en = {_quoted(plan.name_en)}",
        f'security_officer = "{plan.security_officer}"',
        "",
        "[state]",
        f"directory = {_quoted(state if inside else str(plan.state))}",
        *([f"database = {_quoted(plan.database)}"] if plan.database else []),
        "",
        "[tls]",
        'certificate = "tls.crt"',
        'key = "tls.key"',
        f'ca = "{CA}"',
        f'ca_key = "{CA_KEY}"',
        "",
    ]
    if plan.encrypt:
        lines += [
            "[blobs]",
            "encrypt_at_rest = true",
            f'storage_key_file = "{STORAGE_KEY}"',
            "",
            "[recovery]",
            f'certificate = "{RECOVERY}"',
            "",
        ]
    for port, tls in ((plan.submission_port, "starttls"), (plan.submissions_port, "implicit")):
        lines += [
            "[[submission.listeners]]",
            f'address = "{plan.address}"',
            f"port = {port}",
            f'tls = "{tls}"',
            f'utf8_replies = "{plan.utf8_replies}"',
            "",
        ]
    for protocol, port, tls in (
        ("imap", plan.imap_port, "starttls"), ("imap", plan.imaps_port, "implicit"),
        ("pop3", plan.pop3_port, "starttls"), ("pop3", plan.pop3s_port, "implicit"),
    ):  # fmt: skip
        lines += [
            "[[mailboxes.listeners]]",
            f'protocol = "{protocol}"',
            f'address = "{plan.address}"',
            f"port = {port}",
            f'tls = "{tls}"',
            "",
        ]
    lines += ["[reminders]", f'notifier = "{plan.notifier}"']
    if plan.spool is not None:
        lines.append(f"spool = {_quoted(os.path.relpath(plan.spool, plan.folder))}")
    lines += ["", "[portal]", f'address = "{plan.address}"', f"port = {plan.portal_port}"]
    if plan.portal_url:
        lines.append(f'url = "{plan.portal_url}"')
    lines += ["", "[console]", f"port = {plan.console_port}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_new(path: Path, octets: bytes, mode: int) -> None:
    """Write a file that is not there yet. Raises FileExistsError and other OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
