"""From a verified answer to what is kept of it: the page for the walk, the typed rows, the signed body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.normalize import Batch, normalize, normalize_columns
from pipelines.ingest.streams import Stream
from pipelines.ingest.walk import Page
from resources.data_api.client import Answer
from resources.warehouse.load import RawPage, compress

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
        return _moment(lower - beyond), _moment(upper + beyond)
    except OverflowError:  # times such as 9999-12-31: then they tell nothing
        return None


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
