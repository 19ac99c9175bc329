"""One call of the Data API over real HTTP: signed, verified, asked again or refused, and never telling a secret."""

from __future__ import annotations

import gzip
import json
import logging
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

from resources.data_api import client as client_module
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import (
    Aborted,
    BadRequest,
    BadSignature,
    BodyTooLarge,
    BrokenBody,
    DataApiError,
    Permanent,
    RateLimited,
    Redirected,
    Retryable,
    ServerError,
    Unauthorized,
    Unreachable,
    Untrusted,
)
from resources.data_api.retry import RetryPolicy
from resources.errors import ConfigError
from resources.sandbox import (
    DEMO_SECRET,
    DEMO_TOKEN,
    Account,
    Balance,
    Behaviour,
    Fraud,
    SandboxServer,
    World,
)
from resources.sandbox.signing import sign, verify
from support import QUICK, client_of

DATA = Path(__file__).parents[1] / "data"
NOW = "2024-04-01T00:00:00"
FIRST = datetime(2024, 3, 1, tzinfo=UTC)
LAST = datetime(2024, 3, 10, 23, 59, 59, tzinfo=UTC)
TWICE = RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.01)
ROWS = [({"operation_id": str(number)}, f"2024-03-05 12:00:{number:02}") for number in range(1, 41)]


@pytest.fixture(autouse=True)
def no_certificates(request, monkeypatch):
    """Reading all certificates of the machine takes longer than most tests; those about TLS do it."""
    if "certificate" not in request.fixturenames:
        bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        monkeypatch.setattr(client_module, "tls_context", lambda: bare)


@pytest.fixture
def sandbox():
    world = World.of(ROWS, now=NOW)
    world.balances = [Balance("one", "EUR", 198, 100), Balance("another", "JPY", 198, -5)]
    with SandboxServer(world) as server:
        yield server


@pytest.fixture
def client(sandbox):
    with client_of(sandbox.url) as made:
        yield made


def operations(client: Client, **options):
    return DataApi(client).operations(FIRST, LAST, **{"offset": 0, **options})


def balances(client: Client):
    return DataApi(client).balances()


def ids(answer) -> list[str]:
    return [row["operation_id"] for row in answer.document["operations"]]


def true_ids(sandbox: SandboxServer) -> list[str]:
    return [row["operation_id"] for row in sandbox.world.truth(None, None, None)]


def failure(kind: type[DataApiError], client: Client, call=balances) -> str:
    """The message of a call's failure: one line, and a traceback without the library's own errors."""
    with pytest.raises(DataApiError) as caught:
        call(client)
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


# The endpoints, as the platform sees them


def test_operations_asks_for_an_interval_of_utc_seconds_and_for_nothing_it_was_not_told_to(sandbox, client):
    answer = operations(client, offset=3)
    assert ids(answer) == true_ids(sandbox)[3:]
    assert sandbox.requests[0].endpoint == "operations/get"
    assert sandbox.requests[0].params == {
        "interval": {"from": "2024-03-01 00:00:00", "to": "2024-03-10 23:59:59"},
        "tz": "UTC",
        "limit": 1000,
        "offset": 3,
    }


def test_operations_sends_projects_as_a_list_of_integers_and_fields_by_name(sandbox, client):
    fields = ("operation_id", "sum_initial.amount", "customer_email")
    answer = operations(client, limit=7, project_ids=(198,), fields=fields)
    assert sandbox.requests[0].params == {
        "interval": {"from": "2024-03-01 00:00:00", "to": "2024-03-10 23:59:59"},
        "tz": "UTC",
        "limit": 7,
        "offset": 0,
        "project_id": [198],
        "fields": ["operation_id", "sum_initial.amount", "customer_email"],
    }
    assert len(answer.document["operations"]) == 7


def test_a_moment_of_another_zone_is_sent_as_the_same_moment_in_utc(sandbox, client):
    tokyo = timezone(timedelta(hours=9))
    DataApi(client).operations(
        datetime(2024, 3, 5, 21, 0, 2, tzinfo=tokyo), datetime(2024, 3, 5, 21, 0, 4, 999_999, tzinfo=tokyo), offset=0
    )
    assert sandbox.requests[0].params["interval"] == {"from": "2024-03-05 12:00:02", "to": "2024-03-05 12:00:04"}
    assert sandbox.requests[0].params["tz"] == "UTC", "the account's own zone is Tokyo; its dashboard does not matter"


