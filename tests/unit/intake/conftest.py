"""A small office with a real directory, real logins, and a door on a free port of loopback.

The door runs in a thread of its own, under asyncio's loop and under uvloop; tests talk to it with
blocking sockets, as clients do. Only the exchange is a stand-in that keeps what it is given.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.config import Limits, Listener, Submission, Tls
from gateway.directory.edit import add_account, add_group, add_unit
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import Authenticator
from gateway.directory.model import Account, AccountKind, Level, Role, UnitClass
from gateway.directory.passwords import hash_password
from gateway.domain.address import Address
from gateway.domain.clock import SystemClock
from gateway.domain.submission import Accepted
from gateway.domain.submission import Submission as Offered
from gateway.errors import Refused, Reply
from gateway.intake.door import Door
from gateway.intake.limits import Places
from gateway.intake.reception import submission_hall
from gateway.intake.services import Services
from gateway.intake.tls import TlsHolder
from gateway.store.database import Database
from gateway.store.schema import metadata

T = TypeVar("T")
DOMAIN = "heping.test"
DOCUMENT = "06f3xqv7c8e0000000000000aa"
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
PASSWORDS = {
    "water": "clear water",
    "office": "office one",
    "mayor": "mayor one",
    "reader": "reader one",
}
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@dataclass
class Kept:
    """What the exchange was given."""

    submission: Offered
    octets: bytes


@dataclass
class KeepingExchange:
    """An exchange that keeps messages; `answer` may raise, or wait, before it takes one."""

    kept: list[Kept] = field(default_factory=list)
    answer: Callable[[], Coroutine[None, None, None]] | None = None
    cancelled: bool = False
    rejected: list[tuple[Offered, Refused]] = field(default_factory=list)
    acts: list[tuple[Offered, str]] = field(default_factory=list)

    async def accept(self, submission: Offered) -> Accepted:
        try:
            if self.answer is not None:
                await self.answer()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        octets = submission.content.read()
        self.kept.append(Kept(submission, octets))
        return Accepted(DOCUMENT)

    def action(self, address: Address, _account: Account, _peer: str) -> str:
        if not address.local.startswith("act+"):
            return ""
        if address.local != f"act+{DOCUMENT}.1.a":
            raise Refused("This address for answers is not valid", enhanced="5.1.1")
        return DOCUMENT

    async def act(self, submission: Offered, document_id: str) -> Accepted:
        self.acts.append((submission, document_id))
        return Accepted(document_id, answer=Reply(250, "2.0.0", "Signed for"))

    async def reject(self, submission: Offered, refused: Refused) -> NoReturn:
        self.rejected.append((submission, refused))
        raise refused


@dataclass
class Counts:
    """The metrics of a door, as a list of what happened."""

    seen: list[tuple[str, ...]] = field(default_factory=list)
    inside: int = 0

    def connected(self) -> None:
        self.inside += 1

    def left(self) -> None:
        self.inside -= 1

    def turned_away(self, why: str) -> None:
        self.seen.append(("turned away", why))

    def login(self, mechanism: str, *, good: bool) -> None:
        self.seen.append(("login", mechanism, "good" if good else "bad"))

    def message(self, outcome: str, octets: int, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append(("message", outcome, str(octets)))


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as PEM files and in DER."""

    certificate: Path
    key: Path
    der: bytes

    @property
    def fingerprint(self) -> str:
        parsed = x509.load_der_x509_certificate(self.der)
        return parsed.fingerprint(hashes.SHA256()).hex()


def make_certificate(folder: Path, name: str, issuer: Certificate | None = None) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signer_name = key, subject
    if issuer is not None:
        loaded = serialization.load_pem_private_key(issuer.key.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer = loaded
        signer_name = x509.load_der_x509_certificate(issuer.der).subject
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mail.heping.test")]), False)
        .add_extension(x509.BasicConstraints(ca=name.endswith("ca"), path_length=None), True)
        .sign(signer, hashes.SHA256())
    )
    made = Certificate(
        folder / f"{name}.crt",
        folder / f"{name}.key",
        certificate.public_bytes(serialization.Encoding.DER),
    )
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Certificate]:
    """`server`, `water` (self-signed), `stranger`, `ca`, `office` (signed by the CA)."""
    folder = tmp_path_factory.mktemp("certificates")
    made = {n: make_certificate(folder, n) for n in ("server", "water", "stranger", "ca")}
    made["office"] = make_certificate(folder, "office", made["ca"])
    return made


