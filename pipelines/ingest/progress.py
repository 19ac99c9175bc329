"""What the engine tells while it works; who shows it (a bar, a log line) decides how."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from pipelines.ingest.days import OpenDays
from pipelines.ingest.windows import Window
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
            left = (time.monotonic() - self._began) * (self._total - self._done) / self._done
            logger.info(
                "%d %% of the time asked for, %d rows, %s left",
                100 * self._done // self._total,
                self._rows,
                duration(left),
            )

    def end(self) -> None:
        """Nothing: the summary is the caller's."""


def duration(seconds: float) -> str:
    """Return a duration as a person says it: seconds up to two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} hours"


@dataclass
class DayProgress:
    """Passes on to another `Progress`, and tells of each day that is whole, in the order in which they become so."""

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
