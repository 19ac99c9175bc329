"""What passes is asked again, at the platform's pace; a stopped run asks nothing more."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fixtures.client import (
    EMPTY,
    NOW,
    ROWS,
    always,
    api_of,
    balances,
    failure,
    free_port,
    ids,
    operations,
    raw,
    true_ids,
)
from resources.data_api.errors import (
    Aborted,
    RateLimited,
    ServerError,
)
from resources.data_api.retry import RetryPolicy
from resources.sandbox import (
    DEMO_SECRET,
    SandboxServer,
    World,
)
from resources.sandbox.signing import verify

# Asked again


@pytest.mark.parametrize(
    "fault",
    [
        *("cut", "cut_chunked", "broken_json", "http_500", "html_502", "http_429_bare"),
        *("tampered_value", "tampered_key", "tampered_drop", "tampered_swap"),
        *("wrong_signature", "missing_signature"),
    ],
)
def test_what_passes_is_asked_again_until_the_true_answer_comes(sandbox, api, fault):
    sandbox.faults.next(fault, times=3)
    answer = operations(api)
    assert ids(answer) == true_ids(sandbox)
    assert verify(answer.document, DEMO_SECRET)
    assert sandbox.faults.counts[fault] == 3
    assert (sandbox.request_count, api.counts.total) == (4, 4)


def test_all_faults_one_after_another_are_survived_within_one_call(sandbox, api):
    faults = ["cut", "http_500", "wrong_signature", "html_502", "cut_chunked", "broken_json", "tampered_swap"]
    sandbox.faults.set_script(faults)
    assert ids(operations(api)) == true_ids(sandbox)
    assert sandbox.request_count == len(faults) + 1


def test_a_platform_that_comes_up_while_it_is_asked_is_found():
    port = free_port()
    late = SandboxServer(World.of(ROWS, now=NOW), port=port)
    policy = RetryPolicy(first_wait=0.02, longest_wait=0.02, never_answered_deadline=10.0)
    timer = threading.Timer(0.2, late.start)
    timer.start()
    try:
        with api_of(f"http://127.0.0.1:{port}/v1", policy=policy) as api:
            assert ids(operations(api)) == true_ids(late)
            assert api.counts.total > 1
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

    with raw(answer) as server, api_of(server.url) as api:
        assert balances(api).body == EMPTY
    assert len(server.bodies) == 4


@pytest.mark.parametrize("told", [("http_429", 1), ("http_429_date", 0.4)], ids=["in seconds", "as a date"])
def test_a_429_is_waited_for_as_long_as_it_asks(sandbox, api, told):
    sandbox.faults.next(told)
    start = time.monotonic()
    assert ids(operations(api)) == true_ids(sandbox)
    assert told[1] <= time.monotonic() - start < 20
    assert [request.status for request in sandbox.requests] == [429, 200]


def test_a_429_that_names_no_time_is_asked_again_after_our_own_wait(sandbox, api):
    sandbox.faults.next("http_429_bare", times=2)
    start = time.monotonic()
    assert ids(operations(api)) == true_ids(sandbox)
    assert time.monotonic() - start < 20


def test_a_429_to_one_worker_makes_the_others_wait_too(sandbox, api):
    sandbox.faults.next(("http_429", 1))
    with ThreadPoolExecutor(4) as pool:
        refused = pool.submit(operations, api)
        until = time.monotonic() + 5
        while not sandbox.request_count and time.monotonic() < until:
            time.sleep(0.005)
        told_at = sandbox.requests[0].at
        time.sleep(0.05)  # for the answer to arrive
        others = [pool.submit(balances, api) for _ in range(3)]
        assert ids(refused.result()) == true_ids(sandbox)
        assert all(other.result().document["balance"] for other in others)
    assert [request.status for request in sandbox.requests] == [429, 200, 200, 200, 200]
    assert min(request.at for request in sandbox.requests[1:]) - told_at >= 1.0


@pytest.mark.parametrize("told", ["3600", "date"])
def test_a_429_that_asks_for_more_than_the_deadline_is_given_up_at_once_in_the_platforms_words(told):
    due = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    answer = always(429, {"message": "Come back in an hour"}, Retry_After=due if told == "date" else told)
    with raw(answer) as server, api_of(server.url) as api:
        start = time.monotonic()
        message = failure(RateLimited, api)
        assert "the platform answered 429 to balance/get: Come back in an hour" in message
        assert re.search(r"it asks to wait (3600|3599) s$", message), "or why it was given up at once is not told"
        failure(RateLimited, api)
        assert time.monotonic() - start < 20, "the next call is not held up either: it hears it from the platform"
    assert len(server.bodies) == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_platform_that_says_when_to_come_back_is_waited_for_as_long(status):
    def answer(request, number):
        if number == 1:
            request.reply(status, b"{}", Retry_After="1")
        else:
            request.reply(200, EMPTY)

    with raw(answer) as server, api_of(server.url) as api:
        start = time.monotonic()
        assert balances(api).body == EMPTY
        assert 1.0 <= time.monotonic() - start < 20
    assert len(server.bodies) == 2


def test_a_503_that_asks_for_more_than_the_deadline_is_given_up_at_once():
    answer = always(503, {"message": "Maintenance until tomorrow"}, Retry_After="3600")
    with raw(answer) as server, api_of(server.url) as api:
        assert "503 to balance/get: Maintenance until tomorrow" in failure(ServerError, api)
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

    with raw(answer) as server, api_of(server.url) as api:
        got = api.client.call("balance/get", Nonce(), expect="balance")
    sent = [json.loads(body) for body in server.bodies]
    assert len(sent) == len({one["nonce"] for one in sent}) == len({one["signature"] for one in sent}) == 3
    assert all(verify(one, DEMO_SECRET) for one in sent)
    assert server.received[1] + timedelta(seconds=0.05) <= got.requested_at <= server.received[2]
    assert got.received_at >= got.requested_at + timedelta(seconds=0.05)


# Stopped


def test_a_stopped_run_waits_for_no_answer_and_sends_nothing_more():
    asked = threading.Event()

    def answer(request, number):
        asked.set()
        request.server.ended.wait(20)

    with raw(answer) as server, api_of(server.url) as api, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(balances, api) for _ in range(2)]
        assert asked.wait(5)
        start = time.monotonic()
        api.stop()
        for call in waiting:
            assert isinstance(call.exception(timeout=5), Aborted)
        with pytest.raises(Aborted, match="no further request is sent"):
            balances(api)
        assert time.monotonic() - start < 20
        assert len(server.bodies) <= 2


@pytest.mark.parametrize("retry_after", ["60", None])
def test_a_stopped_run_does_not_sit_out_its_waits(retry_after):
    policy = RetryPolicy(first_wait=60.0, longest_wait=60.0)
    headers = {"Retry_After": retry_after} if retry_after else {}
    with (
        raw(always(429 if retry_after else 500, "", **headers)) as server,
        api_of(server.url, policy=policy) as api,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(balances, api)
        until = time.monotonic() + 5
        while not server.bodies and time.monotonic() < until:
            time.sleep(0.005)
        time.sleep(0.1)  # for the wait to begin
        start = time.monotonic()
        api.stop()
        assert isinstance(waiting.exception(timeout=5), Aborted)
        assert time.monotonic() - start < 20
        assert len(server.bodies) == 1
