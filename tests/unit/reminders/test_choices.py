"""The rules in policies/reminders.toml do what their own table of cases says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import resources
from gateway.directory.model import DutyPerson, Post
from gateway.errors import ConfigurationError
from gateway.reminders import choices

SHIPPED = choices.load()


@pytest.mark.parametrize("case", SHIPPED.case, ids=lambda c: f"{c.message_class}-{c.urgency}")
def test_each_case_of_the_shipped_file_holds(case: choices.Case) -> None:
    step = SHIPPED.first_step(case.message_class, case.urgency)
    assert (step.posts if step else ()) == case.posts
    if step is not None:
        assert SHIPPED.due(step, case.at.astimezone(UTC), duty_room=case.duty_room) == case.due


def test_there_are_cases_for_every_step() -> None:
    assert {c.urgency for c in SHIPPED.case if c.posts} == {
        u for s in SHIPPED.step for u in s.urgencies
    }


def test_the_text_names_nothing_but_the_office_by_default() -> None:
    assert choices.Text() == SHIPPED.text == choices.Text(title=False, number=False, sender=False)


def test_the_first_post_with_a_mobile_is_told() -> None:
    step = SHIPPED.step[0]
    room = DutyPerson(1, 1, "值班室", Post.DUTY_ROOM, landline="022-1")
    clerk = DutyPerson(2, 1, "王芳", Post.CLERK)
    head = DutyPerson(3, 1, "赵磊", Post.OFFICE_HEAD, mobile="13800000001")
    assert choices.choose(step, (clerk, room, head)) is head
    assert choices.choose(step, (clerk, room)) is None


def test_quiet_hours_within_one_day_are_understood_too() -> None:
    table = {
        "country_code": "86", "utc_offset": "+08:00",
        "quiet": {"start": "12:00", "end": "14:00"},
        "step": [{"classes": ["document"], "urgencies": ["normal"], "posts": ["clerk"],
                  "quiet": "defer"}],
    }  # fmt: skip
    own = choices.Choices.model_validate(table)
    at_one = datetime(2026, 3, 2, 5, 0, tzinfo=UTC)
    at_three = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
    assert own.due(own.step[0], at_one, duty_room=True) == datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    assert own.due(own.step[0], at_three, duty_room=True) == at_three


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ('country_code = "86"', 'country = "86"', "country"),
        ('classes = ["document",', 'classes = ["mail",', "plain mail has no ladder"),
        ('posts = ["clerk",', 'posts = ["porter",', "posts"),
        ("start = 22:00:00", 'start = "late"', "quiet.start"),
        ('utc_offset = "+08:00"', 'utc_offset = "Asia"', "+08:00"),
        ('quiet = "ignore"', "", "step.0.quiet"),
        ("[quiet]", "[quiet", "not valid TOML"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_file_and_key(
    tmp_path: Path, before: str, after: str, named: str
) -> None:
    text = (resources.folder("policies") / choices.FILE_NAME).read_text(encoding="utf-8")
    assert before in text
    own = tmp_path / choices.FILE_NAME
    own.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        choices.load(tmp_path)
    assert named in refused.value.public
    assert str(own) in refused.value.public


def test_a_policy_folder_without_the_file_keeps_the_shipped_rules(tmp_path: Path) -> None:
    assert choices.load(tmp_path) == SHIPPED
