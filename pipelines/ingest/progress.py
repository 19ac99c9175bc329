"""What the engine reports while it works; a bar or a log line shows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from pipelines.ingest.windows import DAY_SECONDS, Window, shares
from resources.output import duration
from resources.warehouse.ledger import LoadReport

logger = logging.getLogger(__name__)


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
    _total: int = 0
    _done: int = 0
    _rows: int = 0
    _next: float = field(default=0.0)
    _began: float = field(default=0.0)

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
            logger.info(
                "%d %% of the time asked for, %d rows, %s left",
                100 * self._done // max(1, self._total),
                self._rows,
                duration(left),
            )

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
