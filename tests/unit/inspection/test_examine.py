"""What is found in a message, wherever in it something stands."""

from __future__ import annotations

import base64
import email
import quopri
from datetime import UTC, datetime
from email.policy import SMTP
from pathlib import Path

import pytest

from gateway.domain.document import Opening, SealState, Urgency
from gateway.policy.archives import Budget
from gateway.policy.attachments import TEXT_KEPT
from gateway.policy.examine import examine
from gateway.policy.extract import Extracted, extract
from gateway.policy.inspection import Inspection, Reading
from gateway.seals.book import SealBook
from tests.unit.inspection import files
from tests.unit.inspection.files import message, word

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MARK = "机密★1年"


def read_file(name: str, declared: str, octets: bytes) -> Extracted:
    return extract(name, declared, octets, Budget())


def look(octets: bytes, *, mt_priority: int | None = None) -> Inspection:
    return examine(
        octets, unit_id=1, book=SealBook(()), at=NOW, clock_skew=900, opener=None,
        office_host="mail.heping.test", mt_priority=mt_priority, read_attachment=read_file,
    )  # fmt: skip


def places(octets: bytes) -> set[str]:
    return {marking.place for marking in look(octets).markings}


def crlf(text: str, charset: str = "utf-8") -> bytes:
    return text.replace("\n", "\r\n").encode(charset)


def test_header_facts_are_read() -> None:
    found = look(
        message(
            subject="【特急】和政办发〔2026〕5号 关于检查的通知",
            headers="Cc: Group: A <A@Heping.Test>, b@heping.test;\n"
            "Received: from x by mail.heping.test with ESMTPS; Sun, 1 Mar 2026 08:00:00 +0800\n"
            "Auto-Submitted: Auto-Replied; x\nX-Yizhan-Receipt: Full\nX-Priority: 1\n",
        )
    )
    assert found.from_ == ("water@heping.test",)
    assert found.to == ("office@heping.test",)
    assert found.cc == ("a@heping.test", "b@heping.test")
    assert found.message_id == "<1@heping.test>"
    assert (found.received, found.passed_here) == (1, True)
    assert (found.auto_submitted, found.receipt_style) == ("auto-replied", "full")
    assert (found.metadata.urgency, found.urgency_source) == (Urgency.EXTRA, "subject")
    assert (found.metadata.number, found.metadata.kind) == ("和政办发〔2026〕5号", "通知")
    assert (found.repeated_headers, found.opening) == ((), Opening.PLAIN)
    assert found.seal.state is SealState.MISSING


def test_another_host_whose_name_only_begins_like_ours_is_not_us() -> None:
    assert not look(message(headers="Received: by mail.heping.test.example.org; x\n")).passed_here


def test_single_fields_that_occur_twice_are_named() -> None:
    twice = message(headers="Subject: x\nFrom: a@heping.test\nReceived: a\nReceived: b\n")
    assert look(twice).repeated_headers == ("from", "subject")


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        (message(subject=f"{MARK} 关于检查的通知"), "subject"),
        (message(subject="【機密】关于检查的通知"), "subject"),
        (message(f"{MARK}\n正文"), "body"),
        (message(f"<p>正文</p><p>机<b>密</b></p>", kind="html"), "body"),  # noqa: F541
        (message(headers=f"Comments: {word(MARK)}\n"), "header"),
        (message(headers=f"X-Miji: {word('机密')}\n"), "header"),
        (message(headers="Sensitivity: Company-Confidential\n"), "header"),
        (message("x", ("机密-方案.txt", b"x")), "attachment-name"),
        (message("x", ("a.zip", files.zipped({"秘密.txt": b"x"}))), "attachment-name"),
        (message("x", ("winmail.dat", files.winmail("绝密.txt", b"x"))), "attachment-name"),
        (message("x", ("a.docx", files.docx(MARK, "正文"))), "2"),
        (message("x", ("a.xlsx", files.xlsx("密级", "机密"))), "2"),
        (message("x", ("a.pdf", files.pdf(MARK))), "2"),
        (message("x", ("a.ofd", files.ofd(MARK))), "2"),
        (message("x", ("a.txt", f"{MARK}\n".encode("gb18030"))), "2"),
        (message("x", ("a.eml.zip", files.zipped({"x/a.docx": files.docx(MARK)}))), "2"),
    ],
)
def test_a_mark_is_found_in_each_place_where_one_belongs(octets: bytes, place: str) -> None:
    assert places(octets) == {place}


def test_a_mark_is_found_in_every_charset_and_encoding() -> None:
    for charset in ("gbk", "gb18030", "big5", "utf-8", "utf-16"):
        text = base64.encodebytes("機密\n".encode(charset)).decode()
        head = f"Subject: x\nContent-Type: text/plain; charset={charset}\n"
        assert places(crlf(f"{head}Content-Transfer-Encoding: base64\n\n{text}")) == {"body"}
    mislabelled = "Subject: x\nContent-Type: text/plain; charset=us-ascii\n\n机密★1年\n"
    assert places(crlf(mislabelled, "gbk")) == {"body"}
    assert places(crlf("Subject: 【机密】检查\n\nx\n", "gbk")) == {"subject"}


def test_forwarded_messages_are_searched_with_subject_and_files() -> None:
    inner = message("x", ("a.txt", MARK.encode()), subject="【机密】检查")
    text = (
        "Subject: fwd\nContent-Type: multipart/mixed; boundary=o\n\n--o\n\nx\n--o\n"
        "Content-Type: message/rfc822\n\n" + inner.decode().replace("\r\n", "\n") + "\n--o--\n"
    )
    found = look(crlf(text))
    assert {marking.place for marking in found.markings} == {"2", "2.2"}
    assert [attachment.name for attachment in found.attachments] == ["a.txt"]


