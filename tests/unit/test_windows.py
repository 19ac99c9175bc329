"""Windows: they cover what was asked for, and share their boundary seconds, so that no fraction lies between two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.ingest.windows import (
    DAY_SECONDS,
    LONGEST,
    SECOND,
    Queue,
    Window,
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


def in_pieces(window: Window, **known: Any) -> Queue:
    queue = Queue([window])
    _, whole = queue.take()
    queue.cut(window, pieces_for(window, **known), whole)
    return queue


def all_of(queue: Queue, rows: Callable[[Window], int] | None = None) -> list[Window]:
    """Take everything, one after the other, each with so many rows."""
    taken = []
    while queue:
        expected = queue.next()
        window, pieces = queue.take()
        assert window == expected
        if rows:
            pieces.learn(window, rows(window))
        taken.append(window)
        assert len(taken) < 100_000
    return taken


@given(windows(longest=400 * DAY_SECONDS), st.floats(0, 0.1), st.floats(0, 0.1), st.integers(1, 4_000))
def test_whatever_is_guessed_and_learned_the_pieces_of_a_window_cover_every_moment(window, guess, dense, shortest):
    queue = in_pieces(window, at_least=round(guess * window.seconds), shortest=shortest)
    pieces = all_of(queue, lambda piece: round(dense * piece.seconds))
    assert covers_exactly(pieces, window)
    if window.seconds > 2 * shortest:
        assert all(piece.seconds < window.seconds for piece in pieces), "a cut must make progress"
    assert all(piece.seconds >= min(shortest, window.seconds) for piece in pieces[:-1])
    assert all(piece.seconds >= 1 for piece in pieces if window.seconds), "a moment alone holds nothing of what follows"


@given(st.data(), windows(longest=5 * DAY_SECONDS))
def test_whatever_the_cuts_a_time_with_milliseconds_is_met_by_the_windows_on_its_sides_and_by_no_other(data, window):
    queue, parts = Queue([window]), []
    while queue:
        part, pieces = queue.take()
        if part.seconds > 1 and len(parts) < 60 and data.draw(st.booleans()):
            queue.cut(part, pieces_for(part, at_least=data.draw(st.integers(0, 100_000))), pieces)
        else:
            parts.append(part)
    assume(len(parts) < 200)
    milliseconds = data.draw(st.lists(st.integers(0, 1000 * window.seconds), min_size=1, max_size=20))
    edges = {part.first for part in parts[1:]}
    for moment in [window.first + number * MILLISECOND for number in milliseconds]:
        met = [part for part in parts if part.first <= moment <= part.last]
        assert len(met) == (2 if moment in edges else 1)


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


def first_piece(window: Window, **known: Any) -> Window:
    return pieces_for(window, **known).first_of(window)


@pytest.mark.parametrize(
    ("rows", "span", "at_least", "pieces"),
    [
        (1_000, timedelta(hours=1), 0, 4),  # 24,000 in the day, 6,000 each
        (1_000, timedelta(hours=1), 36_001, 7),  # it is known that there are more
        (15, timedelta(seconds=1), 0, 216),  # 1,296,000
        (1, timedelta(seconds=1), 0, 15),  # 86,400
        (1, timedelta(seconds=2), 0, 8),  # 43,200
        (100, timedelta(hours=10), 0, 2),  # at least two, whatever the guess
        (100, None, 12_001, 3),  # no times: what is known
        (100, None, 12_000, 2),
        (0, None, 0, 2),  # nothing is known
    ],
)
def test_a_piece_is_to_hold_6000_rows_by_how_dense_the_window_seems(rows, span, at_least, pieces):
    day = of_days(date(2024, 1, 1), date(2024, 1, 1))
    assert first_piece(day, rows=rows, span=span, at_least=at_least).seconds == DAY_SECONDS // pieces


@pytest.mark.parametrize("seconds", [0, 1, 2, 3, 3_600, DAY_SECONDS])
def test_pieces_are_equally_long_as_long_as_nothing_is_learned(seconds):
    window = Window(START, START + seconds * SECOND)
    lengths = [piece.seconds for piece in all_of(in_pieces(window, at_least=60_000))]
    assert len(lengths) == 10 or seconds < 10
    assert max(lengths) - min(lengths) <= max(1, seconds // 200)


@pytest.mark.parametrize(
    ("guessed", "dense", "least", "most"),
    [
        (1.0, 0.2, 3, 9),  # five times as many pieces were guessed: 15 instead of 3
        (0.05, 0.2, 2, 3),
        (100.0, 0.0, 3, 40),  # a burst of 100 a second in a day that is empty otherwise; 1,662 were guessed
        (0.2, 0.2, 3, 3),
    ],
)
def test_a_wrong_guess_gives_way_to_what_the_pieces_have_held(guessed, dense, least, most):
    """A day, so many rows a second guessed and met."""
    day = of_days(date(2024, 1, 1), date(2024, 1, 1))
    queue = in_pieces(day, rows=1_000, span=timedelta(seconds=1_000 / guessed))
    pieces = all_of(queue, lambda piece: round(dense * piece.seconds))
    assert least <= len(pieces) <= most


def test_what_the_pieces_of_a_piece_hold_is_known_of_the_rest():
    """Rows in no order: nothing is guessed, so halves are cut in halves, until one holds few enough rows."""
    queue, cut, walked = Queue([of_days(date(2024, 1, 1), date(2024, 1, 10))]), [], []
    while queue:
        window, pieces = queue.take()
        pieces.learn(window, window.seconds)  # one a second
        if window.seconds > 10_000:
            queue.cut(window, pieces_for(window), pieces)
            cut.append(window)
        else:
            walked.append(window)
    assert len(cut) == 7, "the way to the first; 127 if each half was cut for itself"
    assert len(walked) < 1.1 * 10 * DAY_SECONDS / 6_000


def test_what_is_cut_comes_next_and_then_the_rest_of_what_it_is_a_piece_of():
    first, second = plan(Window(START, START + 200 * SECOND), longest=100)
    queue = Queue([first, second])
    for _ in range(2):
        window, pieces = queue.take()
        queue.cut(window, pieces_for(window), pieces)
    edges = [0, 25, 50, 100, 200]
    assert all_of(queue) == [Window(START + a * SECOND, START + b * SECOND) for a, b in pairwise(edges)]


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
    assert first_piece(second, at_least=100_000) == second
    moment = Window(START, START)
    assert all_of(Queue([moment])) == plan(moment) == without(moment, []) == [moment]


@pytest.mark.parametrize("last", [START - SECOND, START + timedelta(microseconds=1)])
def test_a_window_of_nothing_or_of_parts_of_seconds_cannot_be_made(last):
    with pytest.raises(ValueError, match="whole seconds"):
        Window(START, last)
