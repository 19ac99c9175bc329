"""What a stream declares, and what is kept of a verified answer to it: typed rows, the signed body, a page of the walk.

The streams themselves stand each in its module, all of them in `registry`. The engine walks any stream in
the same way, and the loader, replay and checks take what they need from it.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.normalize import Batch, normalize, normalize_columns
from pipelines.ingest.schema import Schema, json_text
from pipelines.ingest.walk import Page
from pipelines.ingest.windows import LONGEST, Window
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.load import RawPage, Total, compress

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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


@dataclass(frozen=True)
class FetchedPage:
    """What one answer brought: typed rows and rejects, and the body as it was signed."""

    batch: Batch
    raw: RawPage


def page_of(stream: Stream, answer: Answer) -> Page[FetchedPage]:
    """Return an answer of the stream's endpoint as a page of the walk."""
    ids, batch = _typed(stream, answer)
    return Page(ids=ids, payload=FetchedPage(batch, raw_page(answer, len(ids))), span=_span(batch, stream.time_column))


def _typed(stream: Stream, answer: Answer) -> tuple[tuple[str, ...], Batch]:
    if answer.rows is not None:
        batch = normalize_columns(stream.schema, answer.rows, answer.requested_at)
        if batch is not None:
            return tuple(batch.table[stream.key].to_pylist()), batch
    rows = stream.rows(answer.document)
    return tuple(map(stream.identity, rows)), normalize(stream.schema, rows, answer.requested_at)


def raw_page(answer: Answer, row_count: int) -> RawPage:
    """Return the answer's signed body for raw.pages; its request is kept without token and signature."""
    return RawPage(
        endpoint=answer.endpoint,
        request=answer.request,
        requested_at=answer.requested_at,
        received_at=answer.received_at,
        row_count=row_count,
        body_bytes=len(answer.body),
        body_sha256=hashlib.sha256(answer.body).digest(),
        signature=answer.signature,
        body_zstd=compress(answer.body),
        request_id=answer.request_id,
    )


def _span(batch: Batch, time_column: str | None) -> tuple[datetime, datetime] | None:
    """Return about between which times the rows lie; a few that were completed long before do not widen it."""
    if time_column is None:
        return None
    times = np.sort(pc.cast(batch.table[time_column], pa.int64()).drop_null().to_numpy())
    if not len(times):
        return None
    lower, upper = int(times[len(times) // 4]), int(times[3 * len(times) // 4])
    beyond = (upper - lower) // 2
    try:
        return EPOCH + timedelta(microseconds=lower - beyond), EPOCH + timedelta(microseconds=upper + beyond)
    except OverflowError:  # times such as 9999-12-31: then they tell nothing
        return None
