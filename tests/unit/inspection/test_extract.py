"""Text and type of files, by content, within limits."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.marking import find_markings
from gateway.policy.archives import Budget
from gateway.policy.extract import Extracted, NeedsChild, extract, read_plainly
from gateway.policy.inspection import Reading
from gateway.policy.markup import html_text
from gateway.policy.types import found_type
from tests.unit.inspection import files


def read(name: str, octets: bytes, declared: str = "") -> Extracted:
    return extract(name, declared, octets, Budget())


MARK = "机密★1年"
TITLE = "关于防汛的通知"
FILES = {
    "a.docx": files.docx(MARK, TITLE),
    "split.docx": files.docx(MARK, TITLE, split=True),
    "a.xlsx": files.xlsx(MARK, TITLE),
    "a.pptx": files.pptx(MARK, TITLE),
    "a.odt": files.odt(MARK, TITLE),
    "a.ofd": files.ofd(MARK, TITLE),
    "a.pdf": files.pdf(MARK, TITLE),
    "utf8.txt": f"{MARK}\n{TITLE}".encode(),
    "bom.txt": f"\ufeff{MARK}\n{TITLE}".encode(),
    "gbk.txt": f"{MARK}\n{TITLE}".encode("gb18030"),
    "utf16.txt": f"{MARK}\n{TITLE}".encode("utf-16"),
    "a.html": f"<html><body><p>{MARK[:1]}<b>{MARK[1:]}</b></p><p>{TITLE}</body>".encode(),
    "a.rtf": b"{\\rtf1\\ansi\\ansicpg936 \\'bb\\'fa\\'c3\\'dc\\'a1\\'ef1\\'c4\\'ea\\par "
    + b"".join(b"\\u%d?" % ord(letter) for letter in TITLE)
    + b"}",
    "a.zip": files.zipped({"内/x.txt": f"{MARK}\n{TITLE}"}),
    "deep.zip": files.zipped({"b.zip": files.zipped({"c.docx": files.docx(MARK, TITLE)})}),
    "a.txt.gz": gzip.compress(f"{MARK}\n{TITLE}".encode()),
    "winmail.dat": files.winmail("x.txt", f"{MARK}\n{TITLE}".encode("gbk")),
}


@pytest.mark.parametrize("name", FILES)
def test_the_text_of_every_kind_of_file_is_read_with_its_mark(name: str) -> None:
    found = read(name, FILES[name])
    assert found.reading is Reading.READ
    assert TITLE in found.text
    assert find_markings(found.text, "2") == [("secret", "2")]


def test_page_headers_and_watermarks_are_text() -> None:
    assert "秘密" in read("a.docx", files.docx("正文", header="秘密")).text.splitlines()
    assert "秘密" in read("a.xlsx", files.xlsx("正文", header="秘密")).text.splitlines()
    water = '<w:hdr xmlns:w="w" xmlns:v="v"><w:p><v:textpath string="机密"/></w:p></w:hdr>'
    marked = files.zipped({"[Content_Types].xml": "", "word/header2.xml": water})
    assert "机密" in read("a.docx", marked).text.splitlines()


@pytest.mark.parametrize(
    ("octets", "kind"),
    [
        (b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0", "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF\x02", "application/x-elf"),
        (b"#!/bin/sh\nrm -rf /\n", "text/x-script"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"%PDF-1.7", "application/pdf"),
        (b"junk\n%PDF-1.7", "application/pdf"),
        (b"Rar!\x1a\x07\x01\0", "application/vnd.rar"),
        (b"MZ is how this note begins", "text/plain"),
        ("驿站".encode("gb18030"), "text/plain"),
        (b"\x00\x01\x02\x03", ""),
        (b"", ""),
    ],
)
def test_the_type_is_what_the_octets_say(octets: bytes, kind: str) -> None:
    assert found_type(octets) == kind


def test_a_long_text_cut_inside_a_letter_is_still_text() -> None:
    for charset in ("utf-8", "gb18030"):
        for shift in range(4):
            assert found_type(b"a" * shift + ("驿" * 4000).encode(charset)) == "text/plain"


def test_members_of_archives_are_named_and_typed_at_every_depth() -> None:
    program = b"MZ" + bytes(100)
    found = read("a.zip", files.zipped({"图.zip": files.zipped({"x.exe": program}), "b.txt": "b"}))
    assert found.members == ("图.zip", "图.zip/x.exe", "b.txt")
    assert found.member_types == ("application/zip", "application/x-dosexec", "text/plain")


def test_names_of_archives_made_on_chinese_windows_are_read() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("MMMM.txt", b"x")
    raw = out.getvalue().replace(b"MMMM", "机密".encode("gbk"))
    assert read("a.zip", raw).members == ("机密.txt",)


def test_tar_members_are_read() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        entry = tarfile.TarInfo("机密.txt")
        entry.size = 6
        archive.addfile(entry, io.BytesIO("驿站".encode()))
    found = read("a.tgz", out.getvalue())
    assert found.members == ("a.tar", "a.tar/机密.txt")
    assert "驿站" in found.text


def test_a_bomb_is_a_finding_and_not_a_danger() -> None:
    zeros = files.zipped({"zeros": bytes(50_000_000)})
    assert read("bomb.zip", zeros).reading is Reading.BOMB
    nested = b"x"
    for level in range(12):
        nested = files.zipped({f"{level}.zip": nested})
    assert read("deep.zip", nested).reading is Reading.BOMB
    assert (
        read("many.zip", files.zipped({str(n): b"" for n in range(6000)})).reading is Reading.BOMB
    )
    sheet = b"<w:document xmlns:w='w'><w:p><w:t>" + b"A" * 50_000_000 + b"</w:t></w:p></w:document>"
    huge = files.zipped({"[Content_Types].xml": "", "word/document.xml": sheet})
    assert read("a.docx", huge).reading is Reading.BOMB


def test_entities_are_refused() -> None:
    laughs = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        '<w:document xmlns:w="w"><w:p><w:t>&b;</w:t></w:p></w:document>'
    )
    found = read("a.docx", files.zipped({"[Content_Types].xml": "", "word/document.xml": laughs}))
    assert (found.reading, found.text) == (Reading.UNREADABLE, "")


def test_locked_files_say_so() -> None:
    locked = bytearray(files.zipped({"机密.txt": "x"}))
    for at in (locked.index(b"PK\x03\x04") + 6, locked.index(b"PK\x01\x02") + 8):
        locked[at] |= 1
    found = read("a.zip", bytes(locked))
    assert (found.reading, found.members) == (Reading.ENCRYPTED, ("机密.txt",))
    name = "EncryptedPackage".encode("utf-16-le")
    entry = name.ljust(64, b"\0") + (len(name) + 2).to_bytes(2, "little")
    office = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + entry
    assert read("a.docx", office).reading is Reading.ENCRYPTED
    assert read("a.asc", b"-----BEGIN PGP MESSAGE-----\n").reading is Reading.ENCRYPTED


def test_a_locked_pdf_and_a_pdf_locked_with_an_empty_password_differ() -> None:
    from pypdf import PdfReader, PdfWriter

    for password, reading in (("geheim", Reading.ENCRYPTED), ("", Reading.READ)):
        writer = PdfWriter(PdfReader(io.BytesIO(files.pdf(MARK))))
        writer.encrypt(password, owner_password="owner", algorithm="AES-256")
        out = io.BytesIO()
        writer.write(out)
        assert read("a.pdf", out.getvalue()).reading is reading


def test_pages_without_text_are_scanned() -> None:
    assert read("a.pdf", files.pdf()).reading is Reading.SCANNED
    assert read("a.ofd", files.ofd()).reading is Reading.SCANNED


@pytest.mark.parametrize(
    "octets",
    [
        b"%PDF-1.4 nothing",
        b"PK\x03\x04 broken",
        FILES["a.docx"][:200],
        b"\0\1\2\3\4",
        b"Rar!\x1a\x07",
    ],
)
def test_a_broken_file_is_unreadable(octets: bytes) -> None:
    assert read("a", octets).reading is Reading.UNREADABLE


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.randoms(use_true_random=False))
def test_no_damage_to_a_file_raises(name: str, random: Random) -> None:
    octets = bytearray(FILES[name])
    for _ in range(random.randint(1, 8)):
        octets[random.randrange(len(octets))] = random.randrange(256)
    if random.random() < 0.3:
        del octets[random.randrange(len(octets)) :]
    assert read(name, bytes(octets)).reading in Reading


def test_letters_of_an_old_office_file_are_searched_although_it_is_not_read() -> None:
    body = "机密★1年\r关于检查的通知\r".encode("utf-16-le")
    octets = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + body + bytes(512)
    found = read("a.doc", octets)
    assert found.reading is Reading.UNREADABLE
    assert find_markings(found.text, "2") == [("secret", "2")]


def test_pictures_need_no_reading() -> None:
    assert read("a.png", b"\x89PNG\r\n\x1a\n").reading is Reading.NOT_NEEDED


def test_only_plain_files_are_read_in_the_daemon() -> None:
    assert read_plainly("a.txt", "text/plain", "驿站".encode()).text == "驿站"
    assert read_plainly("a.png", "image/png", b"\x89PNG\r\n\x1a\n").reading is Reading.NOT_NEEDED
    for name in ("a.docx", "a.pdf", "a.zip", "a.ofd", "winmail.dat", "a.rtf"):
        with pytest.raises(NeedsChild):
            read_plainly(name, "", FILES[name])


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>机<span>密</span></p>", "机密"),
        ("<td>a</td><td>b</td>", "a\nb"),
        ("a&lt;b &#26426;&#23494;", "a<b 机密"),
        ("<style>机密</style><script>机密</script>x", "x"),
        ("<!-- 机密 -->x", "x"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("x<!-- 机密", "x\n!-- 机密"),
        ("a\r\nb<br>c", "a b\nc"),
    ],
)
def test_html_reads_as_a_person_sees_it(source: str, text: str) -> None:
    assert html_text(source) == text
