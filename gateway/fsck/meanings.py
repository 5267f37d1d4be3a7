"""What each fault means, and what the operator does.

`docs/fsck.md` lists the same; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.fsck.codes import Code, Family


@dataclass(frozen=True, slots=True)
class Meaning:
    """What stands in the manual beside a code."""

    family: Family
    means: str  # one sentence
    advice: str  # what the operator does, without a full stop: it ends the fault's own sentence
    repairable: bool = False


_REPAIR = "run `yizhan fsck --repair`"
_BACKUP = "bring it back from a backup"
_TAMPERED = "somebody or something has changed evidence: keep the machine as it is, call the vendor"
_F, _C = Family, Code

CODES: dict[Code, Meaning] = {
    _C.DATABASE_DAMAGED: Meaning(
        _F.DATABASE,
        "SQLite's own check of the file finds damage.",
        "stop the post office, look at the disk, restore the database from a backup",
    ),
    _C.DATABASE_REFERENCE: Meaning(
        _F.DATABASE,
        "A row refers to a row of another table that is not there.",
        "restore the database from a backup; the log of the disk may say what happened",
    ),
    _C.REFERENCE_MISSING: Meaning(
        _F.DIRECTORY,
        "A document, delivery, reminder or seal names a unit, account or document that does not "
        "exist.",
        "restore the directory from a backup: units and accounts with a past are never removed",
    ),
    _C.OFFICE_CERTIFICATE: Meaning(
        _F.SEALS,
        "The book of seals has no readable OpenPGP certificate of the office, so that nobody can "
        "judge the evidence keys.",
        "restore the row of seal_book from a backup",
    ),
    _C.SEAL_CERTIFICATE: Meaning(
        _F.SEALS,
        "A seal's certificate cannot be read, or is of another key than its fingerprint says.",
        "restore the row of seals from a backup; until then documents under it count as unknown",
    ),
    _C.SEAL_LOG: Meaning(
        _F.SEALS,
        "A seal was issued, replaced or cancelled, and the log of seals has no line of it, or the "
        "log has a line of what the seal does not show.",
        "ask who changed the table by hand; compare with the paper register of seals",
    ),
    _C.SEAL_USE: Meaning(
        _F.SEALS,
        "A document bears a seal of this office, and the register of uses has no line of it, or "
        "the register names a document that does not bear it.",
        _REPAIR,
        repairable=True,
    ),
    _C.BLOB_MISSING: Meaning(
        _F.BLOBS,
        "The octets of an accepted document are not in the blobs.",
        f"{_BACKUP}: the file has the document's id as its name",
    ),
    _C.BLOB_DAMAGED: Meaning(
        _F.BLOBS,
        "The octets of an accepted document are not those that were accepted: another size, "
        "another SHA-256, or the encryption at rest does not open them.",
        f"look at the disk, then {_BACKUP}: the file has the document's id as its name",
    ),
    _C.BLOB_UNREADABLE: Meaning(
        _F.BLOBS,
        "The octets of an accepted document are there, but reading them fails.",
        "look at the disk and at the rights of the file, then run fsck again",
    ),
    _C.BLOB_ORPHAN: Meaning(
        _F.BLOBS,
        "Octets lie in the blobs under a name that no document has, for longer than an hour. A "
        "crash before `250` leaves such; so does a database that is older than its blobs.",
        "if no older database was restored, `yizhan fsck --repair --remove-orphans`",
        repairable=True,
    ),
    _C.BLOB_UNFINISHED: Meaning(
        _F.BLOBS,
        "A file that a crash left half written lies in the blobs for longer than an hour.",
        f"{_REPAIR}, or leave it to the sweeper",
        repairable=True,
    ),
    _C.DOCUMENT_VALUE: Meaning(
        _F.DOCUMENTS,
        "A row of a document or refusal has a value that no version of the program writes.",
        "restore the row from a backup; the evidence of the document says what it should be",
    ),
    _C.DOCUMENT_ENVELOPE: Meaning(
        _F.DOCUMENTS,
        "An accepted document has no envelope, or no delivery at all.",
        "restore the rows from a backup; the evidence names the recipients",
    ),
    _C.DELIVERY_STATE: Meaning(
        _F.DOCUMENTS,
        "The state of a delivery does not go with its times and its signature.",
        "compare with the evidence (`yizhan document show ID`), restore the row from a backup",
    ),
    _C.DELIVERY_DOUBLE: Meaning(
        _F.DOCUMENTS,
        "One document was delivered twice to one mailbox owner.",
        "the index of the table is damaged: restore the database from a backup",
    ),
    _C.DELIVERY_VIA: Meaning(
        _F.DOCUMENTS,
        "A delivery comes from an address that is not in the document's envelope.",
        "restore the row from a backup; the evidence names the envelope",
    ),
    _C.TEXT_FORBIDDEN: Meaning(
        _F.DOCUMENTS,
        "Plain text of an encrypted document or of a refused one is kept.",
        f"{_REPAIR}, which deletes the text",
        repairable=True,
    ),
    _C.TEXT_GAP: Meaning(
        _F.DOCUMENTS,
        "Of the texts that search reads, some of a document are missing.",
        "search may not find it; restore the rows of document_texts from a backup",
    ),
    _C.REFUSAL_CONTENT: Meaning(
        _F.DOCUMENTS,
        "Content of a refused message is kept, which must never be.",
        "tell the security officer; he decides what happens to it",
    ),
    _C.RECORD_DIGEST: Meaning(
        _F.EVIDENCE, "The octets of a record are not those of its digest.", _TAMPERED
    ),
    _C.RECORD_FORM: Meaning(
        _F.EVIDENCE, "The octets of a record are not a record (canonical JSON, version 1).",
        _TAMPERED,
    ),
    _C.RECORD_KEY: Meaning(
        _F.EVIDENCE, "A record is signed by a key that the office does not know.", _TAMPERED
    ),
    _C.RECORD_SIGNATURE: Meaning(
        _F.EVIDENCE, "The signature of a record does not hold.", _TAMPERED
    ),
    _C.RECORD_ROW: Meaning(
        _F.EVIDENCE,
        "A row says of its record what the signed octets do not say.",
        "the octets count; restore the row from a backup",
    ),
    _C.RECORD_CHAIN: Meaning(
        _F.EVIDENCE, "A record does not follow the one before it by its digest.", _TAMPERED
    ),
    _C.RECORD_GAP: Meaning(
        _F.EVIDENCE, "Between two records of a document one is missing.", _TAMPERED
    ),
    _C.RECORD_ORPHAN: Meaning(
        _F.EVIDENCE,
        "There is evidence of a document or refusal that does not exist.",
        "restore the document's rows from a backup: what the evidence says has happened",
    ),
    _C.RECORD_DISAGREES: Meaning(
        _F.EVIDENCE,
        "A record and the document's row differ on sender, time, size, digest or number.",
        "the record counts; restore the row from a backup",
    ),
    _C.RECORD_MISSING: Meaning(
        _F.EVIDENCE,
        "Something happened, by its row, of which there is no evidence.",
        "restore the rows from a backup; fsck never makes evidence",
    ),
    _C.RECORD_SURPLUS: Meaning(
        _F.EVIDENCE,
        "There is evidence of something that the rows do not show, or it is there twice.",
        "the evidence counts; restore the rows from a backup",
    ),
    _C.KEY_CERTIFICATE: Meaning(
        _F.EVIDENCE,
        "The office's OpenPGP key did not certify an evidence key.",
        _TAMPERED,
    ),
    _C.LOG_ENTRY: Meaning(
        _F.LOG, "A record is not entered for the log.", _REPAIR, repairable=True
    ),
    _C.LOG_NUMBER: Meaning(
        _F.LOG,
        "The numbers of the log have a hole, or a record is numbered that no checkpoint covers.",
        f"{_REPAIR}, which finds the place of a record that is still there; if the hole stays, "
        "evidence is lost: keep the machine as it is, call the vendor",
        repairable=True,
    ),
    _C.LOG_NODE: Meaning(
        _F.LOG,
        "A stored hash of the log's tree is not the one that the records lead to.",
        _REPAIR,
        repairable=True,
    ),
    _C.CHECKPOINT_ROOT: Meaning(
        _F.LOG, "The records do not lead to the root of a signed checkpoint.", _TAMPERED
    ),
    _C.CHECKPOINT_NOTE: Meaning(
        _F.LOG,
        "A checkpoint's note is not signed by an evidence key, or says something else than its "
        "row.",
        _TAMPERED,
    ),
    _C.RECEIPT_MISSING: Meaning(
        _F.RECEIPTS,
        "The sender has no receipt of something, and none waits to be mailed.",
        f"{_REPAIR}, which puts it into the outbox",
        repairable=True,
    ),
    _C.RECEIPT_DOUBLE: Meaning(
        _F.RECEIPTS,
        "Two receipts carry the same record.",
        "nothing needs to be done; tell the vendor, with the log of that day",
    ),
    _C.RECEIPT_DAMAGED: Meaning(
        _F.RECEIPTS,
        "A receipt in a mailbox cannot be read, or carries a record that the store does not have.",
        "keep the receipt: if `yizhan receipt verify` proves it, the store has lost evidence",
    ),
    _C.SUMMARY_DOUBLE: Meaning(
        _F.RECEIPTS,
        "A mailbox has two summaries of one document.",
        f"{_REPAIR}, which keeps the newer one",
        repairable=True,
    ),
    _C.OUTBOX_UNREADABLE: Meaning(
        _F.RECEIPTS,
        "A piece of work in the outbox is of no known kind, or its payload cannot be read.",
        "install the newest version again, if an older one was put back; else call the vendor",
    ),
    _C.OUTBOX_REFERENCE: Meaning(
        _F.RECEIPTS,
        "A piece of work in the outbox is about a document or record that does not exist.",
        "restore the document's rows from a backup; until then the piece fails again and again",
    ),
    _C.OUTBOX_DOUBLE: Meaning(
        _F.RECEIPTS,
        "A receipt waits in the outbox for what was mailed before, or waits twice.",
        f"{_REPAIR}, which removes the later piece",
        repairable=True,
    ),
    _C.OUTBOX_LEASE: Meaning(
        _F.RECEIPTS,
        "A piece of work is leased far into the future, as after a jump of the clock.",
        _REPAIR,
        repairable=True,
    ),
    _C.REMINDER_STATE: Meaning(
        _F.REMINDERS,
        "The state of a reminder is not known, or does not go with its times.",
        "restore the row from a backup",
    ),
    _C.REMINDER_REFERENCE: Meaning(
        _F.REMINDERS,
        "A reminder is about a delivery that its document does not have.",
        "restore the rows from a backup",
    ),
    _C.REMINDER_DOUBLE: Meaning(
        _F.REMINDERS,
        "Two reminders climb the same rung for one delivery and number.",
        "the index of the table is damaged: restore the database from a backup",
    ),
    _C.REMINDER_EVIDENCE: Meaning(
        _F.REMINDERS,
        "A reminder went out or failed without evidence, or the other way round.",
        "restore the rows from a backup; fsck never makes evidence",
    ),
    _C.REMINDER_UNSETTLED: Meaning(
        _F.REMINDERS,
        "A reminder still waits for a delivery that was signed for.",
        f"{_REPAIR}, before somebody is woken for nothing",
        repairable=True,
    ),
    _C.REMINDER_LEASE: Meaning(
        _F.REMINDERS,
        "A reminder is being handed over, by its state, but its lease never ends.",
        _REPAIR,
        repairable=True,
    ),
    _C.MESSAGE_MISSING: Meaning(
        _F.MAILBOXES,
        "A document was delivered, by its rows, but is not in the recipient's mailbox, and its "
        "reader has not removed it.",
        f"{_REPAIR}, which puts it there",
        repairable=True,
    ),
    _C.MESSAGE_DOUBLE: Meaning(
        _F.MAILBOXES,
        "One document lies twice in one mailbox, and neither is a copy that its reader has made.",
        "tell the unit which of both to keep",
    ),
    _C.MESSAGE_UNPROMISED: Meaning(
        _F.MAILBOXES,
        "A document lies in the INBOX of somebody to whom it was not delivered, and nobody who "
        "reads that mailbox reads one that should have it.",
        "tell the security officer; the evidence says who should have it",
    ),
    _C.MESSAGE_SEEN: Meaning(
        _F.MAILBOXES,
        "A message counts as read, or unread, against its flags.",
        _REPAIR,
        repairable=True,
    ),
    _C.SENT_MISSING: Meaning(
        _F.MAILBOXES,
        "The sender's own copy of a document is not in its mailbox, and it has not removed it.",
        f"{_REPAIR}, which puts it there",
        repairable=True,
    ),
    _C.CONTENT_UNKNOWN: Meaning(
        _F.MAILBOXES,
        "A mailbox shows a document, receipt, summary or alert of which there is no row.",
        "restore the document's rows from a backup",
    ),
    _C.CONTENT_SIZE: Meaning(
        _F.MAILBOXES,
        "The size of a message is not that of what a reader gets.",
        "restore the row from a backup; mail clients may show the message cut off",
    ),
    _C.CONTENT_DIGEST: Meaning(
        _F.MAILBOXES,
        "A message is not octet for octet what was put into the mailbox.",
        "restore the row from a backup",
    ),
    _C.CONTENT_STRUCTURE: Meaning(
        _F.MAILBOXES,
        "The stored structure of a message cannot be read or is of another message.",
        f"{_REPAIR}, which reads the message anew",
        repairable=True,
    ),
    _C.FOLDER_UIDNEXT: Meaning(
        _F.MAILBOXES,
        "A folder would give out a UID again.",
        _REPAIR,
        repairable=True,
    ),
    _C.FOLDER_MODSEQ: Meaning(
        _F.MAILBOXES,
        "A folder's highest modification sequence is below that of a message in it.",
        _REPAIR,
        repairable=True,
    ),
    _C.FOLDER_UIDVALIDITY: Meaning(
        _F.MAILBOXES,
        "A mailbox could give a new folder a UIDVALIDITY that was in use.",
        _REPAIR,
        repairable=True,
    ),
    _C.FOLDER_COUNTS: Meaning(
        _F.MAILBOXES,
        "A folder counts other messages or octets than are in it, or calls UIDs recent that it has "
        "not given yet; mail clients show the wrong number, and the quota is reckoned wrongly.",
        f"{_REPAIR}, which counts anew",
        repairable=True,
    ),
    _C.FOLDER_REMOVED: Meaning(
        _F.MAILBOXES,
        "A message lies in a folder that was removed, where no mail client shows it.",
        f"{_REPAIR}, which brings the folder back under a new name",
        repairable=True,
    ),
    _C.UID_REUSED: Meaning(
        _F.MAILBOXES,
        "A message has a UID under which another message of its folder was removed.",
        f"{_REPAIR}, which gives it a new one",
        repairable=True,
    ),
    _C.SEARCH_INDEX: Meaning(
        _F.MAILBOXES,
        "The search index differs from the mail: words are found where they are not, or not found "
        "where they are. No mail is touched by that.",
        f"{_REPAIR}, which empties it; the running post office makes it again from the mail",
        repairable=True,
    ),
}  # fmt: skip


def of_family(family: Family) -> list[Code]:
    """The codes of one family, in their order."""
    return [code for code, meaning in CODES.items() if meaning.family is family]
