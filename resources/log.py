"""Log lines as JSON on request (`SYNC_LOG_FORMAT=json`), with run, window and request ids; who logs what is elsewhere.

Every HTTP request is one line of the logger `ecommpay.requests`, which has no other reader than this format:
Dagster's event log, which keeps the lines of `pipelines` and `resources`, would grow with each of them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import orjson

from resources.settings import log_format

REQUESTS = logging.getLogger("ecommpay.requests")
WINDOWS = logging.getLogger("ecommpay.windows")
LOGGERS = ("ecommpay", "pipelines", "resources")
# what a record may carry beside its message; anything else is not written, so that no value slips in
FIELDS = (
    *("run_id", "window", "window_id", "request_id", "endpoint", "status", "attempt", "milliseconds", "bytes"),
    *("rows_met", "rows_new", "rows_changed", "error"),
)
_bound: ContextVar[Mapping[str, Any]] = ContextVar("ecommpay_log", default=MappingProxyType({}))


def bind(**values: Any) -> None:
    """Let the lines of this thread carry these ids until it is bound to others."""
    _bound.set({name: value if isinstance(value, int) else str(value) for name, value in values.items()})


def committed(run_id: int, window: object, report: Any) -> None:
    """Log a window's commit: its id leads to sync.windows and raw.pages."""
    WINDOWS.info(
        "window committed",
        extra={
            "run_id": run_id,
            "window": str(window),
            **{name: getattr(report, name) for name in ("window_id", "rows_met", "rows_new", "rows_changed")},
        },
    )


def wants_json(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether log lines are to be JSON.

    Raises:
        ConfigError: SYNC_LOG_FORMAT is neither text nor json.
    """
    return log_format(environment) == "json"


def configure(environment: Mapping[str, str] = os.environ) -> None:
    """Write the product's log lines to stderr as JSON, if SYNC_LOG_FORMAT says so; safe to call again.

    Raises:
        ConfigError: SYNC_LOG_FORMAT is neither text nor json.
    """
    if not wants_json(environment):
        return
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(handler, JsonHandler) for handler in logger.handlers):
            logger.addHandler(JsonHandler())
        logger.setLevel(logging.INFO)


class JsonHandler(logging.Handler):
    """One JSON object a line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        sys.stderr.write(json_line(record) + "\n")


def json_line(record: logging.LogRecord) -> str:
    """Return a record as a JSON object: time (UTC), level, logger, message, and the ids that are known."""
    own = {name: getattr(record, name) for name in FIELDS if getattr(record, name, None) is not None}
    line = {
        "time": datetime.fromtimestamp(record.created, UTC),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
        **_bound.get(),
        **own,
    }
    return orjson.dumps(line, default=str).decode()
