"""The server that the chaos suite may crash, and its figures at the end of a session."""

from __future__ import annotations

import pytest


@pytest.fixture
def figures(request):
    """Where a test leaves what it counted; told at the end, also where another process ran the test."""
    counted: dict[str, int] = {}
    request.node.user_properties.append(("chaos", counted))
    return counted


def pytest_terminal_summary(terminalreporter):
    """Print a line a seed, and the sum: also where pytest keeps back what tests print."""
    reports = [report for of_kind in terminalreporter.stats.values() for report in of_kind]
    figures = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "chaos"
    ]
    if not figures:
        return
    terminalreporter.section("chaos")
    for counted in figures:
        terminalreporter.write_line(told(counted))
    names = {name: None for counted in figures for name in counted if name != "seed"}
    total = {name: sum(counted.get(name, 0) for counted in figures) for name in names}
    terminalreporter.write_line(f"{len(figures)} seeds in all: {told(total)}")


def told(counted: dict[str, int]) -> str:
    seed = f"seed {counted['seed']}: " if "seed" in counted else ""
    return seed + ", ".join(f"{count} {name}" for name, count in counted.items() if name != "seed")
