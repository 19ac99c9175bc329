"""When to ask again, how long to wait, when to give up; over real HTTP it is in client/test_client_retries.py."""

from __future__ import annotations

import itertools
import logging
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.data_api.errors import (
    Aborted,
    BadRequest,
    BadSignature,
    BodyTooLarge,
    BrokenBody,
    RateLimited,
    Redirected,
    ServerError,
    Unauthorized,
    Unreachable,
    Untrusted,
)
from resources.data_api.pace import START, Caller, Concurrency, Pace, TokenState
from resources.data_api.retry import Backoff, RetryPolicy, parse_http_date, parse_retry_after, retry

RETRYABLE = [
    Unreachable("cut"),
    ServerError("500"),
    RateLimited("429", None),
    RateLimited("429", 0.0),
    BrokenBody("half"),
    BadSignature("wrong"),
]
NEVER = [Unauthorized("401"), BadRequest("400"), Redirected("302"), BodyTooLarge("70 MiB"), Untrusted("no certificate")]


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, stopped, seconds) -> None:
        self.seconds += seconds

    def pace(self, *, answered: bool = True) -> Pace:
        pace = Pace(self.now, self.sleep)
        pace.answered = answered
        return pace


def backoff_of(
    policy: RetryPolicy | None = None, time: Time | None = None, *, elapsed: float = 0.0, answered: bool = True
) -> Backoff:
    """The decisions of a call that was started `elapsed` seconds ago."""
    time = time or Time()
    backoff = Backoff(policy or RetryPolicy(), time.pace(answered=answered))
    time.seconds += elapsed
    return backoff


def slept_of(pace: Pace, time: Time, caller: Caller | None = None) -> float:
    """How long a request that wants to start now has to wait."""
    before = time.seconds
    with pace.request(caller or Caller()):
        return time.seconds - before


def named(error: Exception) -> str:
    return type(error).__name__


# What is asked again


@pytest.mark.parametrize("error", RETRYABLE, ids=named)
def test_what_may_pass_is_asked_again_after_a_wait(error):
    assert backoff_of().wait_after(error) >= 0.0


# How long the waits are


@given(st.integers(1, 2_000), st.floats(0.0, 10.0), st.floats(0.0, 100.0))
@example(2_000, 0.5, 30.0)
def test_a_wait_lies_between_nothing_and_the_doubled_ceiling_and_never_above_the_cap(failures, first, longest):
    policy = RetryPolicy(attempts=10_000, first_wait=first, longest_wait=longest, deadline=math.inf)
    backoff = backoff_of(policy)
    backoff.failures = failures - 1
    wait = backoff.wait_after(ServerError("500"))
    assert 0.0 <= wait <= min(longest, Fraction(first) * 2 ** (failures - 1))


def test_the_jitter_is_full_so_that_workers_spread_over_the_whole_wait():
    policy = RetryPolicy(first_wait=1.0, longest_wait=1.0)
    waits = [backoff_of(policy).wait_after(ServerError("500")) for _ in range(400)]
    tenths = {int(10 * wait) for wait in waits}
    assert tenths == set(range(10))


def test_ceilings_double_up_to_the_cap():
    policy = RetryPolicy(attempts=1_000, first_wait=0.5, longest_wait=30.0)
    largest = [0.0] * 9
    for _ in range(400):
        backoff = backoff_of(policy)
        largest = [max(most, backoff.wait_after(ServerError("500"))) for most in largest]
    for most, ceiling in zip(largest, [0.5, 1, 2, 4, 8, 16, 30, 30, 30], strict=True):
        assert 0.9 * ceiling < most <= ceiling


# When to give up


def test_a_host_that_has_answered_gets_the_whole_deadline():
    policy = RetryPolicy(deadline=900.0, longest_wait=0.0)
    assert backoff_of(policy, elapsed=890.0).wait_after(Unreachable("refused")) is not None
    assert backoff_of(policy, elapsed=901.0).wait_after(Unreachable("refused")) is None


def test_a_host_that_has_never_answered_gets_less_since_its_address_is_likely_wrong():
    policy = RetryPolicy(deadline=900.0, never_answered_deadline=20.0, longest_wait=0.0)
    assert backoff_of(policy, answered=False, elapsed=19.0).wait_after(Unreachable("refused")) is not None
    assert backoff_of(policy, answered=False, elapsed=21.0).wait_after(Unreachable("refused")) is None


@pytest.mark.parametrize("error", [error for error in RETRYABLE if not isinstance(error, Unreachable)], ids=named)
def test_the_shorter_deadline_is_for_hosts_without_a_connection_alone(error):
    assert backoff_of(RetryPolicy(longest_wait=0.0), answered=False, elapsed=800.0).wait_after(error) is not None


