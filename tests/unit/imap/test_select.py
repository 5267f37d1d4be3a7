"""SELECT tells of one moment; what comes later is told later."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.mailroom import Mailroom

pytestmark = pytest.mark.one_database("it is about what a process tells its clients")

LETTER = b"Subject: a\r\n\r\n\r\n"


async def test_a_message_that_comes_during_select_is_not_lost_to_a_client_that_comes_back(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIGHESTMODSEQ was told with that message in it, EXISTS without."""
    other = await room.client(select="INBOX")
    await other.append(LETTER)
    client = await room.client()
    await client.ok("ENABLE QRESYNC")
    real = client.session.claim_recent

    async def claim(selected: Any) -> None:
        await real(selected)
        await other.append(LETTER)

    monkeypatch.setattr(client.session, "claim_recent", claim)
    room.now(lambda c: room.store.append(c, [_inbox(room, c)], 1, now=_now()))
    told = b"\n".join(await client.ok("SELECT INBOX"))
    exists, highest, validity, uidnext = (
        int(re.search(pattern, told)[1])  # type: ignore[index]
        for pattern in (rb"(\d+) EXISTS", rb"HIGHESTMODSEQ (\d+)", rb"UIDVALIDITY (\d+)",
                        rb"UIDNEXT (\d+)")
    )  # fmt: skip
    assert uidnext == exists + 1
    await client.hang_up()
    client = await room.client()
    await client.ok("ENABLE QRESYNC")
    later = b"\n".join(await client.ok(f"SELECT INBOX (QRESYNC ({validity} {highest}))"))
    assert int(re.search(rb"(\d+) EXISTS", later)[1]) - exists == later.count(b" FETCH (")  # type: ignore[index]


def _inbox(room: Mailroom, conn: Any) -> int:
    return room.store.folder_id(conn, "person:wang", "INBOX")


def _now() -> Any:
    from tests.mailroom import NOW

    return NOW


async def test_a_select_that_fails_leaves_nothing_selected(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await room.client(select="INBOX")

    async def claim(_selected: Any) -> None:
        raise RuntimeError("the disk is full")

    await client.append(LETTER, "Sent")
    monkeypatch.setattr(client.session, "claim_recent", claim)
    await client.fails("SELECT Sent")
    await client.fails("FETCH 1:* FLAGS", "BAD")
    await client.fails("SELECT Nowhere")
    await client.fails("FETCH 1:* FLAGS", "BAD")
    assert room.services.views._views[1].users == 0


async def test_what_a_colleague_has_rescued_is_not_removed(
    room: Mailroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EXPUNGE removed what was marked when it looked, not what was marked when it wrote."""
    client = await room.client(select="INBOX")
    for _ in range(2):
        await client.append(LETTER)
    await client.ok("STORE 1:2 +FLAGS (\\Deleted)")
    colleague = await room.client(select="INBOX")
    real = room.database.write

    async def write(work: Any, kind: str = "", *, long: bool = False) -> Any:
        monkeypatch.undo()
        await colleague.ok("STORE 2 -FLAGS (\\Deleted)")
        return await real(work, kind, long=long)

    monkeypatch.setattr(room.database, "write", write)
    await client.ok("EXPUNGE")
    assert await client.uids() == [2]
