"""Which intervals to ask for, planned and cut; how one is walked is in `walk`. Pure: no clock, no I/O.

A window is a closed interval between whole seconds, as the API's `interval` is. Neighbours share their boundary second:
a platform that keeps fractions and compares them exactly would show neither of them what lies between 23:59:59 and
00:00:00. What both meet is counted once, where it is loaded (`resources.warehouse.ledger.Neighbours`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

SECOND = timedelta(seconds=1)
DAY_SECONDS = 86_400
DAY = timedelta(days=1)
LONGEST = 179 * DAY_SECONDS  # the API processes what is longer than 180 days one by one; the end is a second more
ROWS_A_WINDOW = 6_000  # what a cut aims at: the busy hours hold half as many again, and ten pages are walked at once
GUESS_COUNTS = 4  # pieces: as many that were walked weigh as much as the guess before them
FADING = 0.9  # of what was known, with each piece that was walked;
FORGETTING = 0.25  # where it held less than a twentieth of what was expected


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


class Pieces:
    """How a window is cut that is walked in pieces: each is as long as its rows are expected to take.

    How dense the window is, in rows a second, is guessed first. A guess by a burst in sparse months, or by the evening
    hours, is too high for the rest, so it soon gives way to what the pieces that were walked have held.
    """

    def __init__(self, longest: int, shortest: int = 1, dense: float = 0.0, at_least: int = 0) -> None:
        self.at_least = at_least  # rows that the window is known to hold; 0: nothing is known
        self.of: Pieces | None = None  # of which the window was one: they learn what these do
        self._longest, self._shortest = max(1, longest), shortest  # seconds
        self._rows = float(GUESS_COUNTS * ROWS_A_WINDOW) if dense else 0.0
        self._seconds = self._rows / dense if dense else 0.0

    def first_of(self, rest: Window) -> Window:
        """Return the first piece of what is left of the window; all of its pieces would be as long."""
        rows = rest.seconds * self._rows / self._seconds if self._seconds else 0
        pieces = max(math.ceil(rows / ROWS_A_WINDOW), math.ceil(rest.seconds / self._longest), 1)
        length = max(rest.seconds // pieces, self._shortest)
        return rest if length >= rest.seconds else Window(rest.first, rest.first + length * SECOND)

    def learn(self, piece: Window, rows: int) -> None:
        """Learn that a piece holds so many rows."""
        kept = FADING if rows > ROWS_A_WINDOW / 20 else FORGETTING
        self._rows = kept * self._rows + rows
        self._seconds = kept * self._seconds + piece.seconds
        if self.of:
            self.of.learn(piece, rows)


def pieces_for(
    window: Window, rows: int = 0, span: timedelta | None = None, *, at_least: int = 0, shortest: int = 1
) -> Pieces:
    """Return how to cut a window: into two at least.

    `rows` were met in `span` of it, and `at_least` so many are known to be in it; from that the whole is guessed. The
    order of the API's rows is not promised.
    """
    dense = rows / max(1.0, span.total_seconds()) if span is not None else 0.0
    return Pieces(math.ceil(window.seconds / 2), shortest, max(dense, at_least / max(1, window.seconds)), at_least)


class Queue:
    """What is still to be walked, in order of time."""

    def __init__(self, planned: Iterable[Window]) -> None:
        self._left = deque((window, Pieces(window.seconds)) for window in planned)

    def __bool__(self) -> bool:
        return bool(self._left)

    def next(self) -> Window:
        """Return the window that comes next."""
        rest, pieces = self._left[0]
        return pieces.first_of(rest)

    def take(self) -> tuple[Window, Pieces]:
        """Take out the window that comes next, and return what wants to learn how many rows it holds, too."""
        rest, pieces = self._left.popleft()
        window = pieces.first_of(rest)
        if window.last < rest.last:
            self._left.appendleft((Window(window.last, rest.last), pieces))
        return window, pieces

    def cut(self, window: Window, pieces: Pieces, of: Pieces) -> None:
        """Let a window, one of the pieces `of`, come next in pieces."""
        if pieces.at_least:
            of.learn(window, pieces.at_least)
        pieces.of = of
        self._left.appendleft((window, pieces))