@pytest.fixture(scope="session")
def directory_url(
    tmp_path_factory: pytest.TempPathFactory, certificates: dict[str, Certificate]
) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('directory') / 'office.db'}"
    database = Database(url)
    metadata.create_all(database.engine)
    hashed = {login: hash_password(password) for login, password in PASSWORDS.items()}
    who = {"actor": "test", "now": NOW}
    units = {"water": "水务局", "office": "区政府办", "finance": "财政局"}

    def populate(conn: object) -> None:
        for code, name in units.items():
            kind = UnitClass.ORGAN if code == "office" else UnitClass.BUREAU
            add_unit(conn, code=code, name=name, level=Level.DISTRICT, unit_class=kind, **who)  # type: ignore[arg-type]
        for login, kind, roles in (
            ("water", AccountKind.SHARED, {"water": [Role.CLERK]}),
            ("office", AccountKind.SHARED, {"office": [Role.CLERK, Role.OPERATOR]}),
            ("mayor", AccountKind.PERSONAL, {"office": [Role.LEADER]}),
            ("reader", AccountKind.PERSONAL, {"water": [Role.READER]}),
        ):
            known = [certificates[login].fingerprint] if login in certificates else []
            add_account(
                conn,  # type: ignore[arg-type]
                login=login, name=login, kind=kind, units=roles, certificates=known,
                password_hash=hashed[login], **who,  # type: ignore[arg-type]
            )  # fmt: skip
        add_group(conn, name="all", title="全体单位", members=list(units), senders=["*"], **who)  # type: ignore[arg-type]
        add_group(conn, name="nobody", title="空", members=[], senders=["*"], **who)  # type: ignore[arg-type]

    database.write_now(populate)
    database.stop()
    return url


class Client:
    """A blocking SMTP client that says exactly what it is told."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._file = self._socket.makefile("rb")

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def tls(self, certificate: Certificate | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        self._file.close()
        self._socket = context.wrap_socket(self._socket)
        self._file = self._socket.makefile("rb")

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def end(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def line(self) -> str:
        """The next line without its end; empty at the end of the connection."""
        line = self._file.readline()
        assert not line or line.endswith(b"\r\n"), line
        return line.rstrip(b"\r\n").decode()

    def reply(self) -> str:
        """All lines of one reply, joined by newlines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def ask(self, command: str) -> str:
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def begin(self, login: str = "water", *, implicit: bool = False) -> None:
        """Greet, start TLS, log in."""
        if implicit:
            self.tls()
        assert self.reply().startswith("220 ")
        if not implicit:
            self.ask("EHLO client.test")
            assert self.ask("STARTTLS").startswith("220 ")
            self.tls()
        self.ask("EHLO client.test")
        answer = self.ask(f"AUTH PLAIN {plain(login, PASSWORDS[login])}")
        assert answer.startswith("235 "), answer

    def mail(self, octets: bytes, *, sender: str = "water", recipient: str = "office") -> str:
        """Send one message whose octets are already dotted and ended."""
        assert self.ask(f"MAIL FROM:<{sender}@{DOMAIN}>").startswith("250 ")
        assert self.ask(f"RCPT TO:<{recipient}@{DOMAIN}>").startswith("250 ")
        assert self.ask("DATA").startswith("354 ")
        self.send(octets)
        return self.reply()


def plain(login: str, password: str, identity: str = "") -> str:
    return base64.b64encode(f"{identity}\0{login}\0{password}".encode()).decode()


@dataclass
class RunningDoor:
    """A door with its loop's thread."""

    door: Door
    tls: TlsHolder
    exchange: KeepingExchange
    counts: Counts
    loop: asyncio.AbstractEventLoop
    port: int
    clients: list[Client] = field(default_factory=list)

    def connect(self) -> Client:
        client = Client(self.port)
        self.clients.append(client)
        return client

    def run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)


OpenDoor = Callable[..., RunningDoor]


@pytest.fixture(params=["asyncio", "uvloop"])
def open_door(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    directory_url: str,
    certificates: dict[str, Certificate],
) -> Iterator[OpenDoor]:
    """Opens a door; `limits` and the listener's settings can be given by name."""
    runner = asyncio.Runner(loop_factory=LOOPS[request.param])
    loop = runner.get_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    database = Database(directory_url)
    pool = ThreadPoolExecutor(2)
    opened: list[RunningDoor] = []

    def open_one(
        limits: dict[str, float] | None = None,
        known: tuple[bytes, ...] = (),
        client_ca: Path | None = None,
        **listener: object,
    ) -> RunningDoor:
        settings = Submission(
            listeners=[Listener.model_validate({"port": 0, **listener})],
            limits=Limits.model_validate({"free_space": 1, **(limits or {})}),
            delay_seconds=0.01,
        )
        server = certificates["server"]
        tls = TlsHolder(Tls(certificate=server.certificate, key=server.key), client_ca)
        live = LiveDirectory(database, DOMAIN)
        exchange, counts = KeepingExchange(), Counts()

        async def registered() -> tuple[bytes, ...]:
            return known

        async def start() -> Door:
            places = Places(settings.limits)
            services = Services(
                listener=settings.listeners[0],
                limits=settings.limits,
                host="mail.heping.test",
                tls=tls,
                certificates=registered,
                directory=live,
                authenticator=Authenticator(live, settings, SystemClock(), pool),
                exchange=exchange,
                clock=SystemClock(),
                spool_directory=tmp_path,
                pool=pool,
                places=places,
                metrics=counts,
            )
            door = Door(settings.listeners[0], submission_hall(services), places, counts)
            await door.start()
            return door

        door = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        opened.append(RunningDoor(door, tls, exchange, counts, loop, door.port))
        return opened[-1]

    yield open_one
    for running in opened:
        for client in running.clients:
            client.close()
        running.run(running.door.stop(5))
        assert running.counts.inside == 0
        assert running.door.connections == 0
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    runner.close()
    database.stop()
    pool.shutdown()
