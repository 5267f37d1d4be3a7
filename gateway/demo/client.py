"""The demo's mail client: writes a document, seals it, and submits it through the real door."""

from __future__ import annotations

import ssl
import tomllib
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

import aiosmtplib
from pysequoia import SignatureMode, Tsk, sign

from gateway.config import Config
from gateway.domain.clock import Clock
from gateway.errors import CommandError

_BOUNDARY = "=_yizhan_demo_sealed"


@dataclass(frozen=True, slots=True)
class Letter:
    """What a clerk writes."""

    sender: str  # login of the unit
    recipients: tuple[str, ...]  # local parts
    subject: str
    text: str
    seal: str = ""  # code of the unit whose seal is used; empty: none


@dataclass(frozen=True, slots=True)
class Answer:
    """What the post office said: the reply, and the document's id if it was accepted."""

    code: int
    text: str

    @property
    def document_id(self) -> str:
        words = self.text.split()
        return words[1] if self.code == 250 and len(words) > 1 else ""


class DemoClient:
    """Submits letters as the demo's accounts."""

    def __init__(self, config: Config, folder: Path, clock: Clock) -> None:
        """Raises CommandError if the folder holds no demo office."""
        self._config = config
        self._folder = folder
        self._clock = clock
        try:
            data = tomllib.loads((folder / "accounts.toml").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CommandError(
                f"{folder} holds no demo office (accounts.toml is missing); "
                "make one with `yizhan demo --make DIR`"
            ) from None
        self._accounts: dict[str, dict[str, str]] = data["accounts"]

    async def submit(self, letter: Letter) -> Answer:
        """Send one letter over SMTP with STARTTLS and a password."""
        account = self._accounts[letter.sender]
        listener = next(one for one in self._config.submission.listeners if one.tls == "starttls")
        context = ssl.create_default_context(cafile=str(self._config.tls.certificate))
        domain = self._config.office.domain
        client = aiosmtplib.SMTP(
            hostname=listener.address, port=listener.port, start_tls=True, tls_context=context,
            timeout=60,
        )  # fmt: skip
        try:
            await client.connect()
        except (aiosmtplib.SMTPConnectError, OSError) as error:
            raise CommandError(
                f"the post office does not answer on {listener.address}:{listener.port}; "
                "start it with `make run` in another terminal"
            ) from error
        async with client:
            await client.login(letter.sender, account["password"])
            recipients = [f"{name}@{domain}" for name in letter.recipients]
            octets = self.write(letter, account["address"], recipients)
            await client.mail(account["address"])
            for recipient in recipients:
                await client.rcpt(recipient)
            try:
                reply = await client.data(octets)
            except aiosmtplib.SMTPDataError as error:
                return Answer(error.code, error.message)
            return Answer(reply.code, reply.message)

    def write(self, letter: Letter, sender: str, recipients: list[str]) -> bytes:
        """The octets of the letter, sealed as PGP/MIME (RFC 3156) if it bears a seal."""
        message = EmailMessage(policy=policy.SMTP)
        message.set_content(letter.text, cte="base64")
        head = {
            "From": sender,
            "To": ", ".join(recipients),
            "Subject": letter.subject,
            "Date": format_datetime(self._clock.now()),
            "Message-ID": make_msgid(domain=self._config.office.domain),
        }
        if not letter.seal:
            for name, value in head.items():
                message[name] = value
            return message.as_bytes()
        body = message.as_bytes()
        outer = EmailMessage(policy=policy.SMTP)
        for name, value in {**head, "MIME-Version": "1.0"}.items():
            outer[name] = value
        key = Tsk.from_file(str(self._folder / "seals" / f"{letter.seal}.sec.asc"))
        signature = sign(key.signer(), body, mode=SignatureMode.DETACHED)
        header = outer.as_bytes().rstrip(b"\r\n")
        return b"".join(
            (
                header,
                b'\r\nContent-Type: multipart/signed; protocol="application/pgp-signature";\r\n'
                b'\tmicalg=pgp-sha512; boundary="' + _BOUNDARY.encode() + b'"\r\n\r\n',
                b"--" + _BOUNDARY.encode() + b"\r\n",
                body,
                b"\r\n--" + _BOUNDARY.encode() + b"\r\n",
                b'Content-Type: application/pgp-signature; name="seal.asc"\r\n\r\n',
                signature.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
                b"\r\n--" + _BOUNDARY.encode() + b"--\r\n",
            )
        )
