"""`ecommpay-sync`: the command; its subcommands are in `commands`, their work goes through the same assets as the UI.

Exit code 0: all that was asked for is complete; 2: wrong input or configuration; 1: anything else. Of several
accounts done in turn the worst of theirs, 2 before 1. Heavy modules are imported where they are used: they are most
of a small run.
"""

from __future__ import annotations

import os
import signal
import sys

import typer

from pipelines.cli import settings
from pipelines.cli.account import explained
from pipelines.cli.commands import finance, loading, proving, running
from resources.printable import printable

app = typer.Typer(
    name="ecommpay-sync",
    help="Payment operations and balances from the signed Data API into PostgreSQL, provably complete.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (loading, proving, finance, running):
    app.add_typer(group.app)
app.add_typer(settings.app)


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
