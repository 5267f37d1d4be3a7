"""Where our answers may differ from Dovecot's, each with its reason; all else is a fault."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mailboxes.scan import scan
from tests.imap import grammar
from tests.imap.structures import Finding, values
from tests.imap.words import holds, walk

Value = Any


@dataclass(frozen=True)
class Difference:
    """One kind of difference that is justified."""

    kinds: tuple[str, ...]
    applies: Callable[[Finding, bytes], bool]  # to this finding in a mail of these octets
    reason: str


_SOUND = {
    "content-type": grammar.is_content_type,
    "content-disposition": grammar.is_disposition,
    "content-language": grammar.is_language_list,
    "content-transfer-encoding": grammar.is_token,
}


def _blanks(value: Value) -> Value:
    if isinstance(value, list):
        return [_blanks(one) for one in value]
    return re.sub(rb"[ \t\r\n]+", b" ", value).strip() if isinstance(value, bytes) else value


def _same_but_blanks(found: Finding, _octets: bytes) -> bool:
    return bool(_blanks(found.ours) == _blanks(found.theirs))


def _has_bare_line_feed(_found: Finding, octets: bytes) -> bool:
    return re.search(rb"(?<!\r)\n", octets) is not None


def _has_fault(*names: str) -> Callable[[Finding, bytes], bool]:
    return lambda found, _octets: not found.faults.isdisjoint(names)


def _has_ambiguous_part(_found: Finding, octets: bytes) -> bool:
    return any("ambiguous-boundary" in part.faults for part in walk(scan(octets)))


def _has_long_boundary(found: Finding, _octets: bytes) -> bool:
    return any(len(text) > 75 for name, text in found.part.parameters if name == "boundary")


def _is_global_message(found: Finding, _octets: bytes) -> bool:
    return any(part.media_type == "message/global" for part in walk(found.part))


def _is_nothing_in_digest(found: Finding, _octets: bytes) -> bool:
    part = found.part
    return not part.fields and part.body_start == part.body_end and bool(found.parents)


def _is_lost_behind_line_feed(found: Finding, octets: bytes) -> bool:
    theirs = found.theirs
    is_empty = theirs[:2] == [b"text", b"plain"] and theirs[6] == 0
    return is_empty and _has_bare_line_feed(found, octets)


def _ends_behind_parts(found: Finding, _octets: bytes) -> bool:
    one_line = 2 if found.name == "size" else 1
    return bool(found.part.children) and found.theirs == found.ours + one_line


def _has_sections(found: Finding, _octets: bytes) -> bool:
    return any(re.search(rb"\*[0-9]", value) for value in found.values)


def _is_no_mime(found: Finding, _octets: bytes) -> bool:
    names = {field.name.lower() for field in found.part.fields}
    return not names & {"content-type", "mime-version"}


def _is_malformed(found: Finding, _octets: bytes) -> bool:
    return not all(_SOUND[found.name](value) for value in found.values)


def _is_in_malformed(found: Finding, _octets: bytes) -> bool:
    return not all(
        grammar.is_content_type(value)
        for parent in found.parents
        for value in values(parent, "content-type")
    )


def _is_malformed_list(found: Finding, _octets: bytes) -> bool:
    return not all(grammar.is_address_list(value) for value in found.values)


def _is_repeated(found: Finding, _octets: bytes) -> bool:
    return len(found.values) > 1


def _is_unknown_encoding(found: Finding, _octets: bytes) -> bool:
    return bool(found.ours == b"7bit")


def _as_sent(value: bytes | None) -> bytes:
    """Text as theirs would send it."""
    return _LINE_END.sub(b"\r\n", value or b"")


def _same_but_line_ends(found: Finding, _octets: bytes) -> bool:
    return _as_sent(found.ours) == (found.theirs or b"")


def _has_encoded_message(_found: Finding, octets: bytes) -> bool:
    return any("encoded-message" in part.faults for part in walk(scan(octets)))


def _has_no_field(found: Finding, octets: bytes) -> bool:
    return any("bad-header" in part.faults for part in walk(scan(octets)))


def _goes_on_behind_parts(found: Finding, _octets: bytes) -> bool:
    return bool(found.part.children) and found.theirs == _as_sent(found.ours) + b"\r\n"


def _has_empty_line(found: Finding, _octets: bytes) -> bool:
    return _as_sent(found.ours) == (found.theirs or b"") + b"\r\n"


def _is_in_global_message(found: Finding, octets: bytes) -> bool:
    within = walk(scan(octets)) if found.kind == "fields" else found.parents
    return any(part.media_type == "message/global" for part in within)


def _is_about(*words: str) -> Callable[[Finding], bool]:
    return lambda found: not set(words).isdisjoint(re.findall(r"[A-Z]+", found.name))


_asks_for_size = _is_about("SIZE", "LARGER", "SMALLER")
_asks_for_day = _is_about("DATE", "SENTON", "SENTBEFORE", "SENTSINCE", "THREAD")
_asks_for_people = _is_about("FROM", "TO", "CC")
_asks_for_subject = _is_about("SUBJECT", "THREAD")


def _has_other_size(found: Finding, octets: bytes) -> bool:
    return _asks_for_size(found) and _has_bare_line_feed(found, octets)


def _has_odd_date(found: Finding, _octets: bytes) -> bool:
    dates = values(found.part, "date")
    sound = len(dates) == 1 and grammar.is_date(dates[0])
    return _asks_for_day(found) and not sound


def _has_odd_people(found: Finding, _octets: bytes) -> bool:
    lists = [value for name in ("from", "to", "cc") for value in values(found.part, name)]
    sound = all(value.isascii() and grammar.is_address_list(value) for value in lists)
    names = [field.name.lower() for field in found.part.fields]
    several = any(names.count(name) > 1 for name in ("from", "to", "cc"))
    return _asks_for_people(found) and (not sound or several)


def _has_foreign_subject(found: Finding, _octets: bytes) -> bool:
    subjects = values(found.part, "subject")
    plain = len(subjects) == 1 and re.fullmatch(rb"(?:[!-~]+[ \t])*[!-~]*", subjects[0]) is not None
    plain = plain and b"=?" not in subjects[0] and subjects[0] != b""
    return _asks_for_subject(found) and not plain


def _has_odd_ids(found: Finding, _octets: bytes) -> bool:
    fields = [
        value
        for name in ("message-id", "references", "in-reply-to")
        for value in values(found.part, name)
    ]
    return found.kind == "thread" and not all(grammar.is_id_list(value) for value in fields)


def _has_file(found: Finding, octets: bytes) -> bool:
    if found.ours is not True or not re.search(r" (BODY|TEXT) ", found.name):
        return False
    return any(part.media_type.startswith("application/") for part in walk(scan(octets)))


def _is_iso_2022_cn(found: Finding, octets: bytes) -> bool:
    return found.ours is False and b"iso-2022-cn" in octets.lower()


def _is_found_rightly(found: Finding, octets: bytes) -> bool:
    return found.ours is True and holds(found.name, octets, wide=True) is True


def _is_passed_over_rightly(found: Finding, octets: bytes) -> bool:
    return found.ours is False and holds(found.name, octets, wide=False) is False


_LINE_END = re.compile(rb"\r*\n")
_MIME = ("type", "parameters", "encoding", "disposition", "languages")
DIFFERENCES = (
    Difference(
        ("text", "addresses", "parameters"), _same_but_blanks,
        "White space: ours removes the line ends of a folded field and nothing else (RFC 5322,"
        " 2.2.3) and then what stands outside; theirs makes one blank of several, or keeps some.",
    ),
    Difference(
        ("number",), _has_bare_line_feed,
        "Sizes with bare LF: theirs sends CRLF for each, ours the octets that were given.",
    ),
    Difference(
        ("parts", "number"), _has_fault("no-boundary"),
        "A multipart without parts: theirs shows an empty text in it, ours the text that is there.",
    ),
    Difference(
        ("parts", "number", "section", *_MIME), _has_fault("similar-boundary"),
        "A line that begins like a boundary: theirs takes it for one, ours does not (RFC 2046,"
        " 5.1.1) and names the fault.",
    ),
    Difference(
        ("parts", "number", "section"), _has_ambiguous_part,
        "A boundary that is given twice, in an odd form or inside its own parts: programs take such"
        " mail apart in different ways; ours names the fault, and the checks refuse it.",
    ),
    Difference(
        ("parts", "number"), _has_long_boundary,
        "A boundary of more than 70 octets, which RFC 2046 forbids: theirs compares the first 80.",
    ),
    Difference(
        ("number",), _is_global_message,
        "message/global (RFC 6532) is a message too: 2.3 does not look into it.",
    ),
    Difference(
        ("parts",), _is_nothing_in_digest,
        "Nothing at all, where a digest breaks off: theirs calls it text, ours an empty message.",
    ),
    Difference(
        ("parts",), _is_lost_behind_line_feed,
        "Bare LF around the header of a multipart: theirs shows an empty text instead.",
    ),
    Difference(
        ("parts", "number", "section"), _has_fault("encoded-message"),
        "A message under base64, which RFC 2046 forbids: theirs reads the letters as a header.",
    ),
    Difference(
        ("parts", "type", "parameters"), _has_fault("bad-content-type"),
        "A Content-Type that is none is text/plain (RFC 2045, 5.2); theirs names empty types.",
    ),
    Difference(
        ("number",), _ends_behind_parts,
        "The line end in front of a boundary belongs to it (RFC 2046, 5.1.1), also behind the end"
        " boundary of an inner multipart, where theirs counts it to the inner one.",
    ),
    Difference(
        ("section",), _goes_on_behind_parts,
        "The same line end in the text itself.",
    ),
    Difference(
        ("section", "fields"), _same_but_line_ends,
        "Text with bare LF: theirs sends CRLF for each, ours the octets that were given.",
    ),
    Difference(
        ("partial",), _has_bare_line_feed,
        "A piece of such a text stands elsewhere.",
    ),
    Difference(
        ("fields",), _has_encoded_message,
        "The header of a message under base64, as above.",
    ),
    Difference(
        ("fields",), _has_no_field,
        "Lines that are no field belong to no list of fields: ours leaves them out of"
        " HEADER.FIELDS.NOT, theirs gives them.",
    ),
    Difference(
        ("section", "fields"), _has_empty_line,
        "An empty line in front of a boundary ends the header that it follows (RFC 5322, 2.1);"
        " theirs counts its line end to the boundary. Ours gives HEADER.FIELDS.NOT one always.",
    ),
    Difference(
        ("section", "fields"), _is_in_global_message,
        "The text of message/global: 2.3 does not look into it.",
    ),
    Difference(
        ("parameters",), _has_sections,
        "Parameters in sections: 2.3 takes the name and first piece of one for those of another.",
    ),
    Difference(
        ("text", *_MIME), _is_no_mime,
        "Fields of MIME in a part with neither Content-Type nor MIME-Version: theirs passes over"
        " them; programs do not, so ours shows what they do.",
    ),
    Difference(
        ("text",), _is_repeated,
        "A field that may be given once and is given twice: ours is the first, as the checks read"
        " it; theirs the last.",
    ),
    Difference(
        ("addresses",), _is_malformed_list,
        "What is no list of addresses: ours names every address in it, theirs those up to the"
        " mistake, then MISSING_MAILBOX or SYNTAX_ERROR.",
    ),
    Difference(
        ("encoding",), _is_unknown_encoding,
        "An encoding that nobody knows: ours says 7bit, because it is shown as it stands.",
    ),
    Difference(
        ("parts", "number", *_MIME), _is_malformed,
        "A malformed field of MIME: theirs stops at the mistake, ours reads on as mail programs do"
        " (unquoted file names, missing quotes, comments), so that nothing hides behind it.",
    ),
    Difference(
        ("parts", "number", "text", "addresses", "section", *_MIME), _is_in_malformed,
        "What is in a multipart with a malformed Content-Type: theirs knows no boundary then.",
    ),
    Difference(
        ("sort", "search"), _has_other_size,
        "Sizes with bare LF, as above.",
    ),
    Difference(
        ("sort", "search", "thread"), _has_odd_date,
        "A Date that is missing, given twice or none of RFC 5322: each reads what it can.",
    ),
    Difference(
        ("sort",), _has_odd_people,
        "The first address where the field is malformed or given twice, as above.",
    ),
    Difference(
        ("sort", "thread"), _has_foreign_subject,
        "Subjects in charsets that theirs cannot decode (HZ, ISO-2022-CN, GBK under the label of"
        " GB2312, raw octets), in encoded words, or missing; theirs orders accents apart, and does"
        " not make one blank of several (RFC 5256, 2.1).",
    ),
    Difference(
        ("thread",), _has_odd_ids,
        "Message ids that RFC 5322 does not allow: each takes others for the same.",
    ),
    Difference(
        ("search",), _is_found_rightly,
        "The word is there: in a charset that theirs cannot decode, behind a label that is wrong,"
        " in a file's name or text, or across a fold.",
    ),
    Difference(
        ("search",), _is_passed_over_rightly,
        "The word is not there to the eye: theirs finds it in the letters of an encoding.",
    ),
    Difference(
        ("search",), _is_iso_2022_cn,
        "Text in ISO-2022-CN, for which Python has no codec: theirs can read it.",
    ),
    Difference(
        ("search",), _has_file,
        "The word may be in an attached file, whose text ours searches too.",
    ),
)  # fmt: skip


def reason(found: Finding, octets: bytes) -> str | None:
    """Why that difference is justified; None if it is not."""
    for one in DIFFERENCES:
        if found.kind in one.kinds and one.applies(found, octets):
            return one.reason
    return None