def test_balances_asks_without_parameters(sandbox, client):
    answer = balances(client)
    assert answer.document["balance"] == [{"name": "one", "EUR": "100"}, {"name": "another", "JPY": "-5"}]
    assert [(request.endpoint, request.params) for request in sandbox.requests] == [("balance/get", {})]


def test_operations_by_payment_asks_for_the_payment_alone(sandbox, client):
    sandbox.world.add({"operation_id": "77", "payment_id": "INV/2026/ключ:1"}, "2024-03-06 00:00:00")
    answer = DataApi(client).operations_by_payment("INV/2026/ключ:1")
    assert ids(answer) == ["77"]
    request = sandbox.requests[0]
    assert (request.endpoint, request.params) == ("operations/get-by-payment", {"payment_id": "INV/2026/ключ:1"})


def test_fraud_asks_for_reports_by_the_time_they_were_received(sandbox, client):
    times = ["2024-02-29 23:59:59", "2024-03-01 00:00:00", "2024-03-10 23:59:59", "2024-03-11 00:00:00"]
    sandbox.world.frauds = [Fraud.told(operation_id=number, received_on=text) for number, text in enumerate(times)]
    answer = DataApi(client).fraud(FIRST, LAST, offset=0, limit=5)
    assert ids(answer) == [2, 1]
    request = sandbox.requests[0]
    assert request.endpoint == "fraud/list"
    assert request.params == {
        "filter": {"received_on": ["2024-03-01 00:00:00", "2024-03-10 23:59:59"]},
        "pagination": {"limit": 5, "offset": 0},
    }


# The request on the wire, and the answer


def test_a_request_is_signed_json_by_post_and_says_who_asks(sandbox):
    with raw(always(200, EMPTY)) as server, client_of(server.url) as client:
        balances(client)
    assert server.paths == ["/v1/balance/get"]
    headers = {name.lower(): value for name, value in server.headers[0].items()}
    assert headers["user-agent"] == f"ecommpay-sync/{version('ecommpay-sync')}"
    assert headers["content-type"] == headers["accept"] == "application/json"
    sent = json.loads(server.bodies[0])
    assert sent.keys() == {"token", "signature"}
    assert sent["token"] == DEMO_TOKEN
    assert verify(sent, DEMO_SECRET)
    assert DEMO_SECRET.encode() not in server.bodies[0]
    assert DEMO_TOKEN not in str(server.headers + server.paths), "a token belongs into no access log"


def test_an_answer_keeps_the_body_the_platform_signed_and_when_it_was_asked_for(sandbox, client):
    before = datetime.now(UTC)
    answer = operations(client)
    after = datetime.now(UTC)
    assert verify(json.loads(answer.body), DEMO_SECRET)
    assert json.loads(answer.body) == answer.document
    assert answer.endpoint == "operations/get"
    assert answer.request == sandbox.requests[0].params, "without token and signature"
    assert before <= answer.requested_at <= answer.received_at <= after
    assert abs(answer.server_time - after) < timedelta(seconds=2)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", datetime(2015, 10, 21, 7, 28, tzinfo=UTC)),
        ("Wed, 21 Oct 2015 07:28:00 -0000", datetime(2015, 10, 21, 7, 28, tzinfo=UTC)),
        ("yesterday", None),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
    ],
)
def test_the_platforms_clock_is_read_with_its_zone_or_left_out(date, expected):
    def answer(request, number):
        request.date_time_string = lambda: date
        request.reply(200, EMPTY)

    with raw(answer) as server, client_of(server.url) as client:
        assert balances(client).server_time == expected


@pytest.mark.parametrize("behaviour", [Behaviour(chunked=True), Behaviour(prefix="/another/brand/v1")], ids=str)
def test_a_chunked_answer_or_another_brands_prefix_make_no_difference(behaviour):
    with SandboxServer(World.of(ROWS, now=NOW), behaviour=behaviour) as sandbox, client_of(sandbox.url) as client:
        assert ids(operations(client)) == true_ids(sandbox)


def test_a_compressed_answer_is_read():
    with raw(always(200, gzip.compress(EMPTY), Content_Encoding="gzip")) as server, client_of(server.url) as client:
        assert balances(client).body == EMPTY


