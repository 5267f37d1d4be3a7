"""Finds the messages that fit the keys of SEARCH."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, tzinfo

from sqlalchemy import Connection

from mailboxes.imap.facts import FactBook, Facts
from mailboxes.imap.folder_view import Row
from mailboxes.imap.loading import Loader
from mailboxes.imap.ports import TextSearch
from mailboxes.imap.selected import Selected
from mailboxes.imap.syntax import SearchKey, SearchName
from mailboxes.search import Place

_TEXTS = frozenset({SearchName.HEADER, SearchName.BODY, SearchName.TEXT})
_OBJECT = frozenset({SearchName.EMAILID})
_SENT = frozenset({SearchName.SENTBEFORE, SearchName.SENTON, SearchName.SENTSINCE})
Test = Callable[[Row], bool]


def needs_contents(key: SearchKey) -> bool:
    """Whether the key asks for more than the folder's rows have."""
    return key.name in _TEXTS | _SENT | _OBJECT or any(needs_contents(one) for one in key.keys)


class Matcher:
    """One search in one folder, over the messages that the client counts."""

    def __init__(
        self,
        selected: Selected,
        search: TextSearch,
        facts: FactBook,
        loader: Loader,
        zone: tzinfo,
        now: datetime,
    ) -> None:
        self._selected = selected
        self._search = search
        self._facts = facts
        self._loader = loader
        self._zone = zone
        self._now = now
        view = selected.view
        if selected.uids is view.uids:  # the rows came in the order of their UIDs
            self.rows = list(view.rows.values())
        else:
            self.rows = [view.rows[uid] for uid in selected.uids if uid in view.rows]

    def find(self, conn: Connection | None, key: SearchKey) -> list[Row]:
        """The rows that fit, in the folder's order. `conn` may be None unless `needs_contents`."""
        return list(self._fit(conn, key, self.rows))

    def _fit(  # noqa: PLR0911  # one for each kind of key
        self, conn: Connection | None, key: SearchKey, rows: Sequence[Row]
    ) -> Sequence[Row]:
        match key.name:
            case SearchName.ALL:
                return rows
            case SearchName.AND:
                # What is dear to find out is asked of what is left.
                for one in sorted(key.keys, key=_cost):
                    if not rows:
                        break
                    rows = self._fit(conn, one, rows)
                return rows
            case SearchName.OR:
                found = {row.uid for one in key.keys for row in self._fit(conn, one, rows)}
                return [row for row in rows if row.uid in found]
            case SearchName.NOT if key.keys[0].name is SearchName.FLAG:
                return self._flagged(key.keys[0].texts[0], rows, has=False)
            case SearchName.NOT:
                found = {row.uid for row in self._fit(conn, key.keys[0], rows)}
                return [row for row in rows if row.uid not in found]
            case SearchName.HEADER | SearchName.BODY | SearchName.TEXT:
                assert conn is not None  # noqa: S101  # the grammar, or who calls, has seen to it
                contents = self._matching(conn, key)
                return [row for row in rows if row.content_id in contents]
            case SearchName.SENTBEFORE | SearchName.SENTON | SearchName.SENTSINCE:
                assert conn is not None  # noqa: S101  # the grammar, or who calls, has seen to it
                return self._sent(conn, key, rows)
            case SearchName.EMAILID:
                assert conn is not None  # noqa: S101  # the grammar, or who calls, has seen to it
                same = self._loader.of_object(conn, key.texts[0])
                return [row for row in rows if row.content_id in same]
            case SearchName.FLAG:
                return self._flagged(key.texts[0], rows)
            case _:
                test = self._test(key)
                return [row for row in rows if test(row)]

    def _matching(self, conn: Connection, key: SearchKey) -> set[int]:
        place, folder = Place(key.name.value.lower()), self._selected.folder_id
        if place is Place.HEADER:
            return self._search.matching(conn, folder, place, key.texts[1], key.texts[0])
        return self._search.matching(conn, folder, place, key.texts[0])

    def _sent(self, conn: Connection, key: SearchKey, rows: Sequence[Row]) -> list[Row]:
        found = self._facts.look(conn, [row.content_id for row in rows])
        wanted = key.day
        assert wanted is not None  # noqa: S101  # the grammar gives these keys a day

        def day(row: Row) -> date | None:
            facts: Facts | None = found.get(row.content_id)
            return facts.day if facts is not None else None

        return [row for row in rows if _compare(key.name.value[4:], day(row), wanted)]

    def _test(self, key: SearchKey) -> Test:  # noqa: PLR0911  # one for each key
        selected, number = self._selected, key.number
        match key.name:
            case SearchName.BEFORE | SearchName.ON | SearchName.SINCE:
                return self._arrived(key)
            case SearchName.LARGER:
                return lambda row: row.size > number
            case SearchName.SMALLER:
                return lambda row: row.size < number
            case SearchName.YOUNGER | SearchName.OLDER:
                edge = (self._now.timestamp() - number) * 1000
                if key.name is SearchName.YOUNGER:
                    return lambda row: row.arrived >= edge
                return lambda row: row.arrived <= edge
            case SearchName.SEQUENCE | SearchName.UID:
                assert key.numbers is not None  # noqa: S101  # the grammar, or who calls, has seen to it
                by_uid = key.name is SearchName.UID
                uids = set(
                    selected.by_uid(key.numbers)
                    if by_uid
                    else selected.by_number(key.numbers, lenient=True)
                )
                return lambda row: row.uid in uids
            case SearchName.MODSEQ:
                return lambda row: row.modseq >= number
            case _:  # THREADID: there are none
                return lambda _row: False

    def _flagged(self, flag: str, rows: Sequence[Row], *, has: bool = True) -> Sequence[Row]:
        """Asked of every folder by every program, so each row costs as little as it can."""
        wanted, selected = flag.lower(), self._selected
        if wanted == "\\seen":
            # Of the rows as they were when the search began: it may run in a thread, while others
            # change the view.
            own = dict(selected.view.own.get(selected.account, {}))
            if not own:
                return [row for row in rows if row.seen is has]
            return [row for row in rows if own.get(row.uid, row.seen) is has]
        if wanted == "\\recent":
            return [row for row in rows if selected.is_recent(row.uid) is has]
        texts = {row.flags for row in rows}
        fit = {text for text in texts if (wanted in text.lower().split()) is has}
        return rows if len(fit) == len(texts) else [row for row in rows if row.flags in fit]

    def _arrived(self, key: SearchKey) -> Test:
        """By days of the office's zone, as INTERNALDATE shows them."""
        wanted, zone, name = key.day, self._zone, key.name.value
        assert wanted is not None  # noqa: S101  # the grammar, or who calls, has seen to it
        return lambda row: _compare(
            name, datetime.fromtimestamp(row.arrived / 1000, zone).date(), wanted
        )


def _compare(way: str, day: date | None, wanted: date) -> bool:
    if day is None:
        return False
    if way == "BEFORE":
        return day < wanted
    return day == wanted if way == "ON" else day >= wanted


def _cost(key: SearchKey) -> int:
    if key.name in _TEXTS:
        return 3
    if key.name in _SENT:
        return 2
    return 1 if key.keys and any(map(needs_contents, key.keys)) else 0


def uses_modseq(key: SearchKey) -> bool:
    """Whether MODSEQ is among the keys: then the answer tells the highest (RFC 7162, 3.1.5)."""
    return key.name is SearchName.MODSEQ or any(uses_modseq(one) for one in key.keys)


def highest(rows: Iterable[Row]) -> int:
    """The highest modification sequence of these."""
    return max((row.modseq for row in rows), default=0)
