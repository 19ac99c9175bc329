"""What the migrated database looks like: explained, keyed by account, without a float, in the order that is copied."""

from __future__ import annotations

import re

import pytest
from psycopg.conninfo import make_conninfo

import sql
from fixtures.commands import fetch_all
from pipelines.ingest.documents import document_stream
from pipelines.ingest.registry import TYPED
from pipelines.ingest.streams import Stream
from resources.documents import DocumentsConfig
from resources.warehouse.engine import Warehouse

SCHEMAS = ["core", "raw", "recon", "sync"]
POSTGRES_TYPES = {
    **dict.fromkeys(("id", "text"), "text"),
    "time": "timestamp with time zone",
    "amount": "bigint",
    "decimal": "numeric",
    "integer": "integer",
    "json": "jsonb",
}
# of the database, not of an account
OF_NO_ACCOUNT = {
    "sync.migrations": ["version"],
    "core.currencies": ["currency", "valid_from"],
    "core.settings": ["key"],
    "core.operation_types": ["operation_type"],
    "core.operation_statuses": ["operation_status"],
    "recon.break_deadlines": ["break_type"],
    "recon.break_reasons": ["reason"],
}
PERSONAL = {
    *("account_number", "customer_ip", "customer_email", "customer_id"),
    *("card_holder", "avs_post_code", "avs_street_address"),
}


@pytest.fixture(scope="module")
def store(server_url, template):
    """The migrated database itself, of which others get a copy: nothing is written here."""
    with Warehouse(make_conninfo(server_url, dbname=template)) as warehouse:
        yield warehouse


def columns_of(store: Warehouse, table: str, *, with_size: bool = False) -> dict[str, str]:
    """Column → type of a table, in the order of its columns."""
    rows = fetch_all(
        store,
        f"SELECT attname, format_type(atttypid, {'atttypmod' if with_size else 'NULL'}) AS type FROM pg_attribute "
        "WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        table=table,
    )
    return {row["attname"]: row["type"] for row in rows}


def relations_of(store: Warehouse, kinds: str) -> list[str]:
    rows = fetch_all(
        store,
        "SELECT oid::regclass::text AS name FROM pg_class "
        "WHERE relnamespace::regnamespace::text = ANY(:schemas) AND relkind = ANY(:kinds) ORDER BY 1",
        schemas=SCHEMAS,
        kinds=list(kinds),
    )
    return [row["name"] for row in rows]


def tables_of(store: Warehouse) -> list[str]:
    return relations_of(store, "rp")


def tables_and_views_of(store: Warehouse) -> list[str]:
    return relations_of(store, "rpvm")


def test_the_tables_that_other_programs_rely_on_are_there(store):
    assert {*tables_of(store)} >= {
        *("core.operations", "core.operation_versions", "core.balance_snapshots", "core.rejects"),
        *("raw.pages", "sync.runs", "sync.windows"),
    }


# Explained


def test_every_table_and_every_column_has_a_comment(store):
    bare = fetch_all(
        store,
        """SELECT c.oid::regclass::text AS "table", a.attname AS "column"
           FROM pg_class c
           LEFT JOIN LATERAL (
               SELECT attnum, attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped
               UNION ALL SELECT 0, NULL
           ) a ON true
           WHERE c.relnamespace::regnamespace::text = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm')
             AND coalesce(btrim(CASE a.attnum WHEN 0 THEN obj_description(c.oid, 'pg_class')
                                ELSE col_description(c.oid, a.attnum) END), '') = ''""",
        schemas=SCHEMAS,
    )
    assert bare == []


def test_every_schema_and_every_function_has_a_comment(store):
    bare = fetch_all(
        store,
        """SELECT nspname AS name FROM pg_namespace
           WHERE nspname = ANY(:schemas) AND obj_description(oid, 'pg_namespace') IS NULL
           UNION ALL
           SELECT oid::regprocedure::text FROM pg_proc
           WHERE pronamespace::regnamespace::text = ANY(:schemas) AND obj_description(oid, 'pg_proc') IS NULL""",
        schemas=SCHEMAS,
    )
    assert bare == []


@pytest.mark.parametrize("table", ["core.operations", "core.operation_versions"])
def test_the_personal_columns_say_so(store, table):
    rows = fetch_all(
        store,
        "SELECT attname FROM pg_attribute WHERE attrelid = CAST(:table AS regclass) AND attnum > 0 "
        "AND col_description(attrelid, attnum) LIKE 'Personal data:%'",
        table=table,
    )
    assert {row["attname"] for row in rows} == PERSONAL


# In the order that is copied


STREAMS = [*TYPED, document_stream(DocumentsConfig("x", "a/b", {}))]
EACH_STREAM = pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.table)


