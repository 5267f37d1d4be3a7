"""Labels, fields and forms by which content once passed without being looked at."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from gateway.domain.document import Opening, SealFinding, SealState
from gateway.policy.examine import examine
from gateway.policy.inspection import Inspection
from gateway.seals.book import SealBook
from gateway.seals.judge import Judgement
from mailboxes.scan import scan
from tests.unit.inspection.test_examine import NOW, look, read_file

HEAD = "From: water@heping.test\nTo: office@heping.test\nSubject: x\n"
PROGRAM = base64.encodebytes(b"MZ" + bytes(200)).decode()
ARMOUR = "-----BEGIN PGP SIGNATURE-----\n\nAAAA\n=AAAA\n-----END PGP SIGNATURE-----\n"


def mail(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def multipart(kind: str, *parts: str, more: str = "") -> bytes:
    inside = "".join(f"--b\n{part}\n" for part in parts)
    return mail(f"{HEAD}Content-Type: multipart/{kind}; boundary=b{more}\n\n{inside}--b--\n")


def part(media_type: str, text: str, encoding: str = "7bit") -> str:
    return f"Content-Type: {media_type}\nContent-Transfer-Encoding: {encoding}\n\n{text}"


def types(octets: bytes) -> list[str]:
    return [file.found_type for file in look(octets).attachments]


@pytest.mark.parametrize(
    "label",
    ["application/pgp-signature", "application/pgp-encrypted", "application/pkcs7-signature"],
)
@pytest.mark.parametrize("kind", ["mixed", "signed", "encrypted"])
def test_a_program_under_the_label_of_a_signature_is_an_attachment(label: str, kind: str) -> None:
    program = part(f'{label}; name="setup.exe"', PROGRAM, "base64")
    found = look(multipart(kind, part("text/plain", "x"), program))
    assert [(file.name, file.found_type) for file in found.attachments] == [
        ("setup.exe", "application/x-dosexec")
    ]


def test_a_signature_in_its_place_is_no_attachment_and_elsewhere_it_is() -> None:
    proof = part('application/pgp-signature; name="signature.asc"', ARMOUR)
    assert types(multipart("signed", part("text/plain", "x"), proof)) == []
    der = base64.encodebytes(b"\x30\x82\x01\x00" + bytes(256)).decode()
    smime = part('application/pkcs7-signature; name="smime.p7s"', der, "base64")
    assert types(multipart("signed", part("text/plain", "x"), smime)) == []
    assert len(types(multipart("mixed", part("text/plain", "x"), proof))) == 1
    assert len(types(multipart("signed", proof, part("text/plain", "x")))) == 1
    for other in (
        part('application/pgp-signature; name="plan.docx"', ARMOUR),
        part("application/pgp-signature", "words\n" + ARMOUR),
    ):
        assert len(types(multipart("signed", part("text/plain", "x"), other))) == 1


def test_a_mark_in_the_name_of_a_signature_is_found() -> None:
    proof = part('application/pgp-signature; name="机密.asc"', ARMOUR)
    found = look(multipart("signed", part("text/plain", "x"), proof))
    assert [marking.place for marking in found.markings] == ["attachment-name"]


def test_a_third_part_of_an_encrypted_message_is_an_attachment() -> None:
    message = "-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n"
    pieces = (
        part("application/pgp-encrypted", "Version: 1"), part("application/octet-stream", message),
    )  # fmt: skip
    assert types(multipart("encrypted", *pieces)) == []
    third = part("application/octet-stream", PROGRAM, "base64")
    assert "application/x-dosexec" in types(multipart("encrypted", *pieces, third))
    hidden = part("application/octet-stream", PROGRAM, "base64")
    assert types(multipart("encrypted", pieces[0], hidden)) == ["application/x-dosexec"]


@pytest.mark.parametrize(
    "more", ["; boundary=c", "; boundary*=us-ascii''c", "; boundary*0=c", " (x)", " c"]
)
def test_a_boundary_that_programs_read_differently_is_a_fault(more: str) -> None:
    octets = multipart("mixed", part("text/plain", "x"), more=more)
    assert "ambiguous-boundary" in scan(octets).faults
    assert scan(multipart("mixed", part("text/plain", "x"), more="; x=y")).faults == ()


def test_parts_that_nobody_has_read_are_a_fault_and_an_empty_multipart_is_not() -> None:
    octets = multipart("mixed", part("text/plain", "x"))
    guessed = scan(octets.replace(b"boundary=b", b"boundary=other"))
    assert guessed.faults == ("no-boundary", "unread-parts")
    assert scan(mail(f"{HEAD}Content-Type: multipart/mixed; boundary=b\n\n\n")).faults == (
        "no-boundary",
    )


def test_comments_do_not_hide_an_encoding_a_type_or_a_boundary() -> None:
    file = part("(a(b)) application/octet-stream", PROGRAM, "(x) base64")
    assert types(multipart("mixed", file)) == ["application/x-dosexec"]
    (inner,) = scan(multipart("mixed (x)", file)).children
    assert (inner.media_type, inner.encoding) == ("application/octet-stream", "base64")
    named = "Content-Disposition: attachment; filename=plan (1).txt\n\nx"
    assert look(multipart("mixed", named)).attachments[0].name == "plan (1).txt"


@pytest.mark.parametrize("field", ["Content-Transfer-Encoding: 7bit", "Content-Type: text/plain"])
def test_content_fields_that_occur_twice_in_a_part_are_named(field: str) -> None:
    twice = f"{field}\n{part('text/plain', 'x')}"
    name = field.partition(":")[0].lower()
    assert look(multipart("mixed", twice)).repeated_headers == (name,)
    assert look(multipart("mixed", part("text/plain", "x"))).repeated_headers == ()


def test_an_attached_message_is_held_to_the_same_form() -> None:
    inner = multipart("mixed", f"Content-Type: x/y\n{part('text/plain', 'x')}", more="; boundary=c")
    coded = base64.encodebytes(inner).decode()
    found = look(multipart("mixed", part("message/rfc822", coded, "base64")))
    assert found.inner_faults == ("ambiguous-boundary",)
    assert found.repeated_headers == ("content-type",)


def test_what_the_office_key_opens_is_held_to_the_same_form() -> None:
    opened = mail(
        "Content-Type: multipart/mixed; boundary=b; boundary=c\nComments: 机密★1年\n\n"
        "--b\nContent-Type: x/y\nContent-Type: text/plain\n\nquiet words\n--b--\n"
    )
    judgement = Judgement(SealFinding(SealState.MISSING), Opening.OPENED, opened, ())
    found = _examine(mail(f"{HEAD}\nx\n"), judgement)
    assert found.inner_faults == ("ambiguous-boundary",)
    assert found.repeated_headers == ("content-type",)
    assert [marking.place for marking in found.markings] == ["header"]
    assert not any("quiet" in text.text or "机密" in text.text for text in found.texts)


def _examine(octets: bytes, judgement: Judgement) -> Inspection:
    return examine(
        octets, unit_id=1, book=SealBook(()), at=NOW, clock_skew=900, opener=None,
        office_host="mail.heping.test", mt_priority=None, read_attachment=read_file,
        judgement=judgement,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "shown", "unclear"),
    [
        ("Water <Water@heping.test>", ("water@heping.test",), False),
        ('"finance@heping.test" <water@heping.test>',
         ("water@heping.test", "finance@heping.test"), False),
        ("=?utf-8?b?ZmluYW5jZe+8oGhlcGluZy50ZXN0?= <water@heping.test>",
         ("water@heping.test", "finance@heping.test"), False),
        ("water@heping.test (finance@heping.test)",
         ("water@heping.test", "finance@heping.test"), False),
        ("<water@heping.test> finance@heping.test",
         ("water@heping.test", "finance@heping.test"), True),
        ("<water@heping.test> Finance", ("water@heping.test",), True),
        ("Finance: water@heping.test;", ("water@heping.test",), True),
        ("<@x.test:water@heping.test>", ("water@heping.test",), True),
        ("<finance@heping.test> <water@heping.test>",
         ("water@heping.test", "finance@heping.test"), True),
    ],
)  # fmt: skip
def test_every_address_that_from_shows_is_seen(
    written: str, shown: tuple[str, ...], unclear: bool
) -> None:
    found = look(mail(f"From: {written}\nTo: office@heping.test\nSubject: x\n\nx\n"))
    assert set(shown) <= set(found.from_shown)
    assert (len(set(found.from_shown)) == 1) == (len(shown) == 1) or unclear
    assert found.from_unclear is unclear


def test_fields_beside_from_that_name_a_sender_are_read() -> None:
    found = look(
        mail(f"Sender: finance@heping.test\nResent-From: nobody\nReply-To: a@b.test\n{HEAD}\nx\n")
    )
    assert found.sender_fields == (
        ("sender", "finance@heping.test"), ("resent-from", ""), ("reply-to", "a@b.test"),
    )  # fmt: skip


def test_a_child_gives_up_what_reading_files_never_needs() -> None:
    told = (
        "import os, resource\nfrom gateway.policy import child\nchild._isolate()\n"
        "status = dict(l.split(':', 1) for l in open('/proc/self/status') if ':' in l)\n"
        "print(status['NoNewPrivs'].strip(), resource.getrlimit(resource.RLIMIT_FSIZE)[1],\n"
        "      os.path.exists('/proc/self/fd/9'), resource.getrlimit(resource.RLIMIT_NPROC)[1])\n"
        "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
    )
    shell = ["/bin/sh", "-c", 'exec 9</dev/null; exec "$@"', "sh", sys.executable, "-c", told]
    done = subprocess.run(shell, capture_output=True, check=True, text=True)
    privileges, size, inherited, processes, dumpable = done.stdout.split()
    assert (privileges, int(size), inherited, dumpable) == ("1", 1 << 26, "False", "0")
    assert 0 <= int(processes) <= 4_096
