"""What a stream declares; the streams themselves stand each in its module, all of them in `registry`.

The engine walks any stream in the same way, and the loader, replay and checks take what they need from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pipelines.ingest.schema import Schema, json_text
from pipelines.ingest.windows import LONGEST, Window
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.load import Total


@dataclass(frozen=True)
class PageRequest:
    """One page of a window: which projects (none: all that the token may see), where it begins, how many rows."""

    window: Window
    project_ids: tuple[int, ...]
    offset: int
    limit: int


@dataclass(frozen=True)
class Stream:
    """Rows that the platform gives by intervals of time or as a snapshot, and the table they are merged into."""

    name: str  # as in the ledger
    row_name: str  # what a person calls one of its rows
    endpoint: str
    table: str
    statements: str  # the file below sql/ that holds them, without its ending
    request: Callable[[DataApi, SyncSettings, PageRequest], Answer]
    rows: Callable[[dict[str, Any]], list[Any]]  # of a verified answer
    schema: Schema
    total: Total
    look_back_days: Callable[[SyncSettings], int]  # which every night walks again
    row_identity: Callable[[Any], str] | None = None  # identity of a row within an answer; None: its key, or all of it
    unrequested: Callable[[Mapping[str, Any]], Sequence[str]] = lambda _request: ()  # columns not asked for
    time_column: str | None = None  # the column by which the density of a window is guessed
    optional: bool = False  # a token may lack the right: that is no failure as long as nothing was ever loaded
    required_right: str | None = None  # what the platform calls it
    rows_name: str | None = None  # what a person calls its rows, where that is not its name
    is_snapshot: bool = False  # no intervals: a window is the second of its request
    has_pages: bool = True  # else one answer holds all of a window
    longest: int = LONGEST  # seconds of a window
    shortest: int = 1  # seconds of a window that is not cut, however much it holds

    @property
    def key(self) -> str:
        """The column that, with the account, identifies a row of its table."""
        return self.schema.key

    def sql(self, statement: str) -> str:
        """Return the name of one of its statements; each file of a stream has the same ones."""
        return f"{self.statements}/{statement}"

    def identity(self, row: Any) -> str:
        """Return the identity of a row within an answer."""
        if self.row_identity is not None:
            return self.row_identity(row)
        key = row.get(self.key) if isinstance(row, dict) and self.key in self.schema.fields else None
        return str(key) if key else json_text(row)

    def first_day_of_night(self, settings: SyncSettings, last_day: date) -> date:
        """Return the first day that a night walks again."""
        return max(settings.first_day, last_day - timedelta(days=self.look_back_days(settings)))
