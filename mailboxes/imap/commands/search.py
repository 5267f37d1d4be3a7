"""SEARCH, SORT, THREAD (RFC 3501, 4731, 5182, 5256)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Connection

from mailboxes.imap import threads
from mailboxes.imap.done import Done
from mailboxes.imap.facts import Facts
from mailboxes.imap.folder_view import Row
from mailboxes.imap.grammar import Grammar, SyntaxFault
from mailboxes.imap.matching import Matcher, highest, needs_contents, uses_modseq
from mailboxes.imap.syntax import SearchKey, numbers_text

if TYPE_CHECKING:
    from mailboxes.imap.session import Session

T = TypeVar("T")

_AT_ONCE = 2_000  # messages that are looked through in the event loop


async def search(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SEARCH"""
    grammar.space()
    program = grammar.search_program()
    grammar.end()
    if uses_modseq(program.key):
        session.enable_condstore()
    returns = program.returns
    if returns is not None and "SAVE" in returns:
        session.selected.saved = []
    rows = await _run(session, program.key, lambda _conn, rows: rows)
    numbers = _numbers(session, rows, uid=uid)
    modseq = highest(rows) if uses_modseq(program.key) and rows else 0
    if returns is None and not session.state.rev2:
        tail = f" (MODSEQ {modseq})" if modseq else ""
        session.untagged(" ".join(["SEARCH", *map(str, numbers)]) + tail)
        return Done("Searched")
    _esearch(session, program.returns or ("ALL",), rows, numbers, modseq, uid=uid)
    return Done("Searched")


async def sort(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """SORT"""
    grammar.space()
    returns = grammar.returns()
    criteria = grammar.sort_criteria()
    grammar.space()
    program = grammar.sorted_program()
    grammar.end()

    def order(conn: Connection | None, rows: Sequence[Row]) -> list[Row]:
        names = {name for name, _ in criteria}
        book, ids = session.services.facts, [row.content_id for row in rows]
        assert conn is not None  # noqa: S101  # asked for by `always`
        sent = book.sent(conn, ids) if "DATE" in names else {}
        facts = book.look(conn, ids) if names - {"ARRIVAL", "SIZE", "DATE"} else {}
        ordered = list(rows)
        for name, reverse in reversed(criteria):
            if name == "DATE":
                ordered.sort(key=lambda row: _sent(row, sent.get(row.content_id)), reverse=reverse)
                continue
            key = _SORT_KEYS[name]
            ordered.sort(key=lambda row: key(row, facts.get(row.content_id)), reverse=reverse)
        return ordered

    rows = await _run(session, program.key, order, always=True)
    numbers = _numbers(session, rows, uid=uid)
    if returns is not None:
        modseq = highest(rows) if uses_modseq(program.key) and rows else 0
        _esearch(session, returns, rows, numbers, modseq, uid=uid)
    else:
        session.untagged(" ".join(["SORT", *map(str, numbers)]))
    return Done("Sorted")


async def thread(session: Session, grammar: Grammar, *, uid: bool) -> Done:
    """THREAD"""
    grammar.space()
    algorithm = grammar.word("the name of an algorithm")
    make = {"ORDEREDSUBJECT": threads.by_subject, "REFERENCES": threads.by_references}.get(
        algorithm
    )
    if make is None:
        raise SyntaxFault("THREAD knows ORDEREDSUBJECT and REFERENCES")
    grammar.space()
    program = grammar.sorted_program()
    grammar.end()
    selected = session.selected

    def draw(conn: Connection | None, rows: Sequence[Row]) -> bytes:
        facts = _facts(session, conn, rows)
        posts = [
            threads.Post(
                row.uid if uid else selected.number(row.uid),
                _sent(row, facts[row.content_id].sent),
                facts[row.content_id],
            )
            for row in rows
            if row.content_id in facts
        ]
        return make(posts)

    drawn = await _run(session, program.key, draw, always=True)
    session.write(b"* THREAD %s\r\n" % drawn if drawn else b"* THREAD\r\n")
    return Done("Threaded")


async def _run(
    session: Session,
    key: SearchKey,
    then: Callable[[Connection | None, Sequence[Row]], T],
    *,
    always: bool = False,
) -> T:
    """Search, and do `then` with what was found, where it delays nobody; with a connection if the
    keys need one, or `always`."""
    services, selected = session.services, session.selected
    await services.views.refresh(selected.view)
    matcher = Matcher(
        selected, services.search, services.facts, services.loader, services.zone, services.now()
    )

    def work(conn: Connection | None) -> T:
        return then(conn, matcher.find(conn, key))

    if always or needs_contents(key):
        return await services.database.read(work)
    if len(matcher.rows) <= _AT_ONCE:
        return work(None)
    return await asyncio.to_thread(work, None)


def _facts(session: Session, conn: Connection | None, rows: Sequence[Row]) -> dict[int, Facts]:
    assert conn is not None  # noqa: S101  # asked for by `always`
    return session.services.facts.look(conn, [row.content_id for row in rows])


def _numbers(session: Session, rows: Sequence[Row], *, uid: bool) -> list[int]:
    if uid:
        return [row.uid for row in rows]
    return list(session.selected.numbers(rows))


def _esearch(
    session: Session, returns: Sequence[str], rows: Sequence[Row], numbers: list[int],
    modseq: int, *, uid: bool,
) -> None:  # fmt: skip
    said = [f'ESEARCH (TAG "{session.tag}")']
    if uid:
        said.append("UID")
    shown: list[int] = []
    if numbers:
        if "MIN" in returns:
            said.append(f"MIN {numbers[0]}")
            shown.append(0)
        if "MAX" in returns:
            said.append(f"MAX {numbers[-1]}")
            shown.append(len(numbers) - 1)
        if "ALL" in returns:
            said.append(f"ALL {numbers_text(numbers)}")
    if "COUNT" in returns:
        said.append(f"COUNT {len(numbers)}")
    every = not shown or "ALL" in returns or "COUNT" in returns
    told = list(rows) if every else [rows[place] for place in sorted(set(shown))]
    if modseq and told:
        said.append(f"MODSEQ {highest(told)}")
    if "SAVE" in returns:
        session.selected.saved = [row.uid for row in told]
        if set(returns) == {"SAVE"}:
            return
    session.untagged(" ".join(said))


def _sent(row: Row, sent: float | None) -> float:
    """By RFC 5256, 2.2 the date of arrival stands for one that is missing."""
    return row.arrived / 1000 if sent is None else sent


_SORT_KEYS: dict[str, Callable[[Row, Facts | None], float | str]] = {
    "ARRIVAL": lambda row, _: row.arrived,
    "SIZE": lambda row, _: row.size,
    "SUBJECT": lambda _, facts: facts.subject if facts else "",
    "FROM": lambda _, facts: facts.from_ if facts else "",
    "TO": lambda _, facts: facts.to if facts else "",
    "CC": lambda _, facts: facts.cc if facts else "",
    "DISPLAYFROM": lambda _, facts: facts.shown_from if facts else "",
    "DISPLAYTO": lambda _, facts: facts.shown_to if facts else "",
}