def versions_of(stream: Stream) -> str:
    return {"core.operations": "core.operation_versions"}.get(stream.table, f"{stream.table[:-1]}_versions")


@EACH_STREAM
def test_the_columns_of_a_table_are_those_of_a_frame_between_our_own(store, stream):
    columns = columns_of(store, stream.table)
    assert [*columns] == ["account", *stream.schema.frame_columns, "first_seen_at", "window_id"]
    kinds = stream.schema.columns
    assert {name: columns[name] for name in kinds} == {name: POSTGRES_TYPES[kind] for name, kind in kinds.items()}


@EACH_STREAM
def test_a_version_has_all_columns_of_its_table_in_their_order_and_then_until_when_it_was_known(store, stream):
    version = columns_of(store, versions_of(stream))
    assert [*version.items()] == [*columns_of(store, stream.table).items(), ("known_to", "timestamp with time zone")]


@EACH_STREAM
def test_the_staging_table_has_the_columns_of_its_table(store, stream):
    with store.transaction() as connection:
        connection.exec_driver_sql(sql.text(stream.sql("stage")))
        result = connection.exec_driver_sql(f"SELECT * FROM staging_{stream.table.removeprefix('core.')}")
        assert [*result.keys()] == [*columns_of(store, stream.table)]


@pytest.mark.parametrize("name", ["operations", "documents"])
def test_what_was_known_at_a_moment_has_the_columns_of_its_table(store, name):
    with store.transaction() as connection:
        result = connection.exec_driver_sql(f"SELECT * FROM core.{name}_as_of(now())")
        assert [*result.keys()] == [*columns_of(store, f"core.{name}")]


# Keyed by account


def test_every_table_has_a_key_and_those_of_the_platforms_data_start_with_the_account(store):
    rows = fetch_all(
        store,
        """SELECT c.oid::regclass::text AS name,
                  (SELECT array_agg(a.attname::text ORDER BY k.place)
                   FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (number, place)
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number) AS key
           FROM pg_class c
           LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
           WHERE c.relnamespace::regnamespace::text = ANY(:schemas) AND c.relkind IN ('r', 'p')""",
        schemas=SCHEMAS,
    )
    keys = {row["name"]: row["key"] for row in rows}
    assert all(keys.values()), keys
    assert {name: key for name, key in keys.items() if key[0] != "account"} == {
        **OF_NO_ACCOUNT,
        "sync.runs": ["run_id"],  # numbered over all accounts, so that a number alone names one
        "sync.windows": ["window_id"],
    }
    assert keys["core.operations"] == ["account", "operation_id"]


def test_every_table_of_an_account_says_which_and_never_leaves_it_open(store):
    rows = fetch_all(
        store,
        "SELECT attrelid::regclass::text AS name FROM pg_attribute WHERE attname = 'account' AND attnotnull "
        "AND attrelid::regclass::text = ANY(:tables)",
        tables=tables_of(store),
    )
    assert {row["name"] for row in rows} == {*tables_of(store)} - OF_NO_ACCOUNT.keys()
    nameless = {name for name in tables_and_views_of(store) if "account" not in columns_of(store, name)}
    assert nameless == OF_NO_ACCOUNT.keys()


def test_operations_are_sorted_by_byte_as_the_digest_asks(store):
    (row,) = fetch_all(
        store,
        "SELECT collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation "
        "WHERE attrelid = 'core.operations'::regclass AND attname = 'operation_id'",
    )
    assert row == {"collname": "C"}


# Without a float


def test_no_column_can_hold_a_float_or_a_time_without_a_zone(store):
    types = {kind for name in tables_and_views_of(store) for kind in columns_of(store, name).values()}
    assert types & {"real", "double precision", "money", "timestamp without time zone", "json"} == set()


MAJOR_UNITS = {"tr_amount", "channel_amount_in_usd"}  # as this part of the API gives them: exact decimals


def test_every_stored_amount_is_a_whole_number_of_any_size_of_its_kind_and_one_in_major_units_an_exact_decimal(store):
    """An amount is a bigint; what sums or differences of amounts come to may be longer."""
    amounts = {
        f"{table}.{name}": kind
        for table in tables_of(store)
        for name, kind in columns_of(store, table, with_size=True).items()
        if re.search("amount|refund|minor", name)
    }
    major = {name: kind for name, kind in amounts.items() if name.rpartition(".")[2] in MAJOR_UNITS}
    minor = {name: kind for name, kind in amounts.items() if name not in major}
    assert len(minor) >= 9
    assert {kind for name, kind in minor.items() if not name.startswith("recon.")} == {"bigint"}
    assert set(minor.values()) == {"bigint", "numeric(38,0)"}
    assert set(major.values()) == {"numeric"}
