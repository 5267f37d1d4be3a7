"""Damages of evidence and of its log."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

from gateway.fsck.codes import Code
from tests.unit.fsck.damages.damage import damage, delivery, record
from tests.unit.fsck.lived import Lived


@damage(Code.RECORD_DIGEST)
def record_with_other_octets(store: Lived) -> object:
    found = record(store, "")
    octets = bytes(store.one("SELECT octets FROM evidence_records WHERE id = :id", id=found))
    return record(store, "octets = :octets", octets=octets.replace(b"office", b"OFFICE"))


@damage(Code.RECORD_DIGEST)
def record_with_another_digest(store: Lived) -> object:
    return record(store, "digest = :digest", digest="0" * 64)


@damage(Code.RECORD_FORM, Code.RECORD_SIGNATURE, Code.RECORD_CHAIN, Code.LOG_NODE,
        Code.RECEIPT_DAMAGED)  # fmt: skip
def record_that_is_no_record(store: Lived) -> object:
    octets = b'{"version":1}'
    digest = sha256(octets).hexdigest()
    return record(store, "octets = :octets, digest = :digest", octets=octets, digest=digest)


@damage(Code.RECORD_KEY, Code.RECORD_ROW)
def record_of_an_unknown_key(store: Lived) -> object:
    return record(store, "key_id = :key", key="0" * 32)


@damage(Code.RECORD_SIGNATURE)
def record_with_another_signature(store: Lived) -> object:
    return record(store, "signature = :signature", signature=bytes(64))


@damage(Code.RECORD_ROW)
def row_of_another_time(store: Lived) -> object:
    return record(store, "at = at + 1", sequence=1)


@damage(Code.RECORD_CHAIN, Code.RECORD_SIGNATURE, Code.LOG_NODE, Code.RECEIPT_DAMAGED)
def record_that_follows_another(store: Lived) -> object:
    found = record(store, "", 3)
    octets = bytes(store.one("SELECT octets FROM evidence_records WHERE id = :id", id=found))
    value = json.loads(octets)
    octets = octets.replace(value["previous"].encode(), b"0" * 64)
    digest = sha256(octets).hexdigest()
    record(store, "octets = :octets, digest = :digest", 3, octets=octets, digest=digest)
    return {found, record(store, "", 4)}  # the next one does not follow it any more


@damage(Code.RECORD_GAP, Code.RECORD_MISSING, Code.LOG_NUMBER, Code.RECEIPT_DAMAGED)
def record_deleted(store: Lived) -> object:
    found = record(store, "")
    store.sql("DELETE FROM evidence_records WHERE id = :id", id=found)
    store.sql("DELETE FROM log_entries WHERE record_id = :id", id=found)
    return f"{store['signed']} 2"


@damage(Code.RECORD_ORPHAN, Code.OUTBOX_REFERENCE, Code.CONTENT_UNKNOWN, Code.REMINDER_REFERENCE,
        Code.REMINDER_EVIDENCE)  # fmt: skip
def document_deleted(store: Lived) -> object:
    store.sql("DELETE FROM envelope_recipients WHERE document_id = :id", id=store["signed"])
    store.sql("DELETE FROM deliveries WHERE document_id = :id", id=store["signed"])
    store.sql("DELETE FROM document_texts WHERE document_id = :id", id=store["signed"])
    store.sql("DELETE FROM documents WHERE id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.RECORD_DISAGREES)
def another_sender(store: Lived) -> object:
    store.sql("UPDATE documents SET number = '1' WHERE id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.RECORD_DISAGREES)
def signed_at_another_time(store: Lived) -> object:
    delivery(store, "signed_at = signed_at + 1", "signed", "unit:water")
    return store["signed"]


@damage(Code.RECORD_MISSING)
def signed_without_evidence(store: Lived) -> object:
    delivery(
        store, "state = 'signed', signed_at = 1, signed_by = 'x', signed_way = 'reply'", "fresh"
    )
    store.sql("UPDATE reminders SET state = 'cancelled' WHERE document_id = :id", id=store["fresh"])
    return f"{store['fresh']} ConsignmentAcceptance office@heping.test"


@damage(Code.RECORD_MISSING)
def returned_without_evidence(store: Lived) -> object:
    delivery(
        store, "state = 'returned', returned_at = 1, returned_by = 'x', returned_way = 'reply',"
        " returned_reason = 'y'", "signed", "unit:water",
    )  # fmt: skip
    return f"{store['signed']} ConsignmentRejection water@heping.test"


@damage(Code.RECORD_SURPLUS)
def sign_for_forgotten(store: Lived) -> object:
    delivery(
        store, "state = 'consigned', signed_at = NULL, signed_by = '', signed_way = ''",
        "signed", "unit:water",
    )  # fmt: skip
    return f"{store['signed']} ConsignmentAcceptance water@heping.test"


@damage(Code.KEY_CERTIFICATE)
def key_certified_by_nobody(store: Lived) -> object:
    certified = str(store.one("SELECT certified FROM evidence_keys"))
    lines = certified.splitlines()
    lines[3] = base64.b64encode(bytes(48)).decode()
    store.sql("UPDATE evidence_keys SET certified = :word", word="\n".join(lines))
    return store.one("SELECT id FROM evidence_keys")


@damage(Code.LOG_ENTRY)
def record_not_entered(store: Lived) -> object:
    found = store.one(
        "SELECT record_id FROM log_entries WHERE number IS NULL ORDER BY record_id LIMIT 1"
    )
    store.sql("DELETE FROM log_entries WHERE record_id = :id", id=found)
    return found


@damage(Code.LOG_NUMBER, Code.LOG_ENTRY)
def number_lost(store: Lived) -> object:
    store.sql("DELETE FROM log_entries WHERE number = 7")
    return 7


@damage(Code.LOG_NODE)
def leaf_changed(store: Lived) -> object:
    return _node(store, 0, 5)


@damage(Code.LOG_NODE)
def node_changed(store: Lived) -> object:
    return _node(store, 3, 1)


@damage(Code.LOG_NODE)
def node_lost(store: Lived) -> object:
    store.sql('DELETE FROM log_nodes WHERE level = 2 AND "index" = 3')
    return "2/3"


@damage(Code.LOG_NODE)
def node_beyond_the_end(store: Lived) -> object:
    store.sql("INSERT INTO log_nodes VALUES (4, 77, :hash)", hash=bytes(32))
    return "4/77"


def _node(store: Lived, level: int, index: int) -> str:
    store.sql('UPDATE log_nodes SET hash = :hash WHERE level = :level AND "index" = :index',
              hash=bytes(32), level=level, index=index)  # fmt: skip
    return f"{level}/{index}"


@damage(Code.CHECKPOINT_ROOT, Code.CHECKPOINT_NOTE)
def another_root(store: Lived) -> object:
    store.sql("UPDATE checkpoints SET root = :root WHERE size = 5", root=bytes(32))
    return _checkpoint(store, 5)


@damage(Code.CHECKPOINT_NOTE)
def note_that_nobody_signed(store: Lived) -> object:
    size = store.one("SELECT max(size) FROM checkpoints")
    note = str(store.one("SELECT note FROM checkpoints WHERE size = :size", size=size))
    head, _, line = note.partition("\n\n")
    words = line.split(" ")
    words[2] = base64.b64encode(base64.b64decode(words[2])[:4] + bytes(64)).decode() + "\n"
    store.sql("UPDATE checkpoints SET note = :note WHERE size = :size",
              note=f"{head}\n\n{' '.join(words)}", size=size)  # fmt: skip
    return size


def _checkpoint(store: Lived, size: int) -> int:
    assert store.one("SELECT count(*) FROM checkpoints WHERE size = :size", size=size) == 1
    return size
