"""Which requests are sent again, how long to wait before, and when to give up."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from resources.data_api.errors import BadSignature, RateLimited, Retryable, Unreachable
from resources.data_api.pace import Caller, Pace

logger = logging.getLogger(__name__)

T = TypeVar("T")


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


def retry(attempt: Callable[[int], T], policy: RetryPolicy, pace: Pace, caller: Caller) -> T:
    """Return what `attempt`, given its number, returns; repeat it as long as its failures may pass.

    Raises:
        Retryable: the last failure, when it is given up.
        Exception: any other failure, at once.
    """
    backoff = Backoff(policy, pace, caller)
    while True:
        try:
            return attempt(backoff.failures + 1)
        except Retryable as error:
            wait = backoff.wait_after(error)
            if wait is None:
                raise
        pace.pause(wait, caller)


@dataclass
class Backoff:
    """The decision after each failed attempt of one call: to give up, or how long to wait."""

    policy: RetryPolicy
    pace: Pace
    caller: Caller = field(default_factory=Caller)
    failures: int = 0
    bad_signatures: int = 0

    def __post_init__(self) -> None:
        self._started = self.pace.now()

    def wait_after(self, error: Retryable) -> float | None:
        """Return the seconds to wait after `error`; None: give up."""
        if self.caller.stopped.is_set():
            return None
        self.failures += 1
        self.bad_signatures += isinstance(error, BadSignature)
        wait = self._wait(error)
        left = self._deadline(error) - (self.pace.now() - self._started)
        if (
            self.bad_signatures >= self.policy.bad_signature_attempts
            or self.failures >= self.policy.attempts
            or wait > left
        ):
            return None
        if isinstance(error, RateLimited) or error.retry_after is not None:
            self.pace.slow_down(wait, self.caller)
        logger.warning(
            "attempt %d failed, next in %.1f s, given up in %.0f s: %s",
            self.failures,
            wait,
            left,
            error,
            extra={"request_id": error.request_id},
        )
        return wait

    def _wait(self, error: Retryable) -> float:
        ceiling = min(self.policy.longest_wait, self.policy.first_wait * 2.0 ** min(self.failures - 1, 60))
        jittered = random.uniform(0.0, ceiling)  # noqa: S311 - jitter, not cryptography
        if error.retry_after is not None:  # never sooner; the jitter keeps the workers from coming back all at once
            return error.retry_after + min(jittered, 1.0)
        # a bare 429 still means: slower; so at least half of the wait
        return (ceiling + jittered) / 2 if isinstance(error, RateLimited) else jittered

    def _deadline(self, error: Retryable) -> float:
        if isinstance(error, Unreachable) and not self.pace.answered:
            return min(self.policy.deadline, self.policy.never_answered_deadline)
        return self.policy.deadline


def parse_retry_after(value: str | None, date: str | None = None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (a number or an HTTP date), if it can be read.

    An HTTP date is compared with the answer's own `date`, as far as it tells one: our clock may be off.
    """
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    moment = parse_http_date(value)
    return None if moment is None else max(0.0, (moment - (parse_http_date(date) or datetime.now(UTC))).total_seconds())


def parse_http_date(value: str | None) -> datetime | None:
    """Return the moment in a `Date` or `Retry-After` header, always with a time zone, if it can be read."""
    try:
        moment = parsedate_to_datetime(value) if value else None
    except (ValueError, OverflowError):
        return None
    # HTTP knows no other zone than GMT; "-0000" is read as a time without one
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
