"""Finds classification markings (密级标志) by their form and place, and passes talk about secrets.

GB/T 9704-2012, 7.2.2: a level, with the period behind a star, at the head of the document, as in
机密★1年. A level counts where a mark stands: alone on a line or in a cell, in brackets, with its
star, behind 密级:, at the edge of a subject or a title, or as a segment of a file name. A level
inside a sentence (国家秘密, 商业秘密, 分为绝密、机密、秘密三级) is a word. docs/markings.md has the
table of examples, which a test runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from gateway.domain.reply import REPLY_PREFIX
from gateway.domain.script import simplify, visible


class Level(StrEnum):
    """密级."""

    TOP_SECRET = "top-secret"  # noqa: S105  绝密
    SECRET = "secret"  # noqa: S105  机密
    CONFIDENTIAL = "confidential"  # 秘密


_LEVELS = {
    "绝密": Level.TOP_SECRET,
    "机密": Level.SECRET,
    "秘密": Level.CONFIDENTIAL,
    "top secret": Level.TOP_SECRET,
    "secret": Level.SECRET,
    "confidential": Level.CONFIDENTIAL,
}
_HEAD_LINES = 15  # the head and title of a document: where an unbracketed mark may have company
_LINE_LIMIT = 4_000  # a longer line is searched at both ends: marks stand at edges
_TITLE_LENGTH = 80
_MARK_LENGTH = 80  # letters at the end of a line that can hold a mark and what divides it off
_VERTICAL_LINES = 16

_OPEN, _CLOSE = r"[\[({【〔〖〈<﹝]", r"[\])}】〕〗〉>﹞]"
_STAR = "[★☆✩✪✫✬✭✮✯⭐※*·●]"
_PERIOD = (
    r"(?:长期|永久|启[用封]前|公开前|解密前|(?:至\s?)?"
    r"(?:(?:[\dx×一二三四五六七八九十半]{1,5}\s?(?:年|个月|月|天|日)){1,3}"
    r"|\d{4}[年.\-/]\d{1,2}[月.\-/]\d{1,2}日?)止?)"
)
_PLAIN = r"(?P<level>[绝机秘]密)(?:级|件|文件)?"
_STARRED = rf"(?P<level>[绝机秘]密)级?\s?{_STAR}\s?(?:{_PERIOD})?"
_MARK = rf"(?P<level>[绝机秘]密)(?:级|件|文件)?(?:\s?{_STAR}?\s?{_PERIOD}|\s?{_STAR})?"

# What stands beside a mark in a document's head without being a sentence.
_BESIDE = r"(?:特提|特急|加急|急件|平急|平件|\d|份号|no\.?|[:#*=_~\-—|/,、.]|\s)"
# Possessive: `no.` can be read in two ways, and a line of thirty would be read in 2**30.
_ALONE = re.compile(
    rf"{_BESIDE}*+{_OPEN}?\s?(?:[★☆]\s?)?{_MARK}\s?(?:[★☆]\s?)?{_CLOSE}?{_BESIDE}*+!*"
)
_BRACKETED = re.compile(rf"{_OPEN}\s?{_MARK}\s?{_CLOSE}")
_STAR_TOKEN = re.compile(rf"(?:^|(?<=[\s\])】〕>:|])){_STARRED}(?=$|[\s\[(【〔<|,])")
# Level, star and period together: nobody begins a sentence so, whatever follows.
_STAR_PERIOD = rf"(?P<level>[绝机秘]密)级?\s?{_STAR}\s?{_PERIOD}"
_STAR_FIRST = re.compile(rf"{_OPEN}?\s?{_STAR_PERIOD}")
_LABELLED = (
    r"(?:密\s{0,4}级|保密级别|保密等级|涉密等级|涉密级别|秘密等级)(?:[和及、]?保密期限)?\s?"
    rf"(?:[:=|]|为(?!.{{0,12}}的)|\s)\s?[☑☒√✓✔■]?\s?{_OPEN}?\s?"
)
_LABEL = re.compile(
    rf"{_LABELLED}{_MARK}(?=\s?(?:$|[\s,;.。)\]】〕|]|{_OPEN}\s?{_PERIOD}\s?{_CLOSE}))"
)
_LABEL_STAR = re.compile(_LABELLED + _STAR_PERIOD)
_LABEL_TIGHT = re.compile(rf"^密\s{{0,4}}级{_MARK}(?=\s|$)")
_PERIOD_ROW = re.compile(rf"\|\s*[绝机秘]密级?\s*\|\s*(?:不超过)?{_PERIOD}(?:以内)?\s*\|?")
_TICKED = re.compile(rf"[☑☒√✓✔■]\s?{_PLAIN}")
_LEADING = re.compile(rf"{_MARK}\s?(?:[\s:|—_\-]+(?!是|指|系|级|为|即|的|和|与|或|及)|(?=关于))\S")
_TRAILING = re.compile(rf"\S(?:\s+|\s?[—_|\-★☆]+\s?){_MARK}$")
_SEGMENT = re.compile(rf"\d{{0,8}}{_MARK}(?:附件\d{{0,3}}|\d{{1,3}}|关于.*|(?<={_STAR}).*)?")

# 国家 秘密 and the like, broken by a line or by spacing, are still one word.
_COMPOUND = re.compile(
    r"(?:国家|商业|工作|技术|个人|企业|军事|通信|审判|侦查|检察|警务|经营|内部|党和国家|党的"
    r"|保守|泄露|泄漏|涉及|窃取|刺探|知悉|属于|产生|一般|重要|核心|什么是|是|的|和|与|或|及|等|、)$"
)
_QUOTED = re.compile(r"^[\s>|]+")
_SPACED = re.compile(r"(?<![\u4e00-\u9fff])([绝机秘])\s{1,8}密(?![\u4e00-\u9fff])")
_LETTERSPACED = re.compile(r"(?:\S\s){3,}\S?")
_REPLY = re.compile(rf"^(?:{REPLY_PREFIX})++\s*")
_URGENT = re.compile(rf"{_OPEN}?(?:特提|特急|加急|急件|平急|平件){_CLOSE}?[\s:,、/]*")
_ENUMERATION = re.compile(r"[绝机秘]密级?\s?(?:[、,/]|和|或|及|与)\s?[绝机秘]密")

# English only in capitals and only in the forms of a mark: an English mail that says "secret" or
# carries a "CONFIDENTIAL" disclaimer is not a state secret.
_ENGLISH = r"(?P<level>TOP SECRET|SECRET)"
_ENGLISH_ALONE = re.compile(rf"[\s*=_\-\[(【]*{_ENGLISH}[\s*=_\-\])】]*")
_ENGLISH_FORM = re.compile(
    r"(?P<level>TOP SECRET|SECRET|CONFIDENTIAL)\s?(?://|★)"
    r"|(?i:classification)\s?[:=]\s?(?P<labelled>(?i:top secret|secret|confidential))\b"
)
_ENGLISH_BRACKETED = re.compile(rf"[\[(【]\s?{_ENGLISH}\s?[\])】]")
# Asked of the text as written, before the costly folding: both scripts, whatever hides between.
_POSSIBLE = re.compile(
    r"[绝絕絶机機秘祕]\W{0,16}[密宻]|[\uff21-\uff5a]{6}|secret|confidential", re.IGNORECASE
)


def find_markings(text: str, place: str) -> list[tuple[Level, str]]:
    """The markings in one text, each level once, as (level, place).

    `place` decides which forms count: `subject`, `header` and `attachment-name` are short labels,
    everything else is running text whose first lines are a document's head.
    """
    if not _POSSIBLE.search(text):
        return []
    match place:
        case "attachment-name":
            levels = {level for part in _ends(_normal(text)) for level in _in_name(part)}
        case "subject" | "header":
            levels = {level for part in _ends(_normal(text)) for level in _in_label(part)}
        case _:
            levels = set(_in_text(text))
    return [(level, place) for level in Level if level in levels]


def _normal(text: str) -> str:
    return visible(simplify(text))


def _ends(line: str) -> tuple[str, ...]:
    half = _LINE_LIMIT // 2
    return (line,) if len(line) <= _LINE_LIMIT else (line[:half], line[-half:])


def _in_name(path: str) -> Iterator[Level]:
    for name in re.split(r"[/\\]", path):
        stem = re.sub(r"(?:\.[a-z0-9]{1,5}){1,2}$", "", name, flags=re.IGNORECASE)
        before = ""
        for segment in re.split(
            r"[\s_\-—–.,、+:;#@~&\[\](){}【】〔〕〖〗〈〉《》<>!=|]+", _close_up(stem)
        ):
            found = _SEGMENT.fullmatch(segment) or re.fullmatch(_ENGLISH, segment)
            if found and not _COMPOUND.search(before):
                yield _LEVELS[found["level"].lower()]
            before = segment or before


def _in_label(text: str) -> Iterator[Level]:
    line = _URGENT.sub(" ", _close_up(_REPLY.sub("", " ".join(text.split())))).strip()
    yield from _anywhere(line)
    if not _ENUMERATION.search(line):
        for found in _BRACKETED.finditer(line):
            yield _LEVELS[found["level"]]
        yield from _at_edges(line)
    yield from _english(line)
    for found in _ENGLISH_BRACKETED.finditer(line):
        yield _LEVELS[found["level"].lower()]


def _in_text(text: str) -> Iterator[Level]:
    head = _HEAD_LINES
    before = ""  # the line directly above; empty after an empty line
    lines = text.splitlines()
    yield from _vertical(lines)
    for line in lines:
        if not line.strip():
            before = ""
            continue
        head -= 1
        if _POSSIBLE.search(line):
            above = _normal(before)
            for part in _ends(_normal(line)):
                yield from _in_line(part, above, head >= 0)
        before = line[-40:]


def _vertical(lines: list[str]) -> Iterator[Level]:
    """A mark at the very start that is written downwards, a letter on each line."""
    letters: list[str] = []
    for line in filter(None, (_normal(line[:40]).strip() for line in lines[:_VERTICAL_LINES])):
        if len(line) > (1 if len(letters) < 2 else 3):
            break
        letters.append(line)
    if len(letters) > 1 and (found := _ALONE.fullmatch("".join(letters))):
        yield _LEVELS[found["level"]]


def _in_line(line: str, before: str, in_head: bool) -> Iterator[Level]:
    if _PERIOD_ROW.fullmatch(line.strip()):
        return  # of a table that explains the levels
    line = _close_up(_QUOTED.sub("", line)).strip()
    # Two spaces or a TAB divide cells and paragraphs that were run together.
    pieces = [piece.strip() for piece in re.split(r"\s{2,}|\t", line)]
    above = _squeeze(before)
    for piece in pieces:
        if (found := _ALONE.fullmatch(piece)) and not _COMPOUND.search(above):
            yield _LEVELS[found["level"]]
        yield from _english(piece)
        above = _squeeze(piece)
    yield from _anywhere(line)
    if _ENUMERATION.search(line):
        return
    for found in _BRACKETED.finditer(line):
        title_like = len(line) <= _TITLE_LENGTH and not re.search("[。;]", line)
        if found.start() == 0 or (found.end() == len(line) and title_like):
            yield _LEVELS[found["level"]]
    title_like = in_head and len(line) <= _TITLE_LENGTH and not re.search("[。;]", line)
    if title_like and not _COMPOUND.search(_squeeze(before)):
        yield from _at_edges(line)


def _anywhere(line: str) -> Iterator[Level]:
    """Forms that are a mark wherever they stand in a line."""
    if found := _STAR_FIRST.match(line):
        yield _LEVELS[found["level"]]
    for pattern in (_STAR_TOKEN, _LABEL, _LABEL_STAR, _LABEL_TIGHT):
        for found in pattern.finditer(line):
            yield _LEVELS[found["level"]]
    if re.search("密\\s{0,4}级|保密", line):
        for found in _TICKED.finditer(line):
            yield _LEVELS[found["level"]]


def _at_edges(line: str) -> Iterator[Level]:
    if found := _ALONE.fullmatch(line):
        yield _LEVELS[found["level"]]
    line = _URGENT.sub("", line).strip()
    if found := _STAR_FIRST.match(line) or _LEADING.match(line):
        yield _LEVELS[found["level"]]
    # From everywhere in the line, a run of dashes would be read once for each of them.
    found = _TRAILING.search(line, max(0, len(line) - _MARK_LENGTH))
    if found and not _COMPOUND.search(_squeeze(line[: found.start() + 1])):
        yield _LEVELS[found["level"]]


def _english(line: str) -> Iterator[Level]:
    if found := _ENGLISH_ALONE.fullmatch(line):
        yield _LEVELS[found["level"].lower()]
    for found in _ENGLISH_FORM.finditer(line):
        yield _LEVELS[(found["level"] or found["labelled"]).lower()]


def _close_up(line: str) -> str:
    """Letter-spaced text without its spacing: 机 密, and whole lines out of a PDF."""
    if _LETTERSPACED.fullmatch(line.strip()):
        return _squeeze(line)
    return _SPACED.sub(r"\1密", line)


def _squeeze(text: str) -> str:
    return "".join(text.split())
