"""Commands that load from the platform: operations, reports of fraud, documents, balances, a spot check.

Each runs the Dagster job of the same name and prints from the warehouse what the run did.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import console
from pipelines.cli.accounts import each_in_turn, reading_warehouse
from pipelines.cli.console import AsJson, EachAccount, FirstDay, LastDay, read_days
from pipelines.cli.dagster_runs import RunFailed, check, dagster_imported_meanwhile, execute
from resources.accounts import AccountScope, accounts_of
from resources.currencies import major_units
from resources.documents import DocumentsConfig
from resources.errors import ConfigError, WarehouseBroken
from resources.output import Column, duration
from resources.settings import data_dir, database_url
from resources.warehouse.engine import Warehouse, open_warehouse

if TYPE_CHECKING:
    from pipelines.ingest.forecast import Forecast, Rate
    from pipelines.ingest.windows import Window

app = typer.Typer()

FIRST_STATUSES = ("success", "decline", "error", "processing")  # the columns that stand before the others


@app.command()
def operations(
    first: FirstDay,
    last: LastDay,
    project: Annotated[
        list[int] | None, typer.Option("--project", metavar="ID", help="only this project; may be given again")
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only forecast what it takes; write nothing")] = False,
    as_json: AsJson = False,
    account: EachAccount = None,
) -> None:
    """Load the operations of some days; again, to see what changed."""
    days = read_days(first, last)
    projects = tuple(project or ())
    if any(not 0 <= identifier < 2**63 for identifier in projects):
        raise ConfigError("--project takes a project id: digits, at most 19.")
    load = partial(load_operations, days=days, project_ids=projects, dry_run=dry_run, as_json=as_json)
    each_in_turn(account, load, as_json=as_json)


def load_operations(
    scope: AccountScope,
    days: tuple[date, date],
    project_ids: tuple[int, ...] = (),
    *,
    totals: bool = True,
    dry_run: bool = False,
    as_json: bool = False,
) -> None:
    """Load the days and print a summary, with or without control totals.

    More days than `SYNC_BACKFILL_DAYS` are a backfill: it begins with a forecast, which is all that a dry run prints.
    """
    from resources.warehouse.locks import is_backfill

    check(scope, days)
    backfill = is_backfill(scope.settings, *days)
    if dry_run or (backfill and not as_json):
        with nullcontext() if dry_run else dagster_imported_meanwhile():
            forecast = _forecast(scope, days, tuple(sorted(set(project_ids))))
        if as_json:
            console.document({"account": scope.account, "forecast": forecast})
        else:
            console.lines(forecast_text(forecast))
    if dry_run:
        return
    projects = {"project_ids": list(project_ids)}
    of_operations = partial(execute, scope, loads="operations")
    if days[0] == days[1]:
        run_id = of_operations("load_operations", days=days, config={scope.op("operations"): projects})
    else:
        range_of_days = {"first_day": str(days[0]), "last_day": str(days[1])}
        run_id = of_operations("backfill_operations", config={scope.op("backfill"): range_of_days | projects})
    with open_warehouse(database_url()) as store:
        run = _run_of(store, run_id, "operations")
        control_totals = store.query("cli/load/totals_of_run", run_id=run.run_id)
    if as_json:
        console.document({"account": scope.account, **run._asdict(), "control_totals": control_totals})
        return
    _print_completed(run, "operations", None if run.rows_new or run.rows_changed else "no row changed")
    console.line()
    if totals:
        _print_control_totals(control_totals)


@app.command()
def fraud(first: FirstDay, last: LastDay, account: EachAccount = None) -> None:
    """Load the reports of fraud received on some days; again, to see what changed."""
    days = read_days(first, last)

    def load(scope: AccountScope) -> None:
        if scope.settings.fraud == "off":
            raise ConfigError("reports of fraud are not asked for: SYNC_FRAUD=off; unset it, or set it to on.")
        check(scope, days)
        # a person who names the stream wants to know of a refusal
        config = {scope.op("fraud"): {"refusal_is_failure": True}}
        run_id = execute(scope, "load_fraud", days=days, config=config, loads="fraud")
        with open_warehouse(database_url()) as store:
            run = _run_of(store, run_id, "fraud")
            _print_completed(run, "reports of fraud")
            console.line()
            console.table(
                "Reports met, by currency and type",
                store.query("cli/load/fraud_totals_of_run", run_id=run.run_id),
                {"currency": lambda row: row.currency or "(none)", "type": lambda row: row.type or "(none)"},
                {">reports": console.count("row_count"), ">amount": console.money("minor")},
            )

    each_in_turn(account, load)


@app.command()
def documents(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="tables of DOCUMENTS_FILE; none: all", show_default=False),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="first UTC day; none: the look-back")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="last UTC day, included")] = None,
    account: EachAccount = None,
    *,
    description: Annotated[
        bool, typer.Option("--describe", help="load nothing: show what the documents look like, propose key and view")
    ] = False,
) -> None:
    """Load documents of endpoints without a described format, as DOCUMENTS_FILE says; or describe them."""
    if description:
        if first or last:
            raise ConfigError("--describe loads nothing: leave --from and --to out.")
        each_in_turn(account, lambda scope: _describe(scope, names or []))
        return
    if (first is None) is not (last is None):
        raise ConfigError("--from and --to belong together: give both, or neither for yesterday and the look-back.")
    given = read_days(first, last) if first and last else None

    def load(scope: AccountScope) -> None:
        streams = _chosen_streams(scope.settings.documents, names or [])
        by_days = any(stream.interval_days for stream in streams)
        if given and not by_days:
            raise ConfigError("none of these streams has an interval: leave --from and --to out.")
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        days = given or (yesterday, yesterday)
        check(scope, days)
        only = replace(scope, settings=replace(scope.settings, documents=tuple(streams)))
        run_id = execute(
            only,
            "load_documents",
            days=days if by_days else None,
            config={scope.op("documents", stream.name): {"look_back": given is None} for stream in streams},
            loads="documents",
        )
        with open_warehouse(database_url()) as store:
            for stream in streams:
                _print_completed(_run_of(store, run_id, stream.stream), f"documents of {stream.name}")

    each_in_turn(account, load)


@app.command(name="spot-check")
def spot_check(
    sample: Annotated[
        int | None, typer.Option(min=1, max=1000, help="how many payments; else SYNC_SPOT_CHECK_SAMPLE")
    ] = None,
    account: EachAccount = None,
) -> None:
    """Request a sample of payments by id, and compare them with the store."""

    def compare(scope: AccountScope) -> None:
        check(scope)
        config = {scope.op("spot_check"): {"sample": sample}} if sample else None
        try:
            run_id = execute(scope, "spot_check_payments", config=config)
        except RunFailed:
            with open_warehouse(database_url()) as store:
                found = store.query("cli/load/spot_differences", account=scope.account)
            ids, values = {"payment": "payment_id", "operation": "operation_id"}, ("field", "stored", "answered")
            title = "Differences of the last spot check"
            console.table(title, found, ids, {name: name for name in values}, none="None")
            raise
        with open_warehouse(database_url()) as store:
            outcomes = sorted(
                f"{row.operations:,} {row.outcome}"
                for row in store.query("cli/load/spot_check_of_dagster", dagster_run_id=run_id)
            )
        counted = ", ".join(outcomes) or "no payment in the store to ask for"
        console.line(f"no difference: {counted} (operations)")

    each_in_turn(account, compare)


@app.command()
def balances(account: EachAccount = None, *, as_json: AsJson = False) -> None:
    """Take a snapshot of the balances."""

    def snapshot(scope: AccountScope) -> None:
        check(scope)
        run_id = execute(scope, "snapshot_balances")
        with open_warehouse(database_url()) as store:
            rows = store.query("cli/load/balances_of_dagster", dagster_run_id=run_id)
        if as_json:
            console.document({"account": scope.account, "balances": rows})
            return
        at = f" at {rows[0].captured_at:%Y-%m-%d %H:%M:%S} UTC" if rows else ""
        columns = {"balance": "balance_name", "currency": "currency", ">amount": console.money()}
        console.table(f"Balances{at}", rows, columns, with_head=True)

    each_in_turn(account, snapshot, as_json=as_json)


def _describe(scope: AccountScope, names: Sequence[str]) -> None:
    """Print the paths of the stored documents of each stream, then a key and a view that suit them."""
    from pipelines.ingest.documents import describe, proposed_key, proposed_view

    with reading_warehouse(scope) as store:
        for config in _chosen_streams(scope.settings.documents, names):
            paths = describe(store, scope.account, config)
            if not paths:
                console.line(
                    f"{config.name}: nothing is stored: load a day with `ecommpay-sync documents {config.name}`"
                )
                continue
            console.table(
                f"{config.name}: the newest {paths[0].documents:,} documents",
                paths,
                {"path": "dotted", "values": lambda path: ", ".join(path.kinds) or "null"},
                {">missing or null": lambda path: f"{path.null_share:.1%}", ">different": console.count("different")},
            )
            key = proposed_key(paths)
            console.line(f'key = ["{key.dotted}"]' if key else "key: no single path tells these documents apart")
            console.line()
            console.lines(proposed_view(config, paths))
            console.line()


def _chosen_streams(configured: Sequence[DocumentsConfig], names: Sequence[str]) -> list[DocumentsConfig]:
    if not configured:
        raise ConfigError(
            "no stream of documents is configured: point DOCUMENTS_FILE at a copy of deploy/documents.example.toml."
        )
    known = {config.name: config for config in configured}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} is no table of DOCUMENTS_FILE: there are {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names)] or list(configured)


def _run_of(store: Warehouse, dagster_run_id: str, stream: str) -> Any:
    (run,) = store.query("cli/load/run_of_dagster", dagster_run_id=dagster_run_id, stream=stream)
    return run


def _print_completed(run: Any, rows: str, changes: str | None = None) -> None:
    """Print one line about a run of a stream: `rows` names its rows, `changes` replaces their counts."""
    counts = f"{run.rows_new:,} new, {run.rows_changed:,} changed, {run.rows_unchanged:,} unchanged"
    console.line(
        f"complete: {run.rows_met:,} {rows} in {run.windows} window{'s' * (run.windows != 1)}, {changes or counts} "
        f"({run.requests:,} requests, {run.seconds:.1f} s, run {run.run_id})"
    )


def _print_control_totals(control_totals: Sequence[Any]) -> None:
    """Print the control totals of a run: one row a currency, the rows of each status, the amount of success."""
    counts: dict[str, dict[str, int]] = {}
    amounts: dict[str, int] = {}
    for row in control_totals:
        currency, status = row.currency or "(none)", row.status or "(none)"
        counts.setdefault(currency, {})[status] = row.row_count
        if status == "success":
            amounts[currency] = row.minor

    by_status: dict[str, Column] = {}
    statuses = {status for row in counts.values() for status in row}
    for status in sorted(statuses, key=lambda status: ((*FIRST_STATUSES, status).index(status), status)):
        title = status.removeprefix("awaiting ") + " …" * status.startswith("awaiting ")
        by_status[f">{title}"] = partial(lambda status, currency: f"{counts[currency].get(status, 0):,}", status)
    console.table(
        "Operations read, by currency and status (… = awaiting)",
        sorted(counts),
        {"currency": str, ">rows": lambda currency: f"{sum(counts[currency].values()):,}"},
        by_status,
        {">amount of success": lambda currency: major_units(amounts.get(currency), currency)},
        with_head=True,
    )


def forecast_text(forecast: Forecast) -> str:
    """Return the forecast in two lines, or in one when nothing is left to do."""
    if not forecast.days:
        return f"forecast: nothing is left to do; an interrupted run has done all {forecast.days_done:,} days."
    done = f" ({forecast.days_done:,} more were done by an interrupted run)" if forecast.days_done else ""
    lasts = [duration(60 * minutes) for minutes in forecast.minutes]
    return (
        f"forecast: {forecast.days:,} days{done}, {_range(forecast.rows)} rows, {_range(forecast.requests)} requests, "
        f"about {lasts[0]} ({lasts[1]} to {lasts[2]})\n"
        f"guessed from {forecast.because}."
    )


def _range(values: tuple[int, int, int]) -> str:
    """Return likely, least and most, to two digits: more would not be true."""
    likely, least, most = (value if value < 100 else round(value, 2 - len(str(value))) for value in values)
    return f"{likely:,}" if least == most else f"about {likely:,} ({least:,} to {most:,})"


def _forecast(scope: AccountScope, interval: tuple[date, date], project_ids: tuple[int, ...]) -> Forecast:
    """Forecast the load of some days, from the ledger where they were walked before, else from a sample."""
    from pipelines.ingest import forecast, windows
    from resources.warehouse import ledger

    account, asked_for = scope.account, windows.of_days(*interval)
    days, done = [day for day, _ in windows.shares(asked_for)], 0
    known: dict[date, float] = {}
    speeds = None
    url = database_url()
    # a forecast creates no database and no tables
    exists = url is not None or (data_dir() / "postgres").exists()
    with open_warehouse(url, read_only=True) if exists else nullcontext() as store:
        with suppress(WarehouseBroken):  # its tables are not made yet
            speeds = store and store.query("ingest/forecast/speed", account=account)
        if store and speeds is not None:
            walked = ledger.windows_already_done(
                store,
                account,
                windows.interval_of_days(*interval),
                project_ids,
                scope.settings.look_back_days,
                now=datetime.now(UTC),
            )
            finished = [windows.Window(window.interval_from, window.interval_to) for window in walked]
            left = {day for hole in windows.without(asked_for, finished) for day, _ in windows.shares(hole)}
            done, days = len(days) - len(left), sorted(left)
        if store and speeds is not None and days:
            wanted = windows.of_days(days[0], days[-1])
            period = {"first": wanted.first, "last": wanted.last}
            rows = store.query("ingest/forecast/walked", account=account, project_ids=list(project_ids), **period)
            before = [(windows.Window(row.interval_from, row.interval_to), row.run_id, row.rows_met) for row in rows]
            known = forecast.rows_by_day(before, days)
        rates, seconds = _sample(scope, forecast.unknown_stretches(days, known), project_ids)
    return forecast.guess(
        days,
        known,
        rates,
        days_done=done,
        rows_a_second=speeds[0].rows_a_second if speeds else None,
        seconds_a_request=seconds,
        in_flight=min(scope.settings.windows_in_flight, scope.settings.requests_in_flight),
    )


def _sample(scope: AccountScope, stretches: Sequence[Window], project_ids: tuple[int, ...]) -> tuple[list[Rate], float]:
    """Return the rates of a few places, and the seconds a request takes; no request where every day is known."""
    from pipelines.ingest import forecast
    from resources.data_api.client import Client
    from resources.data_api.endpoints import DataApi
    from resources.data_api.retry import RetryPolicy

    if not stretches:
        return [], 0.0
    seconds: list[float] = []
    with (
        Client(accounts_of().api_settings(scope.account), RetryPolicy(deadline=scope.settings.retry_seconds)) as client,
        ThreadPoolExecutor(forecast.SAMPLES) as pool,
    ):
        api = DataApi(client)

        def count(window: Window, offset: int, limit: int) -> int:
            began = time.monotonic()
            answer = api.operations(window.first, window.last, offset=offset, limit=limit, project_ids=project_ids)
            seconds.append(time.monotonic() - began)
            return len(answer.document["operations"])

        rates = forecast.sample(stretches, count, pool.map)
    return rates, sum(seconds) / len(seconds)
