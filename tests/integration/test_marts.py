"""The marts of schema bi: what they say of the core, exactly; continuing gives what building anew gives."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.sync.balances import sync_balances
from pipelines.sync.marts import (
    MARTS,
    TABLES,
    VIEWS,
    build_marts,
    currencies_missing_from_grain,
    differences_from_core,
)
from pipelines.sync.normalize import normalize_operations, unite
from resources.currencies import ExponentOverride
from resources.data_api.endpoints import DataApi
from resources.sandbox import SandboxServer, World
from resources.settings import ReferenceSettings, SyncSettings
from resources.warehouse import ledger
from resources.warehouse.ledger import Scope, WalkRecord
from resources.warehouse.load import load_window
from resources.warehouse.migrate import migrate
from support import client_of, command, execute, fetch_all, sync

SETTINGS = SyncSettings()
START = datetime(2024, 3, 1, tzinfo=UTC)
PROPERTY = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NOW = "2024-03-20 00:00:00"
PERSONAL = {
    *("account_number", "customer_ip", "customer_email", "customer_id", "card_holder"),
    *("avs_post_code", "avs_street_address", "payment_description", "card_token", "extra", "expiration_date"),
}


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def op(
    number, kind="sale", status="success", minor=100, currency="EUR", payment="p1", when="2024-03-02 10:00:00", **more
):
    return {
        "operation_id": str(number),
        "project_id": "22",
        "payment_id": payment,
        "operation_type": kind,
        "operation_status": status,
        "operation_created_at": when,
        "operation_completed_at": when if status in {"success", "decline", "error"} else "",
        "sum_initial": {"amount": minor, "currency": currency},
        **more,
    }


def load(store, *rows, second=0, account="default"):
    interval = (START, START + timedelta(days=1))
    run_id = ledger.start_run(store, account=account, stream="operations", interval=interval)
    walk = WalkRecord(*interval, at(second), at(second), walks=1, drifts=0, pages=1, requests=2)
    batch = unite([normalize_operations(list(rows), at(second))])
    report = load_window(store, Scope(account, run_id), walk, batch.frame, batch.rejects, [])
    ledger.finish_run(store, run_id, "complete", None, 1)
    return report


def contents(store) -> dict[str, list[dict]]:
    return {
        name: sorted(fetch_all(store, f"SELECT * FROM bi.{name}"), key=str) for name in TABLES if name != "dim_date"
    }


def daily(store, columns="operation_type, operation_status, operations, amount_minor, amount"):
    return [
        tuple(row.values())
        for row in fetch_all(store, f"SELECT business_date::text, {columns} FROM bi.daily_overview ORDER BY 1, 2, 3")
    ]


def payment(store, payment_id="p1") -> dict:
    (row,) = fetch_all(store, "SELECT * FROM bi.fct_payments WHERE payment_id = :p", p=payment_id)
    return row


# Continuing and building anew


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


# What the figures mean


@pytest.mark.parametrize(
    ("rows", "status", "figures"),
    [
        ([op(1)], "paid", {"sold_minor": 100, "net_minor": 100}),
        ([op(1), op(2, "refund", minor=30)], "partially refunded", {"refunded_minor": 30, "net_minor": 70}),
        ([op(1), op(2, "refund", minor=30), op(3, "refund", minor=70)], "refunded", {"net_minor": 0}),
        ([op(1), op(2, "reversal")], "refunded", {"reversed_minor": 100, "net_minor": 0}),
        ([op(1), op(2, "refund", "decline")], "paid", {"refunded_minor": 0, "net_minor": 100}),
        ([op(1, "auth")], "authorised", {"authorised_minor": 100, "net_minor": 0}),
        ([op(1, "auth"), op(2, "capture", minor=60)], "paid", {"captured_minor": 60, "net_minor": 60}),
        ([op(1, "auth"), op(2, "cancel")], "cancelled", {"net_minor": 0}),
        ([op(1, "payout")], "paid out", {"paid_out_minor": 100, "net_minor": -100}),
        ([op(1, "recurring")], "paid", {"sold_minor": 100}),
        ([op(1, "sale", "decline")], "declined", {"sold_minor": 0}),
        ([op(1, "sale", "decline"), op(2, "sale", "processing")], "pending", {"is_pending": True}),
        ([op(1, "account verification", minor=0)], "verified", {"net_minor": 0}),
    ],
)
def test_a_payment_is_told_by_its_successful_operations(store, rows, status, figures):
    load(store, *rows)
    build_marts(store, SETTINGS)
    found = payment(store)
    assert found["payment_status"] == status
    assert figures.items() <= found.items()
    assert found["operations"] == len(rows)


def test_amounts_are_exact_in_minor_and_in_major_units(store):
    amounts = [("JPY", 500, "500"), ("KWD", 1234, "1.234"), ("CLF", 12345, "1.2345"), ("USD", 1, "0.01")]
    amounts += [("EUR", 9_007_199_254_740_993, "90071992547409.93"), ("GBP", 2**63 - 1, "92233720368547758.07")]
    load(store, *(op(n, payment=f"p{n}", currency=c, minor=m) for n, (c, m, _) in enumerate(amounts)))
    build_marts(store, SETTINGS)
    for n, (currency, minor, text) in enumerate(amounts):
        found = payment(store, f"p{n}")
        assert (found["currency"], found["sold_minor"], str(found["sold"])) == (currency, minor, text)
        (fact,) = fetch_all(store, "SELECT * FROM bi.fct_operations WHERE operation_id = :n", n=str(n))
        assert (fact["amount_minor"], str(fact["amount"]), fact["net_minor"]) == (minor, text, minor)
        (day,) = fetch_all(store, "SELECT * FROM bi.daily_overview WHERE currency = :c", c=currency)
        assert (day["amount_minor"], str(day["amount"])) == (minor, text)


def test_two_currencies_of_one_payment_are_never_added(store):
    load(store, op(1, minor=100, currency="EUR"), op(2, minor=7, currency="JPY"))
    build_marts(store, SETTINGS)
    rows = fetch_all(store, "SELECT currency, sold_minor FROM bi.fct_payments ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [("EUR", 100), ("JPY", 7)]


def test_an_amount_in_a_currency_of_unknown_decimals_keeps_its_minor_units_and_has_no_major_ones(store):
    load(store, op(1, currency="XXQ"), op(2, currency=None, minor=None, payment="p2"))
    build_marts(store, SETTINGS)
    assert (payment(store)["sold_minor"], payment(store)["sold"]) == (100, None)
    assert daily(store, "currency, operations, amount_minor, amount") == [
        ("2024-03-02", "(none)", 1, None, None),
        ("2024-03-02", "XXQ", 1, 100, None),
    ]


def test_the_approval_rate_counts_attempts_that_came_to_an_end(store):
    load(
        store,
        *(op(n, payment=f"p{n}") for n in range(6)),
        op(6, status="decline"),
        op(7, status="error"),
        op(8, status="processing"),
        op(9, kind="refund"),
    )
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT * FROM bi.approval_rate_daily")
    figures = ("attempts", "approved", "declined", "failed", "approval_rate", "approved_minor")
    assert [row[name] for name in figures] == [8, 6, 1, 1, Decimal("0.7500"), 600]
    assert (row["attempted"], row["approved_amount"]) == (Decimal("8.00"), Decimal("6.00"))


def test_balances_by_day_have_first_last_lowest_and_highest_and_one_name_twice_is_summed(store):
    run_id = ledger.start_run(store, account="default", stream="balances", interval=None)
    for hour, amounts in {1: (100, 5), 9: (-50, 5), 23: (70, 6)}.items():
        for position, minor in enumerate(amounts):
            execute(
                store,
                "INSERT INTO core.balance_snapshots VALUES "
                f"('default', '2024-03-02 {hour}:00Z', {position}, 'Main', 'EUR', {minor}, {run_id})",
            )
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT * FROM bi.fct_balances_daily")
    figures = ("opening_minor", "closing_minor", "lowest_minor", "highest_minor", "snapshots", "closing")
    assert [row[name] for name in figures] == [105, 76, -45, 105, 3, Decimal("0.76")]


def test_the_fiscal_year_is_named_by_the_year_in_which_it_ends(store):
    migrate(store, ReferenceSettings(fiscal_start_month=4))
    load(store, op(1, when="2024-03-31 10:00:00"))
    build_marts(store, SETTINGS)
    rows = fetch_all(
        store,
        "SELECT business_date::text, fiscal_year, fiscal_quarter, fiscal_month, fiscal_year_start_date::text, "
        "iso_week, is_month_end FROM bi.dim_date "
        "WHERE business_date IN ('2024-03-31', '2024-04-01', '2024-12-30') ORDER BY 1",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2024-03-31", 2024, 4, 12, "2023-04-01", 13, True),
        ("2024-04-01", 2025, 1, 1, "2024-04-01", 14, False),
        ("2024-12-30", 2025, 3, 9, "2024-04-01", 1, False),
    ]


def test_the_days_have_no_hole_from_the_first_fact_to_the_end_of_next_year(store):
    load(store, op(1, when="2021-05-05 10:00:00"), op(2, when="1999-01-01 00:00:00"))
    build_marts(store, SETTINGS)
    days = [row["d"] for row in fetch_all(store, "SELECT business_date AS d FROM bi.dim_date ORDER BY 1")]
    assert days[:1] == [date(1999, 1, 1)]
    assert days[-1] == date(datetime.now(UTC).year + 1, 12, 31)
    later = [day for day in days if day.year >= 2021]
    assert len(later) == (later[-1] - later[0]).days + 1
    assert later[0] == date(2021, 1, 1)


def test_a_project_is_named_as_last_observed(store):
    load(store, op(1, project_name="Old"), op(2, payment="p2"))
    build_marts(store, SETTINGS)
    load(store, op(3, project_name="New", payment="p3"), second=4)
    build_marts(store, SETTINGS)
    assert [row["project_name"] for row in fetch_all(store, "SELECT * FROM bi.dim_project")] == ["New"]


# Fresh or late, and why


def freshness(store, stream="operations"):
    (row,) = fetch_all(store, "SELECT * FROM bi.data_freshness WHERE stream = :s", s=stream)
    return row


def test_freshness_says_how_far_the_data_reaches_and_when_the_next_run_is_due(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    row = freshness(store)
    assert (row["verdict"], row["is_late"], row["cause"]) == ("fresh", False, None)
    assert row["data_as_of_at"] == START + timedelta(days=1)
    assert datetime.now(UTC) < row["next_run_due_at"] <= datetime.now(UTC) + timedelta(days=1)
    assert (row["next_run_due_at"].hour, row["next_run_due_at"].minute) == (3, 30)
    assert row["closed_through_date"] is None


def test_a_run_that_did_not_come_is_late_and_the_daemon_is_named(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    execute(store, "UPDATE sync.due SET next_run_at = now() - interval '2 hours'")
    execute(
        store,
        "UPDATE sync.windows SET committed_at = now() - interval '9 hours'",
    )
    row = freshness(store)
    assert (row["verdict"], row["is_late"]) == ("late", True)
    assert "has not started: is the daemon running?" in row["cause"]


def test_a_run_that_failed_tells_its_own_message_as_the_cause(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    run_id = ledger.start_run(store, account="default", stream="operations", interval=None)
    ledger.finish_run(store, run_id, "failed", "the platform refused the token", 1)
    row = freshness(store)
    assert (row["verdict"], row["cause"]) == ("incomplete", "the platform refused the token")


# Shape


@pytest.fixture
def built(store):
    load(store, op(1))
    build_marts(store, SETTINGS)
    return store


def columns_of_bi(store):
    return fetch_all(
        store,
        """SELECT c.relname AS mart, a.attname AS name, format_type(a.atttypid, NULL) AS type,
                  obj_description(c.oid, 'pg_class') AS of_mart, col_description(c.oid, a.attnum) AS of_column
           FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
           WHERE c.relnamespace = 'bi'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')""",
    )


