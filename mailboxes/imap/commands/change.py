"""STORE: flags (RFC 3501, 6.4.6; with UNCHANGEDSINCE, RFC 7162)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from mailboxes.imap.done import Done
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.lines import Lines
from mailboxes.imap.ports import FEW, not_allowed, read_only
from mailboxes.imap.syntax import FetchItem, StoreChange, numbers_text
from mailboxes.rows import Flagged

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

_STEP = 1_000  # messages in one transaction


async def store(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """STORE"""
    grammar.space()
    numbers = grammar.numbers()
    grammar.space()
    change = grammar.store_change()
    grammar.end()
    services, selected = session.services, session.selected
    if selected.readonly:
        raise read_only()
    if change.unchanged_since is not None:
        session.enable_condstore()
    uids = selected.pick(numbers, uid=uid)
    allowed = selected.settable(change.flags)
    if not allowed and (change.flags or not selected.changeable):
        raise not_allowed()
    await services.views.refresh(selected.view)
    rows = [row for row in map(selected.row, uids) if row is not None]
    failed: list[int] = []
    touched: list[int] = []
    for start in range(0, len(rows), _STEP):
        some = rows[start : start + _STEP]
        flagged = await _write(session, change, allowed, [row.id for row in some])
        refused = set(flagged.failed)
        failed.extend(flagged.failed)
        touched.extend(row.uid for row in some if row.uid not in refused)
    await services.views.refresh(selected.view)
    await _answer(session, touched, change, uid=uid)
    if failed:
        text = [selected.number(one) for one in failed] if not uid else failed
        return Done("Some had changed meanwhile", f"MODIFIED {numbers_text(sorted(text))}")
    if len(rows) < len(uids):
        return Done("Stored, but some messages were removed meanwhile", "EXPUNGEISSUED")
    return Done("Stored")


async def _write(
    session: Session, change: StoreChange, allowed: list[str], ids: list[int]
) -> Flagged:
    services, selected, person = session.services, session.selected, session.account.person
    now = services.now()

    def write(conn: Connection) -> Flagged:
        add = allowed if change.way == "+" else ()
        remove = allowed if change.way == "-" else ()
        replace = None if change.way else allowed
        return services.store.flag(
            conn, selected.folder_id, ids, add=add, remove=remove, replace=replace,
            fixed=lambda flag: not selected.settable([flag]),
            unchanged_since=change.unchanged_since, now=now, by=person,
        )  # fmt: skip

    try:
        return await services.database.write(write, long=len(ids) > FEW)
    except ValueError as error:
        raise SyntaxFault(str(error)) from None


async def _answer(session: Session, uids: list[int], change: StoreChange, *, uid: bool) -> None:
    """The new flags, of all messages that the command was about; only MODSEQ if it is silent."""
    selected, modseq = session.selected, session.state.condstore
    first = set(uids)
    await session.tell(expunges=False, told=first)
    names = [
        *(("UID",) if uid or modseq or session.state.rev2 else ()),
        *(() if change.silent else ("FLAGS",)),
        *(("MODSEQ",) if modseq else ()),
    ]
    if change.silent and not modseq:
        return
    items = [FetchItem(name, peek=True) for name in names]
    lines = Lines(selected, items, session.services.zone)
    for start in range(0, len(uids), _STEP):
        rows = [row for row in map(selected.row, uids[start : start + _STEP]) if row is not None]
        session.write(lines.of(rows))
        await session.flush_some()
