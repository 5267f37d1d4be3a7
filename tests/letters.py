"""Mails as clients write them, for tests: plain, sealed, encrypted."""

from __future__ import annotations

from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

from pysequoia import Cert, SignatureMode, Tsk, encrypt, sign

BOUNDARY = "=_sealed_0123456789"


def plain(
    sender: str,
    to: str,
    subject: str,
    text: str = "各单位：\n\n    请按时参加会议。\n",
    **more: str,
) -> bytes:
    """A plain text mail, CRLF."""
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = _address(sender)
    message["To"] = ", ".join(_address(one) for one in to.split())
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="heping.test")
    message["Date"] = "Sat, 21 Nov 2026 17:55:00 +0800"
    for name, value in more.items():
        message[name.replace("_", "-")] = value
    message.set_content(text, cte="base64")
    return message.as_bytes()


def with_attachment(
    octets: bytes, name: str, content: bytes, media_type: str = "application/octet-stream"
) -> bytes:
    """The plain mail with a file."""
    from email import message_from_bytes

    message = message_from_bytes(octets, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    main, sub = media_type.split("/")
    message.add_attachment(content, maintype=main, subtype=sub, filename=name)
    return message.as_bytes()


def sealed(octets: bytes, seal: Path) -> bytes:
    """The plain mail with its body sealed as PGP/MIME (RFC 3156)."""
    signer = Tsk.from_file(str(seal)).signer()
    return sealed_by(octets, lambda body: sign(signer, body, mode=SignatureMode.DETACHED))


def sealed_by(octets: bytes, seal: Callable[[bytes], bytes]) -> bytes:
    """The same by whatever makes an armoured detached signature over the body."""
    head, body = _split(octets)
    signature = seal(body)
    return b"".join(
        (
            head,
            b'Content-Type: multipart/signed; protocol="application/pgp-signature";\r\n'
            b'\tmicalg=pgp-sha512; boundary="' + BOUNDARY.encode() + b'"\r\n\r\n--',
            BOUNDARY.encode() + b"\r\n",
            body,
            b"\r\n--" + BOUNDARY.encode() + b"\r\n",
            b'Content-Type: application/pgp-signature; name="seal.asc"\r\n\r\n',
            signature.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            b"\r\n--" + BOUNDARY.encode() + b"--\r\n",
        )
    )


def encrypted(octets: bytes, keys: list[Path], seal: Path | None = None) -> bytes:
    """The plain mail with its body sealed and encrypted to the keys, as PGP/MIME."""
    signer = None if seal is None else Tsk.from_file(str(seal)).signer()
    recipients = [Cert.from_file(str(key)) for key in keys]
    return encrypted_by(octets, lambda body: encrypt(body, recipients=recipients, signer=signer))


def encrypted_by(octets: bytes, lock: Callable[[bytes], bytes]) -> bytes:
    """The same by whatever makes an armoured encrypted message of the body."""
    head, body = _split(octets)
    cipher = lock(body)
    return b"".join(
        (
            head,
            b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n'
            b'\tboundary="' + BOUNDARY.encode() + b'"\r\n\r\n--' + BOUNDARY.encode() + b"\r\n",
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--",
            BOUNDARY.encode() + b"\r\nContent-Type: application/octet-stream\r\n\r\n",
            cipher.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            b"\r\n--" + BOUNDARY.encode() + b"--\r\n",
        )
    )


def _split(octets: bytes) -> tuple[bytes, bytes]:
    """The header without its Content fields, and the body entity with them."""
    head, _, body = octets.partition(b"\r\n\r\n")
    outer, inner, last = [], [], []
    for line in head.split(b"\r\n"):
        if line[:1] not in b" \t":
            last = inner if line.lower().startswith(b"content-") else outer
        last.append(line)
    return b"\r\n".join(outer) + b"\r\n", b"\r\n".join(inner) + b"\r\n\r\n" + body


def _address(name: str) -> str:
    return name if "@" in name else f"{name}@heping.test"
