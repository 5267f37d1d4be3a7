"""The reference server, and the mails that both servers get."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import realmail
from tests.corpus import samples
from tests.imap import dovecot as reference
from tests.imap.client import Client
from tests.imap.compare import Mailbox
from tests.imap.generator import Mail, mails

COUNT = int(os.environ.get("YIZHAN_IMAP_MAILS", "1000"))  # generated mails; some seconds a thousand
SEED = int(os.environ.get("YIZHAN_IMAP_SEED", "1"))


@pytest.fixture(scope="session")
def dovecot() -> Iterator[reference.Dovecot]:
    """A running Dovecot. In CI its absence is a failure, elsewhere a skip with its reason."""
    try:
        reference.require()
    except reference.DovecotMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with reference.running() as server:
        yield server


@pytest.fixture(scope="session")
def sample_mails(shared_data: Path) -> list[Mail]:
    """Real mail, and what the clients of China write."""
    real = [
        Mail(realmail.name(path, shared_data), octets)
        for path in realmail.files(shared_data)
        if (octets := path.read_bytes().replace(b"\0", b""))
    ]
    return real + [Mail(sample.name, sample.octets) for sample in samples()]


@pytest.fixture(scope="session")
def generated_mails() -> list[Mail]:
    """Generated mail, a thousand if nobody asks for more."""
    return list(mails(COUNT, SEED))


@pytest.fixture(scope="session")
def all_mails(sample_mails: list[Mail], generated_mails: list[Mail]) -> list[Mail]:
    """Everything that is compared, in the order of its sequence numbers."""
    return sample_mails + generated_mails


@pytest.fixture(scope="session")
def theirs(dovecot: reference.Dovecot, all_mails: list[Mail]) -> Iterator[Mailbox]:
    """All mails in Dovecot's INBOX."""
    with Client(dovecot.port) as client:
        mailbox = Mailbox(client, dovecot.user, dovecot.password)
        mailbox.fill(all_mails)
        yield mailbox
        client.run("LOGOUT")
