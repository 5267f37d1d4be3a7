"""A POP3 client that hides nothing: octets both ways, and lines of any length."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from types import TracebackType

from gateway.cli.office import opened
from gateway.exchange.mailroom import open_mailboxes
from gateway.store.drivers import open_blobs
from mailboxes.content import Content
from tests.office import Office

SECONDS = 30


class Client:
    """One connection; TLS by STLS where it is not there from the first octet."""

    def __init__(
        self, office: Office, *, implicit: bool = True, trust: ssl.SSLContext | None = None
    ) -> None:
        self._office = office
        self._trust = trust or office.trust
        port = office.pop3s_port if implicit else office.pop3_port
        self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
        self._file = self.socket.makefile("rb")
        if implicit:
            self.secure()
        self.greeting = self.line()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def secure(self) -> None:
        """Do the TLS handshake."""
        self._file.close()
        self.socket = self._trust.wrap_socket(self.socket, server_hostname="localhost")
        self._file = self.socket.makefile("rb")

    def stls(self) -> None:
        """Turn TLS on."""
        assert self.ask(b"STLS").startswith(b"+OK")
        self.secure()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def line(self) -> bytes:
        """The next line without its end; empty where the server has hung up."""
        return self._file.readline().removesuffix(b"\r\n")

    def ask(self, command: bytes) -> bytes:
        """The first line of the answer."""
        self.send(command + b"\r\n")
        return self.line()

    def more(self) -> bytes:
        """The rest of a multi-line answer, as a program reads it that takes LF for a line's end."""
        found = bytearray()
        while True:
            line = self._file.readline()
            assert line, "the answer was cut"
            if line == b".\r\n":
                return bytes(found)
            found += line.removeprefix(b".") if line.startswith(b".") else line

    def read(self, command: bytes) -> bytes:
        """A multi-line answer without its first line."""
        first = self.ask(command)
        assert first.startswith(b"+OK"), first
        return self.more()

    def login(self, login: str) -> Client:
        assert self.ask(b"USER " + login.encode()).startswith(b"+OK")
        password = self._office.accounts[login]["password"]
        answer = self.ask(b"PASS " + password.encode())
        assert answer.startswith(b"+OK"), answer
        return self

    def names(self) -> list[str]:
        """All of UIDL."""
        return [line.split()[1].decode() for line in self.read(b"UIDL").splitlines()]


def logged_in(office: Office, login: str) -> Client:
    """A client that is inside."""
    return Client(office).login(login)


def put(office: Office, owner: str, mails: Iterable[bytes]) -> Sequence[int]:
    """Put these octets into an INBOX as they are; the ids of the messages."""
    now = datetime.now(UTC)
    with opened(office.config) as here:
        store = open_mailboxes(open_blobs(here.config))
        contents = [
            Content.of_octets(octets, key=f"t{number}", kind="filed")
            for number, octets in enumerate(mails)
        ]
        return here.database.write_now(
            lambda c: [
                store.append(
                    c, [store.folder_id(c, owner, "INBOX")], store.add_content(c, one, now), now=now
                )[0].message_id
                for one in contents
            ]
        )
