"""STARTTLS, LOGIN, AUTHENTICATE: who the client is. A password is taken over TLS only."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import TYPE_CHECKING

import structlog

from mailboxes.imap.account import Account
from mailboxes.imap.done import Done
from mailboxes.imap.farewell import Silent
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.ports import Refusal
from mailboxes.wire import Gone

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

log = structlog.get_logger("imap")


async def starttls(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """STARTTLS (RFC 3501, 6.2.1): what was said before does not count."""
    grammar.end()
    connection = session.connection
    if connection.tls_version or session.state.account is not None:
        raise SyntaxFault("TLS is on already")
    context = await session.services.house.handshake_context()
    await session.flush()
    try:
        await connection.encrypt(context, f"{session.tag} OK Begin TLS now\r\n".encode())
    except Gone as gone:
        session.services.meter.turned_away("tls")
        log.info("tls-failed", peer=session.peer, cause=str(gone.__cause__))
        raise
    session.client = ""
    raise Silent


async def login(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """LOGIN"""
    grammar.space()
    name = grammar.astring("a login")
    grammar.space()
    password = grammar.astring("a password")
    grammar.end()
    _outside(session)
    return await _by_password(session, name, password, b"")


async def authenticate(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """AUTHENTICATE PLAIN (RFC 4616) or EXTERNAL (RFC 4422), with or without SASL-IR (RFC 4959)."""
    grammar.space()
    mechanism = grammar.word("the name of a mechanism")
    initial = None
    if not grammar.ended:
        grammar.space()
        initial = grammar.astring("the initial response")
        grammar.end()
    _outside(session)
    if mechanism not in ("PLAIN", "EXTERNAL"):
        raise Refusal("PLAIN and EXTERNAL are the mechanisms here", code="CANNOT")
    if initial is None:
        session.write(b"+ \r\n")
        await session.flush()
        initial = (await session.line()).removesuffix(b"\n").removesuffix(b"\r")
        if initial == b"*":
            raise Refusal("You have cancelled the login", "登录已取消", code="BAD")
    try:
        answer = b"" if initial == b"=" else b64decode(initial, validate=True)
    except binascii.Error:
        raise SyntaxFault("the response is not base64") from None
    if mechanism == "EXTERNAL":
        return await _by_certificate(session, answer)
    parts = answer.split(b"\0")
    if len(parts) != 3:
        raise SyntaxFault("PLAIN is identity, NUL, login, NUL, password")
    return await _by_password(session, parts[1], parts[2], parts[0])


def _outside(session: Session) -> None:
    """Whether this client may log in now."""
    if session.state.account is not None:
        raise Refusal("You are logged in already", "您已登录", code="BAD")
    if not session.connection.tls_version:
        raise Refusal(
            "Passwords are taken over TLS only: please turn on SSL/TLS or STARTTLS in the settings",
            "只接受加密登录：请在邮件程序设置中选择 SSL/TLS 或 STARTTLS",
            code="PRIVACYREQUIRED",
        )


async def _by_password(session: Session, name: bytes, password: bytes, identity: bytes) -> Done:
    try:
        login_name, secret = name.decode(), password.decode()
    except UnicodeDecodeError:
        raise SyntaxFault("login and password are UTF-8") from None
    house = session.services.house
    try:
        account = await house.by_password(login_name, secret, session.peer)
    except Refusal:
        session.services.meter.login("password", good=False)
        raise
    return _welcome(session, account, identity, "password")


async def _by_certificate(session: Session, identity: bytes) -> Done:
    certificate = session.connection.certificate
    if certificate is None:
        raise Refusal(
            "Your program has shown no certificate", "您的邮件程序未出示证书",
            code="AUTHENTICATIONFAILED",
        )  # fmt: skip
    try:
        account = await session.services.house.by_certificate(certificate, session.peer)
    except Refusal:
        session.services.meter.login("certificate", good=False)
        raise
    return _welcome(session, account, identity, "certificate")


def _welcome(session: Session, account: Account, identity: bytes, mechanism: str) -> Done:
    if not account.goes_by(identity):
        raise Refusal(
            "You may act for yourself only", "不能代表其他账号登录", code="AUTHORIZATIONFAILED"
        )
    session.services.meter.login(mechanism, good=True)
    session.state.account = account
    log.info("login", account=account.login, by=mechanism, peer=session.peer)
    return Done("Welcome", f"CAPABILITY {session.capability().decode()}")
