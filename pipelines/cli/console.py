"""The terminal: options that commands share, days; tables and bars there, plain lines elsewhere; and signals."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TextIO

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from resources.currencies import major_units
from resources.errors import ConfigError
from resources.output import Column, add_handler, cells, configure_log, logs_json, printable, printable_lines

if TYPE_CHECKING:
    from rich.progress import TaskID

    from pipelines.ingest.forecast import Progress
    from pipelines.ingest.windows import Window
    from resources.warehouse.ledger import LoadReport


FirstDay = Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")]
LastDay = Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")]
BusinessDay = Annotated[str, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, one object a line, instead (docs/json.md)")]
# without it a command works on each account in turn, asks for one, or shows all of them together
EachAccount = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="only this account; else each of them in turn")
]
OneAccount = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="which account; needed where there are several")
]
AllAccounts = Annotated[
    str | None, typer.Option("--account", metavar="NAME", help="only this account; else all of them")
]

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)
STOPPED = "stopped; what was committed stays, and the same command continues from there."
SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
SIGNALLED = threading.Event()  # somebody ends this process; what fails then, as a statement cut off, is due to that
FIRST_YEAR, LAST_YEAR = 1990, 2999  # of a day that is named: what is computed from it must be a day too
SECONDS = 4.0  # for the way out; one is left for the end
PAUSE = 0.05  # until a lost signal is raised again: the finalizer is over then
LOST = 0  # the number of no signal


def read_days(first: str, last: str) -> tuple[date, date]:
    """Return the days that `--from` and `--to` name.

    Raises:
        ConfigError: one of them is no day, or they are in the wrong order.
    """
    days = read_day("--from", first), read_day("--to", last)
    if days[1] < days[0]:
        raise ConfigError(f"--to {last} is before --from {first}: swap them.")
    return days


def read_day(option: str, text: str) -> date:
    """Return the day that an option names.

    Raises:
        ConfigError: it is no day.
    """
    today = datetime.now(UTC).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        day = named[text] if text in named else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write YYYY-MM-DD, today or yesterday.") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ConfigError(f"{option} {text!r} is no day of the years {FIRST_YEAR} to {LAST_YEAR}: correct the year.")
    return day


class Output(io.TextIOWrapper):
    """An output whose reader may leave, as `head` does: the work goes on, and what it prints then goes nowhere.

    A character that its encoding lacks is a question mark.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream  # whose end would close the buffer
        super().__init__(stream.buffer, stream.encoding, "replace", line_buffering=bool(stream.line_buffering))

    def write(self, text: str, /) -> int:
        """Write a text, here or nowhere."""
        try:
            return super().write(text)
        except BrokenPipeError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        """Write what was not written yet, here or nowhere."""
        try:
            super().flush()
        except BrokenPipeError:
            self._drop()

    def _drop(self) -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def make_streams_safe() -> None:
    """Let nothing that becomes of our output end the work: see `Output`; what was closed is nowhere, and empty."""
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: PTH123, SIM115 - as long as the process lives
    sys.stdout = Output(sys.stdout or open(os.devnull, "w"))  # noqa: PTH123, SIM115
    sys.stderr = Output(sys.stderr or open(os.devnull, "w"))  # noqa: PTH123, SIM115


def command_here() -> str:
    """Return how this program is called from here: by its name where the shell finds it, else by its path."""
    path = Path(sys.argv[0]).absolute()
    return path.name if Path(shutil.which(path.name) or "").absolute() == path else path_from_here(path)


def path_from_here(path: Path) -> str:
    """Return a path below the working folder as a relative one."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def line(text: str = "") -> None:
    """Print one line; control characters in it are printed as their escapes."""
    out.print(escape(printable(text)))


def lines(text: str) -> None:
    """Print a text of several lines, likewise."""
    out.print(escape(printable_lines(text)))


def problem(text: str) -> None:
    """Print what is wrong, in one line on stderr."""
    print(f"ecommpay-sync: {text}", file=sys.stderr)  # noqa: T201


def document(value: Any) -> None:
    """Print a value as one line of JSON: rows as objects, times in ISO 8601 and UTC, amounts as whole minor units."""
    out.out(json.dumps(value, default=_plain), highlight=False)


def _plain(value: Any) -> Any:
    if hasattr(value, "_asdict"):
        return value._asdict()
    if is_dataclass(value):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return str(value)


def warnings_to_stderr() -> None:
    """Show the product's own warnings (a retried request, for example) as lines on stderr, or as JSON."""
    if logs_json():
        configure_log()
        return
    names = ("pipelines", "resources")
    add_handler(names, _LineHandler)
    for name in names:
        logging.getLogger(name).propagate = False


