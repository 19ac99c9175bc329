"""One signed call: sign, verify, retry. HTTP is in `transport`, the endpoints and their parameters in `endpoints`.

No body is ever logged, and no message holds a token, a secret or a signature of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from http import HTTPStatus
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self

import orjson

from resources.data_api import signature
from resources.data_api.clock import PlatformClock
from resources.data_api.errors import BadSignature, BodyTooLarge, BrokenBody, DataApiError, Redactor, error_for_status
from resources.data_api.pace import Caller, Concurrency, Pace
from resources.data_api.retry import RetryPolicy, parse_http_date, parse_retry_after, retry
from resources.data_api.transport import Received, Transport
from resources.output import REQUESTS
from resources.settings import ApiSettings

if TYPE_CHECKING:
    import pyarrow as pa

    from resources.data_api.signature_arrow import ProvedRows

LARGE_BODY = 64 * 1024  # from here on Arrow is worth its import
MOST_VALUES = 300_000  # a large page has 57,000; unsigned, as anything is until it is read, it could have 16 million


@dataclass(frozen=True)
class Answer:
    """A verified answer, with what an audit needs to know of the call that brought it; times are the platform's."""

    endpoint: str
    request: dict[str, Any]  # without token and signature
    body: bytes = field(repr=False)  # personal data
    requested_at: datetime  # when the attempt that succeeded was started
    received_at: datetime
    platform_time: datetime | None  # the answer's Date header
    read: dict[str, Any] | ProvedRows = field(repr=False)  # of a large page the rows alone
    request_id: str = ""  # ours, as in the log; the platform does not see it
    waited: float = 0.0  # seconds, for its turn and for the platform

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


@dataclass
class _Sent:
    """One HTTP request as it is logged, without its parameters, which hold the token."""

    endpoint: str
    attempt: int
    request_id: str = field(default_factory=lambda: token_hex(8))
    status: int = 0
    size: int = 0
    error: str | None = None
    began: float | None = None  # None: it was not sent, and only waited to be

    def log(self, seconds: float) -> None:
        REQUESTS.info(
            "request",
            extra={
                "request_id": self.request_id,
                "endpoint": self.endpoint,
                "attempt": self.attempt,
                "status": self.status,
                "bytes": self.size,
                "milliseconds": round(1000 * seconds),
                "error": self.error,
            },
        )


