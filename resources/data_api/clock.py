"""The platform's time, from the `Date` of its answers; a clock of ours that is wrong or jumps ends here.

Between answers time goes on by the monotonic clock. What is over at the platform is told by `now`, which is never
ahead of it; when something was asked for, by `at`, which keeps the order of things.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from resources.data_api.errors import ClocksApart

TOLERANCE = 60.0  # seconds that our clock may be off
RESOLUTION = 1.0  # seconds of a Date header, which cuts fractions off


class PlatformClock:
    """The platform's clock; safe to use from several threads. `wall` and `monotonic` are this machine's clocks."""

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        # the platform's time minus the monotonic clock's: between which two it lies, and what is taken for it
        self._bounds: tuple[float, float] | None = None
        self._offset = 0.0

    def instant(self) -> float:
        """Return the present instant of the monotonic clock."""
        return self._monotonic()

    def observe(self, sent: float, received: float, date: datetime | None) -> None:
        """Learn from an answer that was written somewhere between the instants `sent` and `received`."""
        if date is None:
            return
        earliest, latest = date.timestamp() - received, date.timestamp() + RESOLUTION - sent
        with self._lock:
            if self._bounds and earliest <= self._bounds[1] and latest >= self._bounds[0]:
                self._bounds = max(earliest, self._bounds[0]), min(latest, self._bounds[1])
            else:  # the first, or this machine slept, or the platform's clock was set
                self._bounds = earliest, latest
                self._offset = self._host_offset()
            if not self._bounds[0] <= self._offset <= self._bounds[1]:
                self._offset = self._bounds[0]

    @property
    def is_known(self) -> bool:
        """Whether the platform's time is known from an answer."""
        return self._bounds is not None

    def now(self) -> datetime:
        """Return the platform's time, by a second or so behind it and never ahead; ours as long as it is not known."""
        with self._lock:
            offset = self._bounds[0] if self._bounds else self._host_offset()
        return _moment(self._monotonic() + offset)

    def at(self, instant: float) -> datetime:
        """Return the platform's time at an instant, by our clock within what the platform's answers allow."""
        with self._lock:
            offset = self._offset if self._bounds else self._host_offset()
        return _moment(instant + offset)

    def assert_near(self) -> bool:
        """Refuse to work by a clock of ours that is far from the platform's.

        Returns:
            Whether the platform's time is known closely enough to be sure.

        Raises:
            ClocksApart: it is more than a minute off.
        """
        with self._lock:
            if self._bounds is None:
                return False
            ours = self._host_offset()
            is_sure = self._bounds[1] - self._bounds[0] <= TOLERANCE
            apart = max(self._bounds[0] - ours, ours - self._bounds[1])
            theirs = self._bounds[0] if ours < self._bounds[0] else self._bounds[1]
        if apart > TOLERANCE:
            now = self._monotonic()
            raise ClocksApart(
                f"this machine's clock says {_moment(now + ours):%Y-%m-%d %H:%M:%S} and the platform's "
                f"{_moment(now + theirs):%Y-%m-%d %H:%M:%S} (UTC), {apart:,.0f} s apart where {TOLERANCE:.0f} s are "
                "allowed: set this machine's clock, and let NTP keep it."
            )
        return is_sure

    def _host_offset(self) -> float:
        return self._wall() - self._monotonic()


class FixedClock(PlatformClock):
    """A clock that stands still, for answers of a platform that is asked about a past moment: the demo's."""

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self._moment = moment

    def observe(self, sent: float, received: float, date: datetime | None) -> None:
        """Learn nothing."""

    def now(self) -> datetime:
        """Return the moment."""
        return self._moment

    def at(self, instant: float) -> datetime:
        """Return the moment."""
        del instant
        return self._moment


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
