"""The mails that measurements send: distinct, with real files in them, sealed or not."""

from __future__ import annotations

import base64
import io
import os
import random
import zipfile
from collections.abc import Callable
from email.utils import formatdate, make_msgid
from pathlib import Path

from pysequoia import Cert, SignatureMode, Tsk, encrypt, sign

_SENTENCES = (
    "各单位要高度重视防汛工作，落实责任，加强值守。",
    "请于本月二十五日前将办理情况书面报送区政府办公室。",
    "会议由区长主持，各街道主要负责人参加。",
    "经研究，现将有关事项通知如下，请认真贯彻执行。",
    "The water level is reported every two hours.",
)
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def prose(characters: int, seed: int) -> str:
    """Running text of that length, another for each seed."""
    chance = random.Random(seed)
    lines, length = [], 0
    while length < characters:
        line = "".join(chance.choice(_SENTENCES) for _ in range(4)) + str(chance.random())
        lines.append(line)
        length += len(line) + 1
    return "\n".join(lines)[:characters]


def random_file(size: int, _seed: int) -> tuple[str, str, bytes]:
    """Octets of no known kind."""
    return "data.bin", "application/octet-stream", b"\x01" + os.urandom(size - 1)


def pdf_file(size: int, seed: int) -> tuple[str, str, bytes]:
    """A PDF of twenty pages, each with text and a picture that cannot be packed."""
    pages = 20
    picture = (size - 60_000) // pages
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    kids = []
    for page in range(pages):
        first = len(objects) + 1
        text = "".join(f"({line[:60]}) Tj T*\n" for line in _ascii_lines(page + seed))
        stream = b"q /I Do Q BT /F 12 Tf 14 TL 72 720 Td\n" + text.encode() + b"ET"
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R /Resources "
            b"<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> "
            b"/XObject << /I %d 0 R >> >> >>" % (first + 1, first + 2),
            b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream",
            b"<< /Type /XObject /Subtype /Image /Width 1000 /Height 1000 /BitsPerComponent 8 "
            b"/ColorSpace /DeviceRGB /Filter /DCTDecode /Length %d >>\nstream\n"
            % picture
            + os.urandom(picture)
            + b"\nendstream",
        ]
        kids.append(b"%d 0 R" % first)
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), pages)
    out, places = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, content in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    return "plan.pdf", "application/pdf", out.getvalue()


def _ascii_lines(seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"Section {n}: the level is {chance.random():.6f} metres" for n in range(40)]


def docx_file(size: int, seed: int) -> tuple[str, str, bytes]:
    """A Word file: 300,000 characters of text, the rest pictures."""
    lines = prose(300_000, seed).split("\n")
    text = "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines)
    document = f'{_XML}<w:document xmlns:w="{_W}"><w:body>{text}</w:body></w:document>'
    picture = max((size - 200_000) // 4, 1)
    members: list[tuple[str, bytes]] = [
        ("[Content_Types].xml", (_XML + "<Types/>").encode()),
        ("word/document.xml", document.encode()),
        *((f"word/media/image{n}.png", _picture(picture)) for n in range(4)),
    ]
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return "report.docx", kind, _zipped(members)


def zip_file(size: int, seed: int) -> tuple[str, str, bytes]:
    """An archive: a Word file, a PDF, a text of 2 MB and a large table."""
    third = (size - 400_000) // 3
    return "papers.zip", "application/zip", _zipped([
        ("通知.docx", docx_file(third, seed)[2]),
        ("plan.pdf", pdf_file(third, seed)[2]),
        ("list.txt", prose(700_000, seed).encode()),
        ("map.png", _picture(third)),
    ])  # fmt: skip


def _picture(size: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + os.urandom(size)


def _zipped(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, content in members:
            file.writestr(zipfile.ZipInfo(name, (2026, 11, 21, 9, 0, 0)), content,
                          compress_type=_packing(name))  # fmt: skip
    return out.getvalue()


def _packing(name: str) -> int:
    return zipfile.ZIP_STORED if name.endswith((".png", ".pdf")) else zipfile.ZIP_DEFLATED


FILES: dict[str, Callable[[int, int], tuple[str, str, bytes]]] = {
    "pdf": pdf_file,
    "docx": docx_file,
    "zip": zip_file,
    "random": random_file,
}


def entity_of_text(text: str) -> bytes:
    """A text/plain entity of 7-bit octets."""
    return (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(text.replace("\n", "\r\n").encode()).replace(b"\n", b"\r\n")
    )


def entity_with_file(text: str, kind: str, size: int, seed: int) -> bytes:
    """A multipart/mixed entity of about `size` octets on the wire."""
    # 57 octets of file are a line of 76 and its end.
    name, media_type, octets = FILES[kind](size * 57 // 78 - 4_000, seed)
    coded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    mark = b"=_mixed_%d" % seed
    return b"".join((
        b'Content-Type: multipart/mixed; boundary="', mark, b'"\r\n\r\n--', mark, b"\r\n",
        entity_of_text(text), b"--", mark, b"\r\nContent-Type: ", media_type.encode(),
        b"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; "
        b'filename="', name.encode() if name.isascii() else b"papers.zip", b'"\r\n\r\n',
        coded, b"--", mark, b"--\r\n",
    ))  # fmt: skip


def seal(entity: bytes, key: Path, seed: int = 0) -> bytes:
    """The entity sealed as PGP/MIME (RFC 3156)."""
    signature = sign(Tsk.from_file(str(key)).signer(), entity, mode=SignatureMode.DETACHED)
    mark = b"=_sealed_%d" % seed
    return b"".join((
        b'Content-Type: multipart/signed; protocol="application/pgp-signature";\r\n\t'
        b'micalg=pgp-sha512; boundary="', mark, b'"\r\n\r\n--', mark, b"\r\n", entity, b"\r\n--",
        mark, b'\r\nContent-Type: application/pgp-signature; name="seal.asc"\r\n\r\n',
        signature.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), b"\r\n--", mark, b"--\r\n",
    ))  # fmt: skip


def encrypt_to(entity: bytes, key: Path, others: list[Path], seed: int = 0) -> bytes:
    """The entity sealed and encrypted as PGP/MIME, to the office and the recipients."""
    signer = Tsk.from_file(str(key)).signer()
    cipher = encrypt(entity, recipients=[Cert.from_file(str(one)) for one in others], signer=signer)
    mark = b"=_cipher_%d" % seed
    return b"".join((
        b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted";\r\n\t'
        b'boundary="', mark, b'"\r\n\r\n--', mark, b"\r\n"
        b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n--", mark,
        b"\r\nContent-Type: application/octet-stream\r\n\r\n",
        cipher.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), b"\r\n--", mark, b"--\r\n",
    ))  # fmt: skip


def wire(sender: str, recipients: list[str], subject: str, entity: bytes) -> bytes:
    """The mail as it stands between DATA and its reply: dots doubled, ended."""
    word = "=?utf-8?B?" + base64.b64encode(subject.encode()).decode() + "?="
    head = (
        f"From: {sender}\r\nTo: {', '.join(recipients)}\r\nSubject: {word}\r\n"
        f"Date: {formatdate(localtime=True)}\r\nMessage-ID: {make_msgid(domain='heping.test')}\r\n"
        "MIME-Version: 1.0\r\n"
    ).encode()
    octets = head + entity
    if b"\r\n." in octets:
        octets = octets.replace(b"\r\n.", b"\r\n..")
    return octets + (b".\r\n" if octets.endswith(b"\r\n") else b"\r\n.\r\n")
