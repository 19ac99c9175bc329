"""`ecommpay-sync`: the commands and their arguments; each does its work through the same assets as the UI.

Exit code 0: all that was asked for is complete; 2: wrong input or configuration; 1: anything else. Of several
accounts done in turn the worst of theirs, 2 before 1. Heavy modules are imported where they are used: they are most
of a small run.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.account import all_accounts, each_account, explained, one_account
from resources.errors import ConfigError
from resources.printable import printable

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
        sys.exit(app(standalone_mode=False))  # Typer would tell wrong usage in four lines
    except typer.TyperException as error:
        _tell_usage(error)
        sys.exit(error.exit_code)
    except typer.Abort:  # Ctrl-C, where the command does not tell of it itself
        print("ecommpay-sync: stopped.", file=sys.stderr)  # noqa: T201
        sys.exit(1)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last net: one line, whatever it was
        message, exit_code = explained(error)
        print(f"ecommpay-sync: {message}", file=sys.stderr)  # noqa: T201
        sys.exit(exit_code)


def _tell_usage(error: typer.TyperException) -> None:
    said = error.format_message()
    if "\n" not in said:  # else it is the whole help, for a command without a word
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "ecommpay-sync"
        said = f"ecommpay-sync: {printable(said).rstrip('.')}: see `{command} --help`."
    print(said, file=sys.stderr)  # noqa: T201


@app.command()
@each_account
def operations(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")],
    project: Annotated[
        list[int] | None,
        typer.Option("--project", metavar="ID", help="only this project; may be given again"),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only forecast what it takes; write nothing")] = False,
) -> None:
    """Load the operations of some days; again, to see what changed."""
    days = _days(first, last)
    if any(not 0 <= identifier < 2**63 for identifier in project or []):
        raise ConfigError("--project takes a project id: digits, at most 19.")
    from pipelines.cli.run import run_operations

    run_operations(*days, tuple(project or ()), dry_run=dry_run)


@app.command()
@each_account
def fraud(
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")],
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")],
) -> None:
    """Load the reports of fraud received on some days; again, to see what changed."""
    days = _days(first, last)
    from pipelines.cli.streams import run_fraud

    run_fraud(*days)


@app.command()
@each_account
def documents(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="tables of DOCUMENTS_FILE; none: all", show_default=False),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="first UTC day; none: the look-back")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="last UTC day, included")] = None,
) -> None:
    """Load documents of endpoints without a described format, as DOCUMENTS_FILE says."""
    if (first is None) is not (last is None):
        raise ConfigError("--from and --to belong together: give both, or neither for yesterday and the look-back.")
    days = _days(first, last) if first and last else None
    from pipelines.cli.documents import run_documents

    run_documents(names or [], days)


@app.command(name="spot-check")
@each_account
def spot_check(
    sample: Annotated[
        int | None, typer.Option(min=1, max=1000, help="how many payments; else SYNC_SPOT_CHECK_SAMPLE")
    ] = None,
) -> None:
    """Ask for a sample of payments by id, and compare them with the store."""
    from pipelines.cli.streams import run_spot_check

    run_spot_check(sample)


@app.command()
@each_account
def balances() -> None:
    """Take a snapshot of the balances."""
    from pipelines.cli.run import run_balances

    run_balances()


@app.command()
@all_accounts
def status() -> None:
    """Show what is in the store, how complete it is, and the last runs."""
    from pipelines.cli.status import show_status

    show_status()


@app.command()
@all_accounts
def doctor() -> None:
    """Check configuration, platform, signature and database, one line each."""
    from pipelines.cli.doctor import examine

    sys.exit(examine())


@app.command()
@each_account
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
@one_account
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
    days: Annotated[int, typer.Option(min=2, max=366, help="days of made-up operations, up to yesterday")] = 31,
    rows: Annotated[int, typer.Option(min=1, max=1_000_000, help="about how many operations")] = 20_000,
) -> None:
    """Load, reconcile, close and report a month of made-up operations from a local sandbox of the Data API."""
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


@app.command()
def marts(
    full: Annotated[bool, typer.Option("--full", help="build everything anew, not only what is new")] = False,  # noqa: FBT002
) -> None:
    """Build the marts of schema bi now, and hold them against the core."""
    from pipelines.cli.marts import build

    build(full=full)


@app.command()
def grant() -> None:
    """Make the roles of loader, BI and finance, and give each what it needs and no more."""
    from pipelines.cli.grant import grant_roles

    grant_roles()


@app.command()
@one_account
def erase(
    customer: Annotated[str, typer.Option(metavar="ID", help="the person's customer_id or e-mail address")],
) -> None:
    """Remove a person's data from every table and raw page; keys, totals and the ledger stay."""
    from pipelines.cli.erase import erase_customer

    erase_customer(customer)


