"""The walk: whatever the server does between two pages, a window that is called complete has lost no row.

The model of the server is a list of ids, newest first; before a request it can move rows, and an answer can
be short, empty or capped.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.ingest.walk import (
    CONTRADICTED,
    DEEPEST,
    LIMIT,
    REPEATED,
    Complete,
    Fetch,
    Page,
    Suspicion,
    TooDense,
    Unstable,
    fetch_whole,
    walk_until_stable,
)
from pipelines.ingest.windows import Queue, Window, pieces_for

DAY = timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=UTC)
A_DAY = Window(START, START + DAY)
SIZES = [0, 1, 2, 3, 999, 1000, 1001, 1002, 1998, 1999, 2000, 2997, 2998, 5000, 9_000]


@dataclass
class Server:
    rows: list[str]
    cap: int = LIMIT
    answers: dict[int, str] = field(default_factory=dict)  # request number → fault
    moves: dict[int, list[tuple[str, int]]] = field(default_factory=dict)  # request number → moves before it
    dense: int = 0  # what the times say that the window holds; 0: they say nothing
    requests: int = 0
    deepest: int = 0

    def __post_init__(self):
        self.always_there = set(self.rows)
        self.oldest_by_row = {row: len(self.rows) - number for number, row in enumerate(self.rows)}

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
        return Page(tuple(page), None, self._span(page) if self.dense and page else None)

    def _span(self, page: list[str]) -> tuple[datetime, datetime]:
        newest, oldest = (self.oldest_by_row.get(row, self.dense) for row in (page[0], page[-1]))
        return START + DAY * (min(newest, oldest) / self.dense), START + DAY * (max(newest, oldest) / self.dense)

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


def asked(server: Server, suspicion: Suspicion | None = None) -> tuple[object, list[int | tuple[int, int]]]:
    """How a day is walked: the outcome, and the offsets requested (with a limit that is not the usual)."""
    requests: list[int | tuple[int, int]] = []

    def fetch(offset: int, limit: int) -> Page[None]:
        requests.append(offset if limit == LIMIT else (offset, limit))
        return server.fetch(offset, limit)

    outcome = walk_until_stable(fetch, DAY, suspicion)
    assert outcome.requests == len(requests)
    return outcome, requests


def scripted(answers: list[tuple[int, str]]) -> Fetch[None]:
    """A server that gives these answers, a letter a row, if it is asked for these offsets."""
    waiting = iter(answers)

    def fetch(offset: int, limit: int) -> Page[None]:
        expected, rows = next(waiting)
        assert offset == expected
        return Page(tuple(rows), None)

    return fetch


HEAD, PROBE = (0, 1), (DEEPEST, 1)


@pytest.mark.parametrize(
    ("size", "cap", "requests"),
    [
        (1, LIMIT, [0, 0, 1]),  # past the only row, since pages of one row cannot overlap
        (2, LIMIT, [0, 1, 1]),  # an end behind a page as long as any is looked at twice
        (1_000, LIMIT, [0, 999, 999]),
        (1_001, LIMIT, [0, 999, 1_000, HEAD]),  # behind a shorter one once
        (1_999, LIMIT, [0, 999, 1_998, 1_998, HEAD]),
        (2_338, LIMIT, [0, 999, 1_998, 2_337, HEAD]),
        (1_500, 500, [0, 499, 998, 1_497, 1_499, HEAD]),
    ],
)
def test_a_window_at_rest_takes_these_requests_and_no_more(size, cap, requests):
    outcome, made = asked(Server(ids(size), cap))
    assert isinstance(outcome, Complete)
    assert made == requests


@pytest.mark.parametrize(
    ("size", "requests"),
    [
        (0, [0] * 6),
        (1, [0, 0, *[1] * 6]),
        (1_000, [0, *[999] * 6]),
        (2_338, [0, 999, 1_998, *[2_337] * 6, HEAD]),
    ],
)
def test_an_untrusted_server_is_asked_six_times_for_every_end(size, requests):
    outcome, made = asked(Server(ids(size)), Suspicion(server_untrusted=True))
    assert isinstance(outcome, Complete)
    assert made == requests


@pytest.mark.parametrize(
    ("size", "dense", "pages"),
    [
        (30_000, 30_000, 1),  # by the first page's times more than twice as many as is worth a probe
        (12_000, 12_000, 3),
        (9_991, 0, 4),  # the times say nothing
        (12_000, 1_000, 4),  # the first page lies all over the window
    ],
)
def test_a_window_that_is_too_dense_is_told_by_one_probe_and_with_how_dense_it_is_up_to_there(size, dense, pages):
    outcome, made = asked(Server(ids(size), dense=dense))
    assert isinstance(outcome, TooDense)
    assert made == [*range(0, 999 * pages, 999), PROBE]
    assert outcome.rows == (9_991 if dense else 1_000 * pages)
    assert outcome.span == (DAY * 9_990 / dense if dense else None)


def test_rows_that_came_in_a_burst_do_not_make_a_whole_window_look_dense():
    server = Server(ids(12_000), dense=12_000)
    for row in server.rows[:1_000]:
        server.oldest_by_row[row] = 12_000  # all within one moment
    outcome, made = asked(server)
    assert isinstance(outcome, TooDense)
    assert made == [0, PROBE]
    pieces = pieces_for(A_DAY, outcome.rows, outcome.span, at_least=DEEPEST)
    assert pieces.first_of(A_DAY).seconds == DAY.total_seconds() // 3


@pytest.mark.parametrize(("dense", "place"), [(9_990, 3), (0, 4), (1_000, 4)])
def test_a_window_that_only_seems_too_dense_is_probed_once_and_walked(dense, place):
    outcome, made = asked(Server(ids(9_990), dense=dense))
    assert isinstance(outcome, Complete)
    pages = [*range(0, 9_990, 999), 9_989]
    assert made == [*pages[:place], PROBE, *pages[place:], HEAD]


def test_a_window_whose_probe_came_empty_is_given_back_once_it_is_deeper_than_the_probe():
    outcome, made = asked(Server(ids(30_000), answers={5: "empty"}))
    assert isinstance(outcome, TooDense)
    assert made == [0, 999, 1_998, 2_997, PROBE, *range(3_996, 9_990, 999)]


@pytest.mark.parametrize("cap", [LIMIT, 999, 700, 7])
@pytest.mark.parametrize("size", [9_990, 9_991, 10_500, 10_991, 30_000])
def test_no_place_deeper_than_the_probe_is_asked_for_however_the_times_mislead(size, cap):
    """A platform may refuse offsets above 10,000. Rows of times long before the window make it look sparse."""
    server = Server(ids(size), cap, dense=1)
    for number, row in enumerate(server.rows):
        server.oldest_by_row[row] = -number
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete if size <= DEEPEST else TooDense)
    assert server.deepest <= DEEPEST


def test_a_window_that_comes_in_one_answer_takes_one_request_and_an_empty_one_three():
    for size, requests, untrusted in ((3, 1, False), (0, 3, False), (0, 6, True)):
        server, suspicion = Server(ids(size)), Suspicion(server_untrusted=untrusted)
        outcome = fetch_whole(server.fetch, suspicion)
        assert [page.ids for page in outcome.pages] == [tuple(ids(size))]
        assert (outcome.walks, outcome.drifts, outcome.requests, server.requests) == (1, 0, requests, requests)
        assert suspicion.server_untrusted == untrusted
    assert len(met(fetch_whole(Server(ids(3), answers={1: "empty"}).fetch))) == 3


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
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Unstable)
    assert (outcome.drifts, outcome.reason) == (3, "the data moved during every walk")
    assert outcome.requests == server.requests


def test_a_second_is_walked_eight_times_before_it_is_given_up_since_it_cannot_be_cut():
    server = Server(ids(5_000), moves={number: [("leave", 0)] for number in range(1, 100)})
    outcome = walk_until_stable(server.fetch, timedelta(seconds=1))
    assert isinstance(outcome, Unstable)
    assert outcome.drifts == 8


def test_a_window_that_fits_an_answer_settles_even_while_rows_keep_leaving():
    server = Server(ids(300), moves={number: [("leave", 7)] for number in range(1, 100)})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert (outcome.walks, outcome.drifts) == (2, 2), "the second walk brought no row that the first had not"
    assert met(outcome) >= server.always_there


def test_a_window_that_fits_an_answer_is_walked_once_more_while_new_rows_keep_coming():
    server = Server(ids(300), moves={number: [("enter", 0)] for number in range(1, 100)})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert (outcome.walks, outcome.drifts, server.requests) == (3, 3, 7)  # the last: has a row moved into it?
    assert outcome.requests == server.requests


def test_a_short_end_that_makes_an_answer_the_whole_window_is_asked_for_again_of_an_untrusted_server():
    """Rows a to h in the order of their ids: reversed, repeated and short answers, while b leaves; h is in none."""
    answers = [
        *((0, "dcba"), (3, "defg")),
        *((0, "defg"), (3, "efg"), (3, "efgh")),
        *((0, "acde"), (3, "efgh"), *[(6, "h")] * 6, (0, "a")),
    ]
    outcome = walk_until_stable(scripted(answers), DAY, Suspicion(server_untrusted=True))
    assert isinstance(outcome, Complete)
    assert met(outcome) >= set("acdefgh")
    assert (outcome.walks, outcome.requests) == (3, len(answers))


def test_a_short_end_that_stays_so_makes_an_answer_of_an_untrusted_server_the_whole_window():
    answers = [(0, "abcd"), *[(3, "cd")] * 6] * 2 + [(0, "abcd")]
    outcome = walk_until_stable(scripted(answers), DAY, Suspicion(server_untrusted=True))
    assert isinstance(outcome, Complete)
    assert (outcome.walks, outcome.requests) == (2, len(answers))


def test_a_row_that_entered_at_the_head_while_another_left_is_noticed_at_the_end():
    """The page edges fit, since one row more and one row less stand before them: only the head has changed."""
    server = Server(ids(1_500), moves={2: [("enter", 0), ("leave", 500)]})
    outcome = walk_until_stable(server.fetch, DAY)
    assert isinstance(outcome, Complete)
    assert outcome.drifts == 1
    assert met(outcome) >= set(server.rows)


@pytest.mark.parametrize(("looks_empty", "drifts"), [(1, 0), (2, 1)])
def test_a_head_that_is_gone_counts_as_moved_the_second_time(looks_empty, drifts):
    answers = dict.fromkeys(range(4, 4 + looks_empty), "empty")  # behind two pages and the end
    outcome = walk_until_stable(Server(ids(1_500), answers=answers).fetch, DAY)
    assert isinstance(outcome, Complete)
    assert outcome.drifts == drifts


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
    assert outcome.reason == CONTRADICTED


@pytest.mark.parametrize("twice", [1_500, 2_500])  # on the second page, on the third
@pytest.mark.parametrize("length", [DAY, timedelta(seconds=1)])
def test_an_id_that_the_platform_lists_twice_is_a_reason_of_its_own_for_which_the_window_is_cut(twice, length):
    rows = ids(3_000)
    rows[twice] = rows[10]
    outcome = walk_until_stable(Server(rows).fetch, length)
    assert isinstance(outcome, Unstable)
    assert outcome.reason == REPEATED


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
    assert outcome.reason == CONTRADICTED


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


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize(("days", "at_once", "most"), [(1, 1, 300), (1, 60, 300), (60, 11, 400), (179, 11, 400)])
def test_a_burst_of_22000_rows_within_sparse_months_is_found_with_few_requests(days, at_once, most, newest_first):
    second = timedelta(seconds=1)
    whole = Window(START, START + days * DAY)
    burst = [START + days * DAY / 3 + number * at_once // 22_000 * second for number in range(22_000)]
    moments = sorted([*burst, *(START + number * whole.length / 300 for number in range(300))], reverse=newest_first)
    requests, rows, queue = 0, set(), Queue([whole])
    while queue:
        window, pieces = queue.take()
        held = [(moment, str(row)) for row, moment in enumerate(moments) if window.first <= moment <= window.last]

        def fetch(offset: int, limit: int, held=held) -> Page[None]:
            page = held[offset : offset + limit]
            times = sorted(moment for moment, _ in page)
            span = (times[len(page) // 4], times[3 * len(page) // 4]) if page else None  # as streams look at them
            return Page(tuple(row for _, row in page), None, span)

        outcome = walk_until_stable(fetch, window.length)
        requests += outcome.requests
        if isinstance(outcome, TooDense):
            queue.cut(window, pieces_for(window, outcome.rows, outcome.span, at_least=DEEPEST), pieces)
        else:
            pieces.learn(window, outcome.rows)
            rows |= met(outcome)
    assert len(rows) == 22_300
    assert requests < most


def test_dense_data_at_rest_takes_hardly_more_requests_than_pages():
    sizes, requests = range(5_000, 7_500, 100), 0
    for size in sizes:
        server = Server(ids(size), dense=size)
        outcome = walk_until_stable(server.fetch, DAY)
        assert isinstance(outcome, Complete)
        assert server.requests == outcome.requests
        requests += server.requests
    assert requests <= 1.15 * sum(sizes) / LIMIT + 2 * len(sizes)
