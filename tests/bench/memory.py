"""Memory and speed of ours by size, and a second pass over data that has not changed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import psycopg

from bench.contestants import DAYS, FIRST, LAST, NOW, ours
from bench.database import Server, server
from bench.measure import measure
from bench.report import table, write_section
from bench.truth import truth
from resources.sandbox import sandbox_process


def memory(operations: int) -> None:
    """Measure a fifth of the operations, all of them, and twice as many; write the section."""
    rows: list[list[str]] = []
    peaks: list[float] = []
    with server() as postgres:
        for size in (operations // 5, operations, operations * 2):
            rows += _two_passes(size, postgres, peaks)
    head = ["operations", "pass", "seconds", "operations/s", "CPU s", "peak MB", "versions written"]
    spread = f"From the smallest to the largest size the peak of a first pass grows by {peaks[-1] / peaks[0] - 1:+.1%}."
    write_section("memory", f"{table(head, rows, left=2)}\n\n{spread}")


def _two_passes(size: int, postgres: Server, peaks: list[float]) -> list[list[str]]:
    one, rows = ours(), []
    with (
        sandbox_process(operations=size, days=DAYS, end=LAST, now=NOW, warm=True, cached_rows=2 * size) as sandbox,
        postgres.database("bench") as database,
        tempfile.TemporaryDirectory(prefix="ecommpay-bench-") as home,
    ):
        expected = truth(sandbox, FIRST, LAST)
        for title in ("first", "second, nothing changed"):
            environment = one.environment(sandbox, database, Path(home))
            run = measure(one.arguments(FIRST, LAST), environment, Path(home), postgres.pid)
            wrong = run.what_failed if run.status else expected.difference(one.place.content(database))
            if wrong:
                raise RuntimeError(f"{size:,} operations, pass {title}: {wrong}")
            if title == "first":
                peaks.append(run.peak_mb)
            with psycopg.connect(database) as connection:
                (versions,) = connection.execute("SELECT count(*) FROM core.operation_versions").fetchone()
            rate = f"{expected.rows / run.seconds:,.0f}"
            figures = [f"{run.seconds:.1f}", rate, f"{run.cpu:.1f}", f"{run.peak_mb:.0f}", str(versions)]
            rows.append([f"{expected.rows:,}", title, *figures])
            print("  memory: " + ", ".join(rows[-1]), flush=True)
    return rows
