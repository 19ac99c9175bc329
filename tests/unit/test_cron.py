"""Cron expressions: the same verdicts and the same times as Dagster's own daemon has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import dropwhile
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string, reverse_cron_string_iterator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from resources.values import last_due, next_due, why_invalid

MICROSECOND = timedelta(microseconds=1)
QUICK = settings(max_examples=200, deadline=None, derandomize=True, database=None)
VALID = [
    *("30 3 * * *", "0 * * * *", "*/15 * * * *", "0 9-17/2 * * 1-5", "5,35 0,12 1,15 * *", "0 4 * * sun"),
    *("0 0 1 jan *", "15 3 13 * 5", "0 12 * * 7", "59 23 31 12 *", "30 2 * * *", "0 2 * * *", "15,45 1-3 * * *"),
    *("@daily", "@hourly", "@weekly", "30 3 L * *", "30 3 * * mon#1", "30 22-2 * * *", "30 3 29 2 *"),
    *(" 30  3 * * * ", "30 3 * * fri-mon", "30 3 ? * *", "10 */6 * * *", "30 2 * * 0", "30 2 1 * *"),
]
INVALID = {
    "60 3 * * *": "'60' is no minute",
    "61 3 * * *": "'61' is no minute",
    "30 25 * * *": "'25' is no hour",
    "30 3 32 * *": "'32' is no day of the month",
    "30 3 0 * *": "'0' is no day of the month",
    "30 3 * 13 *": "'13' is no month",
    "30 3 * * 8": "'8' is no day of the week",
    "30 3 * * mox": "'mox' is no day of the week",
    "30 3 31 2 *": "February never has that day",
    "30 3 30 feb *": "February never has that day",
    "30 3 15w * *": "'15w' is no day of the month",
    "*/0 3 * * *": "'*/0' is no minute",
    "30 3 * *": "it has 4 fields, not 5",
    "0 30 3 * * *": "it has 6 fields, not 5",
    "every night": "it has 2 fields, not 5",
    "": "it has 0 fields, not 5",
    "@reboot": "'@reboot' is not known",
    "30 3 * * 1,2,": "'1,2,' is no day of the week",
}


@pytest.mark.parametrize("cron", [*VALID, "30 3 30,31 2 *"])
def test_what_dagster_takes_is_taken(cron):
    assert is_valid_cron_string(cron)
    assert why_invalid(cron) is None


@pytest.mark.parametrize("cron", INVALID)
def test_b19_what_dagster_refuses_is_refused_with_the_reason(cron):
    assert not is_valid_cron_string(cron)
    assert why_invalid(cron) == INVALID[cron]


fields = st.sampled_from(
    [
        *(
            "*",
            "0",
            "2",
            "7",
            "8",
            "13",
            "24",
            "30",
            "31",
            "32",
            "60",
            "*/5",
            "*/0",
            "1-5",
            "5-1",
            "1,15",
            "2-4/2",
            "L",
        ),
        *("?", "x", "sun", "jan", "feb", "mon-fri", "5L", "mon#1", "mon#6", "-1", "1,", "*,5", "15w", "lw", "W", "H"),
    ]
)


@settings(QUICK, max_examples=600)
@given(st.lists(fields, min_size=4, max_size=6).map(" ".join))
@example("@every 1h")
@example("0 * * * *; rm")
def test_no_expression_has_another_verdict_here_than_there(cron):
    assert (why_invalid(cron) is None) == is_valid_cron_string(cron)


@settings(QUICK, max_examples=400)
@given(
    cron=st.sampled_from(VALID),
    zone=st.sampled_from(
        ["UTC", "Asia/Tokyo", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Sydney"]
    ),
    moment=st.one_of(
        st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
        # around the nights in which these zones change their clocks
        st.sampled_from([(10, 25), (3, 29), (11, 1), (3, 8), (4, 4), (10, 3), (4, 5), (10, 4)]).flatmap(
            lambda day: st.datetimes(
                datetime(2026, *day), datetime(2026, day[0], day[1] + 1, 12), timezones=st.just(UTC)
            )
        ),
    ),
)
@example("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
@example("*/15 * * * *", "Europe/Berlin", datetime(2026, 10, 25, 0, 46, tzinfo=UTC))
def test_a_schedule_is_due_when_dagster_starts_it(cron, zone, moment):
    ahead = (tick.astimezone(UTC) for tick in cron_string_iterator(moment.timestamp(), cron.strip(), zone))
    assert next_due(cron, zone, moment) == next(dropwhile(lambda tick: tick <= moment, ahead))
    back = (tick.astimezone(UTC) for tick in reverse_cron_string_iterator(moment.timestamp(), cron.strip(), zone))
    assert last_due(cron, zone, moment - MICROSECOND) == next(dropwhile(lambda tick: tick >= moment, back))


def test_a_night_in_summer_time_is_that_of_the_clock_on_the_wall():
    after = datetime(2026, 3, 29, 12, tzinfo=UTC)
    due = next_due("30 3 * * *", "Europe/Berlin", after)
    assert due == datetime(2026, 3, 30, 3, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    assert due == datetime(2026, 3, 30, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        # 02:30 comes twice in the night of 25 October, at 00:30 and 01:30 UTC: the second one is due
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T01:30"),
        ("30 2 * * *", "2026-10-25T00:30", "2026-10-25T01:30"),
        ("30 2 * * *", "2026-10-25T01:30", "2026-10-26T01:30"),
        # an hourly one is due both times
        ("30 * * * *", "2026-10-25T00:00", "2026-10-25T00:30"),
        ("30 * * * *", "2026-10-25T00:30", "2026-10-25T01:30"),
        # 02:30 is skipped in the night of 29 March: due at 03:00, when the clocks have changed
        ("30 2 * * *", "2026-03-28T12:00", "2026-03-29T01:00"),
        ("30 * * * *", "2026-03-29T00:30", "2026-03-29T01:30"),
    ],
)
def test_when_the_clocks_change_no_night_is_missed_and_none_comes_twice(cron, after, due):
    found = next_due(cron, "Europe/Berlin", datetime.fromisoformat(f"{after}+00:00"))
    assert found == datetime.fromisoformat(f"{due}+00:00")


def test_the_last_time_includes_the_present_moment():
    at = datetime(2026, 3, 10, 3, 30, tzinfo=UTC)
    assert last_due("30 3 * * *", "UTC", at) == at
    assert last_due("30 3 * * *", "UTC", at.replace(minute=29)) == datetime(2026, 3, 9, 3, 30, tzinfo=UTC)
    assert last_due("0 0 30 2 *", "UTC", at) is None


def test_a_day_that_never_comes_is_never_due():
    assert next_due("0 0 30 2 *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) is None


def test_the_29th_of_february_is_found_years_ahead():
    assert next_due("0 0 29 2 *", "UTC", datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2028, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["61 * * * *", "0 0 0 * *", "x * * * *"])
def test_a_field_that_cannot_be_read_is_refused(cron):
    with pytest.raises(ValueError, match=r"."):
        next_due(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
