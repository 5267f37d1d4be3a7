"""The exchange: the one way in, whatever the door. It raises Refused, Deferred or StoreError."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NoReturn

import structlog

from gateway import config
from gateway.directory.live import LiveDirectory
from gateway.directory.model import Account, Unit
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.clock import Clock, milliseconds
from gateway.domain.document import MessageClass, Opening, SealRule
from gateway.domain.event import Reason
from gateway.domain.ids import new_id
from gateway.domain.submission import Accepted, Submission
from gateway.errors import CommitUnknown, Deferred, Refused
from gateway.exchange import prefix, views
from gateway.exchange.accept import (
    Case,
    Overtaken,
    accept,
)
from gateway.exchange.acts import Acts
from gateway.exchange.earlier import find_duplicate, find_resend, find_whole_resend
from gateway.exchange.keeping import Keeper
from gateway.exchange.means import Means
from gateway.exchange.recipients import expand
from gateway.exchange.refuse import find_refusal, refuse
from gateway.policy.clamd import Scanner
from gateway.policy.collect import collect, settings_version
from gateway.policy.engine import Policy
from gateway.policy.inspection import Inspection
from gateway.policy.pool import Inspector
from gateway.policy.rate import Rates
from gateway.policy.verdict import Outcome, ReasonDetail, Verdict
from gateway.seals.live import LiveSeals
from gateway.seals.opener import Opener
from gateway.store.blobs import Blobs
from gateway.store.database import Database
from gateway.store.fault import reach
from mailboxes.remembered import forget

log = structlog.stdlib.get_logger("yizhan.exchange")

_FEW = 16  # addressees or recipients whose rows are written in the event loop


@dataclass(slots=True)
class Judges:
    """What decides: replaced as a whole when the operator reloads."""

    policy: Policy
    settings: config.Policy
    inspector: Inspector
    rates: Rates
    scanner: Scanner | None
    opener: Opener | None
    _version: tuple[config.Policy, str] | None = field(default=None, init=False)

    @property
    def settings_version(self) -> str:
        """`collect.settings_version` of the settings in force, worked out once."""
        known = self._version
        if known is None or known[0] is not self.settings:
            known = self._version = self.settings, settings_version(self.settings)
        return known[1]


class Exchange:
    """Takes submissions; everything that it promises is in one transaction of `accept`."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        directory: LiveDirectory,
        seals: LiveSeals,
        judges: Judges,
        means: Means,
        clock: Clock,
        committed: Callable[[], None],
    ) -> None:
        """`committed` is called after each commit that left work for others."""
        self._database = database
        self._directory = directory
        self._seals = seals
        self.judges = judges
        self._means = means
        self._clock = clock
        self._committed = committed
        self._latest = 0  # Unix milliseconds in the newest id
        self._keeper = Keeper(blobs)
        self._acts = Acts(database, directory, means, clock)

    def close(self) -> None:
        """End the threads that write blobs."""
        self._keeper.close()

    async def accept(self, submission: Submission) -> Accepted:
        """Take one submission; on return everything is on disk.

        Raises Refused with the sentence for the clerk, Deferred, StoreUnavailable, CommitUnknown.
        """
        try:
            accepted, opening = await self._take(submission)
        except BaseException:
            forget()  # what may have been refused for what it says
            raise
        if opening is not Opening.PLAIN:
            forget()
        return accepted

    def action(self, address: Address, account: Account, peer: str) -> str:
        """The document of which this is the action address; empty if it is none at all.

        Raises Refused for one that is forged or has expired.
        """
        return self._acts.document_of(address, account, peer)

    async def act(self, submission: Submission, document_id: str) -> Accepted:
        """Take a mail to the action address of that document; on return its effect is on disk.

        Raises Refused, StoreUnavailable, CommitUnknown.
        """
        accepted = await self._acts.take(submission, document_id)
        self._committed()
        return accepted

    async def _take(self, submission: Submission) -> tuple[Accepted, Opening]:
        """`accept`, and whether the content is for everybody's eyes."""
        directory = await self._directory.current()
        account, unit = self._sender(directory, submission)
        act = await self._acts.reply(submission, directory, account, unit)
        if act is not None:
            self._committed()
            return act, Opening.PLAIN
        book = await self._seals.current()
        judges = self.judges
        circumstances = self._circumstances(directory)
        known, refused = await self._database.glance(
            lambda c: (
                find_whole_resend(c, submission),
                find_refusal(c, submission, circumstances, self._clock.now()),
            )
        )
        told = {
            "account": account.login,
            "unit": unit.code,
            "peer": submission.client.address,
            "size": submission.content.size,
            "recipients": len(submission.recipients),
        }
        if known:
            log.info("accepted", document=known, repeated=True, **told)
            return Accepted(known, repeated=True), Opening.PLAIN  # not looked at
        if refused is not None:
            raise refused.error()
        inspection = await judges.inspector.inspect(
            submission.content,
            unit_id=unit.id,
            book=book,
            opener=judges.opener,
            at=submission.received_at,
            mt_priority=submission.priority,
        )
        reach("inspected")
        facts = await collect(
            submission,
            inspection,
            directory,
            account,
            unit,
            book,
            judges.settings,
            judges.rates,
            judges.scanner,
        )
        verdict = judges.policy.decide(facts)
        error = verdict.error()
        if isinstance(error, Refused):
            await self._refuse(
                submission, account, unit, inspection.message_id, verdict, error, circumstances
            )
        if verdict.outcome is not Outcome.ACCEPT:
            raise error or Deferred("Please send again later", zh="请稍后再发", cause=verdict.rule)
        accepted = await self._accept(submission, account, unit, directory, inspection, verdict)
        reach("before-reply")
        self._committed()
        log.info(
            "accepted",
            document=accepted.document_id,
            repeated=accepted.repeated,
            message_class=verdict.message_class.value,
            seal=inspection.seal.state.value,
            **told,
        )
        return accepted, inspection.opening

    async def reject(self, submission: Submission, refused: Refused) -> NoReturn:
        """Write evidence and receipt of a refusal that a door has decided after DATA (line ends,
        size). Raises it, or the first one if this is an identical resend, or StoreError."""
        directory = await self._directory.current()
        account, unit = self._sender(directory, submission)
        await self._seals.current()
        reason = ReasonDetail(Reason(refused.reason), refused.reply.text)
        verdict = Verdict(
            outcome=Outcome.REFUSE,
            rule="door",
            reasons=(reason,),
            message_class=MessageClass.MAIL,
            seal_rule=SealRule.NONE,
            alert_security=False,
            sentence="",
            warnings=(),
            texts=(("en", refused.reply.text), ("zh-CN", refused.reply.text_zh)),
        )
        circumstances = self._circumstances(directory)
        await self._refuse(submission, account, unit, "", verdict, refused, circumstances)

    def _circumstances(self, directory: Directory) -> str:
        """What could decide otherwise the next time, as one text."""
        judges = self.judges
        return "/".join(
            (
                judges.policy.version,
                judges.settings_version,
                str(directory.version),
                str(self._seals.version),
            )
        )

    def _sender(self, directory: Directory, submission: Submission) -> tuple[Account, Unit]:
        account = directory.account_by_id(submission.account_id)
        unit = directory.sending_unit(account, submission.sender) if account else None
        if account is None or unit is None:
            raise Refused(
                "This account may not send under this address any more; ask the operator",
                zh="此账号不能再使用该发件地址，请联系系统管理员",
                code=550,
                enhanced="5.7.1",
                reason="SenderNotIdentified",
            )
        return account, unit

    async def _refuse(
        self,
        submission: Submission,
        account: Account,
        unit: Unit,
        message_id: str,
        verdict: Verdict,
        error: Refused,
        circumstances: str,
    ) -> NoReturn:
        now = self._clock.now()
        refusal_id = self._new_id()
        refusal = await self._database.write(
            lambda connection: refuse(
                connection,
                self._means,
                refusal_id,
                submission,
                account=account,
                unit=unit,
                message_id=message_id,
                verdict=verdict,
                reply=error.reply,
                circumstances=circumstances,
                now=now,
            ),
            "refusal",
            long=len(submission.recipients) > _FEW,
        )
        self._committed()
        log.warning(
            "refused",
            document=refusal.id,  # `document show` knows refusals, too
            account=account.login,
            unit=unit.code,
            rule=verdict.rule,
            reasons=[reason.code.value for reason in verdict.reasons],
        )
        raise refusal.error()

    async def _accept(
        self,
        submission: Submission,
        account: Account,
        unit: Unit,
        directory: Directory,
        inspection: Inspection,
        verdict: Verdict,
    ) -> Accepted:
        first, duplicate = await self._database.glance(
            lambda c: (
                find_resend(c, submission, inspection.message_id),
                find_duplicate(c, submission, inspection.parts_digest),
            )
        )
        while True:
            document_id, kept = first or self._new_id(), False
            try:
                prepare = partial(
                    self._prepare, document_id, bool(first), submission, account, unit, directory,
                    inspection, verdict, "" if first else duplicate,
                )  # fmt: skip
                if first:
                    case = await self._keeper.prepare(submission.content, prepare)
                else:
                    case = await self._keeper.keep(document_id, submission.content, prepare)
                    kept = True
                reach("prepared")
                work = partial(accept, means=self._means, case=case)
                return await self._database.write(work, "accept", long=len(case.addressees) > _FEW)
            except Overtaken as overtaken:
                await self._keeper.forget(document_id)
                first = overtaken.document_id
            except CommitUnknown:
                raise  # the document may stand; if it does not, the sweeper finds its blob
            except Exception:
                # Nothing refers to the blob. On a disk that is nearly full the client's next try
                # would add another, until the sweeper's hour.
                if kept:
                    await self._keeper.forget(document_id)
                raise

    def _prepare(
        self,
        document_id: str,
        resend: bool,
        submission: Submission,
        account: Account,
        unit: Unit,
        directory: Directory,
        inspection: Inspection,
        verdict: Verdict,
        duplicate: str,
    ) -> Case:
        # Who stands in To is a main recipient (主送), wherever else it stands.
        copied = set(inspection.cc) - set(inspection.to)
        addressees = expand(submission.recipients, directory, copied)
        owners = [a.owner for a in addressees if a.owner is not None]
        variants = {owner.key: views.variant(owner, directory) for owner in owners}
        outcome = prefix.Outcome(
            document_id=document_id,
            host=self._means.host,
            sender=str(submission.sender),
            login=account.login,
            client=submission.client,
            received_at=submission.received_at,
            message_class=verdict.message_class,
            urgency=inspection.metadata.urgency,
            number=inspection.metadata.number,
            seal=inspection.seal,
            possible_duplicate=bool(duplicate),
            answer_to=self._means.answer_to(document_id, submission.received_at)
            if verdict.message_class.signed_for
            else "",
        )
        contents = views.prepare(
            outcome,
            inspection,
            submission.content.size,
            lambda: self._keeper.open(document_id, submission.content),
            set(variants.values()),
        )
        return Case(
            document_id=document_id,
            resend=resend,
            submission=submission,
            inspection=inspection,
            verdict=verdict,
            directory=directory,
            account=account,
            unit=unit,
            addressees=addressees,
            contents=contents,
            variants=variants,
            duplicate_of=duplicate,
            now=self._clock.now(),
        )

    def _new_id(self) -> str:
        """Ids keep their order, even within a millisecond and under a clock set back."""
        self._latest = max(self._latest + 1, milliseconds(self._clock.now()))
        return new_id(self._latest, os.urandom(10))
