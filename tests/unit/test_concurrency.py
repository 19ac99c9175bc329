"""How many requests are in flight, simulated without a network: platforms of many kinds against the best fixed number.

Time is an event queue's: nothing here sleeps.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import mean

import pytest

from resources.data_api.pace import MOST, START, InFlightLimit

SECONDS = 120.0
PAUSE = 1.0  # what `Retry-After: 1` makes all workers of the token wait


class Capacity:
    """So many requests are worked on at once, the others queue."""

    def __init__(self, workers: int, seconds: float = 0.3) -> None:
        self.free = [0.0] * workers
        self.seconds = seconds

    def arrive(self, now: float, in_flight: int, offset: int) -> tuple[float, bool]:
        begin = max(now, heapq.heappop(self.free))
        heapq.heappush(self.free, begin + self.seconds)
        return begin + self.seconds, True


class Thrashing:
    """Beyond what it can do at once, each further request slows all of them."""

    def __init__(self, workers: int, seconds: float = 0.3) -> None:
        self.workers = workers
        self.seconds = seconds

    def arrive(self, now: float, in_flight: int, offset: int) -> tuple[float, bool]:
        return now + self.seconds * max(1.0, in_flight / self.workers) ** 2, True


class RateLimit:
    """Answers 429 above so many requests within a second."""

    def __init__(self, a_second: int, seconds: float = 0.3) -> None:
        self.a_second = a_second
        self.seconds = seconds
        self.taken: deque[float] = deque()

    def arrive(self, now: float, in_flight: int, offset: int) -> tuple[float, bool]:
        while self.taken and self.taken[0] <= now - 1.0:
            self.taken.popleft()
        if len(self.taken) >= self.a_second:
            return now + 0.02, False
        self.taken.append(now)
        return now + self.seconds, True


class Deep:
    """The deeper the page, the longer its answer, however few are in flight; a capacity, too."""

    def __init__(self, workers: int, seconds: float = 0.2) -> None:
        self.capacity = Capacity(workers, seconds)
        self.seconds = seconds

    def arrive(self, now: float, in_flight: int, offset: int) -> tuple[float, bool]:
        self.capacity.seconds = self.seconds * (1 + offset / 3_000)
        return self.capacity.arrive(now, in_flight, offset)


class Uneven:
    """Answers take very different times, by chance alone."""

    def __init__(self, workers: int) -> None:
        self.capacity = Capacity(workers)
        self.chance = random.Random(7)

    def arrive(self, now: float, in_flight: int, offset: int) -> tuple[float, bool]:
        self.capacity.seconds = self.chance.expovariate(1 / 0.3)
        return self.capacity.arrive(now, in_flight, offset)


@dataclass
class Process:
    """A process with more to ask than it may; without `limit`, a fixed number."""

    limit: InFlightLimit | None = None
    fixed: int = MOST
    in_flight: int = 0
    answers: int = 0
    refusals: list[float] = field(default_factory=list)
    levels: list[tuple[float, int]] = field(default_factory=list)
    resume_at: float = 0.0
    asked: int = 0

    def may_send(self) -> int:
        return int(self.limit) if self.limit else self.fixed


@dataclass(frozen=True)
class Sent:
    """A request under way."""

    process: Process
    at: float
    offset: int
    in_flight: int
    is_good: bool


class Simulation:
    """Processes that ask one platform, event by event."""

    def __init__(self, server, processes: tuple[Process, ...]) -> None:
        self.server = server
        self.processes = processes
        self.events: list[tuple[float, int, Callable[[float], None]]] = []
        self.numbers = itertools.count()

    def run(self, seconds: float) -> None:
        for process in self.processes:
            self.later(0.0, partial(self.send, process))
        while self.events and self.events[0][0] <= seconds:
            now, _, what = heapq.heappop(self.events)
            what(now)

    def later(self, at: float, what: Callable[[float], None]) -> None:
        heapq.heappush(self.events, (at, next(self.numbers), what))

    def send(self, process: Process, now: float) -> None:
        if process.limit:  # processes of a token tell each other
            process.limit.others = sum(one.may_send() for one in self.processes if one is not process)
            process.limit.processes = len(self.processes)
        while process.in_flight < process.may_send() and now >= process.resume_at:
            process.in_flight += 1
            process.asked += 1
            offset = 999 * (process.asked % 10)
            end, is_good = self.server.arrive(now, sum(one.in_flight for one in self.processes), offset)
            self.later(end, partial(self.done, Sent(process, now, offset, process.in_flight, is_good)))

    def done(self, sent: Sent, now: float) -> None:
        process = sent.process
        process.in_flight -= 1
        if sent.is_good:
            process.answers += 1
        else:
            process.refusals.append(now)
            self.pause(now + PAUSE)
        if process.limit and sent.is_good:
            process.limit.answered(now, sent.at, sent.offset.bit_length(), sent.in_flight)
        elif process.limit:
            process.limit.refused(now, sent.at)
        process.levels.append((now, process.may_send()))
        self.send(process, now)

    def pause(self, until: float) -> None:
        """A 429 to one process is one to the token."""
        for process in self.processes:
            process.resume_at = max(process.resume_at, until)
            self.later(process.resume_at, partial(self.send, process))


def simulate(server, *processes: Process, seconds: float = SECONDS) -> float:
    """Let the processes ask as they may; return good answers a second, of all of them."""
    Simulation(server, processes).run(seconds)
    return sum(process.answers for process in processes) / seconds


PLATFORMS = {
    "takes four at once": lambda: Capacity(4),
    "takes ten at once": lambda: Capacity(10),
    "takes more than we may": lambda: Capacity(64),
    "one after another": lambda: Capacity(1),
    "slow answers, six at once": lambda: Capacity(6, 3.0),
    "thrashes above five": lambda: Thrashing(5),
    "429 above 10 a second": lambda: RateLimit(10),
    "429 above 3 a second": lambda: RateLimit(3),
    "429 above 30 a second": lambda: RateLimit(30),
    "429 above 20 a second, answers of a second": lambda: RateLimit(20, 1.0),
    "deep pages are slow": lambda: Deep(8),
    "deep pages are slow, no end of workers": lambda: Deep(64),
    "uneven": lambda: Uneven(8),
}


def best_fixed(platform: Callable[[], object], processes: int = 1) -> float:
    """The most answers a second that any fixed number in flight gets, split evenly, unless it is refused for ever."""
    rates = []
    for each in range(1, MOST // processes + 1):
        workers = [Process(fixed=each) for _ in range(processes)]
        rate = simulate(platform(), *workers)
        if each == 1 or sum(len(one.refusals) for one in workers) <= 0.01 * rate * SECONDS:
            rates.append(rate)
    return max(rates)


@pytest.mark.parametrize("name", PLATFORMS)
def test_what_is_found_is_within_a_quarter_of_the_best_fixed_number(name):
    assert simulate(PLATFORMS[name](), Process(InFlightLimit())) >= 0.75 * best_fixed(PLATFORMS[name])


@pytest.mark.parametrize("name", PLATFORMS)
def test_two_processes_at_once_are_together_within_a_quarter_of_the_best_fixed_number(name):
    both = [Process(InFlightLimit(MOST // 2)) for _ in range(2)]
    assert simulate(PLATFORMS[name](), *both) >= 0.75 * best_fixed(PLATFORMS[name], 2)
    assert min(process.answers for process in both) > 0.3 * sum(process.answers for process in both), "they share"


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_process_that_comes_later_leaves_the_first_one_its_share(name):
    first, later = (Process(InFlightLimit(MOST // 2)) for _ in range(2))
    simulation = Simulation(PLATFORMS[name](), (first, later))
    later.resume_at = 20.0
    simulation.later(20.0, partial(simulation.send, later))
    simulation.run(220.0)
    first_level, later_level = (mean(level for at, level in one.levels if at > 120.0) for one in (first, later))
    assert max(first_level, later_level) <= 2.5 * min(first_level, later_level)


def test_it_starts_low_and_reaches_the_setting_within_a_few_answers_and_never_more():
    process = Process(InFlightLimit(MOST))
    simulate(Capacity(64), process, seconds=10.0)
    assert process.levels[0][1] == START
    assert next(at for at, level in process.levels if level == MOST) <= 3 * 0.3
    assert max(level for _, level in process.levels) == MOST


@pytest.mark.parametrize("a_second", [10, 20, 30])
@pytest.mark.parametrize("processes", [1, 2])
def test_it_never_stays_above_a_limit_that_is_answered_by_429(a_second, processes):
    workers = [Process(InFlightLimit(MOST // processes)) for _ in range(processes)]
    rate = simulate(RateLimit(a_second), *workers, seconds=600.0)
    refusals = sorted(at for process in workers for at in process.refusals)
    assert refusals, "it was met"
    assert len(refusals) < 0.02 * rate * 600.0
    late = [at for at in refusals if at > 300.0]
    assert len(late) < len(refusals) / 2, "it is tried more and more seldom"


def test_a_429_halves_it_once_however_many_are_refused_with_it():
    limit = InFlightLimit(16, start=16)
    for number in range(16):
        limit.refused(10.0 + number / 1_000, started=9.0)
    assert int(limit) == 8
    limit.refused(11.0, started=10.5)
    assert int(limit) == 4


def test_an_error_counts_though_the_limit_grew_since_its_request_was_sent_and_those_sent_before_a_halving_count_once():
    limit = InFlightLimit()
    for in_flight in range(1, 5):
        limit.answered(0.3, 0.0, "kind", in_flight)
    grown = int(limit)
    assert grown == 2 * START
    limit.failed(0.5, started=0.1)
    limit.refused(0.6, started=0.4)
    assert int(limit) == grown // 2


@pytest.mark.parametrize("failures", [1, 100])
def test_it_never_falls_below_one(failures):
    limit = InFlightLimit()
    for number in range(failures):
        limit.failed(10.0 * number, started=10.0 * number)
    assert int(limit) == max(1, int(START) >> failures)


def test_errors_of_the_platform_that_come_now_and_then_do_not_hold_it_down():
    chance = random.Random(3)

    class Faulty(Capacity):
        def arrive(self, now, in_flight, offset):
            end, _ = super().arrive(now, in_flight, offset)
            return end, chance.random() > 0.005

    class Failing(InFlightLimit):
        def refused(self, now, started):
            self.failed(now, started)  # a 5xx instead of a 429

    process = Process(Failing())
    simulate(Faulty(64), process)
    assert sum(level for _, level in process.levels) / len(process.levels) > 8


def test_it_begins_where_another_process_has_ended_but_learns_for_itself_from_then_on():
    limit = InFlightLimit(16)
    limit.begin_at(11)
    assert int(limit) == 11
    limit.failed(5.0, started=4.0)
    limit.begin_at(11)
    assert int(limit) == 5


def test_a_lower_setting_holds_at_once_and_what_was_found_comes_back_with_it():
    limit = InFlightLimit(16, start=12)
    limit.most = 8
    assert int(limit) == 8
    limit.most = 16
    assert int(limit) == 12


def test_what_is_not_asked_for_does_not_raise_it():
    limit = InFlightLimit()
    for number in range(50):
        limit.answered(number + 0.3, float(number), "kind", in_flight=1)
    assert int(limit) == START


def test_a_platform_that_is_slower_tonight_is_found_out_and_used_all_the_same():
    """All answers take five times as long: at first that looks like too many, then it is what they take."""
    process = Process(InFlightLimit())

    class Slower(Capacity):
        def arrive(self, now, in_flight, offset):
            self.seconds = 0.3 if now < 30.0 else 1.5
            return super().arrive(now, in_flight, offset)

    simulate(Slower(64), process, seconds=400.0)
    assert min(level for at, level in process.levels if at > 30.0) <= 4
    assert process.levels[-1][1] >= 12
