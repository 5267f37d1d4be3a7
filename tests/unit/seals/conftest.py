"""Real keys by real gpg: an office, two units with seals, and a client's keyring for each test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config import Seals
from gateway.seals.book import Seal, SealBook
from gateway.seals.judge import Judgement, judge
from gateway.seals.opener import Opener
from gateway.seals.workshop import Made, Workshop, create_office_key
from mailboxes.scan import scan

WATER, EDUCATION = 1, 2


@dataclass(frozen=True)
class Client:
    """A mail client's gpg, with its own keyring."""

    home: Path

    def gpg(self, *arguments: str, octets: bytes = b"", check: bool = True) -> bytes:
        done = subprocess.run(
            ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--no-tty", "--quiet",
             "--trust-model", "always", "--pinentry-mode", "loopback", "--passphrase", "",
             *arguments],
            input=octets, capture_output=True, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(done.stderr.decode())
        return done.stdout

    def sign(self, octets: bytes, who: str, *more: str) -> bytes:
        return self.gpg("--armor", "--local-user", who, *more, "--detach-sign", octets=octets)


@dataclass(frozen=True)
class Hall:
    """The office under test."""

    state: Path
    settings: Seals
    office: bytes  # certificate
    water: Made
    education: Made
    client: Client  # holds the private halves of both units
    now: datetime

    def seal(self, made: Made, unit_id: int, number: int) -> Seal:
        return Seal(
            id=number,
            unit_id=unit_id,
            fingerprint=made.entry.fingerprint,
            certificate=made.entry.certificate,
            issued_at=self.now - timedelta(days=1),
        )

    @property
    def book(self) -> SealBook:
        return SealBook(
            (self.seal(self.water, WATER, 1), self.seal(self.education, EDUCATION, 2)), self.office
        )

    def book_with(self, **changes: datetime | str) -> SealBook:
        """The book with water's seal changed."""
        water, education = self.book.seals
        return SealBook((replace(water, **changes), education), self.office)  # type: ignore[arg-type]


Judge = Callable[..., Judgement]


@pytest.fixture(scope="session")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    state = tmp_path_factory.mktemp("hall")
    settings = Seals()
    office = create_office_key(
        settings, state, name="和平区电子邮局", address="postmaster@heping.test"
    )
    client = Client(tmp_path_factory.mktemp("client"))
    client.home.chmod(0o700)
    with Workshop(settings, state) as workshop:
        water = workshop.issue("水务局", "water@heping.test", passphrase="", years=3)
        education = workshop.issue("教育局", "education@heping.test", passphrase="", years=3)
    client.gpg("--import", octets=water.private + education.private)
    client.gpg("--import", octets=office)
    yield Hall(state, settings, office, water, education, client, datetime.now(UTC))
    for home in (client.home, state / "gnupg/office", state / "gnupg/checking"):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@pytest.fixture
def judged(hall: Hall) -> Judge:
    """Judge octets as received now from water, unless a test says otherwise."""

    def work(
        octets: bytes,
        *,
        unit_id: int = WATER,
        book: SealBook | None = None,
        at: datetime | None = None,
        opener: Opener | None = None,
    ) -> Judgement:
        return judge(
            octets,
            scan(octets),
            unit_id=unit_id,
            book=hall.book if book is None else book,
            at=datetime.now(UTC) if at is None else at,
            clock_skew=900,
            opener=opener,
        )

    return work
