"""The commands of a submission session (RFC 6409): who may say what, and what is answered."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from gateway.directory.logins import LoginFailed
from gateway.directory.model import Account
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address, InvalidAddress
from gateway.domain.submission import Accepted, ClientInfo, EnvelopeRecipient, Submission
from gateway.errors import Deferred, Refused, Reply, YizhanError, as_reply
from gateway.intake import ehlo, replies
from gateway.intake.conversation import Conversation, Farewell
from gateway.intake.data import Arrival, Fault
from gateway.intake.login import LoggedIn, Login, mechanisms
from gateway.intake.parameters import (
    MailParameters,
    read_mail,
    read_recipient,
    refusal,
    split_path,
)
from gateway.intake.services import Services
from gateway.store.fault import reach
from gateway.store.spool import Spool
from mailboxes.wire import Gone, TimeUp

log = structlog.get_logger("intake")

_HELLO_LENGTH = 255


@dataclass(slots=True)
class Transaction:
    """One message between MAIL and the end of DATA."""

    directory: Directory
    account: Account
    sender: Address
    parameters: MailParameters
    recipients: dict[Address, EnvelopeRecipient] = field(default_factory=dict)
    null: bool = False  # MAIL FROM:<>, for reports to action addresses
    action: str = ""  # the document about which this is an act


class SubmissionSession(Conversation):
    """What one client of a door may do."""

    def __init__(self, services: Services, peer: str) -> None:
        super().__init__(services, peer)
        self.helo = ""
        self.extended = False
        self.logged_in: LoggedIn | None = None
        self.mail: Transaction | None = None

    # Greeting and small talk

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802  # aiosmtpd finds it by name
        self._greet(hostname)
        self.extended = True
        secure = bool(self.tls_version)
        known = mechanisms(certificate=self.certificate is not None) if secure else ()
        texts = ehlo.lines(
            self.services.host,
            size=self.services.limits.size,
            starttls=not secure,
            mechanisms=known,
        )
        await self.send(ehlo.octets(texts))

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        self._greet(hostname)
        self.extended = False
        await self.send(f"250 {self.services.host}\r\n".encode())

    def _greet(self, hostname: str) -> None:
        # Clients give all sorts of names; what matters is that it can stand in a Received field.
        if not hostname or len(hostname) > _HELLO_LENGTH:
            raise refusal(replies.BAD_HELLO)
        self.helo = hostname.encode("ascii", "replace").decode().replace(" ", "-")
        self._forget_mail()

    async def smtp_NOOP(self, _argument: str) -> None:  # noqa: N802
        await self.say(replies.DONE)

    async def smtp_HELP(self, _argument: str) -> None:  # noqa: N802
        await self.say(replies.HELP)

    async def smtp_VRFY(self, _argument: str) -> None:  # noqa: N802
        await self.say(replies.NOT_VERIFIED)

    async def smtp_EXPN(self, _argument: str) -> None:  # noqa: N802
        raise refusal(replies.NOT_OFFERED)

    async def smtp_RSET(self, argument: str) -> None:  # noqa: N802
        _no_argument(argument)
        self._forget_mail()
        await self.say(replies.DONE)

    async def smtp_QUIT(self, argument: str) -> None:  # noqa: N802
        _no_argument(argument)
        raise Farewell(replies.BYE)

    def _forget_mail(self) -> None:
        self.mail = None
        self.utf8 = self.services.listener.utf8_replies == "always"

    # TLS and login

    async def smtp_STARTTLS(self, argument: str) -> None:  # noqa: N802
        _no_argument(argument)
        if self.tls_version:
            raise refusal(replies.TLS_RUNNING)
        await self.encrypt()
        # RFC 3207, 4.2: nothing that was said in the clear counts.
        self.helo = ""
        self.extended = False
        self.logged_in = None
        self.language = "en"
        self._forget_mail()

    async def smtp_AUTH(self, argument: str) -> None:  # noqa: N802
        if not self.tls_version:
            raise refusal(replies.TLS_FOR_LOGIN)
        if not self.extended:
            raise refusal(replies.HELLO_FIRST)
        if self.logged_in is not None:
            raise refusal(replies.LOGIN_TWICE)
        login = Login(self.services.authenticator, str(self.address), self.certificate, self.ask)
        way = "certificate" if argument.upper().startswith("EXTERNAL") else "password"
        try:
            self.logged_in = await login.run(argument)
        except LoginFailed:
            self.services.metrics.login(way, good=False)
            raise
        self.services.metrics.login(way, good=True)
        self.services.places.welcome(self.peer)
        log.info("login", peer=self.peer, account=self.logged_in.account.login, by=way)
        await self.say(replies.LOGGED_IN)

    # The envelope

    async def smtp_MAIL(self, argument: str) -> None:  # noqa: N802
        account = self._known_account()
        if self.mail is not None:
            raise refusal(replies.NESTED_MAIL)
        path, words = split_path(argument, "FROM:", replies.MAIL_SYNTAX)
        parameters = read_mail(words)
        if parameters.size is not None and parameters.size > self.services.limits.size:
            raise refusal(replies.too_large(self.services.limits.size), "TooLarge")
        self._check_space(parameters.size or 0)
        directory = await self.services.directory.current()
        account = self._still_the_same(directory, account)
        self.language = directory.language_of(account)
        if path:
            sender = _address(path, replies.BAD_SENDER, utf8=parameters.smtputf8)
            if directory.sending_unit(account, sender) is None:
                raise refusal(replies.NOT_YOUR_ADDRESS, "SenderMismatch")
        else:
            sender = account.address  # RFC 8098, 2.1: a read receipt has the null sender
        if self.logged_in is not None and self.logged_in.strength == "password":
            unready = self.services.authenticator.unready(account)
            if unready is not None:
                raise refusal(unready)
        self.mail = Transaction(directory, account, sender, parameters, null=not path)
        self.utf8 = self.utf8 or parameters.smtputf8
        await self.say(replies.SENDER_OK, now=False)

    async def smtp_RCPT(self, argument: str) -> None:  # noqa: N802
        self._known_account()
        mail = self.mail
        if mail is None:
            raise refusal(replies.MAIL_FIRST)
        path, words = split_path(argument, "TO:", replies.RCPT_SYNTAX)
        parameters = read_recipient(words)
        if path.casefold() == "postmaster":  # RFC 5321, 4.1.1.3: needs no domain
            path = f"postmaster@{mail.directory.office_domain}"
        address = _address(path, replies.BAD_RECIPIENT, utf8=mail.parameters.smtputf8)
        action = self.services.exchange.action(address, mail.account, self.peer)
        if mail.recipients and (action or mail.action) and address not in mail.recipients:
            raise refusal(replies.ACTION_ALONE)
        if not action:
            if mail.null:
                raise refusal(replies.NULL_SENDER)
            _check_recipient(mail.directory, address)
        mail.action = action
        if address not in mail.recipients:
            if len(mail.recipients) >= self.services.limits.recipients:
                raise refusal(replies.TOO_MANY_RECIPIENTS, "TooManyRecipients")
            mail.recipients[address] = EnvelopeRecipient(
                address, parameters.notify, parameters.orcpt
            )
        await self.say(replies.RECIPIENT_OK, now=False)

    def _known_account(self) -> Account:
        if not self.helo:
            raise refusal(replies.HELLO_FIRST)
        if not self.tls_version:
            raise refusal(replies.TLS_FIRST)
        if self.logged_in is None:
            raise refusal(replies.LOGIN_FIRST)
        return self.logged_in.account

    def _still_the_same(self, directory: Directory, account: Account) -> Account:
        """The account as it is now; a session must not outlive what it logged in with."""
        now = directory.account_by_id(account.id)
        if now is None or not now.active or now.password_hash != account.password_hash:
            raise Farewell(replies.LOGIN_CHANGED)
        if self.logged_in is not None and self.logged_in.strength == "certificate":
            shown = hashlib.sha256(self.certificate or b"").hexdigest()
            if shown not in now.certificates:
                raise Farewell(replies.LOGIN_CHANGED)
        return now

    def _check_space(self, size: int) -> None:
        disk = os.statvfs(self.services.spool_directory)
        if disk.f_bavail * disk.f_frsize - size < self.services.limits.free_space:
            raise Deferred.saying(replies.DISK_FULL)

    # The message

    async def smtp_DATA(self, argument: str) -> None:  # noqa: N802
        _no_argument(argument)
        self._known_account()
        mail = self.mail
        if mail is None:
            raise refusal(replies.MAIL_FIRST)
        if not mail.recipients:
            raise refusal(replies.NO_RECIPIENTS)
        begun = self.loop.time()
        limits = self.services.limits
        spool = Spool(self.services.spool_directory, limits.memory)
        outcome = "abandoned"
        try:
            await self.say(replies.SEND_DATA)
            reach("data-begun")
            outcome, reply = await self._judge(mail, spool)
        finally:
            size = spool.size
            spool.close()
            self.services.metrics.message(outcome, size, self.loop.time() - begun)
        await self.say(reply)
        reach("reply-sent")
        self._forget_mail()

    async def _judge(self, mail: Transaction, spool: Spool) -> tuple[str, Reply]:
        """Receive the message and have it decided; the outcome for the metrics, and the reply."""
        try:
            accepted = await self._decide(mail, spool)
        except YizhanError as error:
            outcome = "refused" if isinstance(error, Refused) else "deferred"
            reply = as_reply(error)
            # What is deferred has a cause that the operator can do something about.
            (log.info if isinstance(error, Refused) else log.warning)(
                "not-taken",
                outcome=outcome,
                peer=self.peer,
                account=mail.account.login,
                code=reply.code,
                status=reply.enhanced,
                size=spool.size,
                cause=error.cause,
            )
            return outcome, reply
        return "accepted", accepted.answer or replies.accepted(accepted.document_id)

    async def _decide(self, mail: Transaction, spool: Spool) -> Accepted:
        try:
            repaired = await self._receive(spool)
            reach("data-ended")
        except Refused as refused:
            now = self.services.clock.now()
            submission = self._submission(mail, frozenset(), spool, now)
            if mail.action:
                raise
            await self.services.exchange.reject(submission, refused)
        return await self._accept(mail, repaired, spool)

    async def _receive(self, spool: Spool) -> frozenset[Fault]:
        limits = self.services.limits
        arrival = Arrival(
            self.wire,
            spool,
            self.services.pool,
            limit=limits.size,
            memory=limits.memory,
            repair=self.services.repairs_for(self.address),
        )
        deadline, late = self.budget.data_deadline(self.loop.time())
        try:
            return await arrival.receive(deadline)
        except TimeUp:
            raise Farewell(late) from None
        except Gone:
            log.info("abandoned", peer=self.peer, size=spool.size)
            raise

    async def _accept(
        self, mail: Transaction, repaired: frozenset[Fault], spool: Spool
    ) -> Accepted:
        now = self.services.clock.now()
        submission = self._submission(mail, repaired, spool, now)
        exchange = self.services.exchange
        try:
            if mail.action:
                return await exchange.act(submission, mail.action)
            return await exchange.accept(submission)
        except (YizhanError, asyncio.CancelledError):
            raise
        except Exception as error:
            log.exception("acceptance-failed", peer=self.peer)
            raise Deferred.saying(as_reply(error), cause=type(error).__name__) from error

    def _submission(
        self, mail: Transaction, repaired: frozenset[Fault], spool: Spool, now: datetime
    ) -> Submission:
        said = mail.parameters
        client = ClientInfo(
            address=str(self.address),
            helo=self.helo,
            tls=self.tls_version,
            login=self.logged_in.strength if self.logged_in else "",
            protocol="UTF8SMTPSA" if said.smtputf8 else "ESMTPSA",  # RFC 3848, RFC 6531 4.3
        )
        return Submission(
            account_id=mail.account.id,
            sender=mail.sender,
            recipients=tuple(mail.recipients.values()),
            content=spool,
            client=client,
            received_at=now,
            envid=said.envid,
            ret=said.ret,
            priority=said.priority,
            deliver_by=said.deliver_by,
            deliver_by_mode=said.deliver_by_mode,
            smtputf8=said.smtputf8,
            warnings=("line-endings-normalised",) if repaired else (),
        )


def _no_argument(argument: str) -> None:
    if argument:
        raise refusal(replies.NO_ARGUMENT)


def _address(path: str, bad: Reply, *, utf8: bool) -> Address:
    if not path.isascii() and not utf8:
        raise refusal(replies.UTF8_ADDRESS)
    try:
        return Address.parse(path)
    except InvalidAddress:
        raise refusal(bad) from None


def _check_recipient(directory: Directory, address: Address) -> None:
    """That somebody here gets it. Who may write to whom is policy's question, after DATA."""
    if address.domain != directory.office_domain:
        raise refusal(replies.NO_RELAY, "UnknownRecipient")
    target = directory.resolve(address)
    if target is None:
        raise refusal(replies.NO_SUCH_RECIPIENT, "UnknownRecipient")
    if not target.owners:
        raise refusal(replies.NO_MEMBERS, "UnknownRecipient")
