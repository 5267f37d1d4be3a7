"""What subject, headers and first lines say about a document: title, 文号, 文种, 紧急程度.

No special client is needed, so nothing here is demanded: what is not found stays empty, and a
number in the wrong form is normalised and reported as a warning, never refused.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from gateway.domain.document import Metadata, Urgency
from gateway.domain.reply import REPLY_PREFIX
from gateway.domain.script import fold_in_place, visible

NUMBER_MALFORMED = "number-malformed"
SUBJECT_LENGTH = 2_000  # letters of a subject that are read and kept as title

# GB/T 9704-2012 knows 特急, 加急 and 平件; telegrams 特提 特急 加急 平急; older offices write 急件.
_URGENCY_WORDS = {
    "特提": Urgency.EXTRA,
    "特急": Urgency.EXTRA,
    "特急件": Urgency.EXTRA,
    "加急": Urgency.URGENT,
    "加急件": Urgency.URGENT,
    "急件": Urgency.URGENT,
    "紧急": Urgency.URGENT,
    "急": Urgency.URGENT,
    "平急": Urgency.NORMAL,
    "平件": Urgency.NORMAL,
}
_WORDS = "|".join(sorted(_URGENCY_WORDS, key=len, reverse=True))
_OPEN, _CLOSE = "【\\[(〔〖{<〈「﹝", "】\\])〕〗}>〉」﹞"
_BRACKETED_URGENCY = re.compile(rf"[{_OPEN}]\s*({_WORDS})\s*[!]*\s*[{_CLOSE}]")
_LEADING_URGENCY = re.compile(
    r"\s*(特提|特急|加急|急件|平急|平件)(?:\s*[::!,、|/—-]\s*|\s+|(?=关于))"
)
_TRAILING_URGENCY = re.compile(r"(?<![\s—|-])[\s—|-]++(特提|特急|加急|急件|平急|平件)\s*$")
_REPLY_PREFIX = re.compile(REPLY_PREFIX)

# 赤政办发〔2010〕56号, with every bracket and fault that is seen in practice.
_NUMBER = re.compile(
    r"(?P<code>[\u3400-\u4dbf\u4e00-\u9fff]{2,16})\s?"
    r"(?P<open>[〔\[(【﹝〈《])\s?(?P<year>\d{2,4})\s?年?(?P<close>[〕\])】﹞〉》])\s?"
    r"(?P<ordinal>第?)\s?(?P<number>\d{1,5})\s?号"
)
_REFERENCE_BEFORE = re.compile(
    r"(?:根据|按照|依据|贯彻|落实|印发|转发|批转|废止|执行)[^,;。]{0,60}$"
)

KINDS = tuple(
    re.findall(r"\S+", "决议 决定 命令 公报 公告 通告 意见 通知 通报 报告 请示 批复 议案 函 纪要")
)
_EDGES = " ([【{（）)]】}"
_NOT_AN_ORDER = ("口令", "指令", "法令", "号令", "政令", "禁令", "司令", "时令", "夏令", "冬令")
# 请提意见, 征求意见: what a mail asks for, not what it is.
_NOT_AN_OPINION = ("提意见", "求意见", "取意见", "馈意见", "表意见", "有意见", "无意见", "何意见")
_TAIL_SIGNS = " \t.,;:!?。、…_—-"
_TAIL_LENGTH = 22  # of a remark in brackets
_REFERENCE_LENGTH = 64
_TITLE_TAIL = re.compile(
    rf"[{_OPEN}][^{_OPEN}{_CLOSE}]{{1,20}}[{_CLOSE}]$|\.(?:docx?|pdf|wps|ofd)$"
)


@dataclass(frozen=True, slots=True)
class _FoundNumber:
    start: int
    end: int
    normal: str  # empty if the year cannot be read
    malformed: bool


def read_metadata(
    subject: str,
    first_lines: str,
    *,
    importance: str = "",
    x_priority: str = "",
    mt_priority: int | None = None,
) -> tuple[Metadata, str]:
    """Metadata, and what said the urgency: subject, mt-priority, importance, x-priority or nothing.

    `subject` is decoded; `first_lines` is the beginning of the body (about 30 lines);
    `importance` and `x_priority` are header values, `mt_priority` is -9 to 9 (RFC 6710).
    """
    subject = " ".join(visible(subject).split())[:SUBJECT_LENGTH].rstrip()
    spans: list[tuple[int, int]] = []
    urgency, source = _urgency(subject, spans, importance, x_priority, mt_priority)
    found, number_text = _number_in_title(subject, spans), subject
    if found is None:
        found, number_text = _number_in_lines(first_lines)
    else:
        spans.append((found.start, found.end))
    title = _without(subject, spans)
    return (
        Metadata(
            title=title or subject,
            number=found.normal if found else "",
            number_found=number_text[found.start : found.end].strip(_EDGES) if found else "",
            kind=_kind(title) or _kind_in_lines(first_lines),
            urgency=urgency,
            warnings=(NUMBER_MALFORMED,) if found and found.malformed else (),
        ),
        source,
    )


def _urgency(
    subject: str,
    spans: list[tuple[int, int]],
    importance: str,
    x_priority: str,
    mt_priority: int | None,
) -> tuple[Urgency, str]:
    folded = fold_in_place(subject)
    said: list[Urgency] = []
    for match in _BRACKETED_URGENCY.finditer(folded):
        said.append(_URGENCY_WORDS[match[1]])
        spans.append(match.span())
    start = _end_of_prefixes(folded, spans)
    bare = _LEADING_URGENCY.match(folded, start) or _TRAILING_URGENCY.search(folded)
    if bare:
        said.append(_URGENCY_WORDS[bare[1]])
        spans.append(bare.span())
    if said:
        return next(level for level in Urgency if level in said), "subject"
    # RFC 6710 (MIXER, STANAG 4406): 4 is urgent, 6 overrides. 0 is what a client says unasked.
    if mt_priority:
        if mt_priority >= 6:
            return Urgency.EXTRA, "mt-priority"
        return (Urgency.URGENT if mt_priority >= 2 else Urgency.NORMAL), "mt-priority"
    # The button of a mail client never makes 特急: that wakes leaders at night.
    if importance.strip().casefold() == "high":
        return Urgency.URGENT, "importance"
    if x_priority.strip()[:1] in ("1", "2"):
        return Urgency.URGENT, "x-priority"
    return Urgency.NORMAL, ""


def _end_of_prefixes(folded: str, spans: list[tuple[int, int]]) -> int:
    """Where the title begins after Re:, 转发: and bracketed urgency that was already taken."""
    position = 0
    taken = deque(sorted(spans))
    while True:
        while taken and taken[0][1] <= position:
            taken.popleft()
        if taken and not folded[position : taken[0][0]].strip():
            position = taken.popleft()[1]
        elif match := _REPLY_PREFIX.match(folded, position):
            spans.append(match.span())
            position = match.end()
        else:
            return position


def _parse(match: re.Match[str]) -> _FoundNumber:
    start, code = match.start(), match["code"]
    for word in ("号", "关于", "印发", "转发", "文号", "年"):
        # The organ code begins after what stands before it without a space.
        if word in code[:-1]:
            cut = code.rindex(word) + len(word)
            start, code = start + cut, code[cut:]
    year, number = match["year"], match["number"]
    proper = (match["open"], match["close"]) == ("〔", "〕")
    malformed = (
        not proper
        or bool(match["ordinal"])
        or number.startswith("0")
        or len(year) != 4
        or any(sign.isspace() for sign in match[0])
        or "年" in match[0][len(match["code"]) :]
    )
    readable = len(year) == 4 and year[:2] in ("19", "20") and len(code) >= 2 and int(number) > 0
    normal = f"{code}〔{year}〕{int(number)}号" if readable else ""
    return _FoundNumber(start, match.end(), normal, malformed or not readable)


def _number_in_title(subject: str, spans: list[tuple[int, int]]) -> _FoundNumber | None:
    """The document's own number stands first or last; one in the middle is of another document."""
    folded = fold_in_place(subject)
    begin = _end_of_prefixes(folded, spans)
    for match in _NUMBER.finditer(folded):
        found = _parse(match)
        before = folded[begin : match.start()]
        after = _without(folded, [*spans, (0, match.end())])
        first = not before.strip(" 【[(〔{<「#:,·-_")
        last = not after.strip(" 】])〕}>」.。·-_")
        if first and not re.match(r"\s*(?:文件|文|精神|要求)", after):
            return _widened(folded, found)
        if last and not _REFERENCE_BEFORE.search(before.rstrip(" ([〔【")[-_REFERENCE_LENGTH:]):
            return _widened(folded, found)
    return None


