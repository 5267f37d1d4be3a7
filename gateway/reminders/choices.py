"""The office's choices for reminders: who is told first, when not, and what a text may say.

They are data in `policies/reminders.toml`; a file that cannot be used never comes into force.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from gateway import rule_file
from gateway.directory.model import DutyPerson, Post
from gateway.domain.document import MessageClass, Urgency

FILE_NAME = "reminders.toml"
_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")


class Quiet(StrEnum):
    """What the quiet hours mean for a step."""

    IGNORE = "ignore"
    DEFER = "defer"
    DEFER_WITHOUT_DUTY_ROOM = "defer-without-duty-room"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Table):
    """What a text may name besides the office; SMS goes over public carriers."""

    title: bool = False
    number: bool = False
    sender: bool = False


class QuietHours(_Table):
    """From when until when steps may be deferred, in the office's local time."""

    start: time
    end: time

    def contains(self, local: time) -> bool:
        """Whether that time of day is quiet; the hours may span midnight."""
        if self.start <= self.end:
            return self.start <= local < self.end
        return local >= self.start or local < self.end


class Step(_Table):
    """One rung: for these classes and urgencies, the first post of which a mobile is known."""

    classes: Annotated[frozenset[MessageClass], Field(min_length=1)]
    urgencies: Annotated[frozenset[Urgency], Field(min_length=1)]
    posts: Annotated[tuple[Post, ...], Field(min_length=1)]
    quiet: Quiet

    @field_validator("classes")
    @classmethod
    def _no_plain_mail(cls, classes: frozenset[MessageClass]) -> frozenset[MessageClass]:
        if MessageClass.MAIL in classes:
            raise ValueError("plain mail has no ladder; nobody signs for it")
        return classes


class Case(_Table):
    """One row of the file's own table of cases."""

    message_class: MessageClass = Field(alias="class")
    urgency: Urgency
    at: datetime
    duty_room: bool = False
    posts: tuple[Post, ...] = ()  # empty: no reminder
    due: datetime | None = None


class Choices(_Table):
    """The whole file. `step` is in order; the first that matches counts."""

    country_code: Annotated[str, Field(pattern=r"^[1-9]\d{0,2}$")]
    utc_offset: str
    text: Text = Text()
    quiet: QuietHours
    step: tuple[Step, ...]
    case: tuple[Case, ...] = ()

    @field_validator("utc_offset")
    @classmethod
    def _is_an_offset(cls, value: str) -> str:
        if not _OFFSET.fullmatch(value):
            raise ValueError("write it like +08:00")
        return value

    @property
    def zone(self) -> timezone:
        """The office's local time."""
        found = _OFFSET.fullmatch(self.utc_offset)
        if found is None:  # the validator has seen to that
            return timezone(timedelta())
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return timezone(-offset if found[1] == "-" else offset)

    def first_step(self, message_class: MessageClass, urgency: Urgency) -> Step | None:
        """The rung for such a message; None: nobody is reminded."""
        return next(
            (s for s in self.step if message_class in s.classes and urgency in s.urgencies), None
        )

    def due(self, step: Step, now: datetime, *, duty_room: bool) -> datetime:
        """When the step is due: now, or at the end of the quiet hours."""
        local = now.astimezone(self.zone)
        defers = step.quiet is Quiet.DEFER or (
            step.quiet is Quiet.DEFER_WITHOUT_DUTY_ROOM and not duty_room
        )
        if not defers or not self.quiet.contains(local.timetz().replace(tzinfo=None)):
            return now
        end = datetime.combine(local.date(), self.quiet.end, tzinfo=self.zone)
        return end if end > local else end + timedelta(days=1)


def has_duty_room(people: tuple[DutyPerson, ...]) -> bool:
    """Whether somebody sits by the telephone at night."""
    return any(p.post is Post.DUTY_ROOM and (p.mobile or p.landline) for p in people)


def choose(step: Step, people: tuple[DutyPerson, ...]) -> DutyPerson | None:
    """The person to tell: the first of the first post that has a mobile number."""
    return next((p for post in step.posts for p in people if p.post is post and p.mobile), None)


def load(directory: Path | None = None) -> Choices:
    """Read the file from the office's policy folder, else the shipped one.

    Raises ConfigurationError with one sentence for each fault, naming file and key.
    """
    return rule_file.load(Choices, FILE_NAME, directory)
