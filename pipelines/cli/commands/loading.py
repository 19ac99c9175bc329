"""Commands that ask the platform: operations, reports of fraud, documents, balances, a spot check."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.account import each_account
from pipelines.cli.commands.arguments import FirstDay, LastDay, read_days
from resources.errors import ConfigError

app = typer.Typer()


@app.command()
@each_account
def operations(
    first: FirstDay,
    last: LastDay,
    project: Annotated[
        list[int] | None,
        typer.Option("--project", metavar="ID", help="only this project; may be given again"),
    ] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only forecast what it takes; write nothing")] = False,
) -> None:
    """Load the operations of some days; again, to see what changed."""
    asked = read_days(first, last)
    if any(not 0 <= identifier < 2**63 for identifier in project or []):
        raise ConfigError("--project takes a project id: digits, at most 19.")
    from pipelines.cli.run import run_operations

    run_operations(*asked, tuple(project or ()), dry_run=dry_run)


@app.command()
@each_account
def fraud(
    first: FirstDay,
    last: LastDay,
) -> None:
    """Load the reports of fraud received on some days; again, to see what changed."""
    asked = read_days(first, last)
    from pipelines.cli.streams import run_fraud

    run_fraud(*asked)


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
    asked = read_days(first, last) if first and last else None
    from pipelines.cli.documents import run_documents

    run_documents(names or [], asked)


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
