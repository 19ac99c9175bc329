"""Mutates the statements of a file of sql/, one place at a time, and counts the mutants that tests kill.

mutmut changes Python only, but what is matched, merged and sealed is decided in SQL. A mutant is a change of text:
another comparison, AND for OR, a term left out, another aggregate, another number. Tests run in processes that are
forked from one that has imported them, on a copy of the project whose file of SQL is the mutant.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

SECONDS = 300
SWAPS: tuple[tuple[str, str], ...] = (
    (r"\bAND\b(?! NOT EXISTS)", "OR"),
    (r"\bOR\b", "AND"),
    (r"(?<![<>=:])>=", ">"),
    (r"(?<![<>=:-])>(?![=>])", ">="),
    (r"<=", "<"),
    (r"<(?![=>])", "<="),
    (r"(?<![<>=:!])=(?![=>])", "<>"),
    (r"<>", "="),
    (r"\bNOT EXISTS\b", "EXISTS"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM"),
    (r"\bNOT (?!EXISTS|NULL|DISTINCT|IN\b)", ""),
    (r"\bmax\(", "min("),
    (r"\bmin\(", "max("),
    (r"\bsum\(", "count("),
    (r"\bbool_or\(", "bool_and("),
    (r"\bgreatest\(", "least("),
    (r" DESC\b", ""),
    (r"\bDISTINCT (?!ON|FROM)", ""),
    (r"\bLEFT JOIN\b(?! LATERAL)", "JOIN"),
    (r" \+ (?=\d)", " - "),
    (r"\btrue\b", "false"),
    (r"(?<=[ (])(\d+)(?=[ ,)\n])", "{+1}"),
    (r"\n *AND [^\n()]+(?=\n)", ""),  # a term of a line of its own
    (r"(?<=WHERE )[^\n()]+ AND ", ""),  # the first term
)
# what moves nothing that is stored or returned: definitions, settings of the planner, copying
LEFT_OUT = re.compile(r"^(CREATE|ANALYZE|COPY|DROP|SELECT set_config|SELECT pg_advisory)", re.MULTILINE)
IN_SET = re.compile(r"\bSET\b(?:(?!\b(?:WHERE|FROM|SELECT)\b)[^;])*$")  # an assignment, no comparison


def mutants_of(script: str) -> Iterator[tuple[str, str]]:
    """Yield (name, mutated script): one change each, in no comment, no text and no setting."""
    heads = list(re.finditer(r"^-- name: (\w+)\n", script, re.MULTILINE))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        start, end = head.end(), following.start() if following else len(script)
        statement = script[start:end]
        if LEFT_OUT.search(statement) and "INSERT" not in statement:
            continue
        hidden = re.sub(r"--[^\n]*|'[^']*'", lambda text: "~" * len(text[0]), statement)
        number = 0
        for pattern, change in SWAPS:
            for place in re.finditer(pattern, hidden):
                if "BETWEEN" in hidden[max(0, place.start() - 40) : place.start()] and place[0] == "AND":
                    continue
                if place[0] == "=" and IN_SET.search(hidden[: place.start()]):
                    continue
                number += 1
                new = str(int(place[1]) + 1) if change == "{+1}" else change
                before, after = script[: start + place.start()], script[start + place.end() :]
                line = script.count("\n", 0, start + place.start()) + 1
                yield f"{head[1]}_{number}, line {line}: {place[0].strip()!r} → {new!r}", before + new + after


def main(
    file: str, sample: int, seed: int, options: Sequence[str], tests: Sequence[str], only: Sequence[str] | None = None
) -> dict[str, int]:
    """Return the exit code of the tests by mutant of a file, in a copy of the project, which is the current folder."""
    path = Path(file)
    script = path.read_text(encoding="utf-8")
    every = sorted(dict(mutants_of(script)).items())
    drawn = random.Random(seed).sample(every, min(sample, len(every)))
    _pytest("--collect-only", *options, *tests)  # so that each process is forked from one that has the imports
    gc.freeze()
    if _forked(*options, *tests):
        raise SystemExit("the tests fail without a mutant")
    results = {}
    for name, mutated in drawn if only is None else [mutant for mutant in drawn if mutant[0] in only]:
        path.write_text(mutated, encoding="utf-8")
        results[name] = _forked(*options, *tests)
        print(f"{len(results)}: {results[name]} {name}, of {len(every)}", file=sys.stderr, flush=True)
    path.write_text(script, encoding="utf-8")
    return results


def _forked(*arguments: str) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)  # ends this process, as a mutant that finds no end must be
        os._exit(_pytest("-x", *arguments))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _pytest(*arguments: str) -> int:
    with Path("pytest.log").open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        return int(pytest.main(["-q", "--rootdir=.", *arguments]))


if __name__ == "__main__":
    sys.path.insert(0, "")
    print(json.dumps(main(**json.loads(sys.argv[1]))))
