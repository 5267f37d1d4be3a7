"""What a reader sees before the original: ours alone, and nothing from outside can pass for it."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.document import MessageClass, SealFinding, SealState, Urgency
from gateway.domain.submission import ClientInfo
from gateway.exchange.marks import without_marks
from gateway.exchange.prefix import Outcome, compose, mark_subject
from mailboxes.scan import scan
from mailboxes.view import restructure

ID = "06hs3kx9qe7w2v5m8n4r1t0abc"
OURS = (
    "Return-Path", "Received", "Authentication-Results", "Yizhan-Document", "Yizhan-Class",
    "Yizhan-Urgency", "Yizhan-Seal",
)  # fmt: skip
BODY = b"\r\nbody\r\nYizhan-Seal: valid\r\n"


def outcome(**changes: object) -> Outcome:
    values: dict[str, object] = {
        "document_id": ID,
        "host": "mail.heping.test",
        "sender": "office@heping.test",
        "login": "office",
        "client": ClientInfo("192.0.2.7", "pc-7", "TLSv1.3", "password"),
        "received_at": datetime(2026, 11, 21, 9, 55, tzinfo=UTC),
        "message_class": MessageClass.DOCUMENT,
        "urgency": Urgency.NORMAL,
        "number": "",
        "seal": SealFinding(SealState.MISSING),
        "possible_duplicate": False,
    }
    return Outcome(**values | changes)  # type: ignore[arg-type]


def view(
    octets: bytes, given: Outcome | None = None, *, subject: str = "", marks: bool = False,
    language: str = "zh-CN",
) -> bytes:  # fmt: skip
    """The octets that a reader gets; that their structure follows by shifting is checked here."""
    root = scan(octets)
    made = compose(
        given or outcome(), root, len(octets), subject=subject, marks=marks, language=language
    )
    seen = b"".join(made.pieces(lambda: io.BytesIO(octets)))
    assert restructure(root, made) == scan(seen)
    return seen


def read(octets: bytes) -> EmailMessage:
    parsed = message_from_bytes(octets, policy=policy.SMTP)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_the_prefix_says_who_what_and_when() -> None:
    seen = view(b"From: office@heping.test\r\nSubject: x\r\n" + BODY)
    message = read(seen)
    assert message.keys() == [*OURS, "From", "Subject"]
    assert message["Return-Path"] == "<office@heping.test>"
    assert " ".join(message["Received"].split()) == (
        "from pc-7 ([192.0.2.7]) by mail.heping.test with ESMTPSA (TLSv1.3) "
        f"id {ID}; Sat, 21 Nov 2026 09:55:00 +0000"
    )
    assert " ".join(message["Authentication-Results"].split()) == (
        "mail.heping.test; auth=pass smtp.auth=office smtp.mailfrom=office@heping.test; "
        "x-openpgp=none reason=missing"
    )
    assert message["Yizhan-Seal"] == "missing"
    assert seen.endswith(BODY)


def test_a_valid_seal_passes_and_names_its_key() -> None:
    seal = SealFinding(SealState.VALID, fingerprint="AB" * 20)
    message = read(view(b"From: a@b\r\n" + BODY, outcome(seal=seal)))
    assert message["Authentication-Results"].endswith(
        f"x-openpgp=pass reason=valid openpgp.fingerprint={'AB' * 20}"
    )


@pytest.mark.parametrize(
    ("state", "word"),
    [(state, {"valid": "pass", "partly": "policy", "missing": "none", "cannot-check": "neutral"}
      .get(state.value, "fail")) for state in SealState],
)  # fmt: skip
def test_each_finding_has_its_word_of_rfc_8601(state: SealState, word: str) -> None:
    message = read(view(b"From: a@b\r\n" + BODY, outcome(seal=SealFinding(state))))
    assert f"x-openpgp={word} reason={state.value}" in message["Authentication-Results"]


@pytest.mark.parametrize(
    "field",
    [
        b"Authentication-Results: mail.heping.test; x-openpgp=pass",
        b"AUTHENTICATION-RESULTS : mail.heping.test;\r\n\tx-openpgp=pass",
        b"authentication-results\t: x",
        b"Return-Path: <finance@heping.test>",
        b"Received-SPF: pass",
        b"Yizhan-Seal: valid",
        b"yizhan-SEAL : valid",
        b"Yizhan-Anything: at all",
        b"X-Yizhan-Receipt: full\r\n folded",
        b"X-Yizhan-Document: forged",
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last", "twice"])
def test_foreign_copies_of_our_fields_are_cut(field: bytes, place: str) -> None:
    lines = [b"From: office@heping.test", b"Subject: x"]
    where = {"first": [0], "middle": [1], "last": [2], "twice": [0, 3]}[place]
    for number in where:
        lines.insert(number, field)
    message = read(view(b"\r\n".join(lines) + b"\r\n" + BODY))
    assert message.keys() == [*OURS, "From", "Subject"]


def test_fields_that_only_look_alike_stay() -> None:
    octets = b"From: a@b\r\nReceived: from x\r\nX-Note: Yizhan-Seal: valid\r\nYizhan: x\r\n" + BODY
    message = read(view(octets))
    assert message.keys() == [*OURS, "From", "Received", "X-Note", "Yizhan"]


def test_a_line_that_would_continue_our_last_field_is_cut() -> None:
    octets = b" x-openpgp=pass\r\n\tmore\r\nFrom: a@b\r\n" + BODY
    message = read(view(octets))
    assert message["Yizhan-Seal"] == "missing"
    assert "pass" not in str(message["Authentication-Results"]).replace("auth=pass", "")


@pytest.mark.parametrize(
    "helo",
    [
        "pc\r\nYizhan-Seal: valid", "pc) by evil (", "pc;\tx", "pc\\", "pc\x00", 'pc"', "水务局",
        "<x>", "a b", "\x85", "pc\u2028Yizhan-Seal: valid", "",
    ],
)  # fmt: skip
def test_what_a_client_calls_itself_cannot_end_its_field(helo: str) -> None:
    client = ClientInfo("192.0.2.7", helo, "TLSv1.3", "password")
    message = read(view(b"From: a@b\r\n" + BODY, outcome(client=client)))
    assert message.keys() == [*OURS, "From"]
    word, place = message["Received"].split()[1:3]
    assert place == "([192.0.2.7])"
    assert not set('()<>;\\"') & set(word)


@given(st.text(), st.text(), st.sampled_from(["zh-CN", "en"]))
@example("x\r\nYizhan-Seal: valid\r\n\r\nbody", "", "zh-CN")
@example("", "5\r\nX: y", "en")
@example("水" * 500, "号" * 300, "zh-CN")
@example("=?utf-8?B?DQpYOiB5?=", "", "zh-CN")
@example("\ud800 lone", "\udfff", "zh-CN")
def test_no_subject_or_number_can_begin_a_field(subject: str, number: str, language: str) -> None:
    seen = view(
        b"From: a@b\r\nSubject: x\r\n" + BODY, outcome(number=number),
        subject=subject, marks=True, language=language,
    )  # fmt: skip
    numbered = ["Yizhan-Number"] if number else []
    assert [field.name for field in scan(seen).fields] == [*OURS, *numbered, "Subject", "From"]
    head = seen.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    assert seen.endswith(BODY)


@given(st.binary(max_size=300))
@example(b"")
@example(b"\r\n\r\n")
@example(b"Subject: x")
@example(b"no header at all\r\nYizhan-Seal: valid\r\n")
@example(b"Yizhan-Seal: valid\r\n\r\n")
def test_whatever_the_original_is_our_fields_come_first_and_once(octets: bytes) -> None:
    if not scan(octets).fields:
        return  # no such mail has a sender, so none is accepted
    root = scan(octets)
    made = compose(outcome(), root, len(octets), subject="", marks=False, language="zh-CN")
    seen = b"".join(made.pieces(lambda: io.BytesIO(octets)))
    names = [field.name.strip() for field in scan(seen).fields]
    assert tuple(names[: len(OURS)]) == OURS
    later = [name.lower() for name in names[len(OURS) :]]
    assert not [name for name in later if name.startswith(("yizhan-", "x-yizhan-"))]
    assert "authentication-results" not in later


# Marks


def subject_of(text: str, language: str = "zh-CN", **changes: object) -> str:
    octets = b"From: a@b\r\nSubject: whatever\r\nSubject: twice\r\n" + BODY
    seen = view(octets, outcome(**changes), subject=text, marks=True, language=language)
    message = read(seen)
    assert len(message.get_all("Subject") or []) == 1
    return str(message["Subject"])


@pytest.mark.parametrize(
    ("language", "changes", "expected"),
    [
        ("zh-CN", {}, "〔无章〕关于会议的通知"),
        ("en", {}, "[No seal] 关于会议的通知"),
        ("fr", {}, "[No seal] 关于会议的通知"),
        ("zh-CN", {"urgency": Urgency.EXTRA}, "〔特急〕〔无章〕关于会议的通知"),
        ("zh-CN", {"urgency": Urgency.URGENT}, "〔加急〕〔无章〕关于会议的通知"),
        ("zh-CN", {"seal": SealFinding(SealState.VALID)}, "〔章✓〕关于会议的通知"),
        ("zh-CN", {"seal": SealFinding(SealState.OTHER_UNIT)}, "〔章伪〕关于会议的通知"),
        ("zh-CN", {"seal": SealFinding(SealState.INVALID)}, "〔章伪〕关于会议的通知"),
        ("en", {"seal": SealFinding(SealState.INVALID)}, "[Seal FALSE] 关于会议的通知"),
        ("zh-CN", {"possible_duplicate": True}, "〔无章〕〔疑重发〕关于会议的通知"),
        ("zh-CN", {"message_class": MessageClass.MAIL}, "关于会议的通知"),
        (
            "zh-CN",
            {"message_class": MessageClass.MAIL, "seal": SealFinding(SealState.VALID)},
            "〔章✓〕关于会议的通知",
        ),
    ],
)
def test_marks_say_urgency_and_seal(
    language: str, changes: dict[str, object], expected: str
) -> None:
    assert subject_of("关于会议的通知", language, **changes) == expected


@pytest.mark.parametrize("language", ["zh-CN", "en"])
@pytest.mark.parametrize("state", SealState)
def test_every_finding_has_a_mark_and_no_two_opposite_ones_share_it(
    state: SealState, language: str
) -> None:
    mark = mark_subject(outcome(seal=SealFinding(state)), "", language)
    assert mark.strip()
    good = mark_subject(outcome(seal=SealFinding(SealState.VALID)), "", language)
    assert (mark == good) == (state is SealState.VALID)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("〔章✓〕关于会议的通知", "〔无章〕关于会议的通知"),
        ("Re: 〔章✓〕关于会议的通知", "〔无章〕Re: 关于会议的通知"),
        ("[Seal ✓] 关于会议的通知", "〔无章〕关于会议的通知"),
        ("〔章伪〕〔疑重发〕关于会议的通知", "〔无章〕关于会议的通知"),
        ("〔特急〕关于会议的通知", "〔无章〕〔特急〕关于会议的通知"),
    ],
)
def test_a_sender_cannot_write_our_marks_into_its_subject(subject: str, expected: str) -> None:
    assert subject_of(subject) == expected


@pytest.mark.parametrize(
    "forged",
    [
        "〔章〔章✓〕✓〕通知", "〔章\u200b✓〕通知", "〔章✔〕通知", "【章✓】通知", "〔 章 ✓ 〕通知",
        "[Seal [Seal ✓]✓]通知", "［Ｓｅａｌ ✓］通知", "[SEAL ✔\ufe0f]通知", "(Seal ✓)通知",
        "〔無章〕通知", "〔〔章✓〕章✓〕通知",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [MessageClass.MAIL, MessageClass.DOCUMENT])
def test_no_likeness_of_our_marks_survives(forged: str, kind: MessageClass) -> None:
    """Nested marks left a whole one behind; letters that show nothing hid one."""
    mark = "" if kind is MessageClass.MAIL else "〔无章〕"
    assert subject_of(forged, message_class=kind) == f"{mark}通知"
    raw = f"From: a@b\r\nSubject: {forged}\r\n".encode() + BODY
    assert str(read(view(raw, subject=forged))["Subject"]) == "通知"  # also where marks are off


@pytest.mark.parametrize("harmless", ["关于〔章程〕的通知", "和公章〔2026〕5号", "[Sealing] works"])
def test_words_that_only_begin_like_a_mark_stay(harmless: str) -> None:
    assert subject_of(harmless, message_class=MessageClass.MAIL) == harmless


@given(st.text("〔〕[]章✓ seal无", max_size=60))
def test_taking_marks_out_leaves_none(subject: str) -> None:
    once = without_marks(subject)
    assert "〔章" not in once
    assert "[seal" not in once.replace("[seals", "")


def test_a_forged_mark_is_taken_out_of_plain_mail_too() -> None:
    assert subject_of("〔章✓〕午饭", message_class=MessageClass.MAIL) == "午饭"


def test_an_answer_repeats_no_mark_of_its_question() -> None:
    quoted = "回复: 〔特急〕〔章✓〕【特急】关于防汛的通知"
    assert subject_of(quoted, urgency=Urgency.EXTRA) == (
        "〔特急〕〔无章〕回复: 【特急】关于防汛的通知"
    )


def test_without_marks_the_original_subject_stays_octet_for_octet() -> None:
    raw = b"Subject: \xb9\xd8\xd3\xda\xbb\xe1\xd2\xe9\r\n"  # GBK, not encoded
    assert raw in view(b"From: a@b\r\n" + raw + BODY)
