"""`kill -9` around the commit of an act: it has happened with all that it means, or not at all."""

from __future__ import annotations

import smtplib
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests import letters
from tests.office import Office


def _answer(number: int, text: str) -> bytes:
    about = f"<{number}@heping.test>"
    return letters.plain("water-li", "office", "Re: x", text, In_Reply_To=about)


def _send(office: Office, octets: bytes) -> str:
    with suppress(OSError, smtplib.SMTPException):
        return office.send("water-li", octets, "office")[1]
    return ""


_CASES = (
    ("act.before-commit", "签收", "ConsignmentAcceptance"),
    ("act.after-commit", "退文：缺少附件", "ConsignmentRejection"),
)


@pytest.mark.timeout(300)
def test_a_kill_around_an_act_leaves_all_of_it_or_nothing(
    make_office: Callable[..., Office],
) -> None:
    office = make_office()
    documents = []
    with office.running():
        for number in range(len(_CASES)):
            plain = letters.plain("office", "water", f"和政办发〔2026〕{number}号 关于开会的通知")
            head, _, rest = plain.partition(b"Message-ID: ")
            named = (
                head + f"Message-ID: <{number}@heping.test>".encode() + rest[rest.index(b"\r\n") :]
            )
            documents.append(office.accept("office", named, "water"))
    for number, (point, text, event) in enumerate(_CASES):
        document_id, answer = documents[number], _answer(number, text)
        office.start(YIZHAN_FAULT=point)
        assert _send(office, answer) == "", "it was killed before it could answer"
        office.wait_until_dead(60)
        done = point == "act.after-commit"
        names = [one["event"] for one in office.document(document_id)["evidence"]]
        assert names.count(event) == done
        with office.running():
            said = _send(office, answer)
            assert said.startswith("2.0.0 It is ") == done, said
            found = office.settled(document_id)
        assert [one["event"] for one in found["evidence"]].count(event) == 1
        assert found["recipients"][0]["state"] in ("signed", "returned")
    office.run("fsck")
