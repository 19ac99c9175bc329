"""How many requests of a token may be in flight: found by what its answers do, never more than a setting allows.

It starts low and grows while answers take about as long as before; it is halved by 429, by errors of the platform,
and when answers become slow. Of several processes, one that has more than the others gives some of it up.
Pure: the caller says what happened when; who waits for whom is in `pace`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from statistics import median

MOST = 16
START = 2.0
FEW = 2  # so many of the token in flight do not slow each other: what an answer takes then is what it takes
AS_FAST = 1.25  # times what an answer of its kind takes: up to here the limit grows
SLOWER = 1.6  # from here on it is one less
SLOW = 2.5  # from here on it is halved
ENOUGH = 8  # answers of a kind that tell what it takes
LEAST_ANSWERS = 6  # that are compared before it grows or is halved
FIRST_PATIENCE = 30.0  # seconds before a limit that was answered by 429 is tried again
LONGEST_PATIENCE = 600.0


@dataclass(frozen=True)
class Concurrency:
    """What was found: the limit now, the setting above it, requests in flight, and how often it was halved."""

    limit: int
    most: int
    in_flight: int
    halvings: int


class InFlightLimit:
    """The limit of one process; `now` and `started` are instants of one clock, in seconds."""

    def __init__(self, most: int = MOST, start: float = START) -> None:
        self.most = most
        self.value = min(start, most)
        self.others = 0  # requests that other processes of the token may have in flight,
        self.processes = 1  # of so many, this one included
        self.halvings = 0
        self._doubles = True  # until it was halved for the first time
        self._usual: dict[Hashable, tuple[int, float]] = {}  # what an answer of each kind takes, of how many
        self._ratios: list[float] = []  # of the answers since the last decision
        self._was_reached = False
        self._changed_at = float("-inf")
        self._refused_at: int | None = None  # the limit that was answered by 429
        self._patience = FIRST_PATIENCE / 2

    def __int__(self) -> int:
        return max(1, int(min(self.value, self.most)))

    def begin_at(self, value: float) -> None:
        """Begin where another process or an earlier run has ended, if that is more than the start."""
        if value > self.value and self._changed_at == float("-inf"):
            self.value = value
            self._doubles = False

    def answered(self, now: float, started: float, kind: Hashable, in_flight: int) -> None:
        """Learn from a good answer of a `kind` whose answers take about the same time; `in_flight`: at its start."""
        seconds = max(now - started, 1e-6)
        count, usual = self._usual.get(kind, (0, seconds))
        if in_flight + self.others <= FEW:
            count = min(count + 1, ENOUGH)
            self._usual[kind] = count, usual + (seconds - usual) / count
        elif count == 0:
            self._usual[kind] = count, usual
        if started < self._changed_at:
            return  # of another limit
        self._was_reached |= in_flight >= int(self)
        self._ratios.append(seconds / usual)
        if len(self._ratios) >= max(int(self), FEW if self._doubles else LEAST_ANSWERS):
            self._decide(now)

    def refused(self, now: float, started: float) -> None:
        """Learn from a 429: this many are too many for some time, and each time for longer."""
        if started >= self._changed_at:
            self._refused_at = int(self)
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
        self.failed(now, started)

    def failed(self, now: float, started: float) -> None:
        """Learn from an error of the platform or a time-out; several at once, of one limit, count once."""
        if started >= self._changed_at:
            self._set(now, float(int(self)) / 2)
            self.halvings += 1
            self._doubles = False

    def _decide(self, now: float) -> None:
        ratio, was_reached = median(self._ratios), self._was_reached
        if ratio >= SLOW and int(self) > 1:
            self.failed(now, now)
        elif ratio >= SLOWER and int(self) > 1:
            self._set(now, float(int(self) - 1))
            self._doubles = False
        elif self._is_above_its_share():
            self._set(now, float(int(self) - 1))  # what came later takes a busy platform for the usual one
        elif ratio <= AS_FAST and was_reached:
            self._set(now, self._grown(now))
        else:
            self._ratios, self._was_reached = [], False

    def _is_above_its_share(self) -> bool:
        return self.processes > 1 and int(self) > self.others / (self.processes - 1) + 1

    def _grown(self, now: float) -> float:
        grown = self.value * 2 if self._doubles else float(int(self) + 1)
        if self._refused_at is not None and grown >= self._refused_at:
            if now - self._changed_at < self._patience:
                return self.value
            self._refused_at = None  # it is tried again
        return min(grown, float(self.most))

    def _set(self, now: float, value: float) -> None:
        self._ratios, self._was_reached = [], False
        if value != self.value:
            self.value = max(1.0, value)
            self._changed_at = now
