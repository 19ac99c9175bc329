"""One HTTP exchange: TLS, proxy, time, size, connections that can be ended. What is sent, and means, is in `client`.

No body is ever logged. TLS and proxy follow the same rules for every connection over HTTP that we make.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import certifi
import httpx

from resources.data_api.errors import Aborted, BodyTooLarge, BrokenBody, Redactor, Unreachable, Untrusted
from resources.data_api.pace import Pace
from resources.errors import ConfigError
from resources.values import is_loopback

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 330.0  # an answer may take five minutes (API: "Interaction concepts")
LONGEST_ANSWER = 2 * READ_TIMEOUT
LARGEST_BODY = 32 * 1024 * 1024  # a page of 1000 operations with every field is about 2 MB
ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})  # one of these: gzip within gzip unpacks without bounds
NO_COMMON_TLS = {  # what OpenSSL calls a peer that speaks an older TLS, or none at all
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "WRONG_VERSION_NUMBER",
    "NO_CIPHERS_AVAILABLE",
    "HTTP_REQUEST",
}
PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")  # the first that is set
EXCEPTIONS = ("no_proxy", "NO_PROXY")


@dataclass(frozen=True)
class Received:
    """What came back, whoever sent it: nothing of it is verified yet."""

    status: int
    headers: httpx.Headers
    body: bytes = field(repr=False)  # personal data


class Transport:
    """Posts bodies to one platform; safe to use from several threads. `pace` learns that the host answers."""

    def __init__(self, base_url: str, pace: Pace, redactor: Redactor) -> None:
        self._base_url = base_url
        self._host = urlsplit(base_url).netloc
        self._pace = pace
        self._redactor = redactor
        self._proxy = proxy_for(base_url)
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._lock = threading.Lock()
        self._http = httpx.Client(
            verify=tls_context(base_url),
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            follow_redirects=False,
            proxy=self._proxy,
            trust_env=False,  # `proxy_for` has read what of it concerns us
            headers={
                "User-Agent": f"ecommpay-sync/{version('ecommpay-sync')}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "gzip, deflate",
            },
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def hang_up(self) -> None:
        """End all requests under way; those of a stopped run end whenever their connection is made, too."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _hang_up(connection)

    def post(self, endpoint: str, content: bytes, stopped: threading.Event) -> Received:
        """Send one body and return the whole answer, unless the run is `stopped` meanwhile.

        Raises:
            Unreachable, BrokenBody: it did not come, or not whole.
            Untrusted: the other side is not who it should be; nothing was sent.
            BodyTooLarge: it is larger than any page.
            Aborted: the run was stopped meanwhile.
        """
        with self._exchange("POST", endpoint, stopped, content) as (response, late):
            body = _whole_body(endpoint, response)
            if late.is_set():  # what was hung up can look like an end
                raise Unreachable(_why_late(endpoint))
            return Received(response.status_code, response.headers, body)

    def probe(self) -> str:
        """Send a request without token or signature, whatever it is answered; return how the host is reached.

        Raises:
            Unreachable, Untrusted: it is not.
        """
        with self._exchange("GET", "balance/get", threading.Event()) as (response, _):
            tls = response.extensions["network_stream"].get_extra_info("ssl_object")
            how = f"{tls.version()}, certificate verified" if tls else "without TLS (a loopback address)"
            way = f", through the proxy {httpx.URL(self._proxy).host}" if self._proxy else ""
            return f"{self._host} answers, {how}{way}"

    @contextmanager
    def _exchange(
        self, method: str, endpoint: str, stopped: threading.Event, content: bytes | None = None
    ) -> Iterator[tuple[httpx.Response, threading.Event]]:
        """Send a request and yield its response, and the event of its being late; explain what goes wrong."""
        url, late = f"{self._base_url}/{endpoint}", threading.Event()
        watch = {"trace": partial(self._watch, stopped)}
        try:
            with (
                self._within(LONGEST_ANSWER, late),
                self._http.stream(method, url, content=content, extensions=watch) as response,
            ):
                self._pace.answered = True
                yield response, late
        except httpx.TransportError as error:
            # a host that takes five minutes is not a wrong address
            self._pace.answered |= isinstance(error, httpx.ReadTimeout)
            if stopped.is_set():
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
            self.hang_up()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _watch(self, stopped: threading.Event, event: str, info: dict[str, Any]) -> None:
        """Remember every connection that is made (httpx's `trace`), so that `hang_up` can end it."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            connection = info["return_value"].get_extra_info("socket")
            with self._lock:
                self._connections.add(connection)
            if stopped.is_set():
                _hang_up(connection)

    def _why_unreachable(self, endpoint: str, error: httpx.TransportError) -> str:
        reason = self._redactor.line(str(error)).rstrip(".") or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return f"no connection to {self._host}: {reason} — check DATA_API_BASE_URL, DNS, firewall and proxy."
        return f"the connection to {self._host} broke during {endpoint}: {reason}."

    def _why_untrusted(self, error: httpx.TransportError) -> str:
        return (
            f"no trusted connection to {self._host}: {self._redactor.line(str(error))} — nothing was sent: check "
            "DATA_API_BASE_URL, this machine's clock, and the proxy or firewall between; a company's own "
            "certificate authority is trusted when SSL_CERT_FILE names its file."
        )


def tls_context(url: str = "https://") -> ssl.SSLContext:
    """Return TLS 1.2 or newer with certificates verified.

    Reading the certificates of all authorities takes a tenth of a second: for plain HTTP none is trusted.

    Raises:
        ConfigError: SSLKEYLOGFILE, which Python obeys, cannot be written.
    """
    if url.startswith("http://"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context = ssl.create_default_context()
    except OSError as error:
        raise ConfigError(f"SSLKEYLOGFILE cannot be written: {error.filename}: {error.strerror}: unset it.") from None
    context.load_verify_locations(certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the proxy that leads to an https URL; None: no proxy. Never one between us and this machine.

    Raises:
        ConfigError: the variable that applies cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    name, proxy = _first(PROXIES, environment)
    if not proxy or parts.scheme != "https" or is_loopback(host) or _is_exception(host, environment):
        return None
    return _checked_proxy(name, proxy)


def _whole_body(endpoint: str, response: httpx.Response) -> bytes:
    """Read the body, but not beyond what a page can hold."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise BrokenBody(f"the answer to {endpoint} is encoded in a way that was not asked for.")
    received = bytearray()
    for chunk in response.iter_bytes():
        received += chunk
        if len(received) > LARGEST_BODY:
            raise BodyTooLarge(
                f"the answer to {endpoint} is larger than {LARGEST_BODY >> 20} MiB, which no page "
                "is; it was not read further: check DATA_API_BASE_URL and what answers there."
            )
    return bytes(received)


