"""One signed call: sign, verify, retry. HTTP is in `transport`, the endpoints and their parameters in `endpoints`.

No body is ever logged, and no message holds a token, a secret or a signature of ours.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self

import orjson

from resources import log
from resources.data_api import signature
from resources.data_api.errors import BadSignature, BodyTooLarge, BrokenBody, DataApiError, error_for_status
from resources.data_api.excerpts import Excerpts
from resources.data_api.retry import Backoff, Pace, RetryPolicy, attempts, parse_http_date, parse_retry_after
from resources.data_api.transport import Received, Transport
from resources.settings import ApiSettings

if TYPE_CHECKING:
    import pyarrow as pa

LARGE_BODY = 64 * 1024  # from here on Arrow is worth its import
MOST_VALUES = 300_000  # a large page has 57,000; unsigned, as anything is until it is read, it could have 16 million


@dataclass(frozen=True)
class Answer:
    """A verified answer, with what an audit needs to know of the call that brought it."""

    endpoint: str
    request: dict[str, Any]  # without token and signature
    body: bytes = field(repr=False)  # personal data
    requested_at: datetime  # UTC, when the attempt that succeeded was started
    received_at: datetime
    server_time: datetime | None  # the answer's Date header
    read: dict[str, Any] | signature.ProvedRows = field(repr=False)  # of a large page the rows alone
    request_id: str = ""  # ours, as in the log; the platform does not see it

    @property
    def rows(self) -> pa.StructArray | None:
        """The rows as Arrow columns, if it is a page that could be read so; else they are in `document`."""
        return None if isinstance(self.read, dict) else self.read.rows

    @property
    def signature(self) -> str:
        """The platform's signature."""
        return str(self.read["signature"]) if isinstance(self.read, dict) else self.read.signature

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole answer, read exactly."""
        return self.read if isinstance(self.read, dict) else signature.parsed(self.body)


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


@dataclass
class _Sent:
    """One HTTP request as the log tells it; its parameters, which hold the token, are not in it."""

    endpoint: str
    attempt: int
    request_id: str = field(default_factory=lambda: token_hex(8))
    status: int = 0
    size: int = 0
    error: str | None = None
    _started: float = field(default_factory=time.monotonic)

    def log(self) -> None:
        log.REQUESTS.info(
            "request",
            extra={
                "request_id": self.request_id,
                "endpoint": self.endpoint,
                "attempt": self.attempt,
                "status": self.status,
                "bytes": self.size,
                "milliseconds": round(1000 * (time.monotonic() - self._started)),
                "error": self.error,
            },
        )


class Client:
    """Calls one account of the platform; safe to use from several threads, which share its pace.

    Use as a context manager, or `close()` it. `clock` is what answers are stamped by.
    """

    def __init__(
        self, settings: ApiSettings, policy: RetryPolicy | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.settings = settings
        self.policy = policy or RetryPolicy()
        self._now = clock or _utc_now
        self.pace = Pace()
        self.requests_sent = 0
        self._counts: Counter[tuple[str, int, bool]] = Counter()
        self._lock = threading.Lock()
        self._excerpts = Excerpts(settings.token, settings.secret)
        self._transport = Transport(settings.base_url, self.pace, self._excerpts)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def abort(self) -> None:
        """End the requests under way and let none start again: their callers get `Aborted`."""
        self.pace.abort()
        self._transport.hang_up()

    def resume(self) -> None:
        """Let requests start again, once all that `abort` ended have come back: another stream may ask."""
        self.pace.resume()

    def call(
        self,
        endpoint: str,
        parameters: Mapping[str, Any],
        *,
        expect: str | None,
        counts: RequestCounts | None = None,
    ) -> Answer:
        """Post to `endpoint` until a verified answer with a list under `expect` comes; None: with whatever content.

        Raises:
            Retryable: it failed every time, until the policy's deadline or count.
            Permanent: the platform refused; asking again is of no use.
        """
        for attempt in attempts(Backoff(self.policy, self.pace)):
            with attempt:
                return self._attempt(endpoint, parameters, expect, attempt.num, counts)
        raise AssertionError  # stamina either returns from the block or raises

    def take_counts(self) -> list[RequestCount]:
        """Return the requests since this was asked last, by endpoint and status."""
        with self._lock:
            taken, self._counts = self._counts, Counter()
        requests, retries = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
        for (endpoint, status, repeated), count in taken.items():
            requests[endpoint, status] += count
            retries[endpoint, status] += count if repeated else 0
        return [RequestCount(*key, requests[key], retries[key]) for key in sorted(requests)]

    def _attempt(
        self,
        endpoint: str,
        parameters: Mapping[str, Any],
        expect: str | None,
        number: int,
        counts: RequestCounts | None,
    ) -> Answer:
        self.pace.wait()
        sent = _Sent(endpoint, number)
        try:
            return self._answer(sent, parameters, expect)
        except DataApiError as error:
            error.request_id = sent.request_id
            sent.error = type(error).__name__
            raise
        finally:
            with self._lock:
                self._counts[endpoint, sent.status, number > 1] += 1
            if counts is not None:
                counts.add(endpoint, sent.status, is_retry=number > 1)
            sent.log()

    def _answer(self, sent: _Sent, parameters: Mapping[str, Any], expect: str | None) -> Answer:
        endpoint, requested_at = sent.endpoint, self._now()
        content = self._signed(parameters)
        self.requests_sent += 1
        received = self._transport.post(endpoint, content)
        sent.status, sent.size = received.status, len(received.body)
        if received.status != HTTPStatus.OK:
            raise self._refusal(endpoint, received)
        return Answer(
            endpoint=endpoint,
            request=dict(parameters),
            body=received.body,
            requested_at=requested_at,
            received_at=self._now(),
            server_time=parse_http_date(received.headers.get("Date")),
            read=self._verified(endpoint, received.body, expect),
            request_id=sent.request_id,
        )

    def _signed(self, parameters: Mapping[str, Any]) -> bytes:
        unsigned = {"token": self.settings.token.reveal(), **parameters}
        mark = signature.sign(unsigned, self.settings.secret.reveal())
        return orjson.dumps({**unsigned, "signature": mark})

    def _refusal(self, endpoint: str, received: Received) -> DataApiError:
        message = self._excerpts.message_in(received.body)
        retry_after = parse_retry_after(received.headers.get("Retry-After"))
        return error_for_status(endpoint, received.status, message, retry_after)

    def _verified(self, endpoint: str, body: bytes, expect: str | None) -> dict[str, Any] | signature.ProvedRows:
        if body.count(b",") >= MOST_VALUES:
            raise BodyTooLarge(
                f"the answer to {endpoint} holds more than {MOST_VALUES:,} values, which no page does; it was not "
                "looked into: check DATA_API_BASE_URL and what answers there."
            )
        if expect is not None and len(body) >= LARGE_BODY:
            proved = signature.decode_rows(body, self.settings.secret.reveal(), expect)
            if proved is not None:
                return proved
        try:
            document = signature.decode(body, self.settings.secret.reveal())
        except signature.SignatureMismatch:
            raise BadSignature(self._why_not_used(endpoint, body)) from None
        except signature.UndecodableBody as error:
            raise BrokenBody(f"the answer to {endpoint} cannot be read: {error} ({len(body)} bytes).") from None
        if expect is not None and not isinstance(document.get(expect), list):
            raise BrokenBody(f"the answer to {endpoint} has no list `{expect}`.")
        return document

    def _why_not_used(self, endpoint: str, body: bytes) -> str:
        why = (
            f"the answer to {endpoint} does not carry the platform's signature over its content; nothing of it was used"
        )
        said = self._excerpts.refusal_in(body)
        if said:
            return f"{why} — it is not signed at all, and says: {said}."
        return f"{why} — a proxy that rewrites bodies, or a secret of another token, does this."


def _utc_now() -> datetime:
    return datetime.now(UTC)
