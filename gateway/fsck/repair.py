"""Repairs what can be derived from what is sound, each fault in a transaction of its own.

May run beside the daemon: a healer locks as the verbs do, looks whether the fault is still there,
and changes nothing else. Evidence is never made, changed or deleted. Each repair is a line of the
log of changes (`yizhan directory log`), in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from gateway.directory import changes
from gateway.errors import StoreDamaged
from gateway.fsck.codes import Code
from gateway.fsck.fault import Fault, Report
from gateway.fsck.heal import blobs, log, mail, rows, search
from gateway.fsck.heal.tools import Healer, Tools
from gateway.store.database import Database

HEALERS: dict[Code, Healer] = {
    Code.LOG_ENTRY: log.enter_record,  # before the holes that it closes
    Code.LOG_NUMBER: log.find_number,
    Code.SEAL_USE: rows.register_use,
    Code.TEXT_FORBIDDEN: rows.forget_text,
    Code.RECEIPT_MISSING: rows.leave_receipt,
    Code.OUTBOX_DOUBLE: rows.drop_piece,
    Code.OUTBOX_LEASE: rows.end_lease,
    Code.REMINDER_UNSETTLED: rows.settle_reminder,
    Code.REMINDER_LEASE: rows.end_reminder_lease,
    Code.FOLDER_UIDNEXT: mail.raise_uidnext,  # before anything is put into the folder
    Code.FOLDER_MODSEQ: mail.raise_modseq,
    Code.FOLDER_UIDVALIDITY: mail.raise_uidvalidity,
    Code.FOLDER_REMOVED: mail.bring_back,
    Code.UID_REUSED: mail.give_new_uid,
    Code.MESSAGE_SEEN: mail.set_seen,
    Code.CONTENT_STRUCTURE: mail.read_anew,
    Code.SUMMARY_DOUBLE: mail.drop_older_summaries,
    Code.MESSAGE_MISSING: mail.deliver_again,
    Code.SENT_MISSING: mail.keep_copy_again,
    Code.FOLDER_COUNTS: mail.count_anew,  # after all that puts in or takes out
    Code.SEARCH_INDEX: search.empty_index,
    Code.BLOB_UNFINISHED: blobs.discard_unfinished,
    Code.BLOB_ORPHAN: blobs.delete_orphan,
}
"""By code, in the order in which they are healed; the nodes of the log are healed together."""


@dataclass(slots=True)
class Repairs:
    """What was done, and what is left."""

    done: list[tuple[Fault, str]] = field(default_factory=list)
    left: list[Fault] = field(default_factory=list)


def repair(
    database: Database,
    report: Report,
    tools: Tools,
    *,
    actor: str,
    tell: Callable[[str], None] = lambda _sentence: None,
) -> Repairs:
    """Heal what the report names, as far as it can be; `tell` gets each sentence of what was done.

    Raises StoreUnavailable if the database cannot be written.
    """
    repairs = Repairs()
    _renew_nodes(database, report, repairs, actor, tools, tell)
    order = list(HEALERS)
    healable = [fault for fault in report.faults if fault.code in HEALERS]
    for fault in sorted(healable, key=lambda fault: order.index(fault.code)):
        said = _heal(database, fault, tools, actor)
        if said:
            repairs.done.append((fault, said))
            tell(said)
        else:
            repairs.left.append(fault)
    known = (*HEALERS, Code.LOG_NODE)
    repairs.left += [fault for fault in report.faults if fault.code not in known]
    return repairs


def _heal(database: Database, fault: Fault, tools: Tools, actor: str) -> str:
    def work(connection: Connection) -> str:
        said = HEALERS[fault.code](connection, fault, tools)
        if said:
            _write_down(connection, fault, said, actor, tools)
        return said

    try:
        return database.write_now(work)
    except (OSError, EOFError, ValueError, TypeError, LookupError, StoreDamaged):
        # What it would be derived from is damaged too; that is a fault of its own, named beside it.
        return ""


def _renew_nodes(
    database: Database,
    report: Report,
    repairs: Repairs,
    actor: str,
    tools: Tools,
    tell: Callable[[str], None],
) -> None:
    faults = [fault for fault in report.faults if fault.code is Code.LOG_NODE]
    faults.sort(key=lambda fault: (fault.clue["level"], fault.clue["index"]))
    if not faults:
        return

    def work(connection: Connection) -> list[str]:
        done = log.renew_nodes(connection, faults)
        for fault, said in zip(faults, done, strict=True):
            _write_down(connection, fault, said, actor, tools)
        return done

    try:
        done = database.write_now(work)
    except log.NotProved:
        repairs.left += faults
        return
    for fault, said in zip(faults, done, strict=True):
        repairs.done.append((fault, said))
        tell(said)


def _write_down(connection: Connection, fault: Fault, said: str, actor: str, tools: Tools) -> None:
    changes.record(
        connection,
        "repair",
        "fsck",
        fault.subject[:128],
        before={"fault": fault.code.value, "sentence": fault.what},
        after={"done": said},
        actor=actor,
        now=tools.now,
    )