class Client:
    """Calls one account of the platform; safe to use from several threads, which share its pace.

    Use as a context manager, or `close()` it. `clock` is what answers are stamped by.
    """

    def __init__(
        self, settings: ApiSettings, policy: RetryPolicy | None = None, clock: PlatformClock | None = None
    ) -> None:
        self.settings = settings
        self.policy = policy or RetryPolicy()
        self.clock = clock or PlatformClock()
        self.pace = Pace()
        self._redactor = Redactor(settings.token, settings.secret)
        self._transport = Transport(settings.base_url, self.pace, self._redactor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def stop(self, caller: Caller) -> None:
        """End the requests of a caller and let none of its start again: its workers get `Aborted`."""
        caller.stopped.set()
        self.pace.wake()
        # which connection serves whom is the pool's affair, so all are hung up; other callers ask again
        self._transport.hang_up()

    @property
    def concurrency(self) -> Concurrency:
        """How many requests may be in flight, as found until now."""
        return self.pace.concurrency

    def probe(self) -> str:
        """Return how the host is reached, without a signed request.

        Raises:
            Unreachable, Untrusted: it is not.
        """
        return self._transport.probe()

    def call(
        self,
        endpoint: str,
        parameters: Mapping[str, Any],
        *,
        expect: str | None,
        caller: Caller | None = None,
        offset: int = 0,
    ) -> Answer:
        """Post to `endpoint` until a verified answer with a list under `expect` comes; None: with whatever content.

        `offset` is where the page begins: the deeper, the longer an answer may take however few are in flight.

        Raises:
            Retryable: it failed every time, until the policy's deadline or count.
            Permanent: the platform refused; asking again is of no use.
        """
        caller = caller or Caller()
        attempt = partial(self._attempt, endpoint, parameters, expect, caller, offset)
        return retry(attempt, self.policy, self.pace, caller)

    def _attempt(
        self, endpoint: str, parameters: Mapping[str, Any], expect: str | None, caller: Caller, offset: int, number: int
    ) -> Answer:
        sent, content, asked = _Sent(endpoint, number), self._signed(parameters), self.clock.instant()
        try:
            with self.pace.request(caller) as slot:
                began = sent.began = self.clock.instant()
                received = self._transport.post(endpoint, content, caller.stopped)
                ended = self.clock.instant()
                sent.status, sent.size = received.status, len(received.body)
                if received.status != HTTPStatus.OK:
                    raise self._refusal(endpoint, received)
                slot.kind = endpoint, offset.bit_length(), sent.size.bit_length() // 4
            return self._answer(sent, parameters, expect, caller, (asked, began, ended), received)
        except DataApiError as error:
            error.request_id = sent.request_id
            sent.error = type(error).__name__
            raise
        finally:
            if sent.began is not None:
                caller.counts.add(endpoint, sent.status, is_retry=number > 1)
                sent.log(self.clock.instant() - sent.began)

    def _answer(
        self,
        sent: _Sent,
        parameters: Mapping[str, Any],
        expect: str | None,
        caller: Caller,
        instants: tuple[float, float, float],
        received: Received,
    ) -> Answer:
        endpoint, (asked, began, ended) = sent.endpoint, instants
        read = self._verified(endpoint, received.body, expect)
        platform_time = parse_http_date(received.headers.get("Date"))
        self.clock.observe(began, ended, platform_time)
        if caller.is_run and not caller.clock_agrees.is_set() and self.clock.assert_near():
            caller.clock_agrees.set()  # a jump of ours from now on moves no time of this run
        return Answer(
            endpoint=endpoint,
            request=dict(parameters),
            body=received.body,
            requested_at=self.clock.at(began),
            received_at=self.clock.at(ended),
            platform_time=platform_time,
            read=read,
            request_id=sent.request_id,
            waited=ended - asked,
        )

    def _signed(self, parameters: Mapping[str, Any]) -> bytes:
        unsigned = {"token": self.settings.token.reveal(), **parameters}
        signed = signature.sign(unsigned, self.settings.secret.reveal())
        return orjson.dumps({**unsigned, "signature": signed})

    def _refusal(self, endpoint: str, received: Received) -> DataApiError:
        message = self._redactor.message_in(received.body)
        retry_after = parse_retry_after(received.headers.get("Retry-After"), received.headers.get("Date"))
        return error_for_status(endpoint, received.status, message, retry_after)

    def _verified(self, endpoint: str, body: bytes, expect: str | None) -> dict[str, Any] | ProvedRows:
        if body.count(b",") >= MOST_VALUES:
            raise BodyTooLarge(
                f"the answer to {endpoint} holds more than {MOST_VALUES:,} values, which no page does; it was not "
                "looked into: check DATA_API_BASE_URL and what answers there."
            )
        if expect is not None and len(body) >= LARGE_BODY:
            from resources.data_api.signature_arrow import decode_rows

            proved = decode_rows(body, self.settings.secret.reveal(), expect)
            if proved is not None:
                return proved
        try:
            document = signature.decode(body, self.settings.secret.reveal())
        except signature.SignatureMismatch:
            raise BadSignature(self._why_not_used(endpoint, body)) from None
        except signature.UnreadableNumber:
            raise BodyTooLarge(
                f"the answer to {endpoint} holds a number of thousands of digits, which no page does; it was not "
                "looked into: check DATA_API_BASE_URL and what answers there."
            ) from None
        except signature.UndecodableBody as error:
            raise BrokenBody(f"the answer to {endpoint} cannot be read: {error} ({len(body)} bytes).") from None
        if expect is not None and not isinstance(document.get(expect), list):
            raise BrokenBody(f"the answer to {endpoint} has no list `{expect}`.")
        return document

    def _why_not_used(self, endpoint: str, body: bytes) -> str:
        why = (
            f"the answer to {endpoint} does not carry the platform's signature over its content; nothing of it was used"
        )
        message = self._redactor.refusal_in(body)
        if message:
            return f"{why} — it is not signed at all, and says: {message}."
        return f"{why} — a proxy that rewrites bodies, or a secret of another token, does this."
