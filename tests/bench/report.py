"""Writes the measured sections of docs/benchmarks.md, between their markers; the text around them stays."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.environments import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Replace what stands between `<!-- name:begin -->` and `<!-- name:end -->`."""
    before = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if before.count(begin) != 1 or before.count(end) != 1:
        raise ValueError(f"{page.name} must hold {begin} and {end} once each")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    after = pattern.sub(lambda _: f"{begin}\n{text.strip()}\n\n{machine()}\n{end}", before)
    page.write_text(after, encoding="utf-8")
    print(f"\n{text.strip()}\n\nwritten to {page.relative_to(ROOT)}, section {name}\n", flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Write a table in Markdown, its first columns to the left, the others to the right."""
    marks = ["---" if number < left else "---:" for number in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, marks, *rows])


def machine() -> str:
    """Say when and on what it was measured, and of which state of the code."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"_{datetime.now(UTC):%Y-%m-%d}, commit {_commit()}; {len(os.sched_getaffinity(0))} cores ({_processor()}), "
        f"{memory:.0f} GB of memory, Python {platform.python_version()}, load average at the end "
        f"{os.getloadavg()[0]:.1f}._"
    )


def _commit() -> str:
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return " ".join(found[1].split()) if found else platform.machine()
