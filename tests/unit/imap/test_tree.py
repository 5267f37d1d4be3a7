"""The folders' rows: names, UIDVALIDITY, what was told of \\Recent, and what a mailbox holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from mailboxes.content import Content
from mailboxes.errors import FolderExists, NoSuchFolder, Veto
from mailboxes.tree import Node, checked_name
from tests.mailroom import NOW, Mailroom

OWNER = "person:wang"


@pytest.fixture
def mailbox(make_room: Callable[..., Mailroom]) -> Mailroom:
    room = make_room()
    room.mailbox(OWNER)
    return room


def node(room: Mailroom, name: str) -> Node:
    return room.database.read_now(lambda c: room.tree.node(c, OWNER, name))


async def test_a_name_that_is_used_again_is_another_folder(mailbox: Mailroom) -> None:
    """Whatever the clock says: it may stand still, or go back."""
    seen: set[int] = {one.uidvalidity for one in _nodes(mailbox)}
    ids = {one.id for one in _nodes(mailbox)}
    for hours in (0, 0, -5, 3):
        at = NOW + timedelta(hours=hours)
        made = mailbox.now(lambda c, at=at: mailbox.tree.create(c, OWNER, "A/B", at))  # type: ignore[misc]
        assert made.uidvalidity > max(seen)
        assert not ids & {made.id, node(mailbox, "A").id}
        seen.add(made.uidvalidity)
        ids |= {made.id, node(mailbox, "A").id}
        for name in ("A/B", "A"):
            mailbox.now(lambda c, name=name: mailbox.tree.delete(c, OWNER, name, NOW))  # type: ignore[misc]
    assert {one.name for one in _nodes(mailbox)} == {"INBOX", "Sent"}


def _nodes(room: Mailroom) -> list[Node]:
    return room.database.read_now(lambda c: room.tree.nodes(c, OWNER))


async def test_what_cannot_be_done_is_said_and_nothing_is_done(mailbox: Mailroom) -> None:
    tree = mailbox.tree
    mailbox.now(lambda c: tree.create(c, OWNER, "A/B", NOW))
    before = _nodes(mailbox)
    for error, act in (
        (FolderExists, lambda c: tree.create(c, OWNER, "A", NOW)),
        (FolderExists, lambda c: tree.create(c, OWNER, "inbox", NOW)),
        (NoSuchFolder, lambda c: tree.create(c, "person:nobody", "A", NOW)),
        (ValueError, lambda c: tree.create(c, OWNER, "a//b", NOW)),
        (NoSuchFolder, lambda c: tree.rename(c, OWNER, "X", "Y", NOW)),
        (FolderExists, lambda c: tree.rename(c, OWNER, "A", "Sent", NOW)),
        (ValueError, lambda c: tree.rename(c, OWNER, "A", "A/C", NOW)),
        (ValueError, lambda c: tree.rename(c, OWNER, "A", "x/" * 19 + "y", NOW)),
        (Veto, lambda c: tree.rename(c, OWNER, "INBOX", "Y", NOW)),
        (Veto, lambda c: tree.delete(c, OWNER, "INBOX", NOW)),
        (NoSuchFolder, lambda c: tree.delete(c, OWNER, "X", NOW)),
    ):
        with pytest.raises(error):
            mailbox.now(act)
    assert [(one.id, one.name) for one in _nodes(mailbox)] == [(one.id, one.name) for one in before]
    deep = "/".join("abcdefghijklmnopqrs")
    mailbox.now(lambda c: tree.create(c, OWNER, deep, NOW))
    with pytest.raises(ValueError, match="levels"):
        mailbox.now(lambda c: tree.rename(c, OWNER, "a", "x/y/z", NOW))


async def test_a_folder_that_is_not_empty_is_not_removed(mailbox: Mailroom) -> None:
    content = Content.of_octets(b"Subject: a\r\n\r\n", key="k", kind="filed")

    def file(conn):  # type: ignore[no-untyped-def]
        content_id = mailbox.store.add_content(conn, content, NOW)
        sent = mailbox.store.folder_id(conn, OWNER, "Sent")
        return mailbox.store.append(conn, [sent], content_id, now=NOW)

    [made] = mailbox.now(file)
    with pytest.raises(Veto):
        mailbox.now(lambda c: mailbox.tree.delete(c, OWNER, "Sent", NOW))
    assert (node(mailbox, "Sent").messages, node(mailbox, "Sent").octets) == (1, 14)
    assert mailbox.database.read_now(lambda c: mailbox.tree.usage(c, OWNER)) == (14, 1, None)
    mailbox.now(lambda c: mailbox.tree.limit(c, OWNER, 100))
    mailbox.now(lambda c: mailbox.store.expunge(c, made.folder_id, [made.message_id], now=NOW))
    assert mailbox.database.read_now(lambda c: mailbox.tree.usage(c, OWNER)) == (0, 0, 100)
    mailbox.now(lambda c: mailbox.tree.delete(c, OWNER, "Sent", NOW))
    assert mailbox.database.read_now(lambda c: mailbox.tree.usage(c, "person:no")) == (0, 0, None)


async def test_recent_is_given_to_one_client_only(mailbox: Mailroom) -> None:
    inbox = node(mailbox, "INBOX").id

    def claim(up_to: int) -> int:
        return mailbox.now(lambda c: mailbox.tree.claim_recent(c, inbox, up_to))

    assert [claim(4), claim(4), claim(3), claim(9), claim(9)] == [1, 4, 3, 4, 9]


async def test_rights_given_by_hand_go_with_their_folder(mailbox: Mailroom) -> None:
    tree = mailbox.tree
    made = mailbox.now(lambda c: tree.create(c, OWNER, "A", NOW))
    mailbox.now(lambda c: tree.set_acl(c, made.id, "li", "lr"))
    mailbox.now(lambda c: tree.set_acl(c, made.id, "li", "lrs"))
    mailbox.now(lambda c: tree.set_acl(c, made.id, "$clerk", ""))
    acl = {"li": "lrs", "$clerk": ""}
    assert mailbox.database.read_now(lambda c: tree.acl(c, made.id)) == acl
    mailbox.now(lambda c: tree.rename(c, OWNER, "A", "B/A", NOW))
    assert mailbox.database.read_now(lambda c: tree.all_acls(c, OWNER)) == {made.id: acl}
    mailbox.now(lambda c: tree.delete(c, OWNER, "B/A", NOW))
    assert mailbox.database.read_now(lambda c: tree.all_acls(c, OWNER)) == {}


@pytest.mark.parametrize("name", ["", "/", "a//b", " a", "a ", "a/ b", "\x7f3", "a\nb", "a" * 501])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="folder's name"):
        checked_name(name)


def test_the_spelling_of_a_name() -> None:
    assert checked_name("inBox") == "INBOX"
    assert checked_name("inbox/a/") == "INBOX/a"
    assert checked_name("文件柜/inbox") == "文件柜/inbox"
