"""What is given up, when, and how it is told."""

from __future__ import annotations

import gzip
import json
import time
from contextlib import suppress
from decimal import Decimal

import pytest

from fixtures.client import (
    EMPTY,
    NOW,
    ROWS,
    TWICE,
    always,
    api_of,
    balances,
    failure,
    free_port,
    operations,
    raw,
    signed,
)
from fixtures.commands import QUICK
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.streams import page_of
from resources.data_api import transport
from resources.data_api.errors import (
    BadRequest,
    BadSignature,
    BodyTooLarge,
    BrokenBody,
    Permanent,
    Unreachable,
)
from resources.data_api.retry import RetryPolicy
from resources.sandbox import (
    DEMO_SECRET,
    DEMO_TOKEN,
    SandboxServer,
    World,
)
from resources.sandbox.signing import sign


def test_a_host_that_never_answered_is_given_up_early_with_what_to_check():
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=30.0, never_answered_deadline=0.2)
    port = free_port()
    with api_of(f"http://127.0.0.1:{port}/v1", policy=policy) as api:
        start = time.monotonic()
        message = failure(Unreachable, api)
        assert 0.1 < time.monotonic() - start < 20
        assert api.counts.total > 1
    assert message.startswith(f"no connection to 127.0.0.1:{port}: ")
    assert message.endswith("check DATA_API_BASE_URL, DNS, firewall and proxy.")


def test_a_host_that_has_answered_gets_the_whole_deadline():
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=0.3, never_answered_deadline=0.05)
    with SandboxServer(World.of(ROWS, now=NOW)) as sandbox, api_of(sandbox.url, policy=policy) as api:
        operations(api)
        sandbox.stop()
        start = time.monotonic()
        failure(Unreachable, api, operations)
        assert 0.2 < time.monotonic() - start < 20


@pytest.mark.parametrize("fault", ["cut", "cut_chunked"])
def test_half_an_answer_shows_that_the_host_is_there(sandbox, fault):
    policy = RetryPolicy(10_000, first_wait=0.01, longest_wait=0.01, deadline=0.25, never_answered_deadline=0.05)
    sandbox.faults.always(fault)
    with api_of(sandbox.url, policy=policy) as api:
        start = time.monotonic()
        message = failure(Unreachable, api, operations)
        assert 0.2 < time.monotonic() - start < 20
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
    sandbox, api, fault
):
    sandbox.faults.always(fault)
    message = failure(BadSignature, api, operations)
    assert "does not carry the platform's signature over its content; nothing of it was used" in message
    assert sandbox.request_count == QUICK.bad_signature_attempts == 5


def test_a_refusal_under_status_200_is_not_used_but_its_words_are_shown_without_secrets():
    words = f"Wrong token {DEMO_TOKEN} or signature"
    body = {"name": "Authorization Required", "message": words, "code": 0, "status": 401}
    with raw(always(200, body)) as server, api_of(server.url) as api:
        message = failure(BadSignature, api)
    assert "not signed at all, and says: Wrong token **** or signature (status 401)" in message


def test_of_an_unsigned_answer_without_a_message_nothing_is_shown():
    body = {"balance": [{"name": "of a merchant", "EUR": "1"}], "name": "of a person"}
    with raw(always(200, body)) as server, api_of(server.url) as api:
        assert "of a" not in failure(BadSignature, api).replace("of another", "")


