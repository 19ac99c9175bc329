"""From a verified answer to what is kept of it: the page for the walk, the typed batch, the signed body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from pipelines.sync.normalize import Batch
from pipelines.sync.streams import Stream
from pipelines.sync.walk import Page
from resources.data_api.client import Answer
from resources.warehouse.load import RawPage, compress


@dataclass(frozen=True)
class Kept:
    """What one answer brought: typed rows and rejects, and the body as it was signed."""

    batch: Batch
    raw: RawPage


def page_of(stream: Stream, answer: Answer) -> Page[Kept]:
    """Return an answer of the stream's endpoint as a page of the walk."""
    rows = answer.document[stream.rows_key]
    batch = stream.normalize(rows, answer.requested_at)
    return Page(
        ids=tuple(map(stream.identity, rows)),
        payload=Kept(batch, raw_page(answer, len(rows))),
        span=_span(batch, stream.time_column),
    )


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
        signature=str(answer.document["signature"]),
        body_zstd=compress(answer.body),
        request_id=answer.request_id,
    )


def _span(batch: Batch, time_column: str) -> tuple[datetime, datetime] | None:
    """Return about between which times the rows lie; a few that were completed long before do not widen it."""
    times = batch.frame[time_column].dropna().sort_values()
    if times.empty:
        return None
    lower, upper = times.iloc[len(times) // 4], times.iloc[3 * len(times) // 4]
    beyond = (upper - lower) / 2
    try:
        return (lower - beyond).to_pydatetime(), (upper + beyond).to_pydatetime()
    except (ValueError, OverflowError):  # times such as 9999-12-31: then they tell nothing
        return None