def test_a_client_may_be_used_by_many_threads_at_once(sandbox, client):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda offset: operations(client, offset=offset), range(40)))
    assert [len(ids(answer)) for answer in answers] == list(range(40, 0, -1))
    assert client.requests_sent == sandbox.request_count == 40


def test_a_proxy_of_the_environment_is_not_told_what_is_meant_for_this_machine(sandbox, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with client_of(sandbox.url) as client:
        assert ids(operations(client)) == true_ids(sandbox)


# Refusals: the type, the exit code, the platform's own words, and what to check


@pytest.mark.parametrize(
    ("status", "kind", "exit_code", "check"),
    [
        (400, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (401, Unauthorized, 2, "check DATA_API_TOKEN and DATA_API_SECRET"),
        (403, Unauthorized, 2, "check DATA_API_TOKEN and DATA_API_SECRET"),
        (404, BadRequest, 2, "check DATA_API_BASE_URL (it ends in /v1"),
        (405, BadRequest, 2, "check DATA_API_BASE_URL (it ends in /v1"),
        (408, ServerError, 1, "an error of the platform"),
        (418, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (422, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (429, RateLimited, 1, "too many requests"),
        (301, Redirected, 2, "redirects are not followed: check DATA_API_BASE_URL"),
        (304, Redirected, 2, "redirects are not followed: check DATA_API_BASE_URL"),
        (500, ServerError, 1, "an error of the platform"),
        (503, ServerError, 1, "an error of the platform"),
        (599, ServerError, 1, "an error of the platform"),
        (206, ServerError, 1, "an error of the platform"),
    ],
)
def test_a_status_gives_an_error_that_says_what_the_platform_said_and_what_to_check(status, kind, exit_code, check):
    body = {"name": "Any", "message": "You have no access to project_id = 22", "code": 0, "status": status}
    if status == 304:
        body = ""  # by definition without a body
    with raw(always(status, body)) as server, client_of(server.url, policy=TWICE) as client:
        message = failure(kind, client)
    said = "You have no access to project_id = 22" if body else "(no message)"
    assert message.startswith(f"the platform answered {status} to balance/get: {said} — ")
    assert check in message
    assert kind.exit_code == exit_code
    assert issubclass(kind, ConfigError) == (exit_code == 2)
    assert len(server.bodies) == (2 if issubclass(kind, Retryable) else 1)


def test_what_a_person_has_to_change_first_is_never_asked_again():
    world = World.of(ROWS, now=NOW)
    refused = [
        ("x" * 30, DEMO_SECRET, {}, 401, Unauthorized, "Token is wrong, deactivated or replaced"),
        (DEMO_TOKEN, "another secret", {}, 401, Unauthorized, "Signature is wrong"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 401, Unauthorized, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 403, Unauthorized, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 400, BadRequest, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"fields": ["nonsense"]}, 400, BadRequest, "Unknown field: nonsense"),
        (DEMO_TOKEN, DEMO_SECRET, {"limit": 1001}, 400, BadRequest, "limit must be an integer from 1 to 1000"),
    ]
    for token, secret, options, status, kind, said in refused:
        behaviour = Behaviour(no_access_status=status)
        with (
            SandboxServer(world, accounts=[Account(projects=[198])], behaviour=behaviour) as sandbox,
            client_of(sandbox.url, token, secret) as client,
        ):
            message = failure(kind, client, lambda client, options=options: operations(client, **options))
            assert message.startswith(f"the platform answered {status} to operations/get: {said}")
            assert (sandbox.request_count, client.requests_sent) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_signed_body_goes_nowhere_else(status):
    with raw(always(200, EMPTY)) as elsewhere:
        location = f"{elsewhere.url}/balance/get"
        with raw(always(status, "", Location=location)) as server, client_of(server.url) as client:
            failure(Redirected, client)
        assert len(server.bodies) == 1
        assert elsewhere.bodies == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "Authorization Required", "code": 0, "status": 401}, "Authorization Required"),
        ({"message": None, "name": "Only a name"}, "Only a name"),
        ({"message": {"why": ["nested"]}}, "{'why': ['nested']}"),
        ({}, "(no message)"),
        ("", "(no message)"),
        ("[]", "[]"),
        ("null", "null"),
        ('"just text"', '"just text"'),
        ('{"message": "cut of', '{"message": "cut of'),
        ("<html><body>\r\n<h1>401 Authorization\tRequired</h1></body>", "401 Authorization Required"),
        (b"\xff\xfe\x00", "???"),
        ({"message": "two\nlines \x1b[31mred\x07 \u202ebackwards"}, "two lines ?[31mred? ?backwards"),
        ({"message": "x" * 5_000}, "x" * 400),
        ("[" * 100_000, "[" * 400),
        ("<" * 100_000, "<" * 400),
    ],
    ids=lambda value: str(value)[:20],
)
def test_whatever_stands_in_a_refusal_its_words_come_out_in_one_short_line(body, said):
    with raw(always(401, body)) as server, client_of(server.url) as client:
        message = failure(Unauthorized, client)
    shown = message.removeprefix("the platform answered 401 to balance/get: ").partition(" — check DATA_API_TOKEN")[0]
    assert shown.replace("\ufffd", "?") == said