def test_a_shorter_deadline_holds_for_a_host_that_has_never_answered_too():
    policy = RetryPolicy(deadline=5.0, never_answered_deadline=20.0, longest_wait=0.0)
    assert backoff_of(policy, answered=False, elapsed=6.0).wait_after(Unreachable("refused")) is None


def test_no_wait_is_begun_that_would_end_after_the_deadline():
    policy = RetryPolicy(deadline=900.0)
    assert backoff_of(policy, elapsed=895.0).wait_after(RateLimited("429", 10.0)) is None
    assert backoff_of(policy, elapsed=880.0).wait_after(RateLimited("429", 10.0)) is not None


def test_the_number_of_attempts_is_limited():
    backoff = backoff_of(RetryPolicy(attempts=3, longest_wait=0.0))
    assert [backoff.wait_after(ServerError("500")) for _ in range(3)] == [0.0, 0.0, None]


def test_by_default_it_is_the_deadline_that_ends_an_outage_and_not_the_number_of_attempts():
    """A night's maintenance of a quarter of an hour is survived: 14 attempts were over after two minutes."""
    time = Time()
    backoff = backoff_of(time=time)
    while (wait := backoff.wait_after(ServerError("503"))) is not None:
        time.seconds += wait
    assert 900.0 - 30.0 <= time.seconds - Time().seconds <= 900.0


def test_a_wrong_signature_is_asked_for_a_few_times_and_then_refused():
    backoff = backoff_of(RetryPolicy(bad_signature_attempts=5))
    assert [backoff.wait_after(BadSignature("wrong")) is None for _ in range(5)] == [False, False, False, False, True]


def test_other_failures_between_them_give_a_wrong_signature_no_further_chances():
    backoff = backoff_of(RetryPolicy(bad_signature_attempts=3))
    met = itertools.cycle([BadSignature("wrong"), ServerError("500"), Unreachable("cut")])
    answers = [backoff.wait_after(next(met)) for _ in range(7)]
    assert [answer is None for answer in answers] == [False] * 6 + [True]


def test_other_failures_do_not_use_up_the_chances_of_a_wrong_signature():
    backoff = backoff_of(RetryPolicy(bad_signature_attempts=2))
    assert all(backoff.wait_after(ServerError("500")) is not None for _ in range(6))
    assert backoff.wait_after(BadSignature("wrong")) is not None
    assert backoff.wait_after(BadSignature("wrong")) is None


# 429: the platform says when


@given(st.floats(0.0, 800.0))
def test_never_sooner_than_the_platform_asked_for_and_not_much_later(seconds):
    wait = backoff_of().wait_after(RateLimited("429", seconds))
    assert seconds <= wait <= seconds + 1.0


def test_a_wait_the_platform_asked_for_may_be_longer_than_our_cap():
    assert backoff_of(RetryPolicy(longest_wait=30.0)).wait_after(RateLimited("429", 120.0)) >= 120.0


def test_a_429_that_does_not_say_when_still_means_slower_so_at_least_half_of_our_wait():
    policy = RetryPolicy(first_wait=0.25, longest_wait=0.25)
    waits = [backoff_of(policy).wait_after(RateLimited("429", None)) for _ in range(200)]
    assert all(0.125 <= wait <= 0.25 for wait in waits)
    assert max(waits) - min(waits) > 0.1, "and spread all the same"


@pytest.mark.parametrize("asked", [900.0, 86_400.0, math.inf])
def test_a_wait_beyond_the_deadline_is_given_up_at_once_and_holds_nobody_else_up(asked):
    time = Time()
    backoff = backoff_of(RetryPolicy(deadline=900.0), time)
    assert backoff.wait_after(RateLimited("429", asked)) is None
    assert slept_of(backoff.pace, time) == 0.0


@pytest.mark.parametrize("error", [RateLimited("429", 20.0), ServerError("503", 20.0)], ids=named)
def test_what_says_when_to_come_back_makes_every_worker_of_the_token_wait_whatever_its_status(error):
    time = Time()
    backoff = backoff_of(time=time)
    wait = backoff.wait_after(error)
    assert wait >= 20.0
    assert slept_of(backoff.pace, time, Caller()) == pytest.approx(wait)
    assert slept_of(backoff.pace, time, Caller()) == 0.0, "the wait is over for all of them"


def test_a_wait_beyond_the_deadline_is_given_up_whatever_its_status():
    assert backoff_of(RetryPolicy(deadline=100.0)).wait_after(ServerError("503", 120.0)) is None


