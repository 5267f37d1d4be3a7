"""Each column of readiness turns by its own deed, on either database."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert

from gateway.directory.lastlogins import LastLogin, keep_logins
from gateway.directory.snapshot import load
from gateway.portal.readiness import Readiness, read_readiness, with_programs
from gateway.reminders.tables import reminders
from gateway.seals.tables import seals
from tests import letters
from tests.house import DOMAIN, NOW, House


def rows(house: House) -> dict[str, Readiness]:
    directory = house.database.read_now(lambda c: load(c, DOMAIN))
    now = house.clock.now()
    found = house.database.read_now(lambda c: read_readiness(c, directory, "zh-CN", now))
    return {one.code: one for one in with_programs(found, house.blobs.open, lambda *_: None)}


def row(house: House) -> Readiness:
    return rows(house)["water"]


def unit_id(house: House) -> int:
    unit = house.database.read_now(lambda c: load(c, DOMAIN)).unit("water")
    assert unit is not None
    return unit.id


async def test_a_unit_is_ready_when_each_deed_was_done_once(house: House) -> None:
    assert len(rows(house)) == 44
    assert row(house).missing == ("sent", "received", "signed", "sms", "seal", "login")
    octets = letters.plain("water", "education", "函").replace(
        b"Subject:", b"X-Mailer: Foxmail 7.2\x07\t(zh)\r\nSubject:", 1
    )
    await house.accept("water", octets, "education")
    assert row(house).sent_at is not None
    assert row(house).client == "Foxmail 7.2 (zh)"
    assert row(house).missing == ("received", "signed", "sms", "seal", "login")
    assert rows(house)["education"].missing == ("sent", "signed", "sms", "seal", "login")
    document = await house.accept("education", letters.plain("education", "water", "通知"), "water")
    assert row(house).missing == ("signed", "sms", "seal", "login")
    await house.sign(document, "water")
    assert row(house).missing == ("sms", "seal", "login")

    def reminder(state: str) -> None:
        values = {
            "id": state, "document_id": document, "delivery_id": len(state), "unit_id": mine,
            "name": "", "number": state, "language": "en", "urgency": "normal", "step": 0,
            "text": "", "state": state, "due_at": 0, "attempts": 0, "notifier": "log",
            "reference": "", "last_error": "",
        }  # fmt: skip
        house.database.write_now(lambda c: c.execute(insert(reminders).values(values)))

    mine = unit_id(house)
    for state in ("queued", "handed-over", "failed"):
        reminder(state)
    assert "sms" in row(house).missing
    reminder("sent")
    assert row(house).missing == ("seal", "login")

    def seal(name: str, **more: object) -> None:
        values = {
            "unit_id": mine, "fingerprint": name, "certificate": b"", "revocation": b"",
            "origin": "issued", "kept": False, "issued_at": 0, "cancel_reason": "", **more,
        }  # fmt: skip
        house.database.write_now(lambda c: c.execute(insert(seals).values(values)))

    seal("A", expires_at=1)
    seal("B", cancelled_at=1)
    seal("C", replaced_at=1)
    assert "seal" in row(house).missing
    seal("D")
    assert row(house).missing == ("login",)
    account = house.database.read_now(lambda c: load(c, DOMAIN)).account("water")
    assert account is not None
    seen = {(account.id, "submission"): LastLogin("submission", NOW, "10.1.0.7")}
    house.database.write_now(lambda c: keep_logins(c, seen))
    found = row(house)
    assert (found.ready, found.missing, found.login_at) == (True, (), NOW)
    assert [one.code for one in rows(house).values() if one.ready] == ["water"]


async def test_the_last_document_counts_and_a_lost_blob_does_not_stop_the_table(
    house: House,
) -> None:
    first = await house.accept("water", letters.plain("water", "education", "一"), "education")
    house.later(hours=1)
    second = await house.accept("water", letters.plain("water", "education", "二"), "education")
    found = row(house)
    assert found.sent_id == second != first
    assert found.sent_at is not None and found.sent_at - NOW >= timedelta(hours=1)
    house.blobs.delete(second)
    assert row(house).sent_id == second
