"""What persons do with documents in their mail programs, as acts of the office.

Implements `mailboxes.events.MailboxEvents`, in the transaction of the gesture itself: what cannot
be is vetoed, and the mail program shows why; what came second is filed, and explained by a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection, Row, bindparam, func, select

from gateway.directory.live import LiveDirectory
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.clock import moment
from gateway.domain.document import DeliveryState
from gateway.domain.ids import is_id
from gateway.domain.states import Act, Way
from gateway.evidence.record import Actor
from gateway.exchange import cabinet, outbox, sayings
from gateway.exchange.actors import Client, deliveries_for, delivery_to
from gateway.exchange.held import NotPossible, hold_delivery
from gateway.exchange.mailroom import DOCUMENT
from gateway.exchange.mailroom import tables as mail
from gateway.exchange.means import Means
from gateway.exchange.opened import record_handed_over, record_not_counted, record_opened
from gateway.exchange.return_ import return_
from gateway.exchange.sign_for import sign_for
from gateway.exchange.tables import documents
from gateway.policy.command import is_name
from mailboxes.errors import Veto
from mailboxes.events import Act as Gesture
from mailboxes.prepared import Prepared
from mailboxes.scan import scan_fields

log = structlog.stdlib.get_logger("yizhan.gestures")

_HEADER = 65_536  # octets of an upload that are searched for our field

_SETTLED = {Act.SIGN_FOR: DeliveryState.SIGNED, Act.RETURN: DeliveryState.RETURNED}

_LOCK = Prepared(
    select(documents.c.id)
    .where(documents.c.id.in_(bindparam("keys", expanding=True)))
    .order_by(documents.c.id)
    .with_for_update(),
    some="keys",
)
_UPLOADED = Prepared(
    select(
        mail.contents.c.digest, func.substr(mail.contents.c.octets, 1, _HEADER).label("head")
    ).where(mail.contents.c.id == bindparam("content"))
)
_SAME = Prepared(
    select(mail.contents.c.key).where(
        mail.contents.c.digest == bindparam("digest"), mail.contents.c.kind == DOCUMENT
    )
)


class Gestures:
    """The office's ear at the mailboxes."""

    wants_locks = True

    def __init__(self, means: Means, directory: LiveDirectory) -> None:
        self._means = means
        self._directory = directory

    def lock(self, connection: Connection, keys: Sequence[str]) -> None:
        """Lock the documents, in the order of their ids: before any folder."""
        ids = [key for key in keys if is_id(key)]
        if ids and connection.dialect.name != "sqlite":  # whose one writer holds everything
            for start in range(0, len(ids), 500):
                _LOCK.all(connection, {"keys": ids[start : start + 500]})

    def opened(self, connection: Connection, act: Gesture) -> None:
        """ContentAccessTracking: once for each account."""
        found = self._about(connection, act)
        if found is not None:
            delivery, client, directory = found
            actor = client.actor(_unit(directory, client.account, act.owner))
            record_opened(
                connection, self._means, delivery, actor=actor, way=Way.MAILBOX, now=act.at
            )

    def handed_over(self, connection: Connection, act: Gesture) -> None:
        """ContentHandover: once for each delivery."""
        found = self._about(connection, act)
        if found is not None:
            delivery, client, directory = found
            actor = client.actor(_unit(directory, client.account, act.owner))
            record_handed_over(
                connection, self._means, delivery, actor=actor, way=Way.MAILBOX, now=act.at
            )

    def moved(self, connection: Connection, act: Gesture, owner: str, target: str) -> None:
        """Into 已签收 or 退文, of the unit's mailbox or of one's own: an act."""
        if (owner, target) != (act.owner, act.folder):
            self._filed(connection, act, act.key if act.kind == DOCUMENT else "", target)

    def copied(
        self,
        connection: Connection,
        act: Gesture,
        owner: str,
        target: str,
        copy_id: int,  # noqa: ARG002
    ) -> None:
        """The same; some programs copy and remove."""
        self.moved(connection, act, owner, target)

    def appended(self, connection: Connection, act: Gesture) -> None:
        """The same; programs that were offline, or move between accounts, upload."""
        if cabinet.act_of(act.folder)[0] is not None:
            self._filed(connection, act, self._uploaded(connection, act), act.folder, fetched=False)

    def expunged(self, connection: Connection, act: Gesture) -> None:
        """What a unit throws away it has received all the same."""

    def _about(self, connection: Connection, act: Gesture) -> tuple[int, Client, Directory] | None:
        """The delivery that the message is, and who acts; None if it is something else."""
        if act.kind != DOCUMENT:
            return None
        delivery = delivery_to(connection, act.key, act.owner)
        directory = self._directory.within(connection)
        account = directory.account(act.by.login)
        if delivery is None or account is None:
            return None
        return delivery.id, Client(account, act.by.strength, act.by.address), directory

    def _filed(
        self, connection: Connection, act: Gesture, document_id: str, folder: str,
        *, fetched: bool = True,
    ) -> None:  # fmt: skip
        """A document was put into a folder that means something."""
        wanted, name = cabinet.act_of(folder)
        if wanted is None or not document_id:
            return
        directory = self._directory.within(connection)
        account = directory.account(act.by.login)
        found = delivery_to(connection, document_id, act.owner)
        if found is None and account is not None:  # a copy in a mailbox of the person's own
            mine = deliveries_for(connection, directory, account, document_id)
            found = min(mine, key=_is_settled, default=None)
        if found is None:
            return
        try:
            delivery = hold_delivery(connection, found.id).delivery
        except NotPossible:
            return  # plain mail may lie anywhere
        if account is None or delivery.consigned_at is None:
            raise Veto(sayings.NOT_YOURS.text)
        client = Client(account, act.by.strength, act.by.address)
        soon = act.at - moment(delivery.consigned_at) < self._means.signing.now.automatic
        if soon and not (fetched and act.handed_over is not None):
            self._not_counted(connection, act, client, directory, delivery)
            return
        try:
            known = name if is_name(name, self._means.signing.now) else ""
            actor = client.signatory(directory, delivery.owner, wanted, known)
            self._settle(connection, delivery.id, wanted, actor, folder, act.at)
        except NotPossible as problem:
            if delivery.state != _SETTLED[wanted]:
                language = directory.language_of(account)
                log.info(
                    "gesture-vetoed", account=account.login, document=document_id,
                    cause=str(problem),
                )  # fmt: skip
                said = sayings.in_language(sayings.refusal(problem, wanted), language)
                raise Veto(said) from problem
            # It lies where it belongs. Somebody else was first: that is explained.
            if problem.at is not None and problem.by not in (account.name, account.login):
                said_late = sayings.late(problem, wanted)
                outbox.leave_answer(connection, document_id, account.login, said_late, act.at)

    def _settle(
        self, connection: Connection, delivery_id: int, wanted: Act, actor: Actor, folder: str,
        now: datetime,
    ) -> None:  # fmt: skip
        means, way = self._means, Way.FOLDER
        if wanted is Act.SIGN_FOR:
            sign_for(connection, means, delivery_id, actor=actor, way=way, now=now)
        else:
            reason = f"moved into {folder}"
            return_(connection, means, delivery_id, actor=actor, way=way, reason=reason, now=now)

    def _not_counted(
        self, connection: Connection, act: Gesture, client: Client, directory: Directory,
        delivery: Row[Any],
    ) -> None:  # fmt: skip
        """No person has read it yet: a rule or a program that keeps folders alike has moved it."""
        actor = client.actor(_unit(directory, client.account, act.owner))
        news = record_not_counted(
            connection, self._means, delivery.id, actor=actor, way=Way.FOLDER, now=act.at
        )
        document_id, login = delivery.document_id, client.account.login
        log.info("gesture-automatic", account=login, document=document_id)
        if news and delivery.state == DeliveryState.CONSIGNED:
            said = sayings.MOVED_BY_PROGRAM
            outbox.leave_answer(connection, document_id, login, said, act.at)

    def _uploaded(self, connection: Connection, act: Gesture) -> str:
        """The document of which the uploaded message is a copy: by digest, then by our field."""
        if act.kind == DOCUMENT:
            return act.key
        row = _UPLOADED.first(connection, {"content": act.content_id})
        if row is None:
            return ""
        same = _SAME.scalar(connection, {"digest": row.digest})
        if same:
            return str(same)
        head = bytes(row.head or b"").partition(b"\r\n\r\n")[0] + b"\r\n"
        fields = (one.value for one in scan_fields(head) if one.name.lower() == "yizhan-document")
        stated = next(fields, b"").decode("ascii", "replace").strip()
        return stated if is_id(stated) else ""


def _is_settled(delivery: Row[Any]) -> bool:
    return bool(delivery.state != DeliveryState.CONSIGNED)


def _unit(directory: Directory, account: Account, owner_key: str) -> Unit | None:
    """The unit for which the account reads: of the mailbox, if it belongs there, else its own."""
    unit = directory.unit(owner_key.partition(":")[2]) if owner_key.startswith("unit:") else None
    if unit is not None and account.roles_in(unit.id):
        return unit
    main = account.memberships[0].unit_id if account.memberships else None
    return None if main is None else directory.unit_by_id(main)