@pytest.mark.parametrize("error", [ServerError("503"), Unreachable("cut"), BrokenBody("half")], ids=named)
def test_no_other_failure_of_one_worker_slows_the_others(error):
    time = Time()
    backoff = backoff_of(RetryPolicy(first_wait=60.0, longest_wait=60.0), time)
    backoff.wait_after(error)
    assert slept_of(backoff.pace, time) == 0.0


def test_the_longest_of_several_waits_holds():
    time = Time()
    pace = time.pace()
    pace.slow_down(15.0, Caller())
    pace.slow_down(1.0, Caller())
    assert slept_of(pace, time) == pytest.approx(15.0)


def test_a_wait_that_grows_while_somebody_waits_holds_for_him_too():
    time = Time()
    sleeps = []

    def sleep(stopped, seconds):
        if not sleeps:  # another worker hears a 429 meanwhile
            time.seconds += 3.0
            pace.slow_down(20.0, Caller())
            seconds -= 3.0
        sleeps.append(seconds)
        time.seconds += seconds

    pace = Pace(time.now, sleep)
    pace.slow_down(10.0, Caller())
    assert slept_of(pace, time) == pytest.approx(23.0)


def test_without_a_429_nobody_waits():
    time = Time()
    assert slept_of(time.pace(), time) == 0.0


class Elsewhere:
    """Other processes of the token, which have been told to wait."""

    def __init__(self, time: Time, until: float = 0.0) -> None:
        self.time = time
        self.until = until
        self.heard = []

    def slow_down(self, seconds: float) -> None:
        self.heard.append(seconds)

    def exchange(self, process: str, in_flight_limit: int) -> TokenState:
        return TokenState(self.until - self.time.seconds, processes=2, in_flight_limit=10)

    def leave(self, process: str) -> None:
        pass


def test_processes_of_one_token_tell_each_other_to_wait():
    time = Time()
    others = Elsewhere(time, until=time.seconds + 30.0)
    caller = Caller(shared=others)
    backoff = Backoff(RetryPolicy(), time.pace(), caller)
    assert slept_of(backoff.pace, time, caller) == pytest.approx(30.0)
    wait = backoff.wait_after(RateLimited("429", 5.0))
    assert others.heard == [wait]


def test_processes_of_one_token_share_the_setting_and_what_was_found():
    time = Time()
    caller = Caller(shared=Elsewhere(time), most_in_flight=16)
    pace = time.pace()
    with pace.request(caller), pace.request(caller):
        assert pace.concurrency == Concurrency(limit=5, most=8, in_flight=2, halvings=0)


def test_a_429_to_another_process_halves_ours_once():
    time = Time()
    caller = Caller(shared=Elsewhere(time, until=time.seconds + 30.0))
    pace = time.pace()
    for _ in range(2):
        with pace.request(caller):
            assert pace.concurrency.halvings == 1


@pytest.mark.parametrize(
    ("error", "halvings"),
    [
        *((RateLimited("429"), 1), (ServerError("500"), 1), (Unreachable("time-out"), 1)),
        *((BrokenBody("half"), 0), (BadSignature("wrong"), 0), (BadRequest("400"), 0), (ValueError("a bug"), 0)),
    ],
    ids=str,
)
def test_what_says_too_many_halves_the_requests_in_flight_and_nothing_else_does(error, halvings):
    pace = Time().pace()
    with pytest.raises(type(error)), pace.request(Caller()):
        raise error
    assert pace.concurrency == Concurrency(limit=int(START) >> halvings, most=16, in_flight=0, halvings=halvings)


def test_no_more_requests_are_in_flight_than_the_limit_and_a_stopped_run_leaves_the_queue():
    pace, caller = Pace(), Caller()
    together = []

    def ask(who):
        with pace.request(who):
            together.append(pace.concurrency.in_flight)
            held.wait(10)

    held = threading.Event()
    stopped = Caller()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ask, caller) for _ in range(7)]
        while len(together) < START:
            held.wait(0.005)
        waiting = pool.submit(ask, stopped)
        stopped.stopped.set()
        pace.wake()
        assert isinstance(waiting.exception(10), Aborted)
        assert len(together) == START
        held.set()
        for call in calls:
            call.result(10)
    assert max(together) <= START
    assert pace.concurrency.in_flight == 0


def test_a_stopped_run_starts_nothing_and_no_wait_of_its_own_while_another_goes_on():
    time = Time()
    pace = time.pace()
    stopped, other = Caller(), Caller()
    stopped.stopped.set()
    with pytest.raises(Aborted, match="no further request is sent"), pace.request(stopped):
        pass
    assert Backoff(RetryPolicy(), pace, stopped).wait_after(ServerError("500")) is None
    assert slept_of(pace, time, other) == 0.0