def _widened(folded: str, found: _FoundNumber) -> _FoundNumber:
    """Brackets around the number go with it."""
    start, end = found.start, found.end
    if start and end < len(folded) and folded[start - 1] in "([【{" and folded[end] in ")]】}":
        start, end = start - 1, end + 1
    return _FoundNumber(start, end, found.normal, found.malformed)


def _number_in_lines(first_lines: str) -> tuple[_FoundNumber | None, str]:
    for line in first_lines.splitlines()[:30]:
        shown = visible(line)
        folded = fold_in_place(shown)
        match = _NUMBER.search(folded)
        if match and not folded[: match.start()].strip(" ([【#*-★0123456789"):
            # In a document's head only the signatory may stand beside the number.
            rest = folded[match.end() :].strip(" )]】*-")
            if not rest or re.match(r"签发人?\s*:|特急|加急", rest):
                return _parse(match), shown
    return None, ""


def _kind(title: str) -> str:
    folded = fold_in_place(title).strip()
    while True:
        folded = folded.rstrip(_TAIL_SIGNS)
        tail = _TITLE_TAIL.search(folded, max(0, len(folded) - _TAIL_LENGTH))
        if tail is None:
            break
        folded = folded[: tail.start()]
    if folded.endswith("令") and not folded.endswith(_NOT_AN_ORDER):
        return "命令"
    if folded.endswith(("信函", *_NOT_AN_OPINION)):
        return ""
    return next((kind for kind in KINDS if folded.endswith(kind)), "")


def _kind_in_lines(first_lines: str) -> str:
    """The kind at the end of a title line: short, and one that says 关于 ... 的."""
    lines = [fold_in_place(line).strip() for line in first_lines.splitlines()[:15]]
    lines = [line for line in lines if line]
    for index, line in enumerate(lines):
        joined = "".join(lines[max(0, index - 2) : index + 1])
        if len(line) <= 60 and "关于" in joined and len(joined) <= 150:
            kind = _kind(line)
            if kind and (f"的{kind}" in line or line == kind):
                return kind
    return ""


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    kept, position = [], 0
    for start, end in sorted(spans):
        kept.append(text[position : max(start, position)])
        position = max(end, position)
    kept.append(text[position:])
    return " ".join("".join(kept).split()).strip(" :-—|,、")
