"""How many windows are walked at once is found: many where each waits for the platform, few where none does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.engine import FIRST_IN_FLIGHT, WindowsInFlight


@pytest.mark.parametrize(
    ("waited", "limit"), [(0.0, 2), (0.5, 4), (0.75, 8), (0.875, 16), (0.97, 16), (1.0, 16), (1.5, 16)]
)
def test_as_many_windows_are_walked_as_keep_two_processors_busy(waited, limit):
    in_flight = WindowsInFlight(16)
    for _ in range(20):
        in_flight.learn(2.0, 2.0 * waited)
    assert in_flight.limit == limit


@pytest.mark.parametrize("most", [1, 2, 4, 16])
def test_until_a_window_has_told_how_long_it_waits_it_is_a_few(most):
    in_flight = WindowsInFlight(most)
    assert in_flight.limit == min(most, FIRST_IN_FLIGHT)
    in_flight.learn(0.0, 0.0)
    assert in_flight.limit == min(most, FIRST_IN_FLIGHT), "a window that took no time tells nothing"


def test_the_first_window_decides_at_once_and_those_after_it_step_by_step():
    in_flight = WindowsInFlight(16)
    in_flight.learn(1.0, 0.95)
    assert in_flight.limit == 16
    limits = []
    for _ in range(6):
        in_flight.learn(1.0, 0.2)
        limits.append(in_flight.limit)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] == 5
    assert limits[-1] == 3


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))), st.integers(1, 16))
def test_whatever_windows_take_at_least_one_is_walked_and_never_more_than_the_setting(lasted_and_waited, most):
    in_flight = WindowsInFlight(most)
    for lasted, waited in lasted_and_waited:
        in_flight.learn(lasted, waited)
        assert 1 <= in_flight.limit <= most
