"""The server that the chaos suite may crash, and its figures at the end of a session."""

from __future__ import annotations

import pytest

FIGURES: list[dict[str, int]] = []


@pytest.fixture
def figures():
    """Where a test leaves what it counted."""
    return FIGURES


def pytest_terminal_summary(terminalreporter):
    """Print a line a seed, and the sum: also where pytest keeps back what tests print."""
    if not FIGURES:
        return
    terminalreporter.section("chaos")
    for counted in FIGURES:
        terminalreporter.write_line(told(counted))
    names = {name: None for counted in FIGURES for name in counted if name != "seed"}
    total = {name: sum(counted.get(name, 0) for counted in FIGURES) for name in names}
    terminalreporter.write_line(f"{len(FIGURES)} seeds in all: {told(total)}")


def told(counted: dict[str, int]) -> str:
    seed = f"seed {counted['seed']}: " if "seed" in counted else ""
    return seed + ", ".join(f"{count} {name}" for name, count in counted.items() if name != "seed")
