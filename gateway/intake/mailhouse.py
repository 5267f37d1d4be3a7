"""The post office as the mailboxes' service needs it: logins, checks of what is filed, rows."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, select

from gateway.directory import changes
from gateway.directory.live import LiveDirectory
from gateway.directory.logins import LoginFailed
from gateway.directory.model import Account
from gateway.directory.snapshot import Directory
from gateway.domain.clock import Clock, milliseconds
from gateway.domain.ids import new_id
from gateway.errors import Deferred, Reply, StoreError
from gateway.exchange import cabinet
from gateway.exchange.exchange import Judges
from gateway.exchange.mailroom import tables
from gateway.exchange.tables import documents
from gateway.intake import replies
from gateway.intake.login import Authenticator
from gateway.intake.rights import mail_account, standing
from gateway.intake.services import KnownCertificates, handshake_context
from gateway.intake.tls import TlsHolder
from gateway.policy.clamd import VirusState
from gateway.seals.live import LiveSeals
from gateway.store.database import Database
from gateway.store.spool import Spool
from mailboxes.charset import wire_octets
from mailboxes.content import Content
from mailboxes.decode import decode_text
from mailboxes.imap.account import Account as MailAccount
from mailboxes.imap.account import Root
from mailboxes.imap.ports import Refusal, Unavailable
from mailboxes.imap.ports import Spool as AnySpool

log = structlog.get_logger("imap")

T = TypeVar("T")

FILED = "filed"
"""The kind of contents that people have put into a folder themselves."""

_LARGE = 65_536  # octets that are taken apart in a thread
_AT_ONCE = 4  # large messages


class Rows:
    """The database, with the errors that the mailboxes' service knows."""

    def __init__(self, database: Database, committed: Callable[[], None]) -> None:
        """`committed` is called after each commit: what people do may be evidence, and what they
        file is to be indexed."""
        self._database = database
        self._committed = committed

    async def read(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._database.read(work)
        except StoreError as error:
            raise Unavailable(str(error)) from error

    async def glance(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._database.glance(work)
        except StoreError as error:
            raise Unavailable(str(error)) from error

    async def write(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        try:
            result = await self._database.write(work, "mailbox", long=long)
        except StoreError as error:
            raise Unavailable(str(error)) from error
        self._committed()
        return result


@dataclass(frozen=True, slots=True)
class Guard:
    """Where a login comes from and what has proved it, as long as the session lasts."""

    address: str
    strength: str  # password or certificate
    proof: str  # the password's hash, or the certificate's fingerprint

    def holds_for(self, account: Account) -> bool:
        """Whether the account would still be opened by it."""
        if self.strength == "certificate":
            return self.proof in account.certificates
        return self.proof == account.password_hash


class PostHouse:
    """Decides for the mailboxes' service; implements `mailboxes.imap.ports.House`
    and `mailboxes.pop3.services.Logins`."""

    def __init__(
        self,
        *,
        directory: LiveDirectory,
        authenticator: Authenticator,
        tls: TlsHolder,
        certificates: KnownCertificates,
        judges: Judges,
        seals: LiveSeals,
        clock: Clock,
        spool_directory: Path,
        memory: int,
        welcome: Callable[[str], None],
        door: str,
    ) -> None:
        """`memory`: octets of one message held in memory; `welcome` is told from which addresses
        somebody has logged in, at which `door` is noted with the account (see `presence`)."""
        self._directory = directory
        self._authenticator = authenticator
        self._tls = tls
        self._certificates = certificates
        self._judges = judges
        self._seals = seals
        self._clock = clock
        self._spool_directory = spool_directory
        self._memory = memory
        self._welcome = welcome
        self._door = door
        self._large = asyncio.Semaphore(_AT_ONCE)

    async def handshake_context(self) -> ssl.SSLContext:
        return await handshake_context(self._tls, self._certificates)

    async def by_password(self, login: str, password: str, address: str) -> MailAccount:
        try:
            account = await self._authenticator.check_password(
                login, password, address, door=self._door
            )
            unready = self._authenticator.unready(account)
        except LoginFailed as error:
            raise _login_refused(error, address) from error
        except StoreError as error:
            raise Unavailable(str(error)) from error
        if unready is not None:
            raise _refusal(unready, "EXPIRED")
        self._welcome(address)
        return await self._account(account, Guard(address, "password", account.password_hash))

    async def by_certificate(self, certificate: bytes, address: str) -> MailAccount:
        fingerprint = hashlib.sha256(certificate).hexdigest()
        try:
            account = await self._authenticator.check_certificate(
                fingerprint, address, door=self._door
            )
        except LoginFailed as error:
            raise _login_refused(error, address) from error
        except StoreError as error:
            raise Unavailable(str(error)) from error
        self._welcome(address)
        return await self._account(account, Guard(address, "certificate", fingerprint))

    async def renewed(self, account: MailAccount) -> MailAccount:
        try:
            directory = await self._directory.current()
        except StoreError as error:
            raise Unavailable(str(error)) from error
        known = directory.account(account.login)
        if known is None or not known.active:
            raise Refusal("This account is closed", "此账号已停用", code="AUTHORIZATIONFAILED")
        guard = Guard(account.person.address, account.person.strength, account.proof)
        if not guard.holds_for(known):
            raise _refusal(replies.LOGIN_CHANGED, "AUTHORIZATIONFAILED")
        return _guarded(directory, known, guard)

    async def standing(self, owner: str, identifier: str) -> Root | None:
        try:
            return standing(await self._directory.current(), owner, identifier)
        except StoreError as error:
            raise Unavailable(str(error)) from error

    def spool(self) -> Spool:
        return Spool(self._spool_directory, self._memory)

    async def admit(self, account: MailAccount, spool: AnySpool) -> Content:
        """Look for classification markings and viruses; what is found is told and not kept."""
        unit_id = await self._unit_id(account)
        book = await self._seals.current()
        judges = self._judges
        try:
            inspection = await judges.inspector.inspect(
                _Whole(spool),
                unit_id=unit_id,
                book=book,
                opener=judges.opener,
                at=self._clock.now(),
                mt_priority=None,
            )
        except Deferred as error:
            raise _refusal(error.reply, "UNAVAILABLE") from error
        if inspection.markings:
            levels = sorted({one.level for one in inspection.markings})
            log.warning("filing-refused", account=account.login, markings=levels)
            raise Refusal(
                "This bears a classification marking: it must not be kept here; "
                "tell the security officer",
                "此件带有密级标志，不得存入本系统；请立即报告保密员",
                code="CANNOT",
            )
        await self._check_virus(account, spool)
        large = spool.size > _LARGE
        key = new_id(milliseconds(self._clock.now()), os.urandom(10))
        if not large:
            return Content.of_octets(spool.read(), key=key, kind=FILED)
        async with self._large:
            return await asyncio.to_thread(
                lambda: Content.of_octets(spool.read(), key=key, kind=FILED)
            )

    def twin(self, conn: Connection, folder_id: int, content: Content) -> int | None:
        """In Sent, the copy that was filed when the same mail was accepted."""
        written = json.loads(content.envelope)[9] or ""
        message_id = decode_text(wire_octets(written)).strip()  # as it was read at acceptance
        if not message_id:
            return None
        messages, contents, folders = tables.messages.c, tables.contents.c, tables.folders.c
        query = (
            select(messages.uid)
            .join(tables.contents, contents.id == messages.content_id)
            .join(tables.folders, folders.id == messages.folder_id)
            .join(documents, documents.c.id == contents.key)
            .where(
                messages.folder_id == folder_id,
                folders.special_use == "\\Sent",
                documents.c.message_id == message_id,
            )
            .limit(1)
        )
        return conn.scalar(query)

    def is_act(self, folder: str) -> bool:
        return cabinet.act_of(folder)[0] is not None

    def rights_given(
        self, conn: Connection, account: MailAccount, owner: str, folder: str, identifier: str,
        before: str | None, after: str | None,
    ) -> None:  # fmt: skip
        """A line in the log of changes, as `yizhan mailbox rights` writes it."""
        changes.record(
            conn, "rights", "mailbox", owner,
            before={"folder": folder, "who": identifier, "rights": before},
            after={"folder": folder, "who": identifier, "rights": after},
            actor=f"{account.login} (imap)", now=self._clock.now(),
        )  # fmt: skip

    async def _check_virus(self, account: MailAccount, spool: AnySpool) -> None:
        if self._judges.scanner is None:
            return
        finding = await self._judges.scanner.scan(spool.chunks())
        if finding.state is VirusState.CLEAN:
            return
        log.warning("filing-refused", account=account.login, virus=finding.name)
        if finding.state is VirusState.FOUND:
            raise Refusal(
                f"The virus check has found {finding.name}", f"查出病毒：{finding.name}",
                code="CANNOT",
            )  # fmt: skip
        raise Refusal(
            "The virus check does not answer, try again later", "病毒检查暂时没有应答，请稍后再试",
            code="UNAVAILABLE",
        )  # fmt: skip

    async def _unit_id(self, account: MailAccount) -> int:
        known = (await self._directory.current()).account(account.login)
        return known.memberships[0].unit_id if known and known.memberships else 0

    async def _account(self, account: Account, guard: Guard) -> MailAccount:
        try:
            directory = await self._directory.current()
        except StoreError as error:
            raise Unavailable(str(error)) from error
        found = _guarded(directory, account, guard)
        if not found.roots:
            raise Refusal(
                "This account has no mailbox", "此账号没有信箱", code="AUTHORIZATIONFAILED"
            )
        return found


class _Whole:
    """A spool as the inspection reads a message."""

    def __init__(self, spool: Any) -> None:
        self._spool = spool

    @property
    def size(self) -> int:
        return int(self._spool.size)

    @property
    def sha256(self) -> bytes:
        return bytes(self._spool.sha256)

    def chunks(self) -> Any:
        return self._spool.chunks()

    def read(self) -> bytes:
        return bytes(self._spool.read())

    def close(self) -> None:
        """The command closes it."""


def _guarded(directory: Directory, account: Account, guard: Guard) -> MailAccount:
    found = mail_account(directory, account, guard.address, guard.strength)
    return replace(found, proof=guard.proof)


def _login_refused(error: LoginFailed, address: str) -> Refusal:
    log.warning("login-failed", account=error.account, cause=error.cause, peer=address)
    return _refusal(error.reply, "AUTHENTICATIONFAILED")


def _refusal(reply: Reply, code: str) -> Refusal:
    return Refusal(reply.text, reply.text_zh, code=code)
