"""FETCH of what a message's row holds: flags, numbers, dates. Asked of all messages of a folder at
once by every program that opens it, so the lines are put together many at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import tzinfo

from mailboxes.imap import output
from mailboxes.imap.folder_view import Row
from mailboxes.imap.rendering import label_of
from mailboxes.imap.selected import Selected
from mailboxes.imap.syntax import FetchItem

ITEMS = frozenset({"FLAGS", "UID", "INTERNALDATE", "RFC822.SIZE", "MODSEQ", "THREADID"})

_Column = Callable[[Sequence[Row]], Iterable[int | bytes]]


class Lines:
    """Makes the lines for one list of items, all of them in `ITEMS`."""

    def __init__(self, selected: Selected, items: Sequence[FetchItem], zone: tzinfo) -> None:
        """Dates are shown in the zone."""
        self._selected = selected
        known: dict[str, tuple[bytes, _Column]] = {
            "FLAGS": (b"%b", selected.flag_lists),
            "UID": (b"%d", lambda rows: [row.uid for row in rows]),
            "RFC822.SIZE": (b"%d", lambda rows: [row.size for row in rows]),
            "INTERNALDATE": (
                b"%b", lambda rows: [output.date_time(row.arrived, zone) for row in rows],
            ),
            "MODSEQ": (b"(%d)", lambda rows: [row.modseq for row in rows]),
            "THREADID": (b"%b", lambda rows: [b"NIL"] * len(rows)),
        }  # fmt: skip
        chosen = [(label_of(item), *known[item.name]) for item in items]
        self._line = b"* %d FETCH (" + b" ".join(b + form for b, form, _ in chosen) + b")\r\n"
        self._columns = [column for _, _, column in chosen]

    def of(self, rows: Sequence[Row]) -> bytes:
        """The responses for these messages."""
        line = self._line
        columns = [column(rows) for column in self._columns]
        return b"".join([
            line % values for values in zip(self._selected.numbers(rows), *columns, strict=True)
        ])  # fmt: skip
