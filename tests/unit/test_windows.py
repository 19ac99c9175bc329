"""Windows: they cover what was asked for, and share their boundary seconds, so that no fraction lies between two."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pipelines.ingest.windows import (
    DAY,
    DAY_SECONDS,
    LONGEST,
    SECOND,
    Window,
    cut,
    interval_of_days,
    of_days,
    pieces_for,
    plan,
    shares,
    without,
)

START = datetime(2020, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
seconds = st.integers(0, 4_000 * DAY_SECONDS)


@st.composite
def windows(draw, longest=4_000 * DAY_SECONDS):
    first = START + timedelta(seconds=draw(seconds))
    return Window(first, first + timedelta(seconds=draw(st.integers(0, longest))))


def covers_exactly(pieces: list[Window], whole: Window) -> bool:
    adjacent = all(a.last == b.first for a, b in pairwise(pieces))
    return adjacent and pieces[0].first == whole.first and pieces[-1].last == whole.last


@given(windows())
def test_a_plan_covers_every_moment_and_never_asks_for_more_than_180_days(window):
    planned = plan(window)
    assert covers_exactly(planned, window)
    assert all(piece.seconds <= LONGEST for piece in planned)
    assert LONGEST + 1 <= 180 * DAY_SECONDS, "also where the platform counts both ends"
    assert len(planned) == max(1, -(-window.seconds // LONGEST))


@given(windows(), st.integers(1, 32))
def test_a_cut_covers_every_moment(window, pieces):
    parts = cut(window, pieces)
    assert covers_exactly(parts, window)
    assert 1 <= len(parts) <= pieces
    if window.seconds > 1:
        assert all(part.seconds >= 1 for part in parts), "a moment alone would hold nothing of what follows it"
    if window.seconds > 1 and pieces > 1:
        assert all(part.seconds < window.seconds for part in parts), "a cut must make progress"


@given(st.data(), windows(longest=5 * DAY_SECONDS))
def test_whatever_the_cuts_a_time_with_milliseconds_is_met_by_the_windows_on_its_sides_and_by_no_other(data, window):
    parts = [window]
    for pieces in data.draw(st.lists(st.integers(2, 16), max_size=4)):
        number = data.draw(st.integers(0, len(parts) - 1))
        parts[number : number + 1] = cut(parts[number], pieces)
    milliseconds = data.draw(st.lists(st.integers(0, 1000 * window.seconds), min_size=1, max_size=20))
    edges = {part.first for part in parts[1:]}
    for moment in [window.first + number * MILLISECOND for number in milliseconds]:
        met = [part for part in parts if part.first <= moment <= part.last]
        assert len(met) == (2 if moment in edges else 1)


@given(windows(), st.integers(1, 32))
@example(Window(START + DAY / 2, START + DAY * 5 / 2), 2)
@example(Window(START, START + 31 * DAY), 17)
def test_the_pieces_of_a_cut_are_equally_long(window, pieces):
    assume(pieces <= window.seconds)
    lengths = [part.seconds for part in cut(window, pieces)]
    assert len(lengths) == pieces
    assert max(lengths) - min(lengths) <= 1


@given(windows(), st.lists(windows(), max_size=8))
def test_holes_are_what_no_window_covers(window, done):
    holes = without(window, done)
    marks = [window.first, window.last, *(edge for w in [*done, *holes] for edge in (w.first, w.last))]
    for moment in {mark + step for mark in marks for step in (-SECOND / 2, SECOND / 2)}:
        asked = window.first <= moment <= window.last
        covered = any(w.first <= moment <= w.last for w in done)
        in_hole = any(hole.first <= moment <= hole.last for hole in holes)
        assert in_hole == (asked and not covered)
    for moment in marks:
        if window.first <= moment <= window.last:
            assert any(part.first <= moment <= part.last for part in [*done, *holes])
    assert all(one.last <= other.first for one, other in pairwise(holes))


@pytest.mark.parametrize("seconds", [0, 1, 100])
def test_what_one_window_covers_from_its_first_to_its_last_second_has_no_hole(seconds):
    window = Window(START, START + seconds * SECOND)
    assert without(window, [window]) == []
    assert without(window, [Window(START - SECOND, window.last)]) == []
    assert without(window, [Window(START, window.last + SECOND)]) == []


@given(windows(longest=5 * DAY_SECONDS))
def test_the_shares_of_the_days_add_up(window):
    found = list(shares(window))
    assert sum(share for _, share in found) == window.seconds
    assert all(0 < share <= DAY_SECONDS for _, share in found)
    if found:
        assert (found[0][0], found[-1][0]) == window.days()


@given(windows(), st.integers(1, 10_000), st.none() | st.integers(0, 10**7).map(lambda s: timedelta(seconds=s)))
def test_a_window_too_dense_is_always_cut(window, rows, span):
    assert 2 <= pieces_for(window, rows, span, at_least=9_990) <= 250


@pytest.mark.parametrize(
    ("rows", "span", "at_least", "pieces"),
    [
        (1_000, timedelta(hours=1), 0, 5),  # 24,000 in the day, a quarter more, 6,500 each
        (1_000, timedelta(hours=1), 36_401, 8),  # it is known that there are more
        (15, timedelta(seconds=1), 0, 250),  # 1,296,000
        (100, timedelta(0), 0, 16),  # all in one second: more likely a burst
        (1, timedelta(seconds=1), 0, 17),  # 86,400
        (1, timedelta(seconds=2), 0, 9),  # 43,200
        (100, timedelta(hours=10), 0, 2),  # at least two, whatever the guess
        (100, None, 10_401, 3),  # no times: what is known
        (100, None, 10_400, 2),
    ],
)
def test_a_window_is_cut_into_pieces_of_5200_rows_or_less_by_how_dense_its_pages_were(rows, span, at_least, pieces):
    assert pieces_for(of_days(date(2024, 1, 1), date(2024, 1, 1)), rows, span, at_least) == pieces


def test_a_plan_of_shorter_windows_has_as_many_as_its_seconds_need():
    for seconds, longest, count in ((1, 1, 1), (2, 1, 2), (0, 1, 1), (7, 3, 3), (6, 3, 2)):
        window = Window(START, START + seconds * SECOND)
        planned = plan(window, longest)
        assert covers_exactly(planned, window)
        assert len(planned) == count


def test_days_that_were_asked_for_last_from_their_first_second_to_their_last():
    first, last = interval_of_days(date(2024, 2, 28), date(2024, 2, 29))
    assert (first.isoformat(), last.isoformat()) == ("2024-02-28T00:00:00+00:00", "2024-02-29T23:59:59+00:00")


def test_days_are_whole_utc_days_up_to_the_midnight_after_them():
    window = of_days(date(2024, 2, 28), date(2024, 2, 29))
    assert str(window) == "2024-02-28 00:00:00 to 2024-03-01 00:00:00 UTC"
    assert window.seconds == 2 * DAY_SECONDS
    assert window.days() == (date(2024, 2, 28), date(2024, 2, 29))


def test_what_lasts_a_second_is_not_cut():
    second = Window(START, START + SECOND)
    assert cut(second, 16) == [second]
    moment = Window(START, START)
    assert cut(moment, 16) == plan(moment) == without(moment, []) == [moment]


@pytest.mark.parametrize("last", [START - SECOND, START + timedelta(microseconds=1)])
def test_a_window_of_nothing_or_of_parts_of_seconds_cannot_be_made(last):
    with pytest.raises(ValueError, match="whole seconds"):
        Window(START, last)
