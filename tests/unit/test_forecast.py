"""The forecast: few probes whatever the density, the truth within its range, and what is known is not asked."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.ingest import forecast
from pipelines.ingest.windows import LONGEST, of_days

FIRST = date(2020, 1, 1)


def days_of(count):
    return [FIRST + timedelta(days=number) for number in range(count)]


class Platform:
    """As many operations on every day; it counts what it is asked."""

    def __init__(self, a_day):
        self.a_day = a_day
        self.asked = []

    def count(self, window, offset, limit):
        self.asked.append((window, offset, limit))
        return max(0, min(limit, round(window.seconds * self.a_day / 86_400) - offset))


@example(days=4, a_day=1)
@given(days=st.integers(1, 4000), a_day=st.integers(0, 60_000))
def test_at_most_twelve_probes_none_over_180_days_and_the_truth_is_within_the_range(days, a_day):
    platform = Platform(a_day)
    rates = forecast.sample(forecast.unknown_stretches(days_of(days), {}), platform.count)
    told = forecast.guess(days_of(days), {}, rates)
    assert len(platform.asked) <= 12
    assert all(window.seconds <= LONGEST for window, _, _ in platform.asked)
    # a sample counts whole rows, so it is off by up to half a row for its length
    slack = 1 + days * 43_200 / min(LONGEST, days * 86_400 // min(3, days))
    assert told.rows[1] * 0.99 - slack <= days * a_day <= told.rows[2] * 1.01 + slack
    assert told.rows[1] <= told.rows[0] <= told.rows[2]
    assert told.requests[1] <= told.requests[0] <= told.requests[2]


@pytest.mark.parametrize("a_day", [0, 1, 5, 999])
def test_days_that_fit_a_page_are_counted_not_guessed(a_day):
    rates = forecast.sample([of_days(FIRST, FIRST + timedelta(days=999))], Platform(a_day).count)
    assert [round(rate.least, 6) for rate in rates] == [round(rate.most, 6) for rate in rates] == [a_day] * 3


def test_five_sparse_years_cost_three_probes():
    platform = Platform(0.05)
    forecast.sample([of_days(FIRST, FIRST + timedelta(days=1826))], platform.count)
    assert len(platform.asked) == 3


def test_what_the_ledger_knows_is_not_asked():
    days = days_of(100)
    known = dict.fromkeys(days, 7.0)
    assert forecast.unknown_stretches(days, known) == []
    told = forecast.guess(days, known, [])
    assert told.rows == (700, 700, 700)
    assert told.because == "100 days as the ledger counted them"


def test_unknown_days_are_asked_in_the_stretches_in_which_they_lie():
    days = days_of(10)
    known = {days[3]: 1.0, days[4]: 1.0}
    assert forecast.unknown_stretches(days, known) == [of_days(days[0], days[2]), of_days(days[5], days[9])]
    asked = Platform(3)
    forecast.sample(forecast.unknown_stretches(days, known), asked.count)
    assert not [window for window, _, _ in asked.asked if window.days()[0] <= days[3] <= window.days()[1]]


def test_the_last_run_that_walked_a_day_whole_counts_it():
    day, next_day = FIRST, FIRST + timedelta(days=1)
    half = of_days(day, day)
    walked = [
        (of_days(day, next_day), 1, 10),
        (of_days(day, day), 2, 30),
        (type(half)(half.first, half.first + timedelta(hours=2)), 3, 99),
    ]
    assert forecast.rows_by_day(walked, [day, next_day]) == {day: 30, next_day: 5}
