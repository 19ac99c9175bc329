"""Loads long ranges of days: a forecast first, then the job `backfill_operations`; short ranges are in `run`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING

from pipelines.cli import account, run, show
from pipelines.ingest import forecast, windows
from pipelines.ingest.forecast import Forecast, Rate
from pipelines.ingest.windows import Window
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import WarehouseBroken
from resources.printable import duration
from resources.settings import SyncSettings, data_dir, database_url
from resources.warehouse import ledger

if TYPE_CHECKING:
    from resources.warehouse.engine import Warehouse


def backfill(settings: SyncSettings, first: date, last: date, project_ids: tuple[int, ...]) -> None:
    """Print the forecast, load the days, check them, print the summary."""
    print_forecast(settings, first, last, project_ids)
    config = {"first_day": str(first), "last_day": str(last), "project_ids": list(project_ids)}
    with run.dagster_instance() as instance:
        run_id = run.execute_on(
            instance,
            "backfill_operations",
            config={"ops": {account.owner().op("backfill"): {"config": config}}},
            progress=show.progress(),
        )
        from pipelines.checks import CHECKED_RUN

        run.execute_on(instance, "check_operations", tags={CHECKED_RUN: run_id})
    show.operations_summary(run_id, totals=True)


def print_forecast(settings: SyncSettings, first: date, last: date, project_ids: tuple[int, ...]) -> None:
    """Print what the days will take; nothing is written."""
    show.lines(in_words(_forecast(settings, first, last, tuple(sorted(set(project_ids))))))


def in_words(told: Forecast) -> str:
    """Return the forecast in two lines, or in one when nothing is left to do."""
    if not told.days:
        return f"forecast: nothing is left to do; an interrupted run has done all {told.days_done:,} days."
    done = f" ({told.days_done:,} more were done by an interrupted run)" if told.days_done else ""
    lasts = [duration(60 * minutes) for minutes in told.minutes]
    return (
        f"forecast: {told.days:,} days{done}, {_range(told.rows)} rows, {_range(told.requests)} requests, "
        f"about {lasts[0]} ({lasts[1]} to {lasts[2]})\n"
        f"guessed from {told.because}."
    )


def _range(values: tuple[int, int, int]) -> str:
    likely, least, most = map(_rounded, values)
    return f"{likely:,}" if least == most else f"about {likely:,} ({least:,} to {most:,})"


def _rounded(value: int) -> int:
    """Round to two digits: more would not be true."""
    return value if value < 100 else round(value, 2 - len(str(value)))


def _forecast(settings: SyncSettings, first: date, last: date, project_ids: tuple[int, ...]) -> Forecast:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    known: dict[date, float] = {}
    speed = None
    with ExitStack() as stack:
        store = _store(stack)
        if store:
            done = _done(store, settings, first, last, project_ids)
            days, before = [day for day in days if day not in done], days
            known = _known(store, settings.account, days, project_ids)
            speed = next(
                (row.rows_a_second for row in store.query("ingest/forecast/speed", account=settings.account)), None
            )
        else:
            before = days
        rates, seconds = _sample(settings, forecast.unknown_stretches(days, known), project_ids)
    return forecast.guess(
        days,
        known,
        rates,
        days_done=len(before) - len(days),
        rows_a_second=speed,
        seconds_a_request=seconds,
        in_flight=settings.windows_in_flight,
    )


def _store(stack: ExitStack) -> Warehouse | None:
    """Return the warehouse, unless there is none yet: a forecast makes no database and no tables."""
    from pipelines.resources import open_warehouse

    url = database_url()
    if url is None and not (data_dir() / "postgres").exists():
        return None
    store = stack.enter_context(open_warehouse(url))
    try:
        store.query("ingest/forecast/speed", account="")
    except WarehouseBroken:  # its tables are not made yet
        return None
    return store


def _done(store: Warehouse, settings: SyncSettings, first: date, last: date, project_ids: Sequence[int]) -> set[date]:
    asked = windows.of_days(first, last)
    walked = ledger.windows_already_done(
        store, settings.account, windows.interval_of_days(first, last), project_ids, settings.look_back_days
    )
    holes = windows.without(asked, [Window(start, end) for start, end in walked])
    left = {day for hole in holes for day, _ in windows.shares(hole)}
    return {day for day, _ in windows.shares(asked)} - left


def _known(store: Warehouse, account: str, days: Sequence[date], project_ids: Sequence[int]) -> dict[date, float]:
    if not days:
        return {}
    asked = windows.of_days(days[0], days[-1])
    rows = store.query(
        "ingest/forecast/walked", account=account, project_ids=list(project_ids), first=asked.first, last=asked.last
    )
    walked = [(Window(row.interval_from, row.interval_to), row.run_id, row.rows_met) for row in rows]
    return forecast.rows_by_day(walked, days)


def _sample(
    settings: SyncSettings, stretches: Sequence[Window], project_ids: tuple[int, ...]
) -> tuple[list[Rate], float]:
    """Return the rates of a few places, and the seconds that a request took; nothing is asked where all is known."""
    if not stretches:
        return [], 0.0
    seconds: list[float] = []
    with Client(account.api_settings(), RetryPolicy(deadline=settings.retry_seconds)) as client:
        api = DataApi(client)

        def count(window: Window, offset: int, limit: int) -> int:
            began = time.monotonic()
            answer = api.operations(window.first, window.last, offset=offset, limit=limit, project_ids=project_ids)
            seconds.append(time.monotonic() - began)
            return len(answer.document["operations"])

        rates = forecast.sample(stretches, count)
    return rates, sum(seconds) / len(seconds)
