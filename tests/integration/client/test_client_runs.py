"""Runs over one client: each has its own counts and its own end; the platform's time as they see it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from fixtures.client import (
    EMPTY,
    always,
    api_of,
    balances,
    failure,
    operations,
    raw,
)
from resources.data_api.clock import PlatformClock
from resources.data_api.errors import Aborted, ClocksApart
from resources.data_api.pace import RequestCount


def test_two_runs_of_one_client_do_not_add_up(sandbox, api):
    sandbox.faults.set_script(["http_500", None, "cut"])
    with api.run() as first:
        balances(first)
        assert first.counts.by_endpoint() == [
            RequestCount("balance/get", 200, 1, 1),
            RequestCount("balance/get", 500, 1, 0),
        ]
    with api.run() as second:
        operations(second)
        operations(second)
        with second.run() as within:
            balances(within)
    assert second.counts.by_endpoint() == [
        RequestCount("operations/get", 0, 1, 0),
        RequestCount("operations/get", 200, 2, 1),
    ]
    assert (first.counts.total, second.counts.total, within.counts.total, api.counts.total) == (2, 3, 1, 0)
    assert sandbox.request_count == 6


def test_runs_at_the_same_time_count_what_each_has_sent_from_many_threads(sandbox, api):
    with api.run() as one, api.run() as other, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(balances, one if number % 3 else other) for number in range(60)]
        for call in calls:
            call.result()
    assert (one.counts.total, other.counts.total) == (40, 20)


def test_a_request_that_never_got_an_answer_is_counted_without_a_status(api, sandbox):
    sandbox.faults.always("cut")
    with api.run() as run, ThreadPoolExecutor(1) as pool:
        failing = pool.submit(balances, run)
        while not run.counts.total:
            threading.Event().wait(0.005)
        run.stop()
        assert isinstance(failing.exception(timeout=5), Aborted)
    assert {count.status for count in run.counts.by_endpoint()} == {0}


def test_a_stopped_run_leaves_another_of_the_same_client_alone():
    asked = threading.Event()

    def answer(request, number):
        if number == 1:
            asked.set()
            request.server.ended.wait(20)
        else:
            request.reply(200, EMPTY)

    with raw(answer) as server, api_of(server.url) as api, api.run() as stopped, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(balances, stopped)
        assert asked.wait(5)
        stopped.stop()
        assert isinstance(waiting.exception(timeout=5), Aborted)
        with pytest.raises(Aborted):
            balances(stopped)
        assert balances(api).body == EMPTY
        with api.run() as next_run:
            assert balances(next_run).body == EMPTY


# The platform's clock


def dated(seconds: float):
    """Answers by a platform whose clock is so many seconds from ours."""

    def answer(request, number):
        told = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
        request.date_time_string = lambda: told
        request.reply(200, EMPTY)

    return answer


@pytest.mark.parametrize("seconds", [-86_400, -90, 90, 86_400])
def test_a_run_is_refused_when_our_clock_is_not_the_platforms(seconds):
    with raw(dated(seconds)) as server, api_of(server.url) as api, api.run() as run:
        message = failure(ClocksApart, run)
        assert ClocksApart.exit_code == 2
        assert message.count("20") >= 2, "both times are told"
        assert len(server.bodies) == 1, "asking again sets no clock"


@pytest.mark.parametrize("seconds", [-40, 0, 40])
def test_times_of_answers_are_the_platforms(seconds):
    with raw(dated(seconds)) as server, api_of(server.url) as api, api.run() as run:
        answers = [balances(run) for _ in range(3)]
    moments = [moment for answer in answers for moment in (answer.requested_at, answer.received_at)]
    assert moments == sorted(moments)
    expected = datetime.now(UTC) + timedelta(seconds=seconds)
    assert all(abs(moment - expected) < timedelta(seconds=5) for moment in moments)


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_of_ours_that_jumps_during_a_run_changes_nothing_of_it_and_stops_the_next(jump):
    jumps = [0.0]
    with raw(dated(0)) as server, api_of(server.url) as api:
        api.client.clock = PlatformClock(lambda: time.time() + jumps[0])
        with api.run() as run:
            answers = [balances(run)]
            jumps.append(jump)
            del jumps[0]
            answers += [balances(run), balances(run)]
            times = [answer.requested_at for answer in answers]
            assert times == sorted(times)
            assert abs(run.now() - datetime.now(UTC)) < timedelta(seconds=5)
        with api.run() as run:
            failure(ClocksApart, run)


def test_a4_what_was_believed_to_be_over_before_our_clock_was_set_right_is_refused():
    with raw(dated(0)) as server, api_of(server.url) as api:
        ahead = [86_400.0]
        api.client.clock = PlatformClock(lambda: time.time() + ahead[0])
        end_of_today = datetime.now(UTC) + timedelta(hours=12)
        api.assert_over(end_of_today)  # nothing is known of the platform's clock yet
        ahead[0] = 0.0
        with api.run() as run:
            balances(run)
            run.assert_over(datetime.now(UTC) - timedelta(seconds=5))
            with pytest.raises(ClocksApart, match="is not over at the platform"):
                run.assert_over(end_of_today)


def test_now_is_asked_for_once_and_is_not_ahead_of_the_platform():
    with raw(dated(-40)) as server, api_of(server.url) as api:
        first, second = api.now(), api.now()
        ours = datetime.now(UTC)
        assert len(server.bodies) == 1
    assert first <= second <= ours - timedelta(seconds=40)


def test_what_is_long_over_by_our_clock_costs_no_request_and_what_is_not_ends_before_the_platforms_present():
    with raw(dated(-40)) as server, api_of(server.url) as api:
        past = datetime(2024, 3, 1, tzinfo=UTC)
        assert api.last_second_over(past) == past
        assert server.bodies == []
        last = api.last_second_over(datetime.now(UTC) + timedelta(hours=3))
    assert last.microsecond == 0
    assert datetime.now(UTC) - timedelta(seconds=60) < last <= datetime.now(UTC) - timedelta(seconds=41)


def test_without_a_date_our_own_clock_is_used():
    def answer(request, number):
        request.date_time_string = lambda: "whenever"
        request.reply(200, EMPTY)

    with raw(answer) as server, api_of(server.url) as api, api.run() as run:
        before = datetime.now(UTC)
        got = balances(run)
        assert before <= got.requested_at <= run.now() <= datetime.now(UTC)
        assert got.platform_time is None


def test_how_a_host_is_reached_is_told_without_the_token():
    with raw(always(200, EMPTY)) as server, api_of(server.url) as api:
        server.RequestHandlerClass.do_GET = lambda request: request.reply(405, b"")
        try:
            assert api.client.probe() == f"127.0.0.1:{server.server_port} answers, without TLS (a loopback address)"
        finally:
            del server.RequestHandlerClass.do_GET
        assert server.bodies == []
