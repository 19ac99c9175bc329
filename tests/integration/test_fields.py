"""Not asked for is not empty: which fields a run asks for (SYNC_FIELDS) overwrites nothing and is no change."""

from __future__ import annotations

from datetime import date

import pytest

from fixtures.commands import client_of, execute, fetch_all, sync
from pipelines.audit.replay import Replayer
from pipelines.ingest.operations import BY_DEFAULT, ON_REQUEST, OPERATIONS
from pipelines.reconciliation.reconcile import prove_completeness
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, SandboxServer, World
from resources.sandbox.fields import DEFAULT
from resources.settings import PersonalSettings, Secret, SyncSettings

DAY = "2024-03-02"
SOME = ("operation_id", "operation_status", "operation_completed_at", "sum_initial", "payment_id")
MORE = (*SOME, "customer_email", "remaining_refund", "transaction_created_at")
KEYED = PersonalSettings("hash", Secret("a-key-of-the-tests-only"))


def row(number: int, status: str = "success") -> dict:
    return {
        "operation_id": str(number),
        "payment_id": f"p{number}",
        "operation_status": status,
        "sum_initial": {"amount": 9_007_199_254_740_993, "currency": "EUR"},
        "customer_email": f'"{number}"@example.org',
        "remaining_refund": 2**63 - 1,
        "transaction_created_at": "2024-03-02T09:00:00.123456Z",
    }


@pytest.fixture
def sandbox():
    world = World.of([(row(number), f"{DAY} 10:00:00") for number in range(3)], now="2024-03-05 00:00:00")
    with SandboxServer(world) as server:
        yield server


def load(sandbox, store, fields=(), **settings):
    return sync(sandbox, store, DAY, DAY, settings=SyncSettings(fields=fields, **settings))


def stored(store) -> list[dict]:
    return fetch_all(store, "SELECT * FROM core.operations ORDER BY operation_id")


def replayed(store):
    day = date.fromisoformat(DAY)
    return Replayer(store, "default", DEMO_SECRET).replay(day, day, print)


@pytest.mark.parametrize("later", [SOME, ()])
def test_a17_what_is_not_asked_for_any_more_stays_and_makes_no_version(store, sandbox, later):
    load(sandbox, store, tuple({*DEFAULT, *MORE}) if later == () else MORE)
    before = stored(store)
    assert before[0]["customer_email"] == '"0"@example.org'
    report = load(sandbox, store, later)
    assert (report.rows_new, report.rows_changed, report.rows_unchanged) == (0, 0, 3)
    assert stored(store) == before
    assert replayed(store).problems == []


def test_a_change_of_what_is_asked_for_keeps_the_rest_in_the_new_state(store, sandbox):
    load(sandbox, store, MORE)
    before = stored(store)[1]
    sandbox.world.change("1", effective=f"{DAY} 12:00:00", operation_status="error")
    assert load(sandbox, store, SOME).rows_changed == 1
    now = stored(store)[1]
    ours = {"observed_at", "window_id", "operation_status", "operation_completed_at"}
    assert {name for name in now if now[name] != before[name]} <= ours
    assert (now["operation_status"], now["remaining_refund"]) == ("error", 2**63 - 1)
    assert replayed(store).problems == []


def test_asked_for_again_it_is_filled(store, sandbox):
    load(sandbox, store, SOME)
    assert stored(store)[0]["customer_email"] is None
    report = load(sandbox, store, MORE)
    assert report.rows_changed == 3
    assert stored(store)[0]["customer_email"] == '"0"@example.org'
    load(sandbox, store, SOME)
    assert load(sandbox, store, MORE).rows_unchanged == 3
    assert replayed(store).problems == []


def test_a_day_walked_with_fewer_fields_is_proved_complete(store, sandbox):
    load(sandbox, store, MORE)
    with client_of(sandbox.url) as client:
        proof = prove_completeness(DataApi(client), store, SyncSettings(fields=SOME), date.fromisoformat(DAY))
    assert (proof.verdict, proof.rows_differing) == ("complete", 0)


@pytest.mark.parametrize("forged", ["'x'", "NULL"])
def test_a_value_that_was_carried_over_and_is_forged_is_noticed_and_put_back(store, sandbox, forged):
    load(sandbox, store, MORE)
    sandbox.world.change("1", effective=f"{DAY} 12:00:00", operation_status="error")
    load(sandbox, store, SOME)
    before = stored(store)
    execute(store, f"UPDATE core.operations SET customer_email = {forged} WHERE operation_id = '1'")
    result = replayed(store)
    assert result.damaged["operations"] == {"1"}
    Replayer(store, "default", DEMO_SECRET).repair(result.damaged)
    assert stored(store) == before
    assert replayed(store).problems == []


@pytest.mark.parametrize("personal", [PersonalSettings("drop"), KEYED], ids=["drop", "hash"])
def test_a_clear_personal_value_is_not_carried_over_when_none_is_to_be_kept(store, sandbox, personal):
    load(sandbox, store, MORE)
    load(sandbox, store, SOME, personal=personal)
    assert {operation["customer_email"] for operation in stored(store)} == {None}
    assert {operation["remaining_refund"] for operation in stored(store)} == {2**63 - 1}


@pytest.mark.parametrize(
    ("fields", "unrequested"),
    [
        ([], {*ON_REQUEST}),
        (["operation_id", "arn"], {*BY_DEFAULT, *ON_REQUEST, "extra"} - {"operation_id", "arn"}),
        (["arn", "loyalty"], {*BY_DEFAULT, *ON_REQUEST} - {"operation_id", "arn"}),
        (
            ["sum_initial.amount", "sum_converted"],
            {*BY_DEFAULT, *ON_REQUEST, "extra"}
            - {"operation_id", "sum_initial_amount", "sum_converted_amount", "sum_converted_currency"},
        ),
    ],
)
def test_which_columns_a_request_does_not_ask_for(fields, unrequested):
    assert {*OPERATIONS.unrequested({"fields": fields} if fields else {})} == unrequested
