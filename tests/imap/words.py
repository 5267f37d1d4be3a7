"""Whether a mail holds a word that a search asks for, told from the mail itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from mailboxes.charset import charset_text, raw_text
from mailboxes.decode import addresses, decode_body, decode_text, parameter
from mailboxes.scan import scan
from mailboxes.structure import Part

_SEEN = ("subject", "from", "to", "cc")
_TAG = re.compile(r"(?is)<(style|script)\b.*?</\1>|<[^<>]*>|&#?\w+;")
_QUESTION = re.compile(r".* (SUBJECT|FROM|TO|CC|BODY|TEXT) (.*)")


def walk(part: Part) -> Iterator[Part]:
    """The part and all parts in it."""
    yield part
    for child in part.children:
        yield from walk(child)


def holds(question_text: str, octets: bytes, *, wide: bool) -> bool | None:
    """Whether the mail holds the word that was searched; None if it was no such search.

    Wide is wherever a word can be, narrow what a reader surely sees.
    """
    question = _QUESTION.fullmatch(question_text)
    if question is None:
        return None
    root = scan(octets)
    return any(
        _plain(question[2]) in _plain(text)
        for part in walk(root)
        for text in _texts(part, question[1], octets, wide=wide, is_root=part is root)
    )


def _texts(part: Part, key: str, octets: bytes, *, wide: bool, is_root: bool) -> Iterator[str]:
    for field in part.fields:
        name = field.name.lower()
        if wide or (name == key.lower() or (key == "TEXT" and name in _SEEN)):
            yield f"{field.name}: {decode_text(field.value)}"
            yield from (shown for shown, _ in addresses(field.value))
    if not wide and not (is_root or part.media_type.startswith("text/")):
        return
    if key in ("BODY", "TEXT") and (wide or not part.children):
        body = decode_body(octets[part.body_start : part.body_end], part.encoding)
        shown = [charset_text(body, parameter(part.parameters, "charset"))]
        if wide:
            shown.append(raw_text(body)[0])
            for parameters in (part.parameters, part.disposition_parameters):
                shown += [parameter(parameters, name.rstrip("*")) for name, _ in parameters]
        is_html = part.media_type == "text/html"
        yield from (_TAG.sub(" ", text) if is_html else text for text in shown)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
