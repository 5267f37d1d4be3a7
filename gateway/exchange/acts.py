"""Takes mails that are acts before a rule or seal is asked: replies, mail to action addresses."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from gateway.directory.live import LiveDirectory
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.clock import Clock
from gateway.domain.states import Way
from gateway.domain.submission import Accepted, Submission
from gateway.errors import Refused
from gateway.exchange import sayings
from gateway.exchange.action_address import NoSuchAction
from gateway.exchange.actors import Client
from gateway.exchange.by_mail import (
    Wish,
    act_by_mail,
    find_answered,
    wish_at_address,
    wish_of_reply,
)
from gateway.exchange.means import Means
from gateway.policy.act_mail import LONGEST, ActMail, may_answer, read_act_mail
from gateway.policy.pool import AT_ONCE
from gateway.store.database import Database

log = structlog.stdlib.get_logger("yizhan.acts")


class Acts:
    """The part of the exchange that takes acts."""

    def __init__(
        self, database: Database, directory: LiveDirectory, means: Means, clock: Clock
    ) -> None:
        self._database = database
        self._directory = directory
        self._means = means
        self._clock = clock

    def document_of(self, address: Address, account: Account, peer: str) -> str:
        """The document of which this is the action address; empty if it is none at all.

        Raises Refused for one that is forged or has expired.
        """
        addresses = self._means.addresses
        if not addresses.names(address):
            return ""
        try:
            return addresses.read(address, self._clock.now())
        except NoSuchAction as fault:
            log.warning(
                "action-address-refused", account=account.login, peer=peer, cause=str(fault)
            )
            raise Refused.saying(sayings.NO_SUCH_ACTION, reason="UnknownRecipient") from None

    async def take(self, submission: Submission, document_id: str) -> Accepted:
        """A mail to the action address of that document. Raises Refused, StoreError."""
        directory = await self._directory.current()
        account = directory.account_by_id(submission.account_id)
        if account is None or not account.active:
            raise Refused.saying(sayings.NOT_YOURS)
        if submission.content.size > LONGEST:
            raise Refused.saying(sayings.TOO_LONG, reason="TooLarge")
        mail = await _read(submission)
        client = _client(account, submission)
        signing, known = self._means.signing.now, _names(directory, account, None)
        wish = wish_at_address(mail, document_id, client, signing, known)
        if wish is None:
            log.info(
                "act-automatic", account=account.login, peer=client.address, document=document_id
            )
            return Accepted(document_id, answer=sayings.NOT_COUNTED)
        return await self._do(directory, client, wish, submission)

    async def reply(
        self, submission: Submission, directory: Directory, account: Account, unit: Unit
    ) -> Accepted | None:
        """A reply that is nothing but a command; None if it is ordinary mail.

        Raises Refused where it is one that cannot be done, StoreError.
        """
        if submission.content.size > LONGEST or not may_answer(submission.content.read()):
            return None
        mail = await _read(submission)
        signing, known = self._means.signing.now, _names(directory, account, unit)
        command = wish_of_reply(mail, signing, known)
        if command is None:
            return None
        client = _client(account, submission)
        document_id, asker = await self._database.glance(
            lambda c: find_answered(c, directory, client, mail)
        )
        if asker not in {str(one.address) for one in submission.recipients}:
            return None
        wish = Wish(document_id, Way.REPLY, command)
        return await self._do(directory, client, wish, submission)

    async def _do(
        self, directory: Directory, client: Client, wish: Wish, submission: Submission
    ) -> Accepted:
        own = directory.owner_of(submission.sender)
        wish = Wish(
            wish.document_id, wish.way, wish.command, wish.message_id, own.key if own else ""
        )
        work = partial(
            act_by_mail, means=self._means, directory=directory, client=client, wish=wish,
            now=self._clock.now(),
        )  # fmt: skip
        said = await self._database.write(work, "act")
        log.info(
            "act", account=client.account.login, peer=client.address, document=wish.document_id,
            way=wish.way.value, said=said.text,
        )  # fmt: skip
        return Accepted(wish.document_id, answer=said)


async def _read(submission: Submission) -> ActMail:
    octets = submission.content.read()
    if len(octets) <= AT_ONCE:
        return read_act_mail(octets)
    return await asyncio.to_thread(read_act_mail, octets)


def _client(account: Account, submission: Submission) -> Client:
    return Client(account, submission.client.login, submission.client.address)


def _names(directory: Directory, account: Account, unit: Unit | None) -> tuple[str, ...]:
    """What a signature without a mark may consist of."""
    main = account.memberships[0].unit_id if account.memberships else None
    units = (unit, None if main is None else directory.unit_by_id(main))
    of_units = (text for one in units if one for text in (one.name, one.name_en, str(one.address)))
    return tuple(text for text in (account.name, str(account.address), *of_units) if text)
