"""What both servers are asked about all mails at once: SEARCH, SORT and THREAD."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Any

from mailboxes.scan import scan
from tests.imap.compare import Mailbox, Report
from tests.imap.differences import reason
from tests.imap.generator import Mail
from tests.imap.structures import Finding

Value = Any
Question = tuple[str | bytes, ...]

_WORDS = (
    "通", "通知", "和平区", "第3号", "繺誠", "朱镕基", "plan", "PLAN", "meeting water",
    "no such", "é", "😀", "=?gb2312?",
)  # fmt: skip
_PEOPLE = ("通知", "li.ming", "Bureau", "@heping.test", "Li, Ming")
_HEADERS = (
    ("Message-ID", "<12@heping.test>"), ("Message-ID", ""), ("X-Long", "yy"), ("X-Long", ""),
    ("Subject", ""), ("Content-Type", "multipart/mixed"), ("Content-Type", "gb2312"),
    ("Date", "Mar"), ("References", "12@"), ("In-Reply-To", "12@heping.test"), ("x-blank", "x"),
    ("no-such-field", ""), ("From", "water"), ("x-lower", "1"), ("Cc", "水务"), ("Sender", "Li"),
)  # fmt: skip
_DAYS = ("28-Feb-2026", "1-Mar-2026", "2-Mar-2026", "3-Mar-2026", "1-Jan-1981", "31-Dec-2027")
_FLAGS = (
    "SEEN", "UNSEEN", "ANSWERED", "UNANSWERED", "FLAGGED", "UNFLAGGED", "DELETED", "UNDELETED",
    "DRAFT", "UNDRAFT", "KEYWORD $Label1", "UNKEYWORD Work", "KEYWORD work", "KEYWORD NoSuch",
)  # fmt: skip
_OTHERS = (
    "ALL", "1", "2:5", "5:2", "*", "10:*", "1,3,5:7", "UID 1:20", "UID 1:*", "NOT 1:10",
    "OR SEEN FLAGGED", "OR (SEEN FLAGGED) NOT (DRAFT)", "NOT OR SEEN NOT FLAGGED", "(ALL)",
    "SEEN NOT SEEN", "LARGER 0", "SMALLER 1", "LARGER 1000 SMALLER 2000", "NOT LARGER 500",
    "OR LARGER 5000 SMALLER 300", "UID 5:15 NOT 7 UNSEEN",
)  # fmt: skip
_SORTS = (
    "ARRIVAL", "REVERSE ARRIVAL", "DATE", "REVERSE DATE", "SIZE", "REVERSE SIZE", "SUBJECT",
    "REVERSE SUBJECT", "FROM", "TO", "CC", "SUBJECT DATE", "FROM REVERSE SIZE", "DATE SUBJECT SIZE",
)  # fmt: skip


def searches() -> Iterator[Question]:
    """All commands whose answer is a set of messages."""
    for word in _WORDS:
        for key in ("SUBJECT", "BODY", "TEXT"):
            yield ("SEARCH", "CHARSET", "UTF-8", key, word.encode())
    for word in _PEOPLE:
        for key in ("FROM", "TO", "CC"):
            yield ("SEARCH", "CHARSET", "UTF-8", key, word.encode())
    for name, value in _HEADERS:
        yield ("SEARCH", "CHARSET", "UTF-8", "HEADER", name, value.encode())
    yield ("SEARCH", "OR", "KEYWORD", "Work", "NOT", "SINCE", "3-Mar-2026", "UNSEEN")
    for day in _DAYS:
        for key in ("SENTON", "SENTBEFORE", "SENTSINCE", "ON", "BEFORE", "SINCE"):
            yield ("SEARCH", key, day)
    for key in (*_FLAGS, *_OTHERS):
        yield ("SEARCH", key)


def ask(ours: Mailbox, theirs: Mailbox, mails: Sequence[Mail]) -> Report:
    """Ask both everything; the mails stand in this order in both mailboxes."""
    report = Report()
    judge = _Judge(report, mails)
    for question in searches():
        mine, other = set(ours.search(*question)), set(theirs.search(*question))
        judge.add("search", question, {number: number in mine for number in mine ^ other})
    for keys in _SORTS:
        question = ("SORT", f"({keys})", "UTF-8", "ALL")
        mine_in_order, theirs_in_order = ours.search(*question), theirs.search(*question)
        assert sorted(mine_in_order) == sorted(theirs_in_order), question
        # Those that may stand elsewhere, and then whether all others stand in the same order.
        free = {number for number in mine_in_order if judge.excuses("sort", question, number)}
        changed = moved(
            [number for number in mine_in_order if number not in free],
            [number for number in theirs_in_order if number not in free],
        )
        judge.add("sort", question, dict.fromkeys(changed))
    for way in ("ORDEREDSUBJECT", "REFERENCES"):
        question = ("THREAD", way, "UTF-8", "ALL")
        mine_parents = parents(ours.search(*question))
        their_parents = parents(theirs.search(*question))
        assert set(mine_parents) == set(their_parents), question
        differing = {n: p for n, p in mine_parents.items() if p != their_parents[n]}
        judge.add("thread", question, differing)
    return report


class _Judge:
    """Turns the numbers of messages into findings about mails."""

    def __init__(self, report: Report, mails: Sequence[Mail]) -> None:
        self._report = report
        self._mails = mails

    def excuses(self, kind: str, question: Question, number: int) -> bool:
        """Whether a difference about that message would be justified."""
        mail = self._mails[number - 1]
        found = Finding(kind, _text(question), None, None, scan(mail.octets), ())
        return reason(found, mail.octets) is not None

    def add(self, kind: str, question: Question, differing: dict[int, Value]) -> None:
        self._report.compared += 1
        name = _text(question)
        for number, mine in sorted(differing.items()):
            mail = self._mails[number - 1]
            self._report.add(mail, Finding(kind, name, mine, None, scan(mail.octets), ()))


def _text(question: Question) -> str:
    return " ".join(word.decode() if isinstance(word, bytes) else word for word in question)


def moved(ours: list[int], theirs: list[int]) -> set[int]:
    """The fewest messages whose removal leaves both orders the same."""
    places = {number: place for place, number in enumerate(theirs)}
    tails: list[int] = []  # the lowest end of a rising run of each length
    ends: list[int] = []  # and its message
    before: dict[int, int | None] = {}
    for number in ours:
        at = bisect_left(tails, places[number])
        tails[at : at + 1] = [places[number]]
        ends[at : at + 1] = [number]
        before[number] = ends[at - 1] if at else None
    kept: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return set(ours) - kept


def parents(threads: list[Value]) -> dict[int, int | None]:
    """For each message the one that it stands below; None for the first of a thread."""
    found: dict[int, int | None] = {}
    waiting: list[tuple[list[Value], int | None]] = [(thread, None) for thread in threads]
    while waiting:
        thread, parent = waiting.pop()
        for one in thread:
            if isinstance(one, list):
                waiting.append((one, parent))
            else:
                found[one] = parent
                parent = one
    return found
