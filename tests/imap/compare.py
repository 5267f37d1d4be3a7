"""Gives the same mails to us and to Dovecot, asks both the same, and tells what differs.

`Modules` answers from the modules alone, without a server; `Mailbox` is a mailbox of a server.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from mailboxes import imapdata
from mailboxes.scan import scan
from mailboxes.structure import Part
from tests.imap import structures
from tests.imap.client import Client, quoted
from tests.imap.differences import reason
from tests.imap.generator import Mail
from tests.imap.sections import sections
from tests.imap.structures import Finding

Value = Any

_NAME = "Compared"
_BATCH = 100  # mails that are appended without waiting
_STRUCTURES = ("ENVELOPE", "BODYSTRUCTURE", "BODY")
_FIELDS = "HEADER.FIELDS (FROM SUBJECT X-LONG CONTENT-TYPE NO-SUCH-FIELD)"
_NUMBERED = re.compile(r"BODY\[[0-9]")
_PARTIAL = re.compile(r"BODY\[(.*)\]<([0-9]+)\.([0-9]+)>")


class Answers(Protocol):
    """One side of a comparison."""

    def fetch(self, number: int, mail: Mail, names: Sequence[str], /) -> dict[str, Value]:
        """What it says of the mail with that sequence number; not all it is asked, perhaps."""
        ...


@dataclass
class Report:
    """What a comparison found."""

    compared: int = 0
    justified: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, mail: Mail, found: Finding) -> None:
        """Judge a difference."""
        why = reason(found, mail.octets)
        if why is not None:
            self.justified[why] += 1
            return
        self.faults.append(
            f"{mail.name}: {found.kind} {found.name}\n"
            f"  ours   {str(found.ours)[:500]}\n  theirs {str(found.theirs)[:500]}"
        )

    def __str__(self) -> str:
        lines = [f"{count} {why}" for why, count in self.justified.most_common()]
        return "\n".join([f"{self.compared} values compared", *lines, *self.faults[:20]])


class Mailbox:
    """A mailbox of one server, with the mails in it."""

    def __init__(self, client: Client, user: str, password: str) -> None:
        self._client = client
        client.ok("LOGIN", user, quoted(password))

    def fill(self, mails: Sequence[Mail]) -> None:
        """Append all mails, in order, with flags and dates that follow from their place."""
        self._client.ok("CREATE", _NAME)
        for start in range(0, len(mails), _BATCH):
            commands = [
                ("APPEND", _NAME, f"({_flags(number)})", f'"{_date(number)}"', mail.octets)
                for number, mail in enumerate(mails[start : start + _BATCH], start)
            ]
            for mail, reply in zip(mails[start:], self._client.pipeline(commands), strict=False):
                assert reply.state == "OK", (mail.name, reply.text)
        self._client.ok("SELECT", _NAME)

    def fetch(self, number: int, mail: Mail, names: Sequence[str]) -> dict[str, Value]:
        asked = " ".join(name.replace("BODY[", "BODY.PEEK[") for name in names)
        found = self._client.ok("FETCH", str(number), f"({asked})").fetched()[number]
        # The answer names where a piece begins, not how long it was to be.
        answer = {name: re.sub(r"\.[0-9]+>$", ">", name) for name in names}
        assert set(found) >= set(answer.values()), (mail.name, set(answer.values()) - set(found))
        return {name: found[answer[name]] for name in names}

    def search(self, *words: str | bytes) -> list[Value]:
        """What SEARCH, SORT or THREAD answers, behind its own name."""
        reply = self._client.ok(*words)
        return reply.data(str(words[0]))


class Modules:
    """Our answers before there is a server: as far as the modules compute them."""

    def fetch(self, _number: int, mail: Mail, names: Sequence[str]) -> dict[str, Value]:
        part = scan(mail.octets)
        structure = imapdata.bodystructure(part)
        found: dict[str, Value] = {
            "ENVELOPE": structures.from_modules(imapdata.envelope(part)),
            "BODYSTRUCTURE": structures.from_modules(structure),
            "BODY": structures.from_modules(imapdata.body(structure)),
            "RFC822.SIZE": len(mail.octets),
        }
        for section in sections(part, len(mail.octets)):
            found[f"BODY[{section.name}]"] = mail.octets[section.start : section.stop]
        return {name: value for name, value in found.items() if name in names}


def compare(ours: Answers, theirs: Answers, mails: Sequence[Mail]) -> Report:
    """Ask both about every mail; they stand in this order in both mailboxes."""
    report = Report()
    for number, mail in enumerate(mails, 1):
        part = scan(mail.octets)
        names = list(_names(part, len(mail.octets)))
        mine, other = ours.fetch(number, mail, names), theirs.fetch(number, mail, names)
        report.compared += len(mine)
        found = list(_structures(part, mine, other))
        if any(one.kind == "parts" for one in found):  # their numbers mean other parts
            mine = {name: value for name, value in mine.items() if not _NUMBERED.match(name)}
        else:
            found += _sections(part, len(mail.octets), mine, other)
        found += _rest(part, mine, other)
        for one in found:
            report.add(mail, one)
    return report


def _names(part: Part, size: int) -> Iterator[str]:
    yield from (*_STRUCTURES, "RFC822.SIZE", "FLAGS", "INTERNALDATE")
    yield f"BODY[{_FIELDS}]"
    yield f"BODY[{_FIELDS.replace('FIELDS', 'FIELDS.NOT')}]"
    for section in sections(part, size):
        yield f"BODY[{section.name}]"
        if section.name.endswith(".HEADER"):
            yield f"BODY[{section.name.removesuffix('HEADER')}{_FIELDS}]"
    yield from (f"BODY[]<{size // 3}.{size // 3 + 1}>", f"BODY[]<{size}.10>", "BODY[TEXT]<1.7>")


def _structures(part: Part, mine: dict[str, Value], other: dict[str, Value]) -> Iterator[Finding]:
    yield from structures.envelopes(part, mine["ENVELOPE"], other["ENVELOPE"])
    for name in ("BODYSTRUCTURE", "BODY"):
        yield from structures.bodies(
            part, mine[name], other[name], extended=name == "BODYSTRUCTURE"
        )


def _sections(
    part: Part, size: int, mine: dict[str, Value], other: dict[str, Value]
) -> Iterator[Finding]:
    for section in sections(part, size):
        name = f"BODY[{section.name}]"
        if (mine[name] or b"") != (other[name] or b""):
            yield Finding("section", name, mine[name], other[name], section.part, section.parents)


def _rest(part: Part, mine: dict[str, Value], other: dict[str, Value]) -> Iterator[Finding]:
    for name in mine.keys() & other.keys():
        one, two = mine[name], other[name]
        if name == "FLAGS":
            one, two = (sorted({*flags} - {"\\RECENT"}) for flags in (one, two))
        elif name == "INTERNALDATE":
            one, two = (_moment(date) for date in (one, two))
        if one == two or name in _STRUCTURES:
            continue
        if name == "RFC822.SIZE":
            yield Finding("number", name, one, two, part, ())
        elif "HEADER.FIELDS" in name:
            yield Finding("fields", name, one, two, part, ())
        elif _PARTIAL.fullmatch(name):
            yield Finding("partial", name, one, two, part, ())
        elif not name.startswith("BODY["):
            yield Finding("other", name, one, two, part, ())


def _moment(date: bytes) -> datetime:
    return datetime.strptime(date.decode().strip(), "%d-%b-%Y %H:%M:%S %z")


def _flags(number: int) -> str:
    flags = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Label1", "Work")
    return " ".join(flag for bit, flag in enumerate(flags) if number * 37 >> bit & 1)


def _date(number: int) -> str:
    zone = ("+0800", "+0000", "-1200", "+1400")[number % 4]
    return f"{number % 28 + 1:2d}-Mar-2026 {number % 24:02d}:{number % 60:02d}:09 {zone}"
