"""Receipts as the sender gets them by mail: who wants which, and what they prove."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import receipt
from gateway.evidence.opened import open_receipt
from tests import letters, postbox
from tests.gpg import Gpg
from tests.office import Office
from tests.postbox import Letter

TITLE = "关于做好防汛工作的通知"


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running


@pytest.fixture(scope="module")
def office_key(office: Office) -> Path:
    """The office's public key, as anybody can have it."""
    path = office.folder / "published.asc"
    office.run("seal", "export", "office", "--out", str(path))
    return path


_number = iter(range(1, 1000))


def notice(sender: str, to: str, **more: str) -> bytes:
    """A document with a text of its own, so that it is nobody's duplicate."""
    number = next(_number)
    text = f"各单位：\n\n    今日水位{number}米。\n"
    return letters.plain(sender, to, f"和政办发〔2026〕{number}号 {TITLE}", text, **more)


def send(
    office: Office,
    sender: str,
    *to: str,
    octets: bytes = b"",
    mail: list[str] | None = None,
    rcpt: list[str] | None = None,
) -> str:
    """Submit one document and wait for its receipt; its id."""
    octets = octets or notice(sender, " ".join(to))
    document_id = office.accept(sender, octets, *to, mail=mail, rcpt=rcpt)
    wait(office, document_id)
    return document_id


def wait(office: Office, document_id: str) -> None:
    office.settled(document_id)


def only_receipt(office: Office, owner: str, document_id: str) -> Letter:
    [letter] = postbox.receipts(office, owner, document_id)
    return letter


def status_of(letter: Letter) -> list[dict[str, str]]:
    """The blocks of the delivery status: about the message, then one for each recipient."""
    report = letter.part("message/delivery-status").get_payload()
    assert isinstance(report, list)
    return [{name: str(value) for name, value in block.items()} for block in report]


# What it proves


@pytest.mark.one_database("the octets of a receipt")
def test_gpg_verifies_a_receipt_with_the_key_that_the_office_exports(
    office: Office, office_key: Path, program: Callable[[str], str]
) -> None:
    letter = only_receipt(office, "unit:office", send(office, "office", "water"))
    gpg = Gpg(program("gpg"), office.folder / "g")
    try:
        gpg.add(office_key)
        # as RFC 3156 says: the first part with its header, and the text of the second
        boundary = letter.mail.get_boundary()
        assert boundary is not None
        _, signed, second, _ = letter.octets.split(f"\r\n--{boundary}".encode())
        signed = signed.removeprefix(b"\r\n")
        signature = second.partition(b"\r\n\r\n")[2]
        good, status = gpg.verify(signed, signature)
        assert good
        assert any(
            line.startswith("VALIDSIG") and gpg.fingerprint("postmaster@heping.test") in line
            for line in status
        )
        assert not gpg.verify(signed.replace(b"Subject", b"Zubject"), signature)[0]
    finally:
        gpg.close()
    assert letter.octets.isascii()
    assert b"\n" not in letter.octets.replace(b"\r\n", b"")


