"""Commands of finance: the own books, reconciliation and its breaks, closing a day, the daily report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.account import each_account, one_account
from pipelines.cli.commands.arguments import BusinessDay, read_day

app = typer.Typer()


@app.command()
@each_account
def reconcile(
    day: BusinessDay,
    leg: Annotated[
        list[str] | None, typer.Option(metavar="LEG", help="completeness, books or balances only; may be given again")
    ] = None,
) -> None:
    """Hold a day against a fresh walk, the own books and the balances."""
    from pipelines.cli.reconcile import run_reconcile

    run_reconcile(read_day("--date", day), leg or [])


@app.command()
@each_account
def breaks(
    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="of this business day only")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="explained ones too")] = False,
) -> None:
    """List the open breaks, oldest first."""
    from pipelines.cli.reconcile import list_breaks

    list_breaks(read_day("--date", day) if day else None, everything=everything)


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
    day: BusinessDay,
    by: Annotated[str, typer.Option(metavar="NAME", help="who prepares the figures, or reviewed them and closes")],
    *,
    with_open_breaks: Annotated[bool, typer.Option("--with-open-breaks", help="although breaks are open")] = False,
) -> None:
    """Seal the figures of a day under four eyes: one person's call prepares them, another's closes the day."""
    from pipelines.cli.reconcile import run_close

    run_close(read_day("--date", day), by, with_open_breaks=with_open_breaks)


@app.command()
@one_account
def reopen(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="a closed business day")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who opens it")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why")],
) -> None:
    """Open a closed day again; what was sealed stays on record."""
    from pipelines.cli.reconcile import run_reopen

    run_reopen(read_day("--date", day), by, reason)


@app.command()
@each_account
def report(
    day: BusinessDay,
    folder: Annotated[
        Path | None, typer.Option("--output", metavar="FOLDER", help="where to; else SYNC_REPORT_DIR")
    ] = None,
) -> None:
    """Write the daily close report of a day: one page and one workbook; of a closed day the sealed figures."""
    from pipelines.cli.report import write_report

    write_report(read_day("--date", day), folder)


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
