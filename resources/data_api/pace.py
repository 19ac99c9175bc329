"""One token's pace: when its requests may start, and how many of them are in flight."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from resources.data_api.caller import Caller, TokenState
from resources.data_api.concurrency import Concurrency, InFlightLimit
from resources.data_api.errors import Aborted, DataApiError, RateLimited, ServerError, Unreachable

SAME_PAUSE = 1.0  # seconds by which two clocks may see the end of one pause apart


@dataclass
class Slot:
    """A request in flight; `kind` is set when it was answered: answers of one kind take about the same time."""

    in_flight: int
    kind: Hashable = None


class Pace:
    """Lets all workers of a token wait when the platform says 429, or when to come back, to one of them.

    Workers of other processes too, where the caller has a shared rate limit. `now` and `sleep` are the clock's;
    `condition` makes what workers wait at for their turn.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[threading.Event, float], object] = threading.Event.wait,
        condition: Callable[[], threading.Condition] = threading.Condition,
    ) -> None:
        self.now = now
        self.answered = False
        self._sleep = sleep
        self._free = condition()
        self._limit = InFlightLimit()
        self._in_flight = 0
        self._resume_at = 0.0
        self._process = token_hex(8)

    @property
    def concurrency(self) -> Concurrency:
        """What was found about requests in flight."""
        with self._free:
            return Concurrency(int(self._limit), self._limit.most, self._in_flight, self._limit.halvings)

    def slow_down(self, seconds: float, caller: Caller) -> None:
        """Let no request of this token start within the next `seconds`."""
        with self._free:
            self._resume_at = max(self._resume_at, self.now() + seconds)
        if caller.shared:
            caller.shared.slow_down(seconds)

    def pause(self, seconds: float, caller: Caller) -> None:
        """Sleep for one worker's own wait, but not after the run was stopped."""
        self._sleep(caller.stopped, seconds)

    def leave(self, caller: Caller) -> None:
        """Let other processes have this one's share when a run has ended."""
        if caller.shared:
            caller.shared.leave(self._process)

    def wake(self) -> None:
        """Let those that wait to start look whether their run was stopped."""
        with self._free:
            self._free.notify_all()

    @contextmanager
    def request(self, caller: Caller) -> Iterator[Slot]:
        """Wait until a request of this caller may start, and learn from how it ends.

        Raises:
            Aborted: none may, the run was stopped.
        """
        in_flight = self._start(caller)
        slot, started = Slot(in_flight), self.now()
        try:
            yield slot
        except DataApiError as error:
            self._end(started, slot, error)
            raise
        except BaseException:
            self._end(started, slot, None)
            raise
        self._end(started, slot, None)

    def _start(self, caller: Caller) -> int:
        while True:
            while not caller.stopped.is_set() and (left := self._seconds_left(caller)) > 0:
                self.pause(left, caller)
            with self._free:
                self._free.wait_for(lambda: caller.stopped.is_set() or self._in_flight < int(self._limit))
                if caller.stopped.is_set():
                    raise Aborted("the run was stopped; no further request is sent.")
                if self._resume_at <= self.now():  # else a 429 came meanwhile
                    self._in_flight += 1
                    return self._in_flight

    def _end(self, started: float, slot: Slot, error: DataApiError | None) -> None:
        with self._free:
            self._in_flight -= 1
            if isinstance(error, RateLimited):
                self._limit.refused(self.now(), started)
            elif isinstance(error, ServerError | Unreachable):
                self._limit.failed(self.now(), started)
            elif slot.kind is not None:
                self._limit.answered(self.now(), started, slot.kind, slot.in_flight)
            self._free.notify_all()

    def _seconds_left(self, caller: Caller) -> float:
        token = TokenState()
        if caller.shared:
            token = caller.shared.exchange(self._process, int(self._limit))
        with self._free:
            now = self.now()
            self._limit.most = max(1, caller.most_in_flight // token.processes)
            self._limit.others = token.others_in_flight
            self._limit.processes = token.processes
            if token.in_flight_limit:
                self._limit.begin_at(token.in_flight_limit / token.processes)
            if token.seconds_left > max(0.0, self._resume_at - now) + SAME_PAUSE:
                self._limit.refused(now, now)  # a 429 to another process is one to the token
            self._resume_at = max(self._resume_at, now + token.seconds_left)
            return self._resume_at - now
