"""Two runs never work on the same days at once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date

import pytest

from fixtures.load import (
    Killed,
    cut_connections,
)
from resources.errors import WarehouseUnavailable
from resources.warehouse.engine import Warehouse
from resources.warehouse.locks import DaysAreBusy, days_lock

MARCH = (date(2024, 3, 1), date(2024, 3, 31))
LOCKS = "ecommpay-sync lock"


@contextmanager
def held(store: Warehouse, first: date, last: date, account="default"):
    """Another run that holds the days, in a thread of its own, until the block ends."""
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with days_lock(store, account, first, last, 1):
            holding.set()
            release.wait(20)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(hold)
        try:
            assert holding.wait(5)
            yield
        finally:
            release.set()
        other.result()


def is_busy(store: Warehouse, first: date, last: date, account="default", wait_seconds=0.1) -> bool:
    try:
        with days_lock(store, account, first, last, wait_seconds):
            return False
    except DaysAreBusy:
        return True


def test_a_second_run_over_the_same_days_waits_and_then_says_that_they_are_busy(store):
    begun = time.monotonic()
    with (
        held(store, *MARCH),
        pytest.raises(
            DaysAreBusy, match="another run has been loading operations of 2024-03-15 to 2024-03-15"
        ) as error,
        days_lock(store, "default", date(2024, 3, 15), date(2024, 3, 15), wait_seconds=1),
    ):
        pass
    assert 1 <= time.monotonic() - begun < 20
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("seconds", "said"), [(1, "1 s"), (60, "60 s"), (600, "10 minutes"), (21_600, "6.0 hours")])
def test_how_long_was_waited_is_said_as_a_person_says_it(seconds, said):
    assert f"for more than {said}:" in str(DaysAreBusy("operations", seconds))


def test_a_second_run_begins_as_soon_as_the_first_has_ended(store):
    with ThreadPoolExecutor(1) as pool:
        with held(store, *MARCH):
            waiting = pool.submit(is_busy, store, *MARCH, wait_seconds=5)
            time.sleep(0.2)
            assert not waiting.done()
        assert waiting.result(5) is False


@pytest.mark.parametrize(
    ("first", "last", "busy"),
    [
        (date(2024, 3, 31), date(2024, 4, 1), True),
        (date(2023, 12, 31), date(2024, 3, 1), True),
        (date(2015, 1, 1), date(2026, 1, 1), True),
        (date(2024, 4, 1), date(2024, 12, 31), False),
        (date(2023, 3, 1), date(2024, 2, 29), False),
        (date(2025, 3, 1), date(2025, 3, 31), False),
    ],
)
def test_only_runs_that_share_a_month_wait_for_each_other(store, first, last, busy):
    with held(store, *MARCH):
        assert is_busy(store, first, last) == busy


def test_a_run_of_another_account_does_not_wait(store):
    with held(store, *MARCH, account="a"):
        assert not is_busy(store, *MARCH, account="b")


def test_a_run_that_gave_up_waiting_holds_nothing(store):
    with held(store, *MARCH):
        assert is_busy(store, date(2024, 1, 1), date(2024, 3, 31))
        assert not is_busy(store, date(2024, 1, 1), date(2024, 2, 29))


def test_a_lock_ends_with_its_block_even_if_that_fails(store):
    with pytest.raises(Killed), days_lock(store, "default", *MARCH, wait_seconds=1):
        raise Killed
    assert not is_busy(store, *MARCH)


def test_a_lock_dies_with_its_connection(store):
    with held(store, *MARCH):
        cut_connections(store, LOCKS)
        assert not is_busy(store, *MARCH)


def test_a_lock_on_an_unreachable_database_is_told_in_one_line():
    with (
        Warehouse("postgresql://loader:very-hidden@127.0.0.1:1/sales") as store,
        pytest.raises(WarehouseUnavailable, match=r"sales at 127\.0\.0\.1") as error,
        days_lock(store, "default", *MARCH),
    ):
        pass
    assert "very-hidden" not in str(error.value)
    assert "\n" not in str(error.value)
