"""Who sends requests: one run, with its own counts, its own end, and what it shares with other processes."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol


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


class SharedRateLimit(Protocol):
    """Where several processes of one token tell each other to wait."""

    def slow_down(self, seconds: float) -> None:
        """Tell the others to wait so long."""

    def seconds_left(self) -> float:
        """Return how long to wait still; 0 or less: not at all."""


@dataclass(frozen=True)
class Caller:
    """One run as the client knows it; `is_run`: what it brings is stored, so the clocks must agree."""

    counts: RequestCounts = field(default_factory=RequestCounts)
    shared: SharedRateLimit | None = None
    is_run: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)
