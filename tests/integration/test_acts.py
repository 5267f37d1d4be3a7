"""People sign for a document, and return it, with the mail programs that they have."""

from __future__ import annotations

import imaplib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mailboxes.utf7 import encode as utf7
from tests import letters, postbox
from tests.office import Office


@pytest.fixture(scope="module")
def office(make_module_office: Callable[..., Office]) -> Iterator[Office]:
    with make_module_office().running() as running:
        yield running
        # Whatever was done here, everything goes with everything else.
        running.here("fsck")


def deliver(office: Office, number: int, *to: str) -> str:
    subject = f"和政办发〔2026〕{number}号 关于开会的通知"
    return office.accept("office", letters.plain("office", " ".join(to), subject), *to)


def original(office: Office, owner: str, document_id: str) -> dict[str, str]:
    """The header of the document as its reader sees it."""
    [octets] = [
        one for mails in office.mailbox(owner).values() for one in mails
        if f"Yizhan-Document: {document_id}".encode() in one
    ]  # fmt: skip
    message = message_from_bytes(octets, policy=policy.default)
    return {name: str(value) for name, value in message.items()}


def delivery(office: Office, document_id: str, owner: str = "unit:water") -> dict[str, str]:
    rows = office.document(document_id)["recipients"]
    return next(row for row in rows if row["owner"] == owner)


def null_sender(office: Office, login: str, octets: bytes, to: str) -> tuple[int, str]:
    """As mail programs send read receipts (RFC 8098, 2.1)."""
    with office.client(login) as client:
        code, said = client.docmd("MAIL", "FROM:<>")
        assert code == 250, said
        code, said = client.rcpt(to)
        if code != 250:
            return code, said.decode()
        code, said = client.data(octets)
        return code, said.decode()


@contextmanager
def imap(office: Office, login: str) -> Iterator[imaplib.IMAP4_SSL]:
    """A mail program that reads."""
    with imaplib.IMAP4_SSL("127.0.0.1", office.imaps_port, ssl_context=office.trust) as client:
        client.login(login, office.accounts[login]["password"])
        yield client


_SIGNED = f'"{utf7("已签收")}"'


def read_receipt(header: dict[str, str], mode: str) -> bytes:
    to = header["Disposition-Notification-To"]
    return (
        f"From: water-li@heping.test\r\nTo: {to}\r\nSubject: Return Receipt\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/report;\r\n"
        ' report-type=disposition-notification; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt was displayed.\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Original-Message-ID: {header['Message-ID']}\r\nDisposition: {mode}; displayed\r\n"
        "\r\n--b--\r\n"
    ).encode()


def test_a_read_receipt_with_the_null_sender_signs(office: Office) -> None:
    document_id = deliver(office, 71, "water", "finance")
    header = original(office, "unit:water", document_id)
    to = header["Disposition-Notification-To"].strip("<>")
    automatic = read_receipt(header, "automatic-action/MDN-sent-automatically")
    assert null_sender(office, "water-li", automatic, to)[0] == 250
    assert delivery(office, document_id)["state"] == "consigned"
    by_hand = read_receipt(header, "manual-action/MDN-sent-manually")
    code, said = null_sender(office, "education-zhao", by_hand, to)
    assert (code, "cannot sign" in said) == (550, True)
    code, said = null_sender(office, "water-li", by_hand, to)
    assert (code, said) == (250, "2.0.0 Signed for")
    row = delivery(office, document_id)
    assert (row["signed_by"], row["signed_way"]) == ("李娜", "read-receipt")
    found = office.document(document_id)
    record = next(e for e in found["evidence"] if e["event"] == "ConsignmentAcceptance")
    assert record["actor"]["address"] == "127.0.0.1"
    assert record["actor"]["login"] == "password"
    forged = f"{to[:40]}{'2' if to[40] != '2' else '3'}{to[41:]}"
    assert null_sender(office, "water-li", by_hand, forged)[0] == 550
    assert null_sender(office, "water-li", by_hand, "office@heping.test")[0] == 550


