"""Founding an office: state directory, database, keys, certificate and configuration file.

Nothing that exists is ever overwritten: a second `init` on the same place says so and stops. What
fails half way (no gpg, a full disk) is taken away again, so that it can be tried again.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy import Connection

from gateway import config as configuration
from gateway.errors import CommandError
from gateway.evidence import keys as evidence_keys
from gateway.reminders.notifiers import spool
from gateway.seals import custody
from gateway.seals.signer import load_office_signer
from gateway.seals.workshop import create_office_key
from gateway.store import identity, migrate
from gateway.store.database import Database

CERTIFICATE_DAYS = 825


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
    address: str = "127.0.0.1"
    notifier: str = "log"
    spool: Path | None = None
    utf8_replies: str = "smtputf8"
    security_officer: str = ""


Fill = Callable[[Connection, configuration.Config], None]


def nobody(_connection: Connection, _config: configuration.Config) -> None:
    """An office without people."""


def found(plan: Plan, now: datetime, say: Callable[[str], None], fill: Fill = nobody) -> Path:
    """Make the office; returns the path of its configuration file.

    `fill` enters the first units and accounts; if it raises, there is no office either.

    Raises CommandError if anything is there already or a directory cannot be made, and what `fill`
    raises.
    """
    file = plan.folder / "yizhan.toml"
    for taken in (file, plan.state / identity.FILE):
        if taken.exists():
            raise CommandError(f"{taken}: there is an office here already; nothing was changed")
    for taken in (plan.folder / "tls.crt", plan.folder / "tls.key"):
        if taken.exists():
            raise CommandError(f"{taken}: there is such a file already; nothing was changed")
    if plan.state.is_dir() and any(plan.state.iterdir()):
        raise CommandError(f"{plan.state}: this folder is not empty; nothing was changed")
    if not configuration.is_domain(plan.domain):
        raise CommandError(f"{plan.domain!r} is not a domain name such as heping.test")
    if not (plan.name.strip() and (plan.name + plan.name_en).isprintable()):
        raise CommandError(f"{plan.name!r} is not a name")
    try:
        ipaddress.ip_address(plan.address)
    except ValueError:
        raise CommandError(f"{plan.address!r} is not an IP address") from None
    for folder in (plan.folder, plan.state, plan.state / "blobs"):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"{folder}: cannot be made: {error.strerror}") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CommandError(f"{folder}: cannot be written; it must belong to the daemon's user")
    try:
        _make(plan, file, now, say, fill)
    except BaseException:
        take_away(plan)
        raise
    return file


def _make(plan: Plan, file: Path, now: datetime, say: Callable[[str], None], fill: Fill) -> None:
    say("making the certificate ...")
    make_certificate(plan, now)
    if plan.spool is not None:
        spool.prepare(plan.spool)
    file.write_text(render(plan), encoding="utf-8")
    settings = configuration.load(file)
    say("making the database ...")
    _write_new(plan.state / "yizhan.db", b"", 0o600)  # what SQLite puts beside it has its mode
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


def take_away(plan: Plan) -> None:
    """Undo a founding that failed; the state directory was empty before it."""
    for made in (plan.folder / "yizhan.toml", plan.folder / "tls.crt", plan.folder / "tls.key"):
        made.unlink(missing_ok=True)
    for left in plan.state.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def make_certificate(plan: Plan, now: datetime) -> None:
    """A self-signed certificate for the doors, `tls.crt` and `tls.key` (ECDSA P-256)."""
    key = ec.generate_private_key(ec.SECP256R1())
    host = f"mail.{plan.domain}"
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    names: list[x509.GeneralName] = [
        x509.DNSName(host),
        x509.DNSName(plan.domain),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    if plan.address not in ("127.0.0.1", "0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        names.append(x509.IPAddress(ipaddress.ip_address(plan.address)))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_new(plan.folder / "tls.key", pem, 0o600)
    _write_new(plan.folder / "tls.crt", certificate.public_bytes(serialization.Encoding.PEM), 0o644)


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
        "",
        "[tls]",
        'certificate = "tls.crt"',
        'key = "tls.key"',
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
    lines += ["[reminders]", f'notifier = "{plan.notifier}"']
    if plan.spool is not None:
        lines.append(f"spool = {_quoted(os.path.relpath(plan.spool, plan.folder))}")
    lines += ["", "[console]", f"port = {plan.console_port}", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _write_new(path: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
