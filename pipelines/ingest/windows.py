"""Which intervals to ask for: plan and split; how one is walked is in `walk`. Pure: no clock, no I/O.

A window is a closed interval between whole seconds, as the API's `interval` is. Neighbours share their boundary second:
a platform that keeps fractions and compares them exactly would show neither of them what lies between 23:59:59 and
00:00:00. What both meet is counted once, where it is loaded (`resources.warehouse.ledger.Neighbours`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

SECOND = timedelta(seconds=1)
DAY_SECONDS = 86_400
DAY = timedelta(days=1)
LONGEST = 179 * DAY_SECONDS  # the API processes what is longer than 180 days one by one; the end is a second more
MOST_PIECES = 250
FEW_PIECES = 16  # where the guess is more: by a burst in months that are sparse otherwise, all of them look so dense
ROWS_A_WINDOW = 6_500  # what a cut aims at
CAUTION = 1.25


@dataclass(frozen=True, order=True)
class Window:
    """The time from `first` to `last`, both included, UTC."""

    first: datetime
    last: datetime

    def __post_init__(self) -> None:
        if self.last < self.first or self.first.microsecond or self.last.microsecond:
            raise ValueError(f"not a window of whole seconds: {self.first} to {self.last}")

    @property
    def length(self) -> timedelta:
        """How long it is; nothing for a single moment."""
        return self.last - self.first

    @property
    def seconds(self) -> int:
        """How many seconds it lasts."""
        return round(self.length.total_seconds())

    def days(self) -> tuple[date, date]:
        """Return the first and the last UTC day that it is about; midnight at its end is only its boundary."""
        return self.first.date(), max(self.first, self.last - SECOND).date()

    def __str__(self) -> str:
        return f"{self.first:%Y-%m-%d %H:%M:%S} to {self.last:%Y-%m-%d %H:%M:%S} UTC"


def of_days(first: date, last: date) -> Window:
    """Return the window of the UTC days `first` to `last`, both included: up to the midnight after them."""
    return Window(datetime.combine(first, time.min, UTC), datetime.combine(last, time.min, UTC) + DAY)


def interval_of_days(first: date, last: date) -> tuple[datetime, datetime]:
    """Return the first and the last second of the UTC days, as the ledger keeps what a run was asked for."""
    return datetime.combine(first, time.min, UTC), datetime.combine(last, time.min, UTC) + DAY - SECOND


def plan(window: Window, longest: int = LONGEST) -> list[Window]:
    """Cut `window` into as few windows as the longest interval allows, oldest first; `longest` is in seconds."""
    starts = range(0, max(1, window.seconds), longest)
    return [
        Window(window.first + start * SECOND, min(window.last, window.first + (start + longest) * SECOND))
        for start in starts
    ]


def cut(window: Window, pieces: int) -> list[Window]:
    """Cut `window` into `pieces` of the same length (fewer when it has fewer seconds).

    The pieces cover the window in order of time; each begins with the second at which the one before it ends. What
    lasts a second cannot be cut: its ends alone would not hold what lies between them.
    """
    pieces = max(1, min(pieces, window.seconds))
    starts = [window.first + window.seconds * number // pieces * SECOND for number in range(pieces)]
    return [Window(start, end) for start, end in pairwise([*starts, window.last])]


def pieces_for(window: Window, rows: int, span: timedelta | None, at_least: int) -> int:
    """Return into how many pieces to cut a window that is known to hold more than `at_least` rows.

    `rows` of them were met in `span` of the window; from that the whole is guessed, and rather too high, since a
    piece that is still too dense costs more than a piece too many. The order of the API's rows is not promised.
    """
    guess = rows * (window.seconds / max(1.0, span.total_seconds())) if span is not None else 0
    pieces = math.ceil(CAUTION * max(guess, at_least) / ROWS_A_WINDOW)
    return max(2, pieces if pieces <= MOST_PIECES else FEW_PIECES)


def without(window: Window, done: Iterable[Window]) -> list[Window]:
    """Return the parts of `window` that no window of `done` covers, oldest first; they share their ends with those."""
    holes, start = [], window.first
    for covered in sorted(done):
        if covered.last < start or covered.first > window.last:
            continue
        if covered.first > start:
            holes.append(Window(start, covered.first))
        start = covered.last
        if start >= window.last:
            return holes
    return [*holes, Window(start, window.last)]


def shares(window: Window) -> Iterator[tuple[date, int]]:
    """Yield each day that the window is about, and how many of its seconds lie in it."""
    start = window.first
    while start < window.last:
        end = min(window.last, datetime.combine(start.date(), time.min, UTC) + DAY)
        yield start.date(), round((end - start).total_seconds())
        start = end
