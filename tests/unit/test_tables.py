"""Tables of the screen, of workbooks and of exports are declared by their columns."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

from pipelines.cli import console
from resources.output import cells

ROWS = [
    SimpleNamespace(name="a", seen=datetime(2026, 11, 28, 3, 4, 5, tzinfo=UTC), part=SimpleNamespace(rows=1_234_567)),
    SimpleNamespace(name=None, seen=None, part=SimpleNamespace(rows=8)),
]
COLUMNS = {"name": "name", ">rows": console.count("part.rows"), "seen": "seen"}


def test_a_column_of_numbers_is_aligned_right_and_what_is_missing_is_named(capsys):
    console.table("Title", ROWS, COLUMNS, none="—")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Title",
        "name       rows  seen",
        "a     1,234,567  2026-11-28 03:04:05",
        "—             8  —",
        "",
    ]


def test_a_table_without_rows_is_not_printed_unless_its_head_says_something(capsys):
    console.table("Title", [], COLUMNS)
    assert capsys.readouterr().out == ""
    console.table("Title", [], COLUMNS, with_head=True)
    assert capsys.readouterr().out.split() == ["Title", "name", "rows", "seen"]


def test_titles_that_data_names_may_be_those_of_other_columns():
    titles, rows = cells(ROWS[:1], {"name": "name"}, {"name": lambda row: row.part.rows})
    assert (titles, rows) == (["name", "name"], [["a", 1_234_567]])
