"""How clients write mail: encoded words, parameters, entities. Nothing here is corrected."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

CRLF = b"\r\n"
DATE = "Thu, 5 Mar 2026 09:30:15 +0800"


def b_words(text: str, charset: str, label: str, *, octets: int = 45) -> bytes:
    """Encoded words in base64 that never cut a letter in two, folded (RFC 2047)."""
    return _joined([b_word(piece, label) for piece in _whole_letters(text, charset, octets)])


def b_words_cut(text: str, charset: str, label: str, *, octets: int = 21) -> bytes:
    """Encoded words in base64, cut every so many octets wherever a letter may be."""
    return _joined([b_word(piece, label) for piece in _cut(text, charset, octets)])


def q_words(text: str, charset: str, label: str, *, octets: int = 18) -> bytes:
    """Encoded words in the Q encoding that never cut a letter in two, folded."""
    return _joined([q_word(piece, label) for piece in _whole_letters(text, charset, octets)])


def q_words_cut(text: str, charset: str, label: str, *, octets: int = 17) -> bytes:
    """Encoded words in the Q encoding, cut every so many octets wherever a letter may be."""
    return _joined([q_word(piece, label) for piece in _cut(text, charset, octets)])


def b_word(octets: bytes, label: str) -> bytes:
    return b"=?" + label.encode() + b"?B?" + base64.b64encode(octets) + b"?="


def q_word(octets: bytes, label: str) -> bytes:
    text = b"".join(
        bytes((octet,)) if chr(octet).isascii() and chr(octet).isalnum() else b"=%02X" % octet
        for octet in octets
    )
    return b"=?" + label.encode() + b"?Q?" + text + b"?="


def _joined(words: Sequence[bytes]) -> bytes:
    return b"\r\n ".join(words)


def _whole_letters(text: str, charset: str, octets: int) -> list[bytes]:
    pieces = [b""]
    for letter in text:
        encoded = letter.encode(charset)
        if len(pieces[-1]) + len(encoded) > octets:
            pieces.append(b"")
        pieces[-1] += encoded
    return pieces


def _cut(text: str, charset: str, octets: int) -> list[bytes]:
    whole = text.encode(charset)
    pieces = [whole[start : start + octets] for start in range(0, len(whole), octets)]
    assert any(not _fits(piece, charset) for piece in pieces), f"{text!r} is not cut in a letter"
    return pieces


def _fits(octets: bytes, charset: str) -> bool:
    try:
        octets.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def percent(octets: bytes) -> bytes:
    """Octets as RFC 2231 writes them."""
    return b"".join(
        bytes((octet,)) if (chr(octet).isascii() and chr(octet).isalnum()) or octet in b"._-"
        else b"%%%02X" % octet
        for octet in octets
    )  # fmt: skip


def extended(name: str, text: str, charset: str, label: str) -> bytes:
    """`filename*=GB18030''%...` (RFC 2231, 4)."""
    return name.encode() + b"*=" + label.encode() + b"''" + percent(text.encode(charset))


def extended_sections(
    name: str, text: str, charset: str, label: str, *, octets: int = 30
) -> list[bytes]:
    """`filename*0*=UTF-8''%...`, `filename*1*=...` (RFC 2231, 3); a letter may be cut."""
    whole = percent(text.encode(charset))
    pieces, position = [], 0
    while position < len(whole):
        stop = min(position + octets, len(whole))
        # A section may end inside a letter but not inside `%E5`.
        while stop < len(whole) and b"%" in whole[stop - 2 : stop]:
            stop -= 1
        pieces.append(whole[position:stop])
        position = stop
    head = label.encode() + b"''"
    return [
        b"%s*%d*=%s%s" % (name.encode(), n, head if n == 0 else b"", piece)
        for n, piece in enumerate(pieces)
    ]


def fields(*lines: str | bytes) -> bytes:
    """Header fields; text is ASCII, raw octets stay as they are."""
    return b"".join(
        (line.encode("ascii") if isinstance(line, str) else line) + CRLF for line in lines
    )


def base64_lines(octets: bytes) -> bytes:
    """Base64 in lines of 76 letters, CRLF."""
    return base64.encodebytes(octets).replace(b"\n", CRLF)


def quoted_printable(octets: bytes) -> bytes:
    """Quoted-printable with soft line breaks, CRLF; `octets` has CRLF or LF."""
    lines = binascii.b2a_qp(octets.replace(CRLF, b"\n"), istext=True)
    return lines.replace(b"\n", CRLF)


def crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def text_part(
    text: str, charset: str, label: str, encoding: str, *, subtype: str = "plain", tab: bool = True
) -> bytes:
    """A text entity: Content-Type on two lines as most clients write it, and its body."""
    octets = crlf(text).encode(charset)
    body = {"base64": base64_lines, "quoted-printable": quoted_printable}.get(
        encoding, lambda octets: octets
    )(octets)
    fold = b";\r\n\t" if tab else b"; "
    kind = b"Content-Type: text/" + subtype.encode()
    return (
        (kind + fold + b'charset="' + label.encode() + b'"' if label else kind)
        + CRLF
        + fields(f"Content-Transfer-Encoding: {encoding}")
        + CRLF
        + body
    )


def file_part(content: bytes, *lines: str | bytes) -> bytes:
    """A base64 entity under these header fields."""
    return fields(*lines, "Content-Transfer-Encoding: base64") + CRLF + base64_lines(content)


def multipart(
    subtype: str, boundary: str, *entities: bytes, preamble: str = "", more: str = ""
) -> bytes:
    """A multipart entity with its Content-Type."""
    line = b"--" + boundary.encode()
    head = fields(f'Content-Type: multipart/{subtype};{more}\r\n\tboundary="{boundary}"')
    parts = b"".join(line + CRLF + entity + CRLF for entity in entities)
    return head + CRLF + preamble.encode() + CRLF * bool(preamble) + parts + line + b"--" + CRLF


def html(text: str, charset: str) -> str:
    """The same text as HTML, in the way of a client's editor."""
    lines = "".join(f"<div>{line or '&nbsp;'}</div>\n" for line in text.splitlines())
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">'
    return f"<html><head>{meta}</head>\n<body>{lines}</body></html>\n"
