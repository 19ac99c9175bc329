"""What the tests of loading share: windows, rows and answers made by hand, and what is stored of them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import psycopg
from hypothesis import HealthCheck, settings

from pipelines.sync.normalize import normalize_operations, unite
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import LoadReport, Scope, WalkRecord
from resources.warehouse.load import RawPage, compress, load_window
from support import fetch_all

PROPERTY = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
START = datetime(2024, 3, 1, tzinfo=UTC)
accounts = map("account {}".format, itertools.count())
TABLES = ("core.operations", "core.operation_versions", "core.rejects", "raw.pages", "sync.windows")
STATEMENTS = (
    "ledger/next_window_id",
    "load/lock_account",
    "load/plan_by_key",
    "load/any_operation_stored",
    "load/stage_operations",
    "load/copy_operations",
    "load/staged_totals",
    "load/retire_operations",
    "load/insert_operations",
    "load/add_page",
    "load/add_reject",
    "load/add_window",
)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def row(number, status="success", amount=100, **fields) -> dict:
    sum_initial = {"amount": amount, "currency": "EUR"}
    return {"operation_id": str(number), "operation_status": status, "sum_initial": sum_initial} | fields


def walk(second: int = 0) -> WalkRecord:
    return WalkRecord(START, START + timedelta(days=1), at(second), at(second), walks=1, drifts=0, pages=1, requests=2)


def started(store: Warehouse, account: str = "default", projects=(), days=1) -> Scope:
    interval = (START, START + timedelta(days=days))
    run_id = ledger.start_run(store, account=account, stream="operations", interval=interval, project_ids=projects)
    return Scope(account, run_id, tuple(projects))


def load_answers(
    store: Warehouse, answers: dict[int, list[dict]], account="default", pages=(), scope=None
) -> LoadReport:
    """Commit one window: second of the request → rows of its answer."""
    batch = unite([normalize_operations(rows, at(second)) for second, rows in sorted(answers.items())])
    scope = scope or started(store, account)
    return load_window(store, scope, walk(min(answers, default=0)), batch.frame, batch.rejects, pages)


def load_rows(store: Warehouse, *rows, second: int = 0, account="default", pages=(), scope=None) -> LoadReport:
    return load_answers(store, {second: [*rows]}, account, pages, scope)


def stored(store: Warehouse, account="default", what="*") -> list[dict]:
    statement = f"SELECT {what} FROM core.operations WHERE account = :account ORDER BY operation_id"
    return fetch_all(store, statement, account=account)


def versions(store: Warehouse, account="default") -> list[dict]:
    statement = "SELECT * FROM core.operation_versions WHERE account = :account ORDER BY operation_id, observed_at"
    return fetch_all(store, statement, account=account)


def known_at(store: Warehouse, moment: datetime, account="default") -> dict[str, str]:
    rows = fetch_all(
        store,
        "SELECT operation_id, operation_status FROM core.operations_as_of(:moment) WHERE account = :account",
        moment=moment,
        account=account,
    )
    assert len(rows) == len({row["operation_id"] for row in rows}), "an operation has one state at a moment"
    return {row["operation_id"]: row["operation_status"] for row in rows}


def everything(store: Warehouse) -> dict[str, list[dict]]:
    """All that is stored, with the physical place and version of each row."""
    return {table: fetch_all(store, f"SELECT ctid::text, xmin::text, * FROM {table} ORDER BY ctid") for table in TABLES}


def page_of(body: bytes = b'{"operations":[]}') -> RawPage:
    return RawPage(
        "operations/get", {"limit": 1000, "tz": "UTC"}, at(0), at(1), 0, len(body), b"digest", "sig", compress(body)
    )


def ledger_is_sound(store: Warehouse, account="default") -> bool:
    """Is the account's chain without a hole, each entry unaltered, and equal to what the store holds?"""
    entries = fetch_all(
        store,
        """SELECT entry_no, previous_hash, entry_hash, entry_hash = sync.entry_hash(w) AS intact,
                  totals_written = sync.written_totals(window_id) AS equal
           FROM sync.windows w WHERE account = :account ORDER BY entry_no""",
        account=account,
    )
    hashes = [bytes(32), *(entry["entry_hash"] for entry in entries)]
    return (
        [entry["entry_no"] for entry in entries] == list(range(1, len(entries) + 1))
        and [entry["previous_hash"] for entry in entries] == hashes[:-1]
        and len(set(hashes)) == len(hashes)
        and all(entry["intact"] and entry["equal"] for entry in entries)
    )


def cut_connections(store: Warehouse, name: str = "ecommpay-sync") -> None:
    """End every connection of that name, as a restart of the server or a firewall would."""
    with psycopg.connect(store.url, autocommit=True) as other:
        cut = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = %s AND datname = current_database()",
            [name],
        ).fetchall()
    assert cut, "there was a connection to cut"


STATES = ("processing", "awaiting 3ds result", "success", "decline")


class Killed(BaseException):
    """Stands for kill -9: nothing of ours may catch it."""


HOSTILE = [
    *("\\.", "\n\\.\n", "a\n\\.\nb", "\\N", "\\", "\\\\", '"', '""', '"\n"', "'", ",", ";", "\t", "\r", "\n", "\r\n"),
    *("=1+1", "@x", "-1", " ", "  a ", "NULL", "null", "a,b\nc,d", "\x01\x7f\x1b[0m", "\ufeff", "\u2028", "e\u0301"),
    *("😀", "%s", "%(account)s", ":account", "$1", "{}", "--", "/*", "'; DROP TABLE core.operations; --"),
]
