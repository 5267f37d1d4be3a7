"""Makes small office files, archives and messages, each as its own program would."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Mapping

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
P = (
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"'
)
O = 'xmlns:ofd="http://www.ofdspec.org/2016"'  # noqa: E741
T = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"'
)
_XML = '<?xml version="1.0" encoding="UTF-8"?>'


def zipped(members: Mapping[str, bytes | str], *, packed: bool = True) -> bytes:
    """A zip of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def docx(*paragraphs: str, header: str = "", split: bool = False) -> bytes:
    """A Word file; with `split` every letter is a run of its own, as after editing."""
    body = "".join(f"<w:p>{_runs(text, split)}</w:p>" for text in paragraphs)
    members: dict[str, bytes | str] = {
        "[Content_Types].xml": _XML + "<Types/>",
        "word/document.xml": f"{_XML}<w:document {W}><w:body>{body}</w:body></w:document>",
    }
    if header:
        members["word/header1.xml"] = (
            f"{_XML}<w:hdr {W}><w:p><w:r><w:t>{header}</w:t></w:r></w:p></w:hdr>"
        )
    return zipped(members)


def _runs(text: str, split: bool) -> str:
    return "".join(
        f"<w:r><w:rPr><w:b/><w:sz w:val='32'/></w:rPr><w:t>{piece}</w:t></w:r>"
        for piece in (text if split else [text])
    )


def xlsx(*cells: str, header: str = "") -> bytes:
    """An Excel file with these cells as shared strings."""
    strings = "".join(f"<si><t>{cell}</t></si>" for cell in cells)
    rows = "".join(f'<row><c t="s"><v>{index}</v></c></row>' for index in range(len(cells)))
    foot = f"<headerFooter><oddHeader>&amp;C{header}</oddHeader></headerFooter>" if header else ""
    sheet = f"{_XML}<worksheet {S}><sheetData>{rows}</sheetData>{foot}</worksheet>"
    return zipped(
        {
            "[Content_Types].xml": _XML + "<Types/>",
            "xl/workbook.xml": f"{_XML}<workbook {S}><sheets>"
            '<sheet name="表" sheetId="1"/></sheets></workbook>',
            "xl/sharedStrings.xml": f"{_XML}<sst {S}>{strings}</sst>",
            "xl/worksheets/sheet1.xml": sheet,
        }
    )


def pptx(*texts: str) -> bytes:
    """A PowerPoint file with one slide."""
    body = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in texts)
    return zipped(
        {
            "[Content_Types].xml": _XML + "<Types/>",
            "ppt/slides/slide1.xml": f"{_XML}<p:sld {P}>{body}</p:sld>",
        }
    )


def odt(*paragraphs: str) -> bytes:
    """An OpenDocument text."""
    body = "".join(f"<text:p><text:span>{text}</text:span></text:p>" for text in paragraphs)
    return zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"{_XML}<office:document-content {T}><office:body>{body}</office:body>"
            "</office:document-content>",
        }
    )


def ofd(*lines: str) -> bytes:
    """An OFD file (GB/T 33190), a text object for each letter, as some converters write it."""
    objects = "".join(
        f'<ofd:TextObject Boundary="{20 + 6 * column} {20 + 10 * row} 6 6">'
        f'<ofd:TextCode X="0" Y="5">{letter}</ofd:TextCode></ofd:TextObject>'
        for row, line in enumerate(lines)
        for column, letter in enumerate(line)
    )
    page = f"<ofd:Page {O}><ofd:Content><ofd:Layer>{objects}</ofd:Layer></ofd:Content></ofd:Page>"
    return zipped(
        {
            "OFD.xml": f"{_XML}<ofd:OFD {O}><ofd:DocBody><ofd:DocInfo><ofd:Creator>x</ofd:Creator>"
            "</ofd:DocInfo></ofd:DocBody></ofd:OFD>",
            "Doc_0/Document.xml": f"{_XML}<ofd:Document {O}/>",
            "Doc_0/Pages/Page_0/Content.xml": _XML + page,
        }
    )


def pdf(*lines: str) -> bytes:
    """A PDF whose letters are two-octet codes with a ToUnicode map, as Chinese printers make."""
    letters = sorted({letter for line in lines for letter in line})
    code = {letter: index + 1 for index, letter in enumerate(letters)}
    shown = "".join(
        f"<{''.join(f'{code[letter]:04x}' for letter in line)}> Tj T*\n" for line in lines
    )
    stream = f"BT /F1 16 Tf 20 TL 72 700 Td\n{shown}ET".encode() if lines else b""
    mapped = "".join(
        f"<{code[letter]:04x}> <{letter.encode('utf-16-be').hex()}>\n" for letter in letters
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CMapName /X def 1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{len(letters)} beginbfchar\n{mapped}endbfchar endcmap end end"
    ).encode()
    return _pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type0 /BaseFont /F /Encoding /Identity-H "
        b"/DescendantFonts [6 0 R] /ToUnicode 7 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /F /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap),
    )


def _pdf_of(*objects: bytes) -> bytes:
    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(out)


def winmail(name: str, content: bytes) -> bytes:
    """A TNEF file as Outlook makes it, with one attachment."""

    def attribute(level: int, tag: int, value: bytes) -> bytes:
        checksum = (sum(value) & 0xFFFF).to_bytes(2, "little")
        head = bytes((level,)) + tag.to_bytes(4, "little") + len(value).to_bytes(4, "little")
        return head + value + checksum

    return (
        b"\x78\x9f\x3e\x22\x01\x00"
        + attribute(1, 0x00069007, (936).to_bytes(4, "little") + bytes(4))
        + attribute(2, 0x00069002, bytes(14))
        + attribute(2, 0x00018010, name.encode("gb18030") + b"\0")
        + attribute(2, 0x0006800F, content)
    )


def message(
    body: str = "请查收。\n",
    *files: tuple[str, bytes],
    subject: str = "关于开展检查的通知",
    headers: str = "",
    kind: str = "plain",
) -> bytes:
    """A mail with a body and files, in the plainest MIME."""
    encoded = "".join(
        f"--b1\nContent-Type: application/octet-stream\n"
        f"Content-Disposition: attachment; filename*=UTF-8''{_percent(name)}\n"
        f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(content).decode()}"
        for name, content in files
    )
    text = (
        "From: =?utf-8?B?5rC05Yqh5bGA?= <water@heping.test>\nTo: office@heping.test\n"
        f"Subject: {word(subject)}\nMessage-ID: <1@heping.test>\n{headers}MIME-Version: 1.0\n"
        'Content-Type: multipart/mixed; boundary="b1"\n\n'
        f"--b1\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        f"{body}\n{encoded}--b1--\n"
    )
    return text.replace("\n", "\r\n").encode()


def word(text: str) -> str:
    """An encoded word (RFC 2047)."""
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _percent(text: str) -> str:
    return "".join(f"%{octet:02X}" for octet in text.encode())
