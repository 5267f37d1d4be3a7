"""What a process remembers of a folder, and how a client counts in it."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable
from typing import Any

import pytest

from mailboxes.imap.folder_view import FolderView, Row, State, _News
from mailboxes.imap.ports import Refusal
from mailboxes.imap.selected import Selected
from mailboxes.imap.syntax import NumberSet, chosen, numbers_text
from tests.mailroom import Mailroom


def row(uid: int, modseq: int, flags: str = "") -> Row:
    return Row(uid, uid, uid, modseq, flags, "\\Seen" in flags, 0, 10, False)


def view_of(*uids: int) -> FolderView:
    view = FolderView(1)
    view.own["wang"] = {}
    take(view, 1, [row(uid, 1) for uid in uids])
    return view


def take(view: FolderView, modseq: int, rows: Iterable[Row], removed: Iterable[int] = ()) -> None:
    uidnext = max([view.state.uidnext, *(one.uid + 1 for one in rows)])
    news = _News(State(7, uidnext, modseq), list(rows), list(removed), {})
    view.take(news)


def selected_in(view: FolderView) -> Selected:
    return Selected(view, "INBOX", "person:wang", "wang", "lrswite", readonly=False)


def news(selected: Selected, *, expunges: bool = True, vanished: bool = False) -> list[bytes]:
    return selected.news(expunges=expunges, vanished=vanished, modseqs=False, uids=True)


def test_changes_are_remembered_one_by_one_until_there_are_too_many() -> None:
    view = view_of(1, 2, 3)
    for modseq in range(2, 200):
        take(view, modseq, [row(1 + modseq % 3, modseq)])
    change = view.since(198)
    assert change is not None
    assert change.changed == (1 + 199 % 3,)
    assert view.since(199) is not None
    for modseq in range(200, 600):
        take(view, modseq, [row(1 + modseq % 3, modseq)])
    assert view.since(300) is None, "a client that far behind looks at all messages"
    assert view.since(590) is not None
    assert view.since(600) is not None


@pytest.mark.parametrize("seed", range(20))
def test_a_client_far_behind_is_told_the_same_as_one_that_was_told_each_time(seed: int) -> None:
    dice = random.Random(seed)
    view = view_of(*range(1, 30))
    often, seldom = selected_in(view), selected_in(view)
    flags_often: dict[int, bytes] = {}
    for modseq in range(2, 400):
        uids = list(view.uids)
        if not uids or dice.random() < 0.4:
            take(view, modseq, [row(view.state.uidnext, modseq)])
        elif dice.random() < 0.5:
            take(view, modseq, [], [dice.choice(uids)])
        else:
            take(view, modseq, [row(dice.choice(uids), modseq, dice.choice(("", "\\Flagged")))])
        lines = news(often, expunges=dice.random() < 0.7)
        flags_often.update(
            {int(one.split()[4]): one.split(b"FLAGS")[1] for one in lines if b"FETCH" in one}
        )
    news(often)
    lines = news(seldom)
    assert list(often.uids) == list(seldom.uids) == list(view.uids)
    for one in lines:
        if b"FETCH" in one:
            uid = int(one.split()[4])
            if uid in flags_often:
                assert flags_often[uid] == one.split(b"FLAGS")[1]
            assert int(one.split()[1]) == list(view.uids).index(uid) + 1
    assert news(often) == news(seldom) == []


@pytest.mark.parametrize("seed", range(20))
def test_what_has_changed_and_been_read_is_found_as_by_looking_at_all(seed: int) -> None:
    """Whatever modification sequence is asked for, also one inside of a change."""
    dice = random.Random(seed)
    view = view_of(*range(1, 40))
    modseq = 1
    for _ in range(dice.choice((20, 600))):
        some = dice.sample(list(view.uids), min(dice.randint(1, 4), len(view.uids)))
        modseqs = [modseq := modseq + dice.randint(1, 3) for _ in some]
        flags = dice.choice(("", "\\Seen"))
        gone = [dice.choice(list(view.uids))] if dice.random() < 0.1 else []
        changed = [row(u, m, flags) for u, m in zip(some, modseqs, strict=True) if u not in gone]
        if dice.random() < 0.3:
            changed.append(row(view.state.uidnext, modseq))
        take(view, modseq, changed, gone)
        unread = [uid for uid in view.uids if not view.rows[uid].seen]
        assert view.unseen("wang") == len(unread)
        assert view.first_unseen("wang") == (list(view.uids).index(unread[0]) + 1 if unread else 0)
    selected = selected_in(view)
    numbers = NumberSet(((2, 9), (5, 5), (14, None)))
    for since in range(max(0, modseq - 300), modseq + 2):
        touched = view.touched(since)
        wanted = {uid for uid, one in view.rows.items() if one.modseq > since}
        assert touched is None or touched >= wanted
        for uid in (False, True):
            found = selected.pick_of(
                touched if touched is not None else view.rows, numbers, uid=uid
            )
            there = [one for one in found if one in wanted]
            assert there == [one for one in selected.pick(numbers, uid=uid) if one in wanted]


def test_numbers_change_only_when_the_client_is_told() -> None:
    view = view_of(1, 2, 3, 4)
    selected = selected_in(view)
    take(view, 2, [row(5, 2)], [2, 3])
    assert news(selected, expunges=False) == [b"* 5 EXISTS\r\n", b"* 0 RECENT\r\n"]
    assert selected.number(4) == 4
    assert selected.by_number(NumberSet(((2, 3),))) == [2, 3]
    assert [selected.row(uid) for uid in (2, 3)] == [None, None]
    assert news(selected) == [b"* 3 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n"]
    assert list(selected.uids) == [1, 4, 5]
    assert selected.number(4) == 2


def test_what_came_and_went_between_two_looks_is_not_told() -> None:
    view = view_of(1)
    selected = selected_in(view)
    take(view, 2, [row(2, 2)])
    take(view, 3, [], [2])
    assert news(selected, vanished=True) == []
    take(view, 4, [row(3, 4)], [1])
    assert news(selected, vanished=True) == [
        b"* VANISHED 1\r\n", b"* 1 EXISTS\r\n", b"* 0 RECENT\r\n",
    ]  # fmt: skip


def test_sets_of_numbers() -> None:
    selected = selected_in(view_of(5, 6, 9))
    assert selected.by_uid(NumberSet(((6, 0),))) == [6, 9]
    assert selected.by_uid(NumberSet(((100, 0),))) == [9], "RFC 3501: 100:* has the last one"
    assert selected.by_uid(NumberSet(((1, 5), (4, 6), (9, 9)))) == [5, 6, 9]
    assert selected.by_number(NumberSet(((0, 2),))) == [6, 9]
    for wrong in ((4, 4), (1, 9)):
        with pytest.raises(Refusal):
            selected.by_number(NumberSet((wrong,)))
        assert selected.by_number(NumberSet((wrong,)), lenient=True) == [
            uid for n, uid in enumerate((5, 6, 9), 1) if wrong[0] <= n <= wrong[1]
        ]
    selected.saved = [5, 7, 9]
    assert selected.by_uid(NumberSet((), saved=True)) == [5, 9]
    empty = selected_in(view_of())
    assert empty.by_uid(NumberSet(((1, 0),))) == []


def test_choosing_from_ranges_is_the_same_as_asking_each() -> None:
    ranges = NumberSet(((9, 3), (20, 0), (5, 6), (10, 10))).bounded(25)
    assert ranges == [(3, 10), (20, 25)]
    assert chosen([30, 1, 3, 10, 11, 22, 25], ranges) == [3, 10, 22, 25]
    assert chosen([3, 1, 2], None) == [1, 2, 3]
    assert numbers_text([1, 2, 3, 5, 9, 10]) == "1:3,5,9:10"


def test_own_marks_go_with_the_message() -> None:
    view = view_of(1, 2)
    view.own["wang"] = {1: True}
    assert view.unseen("wang") == 1
    assert view.first_unseen("wang") == 2
    assert view.flags(1, "wang") == "\\Seen"
    assert view.flags(1, "li") == ""
    take(view, 2, [], [1])
    assert view.own["wang"] == {}
    assert list(view.uids) == list(array("I", [2]))


async def test_what_changes_many_messages_delays_nobody_else(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units of work and short looks are done in the event loop: to copy 8,000 messages took all
    other clients two thirds of a second."""
    client = await room.client(select="INBOX")
    await client.append(b"Subject: a\r\n\r\n")
    for _ in range(9):
        await client.ok("COPY 1:* INBOX")
    write, done = room.database.write, []

    async def noted(work: Any, kind: str = "", *, long: bool = False) -> Any:
        done.append(long)
        return await write(work, kind, long=long)

    monkeypatch.setattr(room.database, "write", noted)
    for command in (
        "COPY 1:* Sent", "STORE 1:* +FLAGS (\\Flagged)", "FETCH 1:* BODY[]", "MOVE 1:* Sent",
        "SELECT Sent", "STORE 1:* +FLAGS (\\Deleted)", "EXPUNGE",
    ):  # fmt: skip
        done.clear()
        await client.ok(command)
        assert any(done) is (command != "SELECT Sent"), command
    await client.ok("SELECT INBOX")
    done.clear()
    await client.append(b"Subject: a\r\n\r\n")
    await client.ok("COPY 1 INBOX")
    assert not any(done)
