"""Measures the marts on many operations of five years: first build, full build of the same, a night's, every question.

BENCH_ROWS=10000000 make bench PARTS=marts
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (1, 2)]  # so that `bench` is found

from bench.database import Server, server  # noqa: E402  after the path is set
from bench.measure import cpu_of_tree  # noqa: E402
from pipelines.marts import MartsReport, build_marts, differences_from_core  # noqa: E402
from resources.settings import SyncSettings  # noqa: E402
from resources.warehouse.engine import Warehouse  # noqa: E402
from resources.warehouse.migrate import migrate  # noqa: E402

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
DAYS = 1825
LARGE = 100_000  # rows, from which reading all of a table costs
FILL = Path(__file__).with_name("fill_operations.sql")
QUESTIONS = sorted((Path(__file__).resolve().parents[2] / "sql/bi/questions").glob("*.sql"))


def main() -> None:
    with server() as running, running.database("marts") as url:
        with Warehouse(url) as store:
            _builds(running, store)
        _questions(running, url)


def _builds(running: Server, store: Warehouse) -> None:
    migrate(store)
    fill, night = FILL.read_text(encoding="utf-8").split("-- night\n")

    def execute(statements: str) -> None:
        with store.transaction() as connection:
            connection.connection.driver_connection.execute(statements)

    def vacuum() -> None:
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")

    def timed(what: str, work: Callable[[], MartsReport | None]) -> None:
        started, cpu = time.monotonic(), cpu_of_tree(running.pid)
        done = work()
        seconds, cpu = time.monotonic() - started, cpu_of_tree(running.pid) - cpu
        built = f"  {done.days:,} days, {done.payments:,} payments" if done else ""
        print(f"{what:<48} {seconds:8.1f} s {cpu:8.1f} s of CPU{built}", flush=True)

    timed(
        f"fill with {ROWS:,} operations",
        lambda: execute(fill.replace("{rows}", str(ROWS)).replace("{days}", str(DAYS))),
    )
    vacuum()
    timed("first build of the marts", lambda: build_marts(store, SyncSettings()))
    vacuum()
    timed("full build, nothing changed", lambda: build_marts(store, SyncSettings(), full=True))
    timed("a night: 4 days, every 50th operation changed", lambda: execute(night))
    timed("build of that night", lambda: build_marts(store, SyncSettings()))
    assert not differences_from_core(store)


def _questions(running: Server, url: str) -> None:
    """Ask every question of a server that has just started and whose files are not in memory, and again at once."""
    cold, warm = {}, {}
    for question in QUESTIONS:
        statement = question.read_text(encoding="utf-8")
        if "recon." in statement:
            continue
        running.start_cold()
        with Warehouse(url) as store, store.transaction() as connection:
            connection.exec_driver_sql("SELECT 1")
            for seconds in (cold, warm):
                started = time.monotonic()
                connection.exec_driver_sql(statement).all()
                seconds[question.stem] = time.monotonic() - started
            if scanned := _scanned(connection, statement):
                print(f"  {question.stem} reads the whole of {', '.join(scanned)}", flush=True)
    for name, seconds in {"cold": cold, "warm": warm}.items():
        slowest = sorted(seconds, key=seconds.__getitem__, reverse=True)[:3]
        told = ", ".join(f"{stem} {seconds[stem]:.2f} s" for stem in slowest)
        print(f"{len(seconds)} questions, {name}: {sum(seconds.values()):.1f} s together; slowest {told}", flush=True)


def _scanned(connection, statement: str) -> list[str]:
    """Return the large tables that the plan of a question reads from end to end."""
    (plan,) = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}").scalar_one()
    large = connection.exec_driver_sql(f"SELECT oid::regclass::text FROM pg_class WHERE reltuples > {LARGE}")
    names = {name.rpartition(".")[2] for (name,) in large}
    return sorted({name for name in _read_whole(plan["Plan"]) if name in names})


def _read_whole(plan: dict) -> Iterator[str]:
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", []):
        yield from _read_whole(part)


if __name__ == "__main__":
    main()
