"""What the client sends, as the platform sees it, and what it makes of a good answer."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from importlib.metadata import version

import pytest

from fixtures.client import (
    EMPTY,
    FIRST,
    LAST,
    NOW,
    ROWS,
    always,
    api_of,
    balances,
    free_port,
    ids,
    operations,
    raw,
    true_ids,
)
from resources.sandbox import (
    DEMO_SECRET,
    DEMO_TOKEN,
    Behaviour,
    Fraud,
    SandboxServer,
    World,
)
from resources.sandbox.signing import verify

# The endpoints, as the platform sees them


def test_operations_asks_for_an_interval_of_utc_seconds_and_for_nothing_it_was_not_told_to(sandbox, api):
    answer = operations(api, offset=3)
    assert ids(answer) == true_ids(sandbox)[3:]
    assert sandbox.requests[0].endpoint == "operations/get"
    assert sandbox.requests[0].params == {
        "interval": {"from": "2024-03-01 00:00:00", "to": "2024-03-10 23:59:59"},
        "tz": "UTC",
        "limit": 1000,
        "offset": 3,
    }


def test_operations_sends_projects_as_a_list_of_integers_and_fields_by_name(sandbox, api):
    fields = ("operation_id", "sum_initial.amount", "customer_email")
    answer = operations(api, limit=7, project_ids=(198,), fields=fields)
    assert sandbox.requests[0].params == {
        "interval": {"from": "2024-03-01 00:00:00", "to": "2024-03-10 23:59:59"},
        "tz": "UTC",
        "limit": 7,
        "offset": 0,
        "project_id": [198],
        "fields": ["operation_id", "sum_initial.amount", "customer_email"],
    }
    assert len(answer.document["operations"]) == 7


def test_a_moment_of_another_zone_is_sent_as_the_same_moment_in_utc(sandbox, api):
    tokyo = timezone(timedelta(hours=9))
    api.operations(
        datetime(2024, 3, 5, 21, 0, 2, tzinfo=tokyo), datetime(2024, 3, 5, 21, 0, 4, 999_999, tzinfo=tokyo), offset=0
    )
    assert sandbox.requests[0].params["interval"] == {"from": "2024-03-05 12:00:02", "to": "2024-03-05 12:00:04"}
    assert sandbox.requests[0].params["tz"] == "UTC", "the account's own zone is Tokyo; its dashboard does not matter"


def test_balances_asks_without_parameters(sandbox, api):
    answer = balances(api)
    assert answer.document["balance"] == [{"name": "one", "EUR": "100"}, {"name": "another", "JPY": "-5"}]
    assert [(request.endpoint, request.params) for request in sandbox.requests] == [("balance/get", {})]


def test_operations_by_payment_asks_for_the_payment_alone(sandbox, api):
    sandbox.world.add({"operation_id": "77", "payment_id": "INV/2026/ключ:1"}, "2024-03-06 00:00:00")
    answer = api.operations_by_payment("INV/2026/ключ:1")
    assert ids(answer) == ["77"]
    request = sandbox.requests[0]
    assert (request.endpoint, request.params) == ("operations/get-by-payment", {"payment_id": "INV/2026/ключ:1"})


def test_fraud_asks_for_reports_by_the_time_they_were_received(sandbox, api):
    times = ["2024-02-29 23:59:59", "2024-03-01 00:00:00", "2024-03-10 23:59:59", "2024-03-11 00:00:00"]
    sandbox.world.frauds = [Fraud.new(operation_id=number, received_on=text) for number, text in enumerate(times)]
    answer = api.fraud(FIRST, LAST, offset=0, limit=5)
    assert ids(answer) == [2, 1]
    request = sandbox.requests[0]
    assert request.endpoint == "fraud/list"
    assert request.params == {
        "filter": {"received_on": ["2024-03-01 00:00:00", "2024-03-10 23:59:59"]},
        "pagination": {"limit": 5, "offset": 0},
    }


# The request on the wire, and the answer


def test_a_request_is_signed_json_by_post_and_says_who_asks(sandbox):
    with raw(always(200, EMPTY)) as server, api_of(server.url) as api:
        balances(api)
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


def test_an_answer_keeps_the_body_the_platform_signed_and_when_it_was_asked_for(sandbox, api):
    before = datetime.now(UTC)
    answer = operations(api)
    after = datetime.now(UTC)
    assert verify(json.loads(answer.body), DEMO_SECRET)
    assert json.loads(answer.body) == answer.document
    assert answer.endpoint == "operations/get"
    assert answer.request == sandbox.requests[0].params, "without token and signature"
    assert before <= answer.requested_at <= answer.received_at <= after
    assert abs(answer.platform_time - after) < timedelta(seconds=2)


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

    with raw(answer) as server, api_of(server.url) as api:
        assert balances(api).platform_time == expected


@pytest.mark.parametrize("behaviour", [Behaviour(chunked=True), Behaviour(prefix="/another/brand/v1")], ids=str)
def test_a_chunked_answer_or_another_brands_prefix_make_no_difference(behaviour):
    with SandboxServer(World.of(ROWS, now=NOW), behaviour=behaviour) as sandbox, api_of(sandbox.url) as api:
        assert ids(operations(api)) == true_ids(sandbox)


def test_a_compressed_answer_is_read():
    with raw(always(200, gzip.compress(EMPTY), Content_Encoding="gzip")) as server, api_of(server.url) as api:
        assert balances(api).body == EMPTY


def test_a_client_may_be_used_by_many_threads_at_once(sandbox, api):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda offset: operations(api, offset=offset), range(40)))
    assert [len(ids(answer)) for answer in answers] == list(range(40, 0, -1))
    assert api.counts.total == sandbox.request_count == 40


def test_a_proxy_of_the_environment_is_not_told_what_is_meant_for_this_machine(sandbox, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with api_of(sandbox.url) as api:
        assert ids(operations(api)) == true_ids(sandbox)
