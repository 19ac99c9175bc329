"""What the tests of the client share: calls, failures, and a server for what no sandbox does."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resources.data_api.endpoints import DataApi
from resources.data_api.errors import (
    DataApiError,
)
from resources.data_api.retry import RetryPolicy
from resources.sandbox import (
    DEMO_SECRET,
    SandboxServer,
)
from resources.sandbox.signing import sign
from support import client_of

DATA = Path(__file__).parent / "data"
NOW = "2024-04-01T00:00:00"
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
LAST = datetime(2024, 3, 10, 23, 59, 59, tzinfo=UTC)
TWICE = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.01)
ROWS = [({"operation_id": str(number)}, f"2024-03-05 12:00:{number:02}") for number in range(1, 41)]


@contextmanager
def api_of(url: str, *arguments, **options) -> Iterator[DataApi]:
    """The endpoints over a client of a sandbox, quick to ask again."""
    with client_of(url, *arguments, **options) as client:
        yield DataApi(client)


def operations(api: DataApi, **options):
    return api.operations(FIRST, LAST, **{"offset": 0, **options})


def balances(api: DataApi):
    return api.balances()


def ids(answer) -> list[str]:
    return [row["operation_id"] for row in answer.document["operations"]]


def true_ids(sandbox: SandboxServer) -> list[str]:
    return [row["operation_id"] for row in sandbox.world.truth(None, None, None)]


def failure(kind: type[DataApiError], api: DataApi, call=balances) -> str:
    """The message of a call's failure: one line, and a traceback without the library's own errors."""
    with pytest.raises(DataApiError) as caught:
        call(api)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message.isprintable(), "one line, without control characters"
    assert len(message) < 800
    whole = "".join(traceback.format_exception(caught.value))
    assert "During handling" not in whole
    assert "direct cause" not in whole
    return message


# A server for what no sandbox does: each test says what it answers


class Raw(ThreadingHTTPServer):
    """Answers what it is told to, and keeps what it was sent."""

    def __init__(self, answer, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), RawHandler)
        self.answer = answer
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.paths: list[str] = []
        self.received: list[datetime] = []
        self.ended = threading.Event()
        self.scheme = "http"
        if context is not None:
            self.scheme = "https"
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is what some tests are about."""


class RawHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Raw

    def do_POST(self) -> None:
        self.server.received.append(datetime.now(UTC))
        self.server.paths.append(self.path)
        self.server.headers.append(dict(self.headers))
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.close_connection = True
        self.server.answer(self, len(self.server.bodies))

    def reply(self, status: int, body: bytes | str | dict, **headers: str) -> None:
        if isinstance(body, dict):
            body = json.dumps(body)
        content = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def raw(answer, context: ssl.SSLContext | None = None) -> Iterator[Raw]:
    """A server whose `answer` gets the handler and the number of the request."""
    server = Raw(answer, context)
    thread = threading.Thread(target=server.serve_forever, args=[0.005], daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


def always(status: int, body: bytes | str | dict, **headers: str):
    return lambda request, number: request.reply(status, body, **headers)


def signed(document: dict, **dumps_options) -> bytes:
    return json.dumps({**document, "signature": sign(document, DEMO_SECRET)}, **dumps_options).encode()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


EMPTY = signed({"balance": []})
