"""Windows: closed intervals of whole seconds that cover what was asked for, exactly once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.windows import (
    DAY_SECONDS,
    LONGEST,
    SECOND,
    Window,
    cut,
    of_days,
    pieces_for,
    plan,
    without,
)

START = datetime(2020, 1, 1, tzinfo=UTC)
seconds = st.integers(0, 4_000 * DAY_SECONDS)


@st.composite
def windows(draw, longest=4_000 * DAY_SECONDS):
    first = START + timedelta(seconds=draw(seconds))
    return Window(first, first + timedelta(seconds=draw(st.integers(0, longest))))


def covers_exactly(pieces: list[Window], whole: Window) -> bool:
    adjacent = all(a.last + SECOND == b.first for a, b in pairwise(pieces))
    return adjacent and pieces[0].first == whole.first and pieces[-1].last == whole.last


@given(windows())
def test_a_plan_covers_every_second_once_and_never_exceeds_180_days(window):
    planned = plan(window)
    assert covers_exactly(planned, window)
    assert all(piece.seconds <= LONGEST for piece in planned)
    assert len(planned) == -(-window.seconds // LONGEST)


@given(windows(), st.integers(1, 16))
def test_a_cut_covers_every_second_once(window, pieces):
    parts = cut(window, pieces)
    assert covers_exactly(parts, window)
    assert 1 <= len(parts) <= pieces
    if window.seconds > 1 and pieces > 1:
        assert all(part.seconds < window.seconds for part in parts), "a cut must make progress"


@given(windows(), st.lists(windows(), max_size=8))
def test_holes_are_what_no_window_covers(window, done):
    holes = without(window, done)
    marks = [window.first, window.last, *(edge for w in [*done, *holes] for edge in (w.first, w.last))]
    for moment in {mark + step for mark in marks for step in (-SECOND, timedelta(0), SECOND)}:
        asked = window.first <= moment <= window.last
        covered = any(w.first <= moment <= w.last for w in done)
        in_hole = any(hole.first <= moment <= hole.last for hole in holes)
        assert in_hole == (asked and not covered)


@given(windows(), st.integers(1, 10_000), st.none() | st.integers(0, 10**7).map(lambda s: timedelta(seconds=s)))
def test_a_window_too_dense_is_always_cut(window, rows, span):
    assert 2 <= pieces_for(window, rows, span, at_least=9_990) <= 16


def test_days_are_whole_utc_days():
    window = of_days(date(2024, 2, 28), date(2024, 2, 29))
    assert str(window) == "2024-02-28 00:00:00 to 2024-02-29 23:59:59 UTC"
    assert window.seconds == 2 * DAY_SECONDS


def test_a_cut_longer_than_a_day_falls_on_midnight():
    parts = cut(of_days(date(2024, 1, 1), date(2024, 1, 31)), 4)
    assert {part.first.hour for part in parts} == {0}


@pytest.mark.parametrize("last", [START - SECOND, START + timedelta(microseconds=1)])
def test_a_window_of_nothing_or_of_parts_of_seconds_cannot_be_made(last):
    with pytest.raises(ValueError, match="whole seconds"):
        Window(START, last)
