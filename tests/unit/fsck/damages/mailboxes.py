"""Damages of mailboxes."""

from __future__ import annotations

from gateway.fsck.codes import Code
from mailboxes.folders import REMOVED
from tests.unit.fsck.damages.damage import (
    ID,
    content,
    damage,
    delivery,
    folder,
    lose,
    mail_again,
    messages,
)
from tests.unit.fsck.lived import Lived


@damage(Code.MESSAGE_MISSING)
def delivered_message_lost(store: Lived) -> object:
    [message] = messages(store, "signed", "unit:water")
    lose(store, message)
    return delivery(store, "role = role", "signed", "unit:water")


@damage(Code.MESSAGE_MISSING)
def one_of_both_lost_by_who_sent_to_itself(store: Lived) -> object:
    message = max(messages(store, "sealed", "unit:office"))
    lose(store, message)
    return delivery(store, "role = role", "sealed", "unit:office")


@damage(Code.SENT_MISSING)
def own_copy_lost(store: Lived) -> object:
    [message] = messages(store, "fresh", "unit:water")
    lose(store, message)
    return store["fresh"]


@damage(Code.MESSAGE_DOUBLE)
def document_put_twice_into_a_mailbox(store: Lived) -> object:
    mail_again(store, "document", "fresh")
    return f"{store['fresh']} unit:water"


@damage(Code.MESSAGE_UNPROMISED)
def document_in_a_strange_mailbox(store: Lived) -> object:
    folder = store.one(
        "SELECT f.id FROM mailbox_folders f JOIN mailbox_owners o ON o.id = f.owner_id"
        " WHERE o.owner = 'unit:finance' AND f.name = 'INBOX'"
    )
    mail_again(store, "document", "fresh", str(folder))
    return f"{store['fresh']} unit:finance"


@damage(Code.MESSAGE_SEEN)
def read_against_its_flags(store: Lived) -> object:
    [message] = messages(store, "signed", "unit:water")
    store.sql("UPDATE mailbox_messages SET seen = NOT seen WHERE id = :id", id=message)
    return message


@damage(Code.CONTENT_UNKNOWN, Code.RECEIPT_MISSING)
def receipt_about_nothing(store: Lived) -> object:
    content = store.one(
        "SELECT id FROM mailbox_contents WHERE kind = 'receipt' AND key = :id", id=store["refused"]
    )
    store.sql("UPDATE mailbox_contents SET key = :no WHERE id = :id", no=ID, id=content)
    return content


@damage(Code.CONTENT_SIZE, Code.FOLDER_COUNTS)
def view_of_another_size(store: Lived) -> object:
    return content(store, "size = size + 1", "document", "signed")


@damage(Code.CONTENT_SIZE)
def view_cut_backwards(store: Lived) -> object:
    return content(store, "cuts = '[[9, 5]]'", "document", "signed")


@damage(Code.CONTENT_SIZE, Code.FOLDER_COUNTS)
def receipt_of_another_size(store: Lived) -> object:
    return content(store, "size = size + 1", "receipt", "signed")


@damage(Code.CONTENT_DIGEST)
def receipt_with_another_digest(store: Lived) -> object:
    return content(store, "digest = :digest", "receipt", "signed", digest="0" * 64)


@damage(Code.CONTENT_STRUCTURE)
def structure_that_cannot_be_read(store: Lived) -> object:
    return content(store, "structure = '[2, []]'", "document", "signed")


@damage(Code.CONTENT_STRUCTURE)
def envelope_that_cannot_be_read(store: Lived) -> object:
    return content(store, "envelope = 'x'", "document", "signed")


@damage(Code.FOLDER_UIDNEXT)
def folder_that_would_give_a_uid_again(store: Lived) -> object:
    return folder(store, "uidnext = 1")


@damage(Code.FOLDER_MODSEQ)
def folder_behind_its_messages(store: Lived) -> object:
    return folder(store, "modseq = 1")


@damage(Code.FOLDER_UIDNEXT)
def folder_that_would_give_the_uid_of_a_removed_message(store: Lived) -> object:
    return _removed(store, "uidnext", "1")


@damage(Code.FOLDER_MODSEQ)
def folder_behind_what_was_removed(store: Lived) -> object:
    return _removed(store, "1", "modseq + 1")


def _removed(store: Lived, uid: str, modseq: str) -> int:
    found = folder(store, "uidnext = uidnext + 5")
    row = store.sql("SELECT uidnext, modseq FROM mailbox_folders WHERE id = :id", id=found)[0]
    store.sql(
        "INSERT INTO mailbox_expunged (folder_id, uid, modseq, key, kind)"
        " VALUES (:id, :uid, :modseq, '', '')",
        id=found,
        uid=row.uidnext if uid == "uidnext" else row.uidnext - 1,
        modseq=row.modseq + 1 if "+" in modseq else 1,
    )
    return found


@damage(Code.FOLDER_COUNTS)
def folder_that_counts_a_message_too_many(store: Lived) -> object:
    return folder(store, "messages = messages + 1")


@damage(Code.FOLDER_COUNTS)
def folder_that_counts_too_few_octets(store: Lived) -> object:
    return folder(store, "octets = octets - 1")


@damage(Code.FOLDER_COUNTS)
def folder_with_recent_messages_of_tomorrow(store: Lived) -> object:
    return folder(store, "recent = uidnext + 1")


@damage(Code.FOLDER_COUNTS)
def removed_folder_that_counts_what_was_in_it(store: Lived) -> object:
    return folder(store, f"name = '{REMOVED}' || id, messages = 1, octets = 9", "已删除")


@damage(Code.FOLDER_REMOVED)
def folder_removed_under_its_messages(store: Lived) -> object:
    return folder(store, f"name = '{REMOVED}' || id")


@damage(Code.FOLDER_UIDVALIDITY)
def mailbox_that_forgot_its_uidvalidity(store: Lived) -> object:
    store.sql("UPDATE mailbox_owners SET uidvalidity = 1 WHERE owner = 'unit:water'")
    return "unit:water"


@damage(Code.UID_REUSED)
def uid_of_a_removed_message_given_again(store: Lived) -> object:
    [message] = messages(store, "signed", "unit:water")
    store.sql(
        "INSERT INTO mailbox_expunged (folder_id, uid, modseq, key, kind)"
        " SELECT folder_id, uid, 1, '', '' FROM mailbox_messages WHERE id = :id",
        id=message,
    )
    return message
