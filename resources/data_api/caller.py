"""Who sends requests: one run, with its own counts, its own end, and what it shares with other processes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from resources.data_api.concurrency import MOST


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
