"""How long to wait, and when to give up: the policy that `client` hands to stamina, and the pace of a token.

stamina drives the attempts; here is only what is particular to this API.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

import stamina
from stamina.instrumentation import set_on_retry_hooks

from resources.data_api.errors import Aborted, BadSignature, RateLimited, Retryable, Unreachable

logger = logging.getLogger(__name__)

# stamina's own hooks would log arguments and print to stdout; `Backoff` logs what a person needs
set_on_retry_hooks([])


@dataclass(frozen=True)
class RetryPolicy:
    """Full-jitter exponential backoff, a cap, a count and a total deadline (seconds).

    A host that has never answered is more likely a wrong address than an outage, so it gets less time;
    a wrong signature is asked for again only a few times before it is refused.
    """

    attempts: int = 100  # so many that the deadline comes first, unless somebody makes the waits tiny
    deadline: float = 900.0
    first_wait: float = 0.5
    longest_wait: float = 30.0
    never_answered_deadline: float = 20.0
    bad_signature_attempts: int = 5


class Pause(Protocol):
    """Where several processes of one token tell each other to wait."""

    def slow_down(self, seconds: float) -> None:
        """Tell the others to wait so long."""

    def seconds_left(self) -> float:
        """Return how long to wait still; 0 or less: not at all."""


class Pace:
    """One token's pace: when the platform says 429, or when to come back, to one worker, all of them wait.

    Workers of other processes too, where a `shared` pause is set.
    """

    def __init__(self) -> None:
        self.shared: Pause | None = None
        self._lock = threading.Lock()
        self._resume_at = 0.0
        self._aborted = threading.Event()
        self.answered = False

    def slow_down(self, seconds: float) -> None:
        """Let no request of this token start within the next `seconds`."""
        with self._lock:
            self._resume_at = max(self._resume_at, time.monotonic() + seconds)
        if self.shared:
            self.shared.slow_down(seconds)

    @property
    def aborted(self) -> bool:
        """Whether the run was stopped."""
        return self._aborted.is_set()

    def abort(self) -> None:
        """Let no request of this token start again."""
        self._aborted.set()

    def resume(self) -> None:
        """Let requests start again, once those of the stopped run have ended."""
        self._aborted.clear()

    def wait(self) -> None:
        """Sleep until requests may start again.

        Raises:
            Aborted: none may.
        """
        while (left := self._left()) > 0:
            if self._aborted.wait(left):
                break
        if self._aborted.is_set():
            raise Aborted("the run was stopped; no further request is sent.")

    def _left(self) -> float:
        own = self._resume_at - time.monotonic()
        return max(own, self.shared.seconds_left()) if self.shared else own

    def pause(self, seconds: float) -> None:
        """Sleep for one worker's own wait, but not after the run was stopped."""
        self._aborted.wait(seconds)


@dataclass
class Backoff:
    """The decision after each failed attempt of one call: False (give up) or the seconds to wait."""

    policy: RetryPolicy
    pace: Pace
    started: float = field(default_factory=time.monotonic)
    failures: int = 0
    bad_signatures: int = 0

    def __call__(self, error: Exception) -> bool | float:
        """Return False, or the seconds to wait, after `error`."""
        if not isinstance(error, Retryable) or self.pace.aborted:
            return False
        self.failures += 1
        self.bad_signatures += isinstance(error, BadSignature)
        if self.bad_signatures >= self.policy.bad_signature_attempts:
            return False
        wait = self._wait(error)
        left = self._deadline(error) - self._elapsed()
        if self.failures >= self.policy.attempts or wait > left:
            return False
        if isinstance(error, RateLimited) or error.retry_after is not None:
            self.pace.slow_down(wait)
        logger.warning(
            "attempt %d failed, next in %.1f s, given up in %s: %s",
            self.failures,
            wait,
            _spoken(left),
            error,
            extra={"request_id": error.request_id},
        )
        return wait

    def pause_after(self, error: Exception) -> bool | float:
        """Return what stamina's hook expects: the wait is over already, since stamina's own cannot be ended early."""
        wait = self(error)
        if wait is False:
            return False
        self.pace.pause(wait)
        return 0.0

    def _wait(self, error: Retryable) -> float:
        ceiling = min(self.policy.longest_wait, self.policy.first_wait * 2.0 ** min(self.failures - 1, 60))
        jittered = random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not cryptography
        if error.retry_after is not None:  # never sooner; the jitter keeps the workers from coming back all at once
            return error.retry_after + min(jittered, 1.0)
        # a bare 429 still means: slower; so at least half of the wait
        return (ceiling + jittered) / 2 if isinstance(error, RateLimited) else jittered

    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _deadline(self, error: Retryable) -> float:
        if isinstance(error, Unreachable) and not self.pace.answered:
            return min(self.policy.deadline, self.policy.never_answered_deadline)
        return self.policy.deadline


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def attempts(backoff: Backoff) -> Iterator[stamina.Attempt]:
    """Yield the attempts of one call; use each as a context manager around the request."""
    return iter(stamina.retry_context(on=backoff.pause_after, attempts=None, timeout=None))


def parse_retry_after(value: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (a number or an HTTP date), if it can be read."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    moment = parse_http_date(value)
    return None if moment is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())


def parse_http_date(value: str | None) -> datetime | None:
    """Return the moment in a `Date` or `Retry-After` header, always with a time zone, if it can be read."""
    try:
        moment = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    # HTTP knows no other zone than GMT; "-0000" is read as a time without one
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
