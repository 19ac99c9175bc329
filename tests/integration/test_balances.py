"""A snapshot of the balances: each in the currency of its key, exact, beside those before it, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from fixtures.client import raw
from fixtures.commands import client_of, execute, fetch_all
from pipelines.ingest.balances import Balance, BalancesReport, normalize_balances, sync_balances
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.data_api.signature import verify
from resources.errors import WarehouseBroken
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.sandbox.signing import sign
from resources.warehouse.engine import Warehouse

NOW = datetime(2024, 3, 1, 12, tzinfo=UTC)
MANY = [
    {"name": "Project_Cosmo1_balance_USD", "SGD": "310099"},
    {"name": "Overdrawn", "EUR": "-12"},
    {"name": "Same name", "EUR": "1"},
    {"name": "Same name", "EUR": "2"},
    {"name": "Wide", "JPY": str(2**63 - 1), "KWD": str(-(2**63))},
    {"name": "Nothing yet", "XXQ": "0"},
    {"name": '007 — ünïcode, "quoted"\n', "EUR": "0005"},
]


def world_with(*entries) -> World:
    world = World.of(now=NOW)
    world.balances = list(entries)
    return world


def snapshot(sandbox: SandboxServer, store: Warehouse, account="default", **client) -> BalancesReport:
    with client_of(sandbox.url, **client) as api_client:
        return sync_balances(DataApi(api_client), store, account)


def stored(store: Warehouse, account="default") -> list[tuple]:
    rows = fetch_all(
        store,
        "SELECT captured_at, position, balance_name, currency, amount_minor FROM core.balance_snapshots "
        "WHERE account = :account ORDER BY captured_at, position, currency",
        account=account,
    )
    return [tuple(row.values()) for row in rows]


def typed(entry) -> list[Balance]:
    balances, rejects = normalize_balances([entry], NOW)
    assert rejects == []
    return balances


def reason_of(entry) -> str:
    balances, (reject,) = normalize_balances([entry], NOW)
    assert balances == []
    assert json.loads(reject.raw_json, parse_float=Decimal) == entry
    assert reject.observed_at == NOW
    return reject.reason


# What an entry says


def test_the_currency_is_the_other_key_whatever_the_name_mentions():
    assert typed({"name": "Project_Cosmo1_balance_USD", "SGD": "310099"}) == [
        Balance(0, "Project_Cosmo1_balance_USD", "SGD", 310_099)
    ]
    assert typed({"EUR": "1", "name": "USD"}) == [Balance(0, "USD", "EUR", 1)]


def test_an_entry_with_several_currencies_is_several_balances_at_one_place():
    assert typed({"name": "Wide", "JPY": "5", "KWD": "-7"}) == [
        Balance(0, "Wide", "JPY", 5),
        Balance(0, "Wide", "KWD", -7),
    ]


@pytest.mark.parametrize("amount", [0, 1, -1, 2**53 + 1, 2**63 - 1, -(2**63)])
def test_an_amount_is_exact_as_text_and_as_a_number(amount):
    for value in (amount, str(amount), Decimal(amount)):
        assert typed({"name": "a", "EUR": value}) == [Balance(0, "a", "EUR", amount)]


def test_an_empty_name_is_a_name_and_an_unknown_currency_a_currency():
    assert typed({"name": "", "XXQ": "1"}) == [Balance(0, "", "XXQ", 1)]
    assert typed({"name": "wallet", "USDT": "1"}) == [Balance(0, "wallet", "USDT", 1)]


def test_no_balances_are_no_error():
    assert normalize_balances([], NOW) == ([], [])


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "not an object with a name"),
        ("EUR 5", "not an object with a name"),
        (["EUR", "5"], "not an object with a name"),
        ({}, "not an object with a name"),
        ({"EUR": "5"}, "not an object with a name"),
        ({"name": None, "EUR": "5"}, "not an object with a name"),
        ({"name": 5, "EUR": "5"}, "not an object with a name"),
        ({"name": "a\x00b", "EUR": "5"}, "not an object with a name"),
        ({"name": "é" * 1_001, "EUR": "5"}, "the name is too long for an index"),
        ({"name": "a"}, "no currency, or none at all"),
        ({"name": "a", "eur": "5"}, "no currency, or none at all"),
        ({"name": "a", "EURO_CENTS": "5"}, "no currency, or none at all"),
        ({"name": "a", "EUR\n": "5"}, "no currency, or none at all"),
        ({"name": "a", "EUR": "5", "id": 7}, "no currency, or none at all"),
        ({"name": "a", "EUR": None}, "the amount is missing"),
        ({"name": "a", "EUR": ""}, "the amount is missing"),
        ({"name": "a", "EUR": "5.00"}, "the amount is '5.00', not a whole number of minor units"),
        ({"name": "a", "EUR": "12,5"}, "the amount is '12,5', not a whole number of minor units"),
        ({"name": "a", "EUR": Decimal("0.5")}, "the amount is 0.5, not a whole number of minor units"),
        ({"name": "a", "EUR": True}, "the amount is a boolean, not an amount"),
        ({"name": "a", "EUR": {"amount": 5}}, "the amount is an object, not an amount"),
        ({"name": "a", "EUR": str(2**63)}, f"the amount is {2**63}, larger than a bigint holds"),
        ({"name": "a", "EUR": "5", "USD": "x"}, "the amount is 'x', not a whole number of minor units"),
    ],
)
def test_an_entry_that_cannot_be_typed_is_a_reject_with_its_reason(entry, reason):
    assert reason_of(entry).endswith(reason)


def test_a_bad_entry_leaves_its_neighbours_and_their_places_alone():
    balances, rejects = normalize_balances([{"name": "a", "EUR": "1"}, "?", {"name": "c", "EUR": "3"}], NOW)
    assert balances == [Balance(0, "a", "EUR", 1), Balance(2, "c", "EUR", 3)]
    assert len(rejects) == 1


# What is stored


def test_a_snapshot_is_stored_with_the_moment_of_its_request(store):
    with SandboxServer(world_with(*MANY)) as sandbox:
        begun = datetime.now(UTC)
        report = snapshot(sandbox, store)
        assert begun <= report.captured_at <= datetime.now(UTC)
    assert stored(store) == [
        (report.captured_at, 0, "Project_Cosmo1_balance_USD", "SGD", 310_099),
        (report.captured_at, 1, "Overdrawn", "EUR", -12),
        (report.captured_at, 2, "Same name", "EUR", 1),
        (report.captured_at, 3, "Same name", "EUR", 2),
        (report.captured_at, 4, "Wide", "JPY", 2**63 - 1),
        (report.captured_at, 4, "Wide", "KWD", -(2**63)),
        (report.captured_at, 5, "Nothing yet", "XXQ", 0),
        (report.captured_at, 6, '007 — ünïcode, "quoted"\n', "EUR", 5),
    ]
    assert [tuple(vars(balance).values()) for balance in report.balances] == [row[1:] for row in stored(store)]
    (run,) = fetch_all(store, "SELECT run_id, stream, state, message, requests, interval_from FROM sync.runs")
    assert run == {
        "run_id": report.run_id,
        "stream": "balances",
        "state": "complete",
        "message": None,
        "requests": 1,
        "interval_from": None,
    }


def test_another_run_adds_a_snapshot_and_leaves_the_one_before(store):
    with SandboxServer(world_with({"name": "a", "EUR": "1"}, {"name": "gone", "EUR": "5"})) as sandbox:
        first = snapshot(sandbox, store)
        sandbox.world.balances = [{"name": "a", "EUR": "2"}]
        second = snapshot(sandbox, store)
    assert stored(store) == [
        (first.captured_at, 0, "a", "EUR", 1),
        (first.captured_at, 1, "gone", "EUR", 5),
        (second.captured_at, 0, "a", "EUR", 2),
    ]


def test_accounts_have_snapshots_of_their_own(store):
    with SandboxServer(world_with({"name": "a", "EUR": "1"})) as sandbox:
        first, second = snapshot(sandbox, store, "first"), snapshot(sandbox, store, "second")
    assert stored(store, "first") == [(first.captured_at, 0, "a", "EUR", 1)]
    assert stored(store, "second") == [(second.captured_at, 0, "a", "EUR", 1)]


def test_the_body_is_kept_as_the_platform_signed_it(store):
    with SandboxServer(world_with(*MANY)) as sandbox:
        report = snapshot(sandbox, store)
    (page,) = fetch_all(store, "SELECT * FROM raw.pages")
    body = pa.decompress(page["body_zstd"], page["body_bytes"], "zstd", asbytes=True)
    assert json.loads(body)["balance"] == MANY
    assert hashlib.sha256(body).digest() == page["body_sha256"]
    assert verify(body, DEMO_SECRET)
    assert (page["endpoint"], page["row_count"], page["window_id"]) == ("balance/get", len(MANY), None)
    assert (page["run_id"], page["requested_at"]) == (report.run_id, report.captured_at)
    assert DEMO_TOKEN not in str(page["request"])


def test_a_bad_entry_is_kept_among_the_rejects_and_the_others_are_stored(store):
    with SandboxServer(world_with({"name": "a", "EUR": "1"}, {"name": "b", "EUR": "1.5"})) as sandbox:
        report = snapshot(sandbox, store)
        snapshot(sandbox, store)
    assert [(balance.name, balance.amount_minor) for balance in report.balances] == [("a", 1)]
    assert len(report.rejects) == 1
    (reject,) = fetch_all(
        store, "SELECT stream, reason, raw_json, first_seen_at < last_seen_at AS again FROM core.rejects"
    )
    assert reject == {
        "stream": "balances",
        "reason": "the amount is '1.5', not a whole number of minor units",
        "raw_json": '{"name":"b","EUR":"1.5"}',
        "again": True,
    }


def test_no_balances_at_all_are_a_complete_run(store):
    with SandboxServer(world_with()) as sandbox:
        report = snapshot(sandbox, store)
    assert report.balances == ()
    assert fetch_all(store, "SELECT state FROM sync.runs") == [{"state": "complete"}]


# All or nothing


@pytest.mark.parametrize(
    ("table", "condition"),
    [("core.balance_snapshots", "position < 1"), ("core.rejects", "false"), ("raw.pages", "false")],
)
def test_a_snapshot_that_cannot_be_stored_whole_is_not_stored_and_its_run_says_why(store, table, condition):
    with SandboxServer(world_with({"name": "a", "EUR": "1"}, {"name": "b", "EUR": "2"}, {"name": "bad"})) as sandbox:
        execute(store, f"ALTER TABLE {table} ADD CONSTRAINT refusing CHECK ({condition})")
        with pytest.raises(WarehouseBroken, match="refusing"):
            snapshot(sandbox, store)
        for name in ("core.balance_snapshots", "core.rejects", "raw.pages"):
            assert fetch_all(store, f"SELECT count(*) FROM {name}") == [{"count": 0}]
        (run,) = fetch_all(store, "SELECT state, message, finished_at FROM sync.runs")
        assert run["state"] == "failed"
        assert "refusing" in run["message"]
        assert run["finished_at"]
        execute(store, f"ALTER TABLE {table} DROP CONSTRAINT refusing")
        snapshot(sandbox, store)
    assert len(stored(store)) == 2


def test_a_refusal_is_written_into_the_run_and_nothing_else_is(store):
    with SandboxServer(world_with(*MANY)) as sandbox, pytest.raises(Unauthorized):
        snapshot(sandbox, store, secret="another secret")
    (run,) = fetch_all(store, "SELECT state, requests FROM sync.runs")
    assert run == {"state": "failed", "requests": 1}
    assert stored(store) == []


# An answer without any


@pytest.mark.parametrize(("empty", "stored_names", "asked"), [(0, ["a"], 1), (2, ["a"], 3), (9, [], 3)])
def test_an_answer_without_balances_counts_only_when_it_comes_three_times(store, empty, stored_names, asked):
    def answer(request, number):
        document = {"balance": [] if number <= empty else [{"name": "a", "EUR": "5"}]}
        request.reply(200, {**document, "signature": sign(document, DEMO_SECRET)})

    with raw(answer) as server, client_of(server.url) as client:
        sync_balances(DataApi(client), store, "default")
    assert [row[2] for row in stored(store)] == stored_names
    assert len(server.bodies) == asked
