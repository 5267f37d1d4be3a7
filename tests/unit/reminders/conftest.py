"""A small office: 水务局 with clerks and a duty room, an English unit, one without a mobile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import resources
from gateway.config import Office
from gateway.directory.contents import Contents
from gateway.directory.model import DutyPerson, Level, Post, Unit, UnitClass
from gateway.directory.snapshot import Directory
from gateway.domain.address import Address
from gateway.domain.document import MessageClass, Urgency
from gateway.exchange.hooks import Delivered
from gateway.reminders import choices
from gateway.reminders.ladder import Ladder
from gateway.store.database import Database
from gateway.templating import Templates
from tests.databases import Databases
from tests.databases import opened as with_tables

# Against the real smsd where it is installed; a machine without it has nothing to test there.
collect_ignore = [] if Path("/usr/sbin/smsd").exists() else ["test_smsd.py"]

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)  # 12:00 in the office

WATER, FINANCE, MUTE, ROOM = 1, 2, 3, 4


def _unit(number: int, code: str, name: str, language: str = "zh-CN") -> Unit:
    return Unit(
        number, code, name, code.title(), Level.DISTRICT, UnitClass.BUREAU,
        Address(code, "heping.test"), language,
    )  # fmt: skip


@pytest.fixture
def directory() -> Directory:
    return Directory(
        "heping.test",
        Contents(
            version=1,
            units=(
                _unit(WATER, "water", "水务局"),
                _unit(FINANCE, "finance", "财政局", "en"),
                _unit(MUTE, "mute", "某局"),
                _unit(ROOM, "room", "值守局"),
            ),
            duty=(
                DutyPerson(1, WATER, "值班室", Post.DUTY_ROOM, landline="022-23000001"),
                DutyPerson(2, WATER, "王芳", Post.CLERK, mobile="138 0000 0001"),
                DutyPerson(3, WATER, "李明", Post.CLERK, mobile="13800000002", position=1),
                DutyPerson(4, FINANCE, "Zhao Lei", Post.OFFICE_HEAD, mobile="+86 13800000003"),
                DutyPerson(5, MUTE, "值班室", Post.DUTY_ROOM, landline="022-23000002"),
                DutyPerson(6, ROOM, "孙丽", Post.CLERK, mobile="13800000004", language="en"),
            ),
        ),
    )


@pytest.fixture
def office() -> Office:
    return Office(domain="heping.test", name="和平区电子邮局", name_en="Heping Post Office")


@pytest.fixture
def shipped() -> choices.Choices:
    return choices.load()


@pytest.fixture
def ladder(office: Office, shipped: choices.Choices, renderer: Templates) -> Ladder:
    return Ladder(office, shipped, renderer)


@pytest.fixture
def renderer() -> Templates:
    return Templates(resources.folder("templates"))


@pytest.fixture
def database(databases: Databases) -> Iterator[Database]:
    opened = with_tables(databases)
    opened.start()
    yield opened
    opened.stop()


Make = Callable[..., Delivered]


@pytest.fixture
def delivered() -> Make:
    def make(
        delivery_id: int = 1,
        unit_id: int = WATER,
        message_class: MessageClass = MessageClass.DOCUMENT,
        urgency: Urgency = Urgency.EXTRA,
    ) -> Delivered:
        return Delivered(
            delivery_id, "0" * 26, unit_id, f"unit:{unit_id}", message_class, urgency,
            "关于防汛工作的紧急通知", "和政办发〔2026〕5号",
            (("zh-CN", "区政府办"), ("en", "District Government Office")),
        )  # fmt: skip

    return make