def verify(file: Path, office_key: Path, office: Office) -> tuple[int, dict[str, object]]:
    done = office.run(
        "receipt", "verify", str(file), "--office-key", str(office_key), "--json", check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.one_database("the octets of a receipt")
def test_the_command_proves_a_receipt_and_no_forged_one(
    office: Office, office_key: Path, tmp_path: Path
) -> None:
    document_id = send(office, "office", "water", "finance")
    octets = only_receipt(office, "unit:office", document_id).octets
    other = only_receipt(office, "unit:office", send(office, "office", "water")).octets

    file = tmp_path / "receipt.eml"
    file.write_bytes(octets)
    status, said = verify(file, office_key, office)
    assert (status, said["ok"]) == (0, True)
    events = said["events"]
    assert isinstance(events, list)
    assert {event["document"] for event in events} == {document_id}
    assert sorted((event["event"], event["recipient"]) for event in events) == sorted(
        (event, f"{unit}@heping.test")
        for unit in ("water", "finance")
        for event in ("SubmissionAcceptance", "ContentConsignment")
    )
    # a mail program that saves with LF has changed nothing
    file.write_bytes(octets.replace(b"\r\n", b"\n"))
    assert verify(file, office_key, office)[0] == 0
    # with one octet of the text changed it ends with 1, and says so
    text = open_receipt(octets).entity
    place = octets.index(text) + text.index(b"base64\r\n\r\n") + 20
    changed = octets[:place] + (b"A" if octets[place:][:1] != b"A" else b"B") + octets[place + 1 :]
    file.write_bytes(changed)
    status, said = verify(file, office_key, office)
    assert (status, said["ok"]) == (1, False)

    opened, stolen = open_receipt(octets), open_receipt(other)
    forgeries = {
        "another day": octets.replace(b"Date: ", b"Date: Mon, 1 Jan 2001 00:00:00 +0800\r\nX-", 1),
        "another body": octets.replace(opened.entity, stolen.entity),
        "another signature": octets.replace(opened.signature, stolen.signature),
        "another subject": octets.replace(b"Subject: ", b"Subject: x ", 1),
        "no receipt": letters.plain("office", "water", "回执"),
    }
    words = ["verify", str(file), "--office-key", str(office_key)]
    for what, forged in forgeries.items():
        assert forged != octets
        file.write_bytes(forged)
        done = CliRunner().invoke(receipt.app, words)
        assert done.exit_code == 1, what
        assert "NOT proved" in done.stdout, what


def test_a_receipt_signed_by_a_key_that_is_not_the_offices_proves_nothing(
    office: Office, tmp_path: Path
) -> None:
    letter = only_receipt(office, "unit:office", send(office, "office", "water"))
    file = tmp_path / "receipt.eml"
    file.write_bytes(letter.octets)
    status, said = verify(file, office.folder / "seals" / "water.pub.asc", office)
    assert (status, said["ok"]) == (1, False)


# Whose, and when


def test_never_stops_the_mail_and_not_the_record(office: Office) -> None:
    document_id = send(office, "office", "water", rcpt=["NOTIFY=NEVER"])
    assert postbox.receipts(office, "unit:office", document_id) == []
    events = [one["event"] for one in office.document(document_id)["evidence"]]
    assert events.count("SubmissionAcceptance") == events.count("ContentConsignment") == 1


def test_who_wants_to_hear_of_failure_only_hears_nothing_of_success(office: Office) -> None:
    document_id = send(office, "office", "water", rcpt=["NOTIFY=FAILURE"])
    assert postbox.receipts(office, "unit:office", document_id) == []
    assert len(office.document(document_id)["evidence"]) >= 2


def test_who_wants_to_hear_of_success_hears_of_the_recipients_named(office: Office) -> None:
    octets = notice("office", "water finance audit")
    with office.client("office") as client:
        client.ehlo()
        assert client.mail("office@heping.test", [])[0] == 250
        for unit, wish in (("water", ["NOTIFY=SUCCESS"]), ("finance", ["NOTIFY=NEVER"]),
                           ("audit", [])):  # fmt: skip
            assert client.rcpt(f"{unit}@heping.test", wish)[0] == 250
        code, text = client.data(octets)
        assert code == 250
    document_id = text.decode().split()[1]
    wait(office, document_id)
    blocks = status_of(only_receipt(office, "unit:office", document_id))[1:]
    assert {block["Final-Recipient"] for block in blocks} == {
        "rfc822; water@heping.test",
        "rfc822; audit@heping.test",  # who says nothing gets what a post office is for
    }


def test_envid_orcpt_and_ret_come_back(office: Office) -> None:
    document_id = send(
        office, "office", "water",
        mail=["ENVID=QQ+2B2026", "RET=FULL"],
        rcpt=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;shuiwu+2B1@heping.example"],
    )  # fmt: skip
    letter = only_receipt(office, "unit:office", document_id)
    about, block = status_of(letter)
    assert about["Original-Envelope-Id"] == "QQ+2026"
    assert about["Reporting-MTA"] == "dns; mail.heping.test"
    assert block["Original-Recipient"] == "rfc822; shuiwu+1@heping.example"
    assert block["Final-Recipient"] == "rfc822; water@heping.test"
    assert (block["Action"], block["Status"]) == ("delivered", "2.0.0")
    found = office.document(document_id)
    assert found["dsn"] == {"envid": "QQ+2026", "ret": "FULL"}
    [envelope] = found["envelope"]
    assert envelope["orcpt"] == "rfc822;shuiwu+1@heping.example"


def test_a_groups_receipt_names_every_member_in_one_mail(office: Office) -> None:
    document_id = send(office, "office", "subdistricts")
    letter = only_receipt(office, "unit:office", document_id)
    recipients = {block["Final-Recipient"] for block in status_of(letter)[1:]}
    assert "rfc822; nanshi@heping.test" in recipients
    assert len(recipients - {"rfc822; subdistricts@heping.test"}) == 6
    assert "南市街道" in letter.text


# How it looks


def test_a_receipt_is_a_mail_that_nobody_answers_and_that_stands_beside_its_document(
    office: Office,
) -> None:
    octets = notice("office", "water")
    letter = only_receipt(office, "unit:office", send(office, "office", "water", octets=octets))
    mail = letter.mail
    message_id = octets.partition(b"Message-ID: ")[2].split(b"\r\n")[0].strip().decode()
    assert mail["Return-Path"] == "<>"
    assert mail["Auto-Submitted"] == "auto-replied"
    assert mail["Reply-To"] is None
    assert mail["References"] == mail["In-Reply-To"] == message_id
    assert mail["Message-ID"] != message_id
    assert mail["From"].addresses[0].addr_spec == "postmaster@heping.test"
    assert mail["To"] == "office@heping.test"
    assert mail.get_content_type() == "multipart/signed"
    assert letter.folder == "回执"
    assert letter.flags == ("\\Seen",)
    assert TITLE in mail["Subject"]
    assert "水务局" in letter.text


def test_receipts_are_brief_unless_the_account_or_the_document_wants_them_otherwise(
    office: Office,
) -> None:
    def style(**more: str) -> Letter:
        octets = notice("finance", "water", **more)
        found = only_receipt(
            office, "unit:finance", send(office, "finance", "water", octets=octets)
        )
        original = found.file(f"{found.about}.eml")
        assert original is None or original == octets
        return found

    def kind(letter: Letter) -> str:
        if letter.file(f"{letter.about}.eml") is not None:
            return "full"
        assert letter.file("digests.json") is not None
        return "brief" if len(letter.text.split()) > 1 else "machine"

    assert kind(style()) == "brief"
    assert kind(style(X_Yizhan_Receipt="full")) == "full"
    assert kind(style(X_Yizhan_Receipt="machine")) == "machine"
    office.here("account", "change", "finance", "--receipts", "full")
    assert kind(style()) == "full"
    assert kind(style(X_Yizhan_Receipt="brief")) == "brief"
    office.here("account", "change", "finance", "--receipts", "machine")
    machine = style()
    assert kind(machine) == "machine"
    assert machine.text.strip() == machine.about
    assert TITLE not in machine.mail["Subject"]
    office.here("account", "change", "finance", "--receipts", "")
    assert kind(style()) == "brief"


def test_units_read_receipts_in_their_own_language(office: Office) -> None:
    document_id = send(office, "commerce", "water")
    letter = only_receipt(office, "unit:commerce", document_id)
    assert letter.folder == "Receipts"
    assert letter.mail["Subject"].startswith("Receipt: accepted: ")
    assert letter.mail["From"].addresses[0].display_name == "Heping District Post Office"
    assert "Water Bureau" in letter.text
    [view] = postbox.letters(office, "unit:water", document_id)
    assert view.mail["Subject"].startswith("〔无章〕")

    document_id = send(office, "water", "commerce")
    letter = only_receipt(office, "unit:water", document_id)
    assert letter.mail["From"].addresses[0].display_name == "和平区政府电子邮局"
    assert "商务局" in letter.text
    [view] = postbox.letters(office, "unit:commerce", document_id)
    assert view.mail["Subject"].startswith("[No seal] ")


def test_a_warning_about_the_number_stands_in_the_receipt(office: Office) -> None:
    octets = letters.plain("office", "water", f"和政办发[2026]第007号 {TITLE}")
    document_id = send(office, "office", "water", octets=octets)
    found = office.document(document_id)
    assert found["metadata"]["number"] == "和政办发〔2026〕7号"
    assert "number-malformed" in found["metadata"]["warnings"]
    assert "发文字号不合规范" in only_receipt(office, "unit:office", document_id).text


# What comes twice


def test_the_same_document_under_other_octets_is_marked_as_a_possible_duplicate(
    office: Office,
) -> None:
    octets = notice("office", "water")
    first = send(office, "office", "water", octets=octets)
    second = send(
        office, "office", "water", octets=octets.replace(b"Message-ID: <", b"Message-ID: <2")
    )
    assert first != second
    assert office.document(second)["metadata"]["possible_duplicate_of"] == first
    assert office.document(first)["metadata"]["possible_duplicate_of"] == ""
    [view] = postbox.letters(office, "unit:water", second)
    assert view.mail["Subject"].startswith("〔无章〕〔疑重发〕")
    assert len(postbox.receipts(office, "unit:office", second)) == 1
