"""What a load will take, guessed before it begins, and how far it is: what the engine reports while it works.

The guess is made from the ledger where days were walked, else from a few probes. A probe asks for the first page of
180 days: if it holds them all, they are counted. If not, the page of a day in their middle is requested, and where a
day holds more than a page, a row at ever deeper offsets. The arithmetic is pure.
"""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Protocol

from pipelines.ingest import windows
from pipelines.ingest.walk import LIMIT
from pipelines.ingest.windows import DAY_SECONDS, LONGEST, ROWS_A_WINDOW, Window, shares
from resources.output import counted, duration
from resources.warehouse.ledger import LoadReport

logger = logging.getLogger(__name__)
SAMPLES = 3
DEEPER = (4_000, 16_000)  # offsets at which a row of a dense day is requested: at most 12 requests for all samples
ROWS_A_SECOND = 10_000  # until this store has loaded enough to know better
CHECKED = 3  # requests that show one window complete, beside its pages

Count = Callable[[Window, int, int], int]  # (window, offset, limit) → how many rows came
Map = Callable[[Callable[[Window], "Rate"], Iterable[Window]], Iterable["Rate"]]  # as map, or several at once


@dataclass(frozen=True)
class Rate:
    """Operations a day of a stretch that was looked at: at least, at most; equal where they were counted."""

    least: float
    most: float

    @property
    def likely(self) -> float:
        """The middle of the two, by factor."""
        return math.sqrt(self.least * self.most)


@dataclass(frozen=True)
class Forecast:
    """Days, rows and requests to expect, each likely, at least and at most; `minutes` likewise; and how it was guessed.

    The days that an interrupted run has done are not in it, only counted in `days_done`.
    """

    days: int
    days_done: int
    rows: tuple[int, int, int]
    requests: tuple[int, int, int]
    minutes: tuple[float, float, float]
    because: str


def unknown_stretches(days: Sequence[date], known: dict[date, float]) -> list[Window]:
    """Return the stretches of `days` (in order) that are not in `known`."""
    stretches: list[list[date]] = []
    for day in (day for day in days if day not in known):
        if stretches and (day - stretches[-1][-1]).days == 1:
            stretches[-1].append(day)
        else:
            stretches.append([day])
    return [windows.of_days(stretch[0], stretch[-1]) for stretch in stretches]


def rows_by_day(walked: Iterable[tuple[Window, int, int]], wanted: Iterable[date]) -> dict[date, float]:
    """Return the rows of each wanted day that some run walked whole, by its last such run.

    `walked` holds window, number of the run, and rows met; the rows of a long window count evenly for its days.
    """
    wanted_days = set(wanted)
    found: dict[tuple[date, int], list[float]] = {}
    for window, run_id, rows in walked:
        for day, seconds in windows.shares(window):
            if day in wanted_days:
                entry = found.setdefault((day, run_id), [0, 0])
                entry[0] += seconds
                entry[1] += rows * seconds / window.seconds
    return {day: rows for (day, _), (seconds, rows) in sorted(found.items()) if seconds >= DAY_SECONDS}


