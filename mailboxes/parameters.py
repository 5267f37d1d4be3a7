"""Takes a structured MIME field apart: its value and its parameters, however badly written."""

from __future__ import annotations

import re

from mailboxes.charset import parsed_octets, parsing_text, wire_text

Parameters = tuple[tuple[str, str], ...]

_MAX_PARAMETERS = 200
_COMMENT = re.compile(r"\([^()]*+\)")
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
    text, codec = parsing_text(value)
    if text.startswith("("):
        text = _COMMENT.sub("", text, count=1)
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