# Asked again


@pytest.mark.parametrize(
    "fault",
    [
        *("cut", "cut_chunked", "broken_json", "http_500", "html_502", "http_429_bare"),
        *("tampered_value", "tampered_key", "tampered_drop", "tampered_swap"),
        *("wrong_signature", "missing_signature"),
    ],
)
def test_what_passes_is_asked_again_until_the_true_answer_comes(sandbox, client, fault):
    sandbox.faults.next(fault, times=3)
    answer = operations(client)
    assert ids(answer) == true_ids(sandbox)
    assert verify(answer.document, DEMO_SECRET)
    assert sandbox.faults.counts[fault] == 3
    assert (sandbox.request_count, client.requests_sent) == (4, 4)


def test_all_faults_one_after_another_are_survived_within_one_call(sandbox, client):
    faults = ["cut", "http_500", "wrong_signature", "html_502", "cut_chunked", "broken_json", "tampered_swap"]
    sandbox.faults.set_script(faults)
    assert ids(operations(client)) == true_ids(sandbox)
    assert sandbox.request_count == len(faults) + 1


def test_a_platform_that_comes_up_while_it_is_asked_is_found():
    port = free_port()
    late = SandboxServer(World.of(ROWS, now=NOW), port=port)
    policy = RetryPolicy(first_wait=0.02, longest_wait=0.02, never_answered_deadline=10.0)
    timer = threading.Timer(0.2, late.start)
    timer.start()
    try:
        with client_of(f"http://127.0.0.1:{port}/v1", policy=policy) as client:
            assert ids(operations(client)) == true_ids(late)
            assert client.requests_sent > 1
    finally:
        timer.join()
        late.stop()


def test_a_server_that_hangs_up_without_a_word_or_talks_nonsense_is_asked_again():
    def answer(request, number):
        if number == 2:
            request.wfile.write(b"220 mail.example.com ESMTP\r\n\r\n")
        elif number == 3:
            request.reply(200, b"no gzip", Content_Encoding="gzip")
        elif number > 3:
            request.reply(200, EMPTY)

    with raw(answer) as server, client_of(server.url) as client:
        assert balances(client).body == EMPTY
    assert len(server.bodies) == 4


@pytest.mark.parametrize("told", [("http_429", 1), ("http_429_date", 0.4)], ids=["in seconds", "as a date"])
def test_a_429_is_waited_for_as_long_as_it_asks(sandbox, client, told):
    sandbox.faults.next(told)
    start = time.monotonic()
    assert ids(operations(client)) == true_ids(sandbox)
    assert told[1] <= time.monotonic() - start < told[1] + 2.0
    assert [request.status for request in sandbox.requests] == [429, 200]


def test_a_429_that_names_no_time_is_asked_again_after_our_own_wait(sandbox, client):
    sandbox.faults.next("http_429_bare", times=2)
    start = time.monotonic()
    assert ids(operations(client)) == true_ids(sandbox)
    assert time.monotonic() - start < 1.0


