"""`make simulate SEEDS=1-100000`: run many seeds on all cores; a seed that breaks a promise is shrunk and printed."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from simulation.scenario import Scenario, generate, run, shrink, small

CHUNK = 250


def run_chunk(seeds: range) -> tuple[Counter[str], list[int]]:
    """Run some seeds; return what they were together, and those that broke a promise."""
    figures: Counter[str] = Counter()
    broken = []
    gc.collect()  # once a chunk: looking for cycles all the time is a tenth of a run
    gc.disable()
    with small():
        for seed in seeds:
            outcome = run(generate(seed))
            figures.update(
                seeds=1,
                requests=outcome.requests,
                rows=outcome.rows,
                faults=outcome.faults,
                runs=outcome.runs,
                known_limit=outcome.excused,
            )
            if outcome.broken:
                broken.append(seed)
    return figures, broken


def shrunk(seed: int) -> tuple[Scenario, str | None]:
    """Return the shortest scenario of a seed that still breaks a promise, and which."""
    with small():
        scenario = shrink(generate(seed))
        return scenario, run(scenario).broken


def main() -> int:
    """Run the seeds of the first argument, "1-2000"."""
    first, last = map(int, sys.argv[1].split("-"))
    chunks = [range(start, min(last + 1, start + CHUNK)) for start in range(first, last + 1, CHUNK)]
    began, figures, broken = time.monotonic(), Counter[str](), list[int]()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for number, (some, failing) in enumerate(pool.map(run_chunk, chunks), 1):
            figures += some
            broken += failing
            if number % 40 == 0 or failing:
                print(dict(figures), f"{time.monotonic() - began:.0f} s", "broken:", broken, flush=True)
    print(dict(figures), f"{time.monotonic() - began:.0f} s")
    for seed in broken[:3]:
        scenario, why = shrunk(seed)
        print(f"{scenario}\n  {why}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
