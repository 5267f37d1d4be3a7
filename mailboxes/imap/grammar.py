"""The grammar of IMAP commands (RFC 3501 and 9051, section 9, and the extensions announced).

A command comes as one run of octets: its lines, and where a line ends in `{n}` the n octets behind
it. Literals are found by their count, so nothing in them can be taken for syntax.

Read strictly where two readings are possible, leniently where only one is. Every error says what
was expected and where; it goes to the client behind `BAD`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TypeVar

from mailboxes import utf7
from mailboxes.imap.syntax import (
    AppendHead,
    FetchItem,
    FetchQuery,
    ListQuery,
    NumberSet,
    QResync,
    SearchKey,
    SearchName,
    SearchProgram,
    Section,
    SelectOptions,
    StoreChange,
)

T = TypeVar("T")

MAX_NUMBER = (1 << 32) - 1
MAX_NUMBER64 = (1 << 63) - 1
_MAX_DEPTH = 50  # of parentheses in a search
_MAX_KEYS = 1_000
_MAX_PATTERNS = 100  # of one LIST
_MAX_ITEMS = 200  # attributes of one FETCH, and header fields of one attribute

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LIST = re.compile(rb"[^\x00-\x20\x7f(){\"\\]+")
_TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+")
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_LITERAL = re.compile(rb"(~?)\{(\d{1,20})(\+?)\}\r?\n")
LITERAL_END = re.compile(rb"~?\{(\d{1,20})(\+?)\}\r?\n\Z")
"""The end of a line behind which a literal follows: its octets, and whether it comes unasked."""
_LONGEST_END = 40  # octets
_COUNT = re.compile(rb"(~?)\{(\d{1,20})(\+?)\}")
_ITEM = re.compile(rb"[A-Za-z0-9.]+")
_SECTION = re.compile(rb"[A-Za-z.]+")
_DIGITS = re.compile(rb"\d+")
_SET = re.compile(rb"(?:\d+|\*)(?::(?:\d+|\*))?(?:,(?:\d+|\*)(?::(?:\d+|\*))?)*")
_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
_ESCAPED = re.compile(rb'\\(["\\])')
_FIRST_YEAR, _LAST_YEAR = 1900, 9998  # of a message: in any zone there is such a day
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_DATE_TIME = re.compile(
    r"[ ]?(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)

_MACROS = {
    "ALL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"),
    "FAST": ("FLAGS", "INTERNALDATE", "RFC822.SIZE"),
    "FULL": ("FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"),
}
_PLAIN_ITEMS = frozenset({
    "ENVELOPE", "FLAGS", "INTERNALDATE", "RFC822", "RFC822.HEADER", "RFC822.SIZE", "RFC822.TEXT",
    "BODY", "BODYSTRUCTURE", "UID", "MODSEQ", "EMAILID", "THREADID",
})  # fmt: skip
_FLAG_KEYS = {
    "ANSWERED": "\\Answered", "DELETED": "\\Deleted", "DRAFT": "\\Draft", "FLAGGED": "\\Flagged",
    "SEEN": "\\Seen",
}  # fmt: skip
_SORT_KEYS = frozenset({
    "ARRIVAL", "CC", "DATE", "DISPLAYFROM", "DISPLAYTO", "FROM", "SIZE", "SUBJECT", "TO",
})  # fmt: skip
_STATUS_ITEMS = frozenset({
    "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "SIZE", "HIGHESTMODSEQ", "DELETED",
    "MAILBOXID", "APPENDLIMIT",
})  # fmt: skip
_SEARCH_RETURNS = frozenset({"MIN", "MAX", "ALL", "COUNT", "SAVE"})


def announced(line: bytes) -> re.Match[bytes] | None:
    """The literal that follows this line, see `LITERAL_END`. It must be a line, and not a literal
    with the line behind it: what a literal ends with means nothing."""
    return LITERAL_END.search(line[-_LONGEST_END:])


class SyntaxFault(Exception):
    """The command cannot be read; the text is for the client, behind BAD."""


class UnknownCharset(Exception):
    """SEARCH in a charset that is not known; answered with NO [BADCHARSET]."""


class Grammar:
    """Reads one command from left to right. Every method raises SyntaxFault."""

    def __init__(self, octets: bytes, *, utf8: bool = False) -> None:
        """`utf8`: the client has enabled UTF8=ACCEPT or IMAP4rev2, so names are UTF-8."""
        self._octets = octets
        self._at = 0
        self._utf8 = utf8

    # The command as a whole

    @property
    def octets(self) -> bytes:
        """All of it."""
        return self._octets

    def more(self, octets: bytes) -> None:
        """The command has grown at its end; it stands where it stood."""
        self._octets = octets

    @property
    def waits_for_literal(self) -> bool:
        """Whether a literal comes next whose octets are not here yet."""
        match = _LITERAL.match(self._octets, self._at)
        return match is not None and match.end() == len(self._octets)

    @property
    def at_line_end(self) -> bool:
        """Whether nothing follows but the end of the line."""
        return self._octets[self._at :].strip(b"\r\n") == b""

    def line_end(self) -> None:
        """Nothing follows but the end of the line."""
        if not self.at_line_end:
            raise self.fault("the end of the line")

    # Single characters and words

    def fault(self, expected: str) -> SyntaxFault:
        """The error for something else than was expected at this place."""
        found = self._octets[self._at : self._at + 20]
        if not found.strip():
            return SyntaxFault(f"{expected} is missing at the end of the command")
        shown = found.split(b"\r")[0].decode("ascii", "replace")
        shown = "".join(letter if letter.isprintable() else "?" for letter in shown)
        return SyntaxFault(f"expected {expected} at octet {self._at + 1}, found: {shown}")

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return self._at >= len(self._octets)

    def end(self) -> None:
        """Nothing follows."""
        if not self.ended:
            raise self.fault("the end of the command")

    def follows(self, octets: bytes) -> bool:
        """Whether these come next, in any case of letters; they are not taken."""
        return self._octets[self._at : self._at + len(octets)].upper() == octets

    def skip(self, octets: bytes) -> bool:
        """Take these if they come next."""
        if self.follows(octets):
            self._at += len(octets)
            return True
        return False

    def expect(self, octets: bytes, what: str = "") -> None:
        """Take these."""
        if not self.skip(octets):
            raise self.fault(what or f"'{octets.decode()}'")

    def space(self) -> None:
        """One blank; more are forgiven."""
        self.expect(b" ", "a blank")
        while self.skip(b" "):
            pass

    def _match(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        match = pattern.match(self._octets, self._at)
        if match is None:
            raise self.fault(what)
        self._at = match.end()
        return match[0]

    def tag(self) -> str:
        """The client's name for the command."""
        return self._match(_TAG, "a tag").decode("ascii")

    def word(self, what: str = "a word") -> str:
        """An atom, in capital letters."""
        return self._match(_ATOM, what).decode("ascii").upper()

    def number(self, most: int = MAX_NUMBER, what: str = "a number") -> int:
        """A number, 32 bits if not told otherwise."""
        value = int(self._match(_DIGITS, what)[:30])
        if value > most:
            raise SyntaxFault(f"the number {value} is too large")
        return value

    # Strings

    def literal(self) -> tuple[bytes, bool] | None:
        """A literal that was read with the command, and whether it is a literal8."""
        match = _LITERAL.match(self._octets, self._at)
        if match is None:
            return None
        start = match.end()
        end = start + int(match[2])
        if end > len(self._octets):
            raise SyntaxFault("the literal is shorter than it says")
        self._at = end
        return self._octets[start:end], bool(match[1])

    def string(self, what: str = "a string") -> bytes:
        """A quoted string or a literal."""
        match = _QUOTED.match(self._octets, self._at)
        if match is not None:
            self._at = match.end()
            return _ESCAPED.sub(rb"\1", match[1])
        found = self.literal()
        if found is None:
            raise self.fault(what)
        octets, binary = found
        if binary or b"\x00" in octets:
            raise SyntaxFault("only the messages of APPEND hold NUL, or come as a literal8")
        return octets

    def astring(self, what: str = "a word or string") -> bytes:
        """A word, a quoted string or a literal."""
        match = _ASTRING.match(self._octets, self._at)
        if match is not None:
            self._at = match.end()
            return match[0]
        return self.string(what)

    def nstring(self, what: str = "a string or NIL") -> bytes | None:
        """A string, or None for NIL."""
        match = _ATOM.match(self._octets, self._at)
        if match is not None and match[0].upper() == b"NIL":
            self._at = match.end()
            return None
        return self.string(what)

    def text(self, what: str = "a word or string") -> str:
        """An astring that is UTF-8."""
        octets = self.astring(what)
        try:
            return octets.decode("utf-8")
        except UnicodeDecodeError:
            raise SyntaxFault(f"{what} is not UTF-8") from None

    # Names of mailboxes

    def mailbox(self) -> str:
        """The name of a mailbox as we keep it: UTF-8, levels separated by `/`."""
        return self._name(self.astring("the name of a mailbox"))

    def pattern(self) -> str:
        """A pattern of LIST, where `*` and `%` stand for others."""
        match = _LIST.match(self._octets, self._at)
        if match is not None:
            self._at = match.end()
            return self._name(match[0])
        return self._name(self.string("a pattern"))

    def _name(self, octets: bytes) -> str:
        try:
            if not octets.isascii():  # of a client that does not know better, or may do so
                return octets.decode("utf-8")
            name = octets.decode("ascii")
            return name if self._utf8 else utf7.decode(name)
        except ValueError:
            raise SyntaxFault(
                "the name of the mailbox is neither modified UTF-7 nor UTF-8"
            ) from None

    # Numbers of messages

    def numbers(self) -> NumberSet:
        """A sequence-set, or `$`."""
        if self.skip(b"$"):
            return NumberSet((), saved=True)
        octets = self._match(_SET, "a set of numbers such as 1:5,7")
        ranges = []
        for piece in octets.decode("ascii").split(","):
            low, _, high = piece.partition(":")
            ranges.append((self._end(low), self._end(high or low)))
        return NumberSet(tuple(ranges))

    def _end(self, text: str) -> int:
        if text == "*":
            return 0
        value = int(text[:30])
        if not 0 < value <= MAX_NUMBER:
            raise SyntaxFault(f"{text[:30]} is no number of a message")
        return value

    # Lists

    def several(self, one: Callable[[], T], *, empty: bool = False, loose: bool = False) -> list[T]:
        """A list in parentheses; `loose` allows a blank just inside them."""
        self.expect(b"(")
        if loose:
            self.skip(b" ")
        if empty and self.skip(b")"):
            return []
        found = [one()]
        while not self.skip(b")"):
            self.space()
            if loose and self.skip(b")"):
                break
            found.append(one())
        return found

    def flag(self) -> str:
        """A flag or keyword."""
        return self._match(_FLAG, "a flag").decode("ascii")

    def flags(self) -> tuple[str, ...]:
        """Flags, in parentheses or not."""
        if self.follows(b"("):
            return tuple(self.several(self.flag, empty=True))
        found = [self.flag()]
        while not self.ended:
            self.space()
            found.append(self.flag())
        return tuple(found)

    # Dates

    def date(self) -> date:
        """A day, such as 22-Nov-2026, quoted or not."""
        text = self.astring("a date such as 22-Nov-2026").decode("ascii", "replace")
        match = _DATE.fullmatch(text)
        if match is None:
            raise SyntaxFault(f"not a date: {text[:30]!r}; it looks like 22-Nov-2026")
        return _day(match[1], match[2], match[3])

    def date_time(self) -> datetime:
        """A moment, such as "22-Nov-2026 17:55:00 +0800"."""
        text = self.string("a date and time").decode("ascii", "replace")
        match = _DATE_TIME.fullmatch(text)
        if match is None:
            raise SyntaxFault(
                f'not a date and time: {text[:40]!r}; it looks like "22-Nov-2026 17:55:00 +0800"'
            )
        day = _day(match[1], match[2], match[3])
        offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise SyntaxFault(f"the year is not from {_FIRST_YEAR} to {_LAST_YEAR}")
        try:
            zone = timezone(-offset if match[7] == "-" else offset)
            local = datetime(
                day.year, day.month, day.day, int(match[4]), int(match[5]), min(int(match[6]), 59),
                tzinfo=zone,
            )  # fmt: skip
            return local.astimezone(UTC)
        except (ValueError, OverflowError):
            raise SyntaxFault(f"there is no such time: {text[:40]!r}") from None

    # SELECT

    def select_options(self) -> SelectOptions:
        """What may follow the name: (CONDSTORE), (QRESYNC (...))."""
        if self.ended:
            return SelectOptions()
        self.space()
        condstore, qresync = False, None

        def one() -> None:
            nonlocal condstore, qresync
            match self.word("CONDSTORE or QRESYNC"):
                case "CONDSTORE":
                    condstore = True
                case "QRESYNC":
                    self.space()
                    qresync = self._qresync()
                case other:
                    raise SyntaxFault(f"SELECT does not know {other}")

        self.several(one)
        return SelectOptions(condstore or qresync is not None, qresync)

    def _qresync(self) -> QResync:
        self.expect(b"(")
        uidvalidity = self.number()
        self.space()
        modseq = self.number(MAX_NUMBER64)
        known, pairs = None, None
        if self.skip(b" "):
            if not self.follows(b"("):
                known = self._known_numbers()
            if known is None or self.skip(b" "):
                self.expect(b"(")
                numbers = self._known_numbers()
                self.space()
                pairs = (numbers, self._known_numbers())
                self.expect(b")")
        self.expect(b")")
        return QResync(uidvalidity, modseq, known, pairs)

    def _known_numbers(self) -> NumberSet:
        found = self.numbers()
        if found.saved or any(0 in pair for pair in found.ranges):
            raise SyntaxFault("known numbers are written out, without * and $")
        return found

    # LIST, STATUS

    def list_query(self, *, plain: bool = False) -> ListQuery:
        """The arguments of LIST; of LSUB if `plain`."""
        selects: frozenset[str] = frozenset()
        extended = False
        if not plain and self.follows(b"("):
            selects = frozenset(self.several(lambda: self.word("a selection option"), empty=True))
            unknown = selects - {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"}
            if unknown:
                raise SyntaxFault(f"LIST does not know {', '.join(sorted(unknown))}")
            if selects and selects <= {"RECURSIVEMATCH", "REMOTE"} and "RECURSIVEMATCH" in selects:
                raise SyntaxFault("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE beside it")
            extended = True
            self.space()
        reference = self.mailbox()
        self.space()
        if not plain and self.follows(b"("):
            patterns, extended = tuple(self.several(self.pattern)), True
            if len(patterns) > _MAX_PATTERNS:
                raise SyntaxFault(f"LIST takes at most {_MAX_PATTERNS} patterns")
        else:
            patterns = (self.pattern(),)
        returns: set[str] = set()
        status: tuple[str, ...] = ()
        if not plain and not self.ended:
            self.space()
            self.expect(b"RETURN", "RETURN")
            self.space()
            extended = True

            def one() -> None:
                nonlocal status
                word = self.word("a return option")
                if word == "STATUS":
                    self.space()
                    status = self.status_items()
                elif word in ("SUBSCRIBED", "CHILDREN", "SPECIAL-USE"):
                    returns.add(word)
                else:
                    raise SyntaxFault(f"LIST does not return {word}")

            self.several(one, empty=True)
        return ListQuery(reference, patterns, selects, frozenset(returns), status, extended)

    def status_items(self) -> tuple[str, ...]:
        """(MESSAGES UNSEEN ...)"""

        def one() -> str:
            word = self.word("a STATUS item")
            if word not in _STATUS_ITEMS:
                raise SyntaxFault(f"STATUS does not know {word}")
            return word

        return tuple(dict.fromkeys(self.several(one)))

    # FETCH and STORE

    def fetch_query(self) -> FetchQuery:
        """The attributes of FETCH and its modifiers."""
        items: list[FetchItem] = []
        if self.follows(b"("):
            for some in self.several(lambda: self._fetch_items(macros=False)):
                items.extend(some)
        else:
            items.extend(self._fetch_items(macros=True))
        if len(items) > _MAX_ITEMS:
            raise SyntaxFault(f"FETCH takes at most {_MAX_ITEMS} attributes")
        changed, vanished = None, False
        if not self.ended:
            self.space()

            def modifier() -> None:
                nonlocal changed, vanished
                match self.word("CHANGEDSINCE"):
                    case "CHANGEDSINCE":
                        self.space()
                        changed = self.number(MAX_NUMBER64)
                    case "VANISHED":
                        vanished = True
                    case other:
                        raise SyntaxFault(f"FETCH does not know the modifier {other}")

            self.several(modifier)
        return FetchQuery(tuple(items), changed, vanished)

    def _fetch_items(self, *, macros: bool) -> list[FetchItem]:
        name = self._match(_ITEM, "a FETCH attribute").decode().upper()
        if macros and name in _MACROS:
            return [FetchItem(one, peek=True) for one in _MACROS[name]]
        if self.follows(b"["):
            peek = name.endswith(".PEEK")
            plain = name.removesuffix(".PEEK")
            if plain == "BODY":
                section = self._section()
                return [FetchItem("BODY[]", section, peek, self._partial())]
            if plain == "BINARY":
                section = Section(self._only_part())
                return [FetchItem("BINARY[]", section, peek, self._partial())]
            if name == "BINARY.SIZE":
                return [FetchItem("BINARY.SIZE[]", Section(self._only_part()), True)]
        if name not in _PLAIN_ITEMS:
            raise SyntaxFault(f"FETCH does not know {name}")
        return [FetchItem(name, peek=name not in ("RFC822", "RFC822.TEXT"))]

    def _part(self) -> tuple[int, ...]:
        found: list[int] = []
        while (match := _DIGITS.match(self._octets, self._at)) is not None:
            if not found or self._octets[self._at - 1 : self._at] == b".":
                self._at = match.end()
                value = int(match[0][:12])
                if not value:
                    raise SyntaxFault("parts are numbered from 1")
                found.append(value)
            if not (self.follows(b".") and self._octets[self._at + 1 : self._at + 2].isdigit()):
                break
            self._at += 1
        return tuple(found)

    def _only_part(self) -> tuple[int, ...]:
        self.expect(b"[")
        part = self._part()
        self.expect(b"]")
        return part

    def _section(self) -> Section:
        self.expect(b"[")
        part = self._part()
        text = ""
        fields: tuple[bytes, ...] = ()
        dot = bool(part) and not self.follows(b"]")
        if dot:
            self.expect(b".")
        if dot or not self.follows(b"]"):
            text = self._match(_SECTION, "a section").decode().upper()
            if text not in ("HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"):
                raise SyntaxFault(f"BODY does not know the section {text}")
            if text == "MIME" and not part:
                raise SyntaxFault("MIME needs the number of a part before it")
            if text.startswith("HEADER.FIELDS"):
                self.space()
                fields = tuple(self.several(lambda: self.astring("the name of a header field")))
                if len(fields) > _MAX_ITEMS:
                    raise SyntaxFault(f"FETCH takes at most {_MAX_ITEMS} header fields")
        self.expect(b"]")
        return Section(part, text, fields)

    def _partial(self) -> tuple[int, int] | None:
        if not self.skip(b"<"):
            return None
        start = self.number(MAX_NUMBER64)
        self.expect(b".")
        length = self.number(MAX_NUMBER64)
        if not length:
            raise SyntaxFault("a partial fetch asks for at least one octet")
        self.expect(b">")
        return start, length

    def store_change(self) -> StoreChange:
        """[(UNCHANGEDSINCE n)] [+-]FLAGS[.SILENT] flags"""
        unchanged = None
        if self.skip(b"("):
            if self.word("UNCHANGEDSINCE") != "UNCHANGEDSINCE":
                raise SyntaxFault("STORE knows the modifier UNCHANGEDSINCE only")
            self.space()
            unchanged = self.number(MAX_NUMBER64)
            self.expect(b")")
            self.space()
        way = "+" if self.skip(b"+") else "-" if self.skip(b"-") else ""
        silent = False
        match self.word("FLAGS"):
            case "FLAGS":
                pass
            case "FLAGS.SILENT":
                silent = True
            case other:
                raise SyntaxFault(f"STORE changes FLAGS, not {other}")
        self.space()
        return StoreChange(way, self.flags(), silent, unchanged)

    # APPEND

    def append_head(self) -> AppendHead:
        """[(flags)] [date] {n}, up to the literal's count; its octets are not in this command."""
        flags: tuple[str, ...] = ()
        arrived = None
        if self.follows(b"("):
            flags = self.flags()
            self.space()
        if self.follows(b'"'):
            arrived = self.date_time()
            self.space()
        utf8 = False
        if self.skip(b"UTF8"):
            self.space()
            self.expect(b"(")
            utf8 = True
        match = _COUNT.match(self._octets, self._at)
        if match is None:
            raise self.fault("a literal with the message")
        self._at = match.end()
        return AppendHead(flags, arrived, int(match[2]), not match[3], bool(match[1]), utf8)

    # SEARCH, SORT, THREAD

    def search_program(self) -> SearchProgram:
        """[RETURN (...)] [CHARSET name] keys"""
        returns = self.returns()
        charset = ""
        if self.follows(b"CHARSET "):
            self._at += len(b"CHARSET ")
            charset = self.text("the name of a charset")
            self.space()
        return SearchProgram(self._all_keys(charset), returns)

    def returns(self) -> tuple[str, ...] | None:
        """[RETURN (...)] and a blank (RFC 4731, RFC 5267); None without it."""
        if not self.skip(b"RETURN"):
            return None
        self.space()
        found = tuple(self.several(lambda: self.word("a RETURN option"), empty=True))
        unknown = set(found) - _SEARCH_RETURNS
        if unknown:
            raise SyntaxFault(f"SEARCH does not return {', '.join(sorted(unknown))}")
        self.space()
        return found or ("ALL",)

    def sorted_program(self) -> SearchProgram:
        """charset keys, as SORT and THREAD have them."""
        charset = self.text("the name of a charset")
        self.space()
        return SearchProgram(self._all_keys(charset))

    def sort_criteria(self) -> list[tuple[str, bool]]:
        """(REVERSE DATE ...): what to sort by, and whether backwards."""

        def one() -> tuple[str, bool]:
            word = self.word("a sort criterion")
            reverse = word == "REVERSE"
            if reverse:
                self.space()
                word = self.word("a sort criterion")
            if word not in _SORT_KEYS:
                raise SyntaxFault(f"SORT does not know {word}")
            return word, reverse

        return self.several(one)

    def _all_keys(self, charset: str) -> SearchKey:
        reader = _SearchReader(self, _codec(charset))
        keys = [reader.key(0)]
        while not self.ended:
            self.space()
            keys.append(reader.key(0))
        return keys[0] if len(keys) == 1 else SearchKey(SearchName.AND, keys=tuple(keys))


class _SearchReader:
    """The search keys of one command."""

    def __init__(self, grammar: Grammar, codec: str) -> None:
        self._grammar = grammar
        self._codec = codec
        self._left = _MAX_KEYS

    def key(self, depth: int) -> SearchKey:
        """One key, or several in parentheses."""
        grammar = self._grammar
        self._left -= 1
        if depth > _MAX_DEPTH or self._left < 0:
            raise SyntaxFault("the search has too many parts")
        if grammar.follows(b"("):
            return SearchKey(
                SearchName.AND, keys=tuple(grammar.several(lambda: self.key(depth + 1)))
            )
        if grammar.follows(b"$") or grammar.follows(b"*") or self._digit():
            return SearchKey(SearchName.SEQUENCE, numbers=grammar.numbers())
        word = grammar.word("a search key")
        return self._named(word, depth)

    def _digit(self) -> bool:
        return any(self._grammar.follows(b"%d" % digit) for digit in range(10))

    def _named(self, word: str, depth: int) -> SearchKey:
        simple = self._simple(word)
        if simple is not None:
            return simple
        if word == "NOT":
            return _not(self._next(depth))
        if word == "OR":
            return SearchKey(SearchName.OR, keys=(self._next(depth), self._next(depth)))
        with_argument = _ARGUMENTS.get(word)
        if with_argument is None:
            raise SyntaxFault(f"SEARCH does not know {word}")
        self._grammar.space()
        return with_argument(self, word)

    def _next(self, depth: int) -> SearchKey:
        self._grammar.space()
        return self.key(depth + 1)

    def _header_named(self, word: str) -> SearchKey:
        return SearchKey(SearchName.HEADER, (word.lower(), self._text()))

    def _header(self, _word: str) -> SearchKey:
        name = self._grammar.astring("the name of a header field").decode("ascii", "replace")
        self._grammar.space()
        return SearchKey(SearchName.HEADER, (name.lower(), self._text()))

    def _content(self, word: str) -> SearchKey:
        return SearchKey(SearchName(word), (self._text(),))

    def _date(self, word: str) -> SearchKey:
        return SearchKey(SearchName(word), day=self._grammar.date())

    def _size(self, word: str) -> SearchKey:
        return SearchKey(SearchName(word), number=self._grammar.number(MAX_NUMBER64))

    def _keyword(self, word: str) -> SearchKey:
        found = SearchKey(SearchName.FLAG, (self._grammar.flag(),))
        return found if word == "KEYWORD" else _not(found)

    def _uids(self, _word: str) -> SearchKey:
        return SearchKey(SearchName.UID, numbers=self._grammar.numbers())

    def _object(self, word: str) -> SearchKey:
        return SearchKey(SearchName(word), (self._grammar.text("an object's id"),))

    def _simple(self, word: str) -> SearchKey | None:  # noqa: PLR0911  # one for each key
        if word in _FLAG_KEYS:
            return SearchKey(SearchName.FLAG, (_FLAG_KEYS[word],))
        if word.startswith("UN") and word[2:] in _FLAG_KEYS:
            return _not(SearchKey(SearchName.FLAG, (_FLAG_KEYS[word[2:]],)))
        recent = SearchKey(SearchName.FLAG, ("\\Recent",))
        match word:
            case "ALL":
                return SearchKey(SearchName.ALL)
            case "RECENT":
                return recent
            case "OLD":
                return _not(recent)
            case "NEW":
                unseen = _not(SearchKey(SearchName.FLAG, ("\\Seen",)))
                return SearchKey(SearchName.AND, keys=(recent, unseen))
        return None

    def _modseq(self, _word: str) -> SearchKey:
        grammar = self._grammar
        if grammar.follows(b'"'):
            grammar.string("the name of an entry")
            grammar.space()
            if grammar.word("priv, shared or all") not in ("PRIV", "SHARED", "ALL"):
                raise SyntaxFault("MODSEQ knows priv, shared and all")
            grammar.space()
        return SearchKey(SearchName.MODSEQ, number=grammar.number(MAX_NUMBER64))

    def _text(self) -> str:
        octets = self._grammar.astring("what to search for")
        try:
            return octets.decode(self._codec)
        except UnicodeDecodeError:
            raise SyntaxFault("what is searched for is not in the charset that was named") from None


_ARGUMENTS: dict[str, Callable[[_SearchReader, str], SearchKey]] = {
    **dict.fromkeys(("BCC", "CC", "FROM", "SUBJECT", "TO"), _SearchReader._header_named),
    **dict.fromkeys(("BODY", "TEXT"), _SearchReader._content),
    **dict.fromkeys(
        ("BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"), _SearchReader._date
    ),
    **dict.fromkeys(("LARGER", "SMALLER", "YOUNGER", "OLDER"), _SearchReader._size),
    **dict.fromkeys(("KEYWORD", "UNKEYWORD"), _SearchReader._keyword),
    **dict.fromkeys(("EMAILID", "THREADID"), _SearchReader._object),
    "HEADER": _SearchReader._header,
    "UID": _SearchReader._uids,
    "MODSEQ": _SearchReader._modseq,
}


def _not(key: SearchKey) -> SearchKey:
    return SearchKey(SearchName.NOT, keys=(key,))


def _codec(charset: str) -> str:
    known = {
        "": "utf-8", "us-ascii": "utf-8", "utf-8": "utf-8", "gb2312": "gb18030", "gbk": "gb18030",
        "gb18030": "gb18030", "big5": "cp950", "iso-8859-1": "iso-8859-1",
    }  # fmt: skip
    try:
        return known[charset.lower()]
    except KeyError:
        raise UnknownCharset(charset) from None


def _day(day: str, month: str, year: str) -> date:
    try:
        return date(int(year), _MONTHS.index(month.lower()) + 1, int(day))
    except ValueError:
        raise SyntaxFault(f"there is no such day: {day}-{month}-{year}") from None
