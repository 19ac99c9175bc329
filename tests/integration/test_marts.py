"""The marts of schema bi: continuing gives exactly what building anew gives, and equals the core."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.commands import execute, fetch_all, sync, waits_for_a_lock
from fixtures.marts import SETTINGS, daily, load, op
from pipelines.marts import MARTS, TABLES, build_marts, differences_from_core
from resources.currencies import ExponentOverride
from resources.sandbox import SandboxServer, World
from resources.settings import ReferenceSettings
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

FILL = Path(__file__).parents[1] / "bench/fill_operations.sql"
PROPERTY = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


FACTS = [name for name in TABLES if not name.startswith("dim_")]
DAMAGE = {
    "deleted": [
        *(f"DELETE FROM bi.{name}" for name in FACTS),
        "DELETE FROM bi.dim_date WHERE business_date = date_trunc('year', now())::date",
        "DELETE FROM bi.dim_project WHERE project_id = '22'",
        "DELETE FROM bi.dim_operation_status WHERE operation_type = 'sale'",
    ],
    "added": [
        "INSERT INTO bi.dim_project VALUES ('default', '999', 'Nobody', now())",
        "INSERT INTO bi.dim_operation_status VALUES ('odd', 'odd', true, true, true, 1)",
        *(
            f"INSERT INTO bi.{name} SELECT (jsonb_populate_record(t, '{more}')).* FROM bi.{name} t LIMIT 1"
            for name, more in {
                "daily_overview": '{"business_date": "2024-07-01"}',
                "approval_by_method_daily": '{"bin": "999999"}',
                "decline_reasons_daily": '{"business_date": "2024-07-01", "currency": "JPY"}',
                "fct_payments": '{"payment_id": "nobody"}',
                "fct_retries": '{"project_id": "(none)"}',
                "fct_refunds": '{"operation_id": "999", "payment_id": "nobody"}',
                "fct_balances_daily": '{"balance_name": "no such"}',
            }.items()
        ),
    ],
    "changed": [
        "UPDATE bi.daily_overview SET business_date = business_date + 1",
        "UPDATE bi.daily_overview SET operations = operations + 1, amount = NULL",
        "UPDATE bi.approval_by_method_daily SET approved = 0",
        "UPDATE bi.decline_reasons_daily SET amount = NULL",
        "UPDATE bi.fct_payments SET payment_status = 'pending', first_approved_at = NULL",
        "UPDATE bi.fct_payments SET sold = round(sold, 9)",
        "UPDATE bi.fct_retries SET outcome = 'pending', payment_provider_code = '42'",
        "UPDATE bi.fct_refunds SET operation_id = '999'",
        "UPDATE bi.fct_balances_daily SET closing = 0",
        "UPDATE bi.dim_project SET project_name = 'Wrong', name_observed_at = '9999-01-01'",
        "UPDATE bi.dim_operation_status SET sign = 7, is_final = false",
        "UPDATE bi.dim_date SET fiscal_year = 1, is_weekend = NOT is_weekend",
    ],
}


def contents(store) -> dict[str, list[dict]]:
    return {
        name: sorted(fetch_all(store, f"SELECT * FROM bi.{name}"), key=str) for name in TABLES if name != "dim_date"
    }


def days(store) -> list[dict]:
    return fetch_all(store, "SELECT * FROM bi.dim_date ORDER BY 1")


def load_something_for_every_mart(store) -> None:
    load(
        store,
        op(1, project_name="A"),
        op(2, "refund", minor=30, when="2024-03-03 10:00:00"),
        op(3, status="decline", payment="p2", payment_provider_code="05"),
        op(4, payment="p2", when="2024-03-02 11:00:00"),
        op(5, payment="p5", project_id=""),
    )
    run_id = ledger.start_run(store, account="default", stream="balances", interval=None)
    values = f"('default', '2024-03-02 1:00Z', 0, 'Main', 'EUR', 100, {run_id})"
    execute(store, f"INSERT INTO core.balance_snapshots VALUES {values}")


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
        world.set_now("2024-03-20 00:00:00")
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


def test_a_reader_never_waits_for_a_full_build_and_sees_the_state_before_it(store):
    load_something_for_every_mart(store)
    build_marts(store, SETTINGS)
    right = contents(store)
    assert all(right.values())
    for name in FACTS:
        execute(store, f"DELETE FROM bi.{name}")
    execute(store, "UPDATE bi.dim_project SET project_name = 'Wrong'")
    execute(store, "UPDATE bi.dim_date SET fiscal_year = 1")
    before = contents(store)
    build = threading.Thread(target=build_marts, args=(store, SETTINGS), kwargs={"full": True})
    with store.transaction() as connection:
        connection.exec_driver_sql("LOCK TABLE sync.due IN EXCLUSIVE MODE")  # what a build writes behind the marts
        build.start()
        assert waits_for_a_lock(store)
        with store.transaction() as reader:
            reader.exec_driver_sql("SET LOCAL lock_timeout = '1ms'")
            for name in MARTS:
                reader.exec_driver_sql(f"SELECT * FROM bi.{name}").all()
        assert contents(store) == before
    build.join()
    assert contents(store) == right


def test_a_full_build_does_not_wait_for_a_reader_whose_transaction_stays_open(store):
    load_something_for_every_mart(store)
    build_marts(store, SETTINGS)
    right = contents(store)
    for name in FACTS:
        execute(store, f"DELETE FROM bi.{name}")
    with store.transaction() as reader, Warehouse(store.url, lock_seconds=0.1) as impatient:
        for name in MARTS:
            reader.exec_driver_sql(f"SELECT * FROM bi.{name}").all()
        build_marts(impatient, SETTINGS, full=True)
    assert contents(store) == right


@pytest.mark.parametrize("full", [True, False])
def test_a_build_without_news_writes_no_row_of_any_mart(store, full):
    load_something_for_every_mart(store)
    build_marts(store, SETTINGS)

    def versions():
        return {name: fetch_all(store, f"SELECT ctid, xmin, xmax FROM bi.{name} ORDER BY 1") for name in TABLES}

    before = versions()
    build_marts(store, SETTINGS, full=full)
    assert versions() == before


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_full_build_puts_right_whatever_was_changed_deleted_or_added_in_the_marts(store, damage):
    load_something_for_every_mart(store)
    build_marts(store, SETTINGS)
    right = str((contents(store), days(store)))
    for statement in damage:
        before = str((contents(store), days(store)))
        execute(store, statement)
        assert str((contents(store), days(store))) != before
    build_marts(store, SETTINGS, full=True)
    assert str((contents(store), days(store))) == right


def test_another_fiscal_year_changes_the_days_that_facts_refer_to(store):
    load_something_for_every_mart(store)
    migrate(store, ReferenceSettings(fiscal_start_month=1))
    build_marts(store, SETTINGS)
    before = days(store)
    migrate(store, ReferenceSettings(fiscal_start_month=7))
    assert build_marts(store, SETTINGS).is_full
    changed = days(store)
    assert [row["business_date"] for row in changed] == [row["business_date"] for row in before]
    assert {row["fiscal_month"] for row in changed if str(row["business_date"]).endswith("07-01")} == {1}


@pytest.mark.parametrize(
    ("zone", "moment", "day"),
    [
        ("America/Havana", "2023-11-05 04:30:00", "2023-11-05"),
        ("America/Havana", "2023-11-05 05:30:00", "2023-11-05"),
        ("Atlantic/Azores", "2023-10-29 00:30:00", "2023-10-29"),
        ("America/Sao_Paulo", "2018-02-18 02:30:00", "2018-02-17"),
    ],
)
def test_an_operation_of_a_doubled_hour_at_midnight_is_of_one_day_in_every_build(store, zone, moment, day):
    migrate(store, ReferenceSettings(reporting_zone=zone))
    load(store, op(1, payment="p1"))
    build_marts(store, SETTINGS)
    load(store, op(2, payment="p2", when=moment), second=3)
    build_marts(store, SETTINGS)
    continued = contents(store)
    assert day in [row[0] for row in daily(store)]
    assert differences_from_core(store) == []
    build_marts(store, SETTINGS, full=True)
    assert contents(store) == continued


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


def test_the_command_builds_says_what_it_built_and_holds_it_against_the_core(command, store, store_url):
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
