"""The shape of the marts: explained to the last column, keyed, no person in them, no currencies mixed."""

from __future__ import annotations

import re

import pytest

from fixtures.commands import execute, fetch_all
from fixtures.marts import SETTINGS, load, op
from pipelines.marts import MARTS, TABLES, build_marts, currencies_missing_from_grain
from resources.errors import WarehouseBroken

PERSONAL = {
    *("account_number", "customer_ip", "customer_email", "customer_id", "card_holder"),
    *("avs_post_code", "avs_street_address", "payment_description", "card_token", "extra", "expiration_date"),
}


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
    assert {row["mart"] for row in columns} >= set(MARTS)
    assert [row for row in columns if not row["of_mart"] or not row["of_column"]] == []


def test_names_tell_the_type(built):
    kinds = {"_at": "timestamp with time zone", "_date": "date"}
    wrong = [
        row
        for row in columns_of_bi(built)
        for ending, kind in kinds.items()
        if row["name"].endswith(ending) != (row["type"] == kind)
    ]
    assert wrong == []
    as_given = {(mart, "amount_minor") for mart in ("fct_operations", "fct_refunds", "fct_retries", "fct_fraud")}
    as_given.add(("fct_operations", "converted_minor"))
    assert {
        (row["mart"], row["name"], row["type"]) for row in columns_of_bi(built) if row["name"].endswith("_minor")
    } == {
        (row["mart"], row["name"], "bigint" if (row["mart"], row["name"]) in as_given else "numeric")
        for row in columns_of_bi(built)
        if row["name"].endswith("_minor")
    }, "64 bits need not hold a sum, nor the negative of an amount"
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
        *((f"bi.{name}", "bi.dim_date") for name in ("approval_by_method_daily", "decline_reasons_daily")),
        *((f"bi.{name}", "bi.dim_project") for name in ("fct_retries", "fct_refunds")),
    }


@pytest.mark.parametrize("full", [False, True])
def test_a_fact_of_a_day_project_or_status_that_is_no_dimension_is_refused(built, full):
    build_marts(built, SETTINGS, full=full)
    for change in (
        "daily_overview SET business_date = '1999-01-01'",
        "daily_overview SET operation_status = 'no such'",
        "fct_payments SET project_id = 'nobody'",
        "fct_payments SET first_operation_date = '1999-01-01'",
    ):
        with pytest.raises(WarehouseBroken, match="foreign key"):
            execute(built, f"UPDATE bi.{change}")


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
