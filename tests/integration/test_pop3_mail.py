"""All of the real mail reads the same by POP3 and by IMAP."""

from __future__ import annotations

import hashlib
import imaplib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import realmail
from tests.office import Office
from tests.pop3 import Client, logged_in, put

# Lines that end with LF, and lines that begin with dots.
STRANGE = (
    b"", b".", b".\r\n", b"\r\n.\r\n", b"a: b\r\n\r\n.\r\n..\r\n...", b"a: b\n\n.\n..\n.",
    b"a: b\r\n\r\n.\r", b"a: b\r\n\r\n" + b"." * 70_000, b"a: b\r\n\r\n" + b"\r\n." * 200_000,
    b"a: b\r\n\r\n\0\xff.\0\r\n.\0",
)  # fmt: skip


@pytest.fixture(scope="module")
def mails(shared_data: Path) -> list[bytes]:
    """Each file as it is kept and as it goes over the wire, and what nobody has written."""
    found = [path.read_bytes() for path in realmail.files(shared_data)]
    return [*found, *map(realmail.on_the_wire, found), *STRANGE]


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office], mails: list[bytes]) -> Iterator[Office]:
    office = make_module_office()
    put(office, "unit:water", mails)
    with office.running():
        yield office


def digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()


def by_imap(office: Office) -> list[bytes]:
    """BODY[] of each message."""
    with imaplib.IMAP4_SSL("127.0.0.1", office.imaps_port, ssl_context=office.trust) as client:
        client.login("water", office.accounts["water"]["password"])
        client.select("INBOX", readonly=True)
        found = client.fetch("1:*", "(BODY.PEEK[])")[1]
        client.close()
    return [one[1] for one in found if isinstance(one, tuple)]


def ended(octets: bytes) -> bytes:
    """A message that does not end with CRLF gets one."""
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def test_every_mail_is_octet_for_octet_what_imap_gives(office: Office, mails: list[bytes]) -> None:
    expected = by_imap(office)
    assert [digest(one) for one in expected] == [digest(one) for one in mails]
    with logged_in(office, "water") as client:
        sizes = [int(line.split()[1]) for line in client.read(b"LIST").splitlines()]
        assert sizes == [len(one) for one in mails]
        for number, octets in enumerate(expected, 1):
            found = client.read(b"RETR %d" % number)
            assert digest(found) == digest(ended(octets)) or octets == found == b"", number
    exact = sum(one.endswith(b"\r\n") for one in mails)
    assert exact > len(mails) / 2  # those are the same without any addition


def test_top_is_the_header_and_so_many_lines(office: Office, mails: list[bytes]) -> None:
    with logged_in(office, "water") as client:
        for number, octets in enumerate(mails, 1):
            for lines in (0, 1, 5):
                check_top(client, number, octets, lines)


def check_top(client: Client, number: int, octets: bytes, lines: int) -> None:
    found = client.read(b"TOP %d %d" % (number, lines))
    if not octets.startswith(found):  # it ends within a message that has a bare LF there
        found = found.removesuffix(b"\r\n")
        assert octets.startswith(found), number
    header, empty, rest = found.partition(b"\r\n\r\n")
    if found != octets and empty and b"\n\n" not in header:
        assert rest.count(b"\n") == lines, number


def test_unique_ids_are_short_and_stay(office: Office) -> None:
    with logged_in(office, "water") as client:
        names = client.names()
    assert len(set(names)) == len(names)
    assert all(0 < len(name) <= 70 and name.isascii() for name in names)
    office.stop()
    office.start()
    with logged_in(office, "water") as client:
        assert client.names() == names
