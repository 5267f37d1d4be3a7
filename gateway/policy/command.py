"""Reads from the text of a mail whether it is an act: a command alone on its first own line.

Own lines are those that the person has written now: neither quoted nor a signature, nor what a mail
program puts before a quotation. Whatever is not surely a command is ordinary mail.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from gateway.domain.script import fold, fold_in_place, visible
from gateway.domain.states import Act
from gateway.policy.cases import CaseResult
from gateway.policy.signing import FILE_NAME, Signing

REASON_LENGTH = 500  # characters that are kept
_LINES = 2_000  # that are looked at; a command has few
_END = re.compile(r"[\s。.!！~;；]+$")
_RULE = re.compile(r"[-_=*—─]{2,}$|[-_=*—─ ]{2,}[^-_=*—─]{2,40}[-_=*—─ ]{2,}$")
_HEAD = re.compile(r"(?:发件人|寄件者|寄件人|from|von|de)\s*:\s*\S", re.IGNORECASE)
_SAID = re.compile(r"(?:写道|寫道|wrote|schrieb)\s*:?$", re.IGNORECASE)
_ON = re.compile(r"(?:on|am|在|于)\s*\S.*\d|.*\d.*<[^<>@]+@[^<>@]+>", re.IGNORECASE)
_DEVICE = re.compile(
    r"(?:发自|从)我的|(?:sent|get) (?:from|outlook|from my)\b|获取 ?outlook", re.IGNORECASE
)
_NAME = re.compile(
    r"[\u4e00-\u9fff\u3400-\u4dbf·・]{2,12}|[A-Za-z][A-Za-z.'’-]*(?: [A-Za-z.'’-]+){0,3}"
)
_BETWEEN = re.compile(r"\s*[:,，、\s]\s*")
_RETURN = re.compile(
    r"(?P<word>[^\s:]+)(?:\s+(?P<name>[^:]{1,40}?))?\s*:\s*(?P<reason>.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Command:
    """What a person has told the office to do with a document."""

    act: Act
    name: str = ""  # of the person, as written; empty: none was given
    reason: str = ""  # of a return, on one line


def own_lines(text: str) -> list[str]:
    """The lines that were written now, without empty ones."""
    own: list[str] = []
    lines = [visible(line).strip() for line in text.splitlines()[:_LINES]]
    place = 0
    while place < len(lines):
        line = lines[place]
        folded = fold_in_place(line)
        if (ends := _attribution(lines, place)) is not None:
            if not _is_quoted(lines, ends):
                break  # what follows is the other mail, unmarked
            place = ends
            continue
        if folded == "--" or _RULE.fullmatch(folded) or _HEAD.match(folded):
            break
        if line and not _quotes(line) and not _DEVICE.match(folded):
            own.append(line)
        place += 1
    return own


def read_command(
    own: Sequence[str], signing: Signing, *, known: Collection[str] = ()
) -> Command | None:
    """The command on the first of the lines; None if there is none, or something stands below it.

    `known` are names that a signature without a mark may consist of: person, unit, address.
    """
    if not own:
        return None
    signature = {fold(name) for name in known}
    first, rest = own[0], [line for line in own[1:] if fold(line) not in signature]
    returned = _returned(first, rest, signing)
    if returned is not None or rest:
        return returned
    line = _END.sub("", fold_in_place(first))
    if fold(line) in signing.sign:
        return Command(Act.SIGN_FOR)
    for word, name in _splits(line):
        if fold(word) in signing.with_name and is_name(name, signing):
            return Command(Act.SIGN_FOR, name=name)
    return None


def run_signing_cases(signing: Signing) -> list[CaseResult]:
    """What became of the file's own cases."""
    results = []
    for number, case in enumerate(signing.case, 1):
        found = read_command(own_lines(case.text), signing)
        wanted = None if case.act is None else Command(case.act, case.name, case.reason)
        faults = () if found == wanted else (f"it reads as {found}, not {wanted}",)
        results.append(CaseResult(FILE_NAME, f"number {number}", faults))
    return results


def is_name(text: str, signing: Signing) -> bool:
    """Whether it looks like a person's name, and is nothing that people write instead of one."""
    return _NAME.fullmatch(text) is not None and fold(text) not in signing.no_names


def _splits(line: str) -> Iterator[tuple[str, str]]:
    """The line as a word and what follows, the longest word first."""
    for found in reversed(list(_BETWEEN.finditer(line))):
        yield line[: found.start()], line[found.end() :]


def _returned(first: str, rest: Sequence[str], signing: Signing) -> Command | None:
    folded = fold_in_place(first)
    below = " ".join(rest)
    if fold(_END.sub("", folded)) in signing.returning:
        return Command(Act.RETURN, reason=_one_line(below))
    colon = _RETURN.fullmatch(folded)
    if colon is not None and fold(colon["word"]) in signing.returning:
        name = colon["name"] or ""
        reason = f"{first[colon.start('reason') :]} {below}"
        if name and not is_name(name, signing):
            name, reason = "", f"{first[colon.start('name') :]} {below}"
        return Command(Act.RETURN, name=name, reason=_one_line(reason))
    word, _, reason = folded.partition(" ")
    if reason and fold(word) in signing.bare_return:
        return Command(Act.RETURN, reason=_one_line(f"{first[len(word) :]} {below}"))
    return None


def _one_line(text: str) -> str:
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(shown.split())[:REASON_LENGTH]


def _quotes(line: str) -> bool:
    return line[:1] in (">", "＞", "|", "｜")


def _attribution(lines: Sequence[str], place: int) -> int | None:
    """Behind the sentence that names who wrote what is quoted, if one begins there; at most three
    lines, since programs fold it."""
    joined = ""
    for end in range(place, min(place + 3, len(lines))):
        if not lines[end] or _quotes(lines[end]):
            return None
        joined = f"{joined} {fold_in_place(lines[end])}".strip()
        if _SAID.search(joined):
            return end + 1 if _ON.match(joined) or end == place else None
        if end == place and not _ON.match(joined):
            return None
    return None


def _is_quoted(lines: Sequence[str], place: int) -> bool:
    following = next((line for line in lines[place:] if line), "")
    return _quotes(following)
