"""A person's own GnuPG, for tests: a home folder, the keys in it, and the program itself."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Gpg:
    """The folder's path must be short, for the agent's sockets."""

    program: str
    home: Path

    def run(
        self, *words: str, given: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[bytes]:
        """One gpg command."""
        self.home.mkdir(mode=0o700, exist_ok=True)
        done = subprocess.run(
            [self.program, "--homedir", str(self.home), "--batch", "--no-tty", *words],
            input=given, capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr.decode()
        return done

    def add(self, *files: Path) -> None:
        """Import keys."""
        self.run("--import", *(str(file) for file in files))

    def fingerprint(self, address: str) -> str:
        """Of the key of that address."""
        lines = self.run("--with-colons", "--list-keys", f"<{address}>").stdout.decode().split("\n")
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def trust(self, fingerprint: str) -> None:
        """Believe this key, and whatever it has certified."""
        self.run("--import-ownertrust", given=f"{fingerprint}:6:\n".encode())

    def seal(self, octets: bytes) -> bytes:
        """An armoured detached signature by the only private key."""
        return self.run("--armor", "--detach-sign", given=octets).stdout

    def lock(self, octets: bytes, recipients: Sequence[str]) -> bytes:
        """Signed by the only private key and encrypted to exactly those addresses, armoured."""
        to = [word for address in recipients for word in ("--recipient", f"<{address}>")]
        return self.run("--armor", "--sign", "--encrypt", *to, given=octets).stdout

    def unlock(self, octets: bytes) -> bytes:
        """The plaintext."""
        return self.run("--decrypt", given=octets).stdout

    def verify(self, octets: bytes, signature: bytes) -> tuple[bool, list[str]]:
        """Whether the detached signature holds, and gpg's status lines without their prefix."""
        file = self.home / "signature.asc"
        file.write_bytes(signature)
        done = self.run("--status-fd", "1", "--verify", str(file), "-", given=octets, check=False)
        lines = done.stdout.decode(errors="replace").splitlines()  # notations are octets
        return done.returncode == 0, [line.removeprefix("[GNUPG:] ") for line in lines]

    def close(self) -> None:
        """End its agent."""
        subprocess.run(
            ["gpgconf", "--homedir", str(self.home), "--kill", "all"],
            check=False, capture_output=True,
        )  # fmt: skip
