"""NeoMutt on a terminal of its own, as a person uses it: composes, presses `y`, waits.

Not its batch mode, because that never signs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.gpg import Gpg
from tests.office import Office
from tests.terminal import on_a_terminal


@dataclass(frozen=True)
class Neomutt:
    """One clerk's NeoMutt; `gpg` has the unit's seal as its only private key."""

    program: str
    office: Office
    login: str
    gpg: Gpg
    folder: Path

    def send(self, subject: str, text: str, *to: str, encrypt: bool = False) -> str:
        """Compose a mail, signed and perhaps encrypted, and send it; what the screen showed.

        Raises AssertionError if NeoMutt did not end by itself after sending.
        """
        self.folder.mkdir(exist_ok=True)
        (self.folder / "inbox").touch()
        (self.folder / "rc").write_text(self._settings(encrypt), encoding="utf-8")
        (self.folder / "text").write_text(text, encoding="utf-8")
        return self._run(
            self.program, "-n", "-F", str(self.folder / "rc"), "-i", str(self.folder / "text"),
            "-s", subject, "--", *to,
        )  # fmt: skip

    def _settings(self, encrypt: bool) -> str:
        account = self.office.accounts[self.login]
        key = self.gpg.fingerprint(account["address"])
        values = {
            "from": account["address"],
            "smtp_url": f"smtp://{self.login}@localhost:{self.office.submission_port}/",
            "smtp_pass": account["password"],
            "smtp_authenticators": "plain",
            "ssl_force_tls": "yes",
            "ssl_ca_certificates_file": str(self.office.folder / "tls.crt"),
            "folder": str(self.folder),
            "spoolfile": str(self.folder / "inbox"),
            "record": "",
            "envelope_from": "yes",
            "crypt_autosign": "yes",
            "crypt_autoencrypt": "yes" if encrypt else "no",
            "pgp_sign_as": key,
            "pgp_default_key": key,
            # no questions but that of the last screen
            "autoedit": "yes",
            "fast_reply": "yes",
            "abort_unmodified": "no",
            "editor": "true",
        }
        return "".join(f'set {name}="{value}"\n' for name, value in values.items())

    def _run(self, *words: str) -> str:
        environment = {"GNUPGHOME": str(self.gpg.home), "HOME": str(self.folder)}
        return on_a_terminal(*words, environment=environment, press={b"y:Send": b"y"})