def test_a_429_to_one_worker_makes_the_others_wait_too(sandbox, client):
    sandbox.faults.next(("http_429", 1))
    with ThreadPoolExecutor(4) as pool:
        refused = pool.submit(operations, client)
        until = time.monotonic() + 5
        while not sandbox.request_count and time.monotonic() < until:
            time.sleep(0.005)
        told_at = sandbox.requests[0].at
        time.sleep(0.05)  # for the answer to arrive
        others = [pool.submit(balances, client) for _ in range(3)]
        assert ids(refused.result()) == true_ids(sandbox)
        assert all(other.result().document["balance"] for other in others)
    assert [request.status for request in sandbox.requests] == [429, 200, 200, 200, 200]
    assert min(request.at for request in sandbox.requests[1:]) - told_at >= 1.0


@pytest.mark.parametrize("told", ["3600", "date"])
def test_a_429_that_asks_for_more_than_the_deadline_is_given_up_at_once_in_the_platforms_words(told):
    due = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answer = always(429, {"message": "Come back in an hour"}, Retry_After=due if told == "date" else told)
    with raw(answer) as server, client_of(server.url) as client:
        start = time.monotonic()
        message = failure(RateLimited, client)
        assert "the platform answered 429 to balance/get: Come back in an hour" in message
        assert re.search(r"it asks to wait (3600|3599) s$", message), "or why it was given up at once is not told"
        failure(RateLimited, client)
        assert time.monotonic() - start < 2.0, "the next call is not held up either: it hears it from the platform"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_platform_that_says_when_to_come_back_is_waited_for_as_long(status):
    def answer(request, number):
        if number == 1:
            request.reply(status, b"{}", Retry_After="1")
        else:
            request.reply(200, EMPTY)

    with raw(answer) as server, client_of(server.url) as client:
        start = time.monotonic()
        assert balances(client).body == EMPTY
        assert 1.0 <= time.monotonic() - start < 5.0
    assert len(server.bodies) == 2


def test_a_503_that_asks_for_more_than_the_deadline_is_given_up_at_once():
    answer = always(503, {"message": "Maintenance until tomorrow"}, Retry_After="3600")
    with raw(answer) as server, client_of(server.url) as client:
        assert "503 to balance/get: Maintenance until tomorrow" in failure(ServerError, client)
    assert len(server.bodies) == 1


class Nonce(Mapping):
    """Parameters that differ each time they are read."""

    def __init__(self) -> None:
        self.reads = 0

    def __getitem__(self, key):
        self.reads += 1
        return f"read {self.reads}"

    def __iter__(self):
        return iter(["nonce"])

    def __len__(self):
        return 1


def test_every_attempt_is_signed_anew_and_stamped_with_its_own_time():
    def answer(request, number):
        time.sleep(0.05)
        request.reply(500 if number < 3 else 200, EMPTY)

    with raw(answer) as server, client_of(server.url) as client:
        got = client.call("balance/get", Nonce(), expect="balance")
    sent = [json.loads(body) for body in server.bodies]
    assert len(sent) == len({one["nonce"] for one in sent}) == len({one["signature"] for one in sent}) == 3
    assert all(verify(one, DEMO_SECRET) for one in sent)
    assert server.received[1] + timedelta(seconds=0.05) <= got.requested_at <= server.received[2]
    assert got.received_at >= got.requested_at + timedelta(seconds=0.05)


# Given up


def test_a_host_that_never_answered_is_given_up_early_with_what_to_check():
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=30.0, never_answered_deadline=0.2)
    port = free_port()
    with client_of(f"http://127.0.0.1:{port}/v1", policy=policy) as client:
        start = time.monotonic()
        message = failure(Unreachable, client)
        assert 0.1 < time.monotonic() - start < 2.0
        assert client.requests_sent > 1
    assert message.startswith(f"no connection to 127.0.0.1:{port}: ")
    assert message.endswith("check DATA_API_BASE_URL, DNS, firewall and proxy.")


def test_a_host_that_has_answered_gets_the_whole_deadline():
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=0.3, never_answered_deadline=0.05)
    with SandboxServer(World.of(ROWS, now=NOW)) as sandbox, client_of(sandbox.url, policy=policy) as client:
        operations(client)
        sandbox.stop()
        start = time.monotonic()
        failure(Unreachable, client, operations)
        assert 0.2 < time.monotonic() - start < 2.0


