"""The mailboxes as a plain client sees them over IMAP: each question is a login of its own.

With the standard library's imaplib and another library's names, so that nothing of ours judges
itself.
"""

from __future__ import annotations

import imaplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from time import monotonic, sleep
from typing import TypeVar, cast

from imapclient import imap_utf7

from tests.office import Office

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """One message, as the server shows it to an account."""

    uid: int
    flags: frozenset[str]
    octets: bytes

    @property
    def mail(self) -> EmailMessage:
        return cast(EmailMessage, message_from_bytes(self.octets, policy=policy.SMTP))

    @property
    def message_id(self) -> str:
        return str(self.mail["Message-ID"])


@dataclass(frozen=True)
class Look:
    """What one account sees."""

    office: Office
    login: str

    @property
    def password(self) -> str:
        return self.office.accounts[self.login]["password"]

    @contextmanager
    def session(self, folder: str = "") -> Iterator[imaplib.IMAP4_SSL]:
        """A session over TLS, perhaps with a folder selected."""
        port = self.office.imaps_port
        with imaplib.IMAP4_SSL("localhost", port, ssl_context=self.office.trust) as client:
            client.login(self.login, self.password)
            if folder:
                assert client.select(spelled(folder))[0] == "OK"
            yield client

    def folders(self) -> dict[str, str]:
        """The attributes of each folder by its name."""
        with self.session() as client:
            lines = [cast(bytes, line) for line in client.list()[1]]
        found = {}
        for line in lines:
            attributes, _, rest = line.removeprefix(b"(").partition(b') "/" ')
            found[str(imap_utf7.decode(rest.strip(b'"')))] = attributes.decode()
        return found

    def letters(self, folder: str) -> list[Seen]:
        """All messages of a folder; looking changes nothing."""
        with self.session() as client:
            status, [number] = client.select(spelled(folder), readonly=True)
            assert status == "OK", number
            if number == b"0":
                return []
            _, found = client.fetch("1:*", "(UID FLAGS BODY.PEEK[])")
        pairs = [one for one in found if isinstance(one, tuple)]
        return [_seen(head, octets) for head, octets in pairs]

    def subjects(self, folder: str) -> list[str]:
        """The subjects of its messages."""
        return [str(one.mail["Subject"]) for one in self.letters(folder)]

    def wait_for(self, found: Callable[[Look], T], seconds: float = 30) -> T:
        """What is found once it is true, for clients that answer before they have done it."""
        deadline = monotonic() + seconds
        while not (result := found(self)):
            assert monotonic() < deadline, f"not in {seconds} seconds: {self.folders()}"
            sleep(0.1)
        return result


def spelled(folder: str) -> str:
    """A folder's name on the wire, quoted."""
    return f'"{imap_utf7.encode(folder).decode("ascii")}"'


def _seen(head: bytes, octets: bytes) -> Seen:
    uid = int(head.partition(b"UID ")[2].split(b" ")[0].rstrip(b")"))
    flags = head.partition(b"FLAGS (")[2].partition(b")")[0].decode().split()
    return Seen(uid, frozenset(flags) - {"\\Recent"}, octets)
