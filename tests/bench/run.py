"""`make bench`: measures in parts; each part writes its own section of docs/benchmarks.md.

`make bench OPERATIONS=500000 RUNS=3 PARTS="speed completeness"`. A part that fails leaves
its section as it was, and the others still run; the exit status tells.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[level]) for level in (1, 2)]  # so that `bench` is found

from bench import completeness, memory, report, speed, waiting  # noqa: E402  after the path is set

HERE = Path(__file__).resolve().parent
PATIENCE = 3_600  # seconds, for the marts of ten million operations
PARTS = ("waiting", "speed", "completeness", "memory", "signature", "large", "marts", "backfill")


def main() -> int:
    """Run the parts asked for."""
    for number in (signal.SIGTERM, signal.SIGINT):  # also when started in the background, where they are ignored
        signal.signal(number, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--operations", type=int, default=500_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--parts", default=" ".join(PARTS))
    asked = parser.parse_args()
    chosen = asked.parts.replace(",", " ").split()
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {' '.join(PARTS)}")
    parts = {
        "waiting": lambda: waiting.waiting(asked.runs),
        "speed": lambda: speed.speed(asked.operations, asked.runs),
        "completeness": completeness.completeness,
        "memory": lambda: memory.memory(asked.operations),
        "signature": lambda: _script("signature", HERE / "bench_signature.py"),
        "large": lambda: _script("large", HERE / "bench_large_table.py"),
        "marts": lambda: _script("marts", HERE / "bench_marts.py"),
        "backfill": lambda: _script("backfill", HERE / "bench_backfill.py"),
    }
    failed = [name for name in chosen if not _done(name, parts[name])]
    if failed:
        print(f"failed: {', '.join(failed)}; their sections are as they were", file=sys.stderr)
    return 1 if failed else 0


def _done(name: str, part) -> bool:
    print(f"== {name}", flush=True)
    started = time.perf_counter()
    try:
        part()
    except Exception:  # noqa: BLE001  the other parts are still worth their time
        traceback.print_exc()
        return False
    print(f"== {name}: {time.perf_counter() - started:.0f} s", flush=True)
    return True


def _script(section: str, script: Path) -> None:
    """Run a bench that prints its own table, and put what it prints into its section."""
    if not script.exists():
        print(f"  there is no {script.name}")
        return
    done = subprocess.run(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=True,
        cwd=HERE.parents[1],
    )
    report.write_section(section, f"```\n{done.stdout.strip()}\n```")


if __name__ == "__main__":
    sys.exit(main())
