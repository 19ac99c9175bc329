"""The platform's time, told by the Date of its answers, while clocks of both sides are off, jump or stand still."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.data_api.clock import TOLERANCE, FixedClock, PlatformClock
from resources.data_api.errors import ClocksApart
from resources.errors import ConfigError

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Machine:
    """Two clocks of ours, and the platform's true time; `pass_time` moves them all."""

    def __init__(self, *, ahead: float = 0.0, fraction: float = 0.0) -> None:
        self.true = START.timestamp() + fraction
        self.ahead = ahead
        self.monotonic = 5_000.0
        self.clock = PlatformClock(lambda: self.true + self.ahead, lambda: self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.true += seconds
        self.monotonic += seconds

    def answer(self, before: float = 0.05, after: float = 0.05) -> None:
        """An answer whose Date is written `before` seconds after it was asked for."""
        sent = self.clock.instant()
        self.pass_time(before)
        date = datetime.fromtimestamp(int(self.true), UTC)
        self.pass_time(after)
        self.clock.observe(sent, self.clock.instant(), date)

    def seconds_ahead(self, moment: datetime) -> float:
        """How far a moment is ahead of the true present."""
        return moment.timestamp() - self.true


answers = st.tuples(st.floats(0.0, 300.0), st.floats(0.0, 5.0), st.floats(0.0, 100.0))


@given(st.floats(-59.0, 59.0), st.floats(0.0, 0.999), st.lists(answers, min_size=1, max_size=10))
def test_a4_now_is_never_ahead_of_the_platform_whatever_our_clock_says(ahead, fraction, told):
    machine = Machine(ahead=ahead, fraction=fraction)
    for before, after, pause in told:
        machine.answer(before, after)
        assert -0.001 <= -machine.seconds_ahead(machine.clock.now()) <= 1.001 + before + after
        machine.pass_time(pause)
        assert machine.seconds_ahead(machine.clock.now()) <= 0.001


@given(st.floats(-59.0, 59.0), st.floats(0.0, 0.999), st.floats(-86_400.0, 86_400.0))
def test_a4_a_jump_of_our_clock_moves_no_time_and_changes_no_order(ahead, fraction, jump):
    machine = Machine(ahead=ahead, fraction=fraction)
    machine.answer()
    first = machine.clock.at(machine.clock.instant())
    machine.ahead += jump
    machine.pass_time(0.5)
    passed = machine.clock.at(machine.clock.instant()) - first
    assert passed.total_seconds() == pytest.approx(0.5, abs=0.001)
    assert machine.seconds_ahead(machine.clock.now()) <= 0.001


def test_a_clock_of_ours_that_is_right_stamps_what_is_asked_to_the_fraction_of_a_second():
    machine = Machine(fraction=0.75)
    machine.answer()
    assert machine.seconds_ahead(machine.clock.at(machine.clock.instant())) == pytest.approx(0.0, abs=0.001)


def test_runs_one_after_another_on_one_machine_keep_their_order_within_a_second():
    """Each makes its own clock; with a Date of whole seconds alone the later could seem the earlier."""
    machine = Machine(fraction=0.1)
    machine.answer()
    first = machine.clock.at(machine.clock.instant())
    machine.clock = PlatformClock(lambda: machine.true, lambda: machine.monotonic)
    machine.pass_time(0.2)
    sent = machine.clock.instant()
    machine.answer()
    assert machine.clock.at(sent) > first


@pytest.mark.parametrize("ahead", [-86_400.0, -62.5, 62.5, 86_400.0])
def test_a4_a_clock_of_ours_that_is_more_than_a_minute_off_is_refused_with_both_times(ahead):
    machine = Machine(ahead=ahead)
    machine.answer()
    with pytest.raises(ClocksApart) as caught:
        machine.clock.assert_near()
    assert isinstance(caught.value, ConfigError)
    ours = START + timedelta(seconds=ahead)
    assert f"this machine's clock says {ours:%Y-%m-%d %H:%M}" in str(caught.value)
    assert "and the platform's 2026-03-01 12:0" in str(caught.value)


@pytest.mark.parametrize("ahead", [-58.0, 0.0, 58.0])
def test_a_clock_of_ours_within_a_minute_is_taken(ahead):
    machine = Machine(ahead=ahead)
    machine.answer(before=0.0, after=0.0)
    machine.clock.assert_near()
    assert TOLERANCE == 60.0


def test_an_answer_that_took_minutes_does_not_make_a_right_clock_seem_wrong():
    machine = Machine()
    machine.answer(before=300.0, after=20.0)
    assert not machine.clock.assert_near(), "it is not known closely enough to be sure"
    machine.answer()
    assert machine.clock.assert_near()


def test_a_machine_that_slept_learns_the_time_from_the_next_answer():
    machine = Machine()
    machine.answer()
    machine.true += 3_600.0  # the monotonic clock stands still while the machine sleeps
    machine.answer()
    assert machine.seconds_ahead(machine.clock.now()) == pytest.approx(-0.5, abs=0.7)
    machine.clock.assert_near()


def test_a_platform_that_tells_no_time_leaves_us_our_own():
    machine = Machine(ahead=7.0)
    machine.clock.observe(1.0, 2.0, None)
    assert not machine.clock.is_known
    machine.clock.assert_near()
    assert machine.seconds_ahead(machine.clock.now()) == pytest.approx(7.0, abs=0.001)
    assert machine.seconds_ahead(machine.clock.at(machine.clock.instant())) == pytest.approx(7.0, abs=0.001)


def test_a_fixed_clock_stands_whatever_an_answer_says():
    clock = FixedClock(START)
    clock.observe(0.0, 1.0, START + timedelta(days=400))
    clock.assert_near()
    assert clock.now() == clock.at(clock.instant()) == START
