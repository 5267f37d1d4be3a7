"""The letter to a unit whose mailbox is nearly full, or full: what it means, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway.evidence.letter import one_line
from gateway.evidence.notice import Notice
from gateway.evidence.receipt import CHINA
from gateway.seals.signer import Signer
from gateway.templating import Sample, Templates

SUBJECT, TEXT = "full_subject.j2", "full.j2"


@dataclass(frozen=True, slots=True)
class FullnessFacts:
    """What the letter says. Texts are in the reader's language."""

    letter_id: str  # a new id: makes the Message-ID
    office: str
    domain: str
    to: str  # address of the reader
    now: datetime
    octets: int  # in the mailbox
    limit: int  # octets
    zone: tzinfo = CHINA


def samples() -> Iterator[Sample]:
    """Facts for the templates of the letter."""
    then = datetime(2026, 3, 9, tzinfo=CHINA)
    for octets in (90, 100):
        values = _values(FullnessFacts("1", "甲", "a.test", "a@a.test", then, octets, 100))
        yield Sample(SUBJECT, values)
        yield Sample(TEXT, values)


def _values(facts: FullnessFacts) -> dict[str, object]:
    return {
        "office": one_line(facts.office),
        "used": f"{facts.octets / 1e6:,.1f}",
        "limit": f"{facts.limit / 1e6:,.1f}",
        "full": facts.octets >= facts.limit,
        "percent": facts.octets * 100 // facts.limit,
    }


def render_fullness(
    facts: FullnessFacts, language: str, signer: Signer, templates: Templates
) -> bytes:
    """The octets of the mail: 7-bit, CRLF, multipart/signed around one text."""
    values = _values(facts)
    return Notice(
        kind="Mailbox-Full",
        notice_id=facts.letter_id,
        document_id="",
        office=facts.office,
        domain=facts.domain,
        to=facts.to,
        at=facts.now.astimezone(facts.zone),
        subject=templates.render(language, SUBJECT, **values),
        text=templates.render(language, TEXT, **values),
    ).render(signer)
