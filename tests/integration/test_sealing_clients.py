"""Seals applied on the clerk's side: NeoMutt and gpg with the unit's own private key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gateway.evidence.opened import open_receipt
from tests import letters, postbox
from tests.gpg import Gpg
from tests.neomutt import Neomutt
from tests.office import Office

pytestmark = pytest.mark.one_database("what a client seals and a judge reads")

Find = Callable[[str], str]
TEXT = "区政府办公室：\n\n    现将值班安排报上。\n\n-- \n水务局\n"
OFFICE_KEY = "postmaster@heping.test"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


def keyring(office: Office, program: Find, name: str, secret: str) -> Gpg:
    """GnuPG with one unit's private key, all public ones, and trust in the office's key alone."""
    gpg = Gpg(program("gpg"), office.folder / name)
    seals = office.folder / "seals"
    gpg.add(seals / "office-key.pub.asc", seals / f"{secret}.sec.asc")
    gpg.add(*(seals / f"{unit}.pub.asc" for unit in ("water", "office", "finance")))
    gpg.trust(gpg.fingerprint(OFFICE_KEY))
    return gpg


@pytest.fixture(scope="module")
def water(office: Office, program: Find) -> Iterator[Gpg]:
    """GnuPG of the water bureau's seal-keeper."""
    gpg = keyring(office, program, "gpg-w", "water")
    yield gpg
    gpg.close()


@pytest.fixture(scope="module")
def recipient(office: Office, program: Find) -> Iterator[Gpg]:
    """GnuPG of the government office, which receives."""
    gpg = keyring(office, program, "gpg-o", "office")
    yield gpg
    gpg.close()


@pytest.fixture(scope="module")
def neomutt(office: Office, water: Gpg, program: Find) -> Neomutt:
    return Neomutt(program("neomutt"), office, "water", water, office.folder / "mutt")


def newest(office: Office) -> str:
    return str(office.sql("SELECT id FROM documents ORDER BY received_at DESC, id DESC LIMIT 1")[0])


def pieces(letter: postbox.Letter) -> tuple[bytes, bytes]:
    """The exact signed octets of a multipart/signed mail, and the signature over them."""
    opened = open_receipt(letter.octets)
    return opened.entity, opened.signature


def test_a_seal_by_neomutt_is_valid_and_still_holds_at_the_recipient(
    office: Office, neomutt: Neomutt, water: Gpg, recipient: Gpg
) -> None:
    shown = neomutt.send("和水报〔2026〕21号 关于防汛值班安排的报告", TEXT, "office@heping.test")
    found = office.document(newest(office))
    assert found["metadata"]["number"] == "和水报〔2026〕21号", shown
    assert found["seal"]["state"] == "valid"
    assert found["seal"]["fingerprint"].upper() == water.fingerprint("water@heping.test")
    [view] = postbox.letters(office, "unit:office", found["id"])
    assert view.mail["Subject"] == "〔章✓〕和水报〔2026〕21号 关于防汛值班安排的报告"
    results = " ".join(view.mail["Authentication-Results"].split())
    assert "x-openpgp=pass reason=valid" in results
    good, status = recipient.verify(*pieces(view))
    assert good
    # The recipient trusts the office's key alone, and the office has certified the seal.
    assert any(line.startswith("TRUST_FULLY") for line in status), status


def test_neomutt_seals_and_encrypts_to_the_office_and_both_recipients(
    office: Office, neomutt: Neomutt, water: Gpg, recipient: Gpg
) -> None:
    configuration = water.home / "gpg.conf"
    configuration.write_text(f"encrypt-to {water.fingerprint(OFFICE_KEY)}\n", encoding="utf-8")
    try:
        shown = neomutt.send(
            "和水函〔2026〕22号 关于泵站检修的函", TEXT,
            "office@heping.test", "finance@heping.test", encrypt=True,
        )  # fmt: skip
    finally:
        configuration.unlink()
    found = office.document(newest(office))
    assert found["metadata"]["number"] == "和水函〔2026〕22号", shown
    assert (found["seal"]["state"], found["opening"]) == ("valid", "opened")
    # What the office could read in memory it does not keep in the clear, and says nothing about.
    original = office.here("document", "export", found["id"])
    assert b"multipart/encrypted" in original
    [view] = postbox.letters(office, "unit:office", found["id"])
    assert view.mail["Subject"].startswith("〔章✓〕")
    plain = recipient.unlock(view.part("application/octet-stream").get_payload(decode=True))
    assert b"multipart/signed" in plain or b"text/plain" in plain


def test_gpg_seals_what_any_client_may_send(office: Office, water: Gpg) -> None:
    octets = letters.sealed_by(
        letters.plain("water", "office", "和水报〔2026〕23号 关于水位的报告"), water.seal
    )
    found = office.document(office.accept("water", octets, "office"))
    assert found["seal"]["state"] == "valid"
    # what a helpful relay may do to a sealed part: same content, other octets
    head, _, body = octets.partition(b"\r\n\r\n")
    tampered = head + b"\r\n\r\n" + body.replace(b"base64", b"Base64", 1)
    code, text = office.send("water", tampered, "office")
    assert (code, "the seal does not fit the message" in text) == (550, True)


def test_a_seal_of_another_unit_is_refused(office: Office, recipient: Gpg) -> None:
    octets = letters.sealed_by(
        letters.plain("water", "finance", "和水函〔2026〕24号 关于经费的函"), recipient.seal
    )
    code, text = office.send("water", octets, "finance")
    assert code == 550
    assert "belongs to another unit. Seal it with a seal of water" in text


def test_encryption_that_leaves_a_recipient_out_is_refused_by_name(
    office: Office, water: Gpg
) -> None:
    mail = letters.plain("water", "office finance", "和水函〔2026〕25号 关于泵站的函")
    octets = letters.encrypted_by(
        mail, lambda body: water.lock(body, ["office@heping.test", OFFICE_KEY])
    )
    code, text = office.send("water", octets, "office", "finance")
    assert code == 550
    assert "these recipients have no seal that opens it: finance@heping.test" in text


def test_encryption_without_the_office_is_refused_until_the_unit_is_allowed_it(
    office: Office, water: Gpg
) -> None:
    mail = letters.plain("water", "office", "和水函〔2026〕26号 关于阀门的函")
    octets = letters.encrypted_by(mail, lambda body: water.lock(body, ["office@heping.test"]))
    code, text = office.send("water", octets, "office")
    assert code == 550
    assert "encrypted without the office key, so it cannot be checked" in text
    # beside the running daemon, and for the very same octets
    office.here("unit", "change", "water", "--unchecked", "document")
    found = office.document(office.accept("water", octets, "office"))
    assert (found["seal"]["state"], found["opening"]) == ("cannot-check", "not-checked")
    [view] = postbox.letters(office, "unit:office", found["id"])
    assert view.mail["Subject"].startswith("〔章未验〕")
    office.here("unit", "change", "water", "--checked")
    code, text = office.send("water", octets + b"\r\n", "office")
    assert (code, "encrypted without the office key" in text) == (550, True)
