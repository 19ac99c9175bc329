"""The speed table: the same operations through each contestant, side by side, and the floor under ours."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.contestants import DAYS, FIRST, LAST, NOW, Contestant, contestants
from bench.database import Server, server
from bench.measure import Measured, clean_environment, measure
from bench.report import table, write_section
from bench.truth import Content, truth
from resources.sandbox import SandboxProcess, sandbox_process

FLOOR = Path(__file__).resolve().parent / "floor.py"


@dataclass
class Results:
    """The runs of one contestant that ended well and stored the truth; what was wrong with the others."""

    good: list[Measured] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)

    def median(self, of: str) -> float:
        """Give the median of a figure over the good runs."""
        return statistics.median(getattr(run, of) for run in self.good)


def speed(operations: int, runs: int) -> None:
    """Measure, in turns so that a busy machine slows all alike, and write the section after each round."""
    everybody = contestants()
    results = {one.name: Results() for one in everybody}
    floors: list[float] = []
    with (
        server() as postgres,
        sandbox_process(
            operations=operations, days=DAYS, end=LAST, now=NOW, warm=True, cached_rows=2 * operations
        ) as sandbox,
    ):
        expected = truth(sandbox, FIRST, LAST)
        print(f"speed: {expected.rows:,} operations, {runs} runs each, PostgreSQL {postgres.version}", flush=True)
        for number in range(1, runs + 1):
            for one in everybody:
                run_once(one, number, postgres, sandbox, expected, results[one.name], floors)
            write_section("speed", _section(everybody, results, floors, expected, postgres.version))


def run_once(
    one: Contestant,
    number: int,
    postgres: Server,
    sandbox: SandboxProcess,
    expected: Content,
    results: Results,
    floors: list[float] | None = None,
) -> None:
    """Let a contestant load into a fresh database, and hold what is there against the truth; ours, then the floor."""
    with (
        postgres.database("bench") as database,
        tempfile.TemporaryDirectory(prefix=f"ecommpay-bench-{one.name}-") as home,
    ):
        folder = Path(home)
        environment = one.environment(sandbox, database, folder)
        run = measure(one.arguments(FIRST, LAST), environment, folder, postgres.pid)
        wrong = run.what_failed if run.status else expected.difference(one.place.content(database))
        if wrong:
            results.bad.append(wrong)
        else:
            results.good.append(run)
        print(
            f"  run {number} {one.title:<24}{run.seconds:8.1f} s  CPU {run.cpu:7.1f} s"
            f"  PostgreSQL {run.server_cpu:6.1f} s  peak {run.peak_mb:6.0f} MB"
            f"  {'rows equal' if not wrong else 'EXCLUDED: ' + wrong}",
            flush=True,
        )
        if one.name == "ours" and not wrong and floors is not None:
            floors.append(_floor(postgres, database, folder))
            print(f"  run {number} {'floor':<24}{floors[-1]:8.1f} s", flush=True)


def _floor(postgres: Server, source: str, folder: Path) -> float:
    with postgres.database("floor") as target:
        command = [sys.executable, str(FLOOR), source, target]
        run = measure(command, clean_environment(), folder, postgres.pid)
        if run.status:
            raise RuntimeError(f"the floor failed: {run.what_failed}")
        return float(run.output.split()[-1])


def _section(
    everybody: Sequence[Contestant],
    results: dict[str, Results],
    floors: Sequence[float],
    expected: Content,
    postgres: str,
) -> str:
    head = [
        "",
        "versions",
        "runs",
        "seconds",
        "operations/s",
        "time, ours = 1",
        "CPU s",
        "CPU s of PostgreSQL",
        "peak MB",
    ]
    ours = results["ours"]
    rows = [_row(one, results[one.name], ours, expected.rows) for one in everybody]
    if floors and ours.good:
        floor = statistics.median(floors)
        ratio = f"{floor / ours.median('seconds'):.2f}"
        rows.append(
            [
                "floor: COPY and merge of ready rows",
                "",
                str(len(floors)),
                f"{floor:.1f}",
                _rate(expected.rows, floor),
                ratio,
            ]
            + [""] * 3
        )
    text = f"{expected.rows:,} operations into PostgreSQL {postgres}, medians.\n\n{table(head, rows, left=2)}"
    return f"{text}\n\n{excluded(everybody, results)}"


def excluded(everybody: Sequence[Contestant], results: dict[str, Results]) -> str:
    """Name the runs that failed or stored something else."""
    wrong = [f"{one.title}: {what}" for one in everybody for what in results[one.name].bad]
    return "Excluded runs: " + "; ".join(wrong) + "." if wrong else "No run was excluded."


def _row(one: Contestant, results: Results, ours: Results, operations: int) -> list[str]:
    if not results.good:
        return [one.title, one.versions, "0", *["–"] * 6]
    seconds = results.median("seconds")
    ratio = f"{seconds / ours.median('seconds'):.2f}" if ours.good else "–"
    return [
        one.title,
        one.versions,
        str(len(results.good)),
        f"{seconds:.1f}",
        _rate(operations, seconds),
        ratio,
        *(f"{results.median(name):.1f}" for name in ("cpu", "server_cpu")),
        f"{results.median('peak_mb'):.0f}",
    ]


def _rate(operations: int, seconds: float) -> str:
    return f"{operations / seconds:,.0f}"
