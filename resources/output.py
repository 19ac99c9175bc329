"""What leaves us for persons and other programs: text that can be seen, counts, tables, files written whole, log lines.

Text of the data holds nothing that steers a terminal, moves a line or is taken for a formula. Log lines are JSON on
request (`SYNC_LOG_FORMAT=json`), with the ids of run, window and request; who logs what is elsewhere.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from resources.errors import ConfigError, Failed
from resources.settings import InstallationSettings, read

if TYPE_CHECKING:
    from pathlib import Path

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
MAKE_ROOM = "make room there, then run the same command again."

Column = str | Callable[[Any], Any]  # of a table: the attribute of a line, or what makes the cell of it

# control characters (an escape sequence begins with one), invisible ones that reorder or hide what stands beside
# them, halves of a character (from a file name that is no UTF-8), line and paragraph separators
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_FORMULA = re.compile("'*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20]")  # a spreadsheet calculates a cell that begins so
_WRITTEN = "\u200c\u200d"  # joiners: some languages are written with them
# every HTTP request is one line, with no other reader than the JSON format: Dagster's event log, which keeps the lines
# of `pipelines` and `resources`, would grow with each of them
REQUESTS = logging.getLogger("ecommpay.requests")
WINDOWS = logging.getLogger("ecommpay.windows")
LOGGERS = ("ecommpay", "pipelines", "resources")
# what a record may carry beside its message; anything else is not written, so that no value slips in
LOG_FIELDS = (
    *("run_id", "window", "window_id", "request_id", "endpoint", "status", "attempt", "milliseconds", "bytes"),
    *("rows_met", "rows_new", "rows_changed", "error"),
)
_bound: ContextVar[Mapping[str, Any]] = ContextVar("ecommpay_log", default=MappingProxyType({}))


def printable(text: str) -> str:
    r"""Return `text` on one line, with whatever cannot be seen written as its escape (`\x1b`); idempotent."""
    if text.isprintable():
        return text
    return "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """Return `text` likewise, but its own line ends stay."""
    return "\n".join(map(printable, text.split("\n")))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN or character in _WRITTEN:
        return character
    return character.encode("unicode_escape").decode("ascii")


def with_formula_quote(cell: str) -> str:
    """Return the text of a CSV cell with a quote before what a spreadsheet would take for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def without_formula_quote(cell: str) -> str:
    """Return the text that `with_formula_quote` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def counted(count: int, what: str) -> str:
    """Return a count with what is counted, more than one in the plural."""
    return f"{count:,} {what}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Return a duration as a person says it: seconds up to two minutes, then minutes, then hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} hours"


def write_whole(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put `content` at `path` at once, over what was there: nobody ever reads half of it.

    A device or a pipe is written to. `mode`: who may read the file, from its first moment; else as the umask says.

    Raises:
        OSError: the file cannot be written; what was there is still there, and nothing beside it.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode or 0o666), "wb") as file:
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_named(name: str, path: Path, content: bytes, advice: str = "") -> None:
    """Write a file whole; a message calls it by this name, and may give advice.

    Raises:
        ConfigError, Failed: it cannot be written.
    """
    with named_if_refused(name, advice):
        write_whole(path, content)


@contextmanager
def named_if_refused(name: str, advice: str = "") -> Iterator[None]:
    """Write something that a message calls by this name, with advice.

    Raises:
        ConfigError: it cannot be written there.
        Failed: the disk is full, which is the fault of no setting.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            raise Failed(f"{name} cannot be written: {error.strerror}: {MAKE_ROOM}", 1) from None
        raise ConfigError(f"{name} cannot be written: {error.strerror}{advice}.") from None


def cells(lines: Iterable[Any], *columns: Mapping[str, Column]) -> tuple[list[str], list[list[Any]]]:
    """Return the titles of a table, and its rows: what each column says of each line."""
    named = [item for part in columns for item in part.items()]
    values = [attrgetter(column) if isinstance(column, str) else column for _, column in named]
    return [title for title, _ in named], [[value(line) for value in values] for line in lines]


def bind_log(**values: Any) -> None:
    """Let the lines of this thread carry these ids until it is bound to others."""
    _bound.set({name: value if isinstance(value, int) else str(value) for name, value in values.items()})


def log_commit(run_id: int, window: object, report: Any) -> None:
    """Log a window's commit: its id leads to sync.windows and raw.pages."""
    WINDOWS.info(
        "window committed",
        extra={
            "run_id": run_id,
            "window": str(window),
            **{name: getattr(report, name) for name in ("window_id", "rows_met", "rows_new", "rows_changed")},
        },
    )


def logs_json(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether log lines are to be JSON.

    Raises:
        ConfigError: SYNC_LOG_FORMAT is neither text nor json.
    """
    return read(InstallationSettings, environment, only="log_format").log_format == "json"


def configure_log(environment: Mapping[str, str] = os.environ) -> None:
    """Write the product's log lines to stderr as JSON, if SYNC_LOG_FORMAT says so; safe to call again.

    Raises:
        ConfigError: SYNC_LOG_FORMAT is neither text nor json.
    """
    if not logs_json(environment):
        return
    add_handler(LOGGERS, JsonHandler)


def add_handler(names: Iterable[str], handler: type[logging.Handler]) -> None:
    """Hand the lines of these loggers to a handler; safe to call again."""
    for name in names:
        logger = logging.getLogger(name)
        if not any(isinstance(known, handler) for known in logger.handlers):
            logger.addHandler(handler())
        logger.setLevel(logging.INFO)


class JsonHandler(logging.Handler):
    """One JSON object a line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        sys.stderr.write(json_line(record) + "\n")


def json_line(record: logging.LogRecord) -> str:
    """Return a record as a JSON object: time (UTC), level, logger, message, and the ids that are known."""
    own = {name: getattr(record, name) for name in LOG_FIELDS if getattr(record, name, None) is not None}
    line = {
        "time": datetime.fromtimestamp(record.created, UTC),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **_bound.get(),
        **own,
    }
    return orjson.dumps(line, default=str).decode()
