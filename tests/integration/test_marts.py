"""The marts of schema bi: continuing gives exactly what building anew gives, and equals the core."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.commands import command, execute, fetch_all, sync
from fixtures.marts import SETTINGS, daily, load, op
from pipelines.marts import TABLES, build_marts, differences_from_core
from resources.currencies import ExponentOverride
from resources.sandbox import SandboxServer, World
from resources.settings import ReferenceSettings
from resources.warehouse.migrate import migrate

FILL = Path(__file__).parents[1] / "bench/fill_operations.sql"
PROPERTY = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def contents(store) -> dict[str, list[dict]]:
    return {
        name: sorted(fetch_all(store, f"SELECT * FROM bi.{name}"), key=str) for name in TABLES if name != "dim_date"
    }


states = st.lists(
    st.lists(
        st.builds(
            op,
            st.integers(1, 12),
            st.sampled_from(["sale", "auth", "capture", "refund", "reversal", "payout", "magic"]),
            st.sampled_from(["success", "decline", "processing", "new kind"]),
            st.one_of(st.none(), st.integers(0, 10**12)),
            st.sampled_from(["EUR", "JPY", "XXQ"]),
            st.sampled_from(["p1", "p2", "p3", ""]),
            st.sampled_from(
                ["2024-02-29 23:30:00", "2024-03-01 00:30:00", "2024-03-31 22:30:00", "2023-01-01 12:00:00"]
            ),
            project_id=st.sampled_from(["22", "23", ""]),
            project_name=st.sampled_from(["A", "B", ""]),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda row: row["operation_id"],
    ),
    min_size=1,
    max_size=6,
)


@PROPERTY
@given(
    loads=states,
    seconds=st.lists(st.integers(0, 5), min_size=6, max_size=6),
    zone=st.sampled_from(["UTC", "Asia/Tokyo"]),
)
def test_continuing_after_any_loads_gives_exactly_what_building_everything_gives(store, loads, seconds, zone):
    execute(store, "TRUNCATE core.operations, core.operation_versions, sync.windows, sync.mart_refreshes")
    migrate(store, ReferenceSettings(reporting_zone=zone))
    for rows, second in zip(loads, seconds, strict=False):
        load(store, *rows, second=second)
        build_marts(store, SETTINGS)
        assert differences_from_core(store) == []
    continued = contents(store)
    report = build_marts(store, SETTINGS, full=True)
    assert report.is_full
    assert contents(store) == continued


def test_a_month_of_the_sandbox_loaded_twice_with_changes_continues_to_what_building_anew_gives(store):
    world = World.generate(seed=3, start="2024-03-01", days=12, operations=3_000, now="2024-03-07 12:00:00")
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, "2024-03-01", "2024-03-07")
        assert build_marts(store, SETTINGS).is_full
        world._fixed = World(now="2024-03-20 00:00:00")._fixed
        report = sync(sandbox, store, "2024-03-01", "2024-03-12")
        assert report.rows_changed > 50
        assert not build_marts(store, SETTINGS).is_full
        continued = contents(store)
        build_marts(store, SETTINGS, full=True)
        assert contents(store) == continued
        assert differences_from_core(store) == []
        nothing = build_marts(store, SETTINGS)
        assert (nothing.is_full, nothing.windows, nothing.days, nothing.payments) == (False, 0, 0, 0)


def test_an_operation_that_moves_to_another_day_and_payment_leaves_both_right(store):
    load(store, op(1, status="processing", when="2024-03-02 10:00:00"), op(2, payment="p2"))
    build_marts(store, SETTINGS)
    load(store, op(1, payment="p9", when="2024-03-05 10:00:00"), second=5)
    report = build_marts(store, SETTINGS)
    assert (report.days, report.payments) == (2, 2)
    assert daily(store) == [
        ("2024-03-02", "sale", "success", 1, 100, Decimal("1.00")),
        ("2024-03-05", "sale", "success", 1, 100, Decimal("1.00")),
    ]
    assert {row["payment_id"] for row in fetch_all(store, "SELECT payment_id FROM bi.fct_payments")} == {"p2", "p9"}


def test_another_zone_or_exponent_builds_everything_anew_without_being_asked(store):
    load(store, op(1, currency="JPY", minor=500, when="2024-03-02 23:30:00"))
    build_marts(store, SETTINGS)
    assert daily(store) == [("2024-03-02", "sale", "success", 1, 500, Decimal(500))]
    migrate(
        store, ReferenceSettings(reporting_zone="Europe/Berlin", currency_exponents=(ExponentOverride("JPY", None, 2),))
    )
    assert build_marts(store, SETTINGS).is_full
    assert daily(store) == [("2024-03-03", "sale", "success", 1, 500, Decimal("5.00"))]
    assert not build_marts(store, SETTINGS).is_full


def test_the_build_of_a_night_reads_what_the_night_touched_and_not_all_operations(store):
    rows, days = 20_000, 400
    fill, night = FILL.read_text(encoding="utf-8").split("-- night\n")
    execute(store, fill.replace("{rows}", str(rows)).replace("{days}", str(days)).replace("%", "%%"))
    build_marts(store, SETTINGS)
    execute(store, night.replace("%", "%%"))
    analyze(store)
    before = rows_read(store)
    report = build_marts(store, SETTINGS)
    assert (report.is_full, report.windows) == (False, 1)
    assert 0 < rows_read(store) - before < rows / 10


def rows_read(store) -> int:
    """Rows of core.operations that any statement has read until now."""
    execute(store, "SELECT pg_stat_force_next_flush()")
    (row,) = fetch_all(
        store,
        "SELECT seq_tup_read + idx_tup_fetch AS n FROM pg_stat_user_tables WHERE relid = 'core.operations'::regclass",
    )
    return row["n"]


def analyze(store) -> None:
    """Let the planner know the tables, as autovacuum does in time."""
    execute(store, "ANALYZE core.operations, core.operation_versions, sync.windows")


def test_a_build_that_fails_changes_nothing(store, monkeypatch):
    load(store, op(1))
    build_marts(store, SETTINGS)
    before = contents(store)
    load(store, op(2, payment="p2"), second=3)
    execute(store, "ALTER TABLE bi.fct_payments ADD CONSTRAINT one CHECK (payment_id = 'p1')")
    with pytest.raises(Exception, match="could not execute"):
        build_marts(store, SETTINGS)
    execute(store, "ALTER TABLE bi.fct_payments DROP CONSTRAINT one")
    assert contents(store) == before
    build_marts(store, SETTINGS)
    assert differences_from_core(store) == []


def test_a_total_that_was_altered_is_found(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    execute(store, "UPDATE bi.daily_overview SET amount_minor = 101")
    (found,) = differences_from_core(store)
    assert (found.minor_in_core, found.minor_in_mart) == (100, 101)


def test_the_command_builds_says_what_it_built_and_holds_it_against_the_core(store, store_url):
    load(store, op(1))
    done = command("marts", environment={"DATABASE_URL": store_url})
    assert (done.returncode, done.stderr) == (0, "")
    assert "built: everything: 1 business days, 1 payments" in done.stdout
    assert "equal to the core" in done.stdout
    load(store, op(2, payment="p2", when="2024-03-03 10:00:00"), second=3)
    done = command("marts", environment={"DATABASE_URL": store_url})
    assert "built: 1 ledger entries that were new: 1 business days, 1 payments" in done.stdout
    done = command("marts", "--full", environment={"DATABASE_URL": store_url})
    assert "built: everything: 2 business days, 2 payments" in done.stdout