def sample(stretches: Sequence[Window], count: Count, each: Map = map) -> list[Rate]:
    """Look at a few places spread evenly over the stretches, by `each`; at most four requests a place."""
    total = sum(stretch.seconds for stretch in stretches)
    places = min(SAMPLES, total // DAY_SECONDS)
    length = min(LONGEST, total // max(1, places))  # so that no two of them overlap
    around = [_around(stretches, total * (2 * n + 1) // (2 * places), length) for n in range(places)]
    return list(each(partial(_rate, count=count), around))


def _around(stretches: Sequence[Window], second: int, length: int) -> Window:
    """Return a window of about `length` seconds around a second of the stretches, as far as its stretch reaches."""
    for stretch in stretches:
        if second < stretch.seconds:
            middle = stretch.first + timedelta(seconds=second)
            half = timedelta(seconds=length // 2)
            return Window(max(stretch.first, middle - half), min(stretch.last, middle + half))
        second -= stretch.seconds
    return stretches[-1]


def _rate(window: Window, count: Count) -> Rate:
    day = (window.first + window.length / 2).date()
    whole = windows.of_days(day, day)
    for looked_at in (window, whole):
        rows = count(looked_at, 0, LIMIT)
        if rows < LIMIT:
            a_day = rows * DAY_SECONDS / looked_at.seconds
            return Rate(a_day, a_day)
    least = LIMIT
    for offset in DEEPER:
        if not count(whole, offset, 1):
            return Rate(least, offset)
        least = offset
    return Rate(least, 4 * least)


def guess(
    days: Sequence[date],
    known: dict[date, float],
    rates: Sequence[Rate],
    *,
    days_done: int = 0,
    rows_a_second: float | None = None,
    seconds_a_request: float = 0.0,
    in_flight: int = 1,
) -> Forecast:
    """Put together what is known of some days with the rates of samples of the others.

    `seconds_a_request` is what a probe took; `rows_a_second` what this store loaded before, if it did.
    """
    counted = sum(known[day] for day in days if day in known)
    unknown = sum(day not in known for day in days)
    likely = sum(rate.likely for rate in rates) / len(rates) if rates else 0.0
    least, most = min((rate.least for rate in rates), default=0.0), max((rate.most for rate in rates), default=0.0)
    rows = [round(counted + unknown * rate) for rate in (likely, least, most)]
    requests = [_requests(len(days), count) for count in rows]
    speed = rows_a_second or ROWS_A_SECOND
    minutes = [
        (count / speed + sent * seconds_a_request / in_flight) / 60 * slack
        for count, sent, slack in zip(rows, requests, (1, 0.7, 2), strict=True)
    ]
    return Forecast(
        len(days),
        days_done,
        (rows[0], rows[1], rows[2]),
        (requests[0], requests[1], requests[2]),
        (minutes[0], minutes[1], minutes[2]),
        _because(len(days) - unknown, unknown, len(rates)),
    )


def _requests(days: int, rows: int) -> int:
    pieces = max(math.ceil(days * DAY_SECONDS / LONGEST), math.ceil(rows / ROWS_A_WINDOW))
    return math.ceil(1.15 * rows / LIMIT) + CHECKED * pieces


def _because(known: int, unknown: int, samples: int) -> str:
    reasons = [f"{known:,} days as the ledger counted them"] if known else []
    if unknown:
        places = counted(samples, "place")
        reasons.append(
            f"{unknown:,} days by looking at {places}: from all as the emptiest of them to all as the fullest"
        )
    return "; ".join(reasons)


class Progress(Protocol):
    """Gets one call at the beginning, one for each window committed, one at the end."""

    def begin(self, what: Window, holes: list[Window]) -> None:
        """The sync of `what` begins; `holes` is what is left of it to do."""

    def committed(self, window: Window, report: LoadReport) -> None:
        """`window` is complete and in the store."""

    def end(self) -> None:
        """Nothing more will come."""


@dataclass
class LogProgress:
    """Progress as log lines, at most one every `interval` seconds."""

    interval: float = 10.0

    def begin(self, what: Window, holes: list[Window]) -> None:
        """Log what is asked for, and how much of it an interrupted run has already done."""
        self._total = sum(hole.seconds for hole in holes)
        self._done = self._rows = 0
        self._began = time.monotonic()
        self._next = self._began + self.interval
        done_before = what.seconds - self._total
        resumed = f"; an interrupted run already did {done_before / what.seconds:.0%} of it" if done_before else ""
        logger.info("loading %s%s", what, resumed)

    def committed(self, window: Window, report: LoadReport) -> None:
        """Log how far it is."""
        self._done += window.seconds
        self._rows += report.rows_met
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.interval
            left = (time.monotonic() - self._began) * (self._total - self._done) / max(1, self._done)
            share = 100 * self._done // max(1, self._total)
            logger.info("%d %% of the time asked for, %d rows, %s left", share, self._rows, duration(left))

    def end(self) -> None:
        """Nothing: the summary is the caller's."""


@dataclass
class OpenDays:
    """How many seconds of each day are still to be walked.

    A day is whole once all of its seconds are covered, by windows of this sync or of an interrupted one. A day that
    is not over never is.
    """

    _missing: dict[date, int] = field(default_factory=dict)

    def begin(self, what: Window, holes: list[Window]) -> list[date]:
        """Take in what is asked for and what is left of it; return the days that are whole already, in order."""
        self._missing = {day: DAY_SECONDS - seconds for day, seconds in shares(what)}
        for hole in holes:
            for day, seconds in shares(hole):
                self._missing[day] += seconds
        return self._take([day for day, seconds in self._missing.items() if not seconds])

    def committed(self, window: Window) -> list[date]:
        """Take in a committed window; return the days that it made whole, in order."""
        for day, seconds in shares(window):
            self._missing[day] -= seconds
        return self._take([day for day, _ in shares(window) if not self._missing[day]])

    def _take(self, whole: list[date]) -> list[date]:
        for day in whole:
            del self._missing[day]
        return whole


@dataclass
class DayProgress:
    """Passes on to another `Progress`, and reports each day that is whole, in the order in which they become so."""

    inner: Progress
    before: Callable[[list[date]], None]  # the days that an interrupted run finished
    finished: Callable[[list[date]], None]
    _days: OpenDays = field(default_factory=OpenDays)

    def begin(self, what: Window, holes: list[Window]) -> None:
        """Tell of the days that are whole already."""
        self.inner.begin(what, holes)
        if days := self._days.begin(what, holes):
            self.before(days)

    def committed(self, window: Window, report: LoadReport) -> None:
        """Tell of the days that this window made whole."""
        self.inner.committed(window, report)
        if days := self._days.committed(window):
            self.finished(days)

    def end(self) -> None:
        """Nothing more will come."""
        self.inner.end()
