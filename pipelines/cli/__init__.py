"""`ecommpay-sync`: the commands and their arguments; each does its work through the same assets as the UI.

Exit code 0: all that was asked for is complete; 2: wrong input or configuration; 1: anything else. Heavy
modules are imported where they are used: they are most of a small run.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from resources.errors import ConfigError, SyncError

app = typer.Typer(
    name="ecommpay-sync",
    help="Payment operations and balances from the signed Data API into PostgreSQL, provably complete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> None:
    """Run the command; every failure is one line on stderr and an exit code."""
    # so that a stopped service ends its embedded PostgreSQL and its sandbox too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except SyncError as error:
        print(f"ecommpay-sync: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last net: one line, whatever it was
        said = " ".join(str(error).split())[:400]
        print(f"ecommpay-sync: unexpected: {type(error).__name__}: {said}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


@app.command()
def operations(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")],
    project: Annotated[
        list[int] | None,
        typer.Option("--project", metavar="ID", help="only this project; may be given again"),
    ] = None,
) -> None:
    """Load the operations of some days; again, to see what changed."""
    days = _days(first, last)
    if any(not 0 <= identifier < 2**63 for identifier in project or []):
        raise ConfigError("--project takes a project id: digits, at most 19.")
    from pipelines.cli.run import run_operations

    run_operations(*days, tuple(project or ()))


@app.command()
def fraud(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")],
) -> None:
    """Load the reports of fraud received on some days; again, to see what changed."""
    days = _days(first, last)
    from pipelines.cli.streams import run_fraud

    run_fraud(*days)


@app.command(name="spot-check")
def spot_check(
    sample: Annotated[
        int | None, typer.Option(min=1, max=1000, help="how many payments; else SYNC_SPOT_CHECK_SAMPLE")
    ] = None,
) -> None:
    """Ask for a sample of payments by id, and compare them with the store."""
    from pipelines.cli.streams import run_spot_check

    run_spot_check(sample)


@app.command()
def balances() -> None:
    """Take a snapshot of the balances."""
    from pipelines.cli.run import run_balances

    run_balances()


@app.command()
def status() -> None:
    """Show what is in the store, how complete it is, and the last runs."""
    from pipelines.cli.status import show_status

    show_status()


@app.command()
def doctor() -> None:
    """Check configuration, platform, signature and database, one line each."""
    from pipelines.cli.doctor import examine

    sys.exit(examine())


@app.command()
def replay(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")],
    repair: Annotated[  # noqa: FBT002 - an option of the command
        bool, typer.Option("--repair", help="put back rows that were lost or altered")
    ] = False,
) -> None:
    """Rebuild days from the signed raw pages, and prove that the store holds the same."""
    days = _days(first, last)
    from pipelines.cli.audit import replay_days

    replay_days(*days, repair=repair)


@app.command()
def trace(operation_id: Annotated[str, typer.Argument(metavar="OPERATION_ID")]) -> None:
    """Show where an operation's figures come from: each state, and the signed page that brought it."""
    from pipelines.cli.audit import trace_operation

    trace_operation(operation_id)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(metavar="HASH", help="a head noted earlier: it must still be there")
    ] = None,
) -> None:
    """Check the ledger's chain of hashes; name the first entry that was altered, removed or reordered."""
    from pipelines.cli.audit import verify_ledger

    verify_ledger(head)


@app.command()
def demo(
    days: Annotated[int, typer.Option(min=1, max=366, help="days of made-up operations, up to yesterday")] = 31,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="about how many operations")] = 20_000,
) -> None:
    """Run the main job against a local sandbox of the Data API: a month of operations, and the balances."""
    from pipelines.cli.demo import run_demo

    run_demo(days, rows)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def sandbox(context: typer.Context) -> None:
    """Serve a local Data API with made-up data, until Ctrl-C; `sandbox --help` lists its options."""
    from resources.sandbox.process import main as serve

    serve(context.args)


@app.command()
def dev(port: Annotated[int, typer.Option(help="port of the Dagster UI on 127.0.0.1")] = 3000) -> None:
    """Open the Dagster UI on a sandbox and the embedded PostgreSQL, until Ctrl-C."""
    from pipelines.cli.dev import run_dev

    run_dev(port)


@app.command()
def database() -> None:
    """Say where the warehouse is; keep the embedded PostgreSQL running until Ctrl-C, and print its URL."""
    from pipelines.cli.status import keep_database

    keep_database()


def _days(first: str, last: str) -> tuple[date, date]:
    days = _day("--from", first), _day("--to", last)
    if days[1] < days[0]:
        raise ConfigError(f"--to {last} is before --from {first}: swap them.")
    return days


def _day(option: str, text: str) -> date:
    today = datetime.now(UTC).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return named[text] if text in named else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write YYYY-MM-DD, today or yesterday.") from None
