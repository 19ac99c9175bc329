"""The walk: whatever the server does between two pages, a window that is called complete has lost no row.

The model of the server is a list of ids, newest first; before a request it can move rows, and an answer can
be short, empty or capped.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.walk import DEEPEST, LIMIT, Complete, Page, Suspicion, TooDense, Unstable, walk_until_stable

DAY = timedelta(days=1)
SIZES = [0, 1, 2, 3, 999, 1000, 1001, 1002, 1998, 1999, 2000, 2997, 2998, 5000, 9_000]


@dataclass
class Server:
    rows: list[str]
    cap: int = LIMIT
    answers: dict[int, str] = field(default_factory=dict)  # request number → fault
    moves: dict[int, list[tuple[str, int]]] = field(default_factory=dict)  # request number → moves before it
    requests: int = 0
    deepest: int = 0

    def __post_init__(self):
        self.always_there = set(self.rows)

    def fetch(self, offset: int, limit: int) -> Page[None]:
        self.requests += 1
        for move, position in self.moves.get(self.requests, []):
            self._move(move, position)
        self.deepest = max(self.deepest, offset)
        page = self.rows[offset : offset + min(limit, self.cap)]
        fault = self.answers.get(self.requests)
        if fault == "empty":
            page = []
        elif fault == "short":
            page = page[:-1]
        elif fault == "capped":
            page = page[: self.cap // 2]
        return Page(tuple(page), None)

    def _move(self, move: str, position: int) -> None:
        if move == "enter":
            self.rows.insert(0, f"new {self.requests} {position}")
        elif self.rows:
            gone = self.rows.pop(position % len(self.rows))
            self.always_there.discard(gone)


def ids(count: int) -> list[str]:
    return [str(number) for number in range(count, 0, -1)]


def met(outcome: Complete) -> set[str]:
    return {identifier for page in outcome.pages for identifier in page.ids}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cap", [LIMIT, 500, 999])
def test_data_at_rest_is_met_whole(size, cap):
    server = Server(ids(size), cap)
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert met(outcome) == set(server.rows)
    assert (outcome.walks, outcome.drifts) == (1, 0)
    assert outcome.requests == server.requests


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", ["empty", "short", "capped"])
@pytest.mark.parametrize("at", range(1, 13))
def test_one_answer_that_is_empty_short_or_capped_loses_nothing(size, fault, at):
    server = Server(ids(size), answers={at: fault})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert met(outcome) == set(server.rows)


move = st.tuples(st.sampled_from(["enter", "leave"]), st.integers(0, 10_000))


@settings(max_examples=400, deadline=None)
@given(
    size=st.sampled_from(SIZES) | st.integers(0, 4_000),
    cap=st.sampled_from([LIMIT, 500]),
    moves=st.dictionaries(st.integers(1, 40), st.lists(move, max_size=4), max_size=20),
    answers=st.dictionaries(st.integers(1, 40), st.sampled_from(["short", "capped"]), max_size=1),
)
def test_no_row_that_stays_is_lost_while_others_enter_at_the_head_and_leave_anywhere(size, cap, moves, answers):
    server = Server(ids(size), cap, answers=answers, moves=moves)
    outcome = walk_until_stable(server.fetch, DAY)
    if isinstance(outcome, Complete):
        assert met(outcome) >= server.always_there


@given(st.integers(DEEPEST + LIMIT + 1, 30_000))
@settings(max_examples=20, deadline=None)
def test_a_window_with_too_many_rows_is_given_back_to_be_cut_before_its_depth_is_paid_for(size):
    server = Server(ids(size))
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, TooDense)
    assert server.deepest <= DEEPEST
    assert server.requests <= 5


def test_a_single_second_is_walked_however_deep_it_is():
    server = Server(ids(25_000))
    outcome = walk_until_stable(server.fetch, timedelta(seconds=1))
    assert isinstance(outcome, Complete)
    assert met(outcome) == set(server.rows)


def test_data_that_never_rests_is_not_called_complete():
    server = Server(ids(5_000), moves={number: [("leave", 0)] for number in range(1, 100)})
    assert isinstance(walk_until_stable(server.fetch, DAY), Unstable)


def test_a_window_that_fits_an_answer_settles_even_while_rows_keep_leaving():
    server = Server(ids(300), moves={number: [("leave", 7)] for number in range(1, 100)})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert outcome.drifts > 0
    assert met(outcome) >= server.always_there


def test_a_row_that_entered_at_the_head_while_another_left_is_noticed_at_the_end():
    """The page edges fit, since one row more and one row less stand before them: only the head has changed."""
    server = Server(ids(1_500), moves={2: [("enter", 0), ("leave", 500)]})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert outcome.drifts == 1
    assert met(outcome) >= set(server.rows)


def test_an_empty_window_is_asked_three_times():
    server = Server([])
    assert isinstance(walk_until_stable(server.fetch, DAY), Complete)
    assert server.requests == 3


@pytest.mark.parametrize("size", SIZES)
def test_a_window_that_is_empty_twice_in_a_row_loses_nothing(size):
    server = Server(ids(size), answers={1: "empty", 2: "empty"})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert met(outcome) == set(server.rows)


def test_a_server_caught_with_one_wrong_end_is_asked_more_often_in_every_later_window():
    """1500 rows; the second page a row short, and so the answer after it: as if the last row but one were the end."""
    suspicion = Suspicion()
    walk_until_stable(Server(ids(10), answers={1: "empty"}).fetch, DAY, suspicion)
    assert suspicion.server_untrusted
    server = Server(ids(1_500), answers={2: "short", 3: "short"})
    outcome = walk_until_stable(server.fetch, DAY, suspicion)
    assert isinstance(outcome, Complete)
    assert met(outcome) == set(server.rows)
    empty_for_long = Server(ids(10), answers=dict.fromkeys(range(1, 6), "empty"))
    assert met(walk_until_stable(empty_for_long.fetch, DAY, suspicion)) == set(empty_for_long.rows)


@pytest.mark.parametrize("size", [0, 1, 999, 1_500, 5_000])
def test_a_server_at_rest_is_trusted(size):
    suspicion = Suspicion()
    walk_until_stable(Server(ids(size)).fetch, DAY, suspicion)
    assert not suspicion.server_untrusted


@pytest.mark.parametrize("size", [2, 3, 150, 3_000])
@pytest.mark.parametrize("length", [DAY, timedelta(seconds=1)])
def test_a_server_that_gives_one_row_at_a_time_is_not_taken_at_its_word(size, length):
    """Pages of one row cannot overlap: the first row met again is no sign that it is the last."""
    outcome = walk_until_stable(Server(ids(size), cap=1).fetch, length)
    assert isinstance(outcome, Unstable)
    assert outcome.contradiction


def test_a_window_of_one_row_takes_three_requests():
    server = Server(ids(1))
    assert isinstance(walk_until_stable(server.fetch, DAY), Complete)
    assert server.requests == 3


@pytest.mark.parametrize("beyond", ["the same page again", "nothing"])
def test_a_server_that_contradicts_itself_is_not_believed(beyond):
    """3000 rows; whatever the offset, the first page, or nothing at all after it: that shows no end."""
    rows = ids(3_000)

    def fetch(offset: int, limit: int) -> Page[None]:
        if offset == 0 or beyond == "the same page again":
            return Page(tuple(rows[:limit]), None)
        return Page((), None)

    outcome = walk_until_stable(fetch, DAY)
    assert isinstance(outcome, Unstable)
    assert outcome.contradiction


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_equal_time_in_an_order_that_changes_are_not_lost_silently(seed):
    """Pages may meet by chance while a row of the same second has slipped before the edge: another stands twice."""
    chance = random.Random(seed)
    groups = [[f"{second} {number}" for number in range(3)] for second in range(1_000)]

    def fetch(offset: int, limit: int) -> Page[None]:
        rows = [row for group in groups for row in chance.sample(group, len(group))]
        return Page(tuple(rows[offset : offset + limit]), None)

    outcome = walk_until_stable(fetch, DAY)
    if isinstance(outcome, Complete):
        assert len(met(outcome)) == 3_000