def test_every_mart_of_the_list_is_there_and_explained_to_the_last_column(built):
    columns = columns_of_bi(built)
    wanted = {name for name in MARTS if VIEWS.get(name) is None}
    assert {row["mart"] for row in columns} >= wanted
    assert [row for row in columns if not row["of_mart"] or not row["of_column"]] == []


def test_names_tell_the_type(built):
    kinds = {"_at": "timestamp with time zone", "_date": "date", "_minor": "bigint"}
    wrong = [
        row
        for row in columns_of_bi(built)
        for ending, kind in kinds.items()
        if row["name"].endswith(ending) != (row["type"] == kind)
        and (ending != "_minor" or row["name"].endswith("_minor"))
    ]
    assert wrong == []
    assert [r for r in columns_of_bi(built) if r["name"].startswith("is_") != (r["type"] == "boolean")] == []
    assert {r["type"] for r in columns_of_bi(built)}.isdisjoint({"double precision", "real"})


def test_no_mart_has_a_personal_column(built):
    assert [row for row in columns_of_bi(built) if row["name"] in PERSONAL] == []
    assert [row for row in columns_of_bi(built) if re.search("e-?mail|ip_|holder|avs", row["name"])] == []


def test_every_table_of_bi_has_a_key_and_facts_refer_to_their_dimensions(built):
    rows = fetch_all(
        built,
        "SELECT conrelid::regclass::text AS mart, contype AS kind, confrelid::regclass::text AS target "
        "FROM pg_constraint WHERE connamespace = 'bi'::regnamespace AND contype IN ('p', 'f')",
    )
    assert {row["mart"] for row in rows if row["kind"] == "p"} == {f"bi.{name}" for name in TABLES}
    assert {(row["mart"], row["target"]) for row in rows if row["kind"] == "f"} >= {
        ("bi.daily_overview", "bi.dim_date"),
        ("bi.daily_overview", "bi.dim_project"),
        ("bi.daily_overview", "bi.dim_operation_status"),
        ("bi.fct_payments", "bi.dim_project"),
        ("bi.fct_balances_daily", "bi.dim_date"),
    }


def test_no_mart_could_mix_currencies_and_one_that_could_is_named(built):
    assert currencies_missing_from_grain(built) == []
    execute(built, "CREATE TABLE bi.sums (business_date date PRIMARY KEY, amount_minor bigint)")
    execute(built, "CREATE VIEW bi.totals AS SELECT sum(amount) AS amount FROM bi.daily_overview")
    execute(built, "CREATE TABLE bi.beside (business_date date PRIMARY KEY, currency text, amount_minor bigint)")
    assert currencies_missing_from_grain(built) == [
        "bi.beside: its key lacks the currency",
        "bi.sums.amount_minor: no column currency beside it",
        "bi.sums: its key lacks the currency",
        "bi.totals.amount: no column currency beside it",
    ]


# From outside


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


def test_balances_of_the_sandbox_reach_the_marts(store):
    world = World.generate(seed=3, start="2024-03-01", days=2, operations=10, now=NOW)
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        sync_balances(DataApi(client), store, "default", None)
    build_marts(store, SETTINGS)
    (row,) = fetch_all(store, "SELECT count(*) AS n FROM bi.fct_balances_daily WHERE snapshots = 1")
    assert row["n"] > 0
    assert freshness(store, "balances")["verdict"] == "fresh"
