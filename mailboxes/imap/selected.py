"""The folder that a client has selected: its numbering, and what it has been told.

Message numbers are the client's own: they change only when it is told so, at moments when RFC 3501
(7.4.1) allows that.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from mailboxes.flags import DELETED, parted, with_seen
from mailboxes.imap import output
from mailboxes.imap.folder_view import FolderView, Row, index
from mailboxes.imap.ports import Refusal
from mailboxes.imap.syntax import NumberSet, numbers_text

NEVER = 1 << 32  # above all UIDs: nothing is \\Recent
_MANY = 8  # a dictionary of all is made for the numbers of an eighth of the folder
FIXED_FLAGS = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")


class Selected:
    """One client's folder."""

    def __init__(
        self, view: FolderView, name: str, owner: str, account: str, rights: str,
        *, readonly: bool,
    ) -> None:  # fmt: skip
        """`name` as the account sees it; `rights` are the account's in this folder."""
        self.view = view
        self.name = name
        self.owner = owner
        self.account = account
        self.rights = rights
        self.readonly = readonly
        self.claimed = 0  # the UID up to which somebody was told of what is \\Recent
        self._recent: list[
            tuple[int, int]
        ] = []  # UIDs that are so for this client: from, up to; rising
        self.begin()
        self.saved: list[int] = []  # UIDs, of SEARCH with SAVE (RFC 5182)
        self._gone: set[int] = set()  # UIDs that the client still counts

    def begin(self) -> None:
        """What the client is about to be told is what the view knows at this moment."""
        self.uids: array[int] = self.view.uids
        self.told = self.view.state.modseq
        self.keywords = len(self.view.keywords)

    @property
    def folder_id(self) -> int:
        return self.view.folder_id

    def row(self, uid: int) -> Row | None:
        """The message; None if it is gone, though the client does not know yet."""
        return self.view.rows.get(uid)

    def flags(self, uid: int) -> str:
        """The message's flags in their stored form."""
        return self.view.flags(uid, self.account)

    def flag_list(self, uid: int) -> bytes:
        """The message's flags as FETCH tells them."""
        flags = self.view.flags(uid, self.account)
        if self._recent and self.is_recent(uid):
            flags = f"{flags} \\Recent".lstrip()
        return output.flags(flags)

    def flag_lists(self, rows: Sequence[Row]) -> list[bytes]:
        """The same for many."""
        if self._recent:
            return [self.flag_list(row.uid) for row in rows]
        flags, own = output.flags, self.view.own.get(self.account)
        if not own:
            return [flags(row.flags) for row in rows]
        return [
            flags(row.flags) if own.get(row.uid, row.seen) == row.seen
            else _turned(row.flags, not row.seen)
            for row in rows
        ]  # fmt: skip

    def is_recent(self, uid: int) -> bool:
        """Whether it is \\Recent for this client."""
        place = bisect_right(self._recent, (uid, NEVER)) - 1
        return place >= 0 and uid < self._recent[place][1]

    def claim(self, low: int, high: int) -> None:
        """The messages from that UID up to that one are \\Recent for this client."""
        self.claimed = high
        if low >= high:
            return
        if self._recent and self._recent[-1][1] == low:  # as mail that comes one by one
            low, _ = self._recent.pop()
        self._recent.append((low, high))

    @property
    def recent(self) -> int:
        """How many messages are \\Recent for this client."""
        return sum(index(self.uids, high) - index(self.uids, low) for low, high in self._recent)

    def number(self, uid: int) -> int:
        """The client's number of the message."""
        return index(self.uids, uid) + 1

    def numbers(self, rows: Sequence[Row]) -> Sequence[int]:
        """The client's numbers of the messages."""
        if not rows:
            return ()
        first = self.number(rows[0].uid)
        if self.uids[first - 1 : first - 1 + len(rows)] == array("I", [row.uid for row in rows]):
            return range(first, first + len(rows))  # as they follow one another in the folder
        if len(rows) * _MANY > len(self.uids):
            known = {uid: number for number, uid in enumerate(self.uids, 1)}
            return [known[row.uid] for row in rows]
        return [self.number(row.uid) for row in rows]

    def may(self, right: str) -> bool:
        """Whether the account may do that here, in a folder that is not just examined."""
        return right in self.rights and not self.readonly

    # Which messages

    def by_uid(self, numbers: NumberSet) -> list[int]:
        """The UIDs of that set that the client knows of, rising; `*` is the last one."""
        if numbers.saved:
            return [uid for uid in self.saved if self._has(uid)]
        found: list[int] = []
        for low, high in self._spans_of_uids(numbers):
            found.extend(self.uids[low:high])
        return found

    def by_number(self, numbers: NumberSet, *, lenient: bool = False) -> list[int]:
        """The same for message numbers. Raises Refusal (BAD) for one that there is not, unless it
        is `lenient`, as SEARCH must be."""
        if numbers.saved:
            return [uid for uid in self.saved if self._has(uid)]
        found: list[int] = []
        for low, high in self._spans(numbers, lenient=lenient):
            found.extend(self.uids[low:high])
        return found

    def pick(self, numbers: NumberSet, *, uid: bool) -> list[int]:
        """The UIDs of the messages of a command."""
        return self.by_uid(numbers) if uid else self.by_number(numbers)

    def pick_of(self, some: Iterable[int], numbers: NumberSet, *, uid: bool) -> list[int]:
        """Those of some UIDs that `pick` would give, rising; what is asked costs, not the folder.

        Raises Refusal as `pick` does.
        """
        if numbers.saved:
            wanted = set(self.pick(numbers, uid=uid))
            return sorted(one for one in some if one in wanted)
        spans = self._spans_of_uids(numbers) if uid else self._spans(numbers)
        places = sorted(index(self.uids, one) for one in some if self._has(one))
        return [
            self.uids[place] for place in places if any(low <= place < high for low, high in spans)
        ]

    def _spans_of_uids(self, numbers: NumberSet) -> list[tuple[int, int]]:
        """The places of those UIDs: from, and up to."""
        if not self.uids:
            return []
        return [
            (index(self.uids, low), index(self.uids, high + 1))
            for low, high in numbers.bounded(self.uids[-1])
        ]

    def _spans(self, numbers: NumberSet, *, lenient: bool = False) -> list[tuple[int, int]]:
        """The places of those message numbers. Raises Refusal as `by_number` does."""
        count = len(self.uids)
        spans = numbers.bounded(count)
        for low, high in () if lenient else spans:
            if not 0 < low <= high <= count:
                raise Refusal(
                    f"there is no message {high or 1}, the folder has {count}", code="BAD"
                )
        return [(max(low - 1, 0), min(high, count)) for low, high in spans]

    def _has(self, uid: int) -> bool:
        place = index(self.uids, uid)
        return place < len(self.uids) and self.uids[place] == uid

    # What the client is told

    def news(
        self, *, expunges: bool, vanished: bool, modseqs: bool, uids: bool,
        told: Collection[int] = (),
    ) -> list[bytes]:  # fmt: skip
        """The untagged responses for all that has changed since; `told` are UIDs whose flags
        the client is told otherwise. `vanished`: by UID (RFC 7162), `modseqs`: with MODSEQ."""
        view = self.view
        said: list[bytes] = []
        if view.state.modseq == self.told and not (expunges and self._gone):
            return said
        change = view.since(self.told)
        known = view.rows
        if change is None:
            changed: Iterable[int] = [uid for uid, row in known.items() if row.modseq > self.told]
            self._gone.update(uid for uid in self.uids if uid not in known)
        else:
            changed = [uid for uid in change.changed if uid in known]
            self._gone.update(uid for uid in change.removed if self._has(uid))
        self.told = view.state.modseq
        if expunges and self._gone:
            said.extend(self._expunge(vanished=vanished))
        last = self.uids[-1] if self.uids else 0
        fresh = list(view.uids[index(view.uids, last + 1) :])
        if fresh:
            if self.uids is not view.uids and not self._gone:
                self.uids = view.uids
            else:
                self.uids = array("I", self.uids)
                self.uids.extend(fresh)
            said.append(b"* %d EXISTS\r\n" % len(self.uids))
            if self.claimed < NEVER:
                said.append(b"* %d RECENT\r\n" % self.recent)
        elif not self._gone:
            self.uids = view.uids
        if len(view.keywords) != self.keywords:
            self.keywords = len(view.keywords)
            said.append(self.flags_line())
            said.append(self.permanent_flags_line())
        said.extend(
            self.fetch_line(uid, modseq=modseqs, uid_too=uids)
            for uid in sorted(changed)
            if uid <= last and uid not in told
        )
        return said

    def _expunge(self, *, vanished: bool) -> list[bytes]:
        gone = sorted(self._gone)
        self._gone.clear()
        if vanished:
            said = [b"* VANISHED %s\r\n" % numbers_text(gone).encode("ascii")]
        else:
            said = [b"* %d EXPUNGE\r\n" % self.number(uid) for uid in reversed(gone)]
        dropped = set(gone)
        self.uids = array("I", [uid for uid in self.uids if uid not in dropped])
        self.saved = [uid for uid in self.saved if uid not in dropped]
        return said

    def fetch_line(self, uid: int, *, modseq: bool, uid_too: bool, flags: bool = True) -> bytes:
        """FETCH with the flags of one message."""
        parts = []
        if uid_too:
            parts.append(b"UID %d" % uid)
        if flags:
            parts.append(b"FLAGS " + self.flag_list(uid))
        if modseq:
            parts.append(b"MODSEQ (%d)" % self.view.rows[uid].modseq)
        return b"* %d FETCH (%s)\r\n" % (self.number(uid), b" ".join(parts))

    def flags_line(self) -> bytes:
        """FLAGS: all that messages here have."""
        return b"* FLAGS %s\r\n" % _listed(FIXED_FLAGS, self.view.keywords)

    def permanent_flags_line(self) -> bytes:
        """PERMANENTFLAGS: those that this client may change."""
        allowed: list[str] = []
        if not self.readonly:
            allowed += [
                flag for flag in FIXED_FLAGS
                if right_for(flag) in self.rights
            ]  # fmt: skip
            if "w" in self.rights:
                allowed += [*self.view.keywords, "\\*"]
        flags = _listed(allowed, ())
        return b"* OK [PERMANENTFLAGS %s] Flags that can be changed\r\n" % flags

    @property
    def changeable(self) -> bool:
        """Whether the account may change any flag here."""
        return not self.readonly and not {"s", "t", "w"}.isdisjoint(self.rights)

    def settable(self, flags: Iterable[str]) -> list[str]:
        """Those of the flags that the account may set or take here."""
        return [flag for flag in flags if right_for(flag) in self.rights]


def right_for(flag: str) -> str:
    """The right to change that flag (RFC 4314, 4)."""
    return {"\\seen": "s", "\\deleted": "t"}.get(flag.lower(), "w")


@lru_cache(4096)
def _turned(flags: str, seen: bool) -> bytes:
    """The flags as FETCH tells them to who has read it, or has not, unlike the others."""
    return output.flags(with_seen(parted(flags), seen))


def _listed(first: Iterable[str], then: Iterable[str]) -> bytes:
    return output.flags(" ".join((*first, *then)))


def is_deleted(flags: str) -> bool:
    """Whether \\Deleted is among them."""
    return DELETED in parted(flags)
