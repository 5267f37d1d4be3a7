"""Octets that are nearly right: good ones with pieces cut out, doubled, exchanged or put in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st


class Change(NamedTuple):
    """One change at a place between 0 and 1 of the octets."""

    kind: str
    place: float
    length: int
    piece: bytes


def apply(octets: bytes, change: Change) -> bytes:
    """The octets with that change."""
    at = int(change.place * len(octets))
    before, taken, behind = octets[:at], octets[at : at + change.length], octets[at:]
    match change.kind:
        case "cut":
            return before + behind[change.length :]
        case "double":
            return before + taken + behind
        case "put":
            return before + change.piece + behind
        case "over":
            return before + change.piece + behind[len(change.piece) :]
        case "flip":
            return before + bytes(octet ^ 0x80 | 1 for octet in taken[:4]) + behind[4:]
        case _:
            return before


def nearly(good: Sequence[bytes], pieces: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Some of the good octets with up to six changes; `pieces` are what to put in."""
    put = st.one_of(st.sampled_from(list(pieces)), st.binary(max_size=6))
    kinds = st.sampled_from(["cut", "double", "put", "put", "over", "over", "flip", "end"])
    change = st.builds(Change, kinds, st.floats(0, 1, exclude_max=True), st.integers(1, 200), put)

    def changed(octets: bytes, changes: list[Change]) -> bytes:
        for one in changes:
            octets = apply(octets, one)
        return octets

    return st.builds(changed, st.sampled_from(list(good)), st.lists(change, max_size=6))


MIME_PIECES = (
    b"\r\n", b"\n", b"\r", b"\0", b"\t", b" ", b":", b"--", b"----", b"=", b"=\r\n", b"?=", b";",
    b'"', b"\\", b"(", b"((((", b"\r\n\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"--=_", b"<", b",",
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: message/rfc822\r\n",
    b"Content-Type: multipart/signed; boundary*0=b; boundary*1=c; protocol=x\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"Content-Disposition: attachment; filename*=gb18030''%81%30%81%30\r\n",
    b"Content-Type: text/plain; charset=utf-7\r\n", b"Content-Type: text/html; charset=gb18030\r\n",
    b"Subject: =?gb18030?B?x9c=?= =?utf-8?Q?=ff?=\r\n", b"From: a@b, c:d;, <>\r\n",
    b"begin 644 a.zip\r\n", b"\r\nend\r\n", b"-----BEGIN PGP SIGNED MESSAGE-----\r\n",
    b"-----BEGIN PGP SIGNATURE-----\r\n\r\n", b"\xff\xfe", b"\x81\x30\x81\x30", b"\xe6\x9c",
    "机密★1年".encode(), "机密".encode("gb18030"), b"\xed\xa0\x80", b"&#xD800;", b"<p>",
)  # fmt: skip
"""What mail hangs on."""
