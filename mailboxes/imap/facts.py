"""What SORT, THREAD and the SENT keys of SEARCH ask about a content: computed once, then kept."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_tz
from typing import TypeVar

from sqlalchemy import Connection

from mailboxes.charset import wire_octets
from mailboxes.decode import decode_text
from mailboxes.imap.loading import ENVELOPE, HEADER, Loaded, Loader
from mailboxes.imap.sections import choose_fields

T = TypeVar("T")

_KEPT = 50_000  # contents whose facts are kept, and
_DATES = 500_000  # those of which only the date is
_TOGETHER = 256  # contents that are read at once
_MAX_SUBJECT = 2_000  # letters of a subject, and
_MAX_REFERENCES = 65_536  # of References, beyond which nobody looks
_MOST_IDS = 1_000  # of one message that are followed
# Never goes back over what it has read: a field of brackets, quotes or blanks would hold up all.
_ID = re.compile(r'<((?:"(?:[^"\\]|\\.){0,255}+"|[^<>"]++)*+)(>?)')
_LEADER = re.compile(
    r"(?:\[[^\[\]]*\]\s*)*(?:re|fwd?|fw)\s*(?:\[[^\[\]]*\]\s*)?:\s*", re.IGNORECASE
)
_BLOB = re.compile(r"\[[^\[\]]*\]\s*")
_TRAILER = re.compile(r"(?:\s|\(fwd\))+\Z", re.IGNORECASE)
_FORWARDED = re.compile(r"\[fwd:(.*)\]\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Facts:
    """One content."""

    day: date | None  # of the Date field, as it stands there
    sent: float | None  # the same as Unix time
    subject: str  # base subject; this and the sort keys in capitals, as RFC 5051 compares them
    is_reply: bool
    from_: str  # sort keys: the mailbox of the first address
    to: str
    cc: str
    shown_from: str  # what a reader sees of the first address (RFC 5957)
    shown_to: str
    message_id: str
    references: tuple[str, ...]  # and In-Reply-To, if there are none


class FactBook:
    """The facts of many contents; for one process."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._kept: OrderedDict[int, Facts] = OrderedDict()
        self._dates: OrderedDict[int, float | None] = OrderedDict()

    def look(self, conn: Connection, content_ids: Iterable[int]) -> dict[int, Facts]:
        """The facts by content id; may run in any thread."""
        wanted = dict.fromkeys(content_ids)
        kept = self._kept
        found = {one: kept[one] for one in wanted if one in kept}
        missing = [one for one in wanted if one not in found]
        for start in range(0, len(missing), _TOGETHER):
            some = self._loader.load(conn, missing[start : start + _TOGETHER], ENVELOPE | HEADER)
            for content_id, loaded in some.items():
                found[content_id] = kept[content_id] = facts_of(loaded)
        _shorten(kept, _KEPT)
        return found

    def sent(self, conn: Connection, content_ids: Iterable[int]) -> dict[int, float | None]:
        """When they were sent, as Unix time, by content id: what folders are sorted by most, of
        which therefore more are kept."""
        kept = self._dates
        wanted = dict.fromkeys(content_ids)
        found = {one: kept[one] for one in wanted if one in kept}
        missing = [one for one in wanted if one not in found]
        for start in range(0, len(missing), _TOGETHER):
            some = self._loader.load(conn, missing[start : start + _TOGETHER], ENVELOPE)
            for content_id, loaded in some.items():
                date_field = json.loads(loaded.row.envelope)[0]
                found[content_id] = kept[content_id] = _date(date_field)[1]
        _shorten(kept, _DATES)
        return found


def _shorten(kept: OrderedDict[int, T], most: int) -> None:
    """Forget the oldest; other threads may do the same."""
    while len(kept) > most:
        try:
            kept.popitem(last=False)
        except KeyError:
            return


def facts_of(content: Loaded) -> Facts:
    """The facts, from the envelope and the header."""
    envelope = json.loads(content.row.envelope)
    day, sent = _date(envelope[0])
    subject, is_reply = base_subject(_text(envelope[1]))
    references: tuple[str, ...] = ()
    if b"references" in content.header[:65_536].lower():
        field = choose_fields(content.header, (b"References",), leave_out=False)
        references = message_ids(field[:_MAX_REFERENCES].decode("utf-8", "surrogateescape"))
    if not references:
        references = message_ids(envelope[8] or "")[:1]
    own = message_ids(envelope[9] or "")
    return Facts(
        day=day, sent=sent, subject=subject.upper(), is_reply=is_reply,
        shown_from=_shown(envelope[2]), shown_to=_shown(envelope[5]), from_=_first(envelope[2]),
        to=_first(envelope[5]), cc=_first(envelope[6]),
        message_id=own[0] if own else "", references=references,
    )  # fmt: skip


def message_ids(text: str) -> tuple[str, ...]:
    """The msg-ids in a field, without brackets and quotes that mean nothing."""
    closed = (one for one, end in _ID.findall(text) if end)
    found = (re.sub(r'"([^"\\\s]*+)"', r"\1", one).strip() for one in closed)
    return tuple(dict.fromkeys(one for one in found if one))[:_MOST_IDS]


def base_subject(subject: str) -> tuple[str, bool]:
    """The base subject (RFC 5256, 2.1), and whether the subject is that of a reply or forward."""
    text = " ".join(subject[:_MAX_SUBJECT].split())
    is_reply = False
    while True:
        before = text
        trimmed = _TRAILER.sub("", text)
        is_reply = is_reply or "(fwd)" in text[len(trimmed) :].lower()
        text = trimmed
        while True:
            leader = _LEADER.match(text)
            if leader is not None and leader.end():
                text, is_reply = text[leader.end() :], True
                continue
            blob = _BLOB.match(text)
            if blob is not None and text[blob.end() :].strip():
                text = text[blob.end() :]
                continue
            break
        forwarded = _FORWARDED.match(text)
        if forwarded is not None:
            text, is_reply = forwarded[1].strip(), True
        if text == before:
            return text, is_reply


def _text(value: str | None) -> str:
    return decode_text(wire_octets(value)) if value else ""


def _first(addresses: list[list[str | None]] | None) -> str:
    return (addresses[0][2] or "").upper() if addresses else ""


def _shown(addresses: list[list[str | None]] | None) -> str:
    if not addresses:
        return ""
    name, _, mailbox, host = addresses[0]
    if name:
        return _text(name).upper()
    return f"{mailbox or ''}@{host}".upper() if host else (mailbox or "").upper()


def _date(value: str | None) -> tuple[date | None, float | None]:
    parsed = parsedate_tz(value) if value else None
    if parsed is None:
        return None, None
    try:
        # A minute may have a second 60 (RFC 5322, 3.3).
        local = datetime(*parsed[:5], min(parsed[5], 59), tzinfo=UTC)
        return local.date(), local.timestamp() - (parsed[9] or 0)
    except (ValueError, OverflowError):
        return None, None
