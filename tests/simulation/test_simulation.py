"""Thousands of seeds keep every promise; and a decision that was wrong once is found again when it comes back.

How a scenario is made and judged is in `scenario`. More seeds: `make simulate SEEDS=1-100000`.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from pipelines.ingest import walk, windows
from resources.warehouse.ledger import Neighbours
from simulation import scenario as scenarios
from simulation import store as simulated_store
from simulation.scenario import generate, run, shrink, small
from simulation.scheduler import Scheduler, Stuck

CHUNKS = 8
SEEDS = 2_000


@pytest.fixture(autouse=True)
def _small():
    with small():
        yield


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_every_seed_keeps_every_promise(chunk):
    for seed in range(1 + chunk, SEEDS + 1, CHUNKS):
        scenario = generate(seed)
        if run(scenario).broken:
            scenario = shrink(scenario)
            pytest.fail(f"{scenario}\n  {run(scenario).broken}")


Habits, Move, Fault = scenarios.Habits, scenarios.Move, scenarios.Fault
CURED = {
    "a row moved into an answer that was taken for the whole window": scenarios.Scenario(
        seed=15_332,
        habits=Habits(cap=5, order="oldest"),
        longest=86_400,
        in_flight=4,
        rows=((88, 0.0), (92, 0.0), (43, 31_996.252), (45, 43_000.25), (76, 66_973.0)),
        moves=(Move(5, 76, 8_816.091),),
        faults=(Fault(2, "429"), Fault(3, "repeated")),
    ),
    "a short page of a server that is not trusted was taken for the end of a whole window": scenarios.Scenario(
        seed=53_080,
        habits=Habits(cap=4, order="by id"),
        longest=20_000,
        in_flight=2,
        rows=(
            *((94, 43_001.0), (3, 43_000.0), (55, 19_999.0), (84, 5_248.0), (32, 51_526.845), (13, 25_567.0)),
            *((19, 51_948.552), (45, 3_316.857), (39, 43_001.0), (8, 5_288.0), (89, 43_001.0), (22, 15_193.0)),
            *((47, 1_785.0), (27, 20_000.5), (24, 0.0)),
        ),
        moves=(Move(10, 1, 40_000.001), Move(4, 13, 43_001.0), Move(35, 13, 1_050.0), Move(13, 55, 80_000.001)),
        faults=(
            *(Fault(8, "repeated"), Fault(25, "reversed"), Fault(29, "repeated"), Fault(30, "repeated")),
            *(Fault(33, "cut"), Fault(34, "cut"), Fault(36, "short")),
        ),
        kills=(0,),
    ),
    "a first page given once more was taken for the end, since a row that left had made it shorter": scenarios.Scenario(
        seed=410_405,
        habits=Habits(cap=4, order="oldest"),
        longest=86_400,
        in_flight=4,
        rows=(
            *((42, 57_489.0), (15, 50_274.0), (54, 43_000.5), (71, 53_210.876), (35, 1_165.0), (18, 86_399.0)),
            *((44, 86_400.0), (21, 86_399.999)),
        ),
        moves=(Move(8, 15, None),),
        faults=(Fault(3, "repeated"), Fault(6, "repeated"), Fault(8, "repeated")),
        kills=(0,),
    ),
}


@pytest.mark.parametrize("loss", CURED)
def test_what_lost_a_row_before_loses_none(loss):
    """Shrunk from the seed of the same number."""
    assert run(CURED[loss]).broken is None


def test_a_seed_does_the_same_every_time():
    for seed in range(50):
        assert run(generate(seed)) == run(generate(seed))


def test_the_scenarios_hold_what_they_should():
    some = [generate(seed) for seed in range(200)]
    kinds = {fault.kind for scenario in some for fault in scenario.faults}
    assert kinds == {*scenarios.CONTENT_FAULTS, *scenarios.FAILURES}
    assert any(scenario.failing_commits for scenario in some)
    outcomes = [run(scenario) for scenario in some]
    assert sum(outcome.runs > 2 for outcome in outcomes) > 20, "killed, continued, walked again"
    assert sum(outcome.excused for outcome in outcomes) <= 3, "the known limit of offset pages is rare"


def test_tasks_that_wait_for_each_other_are_stuck_and_not_silent():
    scheduler = Scheduler(random.Random(0), 0.0)
    with pytest.raises(Stuck):
        scheduler.run(lambda: scheduler.wait_for(lambda: False))


# Decisions that were wrong once, each as it was: the simulation finds a loss again, the same one every time


def ends_before_the_next_begins(monkeypatch):
    """Windows ended at …:59 and the next began at …:00."""
    right = windows.plan

    def plan(window, longest=windows.LONGEST):
        pieces = right(window, longest)
        return [windows.Window(one.first, one.last - windows.SECOND) for one, _ in pairwise(pieces)] + pieces[-1:]

    monkeypatch.setattr(windows, "plan", plan)
    # what was covered was counted in whole seconds then
    monkeypatch.setattr(scenarios.Simulation, "_all_is_covered", lambda self, done: None)


def believes_two_wrong_ends_in_a_row(monkeypatch):
    """What the server had given before changed nothing: two looks at an end were enough, and three at nothing."""
    monkeypatch.setattr(walk.Suspicion, "looks", lambda self, usual: usual)


def adds_up_lengths_of_pages(monkeypatch):
    """The next offset was the number of the page times its length, and no page had to meet the one before."""

    def walk_once(fetch, length, suspicion):
        done = walk.Walk(suspicion)
        size = None
        while True:
            done.requests += 1
            page = fetch(len(done.pages) * (size or 0), walk.LIMIT)
            if not page.ids:
                return done
            size = size or len(page.ids)
            done.add(page)

    monkeypatch.setattr(walk, "walk_once", walk_once)


def forgets_what_an_interrupted_run_counted(monkeypatch):
    """A run that continued another one counted the rows of the boundary second again."""
    monkeypatch.setattr(simulated_store, "Neighbours", lambda done, keys_of: Neighbours())


WRONG = [
    (ends_before_the_next_begins, "and None in the store"),
    (believes_two_wrong_ends_in_a_row, "is called complete without"),
    (adds_up_lengths_of_pages, "is called complete without"),
    (forgets_what_an_interrupted_run_counted, "both count"),
]


@pytest.mark.parametrize(("decision", "loss"), WRONG, ids=lambda part: getattr(part, "__name__", ""))
def test_a_decision_that_was_wrong_is_found_again(monkeypatch, decision, loss):
    decision(monkeypatch)
    seed = next(seed for seed in range(SEEDS) if loss in (run(generate(seed)).broken or ""))
    scenario = shrink(generate(seed))
    assert loss in (run(scenario).broken or "")
    assert run(scenario) == run(scenario)
    assert len(scenario.rows) <= len(generate(seed).rows)
    monkeypatch.undo()
    with small():
        assert run(scenario).broken is None