def test_a_reply_signs_and_what_it_leaves_can_be_verified(office: Office, tmp_path: Path) -> None:
    document_id = deliver(office, 72, "water")
    header = original(office, "unit:water", document_id)
    answer = letters.plain(
        "water-li", "office", f"Re: {header['Subject']}", "签收\n\n> 各单位：\n",
        In_Reply_To=header["Message-ID"],
    )  # fmt: skip
    code, said = office.send("water-li", answer, "office")
    assert (code, said) == (250, "2.0.0 Signed for")
    code, said = office.send("water-li", answer, "office")  # its 250 was lost
    assert code == 250 and said.startswith("2.0.0 It is signed for already")
    office.settled(document_id)
    receipts = [
        one for one in postbox.letters(office, "unit:office", document_id)
        if one.event == "ConsignmentAcceptance"
    ]  # fmt: skip
    assert len(receipts) == 1
    assert "李娜（回复邮件）" in receipts[0].text
    file = tmp_path / "receipt.eml"
    file.write_bytes(receipts[0].octets)
    office.here("receipt", "verify", str(file))
    told = postbox.letters(office, "person:water-li", document_id)
    assert [one.event for one in told if one.event == "Answer"] == ["Answer"]


def test_a_move_over_imap_signs_and_what_cannot_be_is_explained(office: Office) -> None:
    document_id = deliver(office, 74, "water")
    time.sleep(5.2)  # sooner it would be a program's
    with imap(office, "water") as client:  # a shared login
        assert client.select("INBOX")[0] == "OK"
        [uid] = client.uid("SEARCH", f'HEADER Yizhan-Document "{document_id}"')[1][0].split()
        said, text = client.uid("MOVE", uid.decode(), _SIGNED)
        assert said == "NO" and "公用账号须写明签收人" in text[0].decode()
        assert delivery(office, document_id)["state"] == "consigned"
    with imap(office, "water-li") as client:
        name = f'"{utf7("单位信箱/水务局/INBOX")}"'
        assert client.select(name)[0] == "OK"
        [uid] = client.uid("SEARCH", f'HEADER Yizhan-Document "{document_id}"')[1][0].split()
        assert client.uid("FETCH", uid.decode(), "(BODY[])")[0] == "OK"
        assert client.uid("MOVE", uid.decode(), f'"{utf7("单位信箱/水务局/已签收")}"')[0] == "OK"
    row = delivery(office, document_id)
    assert (row["state"], row["signed_by"], row["signed_way"]) == ("signed", "李娜", "folder")
    events = [one["event"] for one in office.document(document_id)["evidence"]]
    assert sorted(events[-3:]) == [
        "ConsignmentAcceptance", "ContentAccessTracking", "ContentHandover",
    ]  # fmt: skip


def test_the_operator_returns_in_a_units_name(office: Office) -> None:
    document_id = deliver(office, 73, "water")
    office.here(
        "delivery", "return", document_id, "--unit", "water", "--name", "王伟",
        "--reason", "缺少附件",
    )  # fmt: skip
    row = delivery(office, document_id)
    assert (row["state"], row["returned_by"], row["returned_way"]) == (
        "returned", "王伟", "operator",
    )  # fmt: skip
    shown = office.here("document", "show", document_id).decode()
    assert "ConsignmentRejection" in shown and "王伟" in shown and "缺少附件" in shown
    assert "(operator)" in shown
    listed = office.here("document", "list", "--state", "returned").decode()
    assert document_id in listed
    done = office.run(
        "delivery", "sign", document_id, "--unit", "water", "--name", "王伟", check=False
    )
    assert done.returncode == 1 and "it is returned (by 王伟)" in done.stderr
    blank = office.run(
        "delivery", "return", document_id, "--unit", "water", "--name", "王伟", "--reason", " ",
        check=False,
    )  # fmt: skip
    assert blank.returncode == 1 and "--reason" in blank.stderr
    deadline = time.monotonic() + 20
    while True:
        texts = [one.text for one in postbox.letters(office, "unit:office", document_id)]
        if any("退文" in text and "缺少附件" in text and "代签" in text for text in texts):
            break
        assert time.monotonic() < deadline, texts
        time.sleep(0.2)