@app.command()
def metrics(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="serve on this port until Ctrl-C")] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    textfile: Annotated[Path | None, typer.Option(metavar="PATH", help="write into this file instead")] = None,
) -> None:
    """Give the figures of the warehouse to Prometheus: on a port, in a file, or printed."""
    from pipelines.cli.metrics import show_metrics

    show_metrics(host, port, textfile)


@app.command()
def alert(
    test: Annotated[bool, typer.Option("--test", help="send a made-up message through every channel")] = False,  # noqa: FBT002
) -> None:
    """Look for causes and tell of them now; with --test, only try the channels."""
    from pipelines.cli.alert import run_alert

    run_alert(test=test)


ledger_app = typer.Typer(name="ledger", help="The merchant's own books.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(ledger_app)


@ledger_app.command("import")
@one_account
def ledger_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a .csv, .parquet or .xlsx; docs/reconciliation.md")],
    *,
    accept_partial: Annotated[
        bool, typer.Option("--accept-partial", help="import the good rows although others are rejected")
    ] = False,
    rejects: Annotated[Path | None, typer.Option(metavar="FILE", help="write all rejected rows' faults here")] = None,
) -> None:
    """Import entries of the own books; whole or not at all, and a second time changes nothing."""
    from pipelines.cli.reconcile import run_import

    run_import(file, rejects, accept_partial=accept_partial)


@app.command()
@each_account
def reconcile(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")],
    leg: Annotated[
        list[str] | None, typer.Option(metavar="LEG", help="completeness, books or balances only; may be given again")
    ] = None,
) -> None:
    """Hold a day against a fresh walk, the own books and the balances."""
    from pipelines.cli.reconcile import run_reconcile

    run_reconcile(_day("--date", day), leg or [])


@app.command()
@each_account
def breaks(
    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="of this business day only")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="explained ones too")] = False,
) -> None:
    """List the open breaks, oldest first."""
    from pipelines.cli.reconcile import list_breaks

    list_breaks(_day("--date", day) if day else None, everything=everything)


@app.command()
@one_account
def explain(
    break_id: Annotated[int, typer.Argument(metavar="BREAK_ID")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who explains it")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="how")],
) -> None:
    """Explain a break: it stays on record and does not come back as new."""
    from pipelines.cli.reconcile import explain_break

    explain_break(break_id, by, note)


@app.command()
@one_account
def close(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who prepares the figures, or reviewed them and closes")],
    *,
    with_open_breaks: Annotated[bool, typer.Option("--with-open-breaks", help="although breaks are open")] = False,
) -> None:
    """Seal the figures of a day under four eyes: one person's call prepares them, another's closes the day."""
    from pipelines.cli.reconcile import run_close

    run_close(_day("--date", day), by, with_open_breaks=with_open_breaks)


@app.command()
@one_account
def reopen(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="a closed business day")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who opens it")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why")],
) -> None:
    """Open a closed day again; what was sealed stays on record."""
    from pipelines.cli.reconcile import run_reopen

    run_reopen(_day("--date", day), by, reason)


@app.command()
@each_account
def report(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")],
    folder: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="where to; else SYNC_REPORT_DIR")
    ] = None,
) -> None:
    """Write the daily close report of a day: one page and one workbook; of a closed day the sealed figures."""
    from pipelines.cli.report import write_report

    write_report(_day("--date", day), folder)


@app.command()
def dictionary(
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="write it here instead of printing it")] = None,
) -> None:
    """Give the data dictionary: every table, view and column, from the comments in the database."""
    from pipelines.cli.dictionary import write_dictionary

    write_dictionary(output)


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
