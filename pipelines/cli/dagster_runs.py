"""Runs the product's own Dagster jobs in this process, on the user's Dagster instance.

What a run loaded is printed by the command, from the warehouse.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from pipelines.cli import console, imported_without_garbage
from pipelines.cli.console import STOPPED
from resources.accounts import accounts_of
from resources.errors import ConfigError, Failed, Stopped, SyncError
from resources.settings import InstallationSettings, data_dir, database_url, read

if TYPE_CHECKING:
    import dagster as dg

    from resources.accounts import AccountScope

DAGSTER_YAML = Path(__file__).with_name("dagster.local.yaml")
SERVER_TAG = ".dagster/grpc_info"  # how the code server is reached that a run was started by
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class RunFailed(Failed):
    """A Dagster run ended badly."""


def check(scope: AccountScope, days: tuple[date, date] | None = None) -> None:
    """Refuse what no job can do, before one is started.

    Raises:
        ConfigError: a day lies before SYNC_FIRST_DAY, or in the future; or a setting of platform or database is missing
            or malformed.
    """
    if days is not None:
        (first, last), first_kept, today = days, scope.settings.first_day, datetime.now(UTC).date()
        if first < first_kept:
            raise ConfigError(
                f"{first} is before the first day this system keeps, {first_kept}: set SYNC_FIRST_DAY earlier."
            )
        if last > today:
            raise ConfigError(f"{max(first, today + timedelta(days=1))} is in the future: today is {today} in UTC.")
    accounts_of().api_settings(scope.account)
    database_url()


def execute(
    scope: AccountScope,
    job: str,
    *,
    days: tuple[date, date] | None = None,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    loads: str | None = None,
) -> str:
    """Run a job of the account and return its Dagster run id.

    Args:
        scope: the account.
        job: the job's name without the account.
        days: the first and last day of the job's partitions.
        config: the configuration of each op, by its name.
        loads: the streams that the job loads and does nothing else, so that nothing else is made ready.

    Raises:
        RunFailed: a step failed, or a check that is not a warning; with the message of the first.
        Stopped: somebody interrupted the run.
    """
    console.warnings_to_stderr()
    with ExitStack() as opened:
        with imported_without_garbage():
            instance = opened.enter_context(dagster_instance())
            import dagster as dg

            from pipelines.jobs import range_tags
            from pipelines.resources import data_api_from_env, warehouse_from_env

            if loads:
                from pipelines.assets.streams import definitions_of_load

                definitions = definitions_of_load(scope, loads)
            else:
                from pipelines.definitions import defs as definitions

        tags = {"ecommpay/host": socket.gethostname(), "ecommpay/pid": str(os.getpid())}
        ops = {op: {"config": dict(values)} for op, values in (config or {}).items()}
        try:
            result = definitions.resolve_job_def(scope.job(job)).execute_in_process(
                instance=instance,
                tags=tags | (range_tags(*days) if days else {}),
                run_config={**QUIET, "ops": ops},
                resources={
                    "data_api": data_api_from_env(),
                    "warehouse": warehouse_from_env(),
                    "progress": console.progress(),
                },
                raise_on_error=False,
            )
        except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
            raise Stopped(STOPPED) from None
        _raise_failure(result)
        return result.run_id


@contextmanager
def dagster_imported_meanwhile() -> Iterator[None]:
    """Import Dagster in a thread while the body waits for the platform, which is about as long."""
    with imported_without_garbage():
        thread = Thread(target=importlib.import_module, args=("dagster",), name="import-dagster")
        thread.start()
        try:
            yield
        finally:
            thread.join()


def _raise_failure(result: dg.ExecuteInProcessResult) -> None:
    from pipelines.assets import is_failed_by_check

    failed = [event for event in result.all_events if event.is_step_failure or event.is_failure]
    of_a_step = any(event.is_step_failure and not is_failed_by_check(event) for event in failed)
    for check in () if of_a_step else result.get_asset_check_evaluations():
        if not check.passed and check.severity.value == "ERROR":
            raise RunFailed(
                f"loaded, but the check {check.check_name} of {check.asset_key.to_user_string()} failed: "
                f"{check.description}; see `ecommpay-sync status`.",
                1,
            )
    for event in failed:
        raise _failure(event, result.run_id)


def _failure(event: dg.DagsterEvent, run_id: str) -> SyncError:
    import dagster as dg

    from pipelines.assets import EXIT_CODE, StepInterrupted

    step = event.step_failure_data if event.is_step_failure else None
    failure = step.user_failure_data if step else None
    if failure and failure.description and EXIT_CODE in failure.metadata:
        return RunFailed(failure.description, int(str(failure.metadata[EXIT_CODE].value)))
    # of what happens between two steps, the run's own failure alone knows the error
    cause = getattr(event.event_specific_data, "error", None)
    interruptions = (KeyboardInterrupt, dg.DagsterExecutionInterruptedError, StepInterrupted)
    if cause and cause.cls_name in {kind.__name__ for kind in interruptions}:  # Dagster keeps the names
        return Stopped(STOPPED)
    while cause and cause.cause:
        cause = cause.cause
    message = cause.message.strip().splitlines()[0] if cause else (event.message or "the run failed")
    return RunFailed(f"unexpected: {message} — the stack trace is with Dagster's run {run_id}.", 1)


def dagster_home() -> Path:
    """Return the folder of Dagster's own files.

    Raises:
        ConfigError: DAGSTER_HOME is none.
    """
    given = read(InstallationSettings, only="dagster_home").dagster_home
    if given and not given.is_dir():
        raise ConfigError(f"DAGSTER_HOME is no folder: {given.absolute()}. Make it, or unset DAGSTER_HOME.")
    return (given or data_dir() / "dagster").absolute()


@contextmanager
def dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Yield the instance of DAGSTER_HOME; without one, of a folder beside the embedded database.

    A home without a dagster.yaml gets ours, since Dagster's own default sends telemetry.
    """
    home = dagster_home()
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the folder {home} cannot be made: {error.strerror}; set SYNC_DATA_DIR or DAGSTER_HOME to one that can be."
        ) from None
    os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
    import dagster as dg

    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    folder = os.open(home, os.O_RDONLY)
    try:  # Dagster's SQLite files are made one after the other: at the same time they break each other
        with suppress(OSError):  # a file system that knows no locks
            fcntl.flock(folder, fcntl.LOCK_EX)  # ends with the process, even a killed one
        if not (home / "dagster.yaml").exists():
            (home / "dagster.yaml").write_text(DAGSTER_YAML.read_text(encoding="utf-8"), encoding="utf-8")
        opened = dg.DagsterInstance.get()
    finally:
        os.close(folder)
    with opened as instance:
        _end_runs_of_dead_processes(instance)
        yield instance


def _end_runs_of_dead_processes(instance: dg.DagsterInstance) -> None:
    """Mark the runs of killed commands as failed; otherwise they count as running for ever."""
    import dagster as dg
    import psutil

    started = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED], tags={"ecommpay/host": socket.gethostname()})
    for run in instance.get_runs(started):
        if not psutil.pid_exists(int(run.tags.get("ecommpay/pid", -1))):
            instance.report_run_failed(run, "its process was killed")


def end_runs_of_dead_servers(instance: dg.DagsterInstance) -> None:
    """Mark the runs of code servers of this machine that have ended as failed; each would take a place in the queue."""
    import dagster as dg

    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    for run in instance.get_runs(dg.RunsFilter(statuses=statuses)):
        path = json.loads(run.tags.get(SERVER_TAG, "{}")).get("socket")
        if path and not _is_served(path):
            instance.report_run_failed(run, "its code server was ended")


def _is_served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True
