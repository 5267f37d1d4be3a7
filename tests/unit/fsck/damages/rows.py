"""Damages of documents, deliveries, blobs, seals and the database file."""

from __future__ import annotations

from gateway.fsck.codes import Code
from tests.unit.fsck.damages.damage import ID, aged, damage, delivery, other, without_constraint
from tests.unit.fsck.lived import Lived


@damage(Code.DATABASE_DAMAGED, only="sqlite")
def index_lost_a_row(store: Lived) -> object:
    """As after a write that never reached the disk: an index that does not know a row."""
    name = "ix_deliveries_unit"
    root = store.one("SELECT rootpage FROM sqlite_master WHERE name = :name", name=name)
    other = store.one("SELECT rootpage FROM sqlite_master WHERE name = 'ix_outbox_due'")
    with store.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        driver.execute("PRAGMA writable_schema=ON")
        driver.execute("UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (other, name))
        driver.execute(
            "UPDATE sqlite_master SET rootpage = ? WHERE name = ?", (root, "ix_outbox_due")
        )
        connection.connection.invalidate()
    store.database.engine.dispose()
    return None


@damage(Code.DATABASE_REFERENCE, only="sqlite")
def envelope_of_nothing(store: Lived) -> object:
    store.sql("INSERT INTO envelope_recipients VALUES (:id, 'a@b', '', '', false)", id=ID)
    return None


@damage(Code.REFERENCE_MISSING)
def unit_that_is_not_there(store: Lived) -> object:
    store.sql("UPDATE documents SET unit_id = 9999 WHERE id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.REFERENCE_MISSING)
def duplicate_of_nothing(store: Lived) -> object:
    store.sql("UPDATE documents SET possible_duplicate_of = :no WHERE id = :id",
              no=ID, id=store["signed"])  # fmt: skip
    return store["signed"]


@damage(Code.REFERENCE_MISSING)
def seal_of_no_unit(store: Lived) -> object:
    store.sql("UPDATE seals SET unit_id = 9999")
    return store.one("SELECT fingerprint FROM seals")


@damage(Code.OFFICE_CERTIFICATE)
def office_certificate_lost(store: Lived) -> object:
    store.sql("UPDATE seal_book SET office_certificate = :none", none=b"")
    return "office"


@damage(Code.SEAL_CERTIFICATE)
def seal_under_another_key(store: Lived) -> object:
    store.sql("UPDATE seals SET certificate = (SELECT office_certificate FROM seal_book)")
    return store.one("SELECT fingerprint FROM seals")


@damage(Code.SEAL_LOG)
def seal_log_lost(store: Lived) -> object:
    store.sql("DELETE FROM seal_log")
    return store.one("SELECT fingerprint FROM seals")


@damage(Code.SEAL_LOG)
def seal_replaced_by_none(store: Lived) -> object:
    store.sql("UPDATE seals SET replaced_at = 1")
    return store.one("SELECT fingerprint FROM seals")


@damage(Code.SEAL_USE)
def use_not_registered(store: Lived) -> object:
    store.sql("DELETE FROM seal_uses")
    return store["sealed"]


@damage(Code.SEAL_USE)
def use_of_an_unsealed_document(store: Lived) -> object:
    store.sql("UPDATE seal_uses SET document_id = :id", id=store["signed"])
    return {store["signed"], store["sealed"]}


@damage(Code.BLOB_MISSING)
def blob_deleted(store: Lived) -> object:
    store.blob(store["signed"]).unlink()
    return store["signed"]


@damage(Code.BLOB_DAMAGED)
def blob_with_one_bit_changed(store: Lived) -> object:
    path = store.blob(store["signed"])
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(octets)
    return store["signed"]


@damage(Code.BLOB_DAMAGED)
def blob_cut_off(store: Lived) -> object:
    path = store.blob(store["signed"])
    path.write_bytes(path.read_bytes()[:-1])
    return store["signed"]


@damage(Code.BLOB_UNREADABLE)
def blob_that_is_a_folder(store: Lived) -> object:
    path = store.blob(store["signed"])
    path.unlink()
    path.mkdir()
    return store["signed"]


@damage(Code.BLOB_ORPHAN)
def blob_of_no_document(store: Lived) -> object:
    path = store.blob(store["signed"]).with_name(other(store["signed"]))
    path.write_bytes(store.blob(store["sealed"]).read_bytes())
    return aged(path)


@damage(Code.BLOB_UNFINISHED)
def blob_never_finished(store: Lived) -> object:
    path = store.blob(store["signed"])
    aged(path.with_name(f".{other(path.name)}.tmp"))
    return other(path.name)


@damage(Code.REFUSAL_CONTENT)
def blob_of_a_refusal(store: Lived) -> object:
    path = store.blob(store["sealed"]).with_name(store["refused"])
    aged(path)
    return store["refused"]


@damage(Code.REFUSAL_CONTENT)
def message_of_a_refusal(store: Lived) -> object:
    store.sql("UPDATE mailbox_contents SET kind = 'document' WHERE kind = 'alert'")
    return store["refused"]


@damage(Code.DOCUMENT_VALUE)
def class_that_nobody_knows(store: Lived) -> object:
    store.sql("UPDATE documents SET message_class = 'leaflet' WHERE id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.DOCUMENT_VALUE)
def refusal_without_reasons(store: Lived) -> object:
    store.sql("UPDATE refusals SET reasons = 'none'")
    return store["refused"]


@damage(Code.DOCUMENT_ENVELOPE, Code.RECORD_SURPLUS)
def envelope_lost(store: Lived) -> object:
    store.sql("DELETE FROM envelope_recipients WHERE document_id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.DELIVERY_STATE)
def consigned_at_no_time(store: Lived) -> object:
    return delivery(store, "consigned_at = NULL", "fresh")


@damage(Code.DELIVERY_STATE)
def signed_by_nobody(store: Lived) -> object:
    return delivery(store, "signed_by = ''", "signed", "unit:water")


@damage(Code.DELIVERY_STATE, Code.RECORD_MISSING)
def returned_for_no_reason(store: Lived) -> object:
    store.sql("UPDATE reminders SET state = 'cancelled' WHERE document_id = :id", id=store["fresh"])
    return delivery(
        store, "state = 'returned', returned_at = 1, returned_by = 'x', returned_way = 'reply'",
        "fresh",
    )  # fmt: skip


@damage(Code.DELIVERY_VIA)
def delivery_past_the_envelope(store: Lived) -> object:
    return delivery(store, "via = 'finance@heping.test'", "fresh")


@damage(Code.DELIVERY_DOUBLE, Code.RECORD_MISSING)
def delivered_twice(store: Lived) -> object:
    without_constraint(store, "deliveries")
    store.sql(
        "INSERT INTO deliveries SELECT id + 1000, document_id, owner, unit_id, address, via, role,"
        " state, consigned_at, signed_at, signed_by, signed_way, returned_at, returned_by,"
        " returned_way, returned_reason, deadline FROM deliveries"
        " WHERE document_id = :id",
        id=store["fresh"],
    )
    return f"{store['fresh']} unit:office"


@damage(Code.TEXT_FORBIDDEN, Code.RECORD_DISAGREES)
def text_of_an_encrypted_document(store: Lived) -> object:
    store.sql("UPDATE documents SET opening = 'not-checked' WHERE id = :id", id=store["signed"])
    return store["signed"]


@damage(Code.TEXT_GAP)
def text_lost(store: Lived) -> object:
    store.sql("DELETE FROM document_texts WHERE ordinal = 0 AND document_id = :id",
              id=store["signed"])  # fmt: skip
    return store["signed"]
