"""The bench's own bookkeeping: sections of the page, and what counts as an unequal run."""

from __future__ import annotations

import sys

import pytest

from bench.measure import clean_environment, measure
from bench.report import write_section
from bench.truth import Content

PAGE = """before
<!-- speed:begin -->
old
<!-- speed:end -->
between
<!-- memory:begin -->
kept
<!-- memory:end -->
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.report.ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


def test_a_part_replaces_its_own_section_and_nothing_else(page):
    write_section("speed", "new \\1", page)
    text = page.read_text()
    assert "old" not in text
    assert "<!-- speed:begin -->\nnew \\1\n" in text
    assert text.startswith("before\n")
    assert "between\n<!-- memory:begin -->\nkept\n<!-- memory:end -->\n" in text


def test_a_page_without_the_markers_is_refused_and_left_as_it_was(page):
    with pytest.raises(ValueError, match="large:begin"):
        write_section("large", "new", page)
    assert page.read_text() == PAGE


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Content(2, {"EUR": 5}, "x"), None),
        (Content(1, {"EUR": 5}, "x"), "1 rows instead of 2"),
        (Content(2, {"EUR": 6}, "x"), "the sums differ"),
        (Content(2, {"EUR": 5}, "y"), "ids, states or reference numbers differ"),
    ],
)
def test_a_run_that_stored_something_else_is_told_apart(found, said):
    assert Content(2, {"EUR": 5}, "x").difference(found) == said


def test_a_command_is_measured_with_the_children_it_waited_for(tmp_path):
    work = "sum(range(5_000_000)); x = b'x' * (90 << 20)"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"]
    run = measure(command, clean_environment(), tmp_path, server_pid=0)
    assert run.status == 0
    assert run.cpu > 0.02
    assert 90 < run.peak_mb < 120


def test_a_command_is_not_charged_with_the_memory_of_the_bench(tmp_path):
    ours = b"x" * (200 << 20)
    run = measure([sys.executable, "-S", "-c", "pass"], clean_environment(), tmp_path, server_pid=0)
    assert run.peak_mb < 40 < len(ours) >> 20


def test_a_command_that_takes_too_long_is_killed_and_said_to_be(tmp_path):
    run = measure(
        [sys.executable, "-c", "import time; time.sleep(60)"], clean_environment(), tmp_path, server_pid=0, timeout=0.5
    )
    assert run.seconds < 30
    assert run.what_failed.startswith("killed after")
