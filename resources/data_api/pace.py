"""One token's pace: who sends requests, how many of them may be in flight, and when the next one starts.

How many may be in flight is found by what answers do, never more than a setting allows: the limit starts low and
grows while answers take about as long as before; it is halved by 429, by errors of the platform, and when answers
become slow. Of several processes, one that has more than the others gives some of it up.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from statistics import median
from typing import Protocol

from resources.data_api.errors import Aborted, DataApiError, RateLimited, ServerError, Unreachable

MOST = 16
START = 4.0
FEW = 2  # so many of the token in flight do not slow each other: what an answer takes then is what it takes
AS_FAST = 1.25  # times what an answer of its kind takes: up to here the limit grows
SLOWER = 1.6  # from here on it is one less
SLOW = 2.5  # from here on it is halved
ENOUGH = 8  # answers of a kind that tell what it takes
LEAST_ANSWERS = 6  # that are compared before it grows or is halved
FIRST_PATIENCE = 30.0  # seconds before a limit that was answered by 429 is tried again
LONGEST_PATIENCE = 600.0
SAME_PAUSE = 1.0  # seconds by which two clocks may see the end of one pause apart


@dataclass(frozen=True)
class RequestCount:
    """How many requests to one endpoint ended with one status (0: no whole answer), repetitions among them."""

    endpoint: str
    status: int
    requests: int
    retries: int


class RequestCounts:
    """The requests of one caller; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._retries: Counter[tuple[str, int]] = Counter()

    def add(self, endpoint: str, status: int, *, is_retry: bool) -> None:
        """Count a request that has ended."""
        with self._lock:
            self._requests[endpoint, status] += 1
            self._retries[endpoint, status] += is_retry

    @property
    def total(self) -> int:
        """How many requests have ended."""
        with self._lock:
            return self._requests.total()

    def by_endpoint(self) -> list[RequestCount]:
        """Return the counts by endpoint and status."""
        with self._lock:
            return [RequestCount(*key, self._requests[key], self._retries[key]) for key in sorted(self._requests)]


@dataclass(frozen=True)
class TokenState:
    """What the processes of a token know together: how long all wait, how many there are, what they have found."""

    seconds_left: float = 0.0  # 0 or less: nobody waits
    processes: int = 1
    others_in_flight: int = 0  # at most, of the other processes
    in_flight_limit: float | None = None  # that one of them has found within the last day


class SharedRateLimit(Protocol):
    """Where processes of one token share a pause, and how many requests in flight go well."""

    def slow_down(self, seconds: float) -> None:
        """Tell the others to wait so long."""

    def exchange(self, process: str, in_flight_limit: int) -> TokenState:
        """Tell what this process has found, and return what is known; cheap to call before each request."""

    def leave(self, process: str) -> None:
        """Tell that this process sends no more requests for now."""


@dataclass(frozen=True)
class Caller:
    """One run as the client knows it; `is_run`: what it brings is stored, so the clocks must agree."""

    counts: RequestCounts = field(default_factory=RequestCounts)
    shared: SharedRateLimit | None = None
    most_in_flight: int = MOST
    is_run: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
    clock_agrees: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Concurrency:
    """What was found: the limit now, the setting above it, requests in flight, and how often it was halved."""

    limit: int
    most: int
    in_flight: int
    halvings: int


class InFlightLimit:
    """The limit of one process, which waits for nobody; `now` and `started` are instants of one clock, in seconds."""

    def __init__(self, most: int = MOST, start: float = START) -> None:
        self.most = most
        self.value = min(start, most)
        self.others = 0  # requests that other processes of the token may have in flight,
        self.processes = 1  # of so many, this one included
        self.halvings = 0
        self._doubles = True  # until it was halved for the first time
        self._usual: dict[Hashable, tuple[int, float]] = {}  # what an answer of each kind takes, of how many
        self._ratios: list[float] = []  # of the answers since the last decision
        self._busiest = 0  # requests in flight when one of these answers was asked for; of all answers while it doubles
        self._changed_at = self._halved_at = float("-inf")
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
        if started < self._changed_at and not self._doubles:
            return  # of another limit
        self._busiest = max(self._busiest, in_flight)
        self._ratios.append(seconds / usual)
        enough = max(int(self), FEW if self._doubles else LEAST_ANSWERS)
        if len(self._ratios) >= enough or (self._doubles and self._is_as_fast()):
            self._decide(now)

    def refused(self, now: float, started: float) -> None:
        """Learn from a 429: this many are too many for some time, and each time for longer."""
        if started >= self._halved_at:
            self._refused_at = int(self)
            self._patience = min(2 * self._patience, LONGEST_PATIENCE)
        self.failed(now, started)

    def failed(self, now: float, started: float) -> None:
        """Learn from an error of the platform or a time-out; those sent before it was halved count once."""
        if started >= self._halved_at:
            self._doubles = False
            self._set(now, float(int(self)) / 2)
            self._halved_at = now
            self.halvings += 1

    def _decide(self, now: float) -> None:
        ratio = median(self._ratios)
        if ratio >= SLOW and int(self) > 1:
            self.failed(now, now)
        elif ratio >= SLOWER and int(self) > 1:
            self._doubles = False
            self._set(now, float(int(self) - 1))
        elif self._is_above_its_share():
            self._set(now, float(int(self) - 1))  # what came later takes a busy platform for the usual one
        elif self._is_as_fast():
            self._set(now, self._grown(now))
        else:
            self._forget()

    def _is_as_fast(self) -> bool:
        was_reached = 2 * self._busiest > int(self) if self._doubles else self._busiest >= int(self)
        return was_reached and median(self._ratios) <= AS_FAST

    def _is_above_its_share(self) -> bool:
        return self.processes > 1 and int(self) > self.others / (self.processes - 1) + 1

    def _grown(self, now: float) -> float:
        grown = self.value + len(self._ratios) if self._doubles else float(int(self) + 1)
        if self._refused_at is not None and grown >= self._refused_at:
            if now - self._changed_at < self._patience:
                return self.value
            self._refused_at = None  # it is tried again
        return min(grown, float(self.most))

    def _set(self, now: float, value: float) -> None:
        self._forget()
        if value != self.value:
            self.value = max(1.0, value)
            self._changed_at = now

    def _forget(self) -> None:
        self._ratios = []
        if not self._doubles:
            self._busiest = 0


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
