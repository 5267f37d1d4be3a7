"""A refusal is remembered only while nothing has changed that could decide otherwise."""

from __future__ import annotations

import pytest

from gateway import config
from gateway.errors import Refused
from gateway.policy.collect import settings_version
from tests import letters
from tests.house import House


async def test_a_refusal_is_not_remembered_when_a_check_was_turned_off(house: House) -> None:
    octets = letters.plain("water", "office", "〔机密〕关于会议的函")
    for _ in range(2):
        with pytest.raises(Refused):
            await house.submit("water", octets, "office")
    assert len(house.refusals()) == 1
    house.exchange.judges.settings = config.Policy(disabled_checks=["marking"])
    assert await house.accept("water", octets, "office")


def test_settings_that_can_change_a_verdict_have_another_version() -> None:
    shipped = settings_version(config.Policy())
    changed = [
        config.Policy(disabled_checks=["virus"]),
        config.Policy(clamd="unix:/run/clamav/clamd.ctl"),
        config.Policy(extraction_seconds=60),
    ]
    assert len({shipped, *map(settings_version, changed)}) == 4
    assert settings_version(config.Policy(clamd_seconds=5, extraction_children=7)) == shipped