class _LineHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        err.print(escape(printable(f"{prefix}{record.getMessage()}")))


def progress() -> Progress:
    """Return a bar on a terminal, log lines elsewhere."""
    if err.is_terminal:
        return BarProgress()
    from pipelines.ingest.forecast import LogProgress

    return LogProgress()


class BarProgress:
    """A bar over the time that a load covers, with the rows seen so far."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        # while a step runs, Dagster redirects stderr into a file
        terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace")
        self._rows = 0
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rows]:,} rows"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=terminal, highlight=False, soft_wrap=True),
            transient=True,
        )

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
        """Remove the bar."""
        self._bar.stop()


def table(
    title: str, rows: Sequence[Any], *columns: Mapping[str, Column], none: str = "", with_head: bool = False
) -> None:
    """Print what each column says of the rows, if there are any; a title that begins with > has a column of numbers.

    On a terminal it is a table, elsewhere the same in aligned plain text; `with_head`: without a row its head alone.
    """
    if not rows and not with_head:
        return
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    titles, body = cells(rows, *columns)
    for name in titles:
        justify: Literal["left", "right"] = "right" if name.startswith(">") else "left"
        drawn.add_column(escape(printable(name.removeprefix(">"))), justify=justify, no_wrap=True)
    for row in body:
        drawn.add_row(*(escape(printable(_shown(none if cell is None else cell))) for cell in row))
    wide = out if out.is_terminal else Console(highlight=False, width=500, file=out.file)
    wide.print(f"[bold]{escape(printable(title))}[/bold]")
    wide.print(drawn)
    line()


def _shown(cell: Any) -> str:
    return str(cell.replace(microsecond=0, tzinfo=None) if isinstance(cell, datetime) else cell)


def count(name: str) -> Column:
    """Return a column of counts, each an attribute of a row."""
    return lambda row: f"{attrgetter(name)(row):,}"


def money(name: str = "amount_minor") -> Column:
    """Return a column of amounts in a row's currency, with its decimals on the row's day, if it has one."""
    return lambda row: major_units(getattr(row, name), row.currency, getattr(row, "business_date", None))


def take_time() -> None:
    """Let what this command ends take longer than that: other servers, each of which has its own way out."""
    signal.set_wakeup_fd(-1)


class Stopping:
    """The watch over the signals of this process: one ends it within five seconds, whatever becomes of its exception.

    It is started in the main thread. Python raises the exception there, wherever that is, and it can be lost: a
    finalizer drops what is raised in it, and Dagster may forget a signal that comes between two steps. The way out can
    wait, too: for a lock, a thread, or whoever reads our output. So a thread sees each signal as well. It raises a lost
    one again, and ends the process when the time is over. To the ledger that is a `kill -9`: the next run continues
    from the first hole.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        """Start it; `end` is called before the process is ended, and may take a second."""
        self._end = end
        self._signals, self._written = socket.socketpair()
        self._written.settimeout(0)
        self._report_unraisable = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(signal.SIGHUP, signal.default_int_handler)
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def _unraisable(self, lost: Any) -> None:
        """Note an interruption that went nowhere; all other exceptions are reported as always."""
        if issubclass(lost.exc_type, Exception):
            self._report_unraisable(lost)
        else:
            self._written.send(bytes([LOST]))

    def _watch(self) -> None:
        give_up_at: float | None = None
        while True:
            try:
                numbers = set(self._signals.recv(64))
            except TimeoutError:
                break
            if give_up_at is None and numbers & SIGNALS:
                SIGNALLED.set()
                give_up_at = time.monotonic() + SECONDS
            if give_up_at is None:
                continue
            if LOST in numbers:
                time.sleep(PAUSE)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self._signals.settimeout(max(give_up_at - time.monotonic(), PAUSE))
        last = threading.Thread(target=self._leave, daemon=True)
        last.start()
        last.join(1 - PAUSE)
        os._exit(1)

    def _leave(self) -> None:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"ecommpay-sync: {STOPPED}\n".encode())
        self._end()
