"""The summary (签收情况): one live list for each document, at the times that policy names."""

from __future__ import annotations

from gateway.directory.edit import add_duty
from gateway.directory.model import Post
from tests import letters
from tests.house import House

NOTICE = "和政办发〔2026〕5号 关于召开会议的通知"


async def sent(house: House, *units: str, subject: str = NOTICE) -> str:
    octets = letters.plain("office", " ".join(units), subject)
    return await house.accept("office", octets, *units)


def summaries(house: House) -> list[str]:
    return [mail.text for mail in house.mail("unit:office", "summary")]


async def test_the_first_comes_after_some_minutes_unread_in_the_inbox(house: House) -> None:
    await sent(house, "water", "finance")
    await house.work(minutes=9)
    assert summaries(house) == []
    await house.work(minutes=1)
    [summary] = house.mail("unit:office", "summary")
    assert (summary.folder, summary.flags) == ("INBOX", ())
    assert "0" in summary.message["Subject"]
    assert "2" in summary.message["Subject"]
    assert "水务局" in summary.text
    assert "财政局" in summary.text


async def test_a_newer_one_takes_the_place_of_the_older(house: House) -> None:
    document_id = await sent(house, "water", "finance")
    await house.work(minutes=10)
    [before] = summaries(house)
    await house.sign(document_id, "water")
    await house.work(minutes=60 * 24 * 3)
    [after] = summaries(house)
    assert before != after
    assert "王伟" in after


async def test_the_deadline_brings_one_even_if_nothing_has_changed(house: House) -> None:
    await sent(house, "water", "finance", subject=f"【特急】{NOTICE}")
    await house.work(minutes=10)
    assert len(house.pieces("summary")) == 1
    [first] = house.mail("unit:office", "summary")
    await house.work(minutes=50)
    [second] = house.mail("unit:office", "summary")
    assert first.message["Message-ID"] != second.message["Message-ID"]
    assert house.pieces() == []


async def test_the_last_sign_for_brings_it_at_once_and_the_others_are_not_needed(
    house: House,
) -> None:
    document_id = await sent(house, "water", "finance")
    await house.sign(document_id, "water")
    await house.sign(document_id, "finance")
    await house.work()
    [summary] = house.mail("unit:office", "summary")
    assert summary.message["Subject"].count("2") >= 2
    assert house.pieces() == []


async def test_the_last_sign_for_after_the_deadline_brings_one_too(house: House) -> None:
    document_id = await sent(house, "water", "finance", subject=f"【特急】{NOTICE}")
    await house.sign(document_id, "water")
    await house.work(minutes=61)
    assert house.pieces() == []
    await house.sign(document_id, "finance", "李明")
    await house.work()
    [summary] = summaries(house)
    assert "李明" in summary


async def test_a_sign_for_while_the_summary_is_written_is_in_the_one_that_arrives(
    house: House,
) -> None:
    document_id = await sent(house, "water")
    handler = house.worker._handlers
    kind = next(kind for kind in handler if kind.value == "summary")
    real, interrupted = handler[kind], []

    async def slow(piece):  # type: ignore[no-untyped-def]
        finish = await real(piece)
        if not interrupted:
            interrupted.append(piece)
            await house.sign(document_id, "water", "李明")
        return finish

    house.worker._handlers = {**handler, kind: slow}
    await house.work(minutes=10)
    [summary] = summaries(house)
    assert "李明" in summary


async def test_a_resend_to_more_units_brings_another_when_none_waits(house: House) -> None:
    octets = letters.plain("office", "water finance", NOTICE)
    document_id = await house.accept("office", octets, "water")
    await house.accept("office", octets, "finance")
    assert len(house.pieces("summary")) == 2  # those that wait will tell of finance too
    await house.sign(document_id, "water")
    await house.sign(document_id, "finance")
    await house.work()
    assert house.pieces() == []
    more = letters.plain("office", "water finance education", NOTICE)
    second = await house.accept("office", more, "water")
    await house.sign(second, "water")
    await house.work()
    await house.accept("office", more, "education")
    await house.work(minutes=10)
    assert any("教育局" in text for text in summaries(house))


async def test_the_missing_are_listed_with_their_telephone(house: House) -> None:
    document_id = await sent(house, "water", "finance")
    house.change(
        add_duty, unit="finance", name="值班室", post=Post.CLERK, mobile="", landline="022-5555",
        position=0,
    )  # fmt: skip
    await house.sign(document_id, "water")
    await house.work(minutes=10)
    [summary] = summaries(house)
    directory = house.directory.now()
    unit = directory.unit("finance")
    assert unit is not None
    numbers = [person.landline for person in directory.duty(unit.id) if person.landline]
    assert any(number in summary for number in numbers)


async def test_plain_mail_has_no_summary(house: House) -> None:
    await sent(house, "water", subject="午饭")
    await house.work(minutes=60 * 24 * 10)
    assert summaries(house) == []


async def test_where_the_first_is_switched_off_only_deadline_and_completion_bring_one(
    house: House,
) -> None:
    from dataclasses import replace

    house.exchange._means = replace(house.means, summary_minutes=0)
    document_id = await sent(house, "water")
    assert len(house.pieces("summary")) == 1
    await house.work(minutes=11)
    assert summaries(house) == []
    await house.sign(document_id, "water")
    await house.work()
    assert len(summaries(house)) == 1
