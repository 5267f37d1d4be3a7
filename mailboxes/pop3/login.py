"""USER, PASS, AUTH: who the client is. A password is taken over TLS only."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

import structlog

from mailboxes.imap.account import Account
from mailboxes.imap.ports import Refusal
from mailboxes.pop3.errors import Wrong

if TYPE_CHECKING:
    from mailboxes.pop3.session import Session

log = structlog.get_logger("pop3")

_LONGEST_ANSWER = 12_288  # octets of base64 in one line (RFC 5034, 4)


async def user(session: Session, argument: bytes) -> None:
    """USER"""
    _require_tls(session)
    if not argument.strip():
        raise Wrong("USER takes a login")
    session.user = argument.strip()
    session.ok("And the password?")  # whoever it is, there is one to ask for


async def pass_(session: Session, argument: bytes) -> None:
    """PASS: all that is behind the blank, blanks too (RFC 1939, 7)."""
    _require_tls(session)
    name, session.user = session.user, None
    if name is None:
        raise Wrong("Please say USER first")
    await _by_password(session, name, argument, b"")


async def auth(session: Session, argument: bytes) -> None:
    """AUTH PLAIN (RFC 4616) or EXTERNAL (RFC 4422), with or without a first answer (RFC 5034)."""
    words = argument.split()
    if not words and session.connection.tls_version:  # what older programs ask instead of CAPA
        session.ok("These are the ways")
        external = "EXTERNAL\r\n" if session.connection.certificate is not None else ""
        session.write(f"PLAIN\r\n{external}.\r\n".encode("ascii"))
        return
    if not 1 <= len(words) <= 2:
        raise Wrong("AUTH takes the name of a mechanism and perhaps a first answer")
    _require_tls(session)
    mechanism = words[0].upper()
    if mechanism not in (b"PLAIN", b"EXTERNAL"):
        raise Wrong("PLAIN and EXTERNAL are the mechanisms here")
    if len(words) == 2:
        initial = words[1]
    else:
        session.write(b"+ \r\n")
        initial = await session.line(_LONGEST_ANSWER)
        if initial == b"*":
            raise Wrong("You have cancelled the login")
    try:
        answer = b"" if initial == b"=" else b64decode(initial, validate=True)
    except binascii.Error:
        raise Wrong("The answer is not base64") from None
    if mechanism == b"EXTERNAL":
        await _by_certificate(session, answer)
        return
    parts = answer.split(b"\0")
    if len(parts) != 3:
        raise Wrong("PLAIN is identity, NUL, login, NUL, password")
    await _by_password(session, parts[1], parts[2], parts[0])


def _require_tls(session: Session) -> None:
    if not session.connection.tls_version:
        raise Refusal(
            "Passwords are taken over TLS only: please turn on SSL/TLS or STARTTLS in the settings",
            code="PRIVACYREQUIRED",
        )


async def _by_password(session: Session, name: bytes, password: bytes, identity: bytes) -> None:
    try:
        login, secret = name.decode(), password.decode()
    except UnicodeDecodeError:
        raise Wrong("Login and password are UTF-8") from None
    try:
        account = await session.services.logins.by_password(login, secret, session.peer)
    except Refusal:
        session.services.meter.login("password", good=False)
        raise
    await _welcome(session, account, identity, "password")


async def _by_certificate(session: Session, identity: bytes) -> None:
    certificate = session.connection.certificate
    if certificate is None:
        raise Refusal("Your program has shown no certificate", code="AUTHENTICATIONFAILED")
    try:
        account = await session.services.logins.by_certificate(certificate, session.peer)
    except Refusal:
        session.services.meter.login("certificate", good=False)
        raise
    await _welcome(session, account, identity, "certificate")


async def _welcome(session: Session, account: Account, identity: bytes, mechanism: str) -> None:
    if not account.goes_by(identity):
        raise Refusal("You may act for yourself only", code="AUTHORIZATIONFAILED")
    session.services.meter.login(mechanism, good=True)
    await session.enter(account)
    log.info("login", account=account.login, by=mechanism, peer=session.peer)
