"""Takes a structured MIME field apart: its value and its parameters, however badly written."""

from __future__ import annotations

import re

from mailboxes.charset import parsed_octets, parsing_text, wire_text
from mailboxes.remembered import remembered

Parameters = tuple[tuple[str, str], ...]

_MAX_PARAMETERS = 200
_REMEMBERED = 500  # octets of a field that is remembered
# A quoted text, a comment mark, the end of a parameter, or what lies between.
_PIECE = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[(;]|[^"(;]++', re.DOTALL)
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
# Programs write `name=plan (1).doc` without quotes, and mean it.
_FILE_NAME = re.compile(r"\s*(?:file)?name(?:\*[0-9]*\*?)?\s*=\s*[^\s\"]", re.IGNORECASE)
_MAIN = re.compile(r"\s*+([^\s;()/]*+)(?:\s*+/\s*+([^\s;()]*+))?+")
_PARAMETER = re.compile(
    r';\s*+([^\s=;"]++)\s*+=\s*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)(?:"|\\?\Z)|([^;]*+))', re.DOTALL
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"(.+?)\*([0-9]{1,3})(\*?)")
_FILE_NAMES = ("name", "filename")


def take_apart(value: bytes) -> tuple[str, Parameters]:
    """The value (lower case, `type/subtype` or a token) and the parameters (RFC 2045, 5.1).

    Parameter names are lower case. Sections are joined (RFC 2231, 3) but not decoded: a joined
    extended parameter keeps the star in its name and its `charset'language'` in front. Values are
    `charset.wire_text`. Unquoted file names may hold spaces, as some programs write them.
    """
    return _remembered(value) if len(value) <= _REMEMBERED else _take_apart(value)


def _take_apart(value: bytes) -> tuple[str, Parameters]:
    text, codec = parsing_text(value)
    text = without_comments(text)
    match = _MAIN.match(text)
    if match is None:
        return "", ()
    main = match[1].lower() if match[2] is None else f"{match[1]}/{match[2]}".lower()
    found: list[tuple[str, str]] = []
    for item in _PARAMETER.finditer(text, match.end()):
        name = item[1].lower()
        content = _unquoted(name, item[3]) if item[2] is None else _ESCAPED.sub(r"\1", item[2])
        found.append((name, wire_text(parsed_octets(content, codec))))
        if len(found) == _MAX_PARAMETERS:
            break
    return wire_text(parsed_octets(main, codec)), _joined(found)


_remembered = remembered(512)(_take_apart)


def spellings(value: bytes, name: str) -> list[str]:
    """How a field writes that parameter, in order: `boundary`, `boundary*0`; more than one is odd.

    Programs choose differently among several, and among RFC 2231's forms of one.
    """
    text = without_comments(parsing_text(value)[0])
    found = (item[1].lower() for item in _PARAMETER.finditer(text))
    return [written for written in found if written.partition("*")[0] == name]


def without_comments(text: str) -> str:
    """A field value without its comments (RFC 822, 3.4.3), which nest; a file name keeps its own.

    A comment without an end stays: nobody knows where it should have ended.
    """
    if "(" not in text:
        return text
    kept: list[str] = []
    position = begun = 0  # where the current parameter begins, in the text
    while (piece := _PIECE.match(text, position)) is not None:
        end = piece.end()
        if piece[0] == ";":
            begun = end
        elif piece[0] == "(" and not _FILE_NAME.match(text, begun, position):
            end = _comment_end(text, end)
            if end < 0:
                break
            kept.append(" ")
            position = end
            continue
        kept.append(piece[0])
        position = end
    return "".join(kept) + text[position:]


def _comment_end(text: str, position: int) -> int:
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, position):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    return -1


def _unquoted(name: str, value: str) -> str:
    value = value.strip()
    if name.partition("*")[0] in _FILE_NAMES:
        return value
    return value.split(maxsplit=1)[0] if value else ""


def _joined(found: list[tuple[str, str]]) -> Parameters:
    if not any("*" in name for name, _ in found):
        return tuple(found)
    plain: list[tuple[str, str]] = []
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, value in found:
        match = _SECTION.fullmatch(name)
        if match is None:
            plain.append((name, value))
        else:
            sections.setdefault(match[1], {}).setdefault(int(match[2]), (value, bool(match[3])))
    for name, numbered in sections.items():
        parts: list[tuple[str, bool]] = []
        while len(parts) in numbered:
            parts.append(numbered[len(parts)])
        if not parts:
            continue
        if not any(extended for _, extended in parts):
            plain.append((name, "".join(value for value, _ in parts)))
            continue
        head = "" if parts[0][1] else "''"
        joined = "".join(
            value if extended else value.replace("%", "%25") for value, extended in parts
        )
        plain.append((f"{name}*", head + joined))
    return tuple(plain)
