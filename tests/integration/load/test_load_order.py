"""Walks may commit in any order: the last observation wins."""

from __future__ import annotations

import random
from datetime import datetime

import pytest

from fixtures.load import (
    STATES,
    at,
    known_at,
    ledger_is_sound,
    load_answers,
    load_rows,
    row,
    started,
    stored,
    versions,
)
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import LoadReport, Scope

SEEDS = range(3)
IDS = [f"{number:03}" for number in range(40)]

# operation id → when it was observed (second), and in what state; what one walk brings
Observed = dict[str, tuple[int, str]]


def load_observed(store: Warehouse, scope: Scope, observed: Observed) -> LoadReport:
    answers: dict[int, list[dict]] = {}
    for name, (second, state) in observed.items():
        answers.setdefault(second, []).append(row(name, state))
    return load_answers(store, answers, scope=scope)


def some_ids(chance: random.Random) -> list[str]:
    return chance.sample(IDS, chance.choice([1, 10, len(IDS)]))


@pytest.mark.parametrize("seed", SEEDS)
def test_in_whatever_order_walks_commit_each_operation_ends_as_it_was_observed_last(store, seed):
    """Walks observe at random moments; an operation's states follow each other and never return."""
    chance = random.Random(seed)
    changes = {name: sorted(chance.sample(range(30), chance.randrange(4))) for name in IDS}

    def observed(name: str) -> tuple[int, str]:
        second = chance.randrange(30)
        return second, STATES[sum(change <= second for change in changes[name])]

    walks = [{name: observed(name) for name in some_ids(chance)} for _ in range(8)]
    scope = started(store)
    reports = [load_observed(store, scope, each) for each in walks]
    found = {operation["operation_id"]: operation for operation in stored(store)}
    last = {name: max(each[name] for each in walks if name in each) for name in set().union(*walks)}
    assert {name: found[name]["operation_status"] for name in found} == {
        name: state for name, (_, state) in last.items()
    }
    first = {name: next(each[name] for each in walks if name in each) for name in last}
    assert {name: found[name]["first_seen_at"] for name in found} == {name: at(first[name][0]) for name in first}
    assert sum(report.rows_new for report in reports) == len(found)
    assert sum(report.rows_changed for report in reports) == len(versions(store)) > 0
    assert ledger_is_sound(store)
    # what was known follows without a gap and without an overlap, up to now
    until: dict[str, datetime] = {}
    for version in versions(store):
        name, known_from, known_to = (version[key] for key in ("operation_id", "observed_at", "known_to"))
        assert until.get(name, known_from) == known_from < known_to
        until[name] = known_to
    assert {name: found[name]["observed_at"] for name in until} == until


@pytest.mark.parametrize("seed", SEEDS)
def test_what_walks_observed_one_after_the_other_can_be_asked_for_as_of_every_moment(store, seed):
    """Here states do return: after success, processing, and success again."""
    chance = random.Random(seed)
    scope = started(store)
    truth: dict[str, str] = {}
    as_of = {-1: {}}
    for start in range(0, 24, 3):
        walk_of = {name: (start + chance.randrange(3), chance.choice(STATES[:2])) for name in some_ids(chance)}
        load_observed(store, scope, walk_of)
        for second in range(start, start + 3):
            truth = truth | {name: state for name, (when, state) in walk_of.items() if when == second}
            as_of[second] = truth
    assert len(versions(store)) > 10
    for second, expected in as_of.items():
        assert known_at(store, at(second)) == expected


def test_a_known_limit_a_state_that_returned_gives_way_to_one_observed_before_its_return(store):
    """An unchanged observation is not written, so its later time is not known to a walk that commits late.

    A at 10, A again at 20, then, late, B at 15: the store ends with B, though A was observed last. The next
    walk that meets the operation sets it right.
    """
    load_rows(store, row(1, "A"), second=10)
    load_rows(store, row(1, "A"), second=20)
    load_rows(store, row(1, "B"), second=15)
    assert [operation["operation_status"] for operation in stored(store)] == ["B"]
    load_rows(store, row(1, "A"), second=30)
    assert [operation["operation_status"] for operation in stored(store)] == ["A"]


def test_an_operation_that_two_windows_of_one_run_bring_in_different_states_turns_a_check_yellow(store):
    """Two operations under one id replace each other night by night; a change between two runs is no such thing."""
    told = []
    for night in (0, 10):
        scope = started(store)
        for second, state in ((night, "of one payment"), (night + 1, "of another")):
            load_answers(store, {second: [row(1, state), row(2), row(3, f"night {night}")]}, scope=scope)
        told.append(store.query("checks/operations_keys_tell", run_ids=[scope.run_id]))
    assert [[operation.operation_id for operation in found] for found in told] == [["1"], ["1"]]