def _why_late(endpoint: str) -> str:
    return f"the answer to {endpoint} did not end within {LONGEST_ANSWER:.0f} s."


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


def _hang_up(connection: socket.socket) -> None:
    """End a connection under the thread that reads from it, which merely closing it does not wake."""
    with suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, str]:
    return next(((name, environment[name]) for name in names if environment.get(name)), ("", ""))


def _checked_proxy(name: str, proxy: str) -> str:
    # the value may hold a password, so no message shows it
    if not re.fullmatch(r"[\x21-\x7e]+", proxy):
        raise ConfigError(f"{name} holds a space, a line break or another character that no URL has: write it again.")
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigError(f"{name} is not the URL of a proxy: write http://host:port.")
    if parts.scheme not in {"http", "https"}:
        raise ConfigError(
            f"{name} names a proxy of the kind {parts.scheme}, which is not supported: write http://host:port, or "
            "name the hosts that need no proxy in NO_PROXY."
        )
    return url


def _is_exception(host: str, environment: Mapping[str, str]) -> bool:
    name, text = _first(EXCEPTIONS, environment)
    entries = [entry for entry in re.split(r"[,\s]+", text.lower()) if entry]
    covering = [entry for entry in entries if _covers(name, entry, host)]  # of all, so that each is checked
    return bool(covering)


def _covers(name: str, entry: str, host: str) -> bool:
    """Whether an entry of NO_PROXY means a host: a name and all below it, an address, a network, or `*`."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise ConfigError(f"{name} has {entry!r}, which is no network: write it as 10.0.0.0/8.") from None
        address = _address(host)
        return address is not None and address in network
    if entry.count(":") == 1 or entry.startswith("["):
        entry = re.sub(r":\d+$", "", entry).strip("[]")
    if (address := _address(entry)) is not None:
        return address == _address(host)
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
