"""The ladder: plans the first reminder of each delivery, and ends them when it is signed for.

Both happen inside the transaction of the verb that calls, so a document has its reminder or is not
accepted, and a signed one has none left. In this version the ladder has one rung.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Protocol

import structlog
from sqlalchemy import Connection

from gateway.config import Office
from gateway.directory.model import DutyPerson
from gateway.directory.snapshot import Directory
from gateway.domain.clock import milliseconds
from gateway.domain.document import MessageClass, Urgency
from gateway.domain.ids import new_id
from gateway.exchange.hooks import Delivered
from gateway.reminders import book
from gateway.reminders.choices import Choices, choose, has_duty_room
from gateway.reminders.numbers import InvalidNumber, international
from gateway.reminders.reminder import Reminder, ReminderState
from gateway.templating import Sample

TEMPLATE = "reminder.j2"
FIRST_STEP = 0
_PLAIN = {
    "zh-CN": "【{office}】贵单位有公文待签收，请登录收发件箱办理。",
    "en": "[{office}] Your unit has received a document that must be signed for. "
    "Please open your mailbox.",
}

log = structlog.stdlib.get_logger("yizhan.reminders")


def samples() -> Iterator[Sample]:
    """Facts of every kind for the reminder's template."""
    names = ("office", "title", "number", "sender")
    for message_class, urgency, text in product(MessageClass, Urgency, ("", "甲")):
        values = dict.fromkeys(names, text)
        values |= {"urgency": urgency.value, "message_class": message_class.value}
        yield Sample(TEMPLATE, values)


class Renderer(Protocol):
    """What the ladder needs of `gateway.templating.Templates`."""

    def render(self, language: str, name: str, **values: object) -> str: ...


class Ladder:
    """Implements `exchange.hooks.Ladder` from the office's choices and templates."""

    def __init__(self, office: Office, choices: Choices, templates: Renderer) -> None:
        self._office = office
        self._choices = choices
        self._templates = templates

    def adopt(self, choices: Choices) -> None:
        """Use other choices from the next document on (SIGHUP)."""
        self._choices = choices

    def delivered(
        self,
        connection: Connection,
        deliveries: Sequence[Delivered],
        directory: Directory,
        now: datetime,
    ) -> None:
        """Plan the first reminder of each delivery for the unit's duty person.

        A unit without a mobile number gets a reminder without one: the worker fails it, so that
        the sender learns by evidence that nobody was told.
        """
        choices = self._choices
        planned: list[Reminder] = []
        texts: dict[tuple[str, ...], str] = {}
        for one in deliveries:
            step = choices.first_step(one.message_class, one.urgency)
            if step is None:
                continue
            people = directory.duty(one.unit_id)
            person = choose(step, people)
            language = self._language(one, person, directory)
            values = self._values(one, language, choices)
            key = (language, *values.values())
            if key not in texts:
                texts[key] = self._render(language, values)
            duty_room = has_duty_room(people)
            planned.append(
                Reminder(
                    id=new_id(milliseconds(now), os.urandom(10)),
                    document_id=one.document_id,
                    delivery_id=one.delivery_id,
                    unit_id=one.unit_id,
                    person_id=None if person is None else person.id,
                    name="" if person is None else person.name,
                    number=_number(person, choices.country_code),
                    language=language,
                    urgency=one.urgency,
                    step=FIRST_STEP,
                    text=texts[key],
                    state=ReminderState.QUEUED,
                    due_at=choices.due(step, now, duty_room=duty_room),
                )
            )
        book.add(connection, planned)

    def settled(self, connection: Connection, delivery_ids: Sequence[int], now: datetime) -> None:
        """Cancel what is queued for these deliveries."""
        book.settle(connection, delivery_ids, now)

    def _render(self, language: str, values: Mapping[str, str]) -> str:
        """The text; a plain one if the template fails, which must not keep mail from coming in."""
        try:
            return self._templates.render(language, TEMPLATE, **values).strip()
        except Exception as error:  # noqa: BLE001  # a template can do anything
            log.error("template-failed", language=language, cause=type(error).__name__)
            return _PLAIN.get(language, _PLAIN["en"]).format(office=values["office"])

    def _language(self, one: Delivered, person: DutyPerson | None, directory: Directory) -> str:
        if person is not None and person.language:
            return person.language
        unit = directory.unit_by_id(one.unit_id)
        return unit.language if unit is not None else self._office.language

    def _values(self, one: Delivered, language: str, choices: Choices) -> dict[str, str]:
        names = dict(one.sender_names)
        english = self._office.name_en or self._office.name
        return {
            "office": english if language == "en" else self._office.name,
            "urgency": one.urgency.value,
            "message_class": one.message_class.value,
            "title": one.title if choices.text.title else "",
            "number": one.number if choices.text.number else "",
            "sender": names.get(language, next(iter(names.values()), ""))
            if choices.text.sender
            else "",
        }


def _number(person: DutyPerson | None, country_code: str) -> str:
    if person is None:
        return ""
    try:
        return international(person.mobile, country_code)
    except InvalidNumber:
        return ""  # fails like a unit without a number: evidence, and the operator corrects it
