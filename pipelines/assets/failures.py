"""Turns an error of the engine into Dagster's failure: one line, whether a retry can help, the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from resources.data_api.errors import Permanent
from resources.errors import ConfigError, SyncError, WarehouseBroken

EXIT_CODE = "exit_code"


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Let a `SyncError` end the step as a `Failure` that says what was wrong and what to do."""
    try:
        yield
    except SyncError as error:
        raise dg.Failure(
            description=str(error),
            metadata={EXIT_CODE: error.exit_code, "kind": error.kind},
            allow_retries=not isinstance(error, Permanent | ConfigError | WarehouseBroken),
        ) from None
