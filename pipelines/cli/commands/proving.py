"""Commands that look at what is stored and prove it; none but `replay --repair` changes any of it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pipelines.cli.account import all_accounts, each_account, one_account
from pipelines.cli.commands.arguments import FirstDay, LastDay, read_days

app = typer.Typer()


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
    first: FirstDay,
    last: LastDay,
    repair: Annotated[  # noqa: FBT002 - an option of the command
        bool, typer.Option("--repair", help="put back rows that were lost or altered")
    ] = False,
) -> None:
    """Rebuild days from the signed raw pages, and prove that the store holds the same."""
    asked = read_days(first, last)
    from pipelines.cli.audit import replay_days

    replay_days(*asked, repair=repair)


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
