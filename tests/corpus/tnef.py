"""Writes winmail.dat as Outlook does in rich text format ([MS-OXTNEF] 2.1)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_SIGNATURE = 0x223E9F78
_MESSAGE, _ATTACHMENT = 1, 2
_OEM_CODEPAGE = 0x00069007
_TNEF_VERSION = 0x00089006
_MESSAGE_CLASS = 0x00078008
_SUBJECT = 0x00018004
_BODY = 0x0002800C
_REND_DATA = 0x00069002
_TITLE = 0x00018010
_DATA = 0x0006800F
_PROPERTIES = 0x00069005


def winmail(
    subject: str, body: str, files: Sequence[tuple[str, bytes]], *, code_page: int = 936
) -> bytes:
    """The octets of a winmail.dat with that message and those files."""
    charset = f"cp{code_page}"
    out = [struct.pack("<IH", _SIGNATURE, 1)]
    out.append(_attribute(_MESSAGE, _TNEF_VERSION, struct.pack("<I", 0x00010000)))
    out.append(_attribute(_MESSAGE, _OEM_CODEPAGE, struct.pack("<II", code_page, 0)))
    out.append(_attribute(_MESSAGE, _MESSAGE_CLASS, b"IPM.Microsoft Mail.Note\0"))
    out.append(_attribute(_MESSAGE, _SUBJECT, subject.encode(charset, "replace") + b"\0"))
    if body:
        out.append(_attribute(_MESSAGE, _BODY, body.encode(charset, "replace") + b"\0"))
    for name, content in files:
        rendering = struct.pack("<HIHHI", 1, 0xFFFFFFFF, 0, 0, 0)
        out.append(_attribute(_ATTACHMENT, _REND_DATA, rendering))
        out.append(_attribute(_ATTACHMENT, _TITLE, _short(name, charset) + b"\0"))
        out.append(_attribute(_ATTACHMENT, _DATA, content))
        out.append(_attribute(_ATTACHMENT, _PROPERTIES, _long_name(name)))
    return b"".join(out)


def _attribute(level: int, identity: int, data: bytes) -> bytes:
    head = struct.pack("<BII", level, identity, len(data))
    return head + data + struct.pack("<H", sum(data) & 0xFFFF)


def _short(name: str, charset: str) -> bytes:
    """The 8.3 name that stands in the old attribute."""
    stem, _, ending = name.rpartition(".")
    return stem.encode(charset, "replace")[:6] + b"~1." + ending.encode(charset, "replace")[:3]


def _long_name(name: str) -> bytes:
    """PidTagAttachMethod, and PidTagAttachLongFilename in UTF-16."""
    text = (name + "\0").encode("utf-16-le")
    method = struct.pack("<HHI", 3, 0x3705, 1)
    head = struct.pack("<HHII", 0x1F, 0x3707, 1, len(text))
    return struct.pack("<I", 2) + method + head + text + b"\0" * (-len(text) % 4)
