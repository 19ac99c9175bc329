"""One signed call: POST, verify, retry. The endpoints and their parameters are in `endpoints`.

No body is ever logged, and no message holds a token, a secret or a signature of ours.
"""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from weakref import WeakSet

import certifi
import httpx
import orjson

from resources import log
from resources.data_api import signature
from resources.data_api.errors import (
    Aborted,
    BadSignature,
    BodyTooLarge,
    BrokenBody,
    DataApiError,
    Unreachable,
    Untrusted,
    error_for_status,
)
from resources.data_api.retry import Backoff, Pace, RetryPolicy, attempts, parse_http_date, parse_retry_after
from resources.settings import ApiSettings

if TYPE_CHECKING:
    import pyarrow as pa

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 330.0  # an answer may take five minutes (API: "Interaction concepts")
LONGEST_ANSWER = 2 * READ_TIMEOUT
LARGE_BODY = 64 * 1024  # from here on Arrow is worth its import
LARGEST_BODY = 32 * 1024 * 1024  # a page of 1000 operations with every field is about 2 MB
MOST_VALUES = 300_000  # such a page has 57,000; unsigned, as anything is until it is read, it could have 16 million
LARGEST_REFUSAL = 1024 * 1024  # bytes of a refusal that are looked through for the platform's words
ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})  # one of these: gzip within gzip unpacks without bounds
LONGEST_MESSAGE = 400
LONGEST_EXCERPT = 4000  # of what answers instead of the platform, tags included
NO_COMMON_TLS = {  # what OpenSSL calls a peer that speaks an older TLS, or none at all
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "WRONG_VERSION_NUMBER",
    "NO_CIPHERS_AVAILABLE",
    "HTTP_REQUEST",
}
SIGNATURE = re.compile(r"(?:[A-Za-z0-9+/]|\\/){86}==")  # base64 of 64 bytes; JSON may escape its slashes


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
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._http = httpx.Client(
            verify=tls_context(),
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            # a proxy of the environment must not see what is meant for this machine
            trust_env=urlsplit(settings.base_url).scheme == "https",
            headers={
                "User-Agent": f"ecommpay-sync/{version('ecommpay-sync')}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def abort(self) -> None:
        """End the requests under way and let none start again: their callers get `Aborted`."""
        self.pace.abort()
        self._hang_up_all()

    def resume(self) -> None:
        """Let requests start again, once all that `abort` ended have come back: another stream may ask."""
        self.pace.resume()

    def call(self, endpoint: str, parameters: Mapping[str, Any], *, expect: str | None) -> Answer:
        """Post to `endpoint` until a verified answer with a list under `expect` comes; None: with whatever content.

        Raises:
            Retryable: it failed every time, until the policy's deadline or count.
            Permanent: the platform refused; asking again is of no use.
        """
        for attempt in attempts(Backoff(self.policy, self.pace)):
            with attempt:
                return self._attempt(endpoint, parameters, expect, attempt.num)
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

    def _attempt(self, endpoint: str, parameters: Mapping[str, Any], expect: str | None, number: int) -> Answer:
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
            sent.log()

    def _answer(self, sent: _Sent, parameters: Mapping[str, Any], expect: str | None) -> Answer:
        endpoint, requested_at = sent.endpoint, self._now()
        status, headers, body = self._post(endpoint, self._signed(parameters))
        sent.status, sent.size = status, len(body)
        if status != httpx.codes.OK:
            raise self._refusal(endpoint, status, headers, body)
        return Answer(
            endpoint=endpoint,
            request=dict(parameters),
            body=body,
            requested_at=requested_at,
            received_at=self._now(),
            server_time=parse_http_date(headers.get("Date")),
            read=self._verified(endpoint, body, expect),
            request_id=sent.request_id,
        )

    def _signed(self, parameters: Mapping[str, Any]) -> bytes:
        unsigned = {"token": self.settings.token.reveal(), **parameters}
        mark = signature.sign(unsigned, self.settings.secret.reveal())
        return orjson.dumps({**unsigned, "signature": mark})

    def _post(self, endpoint: str, content: bytes) -> tuple[int, httpx.Headers, bytes]:
        self.requests_sent += 1
        received, late = bytearray(), threading.Event()
        url, watched = f"{self.settings.base_url}/{endpoint}", {"trace": self._watch}
        try:
            with (
                self._within(LONGEST_ANSWER, late),
                self._http.stream("POST", url, content=content, extensions=watched) as response,
            ):
                self.pace.answered = True
                encoding = response.headers.get("Content-Encoding", "").strip().lower()
                if encoding not in ENCODINGS:
                    raise BrokenBody(f"the answer to {endpoint} is encoded in a way that was not asked for.")
                for chunk in response.iter_bytes():
                    received += chunk
                    if len(received) > LARGEST_BODY:
                        raise BodyTooLarge(
                            f"the answer to {endpoint} is larger than {LARGEST_BODY >> 20} MiB, which no page "
                            "is; it was not read further: check DATA_API_BASE_URL and what answers there."
                        )
                if late.is_set():  # what was hung up can look like an end
                    raise Unreachable(_why_late(endpoint))
                return response.status_code, response.headers, bytes(received)
        except httpx.TransportError as error:
            # a host that takes five minutes is not a wrong address
            self.pace.answered |= isinstance(error, httpx.ReadTimeout)
            if self.pace.aborted:
                raise Aborted(f"the run was stopped during {endpoint}.") from None
            if late.is_set():
                raise Unreachable(_why_late(endpoint)) from None
            if _is_refusal_of_tls(error):
                raise Untrusted(self._why_untrusted(error)) from None
            raise Unreachable(self._why_unreachable(endpoint, error)) from None
        except httpx.DecodingError:
            raise BrokenBody(f"the answer to {endpoint} could not be decompressed.") from None

    @contextmanager
    def _within(self, seconds: float, late: threading.Event) -> Iterator[None]:
        """Hang up after so long: a read timeout ends no answer that comes byte by byte, be it in its headers alone.

        Which connection serves whom is the pool's affair, so all are hung up; the others ask again.
        """

        def end() -> None:
            late.set()
            self._hang_up_all()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hang_up_all(self) -> None:
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _hang_up(connection)

    def _watch(self, event: str, info: dict[str, Any]) -> None:
        """Remember every connection that is made (httpx's `trace`), so that `abort` can end it."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            connection = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._connections.add(connection)
            if self.pace.aborted:
                _hang_up(connection)

    def _why_unreachable(self, endpoint: str, error: httpx.TransportError) -> str:
        host = urlsplit(self.settings.base_url).netloc
        reason = _one_line(self._excerpt(str(error))).rstrip(".") or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"no connection to {host}: {reason} — check DATA_API_BASE_URL, DNS, firewall and proxy."
        return f"the connection to {host} broke during {endpoint}: {reason}."

    def _why_untrusted(self, error: httpx.TransportError) -> str:
        host = urlsplit(self.settings.base_url).netloc
        return (
            f"no trusted connection to {host}: {_one_line(self._excerpt(str(error)))} — nothing was sent: check "
            "DATA_API_BASE_URL, this machine's clock, and the proxy or firewall between; a company's own "
            "certificate authority is trusted when SSL_CERT_FILE names its file."
        )

    def _refusal(self, endpoint: str, status: int, headers: httpx.Headers, body: bytes) -> DataApiError:
        message = _message_in(body, self._excerpt)
        return error_for_status(endpoint, status, message, parse_retry_after(headers.get("Retry-After")))

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
        # a refusal under status 200; of any other body nothing is shown
        if b'"signature"' not in body and len(body) <= LARGEST_REFUSAL:
            document = signature.parsed(body)
            said = _one_line(self._excerpt(str(document.get("message") or "")))
            if said:
                status = f"{document.get('status', 'unknown')!s:.9}"
                return f"{why} — it is not signed at all, and says: {said} (status {status})."
        return f"{why} — a proxy that rewrites bodies, or a secret of another token, does this."

    def _excerpt(self, text: str) -> str:
        """Return the beginning of a foreign text, with token, secret and signatures masked."""
        # masked before it is cut short, so that no part of one is left at the edge
        text = SIGNATURE.sub("****", text[: 50 * LONGEST_EXCERPT])
        for hidden in (self.settings.token, self.settings.secret):
            text = text.replace(hidden.reveal(), "****")
        return text[:LONGEST_EXCERPT]


def _utc_now() -> datetime:
    return datetime.now(UTC)


def tls_context() -> ssl.SSLContext:
    """Return TLS 1.2 or newer with certificates verified."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _is_refusal_of_tls(error: BaseException) -> bool:
    """Whether the handshake failed for what either side is, and not for a connection that broke meanwhile."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, ssl.SSLError) and cause.reason in NO_COMMON_TLS:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _why_late(endpoint: str) -> str:
    return f"the answer to {endpoint} did not end within {LONGEST_ANSWER:.0f} s."


def _hang_up(connection: socket.socket) -> None:
    """End a connection under the thread that reads from it, which merely closing it does not wake."""
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)


def _message_in(body: bytes, excerpt: Callable[[str], str]) -> str:
    """Return the platform's `message`, or what can be shown of a body that is not the platform's."""
    body = body[:LARGEST_REFUSAL]
    try:
        document = orjson.loads(body)
        said = excerpt(str(document.get("message") or document.get("name") or ""))
    except (orjson.JSONDecodeError, AttributeError):
        said = re.sub(r"<[^>]*>", " ", excerpt(body.decode("utf-8", "replace")))
    return _one_line(said) or "(no message)"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return "".join(character if character.isprintable() else "?" for character in line)[:LONGEST_MESSAGE]
