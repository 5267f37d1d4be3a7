"""Times are one value, however they are stored and written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.domain.clock import milliseconds, moment, rfc3339


@pytest.mark.parametrize("microsecond", [0, 1, 499, 500, 999, 23_500, 23_999, 281_999, 999_999])
def test_a_stored_time_is_written_as_the_record_writes_it(microsecond: int) -> None:
    """It was not: rows were rounded and records cut, so a receipt differed from them by 1 ms."""
    when = datetime(2026, 11, 21, 22, 8, 37, microsecond, tzinfo=UTC)
    assert rfc3339(moment(milliseconds(when))) == rfc3339(when)


def test_the_zone_in_which_a_time_was_taken_does_not_matter() -> None:
    here = datetime(2026, 11, 21, 17, 55, tzinfo=timezone(timedelta(hours=8)))
    assert milliseconds(here) == milliseconds(here.astimezone(UTC)) == 1_795_254_900_000
