"""Which days of a sync are whole, as windows are committed in any order. Pure: no clock, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from pipelines.ingest.windows import DAY_SECONDS, Window, shares


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
