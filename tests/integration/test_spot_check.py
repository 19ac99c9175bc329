"""The spot check finds a stored operation that the platform, asked by payment, tells otherwise."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from fixtures.commands import SETTINGS, client_of, execute, fetch_all, sync
from pipelines.audit.spot_check import spot_check
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import SyncSettings

TODAY = datetime.now(UTC).date()
FIRST, LAST = str(TODAY - timedelta(days=6)), str(TODAY - timedelta(days=1))
DAY = date(2024, 3, 10)


def world_of(operations: int = 400) -> World:
    return World.generate(seed=3, start=FIRST, days=6, operations=operations, now=f"{TODAY}T00:00:00")


def check(sandbox, store, day=DAY, sample=30, settings=SETTINGS):
    with client_of(sandbox.url) as client:
        return spot_check(DataApi(client), store, settings, day, sample)


def test_a_store_that_is_right_has_no_difference_and_the_answers_are_kept(store):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        report = check(sandbox, store)
        assert report.payments == 30
        assert {item.outcome for item in report.comparisons} <= {"equal", "not loaded"}
        assert len(report.of("equal")) >= 30
    kept = fetch_all(store, "SELECT count(*) FROM raw.pages WHERE endpoint = 'operations/get-by-payment'")
    assert kept == [{"count": 30}]
    rows = fetch_all(store, "SELECT count(*) FROM sync.spot_checks WHERE outcome = 'equal'")
    assert rows == [{"count": len(report.of("equal"))}]


def test_the_sample_is_the_same_for_a_day_and_another_for_the_next(store):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        samples = [
            {item.payment_id for item in check(sandbox, store, day).comparisons}
            for day in (DAY, DAY, DAY + timedelta(days=1))
        ]
    assert samples[0] == samples[1] != samples[2]


DAMAGE = {
    "amount": "SET sum_initial_amount = sum_initial_amount + 1, sum_converted_amount = sum_converted_amount + 1",
    "operation_type": "SET operation_type = 'gift'",
    "rrn": "SET rrn = '42'",
    "operation_completed_at": "SET operation_completed_at = operation_completed_at + interval '1 second'",
}


@pytest.mark.parametrize("field", DAMAGE)
def test_a_damaged_operation_is_named_with_both_values(store, field):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        damaged = check(sandbox, store).of("equal")[0].operation_id
        execute(store, f"UPDATE core.operations {DAMAGE[field]} WHERE operation_id = '{damaged}'")
        (found,) = check(sandbox, store).of("different")
    assert (found.operation_id, found.field) == (damaged, field)
    assert found.stored != found.answered
    (run,) = fetch_all(store, "SELECT message FROM sync.runs WHERE stream = 'spot check' ORDER BY run_id DESC LIMIT 1")
    assert damaged in run["message"]


def test_an_operation_lost_from_a_covered_day_is_missed(store):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        twins = "SELECT payment_id FROM core.operations GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
        lost = fetch_all(
            store,
            f"SELECT min(operation_id) AS id FROM core.operations WHERE payment_id = ({twins}) "
            "AND operation_completed_at IS NOT NULL",
        )[0]["id"]
        execute(store, f"DELETE FROM core.operations WHERE operation_id = '{lost}'")
        found = check(sandbox, store, sample=1000).of("different")
    assert [(item.operation_id, item.field, item.stored) for item in found] == [(lost, "operation", None)]


def test_an_operation_that_changed_since_it_was_loaded_is_explained_and_loaded(store):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        changed = check(sandbox, store).of("equal")[0].operation_id
        sandbox.world.set_now(f"{TODAY}T00:00:01")
        sandbox.world.change(changed, effective=f"{TODAY} 00:00:00", arn="0099")
        report = check(sandbox, store)
        assert report.of("different") == []
        assert [item.operation_id for item in report.of("changed since")] == [changed]
    assert fetch_all(store, "SELECT arn FROM core.operations WHERE operation_id = :id", id=changed) == [{"arn": "0099"}]


FEW = ("operation_id", "payment_id", "operation_completed_at")
SOME = (*FEW, "operation_type", "sum_initial.amount", "rrn")


@pytest.mark.parametrize(("loaded", "now"), [(FEW, FEW), (SOME, SOME), (FEW, ()), (SOME, ()), ((), FEW)])
def test_a17_what_was_not_asked_for_or_is_not_any_more_is_no_difference(store, loaded, now):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST, settings=SyncSettings(fields=loaded))
        report = check(sandbox, store, settings=SyncSettings(fields=now))
        assert report.of("different") == []
        assert len(report.of("equal")) >= 30
        damaged = report.of("equal")[0].operation_id
        later = "operation_completed_at = operation_completed_at + interval '1 second'"
        execute(store, f"UPDATE core.operations SET {later}, rrn = '42' WHERE operation_id = '{damaged}'")
        found = check(sandbox, store, settings=SyncSettings(fields=now)).of("different")
    fields = {"operation_completed_at", "rrn"} if "rrn" in loaded else {"operation_completed_at"}
    assert {(item.operation_id, item.field) for item in found} == {(damaged, field) for field in fields}


def test_what_may_lie_in_days_that_nobody_has_loaded_is_no_difference(store):
    """An operation that changes moves to the time of its change: here months after the days that were loaded."""
    first, last, later = (str(TODAY - timedelta(days=days)) for days in (40, 36, 30))
    world = World.generate(seed=3, start=first, days=10, operations=400, now=f"{TODAY}T00:00:00")
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, first, last)
        changed = check(sandbox, store).of("equal")[0].operation_id
        world.change(changed, effective=f"{later} 00:00:00", arn="0099")
        report = check(sandbox, store, sample=100)
        assert report.of("different") == []
        assert {item.field for item in report.of("not loaded")} >= {"arn", "operation"}
        sync(sandbox, store, last, LAST)
        assert {item.outcome for item in check(sandbox, store, sample=100).comparisons} == {"equal"}


def test_the_command_tells_of_a_difference_and_ends_red(command, store, store_url, tmp_path, dagster_home):
    environment = {
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path),
    }
    with SandboxServer(world_of(100)) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        done = command("spot-check", environment=environment)
        assert (done.returncode, done.stdout) == (
            0,
            "no difference: no payment in the store to ask for (operations)\n",
        ), done.stderr
        sync(sandbox, store, FIRST, LAST)
        done = command("spot-check", "--sample", "15", environment=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("no difference: ")
        execute(store, "UPDATE core.operations SET rrn = 'x'")
        done = command("spot-check", environment=environment)
    assert done.returncode == 1
    assert "no_difference of spot_check failed" in done.stderr
    assert "rrn" in done.stdout
