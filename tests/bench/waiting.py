"""The waiting table: the same operations through each contestant, from a platform that takes its time to answer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.contestants import DAYS, FIRST, LAST, NOW, Contestant, contestants
from bench.database import server
from bench.report import table, write_section
from bench.speed import Results, excluded, run_once
from bench.truth import truth
from resources.sandbox import sandbox_process

OPERATIONS = 100_000
DELAYS = (0.3, 1.0)  # seconds an answer
CAPACITY = 16  # requests answered at once
PAGE = 1_000


def waiting(runs: int) -> None:
    """Measure, in turns so that a busy machine slows all alike, and write the section in the end."""
    everybody, tables = contestants(), []
    options = {"operations": OPERATIONS, "cached_rows": 2 * OPERATIONS, "capacity": CAPACITY}
    with server() as postgres, sandbox_process(days=DAYS, end=LAST, now=NOW, warm=True, **options) as sandbox:
        expected = truth(sandbox, FIRST, LAST)
        for delay in DELAYS:
            print(f"waiting: {expected.rows:,} operations, {delay} s an answer, {runs} runs each", flush=True)
            sandbox.set_behaviour(delay=delay)
            results = {one.name: Results() for one in everybody}
            for number in range(1, runs + 1):
                for one in everybody:
                    run_once(one, number, postgres, sandbox, expected, results[one.name])
            tables.append(_table(everybody, results, expected.rows, delay))
    write_section("waiting", "\n\n".join(tables))


def _table(everybody: Sequence[Contestant], results: dict[str, Results], operations: int, delay: float) -> str:
    rows = [[one.title, *_figures(results[one.name], results["ours"])] for one in everybody]
    ideal = math.ceil(operations / PAGE) * delay / CAPACITY
    rows.append([f"ideal: full pages alone, {CAPACITY} at once, nothing done with them", "", f"{ideal:.1f}", ""])
    head = [f"{operations:,} operations, {delay} s an answer", "runs", "seconds", "time, ours = 1"]
    return f"{table(head, rows)}\n\n{excluded(everybody, results)}"


def _figures(results: Results, ours: Results) -> list[str]:
    if not results.good:
        return ["0", "–", "–"]
    seconds = results.median("seconds")
    ratio = f"{seconds / ours.median('seconds'):.2f}" if ours.good else "–"
    return [str(len(results.good)), f"{seconds:.1f}", ratio]
