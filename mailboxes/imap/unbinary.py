"""Makes a message that came as a literal8 fit for clients that know no BINARY (RFC 3516, 4.4).

A body with NUL in it cannot be fetched by BODY[...]; so parts that have one are encoded, and
nothing else of the message is touched.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from mailboxes.scan import scan
from mailboxes.structure import Part

_ENCODING = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)


class NotEncodable(Exception):
    """There is a NUL where nothing can be encoded."""


def without_nul(octets: bytes) -> bytes:
    """The message, with base64 where a part holds NUL. Raises NotEncodable."""
    if b"\0" not in octets:
        return octets
    found: list[tuple[int, int, bytes]] = []
    for part in _leaves(scan(octets)):
        if b"\0" in octets[part.body_start : part.body_end]:
            header = octets[part.header_start : part.body_start]
            body = base64.encodebytes(octets[part.body_start : part.body_end])
            found.append((part.header_start, part.body_start, _encoded_header(header)))
            found.append((part.body_start, part.body_end, body.replace(b"\n", b"\r\n")))
    pieces, position = [], 0
    for start, end, piece in found:
        pieces += [octets[position:start], piece]
        position = end
    result = b"".join([*pieces, octets[position:]])
    if b"\0" in result:
        raise NotEncodable
    return result


def _encoded_header(header: bytes) -> bytes:
    kept = _ENCODING.sub(b"", header)
    return b"Content-Transfer-Encoding: base64\r\n" + kept


def _leaves(part: Part) -> Iterator[Part]:
    if not part.children:
        yield part
    for child in part.children:
        yield from _leaves(child)
