"""`yizhan log` finds a document by whatever it is called, and tells all that happened to it."""

from __future__ import annotations

import pytest

from gateway.directory.snapshot import load
from gateway.errors import Refused
from gateway.survey.search import Match, find_matches, normal_number
from gateway.survey.story import Story, tell
from tests import letters
from tests.house import DOMAIN, House

NUMBERED = "【加急】和政办发〔2026〕45号 关于做好防汛工作的通知"
MARKED = "机密★1年 关于防汛的函"


def search(house: House, word: str) -> list[Match]:
    return house.database.read_now(lambda c: find_matches(c, word))


def story(house: House, identifier: str) -> Story:
    found = house.database.read_now(lambda c: tell(c, identifier, load(c, DOMAIN)))
    assert found is not None
    return found


async def accepted(house: House, subject: str = NUMBERED) -> str:
    return await house.accept("office", letters.plain("office", "water", subject), "water")


async def test_a_document_is_found_by_every_name_that_it_has(house: House) -> None:
    document = await accepted(house)
    await house.work()
    told = story(house, document)
    first = told.steps[0]
    assert first.number is not None
    names = {
        document: "document",
        document[:12]: "document",
        first.evidence: "evidence",
        f"#{first.number}": "log-number",
        told.facts["message_id"]: "message-id",
        told.facts["message_id"].strip("<>"): "message-id",
        "和政办发〔2026〕45号": "number",
        "和政办发 [2026] 45": "number",
    }
    for word, by in names.items():
        [match] = search(house, word)
        assert (match.id, match.by) == (document, by), word


@pytest.mark.parametrize("word", ["", "%", "nonsense", "#99999", "<no@body>", "0" * 26, "' OR 1"])
async def test_what_nothing_is_called_finds_nothing(house: House, word: str) -> None:
    await accepted(house, "回复")  # it has no number
    assert search(house, word) == []


async def test_a_number_that_was_given_twice_names_both_documents(house: House) -> None:
    first = await accepted(house)
    house.later(hours=48)
    second = await accepted(house)
    assert [match.id for match in search(house, "和政办发〔2026〕45号")] == [second, first]


async def test_the_story_goes_from_acceptance_to_the_last_signature(house: House) -> None:
    document = await house.accept(
        "office", letters.plain("office", "water education", NUMBERED), "water", "education"
    )
    house.later(minutes=3)
    await house.work()
    await house.sign(document, "water")
    told = story(house, document)
    assert [step.event for step in told.steps if step.kind == "evidence"] == [
        "SubmissionAcceptance", "SubmissionAcceptance", "ContentConsignment",
        "ContentConsignment", "ConsignmentAcceptance",
    ]  # fmt: skip
    assert [step.at for step in told.steps] == sorted(step.at for step in told.steps)
    assert told.facts["rule"]
    [signed] = [step for step in told.steps if step.event == "ConsignmentAcceptance"]
    assert (signed.subject, signed.number) == (f"water@{DOMAIN}", None)
    assert "王伟" in signed.detail
    assert [step.event for step in told.steps if step.kind == "letter"] == ["receipt"]
    assert {step.event for step in told.steps if step.kind == "planned"} == {"receipt", "summary"}


async def test_neither_title_nor_text_of_a_document_is_told(house: House) -> None:
    document = await accepted(house)
    await house.work()
    assert "防汛" not in repr(story(house, document))


async def test_a_refused_mail_is_told_by_its_rule_without_its_subject(house: House) -> None:
    octets = letters.plain("water", "office", MARKED)
    with pytest.raises(Refused):
        await house.submit("water", octets, "office")
    await house.work()
    message_id = next(line for line in octets.splitlines() if line.startswith(b"Message-ID:"))
    [match] = search(house, message_id.partition(b":")[2].strip().decode())
    assert (match.refused, match.by) == (True, "message-id")
    [same] = search(house, match.id)
    assert same.by == "refusal"
    told = story(house, match.id)
    assert told.facts["rule"] == "marking"
    assert told.steps[0].event == "SubmissionRejection"
    assert "机密" not in repr(told) and "防汛" not in repr(told)


async def test_a_document_tells_of_refusals_of_the_same_mail(house: House) -> None:
    octets = letters.plain("water", "office", MARKED)
    with pytest.raises(Refused):
        await house.submit("water", octets, "office")
    house.later(minutes=1)
    mended = letters.plain("water", "office", "关于防汛的函")
    line, other = (
        next(one for one in mail.splitlines() if one.startswith(b"Message-ID:"))
        for mail in (octets, mended)
    )
    document = await house.accept("water", mended.replace(other, line), "office")
    first = story(house, document).steps[0]
    assert (first.kind, first.subject) == ("refusal", f"water@{DOMAIN}")


@pytest.mark.parametrize(
    "written",
    ["和水发〔2026〕13号", "和水发[2026]13号", " 和水发 （2026） 13 号", "和水发【2026】13"],
)
def test_a_number_may_be_typed_with_any_brackets(written: str) -> None:
    assert normal_number(written) == "和水发〔2026〕13号"
