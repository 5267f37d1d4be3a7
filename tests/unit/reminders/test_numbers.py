"""Numbers reach a carrier in one form, and readers of logs only in part."""

from __future__ import annotations

import pytest

from gateway.reminders.numbers import InvalidNumber, international, masked


@pytest.mark.parametrize(
    "written",
    [
        "13800000001", "138-0000-0001", "138 0000 0001", "+8613800000001", "+86 138 0000 0001",
        "008613800000001", "8613800000001", "（+86）13800000001",
    ],
)  # fmt: skip
def test_every_way_to_write_a_mobile_is_one_number(written: str) -> None:
    assert international(written, "86") == "8613800000001"


def test_a_landline_loses_its_leading_zero() -> None:
    assert international("022-23000001", "86") == "862223000001"


def test_a_short_number_stays_short() -> None:
    assert international("10086", "86") == "10086"


@pytest.mark.parametrize(
    "written", ["", "+", "water", "138000000011380000000", "1380000000x", "++1"]
)
def test_what_is_no_number_is_refused(written: str) -> None:
    with pytest.raises(InvalidNumber):
        international(written, "86")


def test_a_masked_number_does_not_tell_who_it_is() -> None:
    assert masked("8613800000001") == "8613****0001"
    assert masked("10086") == "****86"
