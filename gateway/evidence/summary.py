"""The summary (签收情况): one signed mail that says who has signed, and whom to telephone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from gateway.domain.document import DeliveryState
from gateway.evidence.letter import one_line
from gateway.evidence.notice import Notice
from gateway.evidence.receipt import CHINA, local_time, zone_name
from gateway.seals.signer import Signer
from gateway.templating import Sample, Templates

SUBJECT, TEXT = "summary_subject.j2", "summary.j2"


@dataclass(frozen=True, slots=True)
class Row:
    """One recipient unit."""

    unit: str  # name in the reader's language
    state: DeliveryState
    signed_by: str = ""  # name of the person
    signed_at: datetime | None = None
    telephone: str = ""  # whom to call
    returned_by: str = ""
    returned_at: datetime | None = None
    reason: str = ""  # of the return


@dataclass(frozen=True, slots=True)
class SummaryFacts:
    """What a summary says. Texts are in the reader's language."""

    summary_id: str  # a new id: makes the Message-ID
    document_id: str
    office: str  # name of the office
    domain: str  # mail domain of the office
    to: str  # address of the reader
    now: datetime
    sent_at: datetime
    deadline: datetime | None
    rows: tuple[Row, ...]
    title: str = ""
    number: str = ""
    message_id: str = ""  # of the document
    zone: tzinfo = CHINA  # in which people read times


@dataclass(frozen=True, slots=True)
class _Line:
    unit: str
    signed_by: str
    signed_at: str
    telephone: str
    returned_by: str
    returned_at: str
    reason: str


def render_summary(
    facts: SummaryFacts, language: str, signer: Signer, templates: Templates
) -> bytes:
    """The octets of the mail: 7-bit, CRLF, multipart/signed around one text."""
    values = _values(facts)
    return Notice(
        kind="Summary",
        notice_id=facts.summary_id,
        document_id=facts.document_id,
        office=facts.office,
        domain=facts.domain,
        to=facts.to,
        at=facts.now.astimezone(facts.zone),
        subject=templates.render(language, SUBJECT, **values),
        text=templates.render(language, TEXT, **values),
        about=facts.message_id,
    ).render(signer)


def samples() -> Iterator[Sample]:
    """Facts for the templates of the summary: nobody, somebody and everybody has signed."""
    then = datetime(2026, 3, 9, tzinfo=CHINA)
    rows = tuple(
        Row("甲", state, text, then, text, text, then, text)
        for state in DeliveryState
        for text in ("", "乙")
    )
    for text, deadline, some in (
        ("", None, ()),
        ("甲", then, rows),
        ("", then, tuple(row for row in rows if row.state is DeliveryState.SIGNED)),
    ):
        values = _values(
            SummaryFacts(
                "1", "2", "甲", "a.test", "a@a.test", then + timedelta(1), then, deadline, some,
                title=text, number=text,
            )
        )  # fmt: skip
        yield Sample(SUBJECT, values)
        yield Sample(TEXT, values)


def _values(facts: SummaryFacts) -> dict[str, object]:
    lines: dict[DeliveryState, list[_Line]] = {state: [] for state in DeliveryState}
    for row in facts.rows:
        lines[row.state].append(
            _Line(
                unit=one_line(row.unit),
                signed_by=one_line(row.signed_by),
                signed_at="" if row.signed_at is None else local_time(row.signed_at, facts.zone),
                telephone=one_line(row.telephone),
                returned_by=one_line(row.returned_by),
                returned_at=""
                if row.returned_at is None
                else local_time(row.returned_at, facts.zone),
                reason=one_line(row.reason),
            )
        )
    deadline = facts.deadline
    signed = lines[DeliveryState.SIGNED]
    return {
        "office": one_line(facts.office),
        "document_id": facts.document_id,
        "title": one_line(facts.title),
        "number": one_line(facts.number),
        "sent_at": local_time(facts.sent_at, facts.zone),
        "deadline": "" if deadline is None else local_time(deadline, facts.zone),
        "overdue": deadline is not None and facts.now > deadline,
        "now": local_time(facts.now, facts.zone),
        "zone": zone_name(facts.now, facts.zone),
        "total": len(facts.rows),
        "complete": len(signed) == len(facts.rows),
        "signed": signed,
        "missing": lines[DeliveryState.CONSIGNED],
        "returned": lines[DeliveryState.RETURNED],
        "failed": lines[DeliveryState.FAILED],
    }
