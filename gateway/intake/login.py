"""AUTH: who is this? PLAIN (RFC 4616), LOGIN (as Outlook speaks it) and EXTERNAL (RFC 4422).

Our own, because aiosmtpd asks its authenticator synchronously and without a limit. Nothing secret
is kept: a password lives as long as its check.
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.directory.model import Account
from gateway.directory.presence import SUBMISSION
from gateway.errors import Reply
from gateway.intake import replies
from gateway.intake.parameters import refusal

LONGEST_ANSWER = 12_288  # octets of base64 in one line (RFC 4954, 4.3)


class Authenticator(Protocol):
    """Decides on logins; `gateway.directory.logins.Authenticator` is the real one."""

    async def check_password(
        self, login: str, password: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account, or an error of our tree with the reply."""

    async def check_certificate(
        self, fingerprint: str, client_ip: str, *, door: str = SUBMISSION
    ) -> Account:
        """The account that lists this certificate (SHA-256, lower-case hex), or such an error."""

    def unready(self, account: Account) -> Reply | None:
        """Why an account that came by its password may not send or read yet; None: it may."""


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """An account has proved itself."""

    account: Account
    strength: str  # password or certificate


Ask = Callable[[bytes], Awaitable[bytes]]  # sends a challenge line, returns the answer line


class Login:
    """One AUTH command of one client."""

    def __init__(
        self, authenticator: Authenticator, client_ip: str, certificate: bytes | None, ask: Ask
    ) -> None:
        """`certificate` is the client's in DER, if TLS has verified one."""
        self._authenticator = authenticator
        self._client_ip = client_ip
        self._certificate = certificate
        self._ask = ask

    async def run(self, argument: str) -> LoggedIn:
        """Carry the exchange through.

        Raises Refused with the reply if the client made a mistake, and what the authenticator
        raises.
        """
        words = argument.split()
        if not 1 <= len(words) <= 2:
            raise refusal(replies.LOGIN_HOW)
        mechanism = words[0].upper()
        initial = words[1] if len(words) == 2 else None
        match mechanism:
            case "PLAIN":
                return await self._plain(initial)
            case "LOGIN":
                return await self._login(initial)
            case "EXTERNAL":
                return await self._external(initial)
            case _:
                raise refusal(replies.LOGIN_UNKNOWN_WAY)

    async def _plain(self, initial: str | None) -> LoggedIn:
        answer = await self._answer(b"", initial)
        try:
            identity, login, password = (text.decode() for text in answer.split(b"\0"))
        except ValueError:  # the wrong number of parts, or not UTF-8
            raise refusal(replies.LOGIN_FORM) from None
        return await self._by_password(login, password, identity)

    async def _login(self, initial: str | None) -> LoggedIn:
        login = await self._answer(b"Username:", initial)
        password = await self._answer(b"Password:", None)
        try:
            return await self._by_password(login.decode(), password.decode(), "")
        except UnicodeDecodeError:
            raise refusal(replies.LOGIN_FORM) from None

    async def _external(self, initial: str | None) -> LoggedIn:
        if self._certificate is None:
            raise refusal(replies.LOGIN_NO_CERTIFICATE)
        identity = await self._answer(b"", initial)
        account = await self._authenticator.check_certificate(
            hashlib.sha256(self._certificate).hexdigest(), self._client_ip
        )
        if identity and not _same(identity.decode("utf-8", "replace"), account):
            raise refusal(replies.LOGIN_FOR_ANOTHER)
        return LoggedIn(account, "certificate")

    async def _by_password(self, login: str, password: str, identity: str) -> LoggedIn:
        account = await self._authenticator.check_password(login, password, self._client_ip)
        if identity and not _same(identity, account):
            raise refusal(replies.LOGIN_FOR_ANOTHER)
        return LoggedIn(account, "password")

    async def _answer(self, prompt: bytes, initial: str | None) -> bytes:
        if initial is not None:
            # RFC 4954, section 4: "=" stands for an initial response of no octets.
            return b"" if initial == "=" else _decode(initial.encode("utf-8", "surrogateescape"))
        line = await self._ask(b64encode(prompt))
        if line == b"*":
            raise refusal(replies.LOGIN_CANCELLED)
        if line == b"=":
            # curl says "nothing" here, too, by what stands for it in an initial response.
            return b""
        return _decode(line)


def _same(identity: str, account: Account) -> bool:
    return identity.casefold() in (account.login.casefold(), str(account.address))


def _decode(text: bytes) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error:
        raise refusal(replies.LOGIN_NOT_BASE64) from None


def mechanisms(*, certificate: bool) -> tuple[str, ...]:
    """What to announce over TLS; EXTERNAL only to a client that has shown a certificate."""
    return ("EXTERNAL", "PLAIN", "LOGIN") if certificate else ("PLAIN", "LOGIN")
