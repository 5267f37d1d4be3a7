"""What each check finds out about a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway import config
from gateway.domain.document import Metadata, Opening, SealFinding, SealState, Urgency
from gateway.errors import ConfigurationError
from gateway.policy.cases import usual_facts
from gateway.policy.checks import CHECKS, known_facts
from gateway.policy.checks.attachments import ending
from gateway.policy.checks.metadata import read_subject
from gateway.policy.clamd import FakeScanner, VirusFinding, VirusState
from gateway.policy.collect import open_scanner, verify_settings
from gateway.policy.inspection import Attachment, Marking, Reading
from gateway.policy.rate import Rates, Sent

from .conftest import NOW, leaf, make_inspection


def attachment(name: str, **changes: Any) -> Attachment:
    usual = Attachment("2", name, "application/octet-stream", "", 10, "00", Reading.READ)
    return replace(usual, **changes)


async def test_a_harmless_plain_mail_has_the_usual_facts(find: Any) -> None:
    facts = dict((await find(octets=bytes(4096))).items())
    usual = dict(usual_facts().items())
    assert {k: v for k, v in facts.items() if usual[k] != v} == {}
    assert usual.keys() - facts.keys() == {"virus", "virus-name"}


async def test_every_fact_has_the_kind_and_words_that_its_check_declares(find: Any) -> None:
    odd = make_inspection(
        subject="【特急】Re: 【通知】x",
        from_=("a@b.test", "c@d.test"),
        attachments=(attachment("a.exe"), attachment("b.pdf", reading=Reading.SCANNED)),
        markings=(Marking("secret", "subject"),),
        seal=SealFinding(SealState.CANCELLED, "AB" * 20, cancelled_at="2026-01-01T00:00:00.000Z"),
        metadata=Metadata(kind="函", urgency=Urgency.EXTRA, warnings=("number-malformed",)),
        structure=leaf(faults=("too-deep",)),
    )
    scanner = FakeScanner(VirusFinding(VirusState.FOUND, "Eicar"))
    facts = await find(odd, to=("all@heping.test", "nobody@heping.test"), scanner=scanner)
    known = known_facts()
    assert [known[name].faults(value) for name, value in facts.items()] == [""] * len(
        dict(facts.items())
    )


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (("water@heping.test",), "matches"),
        (("WATER@Heping.Test",), "matches"),
        (("finance@heping.test",), "differs"),
        (("not an address",), "differs"),
        (("water@heping.test", "finance@heping.test"), "several"),
        ((), "missing"),
    ],
)
async def test_from_must_be_mail_from(find: Any, written: tuple[str, ...], says: str) -> None:
    facts = await find(make_inspection(from_=written))
    assert facts.get("from-header") == says


@pytest.mark.parametrize(
    ("changes", "fact", "value"),
    [
        ({"from_unclear": True}, "from-header", "unclear"),
        ({"from_shown": ("finance@heping.test",)}, "from-shows-another", True),
        ({"from_shown": ("water@heping.test",)}, "from-shows-another", False),
        ({"sender_fields": (("sender", "finance@heping.test"),)}, "other-senders", ("sender",)),
        ({"sender_fields": (("sender", "water@heping.test"),)}, "other-senders", ()),
        ({"sender_fields": (("resent-from", ""),)}, "other-senders", ("resent-from",)),
        ({"sender_fields": (("reply-to", "x@elsewhere.test"),)}, "reply-to", "differs"),
        ({"sender_fields": (("reply-to", "x@elsewhere.test"),)}, "other-senders", ()),
    ],
)
async def test_whatever_shows_a_sender_must_show_the_one_who_sends(
    find: Any, changes: dict[str, Any], fact: str, value: object
) -> None:
    assert (await find(make_inspection(**changes))).get(fact) == value


async def test_faults_inside_encryption_and_attached_messages_are_facts(find: Any) -> None:
    found = make_inspection(inner_faults=("ambiguous-boundary",))
    assert (await find(found)).get("structure-faults") == ("ambiguous-boundary",)


async def test_a_sender_address_of_another_unit_is_foreign(find: Any) -> None:
    assert (await find()).get("envelope-sender") == "own"
    assert (await find(sender="finance@heping.test")).get("envelope-sender") == "foreign"
    assert (await find(login="li")).get("envelope-sender") == "foreign"  # a reader never sends


async def test_recipients_are_resolved_and_their_directions_found(find: Any) -> None:
    to = ("office@heping.test", "finance@heping.test", "riverside@heping.test", "x@heping.test")
    facts = await find(to=to)
    assert facts.get("unknown-recipients") == ("x@heping.test",)
    assert facts.get("directions") == ("up", "level", "down")
    assert facts.get("mailboxes") == 3
    assert facts.get("recipient-classes") == ("organ", "bureau", "subdistrict")


async def test_mail_to_oneself_has_no_direction(find: Any) -> None:
    assert (await find(to=("water@heping.test",))).get("directions") == ()


async def test_an_address_elsewhere_and_an_empty_group_are_unknown(find: Any) -> None:
    facts = await find(to=("water@elsewhere.test", "empty@heping.test"))
    assert facts.get("unknown-recipients") == ("water@elsewhere.test", "empty@heping.test")


async def test_a_group_is_closed_to_those_it_does_not_name(find: Any) -> None:
    facts = await find(to=("all@heping.test",))
    assert facts.get("closed-groups") == ("all@heping.test",)
    assert facts.get("recipient-kinds") == ("group",)
    assert facts.get("mailboxes") == 4
    facts = await find(to=("all@heping.test",), sender="office@heping.test", login="office")
    assert facts.get("closed-groups") == ()


async def test_main_recipients_are_the_mailboxes_behind_to(find: Any) -> None:
    both = make_inspection(to=("office@heping.test", "all@heping.test", "bad", "no@heping.test"))
    assert (await find(both)).get("main-recipients") == 4


@pytest.mark.parametrize(
    ("envelope", "named", "blind"),
    [
        (("finance",), ("finance",), ()),
        (("finance",), ("office",), ("finance@heping.test",)),
        (("finance",), (), ("finance@heping.test",)),
        # A group in Cc once hid copies to some of its members from the others.
        (("finance",), ("all",), ("finance@heping.test",)),
        (("water", "riverside"), ("water", "all"), ("riverside@heping.test",)),
        (("all", "finance"), ("all",), ()),  # a group that is written to names its members
        (("all",), ("all",), ()),
        (("all",), ("office",), ("all@heping.test",)),
        (("all",), ("office", "water", "finance", "riverside"), ()),
        (("fishery",), ("water",), ()),  # merged into water
        (("nobody",), ("office",), ("nobody@heping.test",)),
    ],
)
async def test_a_recipient_whom_the_header_does_not_name_is_a_blind_copy(
    find: Any, envelope: tuple[str, ...], named: tuple[str, ...], blind: tuple[str, ...]
) -> None:
    header = tuple(f"{name}@heping.test" for name in named)
    to = tuple(f"{name}@heping.test" for name in envelope)
    assert (await find(make_inspection(to=header[:1], cc=header[1:]), to=to)).get(
        "blind-copies"
    ) == blind


async def test_load_counts_a_group_as_one(find: Any) -> None:
    facts = await find(octets=bytes(1000), to=("all@heping.test", "finance@heping.test"))
    assert (facts.get("size"), facts.get("load")) == (1000, 2000)


async def test_offers_are_counted_by_account_and_slide_out_of_their_windows(find: Any) -> None:
    rates = Rates()
    for seconds in (3700, 3500, 59, 10):
        rates.note(2, NOW - timedelta(seconds=seconds))
    rates.note(3, NOW)
    facts = await find(rates=rates)
    assert facts.get("sent-last-minute") == 3
    assert facts.get("sent-last-hour") == 4


def test_silent_accounts_cost_no_memory_and_busy_ones_a_bounded_amount() -> None:
    rates = Rates(most=100)
    for account in range(50):
        rates.note(account, NOW)
    for _ in range(200):
        assert rates.note(7, NOW + timedelta(seconds=1)).last_hour <= 100
    rates.note(99, NOW + timedelta(hours=3))
    assert len(rates) == 1


@pytest.mark.parametrize(
    ("value", "automatic"),
    [("", False), ("no", False), ("auto-replied", True), ("auto-generated; x=y", True)],
)
async def test_auto_submitted_tells_programs_from_people(
    find: Any, value: str, automatic: bool
) -> None:
    facts = await find(make_inspection(auto_submitted=value, received=3, passed_here=True))
    assert facts.get("automatic") is automatic
    assert (facts.get("hops"), facts.get("passed-here")) == (3, True)


async def test_structure_faults_are_found_at_any_depth(find: Any) -> None:
    deep = leaf(faults=("too-deep",))
    for _ in range(3000):  # deeper than Python's own stack
        deep = leaf(children=(deep,))
    facts = await find(make_inspection(structure=deep, repeated_headers=("subject",)))
    assert facts.get("structure-faults") == ("too-deep",)
    assert facts.get("repeated-headers") == ("subject",)


@pytest.mark.parametrize(
    ("subject", "label", "replying"),
    [
        ("关于召开会议的通知", "none", False),
        ("【通知】明天停水", "notice", False),
        ("[邮件] 午餐", "mail", False),
        ("［公文］x", "document", False),
        ("【特急】【信息】汛情", "information", False),
        ("【信息】【邮件】x", "information", False),
        ("Re: 【通知】明天停水", "none", True),
        ("回复：和政办发〔2026〕5号", "none", True),
        ("回覆: x", "none", True),
        ("【特急】转发: x", "none", True),
        ("转发市政府关于防汛的通知", "none", False),
        ("FW: Re[2]: x", "none", True),
        ("[Notice] water", "notice", False),
        ("通\u200b知", "none", False),
        ("【通\u200b知】x", "notice", False),
        ("", "none", False),
    ],
)
def test_a_label_at_the_start_asks_for_a_class_unless_it_is_inherited(
    subject: str, label: str, replying: bool
) -> None:
    assert read_subject(subject) == (label, replying)


@pytest.mark.parametrize(
    ("metadata", "number"),
    [
        (Metadata(), "missing"),
        (Metadata(number="和政办发〔2026〕5号", number_found="和政办发〔2026〕5号"), "present"),
        (Metadata(number_found="和政办发（26）05号", warnings=("number-malformed",)), "malformed"),
    ],
)
async def test_the_number_is_present_malformed_or_missing(
    find: Any, metadata: Metadata, number: str
) -> None:
    facts = await find(make_inspection(metadata=metadata), warnings=("line-endings-normalised",))
    assert facts.get("number") == number
    assert facts.get("remarks") == (*metadata.warnings, "line-endings-normalised")


async def test_markings_are_levels_and_places_without_their_surroundings(find: Any) -> None:
    marks = (Marking("confidential", "2"), Marking("secret", "subject"), Marking("secret", "2"))
    facts = await find(make_inspection(markings=marks))
    assert facts.get("markings") == ("secret", "confidential")
    assert facts.get("marking-places") == ("subject", "attachment")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("通知.pdf", "pdf"),
        ("通知.PDF", "pdf"),
        ("通知.pdf.exe", "exe"),
        ("通知.exe ", "exe"),
        ("通知.exe. . ", "exe"),
        ("通知.exe::$DATA", "exe"),
        ("通知．ｅｘｅ", "exe"),
        ("通知.e\u200bxe", "exe"),
        ("a/b.c/说明", ""),
        ("a\\b.exe", "exe"),
        ("x.zip/y.exe", "exe"),
        ("说明", ""),
        ("", ""),
        (".", ""),
        ("exe", ""),
    ],
)
def test_an_ending_is_what_an_operating_system_would_act_on(name: str, found: str) -> None:
    assert ending(name) == found


async def test_endings_and_types_inside_archives_count(find: Any) -> None:
    archive = attachment(
        "a.zip",
        found_type="application/zip",
        members=("b.pdf", "c.zip/d.EXE"),
        member_types=("application/pdf", "application/x-dosexec"),
    )
    facts = await find(make_inspection(attachments=(archive,)))
    assert facts.get("file-endings") == ("exe", "pdf", "zip")
    assert "application/x-dosexec" in (facts.get("file-types") or ())
    assert (facts.get("attachments"), facts.get("attachments-size")) == (1, 10)


@pytest.mark.parametrize(
    ("name", "tricked"),
    [
        ("x\u202efdp.exe", True),
        ("通知.pdf                    .exe", True),
        ("关于 召开 会议 的 通知.pdf", False),
    ],
)
async def test_a_name_that_hides_its_ending_is_noticed(find: Any, name: str, tricked: bool) -> None:
    facts = await find(make_inspection(attachments=(attachment(name),)))
    assert facts.get("tricked-names") is tricked


async def test_readings_are_listed_once(find: Any) -> None:
    scans = tuple(attachment("a.pdf", reading=Reading.SCANNED) for _ in range(3))
    facts = await find(make_inspection(attachments=scans))
    assert facts.get("readings") == ("scanned",)


async def test_encryption_that_no_seal_of_a_recipient_opens_names_the_unit(find: Any) -> None:
    closed = make_inspection(opening=Opening.OPENED, encrypted_to=("0123456789ABCDEF",))
    facts = await find(closed, to=("finance@heping.test", "office@heping.test"))
    assert facts.get("uncovered-units") == ("finance@heping.test", "office@heping.test")
    assert (await find()).get("uncovered-units") == ()


async def test_a_scanner_sees_the_exact_octets_and_its_finding_is_a_fact(find: Any) -> None:
    scanner = FakeScanner(VirusFinding(VirusState.FOUND, "Eicar-Test-Signature"))
    facts = await find(octets=b"x" * 200_000, scanner=scanner)
    assert scanner.scanned == [b"x" * 200_000]
    assert (facts.get("virus"), facts.get("virus-name")) == ("found", "Eicar-Test-Signature")


@pytest.mark.parametrize("off", [check.name for check in CHECKS])
async def test_a_check_that_is_off_sets_no_fact(find: Any, off: str) -> None:
    facts = await find(settings=config.Policy(disabled_checks=[off]))
    check = next(check for check in CHECKS if check.name == off)
    assert [facts.get(fact.name) for fact in check.facts] == [None] * len(check.facts)


def test_a_check_that_does_not_exist_cannot_be_disabled() -> None:
    with pytest.raises(ConfigurationError, match="there is no check 'seals'"):
        verify_settings(config.Policy(disabled_checks=["seals"]))
    with pytest.raises(ConfigurationError, match="clamd"):
        verify_settings(config.Policy(clamd="/run/clamd"))
    verify_settings(config.Policy(disabled_checks=["seal"], clamd="unix:/run/clamd"))


def test_without_an_address_there_is_no_scanner() -> None:
    assert open_scanner(config.Policy()) is None
    assert open_scanner(config.Policy(clamd="tcp:127.0.0.1:3310")) is not None


def test_no_two_checks_set_one_fact() -> None:
    names = [fact.name for check in CHECKS for fact in check.facts]
    assert len(names) == len(set(names))
    assert [f.faults(f.usual) for f in known_facts().values()] == [""] * len(known_facts())


def test_offers_that_lie_ahead_since_the_clock_was_set_back_do_not_count() -> None:
    rates = Rates()
    for _ in range(5):
        rates.note(2, NOW + timedelta(days=1))
    assert rates.note(2, NOW) == Sent(1, 1)
    assert rates.note(2, NOW + timedelta(hours=2)) == Sent(1, 1)
