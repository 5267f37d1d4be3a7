"""One GNUPGHOME behind typed verbs: bounded in number of gpg processes and in time.

python-gnupg has neither limit, so a card reader that hangs would hang a worker thread for ever;
its debug log would show parts of exported keys, so that log is closed.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import gnupg

from gateway.errors import CommandError, ConfigurationError, Deferred
from gateway.seals import locks
from gateway.seals.opener import CannotOpen
from gateway.seals.packets import dearmor

T = TypeVar("T")

# A Unix socket's path holds 107 octets, gpg-agent uses 106 of them, and its longest is this one.
LONGEST_HOME = 106 - len("/S.gpg-agent.browser")
_OPTIONS = [
    "--trust-model", "always",  # the book of seals says which key counts, not a web of trust
    "--no-auto-key-locate", "--no-auto-check-trustdb", "--no-permission-warning",
    "--pinentry-mode", "loopback",  # never ask anybody: there is nobody at the daemon's terminal
    "--personal-digest-preferences", "SHA512 SHA384 SHA256", "--cert-digest-algo", "SHA512",
]  # fmt: skip
_TROUBLE_OF_OURS = ("agent", "passphrase", "pinentry", "smartcard", "card error", "timeout")

logging.getLogger("gnupg").setLevel(logging.CRITICAL)


class _Gpg(gnupg.GPG):  # type: ignore[misc]  # python-gnupg has no types
    """python-gnupg with a time limit for each process."""

    def __init__(self, program: str, home: Path, seconds: float) -> None:
        self._seconds = seconds
        self.current = threading.local()
        super().__init__(
            gpgbinary=program, gnupghome=str(home), options=_OPTIONS, encoding="latin-1",
            env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip

    def _open_subprocess(
        self, args: list[str], passphrase: bool = False
    ) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = super()._open_subprocess(args, passphrase)
        late = threading.Event()

        def stop() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self._seconds, stop)
        timer.daemon = True
        timer.start()
        self.current.timer, self.current.late = timer, late
        return process


class Keyring:
    """The keys of one GNUPGHOME. Usable from any thread; close it, or use it in a `with`."""

    def __init__(
        self, home: Path, *, gpg: str = "gpg", seconds: float = 60, parallel: int = 2
    ) -> None:
        """Make the folder (mode 0700) if it is not there.

        Raises ConfigurationError if gpg is missing or the path is too long for its sockets.
        """
        home = home.absolute()
        length = len(os.fsencode(home))
        if length > LONGEST_HOME:
            raise ConfigurationError(
                f"state.directory: {home} has {length} octets, but gpg's sockets allow "
                f"{LONGEST_HOME}: choose a state directory with a shorter path"
            )
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks.remove_dead(home)
        self.home = home
        self._slots = threading.BoundedSemaphore(parallel)
        self._conf = shutil.which("gpgconf", path=_beside(gpg))
        if shutil.which(gpg) is None or self._conf is None:
            raise ConfigurationError(
                f"seals.gpg: {gpg} is not installed: install GnuPG, on Debian and Ubuntu with "
                "`apt install gnupg`"
            )
        self._gpg = _Gpg(gpg, home, seconds)

    def __enter__(self) -> Keyring:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the folder's gpg-agent, which finishes what it is doing first."""
        assert self._conf is not None  # noqa: S101  # the constructor has raised otherwise
        subprocess.run(  # noqa: S603  # a fixed program, no shell
            [self._conf, "--homedir", str(self.home), "--kill", "all"],
            check=False, capture_output=True, timeout=20,
        )  # fmt: skip

    def create(self, name: str, address: str, *, passphrase: str, years: int) -> str:
        """Make an Ed25519 key with a Curve25519 subkey for encryption; its fingerprint.

        Without a passphrase that takes 0.02 s, with one some seconds. `years` 0: no expiry.
        """
        _refuse_line_ends(name, address, passphrase)
        lines = [
            "Key-Type: EDDSA", "Key-Curve: ed25519", "Key-Usage: sign,cert",
            "Subkey-Type: ECDH", "Subkey-Curve: cv25519", "Subkey-Usage: encrypt",
            f"Name-Real: {name}", f"Name-Email: {address}", f"Expire-Date: {years}y",
            f"Passphrase: {passphrase}" if passphrase else "%no-protection", "%commit", "",
        ]  # fmt: skip
        made = self._run(lambda: self._gpg.gen_key("\n".join(lines).encode()))
        return self._done(str(made.fingerprint or ""), made, "cannot make the key")

    def add(self, key: bytes, *, passphrase: str = "") -> str:
        """Take in a public or secret key; its fingerprint."""
        result = self._run(lambda: self._gpg.import_keys(key, passphrase=_wire(passphrase)))
        found = result.fingerprints[0] if result.fingerprints else ""
        return self._done(str(found or ""), result, "cannot take in the key")

    def certify(self, fingerprint: str, *, by: str, passphrase: str) -> None:
        """Sign the key's names with the key `by`, for everybody to see."""
        result = self._run(lambda: self._gpg.quick_sign_key(by, fingerprint, _wire(passphrase)))
        self._done("" if result.returncode else "done", result, "cannot certify the key")

    def certificate(self, fingerprint: str, *, minimal: bool = False) -> bytes:
        """The public key, binary; `minimal` leaves out all but the newest self-signatures."""
        found: bytes = self._run(
            lambda: self._gpg.export_keys(fingerprint, armor=False, minimal=minimal)
        )
        if not found:
            raise CommandError(f"there is no key {fingerprint} in {self.home}")
        return found

    def secret(self, fingerprint: str, *, passphrase: str) -> bytes:
        """The secret key, binary, still under its passphrase.

        Raises CommandError if it is not here, is on a card, or the passphrase is wrong.
        """
        found: bytes = self._run(
            lambda: self._gpg.export_keys(
                fingerprint, secret=True, armor=False, passphrase=_wire(passphrase) or ""
            )
        )
        if not found:
            raise CommandError(
                f"the secret key {fingerprint} cannot be exported: it is not in {self.home}, "
                "or its passphrase is another one"
            )
        return found

    def fingerprints(self, *, secret: bool = False) -> list[str]:
        """All keys here, upper-case hex."""
        return [str(key["fingerprint"]) for key in self._run(lambda: self._gpg.list_keys(secret))]

    def revocation(self, fingerprint: str) -> bytes:
        """The revocation that gpg made with a key of `create`, binary."""
        text = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()
        # gpg writes a colon before the armour, so that nobody imports it by mistake.
        return dearmor(text.replace(b":-----BEGIN", b"-----BEGIN"))

    def sign(self, octets: bytes, fingerprint: str, passphrase: str) -> bytes:
        """An ASCII-armoured detached signature over exactly these octets."""
        result = self._run(
            lambda: self._gpg.sign(
                octets,
                keyid=fingerprint,
                detach=True,
                clearsign=False,
                passphrase=_wire(passphrase),
            )
        )
        self._done("" if result.returncode else "done", result, "cannot sign")
        return bytes(result.data)

    def verify(self, octets: bytes, signature: bytes) -> str:
        """The primary fingerprint of a good signature's key, else an empty string."""
        with tempfile.NamedTemporaryFile() as file:  # python-gnupg takes this one only by name
            file.write(signature)
            file.flush()
            result = self._run(lambda: self._gpg.verify_data(file.name, octets))
        good = result.valid and not result.problems and result.pubkey_fingerprint
        return str(result.pubkey_fingerprint) if good else ""

    def unwrap(self, ciphertext: bytes, passphrase: str) -> bytes:
        """Take only the encryption off: the OpenPGP message inside, with its signatures.

        Raises CannotOpen, or Deferred if the fault is ours (agent, passphrase, card, time).
        """
        result = self._run(
            lambda: self._gpg.decrypt(
                ciphertext, passphrase=_wire(passphrase), extra_args=["--unwrap"]
            )
        )
        if result.ok and not result.returncode:
            return bytes(result.data)
        said = _last_line(result.stderr)
        if any(word in result.stderr.lower() for word in _TROUBLE_OF_OURS):
            raise Deferred(
                "The post office cannot open encrypted mail now, please try again",
                zh="邮局暂时无法打开加密邮件，请稍后再发",
                cause=said,
            )
        raise CannotOpen(said)

    def _run(self, work: Callable[[], T]) -> T:
        with self._slots:
            current = self._gpg.current
            current.timer = current.late = None
            try:
                result = work()
            finally:
                if current.timer is not None:
                    current.timer.cancel()
            if current.late is not None and current.late.is_set():
                raise Deferred(
                    "The post office cannot use its keys now, please try again",
                    zh="邮局的密钥暂时无法使用，请稍后再发",
                    cause=f"gpg did not answer in time ({self.home})",
                )
            return result

    def _done(self, value: str, result: gnupg.StatusHandler, problem: str) -> str:
        if not value:
            raise CommandError(f"{problem}: {_last_line(getattr(result, 'stderr', ''))}")
        return value


def _beside(gpg: str) -> str | None:
    """Where gpgconf is looked for: beside a gpg that is named by path, else on PATH."""
    return str(Path(gpg).parent) if os.sep in gpg else None


def _refuse_line_ends(*values: str) -> None:
    if any(sign in value for value in values for sign in "\r\n\0"):
        raise CommandError("names, addresses and passphrases must not have line ends")


def _wire(passphrase: str) -> str | None:
    """The passphrase as python-gnupg must get it.

    Never an empty one: then it writes no line, and gpg takes the first line of the content. Its
    encoding is Latin-1, because notations in signatures bring octets that are not UTF-8 into gpg's
    status lines, on which its reader would die; so UTF-8 goes through as Latin-1.
    """
    return passphrase.encode().decode("latin-1") or None


def _last_line(text: str) -> str:
    """What gpg said last to people; its status lines are for programs."""
    text = text.encode("latin-1", "replace").decode("utf-8", "replace")
    lines = [line for line in text.splitlines() if line and not line.startswith("[GNUPG:]")]
    return lines[-1].removeprefix("gpg: ") if lines else "gpg gave no reason"