def test_a_message_attached_as_a_file_is_searched_too() -> None:
    inner = message("x", ("机密.docx", files.docx("正文")), subject="y")
    found = look(message("x", ("fwd.eml", inner)))
    assert {marking.place for marking in found.markings} == {"attachment-name"}
    assert [file.name for file in found.attachments] == ["机密.docx", "fwd.eml"]
    assert found.attachments[1].found_type == "message/rfc822"
    for marked in (message(MARK), message(subject="【机密】检查")):
        assert places(message("x", ("fwd.eml", marked))) == {"2"}


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_embedded_message_hides_nothing_by_a_forbidden_encoding(encoding: str) -> None:
    # It has no name and is no attachment, so it was once read as a text of base64 lines.
    inner = message("x", ("a.docx", files.docx(MARK)))
    encode = base64.encodebytes if encoding == "base64" else quopri.encodestring
    outer = (
        b"From: water@heping.test\r\nTo: office@heping.test\r\nSubject: x\r\n"
        b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + encode(inner).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        + b"\r\n--b--\r\n"
    )
    found = look(outer)
    assert {marking.place for marking in found.markings} == {"1"}
    assert [file.name for file in found.attachments] == ["a.docx", ""]


def test_uuencoded_files_in_a_body_are_files() -> None:
    import binascii

    program = b"MZ" + bytes(60)
    coded = b"".join(
        binascii.b2a_uu(program[start : start + 45]) for start in range(0, len(program), 45)
    ).decode()
    found = look(crlf(f"Subject: x\n\nhello\nbegin 644 机密.exe\n{coded}`\nend\nbye\n"))
    assert [(file.name, file.found_type) for file in found.attachments] == [
        ("机密.exe", "application/x-dosexec")
    ]
    assert found.attachments[0].size == 62
    assert {marking.place for marking in found.markings} == {"attachment-name"}
    assert any("hello" in text.text for text in found.texts)


def test_a_program_that_calls_itself_text_is_an_attachment() -> None:
    body = base64.encodebytes(b"MZ" + bytes(200)).decode()
    found = look(crlf(f"Subject: x\nContent-Transfer-Encoding: base64\n\n{body}"))
    assert [file.found_type for file in found.attachments] == ["application/x-dosexec"]


def test_attachments_are_described() -> None:
    content = files.docx("正文")
    found = look(message("x", ("方案.docx", content), ("a.png", b"\x89PNG\r\n\x1a\n")))
    first, second = found.attachments
    assert (first.part, first.name, first.size, first.reading) == (
        "2", "方案.docx", len(content), Reading.READ,
    )  # fmt: skip
    assert first.declared_type == "application/octet-stream"
    assert first.found_type.endswith("wordprocessingml.document")
    assert second.reading is Reading.NOT_NEEDED
    assert [part.part for part in found.parts] == ["1", "2", "3"]
    assert found.parts[1].sha256 == first.sha256


def test_a_resend_in_another_encoding_has_the_same_parts_digest() -> None:
    def encoded(encoding: str, boundary: str) -> bytes:
        mail = email.message_from_bytes(message("正文一\n正文二\n"), policy=SMTP)
        mail.set_boundary(boundary)  # type: ignore[attr-defined]
        (part,) = mail.get_payload()  # type: ignore[misc]
        part.set_content("正文一\n正文二\n", cte=encoding)  # type: ignore[union-attr]
        return mail.as_bytes(policy=SMTP)

    digests = {look(encoded(way, way[:3])).parts_digest for way in ("base64", "quoted-printable")}
    assert len(digests) == 1
    assert look(message("正文一\n")).parts_digest not in digests


def test_the_seed_texts_pass_as_bodies_and_fail_with_a_mark_in_each_place(
    seeds: list[Path],
) -> None:
    for path in seeds:
        text = path.read_text(encoding="utf-8")
        assert places(message(text)) == set(), path.name
        assert places(message(text, (path.name, text.encode("gb18030", "replace")))) == set()
        lines = text.splitlines()
        assert places(message(text, ("方案.docx", files.docx(*map(_escaped, lines))))) == set()
        assert places(message(text, subject="【机密】方案")) == {"subject"}
        assert places(message(f"秘密\n{text}")) == {"body"}
        assert places(message(text, ("方案（秘密）.txt", b"x"))) == {"attachment-name"}
        marked = files.docx(MARK, *map(_escaped, lines))
        assert places(message(text, ("方案.docx", marked))) == {"2"}


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;")


def test_kept_text_is_bounded_but_all_of_it_is_searched() -> None:
    found = look(message("保密工作\n" * 200_000 + "\n\n机密★1年\n"))
    assert sum(len(text.text) for text in found.texts) <= TEXT_KEPT + 100
    assert {marking.place for marking in found.markings} == {"body"}


def test_clearsigned_text_is_read_without_its_armour() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n和政发〔2026〕12号\n正文\n"
        "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n"
    )
    found = look(message(text, subject="x"))
    assert found.metadata.number == "和政发〔2026〕12号"
    assert not any("BEGIN PGP" in text.text for text in found.texts)


def test_all_mail_of_the_corpus_is_examined(seeds: list[Path]) -> None:
    for seed in seeds[:1]:
        for path in sorted((seed.parents[1] / "mail").rglob("*.msg")):
            found = look(path.read_bytes())
            assert found.parts, path.name