@pytest.mark.parametrize("fault", ["cut", "cut_chunked"])
def test_half_an_answer_shows_that_the_host_is_there(sandbox, fault):
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=0.25, never_answered_deadline=0.05)
    sandbox.faults.always(fault)
    with client_of(sandbox.url, policy=policy) as client:
        start = time.monotonic()
        message = failure(Unreachable, client, operations)
        assert 0.2 < time.monotonic() - start < 2.0
    assert "broke during operations/get" in message
    assert ".." not in message


@pytest.mark.parametrize(
    "fault",
    [
        *("tampered_value", "tampered_key", "tampered_drop", "tampered_swap"),
        *("wrong_signature", "missing_signature"),
    ],
)
def test_an_answer_that_is_never_signed_right_is_refused_after_a_few_times_and_nothing_of_it_is_used(
    sandbox, client, fault
):
    sandbox.faults.always(fault)
    message = failure(BadSignature, client, operations)
    assert "does not carry the platform's signature over its content; nothing of it was used" in message
    assert sandbox.request_count == QUICK.bad_signature_attempts == 5


def test_an_answer_signed_with_another_tokens_secret_is_refused():
    document = {"balance": [{"name": "one", "EUR": "100"}]}
    body = json.dumps({**document, "signature": sign(document, "the secret of somebody else")})
    with raw(always(200, body)) as server, client_of(server.url) as client:
        assert "a secret of another token" in failure(BadSignature, client)
    assert len(server.bodies) == 5


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON in UTF-8"),
        (b"   ", "not JSON in UTF-8"),
        (b'{"balance": [', "not JSON in UTF-8"),
        (b"<html>ok</html>", "not JSON in UTF-8"),
        (b'{"balance": ["\xff"]}', "not JSON in UTF-8"),
        ('{"balance": []}'.encode("utf-16"), "not JSON in UTF-8"),
        (b'{"balance": [NaN]}', "not JSON in UTF-8"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (signed({"operations": []}), "has no list `balance`"),
        (signed({"balance": {"0": "a"}}), "has no list `balance`"),
        (signed({"balance": None}), "has no list `balance`"),
        (b'{"balance":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "depth limit exceeded"),
        (b'{"balance":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "depth limit exceeded"),
        (b'{"balance":' + b"[" * 10_000, "not JSON in UTF-8"),
        (b'{"balance":' + b"[" * 1_000 + b"1" + b"]" * 1_000 + b"}", "nested too deeply"),
        (b'{"balance":' + b"[" * 100 + b"1" + b"]" * 100 + b"}", "nested deeper than 64 levels"),
        (b'{"balance": [' + b"9" * 5_000 + b"]}", "not JSON in UTF-8 (number is infinity"),
        (b'{"balance": [1e-99999999999999999999]}', "number that cannot be read"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_answer_is_asked_for_again_and_then_told_apart(body, told):
    with raw(always(200, body)) as server, client_of(server.url, policy=TWICE) as client:
        message = failure(BrokenBody, client)
        assert len(server.bodies) == 2
    assert "balance/get" in message
    assert told in message


def test_a_deeply_nested_refusal_is_a_refusal_all_the_same():
    with raw(always(400, b'{"message":' + b"[" * 10_000 + b"]" * 10_000 + b"}")) as server, client_of(server.url) as it:
        assert failure(BadRequest, it).startswith("the platform answered 400 to balance/get: ")


def test_a_huge_number_of_keys_is_no_trouble():
    document = {"balance": [{f"key_{number}": str(number) for number in range(10_000)}]}
    with raw(always(200, signed(document))) as server, client_of(server.url) as client:
        start = time.monotonic()
        assert balances(client).document["balance"] == document["balance"]
        assert time.monotonic() - start < 5.0


def stream_of(size: int, status: int = 200):
    def answer(request, number):
        request.send_response(status)
        request.send_header("Connection", "close")
        request.end_headers()
        piece = b" " * (1 << 20)
        with suppress(OSError):  # the client hangs up
            for _ in range(size >> 20):
                request.wfile.write(piece)

    return answer


@pytest.mark.parametrize("status", [200, 500])
def test_a_body_larger_than_any_page_is_not_read_to_its_end_nor_asked_for_again(status):
    with raw(stream_of(70 << 20, status)) as server, client_of(server.url) as client:
        message = failure(BodyTooLarge, client)
    assert "larger than 32 MiB" in message
    assert "check DATA_API_BASE_URL" in message
    assert len(server.bodies) == 1
    assert issubclass(BodyTooLarge, Permanent)


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused_likewise():
    bomb = gzip.compress(b" " * (70 << 20), 1)
    assert len(bomb) < 1 << 20
    with raw(always(200, bomb, Content_Encoding="gzip")) as server, client_of(server.url) as client:
        assert "larger than 32 MiB" in failure(BodyTooLarge, client)
    assert len(server.bodies) == 1


def drip(request, number):
    """One byte now and then, ten times as long as is allowed: no single read takes too long."""
    request.send_response(200)
    request.send_header("Connection", "close")
    request.end_headers()
    with suppress(OSError):
        for _ in range(100):
            if request.server.ended.wait(0.02):
                break
            request.wfile.write(b" ")


def test_an_answer_that_never_ends_is_given_up_however_steadily_it_drips(monkeypatch):
    monkeypatch.setattr(client_module, "LONGEST_ANSWER", 0.1)
    with raw(drip) as server, client_of(server.url, policy=TWICE) as client:
        start = time.monotonic()
        assert "the answer to balance/get did not end within" in failure(Unreachable, client)
        assert 0.2 <= time.monotonic() - start < 2.0
    assert len(server.bodies) == 2


def test_an_answer_that_does_not_begin_in_time_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(client_module, "READ_TIMEOUT", 0.2)

    def answer(request, number):
        if number == 2:
            request.server.ended.wait(5)
        else:
            request.reply(200, EMPTY)

    with raw(answer) as server, client_of(server.url) as client:
        balances(client)
        assert balances(client).body == EMPTY
    assert len(server.bodies) == 3


def test_an_answer_may_take_five_minutes():
    assert client_module.READ_TIMEOUT > 300
    assert client_module.LONGEST_ANSWER >= client_module.READ_TIMEOUT


# Stopped


def test_a_stopped_run_waits_for_no_answer_and_sends_nothing_more():
    asked = threading.Event()

    def answer(request, number):
        asked.set()
        request.server.ended.wait(20)

    with raw(answer) as server, client_of(server.url) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(balances, client) for _ in range(2)]
        assert asked.wait(5)
        start = time.monotonic()
        client.abort()
        for call in waiting:
            assert isinstance(call.exception(timeout=5), Aborted)
        with pytest.raises(Aborted, match="no further request is sent"):
            balances(client)
        assert time.monotonic() - start < 2.0
        assert len(server.bodies) <= 2


@pytest.mark.parametrize("retry_after", ["60", None])
def test_a_stopped_run_does_not_sit_out_its_waits(retry_after):
    policy = RetryPolicy(first_wait=60.0, longest_wait=60.0)
    headers = {"Retry_After": retry_after} if retry_after else {}
    with (
        raw(always(429 if retry_after else 500, "", **headers)) as server,
        client_of(server.url, policy=policy) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(balances, client)
        until = time.monotonic() + 5
        while not server.bodies and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.1)  # for the wait to begin
        start = time.monotonic()
        client.abort()
        assert isinstance(waiting.exception(timeout=5), Aborted)
        assert time.monotonic() - start < 2.0
        assert len(server.bodies) == 1


# TLS


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
            *("-subj", "/CN=made for a test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"),
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
    with raw(always(200, EMPTY), tls_server(certificate)) as server, client_of(server.url) as client:
        message = failure(Untrusted, client)
        assert client.requests_sent == 1, "told at once: no retry makes a certificate valid"
    assert message.startswith(f"no trusted connection to 127.0.0.1:{server.server_port}: ")
    assert "certificate verify failed" in message
    assert "check DATA_API_BASE_URL, this machine's clock" in message
    assert "SSL_CERT_FILE" in message
    assert server.bodies == []


def test_a_server_that_speaks_no_tls_at_all_is_told_at_once(certificate, no_proxy):
    with raw(always(200, EMPTY)) as server, client_of(server.url.replace("http:", "https:")) as client:
        message = failure(Untrusted, client)
        assert client.requests_sent == 1
    assert "no trusted connection" in message
    assert server.bodies == []


def test_a_connection_that_breaks_during_the_handshake_is_an_outage_and_asked_again(certificate, no_proxy):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            with suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with client_of(f"https://127.0.0.1:{listener.getsockname()[1]}/v1", policy=TWICE) as client:
            failure(Unreachable, client)
            assert client.requests_sent == 2
        listener.shutdown(socket.SHUT_RDWR)


def test_a_company_may_have_its_own_certificate_trusted_as_openssl_programs_do(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_server(certificate)) as server, client_of(server.url) as client:
        assert balances(client).body == EMPTY


def test_a_trusted_certificate_of_another_name_is_refused(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_server(certificate)) as server:
        with client_of(f"https://localhost:{server.server_port}/v1") as client:
            message = failure(Untrusted, client)
        assert "localhost" in message
        assert server.bodies == []


def test_a_server_that_knows_no_newer_tls_than_1_1_is_refused(certificate, no_proxy, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with raw(always(200, EMPTY), tls_1_1_at_most(tls_server(certificate))) as server:
        with client_of(server.url) as client:
            message = failure(Untrusted, client)
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
        client_of(server.url) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(balances, client)
        assert asked.wait(5)
        client.abort()
        assert isinstance(waiting.exception(timeout=5), Aborted)


# Nothing tells a secret


# answers that hold token, secret and what was sent, as an unlucky error page might
ECHOES = {
    "json": lambda request, sent: request.reply(400, {"message": f"cannot read {sent} with {DEMO_SECRET}"}),
    "json with slashes escaped": lambda request, sent: request.reply(
        400, json.dumps({"message": {"said": sent}}).replace("/", "\\/")
    ),
    "half a json": lambda request, sent: request.reply(400, sent.replace("/", "\\/")[:-1]),
    "html": lambda request, sent: request.reply(
        502, f"<html><pre>{sent}</pre> <a href='{DEMO_TOKEN}'>{DEMO_SECRET}</a>"
    ),
    "at the edge of what is shown": lambda request, sent: request.reply(
        400, {"message": "x" * 375 + sent + DEMO_SECRET}
    ),
    "at the edge of what is read": lambda request, sent: request.reply(502, "<b>" * 1_327 + DEMO_TOKEN + sent),
    "status line": lambda request, sent: request.wfile.write(f"{DEMO_TOKEN} {DEMO_SECRET} {sent}\r\n\r\n".encode()),
    "broken body": lambda request, sent: request.reply(200, f'{{"{DEMO_TOKEN}": {DEMO_SECRET}'),
    "the request itself": lambda request, sent: request.reply(200, sent),
    "signed, but not what was asked for": lambda request, sent: request.reply(
        200, signed({DEMO_TOKEN: DEMO_SECRET, "balance": sent})
    ),
}


@pytest.mark.parametrize("form", ECHOES)
def test_token_secret_and_signature_show_nowhere_even_when_the_server_echoes_them(form, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "httpcore")  # below that it logs status lines and headers as they came

    def answer(request, number):
        ECHOES[form](request, request.server.bodies[-1].decode())

    with raw(answer) as server, client_of(server.url, policy=TWICE) as client:
        with pytest.raises(DataApiError) as caught:
            balances(client)
        texts = [str(caught.value), repr(caught.value), repr(client), repr(client.settings), caplog.text]
    texts.append("".join(traceback.format_exception(caught.value)))
    texts.extend(str(record.__dict__) for record in caplog.records)
    signature = json.loads(server.bodies[0])["signature"]
    for hidden in (DEMO_TOKEN, DEMO_SECRET, signature):
        for text in texts:
            assert hidden[:12] not in text
            assert hidden.replace("/", "\\/") not in text


def test_a_good_answer_logs_no_body_and_its_repr_shows_no_row(caplog):
    document = {"balance": [{"name": f"whose holder is Jane Doe, {DEMO_TOKEN}, {DEMO_SECRET}", "EUR": "1"}]}
    caplog.set_level(logging.DEBUG)
    with raw(always(200, signed(document))) as server, client_of(server.url) as client:
        answer = balances(client)
    assert answer.document["balance"] == document["balance"]
    for text in (repr(answer), str(answer), f"{answer}", str([answer]), caplog.text):
        for hidden in ("Jane Doe", DEMO_TOKEN, DEMO_SECRET, answer.document["signature"]):
            assert hidden not in text
    assert "balance/get" in repr(answer)
