"""The alert to the security officer: who sent what kind of marking when, never what it said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway.domain.event import Reason
from gateway.evidence.letter import one_line
from gateway.evidence.notice import Notice
from gateway.evidence.receipt import CHINA, local_time, zone_name
from gateway.seals.signer import Signer
from gateway.templating import Sample, Templates

SUBJECT, TEXT = "alert_subject.j2", "alert.j2"


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """What an alert says. Texts are in the reader's language."""

    alert_id: str  # a new id: makes the Message-ID
    refusal_id: str
    office: str
    domain: str
    to: str  # address of the reader
    now: datetime
    refused_at: datetime
    unit: str  # name of the sending unit
    account: str  # login
    sender: str  # address
    reasons: tuple[str, ...]  # codes
    zone: tzinfo = CHINA


def samples() -> Iterator[Sample]:
    """Facts for the templates of the alert."""
    then = datetime(2026, 3, 9, tzinfo=CHINA)
    for text, reasons in (("", ()), ("甲", tuple(Reason))):
        values = _values(
            AlertFacts("1", "2", "甲", "a.test", "a@a.test", then, then, text, text, text, reasons)
        )
        yield Sample(SUBJECT, values)
        yield Sample(TEXT, values)


def _values(facts: AlertFacts) -> dict[str, object]:
    return {
        "office": one_line(facts.office),
        "refusal_id": facts.refusal_id,
        "unit": one_line(facts.unit),
        "account": one_line(facts.account),
        "sender": one_line(facts.sender),
        "reasons": facts.reasons,
        "refused_at": local_time(facts.refused_at, facts.zone),
        "zone": zone_name(facts.now, facts.zone),
    }


def render_alert(facts: AlertFacts, language: str, signer: Signer, templates: Templates) -> bytes:
    """The octets of the mail: 7-bit, CRLF, multipart/signed around one text."""
    values = _values(facts)
    return Notice(
        kind="Alert",
        notice_id=facts.alert_id,
        document_id=facts.refusal_id,
        office=facts.office,
        domain=facts.domain,
        to=facts.to,
        at=facts.now.astimezone(facts.zone),
        subject=templates.render(language, SUBJECT, **values),
        text=templates.render(language, TEXT, **values),
    ).render(signer)
