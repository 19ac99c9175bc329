"""When a cron comes due next: as Dagster's own daemon has it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import cron_string_iterator
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.marts.due import next_due

CRONS = [
    *(
        "30 3 * * *",
        "0 * * * *",
        "*/15 * * * *",
        "0 9-17/2 * * 1-5",
        "5,35 0,12 1,15 * *",
        "0 4 * * sun",
        "0 0 1 jan *",
    ),
    *("15 3 13 * 5", "0 12 * * 7", "59 23 31 12 *"),
]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    cron=st.sampled_from(CRONS),
    zone=st.sampled_from(["UTC", "Asia/Tokyo", "Asia/Kolkata"]),
    after=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
)
def test_the_next_run_is_the_one_that_dagster_would_start(cron, zone, after):
    expected = next(
        moment for moment in cron_string_iterator(after.timestamp(), cron, zone) if moment.astimezone(UTC) > after
    )
    assert next_due(cron, zone, after) == expected.astimezone(UTC)


def test_a_night_in_summer_time_is_that_of_the_clock_on_the_wall():
    after = datetime(2026, 3, 29, 12, tzinfo=UTC)
    due = next_due("30 3 * * *", "Europe/Berlin", after)
    assert due == datetime(2026, 3, 30, 3, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert due == datetime(2026, 3, 30, 1, 30, tzinfo=UTC)


def test_a_day_that_never_comes_is_never_due():
    assert next_due("0 0 30 2 *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_the_29th_of_february_is_found_years_ahead():
    assert next_due("0 0 29 2 *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 0 * *", "x * * * *"])
def test_a_field_that_cannot_be_read_is_refused(cron):
    with pytest.raises(ValueError, match=r"."):
        next_due(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