def test_an_answer_signed_with_another_tokens_secret_is_refused():
    document = {"balance": [{"name": "one", "EUR": "100"}]}
    body = json.dumps({**document, "signature": sign(document, "the secret of somebody else")})
    with raw(always(200, body)) as server, api_of(server.url) as api:
        assert "a secret of another token" in failure(BadSignature, api)
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
        (b'{"balance":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "nested too deeply"),
        (b'{"balance":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "nested too deeply"),
        (b'{"balance":' + b"[" * 10_000, "nested too deeply"),
        (b'{"balance":' + b"[" * 1_000 + b"1" + b"]" * 1_000 + b"}", "nested too deeply"),
        (b'{"balance":' + b"[" * 100 + b"1" + b"]" * 100 + b"}", "nested deeper than 64 levels"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_that_is_no_answer_is_asked_for_again_and_then_told_apart(body, told):
    with raw(always(200, body)) as server, api_of(server.url, policy=TWICE) as api:
        message = failure(BrokenBody, api)
        assert len(server.bodies) == 2
    assert "balance/get" in message
    assert told in message


@pytest.mark.parametrize("number", ["9" * 5_000, "1e-99999999999999999999", "1e99999999999999999999"], ids=len)
def test_a_number_that_cannot_be_read_is_refused_at_once(number):
    with raw(always(200, f'{{"balance": [{number}]}}')) as server, api_of(server.url) as api:
        assert "a number of thousands of digits, which no page does" in failure(BodyTooLarge, api)
    assert len(server.bodies) == 1


@pytest.mark.parametrize("number", ["1e400", "-2.5E+4000", "9" * 400])
def test_a_number_that_no_double_holds_rejects_its_row_or_is_kept_as_sent(number):
    amount = f'{{"operation_id":"1","sum_initial":{{"amount":{number}}}}}'
    unknown = f'{{"operation_id":"2","new":{number}}}'
    rows = f'"operations":[{amount},{unknown}]'
    body = f'{{{rows},"signature":"{sign(json.loads(f"{{{rows}}}"), DEMO_SECRET)}"}}'
    with raw(always(200, body)) as server, api_of(server.url) as api:
        batch = page_of(OPERATIONS, operations(api)).payload.batch
    assert len(server.bodies) == 1
    assert "larger than a bigint holds" in batch.rejects[0].reason
    (extra,) = batch.table["extra"].to_pylist()
    assert json.loads(extra, parse_float=Decimal) == {"new": json.loads(number, parse_float=Decimal)}


def test_an_unsigned_answer_with_such_a_number_is_refused_as_unsigned():
    with raw(always(200, '{"message": "no", "n": 1e400}')) as server, api_of(server.url) as api:
        assert "it is not signed at all, and says: no" in failure(BadSignature, api)


def test_a_deeply_nested_refusal_is_a_refusal_all_the_same():
    with raw(always(400, b'{"message":' + b"[" * 10_000 + b"]" * 10_000 + b"}")) as server, api_of(server.url) as it:
        assert failure(BadRequest, it).startswith("the platform answered 400 to balance/get: ")


def test_a_huge_number_of_keys_is_no_trouble():
    document = {"balance": [{f"key_{number}": str(number) for number in range(10_000)}]}
    with raw(always(200, signed(document))) as server, api_of(server.url) as api:
        start = time.monotonic()
        assert balances(api).document["balance"] == document["balance"]
        assert time.monotonic() - start < 20


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
    with raw(stream_of(70 << 20, status)) as server, api_of(server.url) as api:
        message = failure(BodyTooLarge, api)
    assert "larger than 32 MiB" in message
    assert "check DATA_API_BASE_URL" in message
    assert len(server.bodies) == 1
    assert issubclass(BodyTooLarge, Permanent)


def test_a_small_body_that_unpacks_to_a_huge_one_is_refused_likewise():
    bomb = gzip.compress(b" " * (70 << 20), 1)
    assert len(bomb) < 1 << 20
    with raw(always(200, bomb, Content_Encoding="gzip")) as server, api_of(server.url) as api:
        assert "larger than 32 MiB" in failure(BodyTooLarge, api)
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


DRIPS = {  # what comes first, and then again and again
    "a header": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "interim answers": (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "the size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a"),
    "compressed nothing": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x78\x9c\r\n",
        b"5\r\n\x00\x00\x00\xff\xff\r\n",
    ),
    "a body without a length": (b"HTTP/1.0 200 OK\r\n\r\n", b" "),
}


@pytest.mark.parametrize("what", DRIPS)
def test_an_answer_is_given_up_in_time_whatever_of_it_drips(monkeypatch, what):
    begin, drop = DRIPS[what]

    def answer(request, number):
        with suppress(OSError):
            request.wfile.write(begin)
            while not request.server.ended.wait(0.01):
                request.wfile.write(drop)

    monkeypatch.setattr(transport, "LONGEST_ANSWER", 0.3)
    with raw(answer) as server, api_of(server.url, policy=TWICE) as api:
        start = time.monotonic()
        assert "the answer to balance/get did not end within" in failure(Unreachable, api)
        assert time.monotonic() - start < 20
    assert len(server.bodies) == 2


def test_an_answer_that_never_ends_is_given_up_however_steadily_it_drips(monkeypatch):
    monkeypatch.setattr(transport, "LONGEST_ANSWER", 0.1)
    with raw(drip) as server, api_of(server.url, policy=TWICE) as api:
        start = time.monotonic()
        assert "the answer to balance/get did not end within" in failure(Unreachable, api)
        assert 0.2 <= time.monotonic() - start < 20
    assert len(server.bodies) == 2


def test_an_answer_that_does_not_begin_in_time_is_asked_for_again(monkeypatch):
    monkeypatch.setattr(transport, "READ_TIMEOUT", 0.2)

    def answer(request, number):
        if number == 2:
            request.server.ended.wait(5)
        else:
            request.reply(200, EMPTY)

    with raw(answer) as server, api_of(server.url) as api:
        balances(api)
        assert balances(api).body == EMPTY
    assert len(server.bodies) == 3


def test_an_answer_may_take_five_minutes():
    assert transport.READ_TIMEOUT > 300
    assert transport.LONGEST_ANSWER >= transport.READ_TIMEOUT
