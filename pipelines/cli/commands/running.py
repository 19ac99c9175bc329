"""Commands that run and keep the system: demo, sandbox and UI, database, marts, rights, erasure, figures and alerts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.account import one_account

app = typer.Typer()


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
    from resources.sandbox.__main__ import main as serve

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


@app.command()
def dictionary(
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="write it here instead of printing it")] = None,
) -> None:
    """Give the data dictionary: every table, view and column, from the comments in the database."""
    from pipelines.cli.dictionary import write_dictionary

    write_dictionary(output)
