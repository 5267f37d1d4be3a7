"""COPY, MOVE, EXPUNGE: where messages are (RFC 6851, RFC 4315)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar
from mailboxes.imap.places import Spot, demand, locate
from mailboxes.imap.ports import FEW, Refusal, not_allowed, read_only
from mailboxes.imap.room import make_room
from mailboxes.imap.selected import is_deleted, right_for
from mailboxes.imap.syntax import NumberSet, numbers_text
from mailboxes.rows import Moved

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

_STEP = 1_000  # messages in one transaction


async def copy(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """COPY"""
    numbers, spot = await _arguments(session, grammar)
    demand(spot, "i")
    uids = session.selected.pick(numbers, uid=uid)
    made = await _transfer(session, uids, spot, moving=False)
    if not made:
        return Done("There was nothing to copy")
    return Done("Copied", _copyuid(spot, made))


async def move(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """MOVE: COPYUID comes before the messages vanish (RFC 6851, 4.3)."""
    numbers, spot = await _arguments(session, grammar)
    selected = session.selected
    if selected.readonly:
        raise read_only()
    if not set("te") <= set(selected.rights):
        raise not_allowed()
    demand(spot, "i")
    uids = selected.pick(numbers, uid=uid)
    made = await _transfer(session, uids, spot, moving=True)
    if not made:
        return Done("There was nothing to move")
    session.untagged(f"OK [{_copyuid(spot, made)}] Moved")
    await session.tell(expunges=True)
    return Done("Moved")


async def expunge(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """EXPUNGE, and UID EXPUNGE of some only."""
    numbers = None
    if uid:
        grammar.space()
        numbers = grammar.numbers()
    grammar.end()
    selected = session.selected
    if selected.readonly:
        raise read_only()
    if "e" not in selected.rights:
        raise not_allowed()
    uids = None if numbers is None else selected.by_uid(numbers)
    await expunge_deleted(session, uids)
    await session.tell(expunges=True)
    highest = selected.view.state.modseq
    return Done("Removed", f"HIGHESTMODSEQ {highest}" if session.state.qresync else "")


async def expunge_deleted(session: Session, uids: Sequence[int] | None) -> None:
    """Remove the messages that are marked \\Deleted, of these only if they are given."""
    services, selected, person = session.services, session.selected, session.account.person
    await services.views.refresh(selected.view)
    rows = selected.view.rows
    wanted = [
        rows[uid].id for uid in (selected.uids if uids is None else uids)
        if uid in rows and is_deleted(rows[uid].flags)
    ]  # fmt: skip
    for start in range(0, len(wanted), _STEP):
        some, now = wanted[start : start + _STEP], services.now()
        await services.database.write(
            lambda c, some=some, now=now: services.store.expunge(  # type: ignore[misc]
                c, selected.folder_id, some, now=now, by=person, marked=True
            ),
            long=len(some) > FEW,
        )


async def _arguments(session: Session, grammar: Grammar) -> tuple[NumberSet, Spot]:
    grammar.space()
    numbers = grammar.numbers()
    grammar.space()
    name = grammar.mailbox()
    grammar.end()
    account, tree = session.account, session.services.tree

    def find(conn: Connection) -> Spot:
        try:
            return locate(tree, conn, account, name)
        except Refusal as refusal:
            if refusal.code == "NONEXISTENT":
                refusal.code = "TRYCREATE"
            raise

    return numbers, await session.services.database.glance(find)


async def _transfer(
    session: Session, uids: Sequence[int], spot: Spot, *, moving: bool
) -> list[Moved]:
    """In one transaction, since either all are copied or none (RFC 3501, 6.4.7)."""
    services, selected, person = session.services, session.selected, session.account.person
    await services.views.refresh(selected.view)
    rows = [row for row in (selected.row(uid) for uid in uids) if row is not None]
    if len(rows) < len(uids):
        raise Refusal(
            "Some of the messages were removed meanwhile", "部分邮件已被移走", code="EXPUNGEISSUED"
        )
    if not rows:
        return []
    now, ids = services.now(), [row.id for row in rows]
    octets = sum(row.size for row in rows)

    def may_set(flag: str) -> bool:
        return spot.node.id == selected.folder_id or right_for(flag) in spot.rights

    def write(conn: Connection) -> list[Moved]:
        store, source, target = services.store, selected.folder_id, spot.node.id
        if not moving or selected.owner != spot.root.owner:
            make_room(services, conn, spot.root.owner, octets)
        act = store.move if moving else store.copy
        # With what the account may set there, or a copy would set it (RFC 4314, 4).
        return act(conn, source, ids, target, now=now, by=person, allowed=may_set)

    return await services.database.write(write, long=len(ids) > FEW)


def _copyuid(spot: Spot, made: Sequence[Moved]) -> str:
    ordered = sorted(made, key=lambda one: one.uid)
    old = numbers_text([one.uid for one in ordered])
    new = numbers_text([one.to.uid for one in ordered])
    return f"COPYUID {spot.node.uidvalidity} {old} {new}"
