"""Runs the product's own Dagster jobs in this process, on the user's Dagster instance, and shows what they did."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.assets import EXIT_CODE
from pipelines.cli import account, show
from pipelines.cli.quick_events import quick_events
from pipelines.ingest.progress import LogProgress, Progress
from resources.errors import ConfigError, Failed, Stopped, SyncError
from resources.settings import data_dir, database_url
from resources.warehouse.locks import is_backfill

if TYPE_CHECKING:
    import dagster as dg

DAGSTER_YAML = Path(__file__).resolve().parents[2] / "deploy" / "dagster.local.yaml"
STOPPED = "stopped; what was committed stays, and the same command continues from there."
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(Failed):
    """A Dagster run ended badly."""


def run_operations(
    first: date, last: date, project_ids: tuple[int, ...], *, totals: bool = True, dry_run: bool = False
) -> None:
    """Load the days through the job `load_operations` and print a summary, with or without control totals.

    More days than `SYNC_BACKFILL_DAYS` are a backfill; a dry run only prints its forecast.
    """
    settings = account.settings()
    check_days(first, last)
    check_settings()
    if dry_run or is_backfill(settings, first, last):
        from pipelines.cli import backfill

        work = backfill.print_forecast if dry_run else backfill.backfill
        work(settings, first, last, project_ids)
        return
    from pipelines.jobs import range_tags

    config = {"ops": {account.owner().op("operations"): {"config": {"project_ids": list(project_ids)}}}}
    run_id = execute("load_operations", tags=range_tags(first, last), config=config, progress=show.progress())
    show.operations_summary(run_id, totals=totals)


def check_days(first: date, last: date) -> None:
    """Refuse days that the partitions do not have.

    Raises:
        ConfigError: a day lies before SYNC_FIRST_DAY, or in the future.
    """
    settings = account.settings()
    if first < settings.first_day:
        raise ConfigError(
            f"{first} is before the first day this system keeps, {settings.first_day}: set SYNC_FIRST_DAY earlier."
        )
    today = datetime.now(UTC).date()
    if last > today:
        raise ConfigError(f"{max(first, today + timedelta(days=1))} is in the future: today is {today} in UTC.")


def run_balances() -> None:
    """Take a snapshot through the job `snapshot_balances` and print it."""
    check_settings()
    run_id = execute("snapshot_balances")
    show.balances_summary(run_id)


def check_settings() -> None:
    """Refuse a missing or malformed setting of platform or database before a job is begun, in one line."""
    account.api_settings()
    database_url()


def execute(
    job: str,
    *,
    tags: dict[str, str] | None = None,
    config: dict[str, Any] | None = None,
    progress: Progress | None = None,
    definitions: dg.Definitions | None = None,
) -> str:
    """Run a job of the account in hand, of the product or of other definitions, and return its Dagster run id.

    Raises:
        RunFailed: a step failed, or a check that is not a warning; with the message of the first.
    """
    with dagster_instance() as instance:
        return execute_on(instance, job, tags=tags, config=config, progress=progress, definitions=definitions)


def execute_on(
    instance: dg.DagsterInstance,
    job: str,
    *,
    tags: dict[str, str] | None = None,
    config: dict[str, Any] | None = None,
    progress: Progress | None = None,
    definitions: dg.Definitions | None = None,
) -> str:
    """Run a job as `execute` does, on an instance that is open already."""
    show.warnings_to_stderr()
    import dagster as dg

    from pipelines.definitions import defs

    try:
        result = (
            (definitions or defs)
            .resolve_job_def(account.owner().job(job))
            .execute_in_process(
                instance=instance,
                tags=_process_tags() | (tags or {}),
                run_config={**QUIET, **(config or {})},
                resources=_resources(progress or LogProgress()),
                raise_on_error=False,
            )
        )
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise Stopped(STOPPED) from None
    _raise_failure(result)
    return result.run_id


def _resources(progress: Progress) -> dict[str, Any]:
    from pipelines.resources import data_api_from_env, warehouse_from_env

    return {"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": progress}


def _raise_failure(result: dg.ExecuteInProcessResult) -> None:
    for event in result.all_events:
        if event.is_step_failure or event.is_failure:
            raise _failure(event, result.run_id)
    failed = [check for check in result.get_asset_check_evaluations() if not check.passed]
    for check in failed:
        if check.severity.value == "ERROR":
            raise RunFailed(
                f"loaded, but the check {check.check_name} of {check.asset_key.to_user_string()} failed: "
                f"{check.description}; see `ecommpay-sync status`.",
                1,
            )


def _failure(event: dg.DagsterEvent, run_id: str) -> SyncError:
    import dagster as dg

    data = event.step_failure_data if event.is_step_failure else None
    told = data.user_failure_data if data else None
    if told and told.description and EXIT_CODE in told.metadata:
        return RunFailed(told.description, int(str(told.metadata[EXIT_CODE].value)))
    cause = data.error if data else None
    if cause and cause.cls_name == dg.DagsterExecutionInterruptedError.__name__:
        return Stopped(STOPPED)
    while cause and cause.cause:
        cause = cause.cause
    said = cause.message.strip().splitlines()[0] if cause else (event.message or "the run failed")
    return RunFailed(f"unexpected: {said} — the stack trace is with Dagster's run {run_id}.", 1)


def _let_sqlite_write_without_waiting() -> None:
    """Spare Dagster's SQLite files, which are in WAL mode, a wait for the disk at each event.

    A power cut may cost the last events of the UI, never the file; what was loaded is in our own ledger.
    """
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _relax):
        event.listen(Engine, "connect", _relax)


def _relax(connection: object, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Yield the instance of DAGSTER_HOME; without one, of a folder beside the embedded database.

    A home without a dagster.yaml gets ours, since Dagster's own default sends telemetry.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or data_dir() / "dagster").absolute()
    if os.environ.get("DAGSTER_HOME") and not home.is_dir():
        raise ConfigError(f"DAGSTER_HOME is no folder: {home}. Make it, or unset DAGSTER_HOME.")
    os.environ["DAGSTER_HOME"] = str(home)
    home.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    import dagster as dg

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    _let_sqlite_write_without_waiting()
    with _one_command_at_a_time(home):
        if not (home / "dagster.yaml").exists():
            (home / "dagster.yaml").write_text(DAGSTER_YAML.read_text(encoding="utf-8"), encoding="utf-8")
        opened = dg.DagsterInstance.get()
    with opened as instance, quick_events(instance):
        _end_runs_of_dead_processes(instance)
        yield instance


@contextmanager
def _one_command_at_a_time(home: Path) -> Iterator[None]:
    """Let others wait meanwhile: two that make Dagster's SQLite files at once leave them broken for good."""
    folder = os.open(home, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system that knows no locks
            fcntl.flock(folder, fcntl.LOCK_EX)  # ends with the process, even a killed one
        yield
    finally:
        os.close(folder)


def _process_tags() -> dict[str, str]:
    return {"ecommpay/host": socket.gethostname(), "ecommpay/pid": str(os.getpid())}


def _end_runs_of_dead_processes(instance: dg.DagsterInstance) -> None:
    """Mark runs of commands that were killed as failed, or they would count as running for ever."""
    import dagster as dg

    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={"ecommpay/host": socket.gethostname()})
    for run in instance.get_runs(started):
        try:
            os.kill(int(run.tags["ecommpay/pid"]), 0)
        except (ProcessLookupError, KeyError):
            instance.report_run_failed(run, "its process was killed")
        except PermissionError:
            continue  # it lives, as of another user
