"""Damages of receipts, summaries, the outbox and reminders."""

from __future__ import annotations

from hashlib import sha256

from gateway.fsck.codes import Code
from mailboxes.content import Content
from tests.unit.fsck.damages.damage import (
    ID,
    count,
    damage,
    mail_again,
    piece,
    reminder,
    without_constraint,
)
from tests.unit.fsck.lived import Lived


@damage(Code.RECEIPT_MISSING)
def receipt_not_left(store: Lived) -> object:
    store.sql("DELETE FROM outbox WHERE document_id = :id AND kind = 'receipt'", id=store["fresh"])
    return store["fresh"]


@damage(Code.RECEIPT_MISSING)
def receipt_lost(store: Lived) -> object:
    store.sql(
        "DELETE FROM mailbox_messages WHERE content_id IN (SELECT id FROM mailbox_contents"
        " WHERE kind = 'receipt' AND key = :id)",
        id=store["refused"],
    )
    count(store)
    return store["refused"]


@damage(Code.RECEIPT_DOUBLE)
def receipt_mailed_twice(store: Lived) -> object:
    mail_again(store, "receipt", "sealed")
    return store["sealed"]


@damage(Code.RECEIPT_DAMAGED)
def receipt_of_another_record(store: Lived) -> object:
    """The record that it carries is not in the store: as if evidence had been made to vanish."""
    content = store.one(
        "SELECT id FROM mailbox_contents WHERE kind = 'receipt' AND key = :id", id=store["sealed"]
    )
    octets = bytes(store.one("SELECT octets FROM mailbox_contents WHERE id = :id", id=content))
    changed = octets.replace(b'records.json"', b'wreckage.doc"')
    new = Content.of_octets(changed, key=store["sealed"], kind="receipt")
    store.sql(
        "UPDATE mailbox_contents SET octets = :octets, digest = :digest, structure = :structure,"
        " envelope = :envelope, bodystructure = :body WHERE id = :id",
        octets=changed, digest=sha256(changed).hexdigest(), structure=new.structure,
        envelope=new.envelope, body=new.bodystructure, id=content,
    )  # fmt: skip
    return content


@damage(Code.SUMMARY_DOUBLE)
def summary_not_replaced(store: Lived) -> object:
    mail_again(store, "summary", "signed")
    return f"{store['signed']} unit:office"


@damage(Code.OUTBOX_UNREADABLE)
def piece_of_an_unknown_kind(store: Lived) -> object:
    return piece(store, "kind = 'fax'", "summary")


@damage(Code.OUTBOX_UNREADABLE)
def piece_without_sense(store: Lived) -> object:
    return piece(store, "payload = 'no JSON'", "summary")


@damage(Code.OUTBOX_REFERENCE)
def piece_about_nothing(store: Lived) -> object:
    return piece(store, f"document_id = '{ID}'", "summary")


@damage(Code.OUTBOX_LEASE)
def piece_leased_for_ever(store: Lived) -> object:
    return piece(store, "lease_until = 9999999999999", "receipt")


@damage(Code.OUTBOX_DOUBLE)
def piece_left_twice(store: Lived) -> object:
    store.sql(
        "INSERT INTO outbox SELECT id + 1000, kind, document_id, payload, due_at, lease_until,"
        " lessee, attempts, last_error, failing_since FROM outbox WHERE kind = 'receipt'"
    )
    return store.one("SELECT max(id) FROM outbox")


@damage(Code.REMINDER_STATE)
def reminder_in_no_state(store: Lived) -> object:
    return reminder(store, "state = 'shouted'")


@damage(Code.REMINDER_STATE)
def reminder_sent_at_no_time(store: Lived) -> object:
    return reminder(store, "handed_over_at = 1")


@damage(Code.REMINDER_REFERENCE)
def reminder_of_no_delivery(store: Lived) -> object:
    return reminder(store, "delivery_id = 9999")


@damage(Code.REMINDER_LEASE)
def reminder_leased_for_ever(store: Lived) -> object:
    return reminder(store, "state = 'handing-over', lease_until = NULL")


@damage(Code.REMINDER_EVIDENCE)
def reminder_failed_in_silence(store: Lived) -> object:
    reminder(store, "state = 'failed'")
    return f"{store['fresh']} ConsignmentNotificationFailure office@heping.test"


@damage(Code.REMINDER_UNSETTLED)
def reminder_of_what_was_signed_for(store: Lived) -> object:
    found = store.one("SELECT id FROM reminders WHERE state = 'cancelled'")
    store.sql("UPDATE reminders SET state = 'queued' WHERE id = :id", id=found)
    return found


@damage(Code.REMINDER_DOUBLE)
def reminded_twice(store: Lived) -> object:
    without_constraint(store, "reminders")
    store.sql(
        "INSERT INTO reminders SELECT :new, document_id, delivery_id, unit_id, person_id, name,"
        " number, language, urgency, step, text, state, due_at, attempts, lease_until,"
        " handed_over_at, reported_at, notifier, reference, last_error FROM reminders"
        " WHERE document_id = :id",
        new=ID, id=store["fresh"],
    )  # fmt: skip
    delivery = store.one("SELECT id FROM deliveries WHERE document_id = :id", id=store["fresh"])
    return f"{delivery} 0"