# What Retry-After and Date say


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *((None, None), ("", None), ("soon", None), ("1 minute", None), ("Wed, 99 Foo 2024", None), ("   ", None)),
        *(("0", 0.0), ("7", 7.0), (" 7 ", 7.0), ("1.5", 1.5), ("-5", 0.0), ("nan", 0.0), ("1e999", math.inf)),
        *(("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0)),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_not_at_all(value, seconds):
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=9)), None])
def test_retry_after_is_read_as_a_date(zone):
    due = datetime.now(UTC) + timedelta(seconds=100)
    told = due.replace(tzinfo=None) if zone is None else due.astimezone(zone)
    assert 98.0 < parse_retry_after(format_datetime(told)) <= 100.0


@pytest.mark.parametrize("ahead", [-86_400, 0, 86_400])
def test_a4_a_date_to_wait_until_counts_from_the_answers_own_date_whatever_our_clock_says(ahead):
    answered = datetime.now(UTC) + timedelta(seconds=ahead)
    until = format_datetime(answered + timedelta(seconds=30))
    assert parse_retry_after(until, format_datetime(answered)) == 30.0


def test_a_date_is_read_in_each_of_the_three_forms_http_knows():
    moment = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == moment
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == moment
    assert parse_http_date("Sun Nov  6 08:49:37 1994") == moment


parts = st.sampled_from(
    [
        "Wed,",
        "21",
        "Oct",
        "2015",
        "07:28:00",
        "GMT",
        "-0000",
        "+99999999999",
        "-",
        ":",
        ",",
        "99999",
        "a:b",
        "PM",
        "1e9",
    ]
)


@given(st.text(max_size=30) | st.lists(parts, max_size=8).map(" ".join))
def test_whatever_a_header_says_it_is_a_time_or_nothing_and_no_traceback(value):
    seconds = parse_retry_after(value)
    assert seconds is None or seconds >= 0.0
    moment = parse_http_date(value)
    assert moment is None or moment.tzinfo is not None


# The attempts themselves


def run(work, policy: RetryPolicy | None = None):
    """Repeat as the client does; return what came of it, the numbers of the attempts, and the seconds that passed."""
    numbers = []
    time = Time()

    def attempt(number):
        numbers.append(number)
        return work(number)

    try:
        outcome = retry(attempt, policy or RetryPolicy(), time.pace(), Caller())
    except BaseException as error:  # noqa: BLE001 - the outcome is looked at
        outcome = error
    return outcome, len(numbers), time.seconds - Time().seconds


def test_a_success_is_not_asked_again():
    assert run(lambda number: "answer") == ("answer", 1, 0.0)


def test_failures_are_asked_again_until_it_succeeds():
    def third_time(number):
        if number < 3:
            raise ServerError("500")
        return "answer"

    assert run(third_time)[:2] == ("answer", 3)


def test_the_last_failure_comes_out_as_it_is():
    failures = []

    def fail(number):
        failures.append(ServerError(f"failure {number}"))
        raise failures[-1]

    error, asked, _ = run(fail, RetryPolicy(attempts=4))
    assert asked == 4
    assert error is failures[-1]


def test_an_outage_is_asked_about_for_the_whole_deadline_and_no_longer():
    def fail(number):
        raise ServerError("503")

    _, _, seconds = run(fail, RetryPolicy(deadline=900.0, longest_wait=30.0))
    assert 870.0 <= seconds <= 900.0


@pytest.mark.parametrize(
    "error",
    [*NEVER, ValueError("a bug of ours"), KeyError("another"), ZeroDivisionError(), KeyboardInterrupt(), SystemExit(3)],
    ids=named,
)
def test_what_must_not_be_asked_again_comes_out_at_once(error):
    def fail(number):
        raise error

    assert run(fail) == (error, 1, 0.0)


def test_more_than_a_thousand_attempts_are_possible():
    def fail(number):
        raise ServerError("500")

    assert run(fail, RetryPolicy(attempts=1_100, first_wait=0.0))[1] == 1_100


def test_every_wait_is_logged_with_its_reason_in_one_line(caplog):
    def third_time(number):
        if number < 3:
            raise ServerError("the platform answered 500 to balance/get: oh")

    with caplog.at_level(logging.DEBUG):
        run(third_time, RetryPolicy(first_wait=0.0))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    first, second = (record.getMessage() for record in caplog.records)
    told = "the platform answered 500 to balance/get: oh"
    assert first == f"attempt 1 failed, next in 0.0 s, given up in 900 s: {told}"
    assert second.startswith("attempt 2 failed")


def test_nothing_is_printed(capsys):
    run(lambda number: (_ for _ in ()).throw(ServerError("500")), RetryPolicy(attempts=3, first_wait=0.0))
    assert capsys.readouterr() == ("", "")
