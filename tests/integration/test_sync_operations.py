"""The promise of the engine: after a sync, the store holds exactly what the platform holds, and can show it."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from fixtures.commands import ROOT, client_of, command, differences, fetch_all, sync
from fixtures.shifted_clock import ShiftedClock
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.errors import ConfigError, Incomplete
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, Faults, SandboxServer, World, sandbox_process
from resources.settings import SyncSettings

FIRST, LAST = "2024-03-01", "2024-03-10"
NOW = "2024-04-01T00:00:00"


def world_of(operations: int, **options) -> World:
    return World.generate(seed=5, start=FIRST, days=10, operations=operations, now=NOW, **options)


@pytest.mark.parametrize("operations", [0, 1, 2, 999, 1000, 1001, 1998, 1999, 2000, 2001, 4000, 15_000])
def test_whatever_the_number_of_rows_all_of_them_arrive(store, operations):
    with SandboxServer(World.generate(seed=5, start=FIRST, days=10, operations=operations, now=NOW)) as sandbox:
        report = sync(sandbox, store, FIRST, LAST)
        assert differences(store, sandbox.world, FIRST, LAST) == {}
        assert report.rows_met == report.rows_new == len(sandbox.world.truth(None, FIRST, f"{LAST} 23:59:59"))
        assert sandbox.request_count <= 1.25 * report.rows_met / 1000 + 3 * report.windows


def test_a_run_keeps_nothing_of_the_windows_that_it_has_committed(store):
    """Or a backfill of years would fill the memory."""
    kept = []

    class Counting:
        def begin(self, what, holes):
            pass

        def committed(self, window, report):
            if report.rows_met:
                gc.collect()
                kept.append(len(gc.get_objects()))

        def end(self):
            pass

    hours = replace(OPERATIONS, longest=3600)
    request = SyncRequest(date.fromisoformat(FIRST), date.fromisoformat("2024-03-02"))
    options = {"operations": 6_000, "days": 10, "end": date.fromisoformat(LAST), "now": "2024-04-01 00:00:00"}
    with sandbox_process(**options) as sandbox, client_of(sandbox.url, sandbox.token, sandbox.secret) as client:
        report = load_stream(hours, request, DataApi(client), store, SyncSettings(windows_in_flight=1), Counting())
    assert report.windows == 48
    assert len(report.totals) > 50
    assert kept[-1] - kept[10] < 10 * len(kept), "a window leaves more behind than new kinds of totals"


def test_a_second_sync_changes_no_row_and_says_so(store):
    with SandboxServer(world_of(3_000)) as sandbox:
        first = sync(sandbox, store, FIRST, LAST)
        before = fetch_all(store, "SELECT ctid::text, xmin::text, * FROM core.operations ORDER BY operation_id")
        second = sync(sandbox, store, FIRST, LAST)
    assert (second.rows_new, second.rows_changed, second.rows_unchanged) == (0, 0, first.rows_met)
    after = fetch_all(store, "SELECT ctid::text, xmin::text, * FROM core.operations ORDER BY operation_id")
    assert after == before, "an unchanged row must not be rewritten, not even physically"
    digests = fetch_all(store, "SELECT DISTINCT interval_from, rows_digest FROM sync.windows")
    assert len(digests) == first.windows, "the same rows have the same digest"


def test_a_changed_operation_replaces_its_state_and_leaves_the_one_before(store):
    with SandboxServer(world_of(500)) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        changed = sandbox.world.truth(None, FIRST, LAST)[0]["operation_id"]
        before = fetch_all(store, "SELECT * FROM core.operations WHERE operation_id = :id", id=changed)[0]
        sandbox.world.change(changed, effective=f"{LAST} 12:00:00", operation_status="error", arn="000123")
        report = sync(sandbox, store, FIRST, LAST)
        assert (report.rows_new, report.rows_changed) == (0, 1)
        assert differences(store, sandbox.world, FIRST, LAST) == {}
    now = fetch_all(store, "SELECT * FROM core.operations WHERE operation_id = :id", id=changed)[0]
    assert (now["operation_status"], now["arn"]) == ("error", "000123")
    assert now["first_seen_at"] == before["first_seen_at"] < now["observed_at"]
    version = fetch_all(store, "SELECT * FROM core.operation_versions")[0]
    assert version.pop("known_to") == now["observed_at"]
    assert version == before
    as_of = fetch_all(
        store,
        "SELECT operation_status FROM core.operations_as_of(:moment) WHERE operation_id = :id",
        moment=before["observed_at"],
        id=changed,
    )
    assert as_of == [{"operation_status": before["operation_status"]}]


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_the_order_of_the_rows_does_not_matter(store, order):
    with SandboxServer(world_of(13_000, order=order)) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        assert differences(store, sandbox.world, FIRST, LAST) == {}


def test_only_the_projects_asked_for_are_loaded(store):
    with SandboxServer(world_of(2_000)) as sandbox:
        project = sandbox.world.projects[1]
        sync(sandbox, store, FIRST, LAST, projects=[project])
        assert differences(store, sandbox.world, FIRST, LAST, projects=[project]) == {}
    assert fetch_all(store, "SELECT DISTINCT project_ids FROM sync.windows") == [{"project_ids": [project]}]


def test_a_day_is_walked_from_its_first_second_to_the_midnight_after_it(store):
    times = ["2024-02-29 23:59:59", "2024-03-01 00:00:00", "2024-03-01 23:59:59", "2024-03-02 00:00:00"]
    times += ["2024-03-02 00:00:01"]
    world = World.of([({"operation_id": str(number)}, time) for number, time in enumerate(times, 1)], now=NOW)
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, FIRST)
    assert [row["operation_id"] for row in fetch_all(store, "SELECT operation_id FROM core.operations")] == [
        "2",
        "3",
        "4",
    ]


def test_a4_a_host_clock_that_is_wrong_for_a_run_neither_covers_the_future_nor_outlives_that_run(
    store, tmp_path, dagster_home
):
    """A day ahead, it is refused; within the minute that is allowed, what the platform changes later still is later."""
    today, clock = datetime.now(UTC).date(), ShiftedClock(tmp_path)
    sale = {"operation_type": "sale", "operation_status": "processing", "sum_initial": {"amount": 5, "currency": "EUR"}}
    last_hour = datetime.now(UTC) - timedelta(hours=1)
    with SandboxServer(World.of([({"operation_id": "1"} | sale, f"{last_hour:%Y-%m-%d %H:%M:%S}")])) as sandbox:
        environment = clock.environment | {
            "DATABASE_URL": store.url,
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "SYNC_DATA_DIR": str(tmp_path),
            "DAGSTER_HOME": str(dagster_home),
            "PYTHONPATH": str(ROOT / "tests"),  # for that home's storage
        }
        for seconds, exit_code in ((86_400, 2), (50, 0)):
            clock.shift(seconds)
            done = command("operations", "--from", f"{last_hour:%Y-%m-%d}", "--to", f"{today}", environment=environment)
            assert done.returncode == exit_code, done.stderr
            if exit_code:
                assert f"this machine's clock says {today + timedelta(days=1)}" in done.stderr
                assert fetch_all(store, "SELECT 1 FROM sync.windows") == []
        (coverage,) = fetch_all(store, "SELECT covered_to FROM sync.coverage")
        assert coverage["covered_to"] < datetime.now(UTC)
        day = str(today - timedelta(days=1))
        done = command("reconcile", "--date", day, "--leg", "completeness", environment=environment)
        (proof,) = fetch_all(store, "SELECT walked_at FROM recon.completeness")
        assert proof["walked_at"] < datetime.now(UTC), done.stderr
        sandbox.world.change("1", operation_status="success")
        time.sleep(2)  # until the second of the change is over, and long before our clock's 50 s are
        sync(sandbox, store, f"{last_hour:%Y-%m-%d}", f"{datetime.now(UTC):%Y-%m-%d}")
    assert [row["operation_status"] for row in fetch_all(store, "SELECT * FROM core.operations")] == ["success"]


def test_five_sparse_years_cost_about_a_dozen_windows(store):
    days = [f"20{year}-{month:02}-15 12:00:00" for year in range(19, 24) for month in range(1, 13)]
    world = World.of([({"operation_id": str(number)}, day) for number, day in enumerate(days, 1)], now=NOW)
    with SandboxServer(world) as sandbox:
        report = sync(sandbox, store, "2019-01-01", "2023-12-31")
        assert differences(store, world, "2019-01-01", "2023-12-31") == {}
        assert report.windows <= 12
        assert sandbox.request_count <= 60
        for request in sandbox.requests:
            assert request.params["tz"] == "UTC"


def test_more_rows_in_one_second_than_a_page_holds(store):
    world = World.of([({"operation_id": str(number)}, "2024-03-05 12:00:00") for number in range(1, 2_501)], now=NOW)
    with SandboxServer(world) as sandbox:
        report = sync(sandbox, store, FIRST, LAST)
        assert report.rows_met == 2_500
        assert differences(store, world, FIRST, LAST) == {}


@pytest.mark.parametrize("account", ["default", "second"])
def test_rows_windows_and_pages_bear_the_account(store, account):
    from resources.settings import SyncSettings

    with SandboxServer(world_of(50)) as sandbox:
        sync(sandbox, store, FIRST, LAST, settings=SyncSettings(account=account))
    for table in ("core.operations", "sync.windows", "sync.runs", "raw.pages"):
        assert fetch_all(store, "SELECT DISTINCT account FROM " + table) == [{"account": account}]


def test_extreme_values_arrive_exactly(store):
    rows = [
        {"operation_id": "1", "sum_initial": {"amount": 9_007_199_254_740_993, "currency": "EUR"}},
        {"operation_id": "2", "sum_initial": {"amount": 2**63 - 1, "currency": "XXQ"}, "rrn": "000000000012"},
        {"operation_id": "3", "sum_initial": {"amount": -5, "currency": "JPY"}, "sum_converted": None},
        {
            "operation_id": "4",
            "sum_initial": None,
            "payment_description": 'a,"b"\n\\.\n\r\t;\' =1+1 日本 \\N',
        },
        {"operation_id": "5", "sum_initial": [], "operation_completed_at": "", "operation_type": "new kind"},
    ]
    world = World.of([(row, f"{FIRST} 10:00:00") for row in rows], now=NOW)
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, FIRST)
        assert differences(store, world, FIRST, FIRST) == {}


def test_an_unknown_field_is_kept_in_extra(store):
    world = World.of([({"operation_id": "1", "loyalty": {"points": 12, "tier": "gold"}}, f"{FIRST} 10:00:00")], now=NOW)
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, FIRST)
    assert fetch_all(store, "SELECT extra FROM core.operations") == [
        {"extra": {"loyalty": {"points": 12, "tier": "gold"}}}
    ]


def test_a_row_that_cannot_be_typed_is_kept_with_its_reason_and_all_others_are_loaded(store):
    rows = [
        {"operation_id": "1", "sum_initial": {"amount": "12.50", "currency": "EUR"}},
        {"operation_id": "2"},
        {"operation_id": "3", "sum_initial": {"amount": 2**63, "currency": "EUR"}},
    ]
    world = World.of([(row, f"{FIRST} 10:00:00") for row in rows], now=NOW)
    with SandboxServer(world) as sandbox:
        report = sync(sandbox, store, FIRST, FIRST)
        again = sync(sandbox, store, FIRST, FIRST)
    assert (report.rows_met, report.rows_new, report.rows_rejected) == (3, 1, 2)
    assert (again.rows_new, again.rows_changed, again.rows_rejected) == (0, 0, 2)
    rejects = fetch_all(store, "SELECT reason, raw_json::json ->> 'operation_id' AS id FROM core.rejects ORDER BY 2")
    assert rejects == [
        {"reason": "sum_initial_amount is '12.50', not a whole number of minor units", "id": "1"},
        {"reason": f"sum_initial_amount is {2**63}, larger than a bigint holds", "id": "3"},
    ]


def test_rejects_of_more_reasons_than_are_listed_are_all_counted(store):
    rows = [{"operation_id": str(number), "sum_initial": {"amount": f"{number}.5"}} for number in range(120)]
    with SandboxServer(World.of([(row, f"{FIRST} 10:00:00") for row in rows], now=NOW)) as sandbox:
        run_id = sync(sandbox, store, FIRST, FIRST).run_id
    for found, listed in (
        (store.query("checks/no_rejects", run_ids=[run_id]), 100),
        (store.query("cli/status/rejects"), 10),
    ):
        assert [row.rows for row in found] == [*[1] * listed, 120 - listed]
        assert [row.reason == "other reasons" for row in found] == [*[False] * listed, True]


PAGE_FAULTS = ["short_page", "empty_page", ("capped_page", 500)]


@pytest.mark.parametrize("fault", PAGE_FAULTS, ids=str)
@pytest.mark.parametrize("at", range(1, 7))
def test_one_bad_page_anywhere_loses_nothing(store, fault, at):
    """Over real HTTP for one size; for every size and place see the properties in test_walk.py."""
    with SandboxServer(world_of(2_100), faults=Faults.script({at: fault})) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        assert differences(store, sandbox.world, FIRST, LAST) == {}


def test_a_server_that_caps_its_pages_loses_nothing(store):
    with SandboxServer(world_of(4_000)) as sandbox:
        sandbox.faults.always(("capped_page", 500))
        sync(sandbox, store, FIRST, LAST)
        assert differences(store, sandbox.world, FIRST, LAST) == {}


def test_pages_of_one_row_cannot_meet_so_that_the_days_are_refused_with_the_reason(store):
    with SandboxServer(world_of(40)) as sandbox:
        sandbox.faults.always(("capped_page", 1))
        with pytest.raises(Incomplete, match=r"same first page each time.*show its support this interval"):
            sync(sandbox, store, FIRST, LAST)
    assert fetch_all(store, "SELECT DISTINCT verdict FROM sync.windows") == [{"verdict": "incomplete"}]


@pytest.mark.parametrize("fault", ["rows_leave", "rows_enter", "late_rows"])
def test_rows_that_move_between_pages_lose_no_row_that_stays(store, fault):
    with SandboxServer(world_of(6_000)) as sandbox:
        sandbox.faults.next((fault, 3), times=9, endpoint="operations/get")
        sync(sandbox, store, FIRST, LAST)
        sandbox.faults.clear()
        found = differences(store, sandbox.world, FIRST, LAST)
        assert "lost" not in found or fault != "rows_leave"
        sync(sandbox, store, FIRST, LAST)
        found = differences(store, sandbox.world, FIRST, LAST)
        assert found.keys() <= {"too_much"}, "only rows that have left the interval are more than the truth"
    assert fetch_all(store, "SELECT DISTINCT verdict FROM sync.windows") == [{"verdict": "complete"}]


def test_a_refusal_stops_the_run_and_leaves_nothing_half_written(store):
    world = world_of(3_000)
    visible, hidden = world.projects[:2]
    refused = pytest.raises(Unauthorized, match=f"no access to project_id = {hidden}")
    with SandboxServer(world, accounts=[Account(projects=[visible])]) as sandbox, refused:
        sync(sandbox, store, FIRST, LAST, projects=[visible, hidden])
    assert fetch_all(store, "SELECT count(*) FROM core.operations") == [{"count": 0}]
    (run,) = fetch_all(store, "SELECT state, message FROM sync.runs")
    assert run["state"] == "failed"
    assert str(hidden) in run["message"]


def test_days_that_make_no_sense_are_refused_before_anything_is_asked(store):
    with SandboxServer(world_of(10)) as sandbox:
        with pytest.raises(ConfigError, match="no day to sync"):
            sync(sandbox, store, LAST, FIRST)
        with pytest.raises(ConfigError, match="no day to sync"):
            sync(sandbox, store, "2199-01-01", "2199-01-02")
        assert sandbox.request_count == 0


def test_the_ledger_is_chained_and_its_totals_are_those_of_the_store(store):
    with SandboxServer(world_of(12_000)) as sandbox:
        report = sync(sandbox, store, FIRST, LAST)
    entries = fetch_all(
        store,
        """SELECT entry_no, entry_hash = sync.entry_hash(w) AS intact, previous_hash, entry_hash,
                  totals_written = sync.written_totals(window_id) AS equal_to_store,
                  totals_met = totals_written AS all_new
           FROM sync.windows w ORDER BY entry_no""",
    )
    assert [entry["entry_no"] for entry in entries] == list(range(1, report.windows + 1))
    assert all(entry["intact"] and entry["equal_to_store"] and entry["all_new"] for entry in entries)
    hashes = [bytes(32), *(bytes(entry["entry_hash"]) for entry in entries)]
    assert [bytes(entry["previous_hash"]) for entry in entries] == hashes[:-1]


def test_every_raw_page_is_a_body_that_the_platform_signed(store):
    import hashlib

    import pyarrow as pa

    from resources.data_api.signature import verify
    from resources.sandbox import DEMO_SECRET, DEMO_TOKEN

    with SandboxServer(world_of(2_500)) as sandbox:
        sync(sandbox, store, FIRST, LAST)
    pages = fetch_all(store, "SELECT * FROM raw.pages")
    assert len(pages) >= 3
    for page in pages:
        body = pa.decompress(page["body_zstd"], page["body_bytes"], "zstd", asbytes=True)
        assert hashlib.sha256(body).digest() == page["body_sha256"]
        assert verify(body, DEMO_SECRET)
        assert DEMO_TOKEN not in str(page["request"])
        assert "signature" not in page["request"]


def test_a_killed_run_is_continued_where_it_stopped(store):
    class Killed(BaseException):
        pass

    class KilledAfterTwo:
        def __init__(self):
            self.left = 2

        def begin(self, what, holes):
            pass

        def committed(self, window, report):
            self.left -= 1
            if not self.left:
                raise Killed

        def end(self):
            pass

    from datetime import date

    from fixtures.commands import client_of
    from pipelines.ingest.engine import SyncRequest
    from pipelines.ingest.engine import sync as load_stream
    from pipelines.ingest.operations import OPERATIONS
    from resources.data_api.endpoints import DataApi

    with SandboxServer(world_of(4_000)) as sandbox:
        request = SyncRequest(date.fromisoformat(FIRST), date.fromisoformat(LAST))
        settings = SyncSettings(windows_in_flight=1)
        of_short_windows = replace(OPERATIONS, longest=2 * 86_400)
        with client_of(sandbox.url) as client, pytest.raises(Killed):
            load_stream(of_short_windows, request, DataApi(client), store, settings, KilledAfterTwo())
        done = fetch_all(store, "SELECT count(*) FROM sync.windows")[0]["count"]
        report = sync(sandbox, store, FIRST, LAST)
        assert report.resumed_windows == done >= 2
        assert differences(store, sandbox.world, FIRST, LAST) == {}


def test_times_at_the_end_of_the_calendar_stop_nothing(store):
    rows = [{"operation_id": "1", "operation_completed_at": "0001-01-01 00:00:00"}, {"operation_id": "2"}]
    rows += [{"operation_id": str(number), "operation_completed_at": "9999-12-31 23:59:59"} for number in range(3, 9)]
    world = World.of([(row, f"{FIRST} 10:00:00") for row in rows], now=NOW)
    with SandboxServer(world) as sandbox:
        assert sync(sandbox, store, FIRST, FIRST).rows_met == 8
