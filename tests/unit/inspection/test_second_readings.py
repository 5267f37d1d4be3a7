"""What one program shows and another does not: markings and types hide in the difference."""

from __future__ import annotations

import io
import zipfile

import pytest

from gateway.policy.checks.attachments import CHECK, ending
from mailboxes.scan import scan
from tests.unit.inspection.test_disguises import mail, multipart, part
from tests.unit.inspection.test_examine import look

MARK = "机密★10年"
HEAD = b"From: water@heping.test\r\nTo: office@heping.test\r\nSubject: x\r\n"


def levels(octets: bytes) -> list[str]:
    return [marking.level for marking in look(octets).markings]


@pytest.mark.parametrize("label", ["iso-8859-1", "windows-1252", "koi8-r", "windows-1251"])
@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
def test_gbk_under_a_label_of_another_script_is_read_as_gbk_too(label: str, kind: str) -> None:
    text = f"<p>{MARK}</p>" if kind == "text/html" else f"{MARK}\r\n正文"
    head = HEAD + f"Content-Type: {kind}; charset={label}\r\n\r\n".encode()
    assert levels(head + text.encode("gb18030")) == ["secret"]
    assert levels(head + "Größe naïve Straße".encode("cp1252")) == []


def test_a_file_in_gbk_under_such_a_label_is_read_so_too() -> None:
    body = f"{MARK}\r\n".encode("gb18030")
    file = b'--b\r\nContent-Type: text/plain; charset=koi8-r; name="a.txt"\r\n\r\n' + body
    octets = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + file + b"--b--\r\n"
    assert levels(octets) == ["secret"]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark_needs_no_label(codec: str) -> None:
    octets = f"\ufeff{MARK}\n".encode(codec)
    import base64

    coded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    head = HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    assert levels(head + coded) == ["secret"]


@pytest.mark.parametrize(
    "line",
    [f"SUMMARY:{MARK}", f"DESCRIPTION;LANGUAGE=zh:通知\\n{MARK}\\n正文", "LOCATION:机密\r\n ★10年"],
)
@pytest.mark.parametrize("named", ["", '; name="a.ics"'])
def test_a_calendar_is_read_as_its_program_shows_it(line: str, named: str) -> None:
    calendar = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{line}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    head = HEAD + f"Content-Type: text/calendar; charset=utf-8{named}\r\n\r\n".encode()
    assert levels(head + calendar.encode()) == ["secret"]


@pytest.mark.parametrize(
    "kind", ["message/partial; id=a; number=1; total=2", "message/external-body"]
)
def test_a_part_whose_content_is_elsewhere_is_a_fault(kind: str) -> None:
    whole = mail(f"Content-Type: {kind}\nSubject: x\n\nFrom: a@b.test\n\ntext\n")
    inside = multipart("mixed", part("text/plain", "x"), part(kind, "text"))
    assert "content-elsewhere" in scan(whole).faults
    assert "content-elsewhere" in scan(inside).children[1].faults


@pytest.mark.parametrize(
    "fields",
    [
        'Content-Type: x/y; name="a.exe"\nContent-Disposition: attachment; filename="a.pdf"',
        'Content-Disposition: attachment; filename="a.pdf"; filename="a.exe"',
        "Content-Disposition: attachment; filename=\"a.pdf\"; filename*=utf-8''a.exe",
    ],
)
async def test_every_name_of_a_file_decides_its_type(fields: str) -> None:
    found = look(multipart("mixed", f"{fields}\n\nx"))
    names = [found.attachments[0].name, *found.attachments[0].other_names]
    assert {ending(name) for name in names} == {"pdf", "exe"}

    class Matter:
        inspection = found

    facts = await CHECK.look(Matter())  # type: ignore[arg-type]
    assert "exe" in facts["file-endings"]  # type: ignore[operator]


def docx(**members: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_x", ".x").replace("_h", ".h"), text)
    return held.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        {"word__document2_xml": f"<w><p><t>{MARK}</t></p></w>"},
        {"word__document_xml": "<w/>", "word__afchunk_html": f"<p>{MARK}</p>"},
        {"word__styles_xml": "<w/>", "body_xml": f"<w><p><t>{MARK}</t></p></w>"},
    ],
    ids=["another name", "a chunk of HTML", "another folder"],
)
def test_the_text_of_a_document_is_found_wherever_it_lies(members: dict[str, str]) -> None:
    import base64

    coded = base64.encodebytes(docx(**members)).decode()
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    octets = multipart("mixed", part(f'{kind}; name="a.docx"', coded, "base64"))
    assert levels(octets) == ["secret"]
