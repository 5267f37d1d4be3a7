"""The answer to a person whose act came second, or did not count: one sentence about a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway.evidence.letter import one_line
from gateway.evidence.notice import Notice
from gateway.evidence.receipt import CHINA
from gateway.seals.signer import Signer
from gateway.templating import Sample, Templates

SUBJECT, TEXT = "answer_subject.j2", "answer.j2"


@dataclass(frozen=True, slots=True)
class AnswerFacts:
    """What an answer says. Texts are in the reader's language."""

    answer_id: str  # a new id: makes the Message-ID
    document_id: str
    office: str
    domain: str
    to: str  # address of the reader
    now: datetime
    said: str  # the sentence
    title: str = ""
    number: str = ""
    message_id: str = ""  # of the document
    zone: tzinfo = CHINA


def samples() -> Iterator[Sample]:
    """Facts for the templates of the answer."""
    then = datetime(2026, 3, 9, tzinfo=CHINA)
    for text in ("", "甲"):
        facts = AnswerFacts("1", "2", "甲", "a.test", "a@a.test", then, "乙", text, text)
        yield Sample(SUBJECT, _values(facts))
        yield Sample(TEXT, _values(facts))


def _values(facts: AnswerFacts) -> dict[str, object]:
    return {
        "office": one_line(facts.office),
        "document_id": facts.document_id,
        "title": one_line(facts.title),
        "number": one_line(facts.number),
        "said": one_line(facts.said),
    }


def render_answer(facts: AnswerFacts, language: str, signer: Signer, templates: Templates) -> bytes:
    """The octets of the mail: 7-bit, CRLF, multipart/signed around one text."""
    values = _values(facts)
    return Notice(
        kind="Answer",
        notice_id=facts.answer_id,
        document_id=facts.document_id,
        office=facts.office,
        domain=facts.domain,
        to=facts.to,
        at=facts.now.astimezone(facts.zone),
        subject=templates.render(language, SUBJECT, **values),
        text=templates.render(language, TEXT, **values),
        about=facts.message_id,
    ).render(signer)
