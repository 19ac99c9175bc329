"""Which days are whole: whatever the order in which windows are committed, each day once, and none too early."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.forecast import OpenDays
from pipelines.ingest.windows import SECOND, Window, of_days, plan, without

START = date(2024, 2, 27)


@st.composite
def scattered(draw):
    """A range of days, windows that cover it in any order, and how many of them an interrupted run committed."""
    days = draw(st.integers(1, 40))
    what = of_days(START, START + timedelta(days=days - 1))
    seconds = sorted(draw(st.sets(st.integers(1, what.seconds - 1), max_size=25)))
    edges = [0, *seconds, what.seconds]
    pieces = [Window(what.first + start * SECOND, what.first + end * SECOND) for start, end in pairwise(edges)]
    order = draw(st.permutations(pieces))
    return what, list(order), draw(st.integers(0, len(order)))


def whole_days(what, committed):
    """The days of `what` without a hole, found the slow way."""
    holes = without(what, committed)
    day, found = what.first, set()
    while day < what.last:
        end = day + timedelta(days=1)
        if not any(hole.first < end and hole.last > day for hole in holes):
            found.add(day.date())
        day = end
    return found


@given(scattered())
def test_each_day_is_told_once_by_the_window_that_makes_it_whole(case):
    what, order, before = case
    days = OpenDays()
    told = days.begin(what, without(what, order[:before]))
    assert set(told) == whole_days(what, order[:before])
    for number in range(before, len(order)):
        news = days.committed(order[number])
        assert news == sorted(news)
        assert not set(news) & set(told)
        told += news
        assert set(told) == whole_days(what, order[: number + 1])
    assert sorted(told) == [START + timedelta(days=number) for number in range(len(told))]


def test_a_day_that_is_not_over_is_never_whole():
    days = OpenDays()
    what = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 2, 13, 0, 0, tzinfo=UTC))
    assert days.begin(what, [what]) == []
    assert days.committed(what) == [date(2024, 3, 1)]


def test_a_window_that_was_cut_makes_its_days_whole_piece_by_piece():
    days = OpenDays()
    what = of_days(START, START)
    days.begin(what, [what])
    first, second, third = plan(what, longest=28_800)
    assert [days.committed(piece) for piece in (third, first, second)] == [[], [], [START]]
