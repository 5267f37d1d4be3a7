"""Refusing after DATA: evidence, a receipt for the sender, and of the content only a digest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, insert, select

from gateway.directory.model import Account, Unit
from gateway.domain.clock import milliseconds
from gateway.domain.event import Event
from gateway.domain.submission import Submission
from gateway.errors import Refused, Reply
from gateway.evidence.record import Actor, ContentDigest, Statement
from gateway.exchange import outbox
from gateway.exchange.means import Means
from gateway.exchange.recipients import fingerprint
from gateway.exchange.tables import refusals
from gateway.policy.verdict import Verdict
from gateway.store.postgres import take_turn
from mailboxes.prepared import Prepared

RESEND_DAYS = 7

_SAME = Prepared(
    select(refusals.c.id, refusals.c.reply, refusals.c.reasons, refusals.c.texts).where(
        refusals.c.mail_from == bindparam("sender"),
        refusals.c.digest == bindparam("digest"),
        refusals.c.recipients_digest == bindparam("recipients"),
        refusals.c.account_id == bindparam("account"),
        refusals.c.circumstances == bindparam("circumstances"),
        refusals.c.at > bindparam("since"),
    )
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that stands: its id, and the reply that the client got."""

    id: str
    reply: Reply
    reason: str

    def error(self) -> Refused:
        """The same reply once more, as an error to raise."""
        return Refused.saying(self.reply, reason=self.reason)


def find_refusal(
    connection: Connection, submission: Submission, circumstances: str, now: datetime
) -> Refusal | None:
    """The refusal of an identical submission, if nothing has changed since that could decide
    otherwise (`circumstances` names the versions of rules, settings, directory and seals)."""
    values = {
        "sender": str(submission.sender),
        "digest": submission.content.sha256,
        "recipients": fingerprint(submission.recipients),
        "account": submission.account_id,
        "circumstances": circumstances,
        "since": milliseconds(now - timedelta(days=RESEND_DAYS)),
    }
    row = _SAME.first(connection, values)
    if row is None:
        return None
    code, enhanced, text = row.reply.split(" ", 2)
    reply = Reply(int(code), enhanced, text, json.loads(row.texts).get("zh-CN", ""))
    return Refusal(row.id, reply, json.loads(row.reasons)[0]["code"])


def refuse(
    connection: Connection,
    means: Means,
    refusal_id: str,
    submission: Submission,
    *,
    account: Account,
    unit: Unit,
    message_id: str,
    verdict: Verdict,
    reply: Reply,
    circumstances: str,
    now: datetime,
) -> Refusal:
    """Write refusal, evidence and outbox; an identical one that came first wins."""
    take_turn(connection, str(submission.sender), message_id, submission.content.sha256)
    earlier = find_refusal(connection, submission, circumstances, now)
    if earlier is not None:
        return earlier
    reasons = [{"code": r.code.value, "detail": r.detail} for r in verdict.reasons]
    connection.execute(
        insert(refusals).values(
            id=refusal_id,
            at=milliseconds(now),
            account_id=account.id,
            unit_id=unit.id,
            mail_from=str(submission.sender),
            message_id=message_id,
            digest=submission.content.sha256,
            recipients_digest=fingerprint(submission.recipients),
            size=submission.content.size,
            rule=verdict.rule,
            reasons=json.dumps(reasons, ensure_ascii=False),
            sentence=verdict.sentence,
            texts=json.dumps(dict(verdict.texts), ensure_ascii=False),
            reply=str(reply),
            envid=submission.envid,
            envelope=json.dumps(
                [[str(r.address), sorted(r.notify), r.orcpt] for r in submission.recipients]
            ),
            circumstances=circumstances,
        )
    )
    records = means.notary.record(
        connection,
        refusal_id,
        [
            Statement(
                event=Event.SUBMISSION_REJECTION,
                at=now,
                recipient=str(recipient.address),
                reasons=tuple((r.code, r.detail) for r in verdict.reasons),
                sender=str(submission.sender),
                submission_time=submission.received_at,
                content=ContentDigest(submission.content.sha256.hex(), submission.content.size),
                message_id=message_id,
                actor=Actor(
                    account=account.login,
                    unit=unit.code,
                    login=submission.client.login,
                    address=submission.client.address,
                ),
            )
            for recipient in submission.recipients
        ],
        now,
    )
    payload = {"records": [record.id for record in records], "refusal": True}
    outbox.leave(connection, outbox.Kind.RECEIPT, refusal_id, payload, now)
    if verdict.alert_security:
        outbox.leave(connection, outbox.Kind.ALERT, refusal_id, {}, now)
    return Refusal(refusal_id, reply, reasons[0]["code"])
