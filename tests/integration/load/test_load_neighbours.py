"""Rows that two neighbouring windows of a run met: stored once, counted once, by the one that was committed first."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy

from fixtures.commands import fetch_all
from fixtures.load import START, Killed, at, ledger_is_sound, row, started, stored, versions, walk
from pipelines.ingest.normalize import concat, normalize
from pipelines.ingest.operations import OPERATIONS
from resources.warehouse.ledger import DoneWindow, Neighbours, sum_totals
from resources.warehouse.load import load_window

DAY = timedelta(days=1)


def load(store, scope, day, *rows, second=0):
    """Commit the window of the day that begins `day` days after START, as met at a second."""
    record = replace(walk(second), interval_from=START + day * DAY, interval_to=START + (day + 1) * DAY)
    batch = concat(OPERATIONS.schema, [normalize(OPERATIONS.schema, [*rows], at(second))])
    return load_window(store, OPERATIONS, scope, record, batch.frame, batch.rejects, [])


def counts(report) -> tuple[int, int, int, int]:
    return report.rows_met, report.rows_new, report.rows_changed, report.rows_unchanged


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_window_that_is_committed_first_counts_what_both_met(store, order):
    scope = started(store)
    rows = {0: [row(1), row(2)], 1: [row(2), row(3, amount=7)]}
    first, second = (load(store, scope, day, *rows[day]) for day in order)
    assert counts(first) == (2, 2, 0, 0)
    assert counts(second) == (1, 1, 0, 0)
    assert [total.count for total in sum_totals(first.totals, second.totals)] == [3]
    assert [total.minor for total in sum_totals(first.totals, second.totals)] == [207]
    assert [entry["operation_id"] for entry in stored(store)] == ["1", "2", "3"]
    assert ledger_is_sound(store)


def test_what_both_met_and_was_stored_before_is_unchanged_once(store):
    load(store, started(store), 0, row(1), row(2))
    scope = started(store)
    assert counts(load(store, scope, 0, row(1), row(2), second=5)) == (2, 0, 0, 2)
    assert counts(load(store, scope, 1, row(2), second=5)) == (0, 0, 0, 0)


def test_a_row_between_three_windows_is_left_out_by_each_that_comes_later(store):
    scope = started(store)
    reports = [load(store, scope, day, *map(row, numbers)) for day, numbers in [(0, "ab"), (2, "cd"), (1, "bc")]]
    assert [counts(report) for report in reports] == [(2, 2, 0, 0), (2, 2, 0, 0), (0, 0, 0, 0)]


def test_a_row_that_changed_between_two_windows_is_a_change_of_the_later_one(store):
    scope = started(store)
    load(store, scope, 0, row(1, "processing"))
    later = load(store, scope, 1, row(1, "success"), row(2), second=1)
    assert counts(later) == (2, 1, 1, 0)
    assert sum(total.count for total in later.totals) == 2
    assert [entry["operation_status"] for entry in versions(store)] == ["processing"]
    assert ledger_is_sound(store)


def test_a_row_that_cannot_be_typed_is_counted_once_too(store):
    scope = started(store)
    reports = [load(store, scope, day, {"arn": "without id"}) for day in (0, 1)]
    assert [(report.rows_met, report.rows_rejected) for report in reports] == [(1, 1), (0, 0)]


def test_windows_of_two_runs_count_for_themselves(store):
    reports = [load(store, started(store), day, row(1)) for day in (0, 1)]
    assert [counts(report) for report in reports] == [(1, 1, 0, 0), (1, 0, 0, 1)]


def test_windows_that_share_no_second_count_for_themselves(store):
    scope = started(store)
    reports = [load(store, scope, day, row(1)) for day in (0, 2)]
    assert [counts(report) for report in reports] == [(1, 1, 0, 0), (1, 0, 0, 1)]


def test_a_neighbour_whose_load_was_rolled_back_counts_nothing(store):
    scope = started(store)

    def kill(_):
        raise Killed

    sqlalchemy.event.listen(store._engine, "commit", kill, once=True)
    with suppress(Killed):
        load(store, scope, 0, row(1), row(2))
    assert fetch_all(store, "SELECT 1 FROM sync.windows") == []
    assert counts(load(store, scope, 1, row(2), row(3))) == (2, 2, 0, 0)


def test_what_a_continued_run_does_not_walk_again_has_counted_what_both_met(store):
    interrupted = load(store, started(store), 0, row(1), row(2))
    asked = []

    def keys_of(window_id):
        asked.append(window_id)
        return frozenset("12")

    done = [DoneWindow(START, START + DAY, interrupted.window_id)]
    scope = replace(started(store), neighbours=Neighbours(done, keys_of))
    assert counts(load(store, scope, 3, row(9))) == (1, 1, 0, 0)
    assert asked == [], "the keys are read when a neighbour of theirs is committed"
    assert counts(load(store, scope, 1, row(2), row(3))) == (1, 1, 0, 0)
    assert asked == [interrupted.window_id]
    assert counts(load(store, scope, -1, row(1), row(0))) == (1, 1, 0, 0)
