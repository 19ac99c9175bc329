"""Connections that cannot be trusted are told at once, before the token is sent."""

from __future__ import annotations

import select
import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fixtures.client import (
    DATA,
    EMPTY,
    TWICE,
    always,
    api_of,
    balances,
    failure,
    raw,
)
from resources.data_api.errors import (
    Aborted,
    Unreachable,
    Untrusted,
)
from resources.errors import ConfigError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate and its key for 127.0.0.1, signed by nobody: made now, or the one kept for machines without
    `openssl`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return DATA / "self_signed_127_0_0_1.pem"
    file = tmp_path_factory.mktemp("tls") / "self_signed.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=made for a test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:platform.test", "-days", "2"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


def tls_server(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def tls_1_1_at_most(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def test_a_server_with_a_certificate_signed_by_nobody_is_refused_before_it_sees_the_token(certificate, no_proxy):
    with raw(always(200, EMPTY), tls_server(certificate)) as server, api_of(server.url) as api:
        message = failure(Untrusted, api)
        assert api.counts.total == 1, "told at once: no retry makes a certificate valid"
    assert message.startswith(f"no trusted connection to 127.0.0.1:{server.server_port}: ")
    assert "certificate verify failed" in message
    assert "check DATA_API_BASE_URL, this machine's clock" in message
    assert "SSL_CERT_FILE" in message
    assert server.bodies == []


def test_a_server_that_speaks_no_tls_at_all_is_told_at_once(certificate, no_proxy):
    with raw(always(200, EMPTY)) as server, api_of(server.url.replace("http:", "https:")) as api:
        message = failure(Untrusted, api)
        assert api.counts.total == 1
    assert "no trusted connection" in message
    assert server.bodies == []


def test_a_connection_that_breaks_during_the_handshake_is_an_outage_and_asked_again(certificate, no_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with api_of(f"https://127.0.0.1:{listener.getsockname()[1]}/v1", policy=TWICE) as api:
            failure(Unreachable, api)
            assert api.counts.total == 2
        listener.shutdown(socket.SHUT_RDWR)


def test_a_company_may_have_its_own_certificate_trusted_as_openssl_programs_do(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_server(certificate)) as server, api_of(server.url) as api:
        assert balances(api).body == EMPTY


def test_a_trusted_certificate_of_another_name_is_refused(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_server(certificate)) as server:
        with api_of(f"https://localhost:{server.server_port}/v1") as api:
            message = failure(Untrusted, api)
        assert "localhost" in message
        assert server.bodies == []


def test_a_server_that_knows_no_newer_tls_than_1_1_is_refused(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_1_1_at_most(tls_server(certificate))) as server:
        with api_of(server.url) as api:
            message = failure(Untrusted, api)
        assert message.startswith(f"no trusted connection to 127.0.0.1:{server.server_port}: ")
        assert "protocol version" in message.lower() or "unsupported protocol" in message.lower()
        assert server.bodies == []
        lax = tls_1_1_at_most(ssl.create_default_context())
        with (
            socket.create_connection(("127.0.0.1", server.server_port)) as plain,
            lax.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.version() == "TLSv1.1", "it would have answered somebody less careful"


def test_a_stopped_run_hangs_up_on_an_encrypted_connection_too(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    asked = threading.Event()

    def answer(request, number):
        asked.set()
        request.server.ended.wait(20)

    with (
        raw(answer, tls_server(certificate)) as server,
        api_of(server.url) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(balances, api)
        assert asked.wait(5)
        api.stop()
        assert isinstance(waiting.exception(timeout=5), Aborted)


class Proxy(BaseHTTPRequestHandler):
    """Opens a tunnel to one server, whatever host it is asked for."""

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.target)) as tunnel:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: tunnel, tunnel: self.connection}
            while all(self.copy(end, ends[end]) for end in select.select(list(ends), [], [], 10)[0]):
                pass
        self.close_connection = True

    def copy(self, source: socket.socket, target: socket.socket) -> bool:
        data = source.recv(65_536)
        target.sendall(data)
        return bool(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxy_to(port: int) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.asked, server.target = [], port
    thread = threading.Thread(target=server.serve_forever, args=[0.005], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_b15_loading_and_doctor_go_the_same_way_through_a_proxy(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with (
        raw(always(200, EMPTY), tls_server(certificate)) as server,
        proxy_to(server.server_port) as proxy,
    ):
        server.RequestHandlerClass.do_GET = lambda request: request.reply(405, b"")
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.server_port}")
        try:
            with api_of("https://platform.test/v1") as api:
                assert balances(api).body == EMPTY
                reached = api.client.probe()
        finally:
            del server.RequestHandlerClass.do_GET
    assert reached == "platform.test answers, TLSv1.3, certificate verified, through the proxy 127.0.0.1"
    assert set(proxy.asked) == {"platform.test:443"}


def test_a_proxy_that_cannot_be_used_is_told_before_anything_is_sent(certificate, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    with pytest.raises(ConfigError, match=r"^ALL_PROXY names a proxy of the kind socks5h"), api_of("https://a.test/v1"):
        pass
