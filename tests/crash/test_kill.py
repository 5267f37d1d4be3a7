"""`kill -9` at named points: after a restart each 250 is one document, and none is there twice."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from email import message_from_bytes

import pytest

from gateway.store.fault import POINTS
from tests import letters
from tests.office import Office

BEFORE_THE_REPLY = {
    "blob-written",
    "blob-synced",
    "blob-renamed",
    "blob-kept",
    "before-commit",
    "after-commit",
    "before-reply",
}
# At start-up the daemon itself commits nothing, so the first commit is the document's.
SUBJECT = "【特急】和政办发〔2026〕47号 关于防汛的通知"


def test_each_point_is_tried() -> None:
    assert set(POINTS) >= BEFORE_THE_REPLY


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_keeps_every_promise_and_makes_no_other(
    point: str, make_office: Callable[..., Office]
) -> None:
    office = make_office()
    octets = letters.plain("office", "water finance", SUBJECT)
    office.start(YIZHAN_FAULT=point)
    document_id = ""
    try:
        document_id = office.accept("office", octets, "water", "finance")
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        assert point in BEFORE_THE_REPLY
    assert office.wait_until_dead() == -9
    office.start()
    resent = office.accept("office", octets, "water", "finance")
    if document_id:
        assert resent == document_id
    found = office.settled(resent)

    assert len(office.json("document", "list")) == 1
    assert sorted(one["owner"] for one in found["recipients"]) == ["unit:finance", "unit:water"]
    events = [one["event"] for one in found["evidence"]]
    assert events.count("SubmissionAcceptance") == 2
    assert events.count("ContentConsignment") == 2
    assert events.count("ConsignmentNotification") == 2
    assert len(office.mailbox("unit:water")["INBOX"]) == 1
    assert len(office.mailbox("unit:finance")["INBOX"]) == 1
    receipts = office.mailbox("unit:office")["回执"]
    assert len(receipts) == 1
    assert message_from_bytes(receipts[0])["X-Yizhan-Document"] == resent
    assert len(office.messages_to_phones()) == 2
    office.stop()
