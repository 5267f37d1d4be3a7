"""Where seals are made: keys by gpg, certified by the office, private halves handed out once.

A unit's private half lives in a keyring of its own in memory (tmpfs) until it is handed over, so
it never touches the state directory's disk, unless the office was asked to keep it.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from pysequoia import ArmorKind, armor

from gateway.config import Seals
from gateway.errors import CommandError
from gateway.seals.certificate import admit, read_certificate
from gateway.seals.custody import Entry
from gateway.seals.keyring import Keyring
from gateway.seals.signer import office_fingerprint, open_office_keyring, read_passphrase

KEPT_HOME = Path("gnupg/kept")
# For people who check with gpg by hand: all public halves, and no secret.
CHECKING_HOME = Path("gnupg/checking")
_MEMORY = Path("/dev/shm")  # noqa: S108  # tmpfs, and the folder made there is 0700


@dataclass(frozen=True, slots=True)
class Made:
    """A new seal: what goes into the book, and the private half for the seal-keeper."""

    entry: Entry
    private: bytes  # ASCII armour, under the seal-keeper's passphrase


def create_office_key(settings: Seals, state_dir: Path, *, name: str, address: str) -> bytes:
    """Make the office key, which does not expire; its public half, binary.

    It is made under the passphrase that the settings name. Raises CommandError if there is one.
    """
    with open_office_keyring(settings, state_dir) as keyring:
        if keyring.fingerprints(secret=True):
            raise CommandError(f"{keyring.home} holds an office key already; it is never replaced")
        passphrase = read_passphrase(settings)
        fingerprint = keyring.create(name, address, passphrase=passphrase, years=0)
        certificate = keyring.certificate(fingerprint)
    with Keyring(state_dir / CHECKING_HOME, gpg=settings.gpg) as checking:
        checking.add(certificate)
    return certificate


class Workshop:
    """The office's keyrings, opened for a while by a command; close it, or use it in a `with`."""

    def __init__(self, settings: Seals, state_dir: Path) -> None:
        """Raises ConfigurationError if there is no office key or no gpg."""
        self._settings = settings
        self._state = state_dir
        self._passphrase = read_passphrase(settings)
        self._open: dict[str, Keyring] = {}
        self._folder: Path | None = None
        self._certified_here = b""
        self._office = open_office_keyring(settings, state_dir)
        try:
            self._fingerprint = office_fingerprint(self._office)
        except BaseException:
            self._office.close()
            raise

    def __enter__(self) -> Workshop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all agents, and forget all private halves."""
        try:
            if self._certified_here:
                self._keyring(CHECKING_HOME).add(self._certified_here)
                self._certified_here = b""
        finally:
            self._office.close()
            for keyring in self._open.values():
                keyring.close()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None
            self._open.clear()

    def issue(
        self, name: str, address: str, *, passphrase: str, years: int, keep: bool = False
    ) -> Made:
        """Make an Ed25519 seal; `passphrase` is the seal-keeper's, empty: none. `years` 0: no end.

        It is in no book yet: hand the entry to `custody.enter` or `custody.replace`.
        """
        bench = self._bench()
        fingerprint = bench.create(name, address, passphrase=passphrase, years=years)
        private = bench.secret(fingerprint, passphrase=passphrase)
        if keep:
            self._keyring(KEPT_HOME).add(private, passphrase=passphrase)
        certificate = self._certified(bench.certificate(fingerprint), fingerprint)
        entry = Entry(
            fingerprint, certificate, read_certificate(certificate).expires_at, "issued",
            bench.revocation(fingerprint), keep,
        )  # fmt: skip
        return Made(entry, armor(private, ArmorKind.SecretKey).encode())

    def admit(self, key: bytes, *, now: datetime) -> Entry:
        """Take a key that the unit has made itself. Raises CommandError if it cannot be a seal."""
        binary, facts = admit(key, now=now)
        certificate = self._certified(binary, facts.fingerprint)
        return Entry(facts.fingerprint, certificate, facts.expires_at, "imported")

    def kept(self, fingerprint: str, *, passphrase: str) -> bytes:
        """The private half that the office keeps, ASCII armour, under its passphrase."""
        secret = self._keyring(KEPT_HOME).secret(fingerprint, passphrase=passphrase)
        return armor(secret, ArmorKind.SecretKey).encode()

    def _certified(self, certificate: bytes, fingerprint: str) -> bytes:
        """The certificate with the office's signature on its names."""
        self._office.add(certificate)
        self._office.certify(fingerprint, by=self._fingerprint, passphrase=self._passphrase)
        certified = self._office.certificate(fingerprint)
        self._certified_here += certified
        return certified

    def _bench(self) -> Keyring:
        """The keyring in memory."""
        if self._folder is None:
            base = _MEMORY if _MEMORY.is_dir() else self._state
            self._folder = Path(tempfile.mkdtemp(prefix="yizhan-", dir=base))
        return self._keyring(self._folder)

    def _keyring(self, home: Path) -> Keyring:
        key = str(home)
        if key not in self._open:
            self._open[key] = Keyring(self._state / home, gpg=self._settings.gpg)
        return self._open[key]
