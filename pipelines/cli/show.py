"""What the command prints: tables and bars on a terminal, plain lines elsewhere. The facts come from the store."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)
from rich.table import Table

from pipelines.ingest.progress import LogProgress, Progress
from pipelines.ingest.windows import Window
from pipelines.resources import open_warehouse
from resources import log
from resources.currencies import major_units
from resources.printable import printable, printable_lines
from resources.settings import database_url
from resources.warehouse.ledger import LoadReport

if TYPE_CHECKING:
    from resources.warehouse.engine import Warehouse

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str = "") -> None:
    """Print one line; what of the data would steer the terminal is shown, not obeyed."""
    out.print(escape(printable(text)))


def lines(text: str) -> None:
    """Print a text of several lines likewise."""
    out.print(escape(printable_lines(text)))


def warnings_to_stderr() -> None:
    """Show the product's own warnings (a retried request, for example) as lines on stderr, or as JSON."""
    if log.wants_json():
        log.configure()
        return
    for name in ("pipelines", "resources"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _LineHandler) for handler in logger.handlers):
            logger.addHandler(_LineHandler())
        logger.setLevel(logging.INFO)
        logger.propagate = False


class _LineHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        err.print(escape(printable(f"{prefix}{record.getMessage()}")))


def progress() -> Progress:
    """Return a bar on a terminal, log lines elsewhere."""
    return BarProgress() if err.is_terminal else LogProgress()


@dataclass
class BarProgress:
    """A bar over the time asked for, with the rows met so far."""

    _rows: int = 0
    _bar: Bar = field(
        default_factory=lambda: Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:,} rows"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
    )
    _task: TaskID | None = None

    def begin(self, what: Window, holes: list[Window]) -> None:
        """Show the bar."""
        seconds = sum(hole.seconds for hole in holes)
        self._bar.start()
        first, last = what.days()
        self._task = self._bar.add_task(f"{first} to {last}", total=seconds, rows=0)

    def committed(self, window: Window, report: LoadReport) -> None:
        """Move the bar."""
        self._rows += report.rows_met
        if self._task is not None:
            self._bar.update(self._task, advance=window.seconds, rows=self._rows)

    def end(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], right: Sequence[str] = ()) -> None:
    """Print a table on a terminal; elsewhere the same in aligned plain text."""
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    for name in columns:
        drawn.add_column(escape(printable(name)), justify="right" if name in right else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*(escape(printable(str(value))) for value in row))
    wide = out if out.is_terminal else Console(highlight=False, width=500, file=out.file)
    wide.print(f"[bold]{escape(printable(title))}[/bold]")
    wide.print(drawn)
    line()


def operations_summary(dagster_run_id: str, *, totals: bool) -> None:
    """Print what a load of operations did: windows, rows, control totals, and what has changed."""
    with open_warehouse(database_url()) as store:
        (run,) = store.query("cli/load/run_of_dagster", dagster_run_id=dagster_run_id, stream="operations")
        completed(run, "operations", None if run.rows_new or run.rows_changed else "no row changed")
        line()
        if totals:
            control_totals(store, run.run_id)


def control_totals(store: Warehouse, run_id: int) -> None:
    """Print the control totals of a run: a line a currency, the rows of each status, the amount of success."""
    found = store.query("cli/load/totals_of_run", run_id=run_id)
    counts: dict[str, dict[str, int]] = {}
    amounts: dict[str, int] = {}
    for row in found:
        currency, status = row.currency or "(none)", row.status or "(none)"
        counts.setdefault(currency, {})[status] = row.row_count
        if status == "success":
            amounts[currency] = row.minor
    statuses = sorted({status for row in counts.values() for status in row}, key=_status_order)
    rows = [
        (
            currency,
            f"{sum(counts[currency].values()):,}",
            *(f"{counts[currency].get(status, 0):,}" for status in statuses),
            major_units(amounts.get(currency), currency),
        )
        for currency in sorted(counts)
    ]
    shown = [status.removeprefix("awaiting ") + " …" * status.startswith("awaiting ") for status in statuses]
    columns = ("currency", "rows", *shown, "amount of success")
    table("Operations met, by currency and status (… awaiting)", columns, rows, columns[1:])


def _status_order(status: str) -> tuple[int, str]:
    return (_FIRST.index(status) if status in _FIRST else len(_FIRST)), status


_FIRST = ("success", "decline", "error", "processing")


def balances_summary(dagster_run_id: str) -> None:
    """Print the balances of a snapshot."""
    with open_warehouse(database_url()) as store:
        rows = store.query("cli/load/balances_of_dagster", dagster_run_id=dagster_run_id)
        at = f" at {rows[0].captured_at:%Y-%m-%d %H:%M:%S} UTC" if rows else ""
        lines = [(row.balance_name, row.currency, major_units(row.amount_minor, row.currency)) for row in rows]
        table(f"Balances{at}", ("balance", "currency", "amount"), lines, ("amount",))


def completed(run: Any, what: str, changes: str | None = None) -> None:
    """Print what a run of a stream did in one line; `what` are its rows, `changes` is said instead of their counts."""
    counts = f"{run.rows_new:,} new, {run.rows_changed:,} changed, {run.rows_unchanged:,} unchanged"
    line(
        f"complete: {run.rows_met:,} {what} in {run.windows} window{'s' * (run.windows != 1)}, {changes or counts} "
        f"({run.requests:,} requests, {run.seconds:.1f} s, run {run.run_id})"
    )
