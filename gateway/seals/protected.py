"""Header fields that a seal covers must say the same as the ones outside (RFC 9788).

Old form: `protected-headers="v1"` on the Content-Type of the signed part; new form: `hp="clear"` or
`hp="cipher"`. Without either nothing outside is covered, and there is nothing to compare.
"""

from __future__ import annotations

from mailboxes.decode import addresses, decode_text
from mailboxes.structure import Part

_COMPARED = ("subject", "from", "to", "cc")
_ADDRESSES = frozenset(("from", "to", "cc"))
# What clients write outside in place of a subject that they hide inside the encryption.
_HIDDEN_SUBJECTS = frozenset(("...", "…", "[...]", "[…]", "encrypted message", "encrypted mail"))


def disagreement(covered: Part, outer: Part, *, encrypted: bool) -> str:
    """The name of a field that differs inside and outside, or occurs twice; empty: they agree.

    `covered` is the entity under the seal, `outer` the message. Under encryption the subject
    outside may be hidden.
    """
    marks = {name.rstrip("*"): value.lower() for name, value in covered.parameters}
    if marks.get("protected-headers") != "v1" and marks.get("hp") not in ("clear", "cipher"):
        return ""
    for name in _COMPARED:
        inside, outside = _values(covered, name), _values(outer, name)
        if not inside:
            continue
        if len(inside) > 1 or len(outside) > 1:
            return name
        if encrypted and name == "subject" and _hidden(outside):
            continue
        if not outside or _meaning(name, inside[0]) != _meaning(name, outside[0]):
            return name
    return ""


def _values(part: Part, name: str) -> list[bytes]:
    return [field.value for field in part.fields if field.name.lower() == name]


def _hidden(values: list[bytes]) -> bool:
    return not values or decode_text(values[0]).strip().casefold() in _HIDDEN_SUBJECTS


def _meaning(name: str, value: bytes) -> object:
    if name in _ADDRESSES:
        return frozenset(address.casefold() for _, address in addresses(value))
    return " ".join(decode_text(value).split())
