"""A trial: one message judged as if an account had offered it now; nothing is kept or sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.config import Config
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address, InvalidAddress
from gateway.domain.submission import ClientInfo, EnvelopeRecipient, Submission
from gateway.errors import CommandError
from gateway.policy.collect import collect, open_scanner
from gateway.policy.engine import Explanation, Policy
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.seals.book import SealBook
from gateway.seals.opener import Opener
from gateway.store.spool import Spool

_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Trial:
    """Who was taken for the sender, and what the policy says."""

    account: Account
    unit: Unit
    explanation: Explanation


async def try_out(
    octets: bytes,
    *,
    sender: str,
    recipients: Sequence[str],
    login: str,
    config: Config,
    directory: Directory,
    book: SealBook,
    policy: Policy,
    opener: Opener | None,
    now: datetime,
) -> Trial:
    """Judge a message from a file; its line ends become CRLF, as a mail client would send them.

    `login` is the account that submits; empty: the first that may send under that address. Raises
    CommandError if there is none, or an address is malformed.
    """
    mail_from = _address(sender)
    account, unit = _submitter(directory, mail_from, login)
    wire = _LINE_END.sub(b"\r\n", octets)
    content = Spool(config.state.directory, memory=len(wire))
    content.write(wire)
    content.finish()
    submission = Submission(
        account_id=account.id,
        sender=mail_from,
        recipients=tuple(EnvelopeRecipient(_address(text)) for text in recipients),
        content=content,
        client=ClientInfo("127.0.0.1"),
        received_at=now,
    )
    inspector = Inspector(config.policy, config.seals, config.office.host)
    await inspector.start()
    try:
        inspection = await inspector.inspect(
            content, unit_id=unit.id, book=book, opener=opener, at=now, mt_priority=None
        )
        facts = await collect(
            submission,
            inspection,
            directory,
            account,
            unit,
            book,
            config.policy,
            Rates(),
            open_scanner(config.policy),
        )
    finally:
        await inspector.close()
        content.close()
    return Trial(account, unit, policy.explain(facts))


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except InvalidAddress as error:
        raise CommandError(f"{text!r}: {error}") from None


def _submitter(directory: Directory, sender: Address, login: str) -> tuple[Account, Unit]:
    """The account, and the unit for which it sends; its main unit if it may not send so at all."""
    if login:
        account = directory.account(login)
        if account is None:
            raise CommandError(f"there is no account {login}; see `yizhan account list`")
        unit = directory.sending_unit(account, sender)
        if unit is None and account.memberships:
            unit = directory.unit_by_id(account.memberships[0].unit_id)
        if unit is None:
            raise CommandError(f"the account {login} belongs to no unit")
        return account, unit
    for account in directory.accounts():
        unit = directory.sending_unit(account, sender)
        if unit is not None:
            return account, unit
    raise CommandError(f"no account may send as {sender}; say with --account whose login is tried")
