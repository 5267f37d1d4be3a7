"""An act that came by mail: a reply, a read receipt, a mail to a document's action address.

None of them is a document: no seal, no delivery, no reminder; of the mail nothing is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row, select

from gateway.directory.model import AccountKind
from gateway.directory.snapshot import Directory
from gateway.domain.document import DeliveryState, MessageClass
from gateway.domain.event import Reason
from gateway.domain.marking import find_markings
from gateway.domain.states import Act, Way
from gateway.errors import Refused, Reply
from gateway.exchange import outbox, sayings
from gateway.exchange.actors import Client, deliveries_for, owners_of
from gateway.exchange.held import Held, NotPossible, Problem, hold_delivery, settled_by
from gateway.exchange.means import Means
from gateway.exchange.opened import record_opened
from gateway.exchange.return_ import return_
from gateway.exchange.sign_for import sign_for
from gateway.exchange.tables import deliveries, documents
from gateway.policy.act_mail import ActMail
from gateway.policy.command import Command, is_name, read_command
from gateway.policy.signing import Counts, Signing

log = structlog.stdlib.get_logger("yizhan.acts")

_SETTLED = {Act.SIGN_FOR: DeliveryState.SIGNED, Act.RETURN: DeliveryState.RETURNED}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants by the mail. Without a command it was only opened."""

    document_id: str
    way: Way
    command: Command | None
    message_id: str = ""  # of the document, as a read receipt names it; empty: not said
    preferred: str = ""  # the mailbox in whose name the person has written


def find_answered(
    connection: Connection, directory: Directory, client: Client, mail: ActMail
) -> tuple[str, str]:
    """The document that the mail answers, and its sender; empty if it is none, or more than one.

    Only what came into a mailbox for which the account signs. Of one that was sent again, with the
    same Message-ID, the newest counts.
    """
    owners = owners_of(directory, client.account)
    for ids in (mail.replied, mail.referred):
        if not ids or not owners:
            continue
        rows = connection.execute(
            select(documents.c.id, documents.c.message_id, documents.c.mail_from)
            .join(deliveries, deliveries.c.document_id == documents.c.id)
            .where(
                documents.c.message_id.in_(ids),
                documents.c.message_class != MessageClass.MAIL.value,
                deliveries.c.owner.in_(owners),
            )
            .order_by(documents.c.id)
        )
        found = {row.message_id: row for row in rows}
        if found:
            row = next(iter(found.values()))
            return (row.id, row.mail_from) if len(found) == 1 else ("", "")
    return "", ""


def wish_of_reply(mail: ActMail, signing: Signing, known: tuple[str, ...]) -> Command | None:
    """The command of a mail to its fellow man; None if it is ordinary mail."""
    if mail.automatic or mail.files or mail.receipt is not None:
        return None
    return read_command(mail.own, signing, known=known)


def wish_at_address(
    mail: ActMail, document_id: str, client: Client, signing: Signing, known: tuple[str, ...]
) -> Wish | None:
    """What a mail to the action address wants; None if a program has written it."""
    if mail.receipt is not None:
        if not mail.receipt.by_hand or not mail.receipt.displayed:
            return None
        shared = client.account.kind is AccountKind.SHARED
        counts = signing.read_receipt.shared if shared else signing.read_receipt.personal
        command = Command(Act.SIGN_FOR) if counts is Counts.SIGNED else None
        if counts is Counts.NOTHING:
            return None
        return Wish(document_id, Way.READ_RECEIPT, command, mail.receipt.message_id)
    if mail.automatic:
        return None
    command = read_command(mail.own, signing, known=known)
    if command is None:
        first = mail.own[0] if mail.own else ""
        command = Command(Act.SIGN_FOR, name=first if is_name(first, signing) else "")
    return Wish(document_id, Way.ACTION_ADDRESS, command)


def act_by_mail(
    connection: Connection,
    means: Means,
    *,
    directory: Directory,
    client: Client,
    wish: Wish,
    now: datetime,
) -> Reply:
    """Do what the mail says; the reply to it. Raises Refused if it cannot be done."""
    held = _hold(connection, directory, client, wish)
    delivery = held.delivery
    if wish.message_id and wish.message_id != held.document.message_id:
        raise _refused(sayings.NO_SUCH_ACTION, client, wish, "of another message")
    command = wish.command
    try:
        if command is None or (
            wish.way is Way.READ_RECEIPT and delivery.state != DeliveryState.CONSIGNED
        ):
            actor = client.actor(directory.signing_unit(client.account, delivery.owner))
            record_opened(connection, means, delivery.id, actor=actor, way=wish.way, now=now)
            return sayings.OPENED
        if delivery.state == _SETTLED[command.act]:
            return _late(connection, client, wish, command.act, delivery, now)
        name = command.name if is_name(command.name, means.signing.now) else ""
        actor = client.signatory(directory, delivery.owner, command.act, name)
        if command.act is Act.SIGN_FOR:
            sign_for(connection, means, delivery.id, actor=actor, way=wish.way, now=now)
            return sayings.SIGNED
        reason = command.reason
        if command.name and command.name != actor.name:
            reason = f"{command.name}：{reason}"  # a personal login: what looked like a name
        if find_markings(reason, "body"):
            raise _refused(sayings.MARKED, client, wish, "marked", Reason.CLASSIFICATION_MARKING)
        return_(connection, means, delivery.id, actor=actor, way=wish.way, reason=reason, now=now)
    except NotPossible as problem:
        act = Act.SIGN_FOR if command is None else command.act
        raise _refused(sayings.refusal(problem, act), client, wish, str(problem)) from problem
    return sayings.RETURNED


def _hold(connection: Connection, directory: Directory, client: Client, wish: Wish) -> Held:
    """The delivery that is meant: in whose name the person writes, else what waits."""
    rows = deliveries_for(connection, directory, client.account, wish.document_id)
    if not rows:
        raise _refused(sayings.NOT_YOURS, client, wish, "no delivery to this account's mailboxes")
    chosen = min(
        rows, key=lambda r: (r.owner != wish.preferred, r.state != DeliveryState.CONSIGNED)
    )
    try:
        return hold_delivery(connection, chosen.id)
    except NotPossible as problem:
        said = sayings.refusal(problem, Act.SIGN_FOR)
        raise _refused(said, client, wish, str(problem)) from problem


def _late(
    connection: Connection, client: Client, wish: Wish, act: Act, delivery: Row[Any], now: datetime
) -> Reply:
    """It is done already: no error, but whoever has written should know by whom."""
    by, at = settled_by(delivery)
    problem = NotPossible(Problem(delivery.state), f"it is {delivery.state}", by=by, at=at)
    said = sayings.late(problem, act)
    outbox.leave_answer(connection, wish.document_id, client.account.login, said, now)
    return said


def _refused(
    said: Reply, client: Client, wish: Wish, cause: str, reason: Reason = Reason.OTHER
) -> Refused:
    log.warning(
        "act-refused", account=client.account.login, peer=client.address,
        document=wish.document_id, way=wish.way.value, cause=cause,
    )  # fmt: skip
    return Refused.saying(said, reason=reason.value, cause=cause)
