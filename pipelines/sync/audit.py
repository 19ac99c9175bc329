"""Follows figures back to what the platform signed: replay of windows from raw pages, trace of an operation.

Nothing here asks the platform, and nothing is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.sync import windows
from pipelines.sync.normalize import Batch, identity, normalize_operations, unite
from resources.data_api import signature
from resources.warehouse.engine import Warehouse
from resources.warehouse.load import rows_digest, staged_differences


@dataclass
class Replay:
    """What was rebuilt from raw pages, and every difference from the ledger and the store, one line each."""

    windows: int = 0
    pages: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Sighting:
    """A state of an operation as stored, and the signed page that brought it (None: no longer kept)."""

    account: str
    observed_at: datetime
    known_to: datetime | None
    window_id: int
    stored: str
    page: str | None
    row: dict[str, Any] | None
    signed: bool


def replay(
    warehouse: Warehouse, account: str, secret: str, first: date, last: date, tell: Callable[[str], None]
) -> Replay:
    """Rebuild every complete window that touches the days from its raw pages, and hold it against the store.

    A window is equal when its pages are untouched and signed, its rows have the ledger's digest, and the store
    holds each of them as it was at the time it was observed.
    """
    asked = windows.of_days(first, last)
    result = Replay()
    for entry in warehouse.query("ledger/windows_between", account=account, first=asked.first, last=asked.last):
        problems = list(_problems_of(warehouse, entry, secret, result))
        result.windows += 1
        result.problems += [f"window {entry.window_id} ({entry.interval_from:%Y-%m-%d}): {text}" for text in problems]
        if problems:
            tell(result.problems[-1])
    return result


def _problems_of(warehouse: Warehouse, entry: Any, secret: str, result: Replay) -> Iterator[str]:
    pages = warehouse.query("ledger/pages_of_window", window_id=entry.window_id)
    if not pages and entry.rows_met:
        yield f"its raw pages are gone, so its {entry.rows_met} rows cannot be replayed"
        return
    batches: list[Batch] = []
    for page in pages:
        body = body_of(page)
        if hashlib.sha256(body).digest() != page.body_sha256 or not signature.verify(body, secret):
            yield f"page {page.page_id} is not what the platform signed (or was signed with another secret)"
            return
        rows = signature.decode(body, secret)["operations"]
        batches.append(normalize_operations(rows, page.requested_at.astimezone(UTC)))
    batch = unite(batches)
    result.pages += len(pages)
    result.rows += len(batch.frame)
    table = pa.Table.from_pandas(batch.frame, preserve_index=False)
    if rows_digest(table) != entry.rows_digest:
        yield "the rows of its pages do not have the digest of the ledger"
    for difference in staged_differences(warehouse, entry.account, entry.window_id, table):
        yield f"operation {difference.operation_id} is {difference.reason}"


def trace(warehouse: Warehouse, operation_id: str, secret: str) -> list[Sighting]:
    """Return every state of an operation, oldest first, with the signed page it came from."""
    states = warehouse.query("ledger/states_of_operation", operation_id=operation_id)
    return [_sighting(warehouse, state, operation_id, secret) for state in states]


def _sighting(warehouse: Warehouse, state: Any, operation_id: str, secret: str) -> Sighting:
    found, row, signed = None, None, False
    for page in warehouse.query("ledger/pages_of_window", window_id=state.window_id):
        if page.requested_at != state.observed_at:
            continue
        body = body_of(page)
        signed = signature.verify(body, secret)
        row = _row_in(body, operation_id)
        if row is not None:
            found = (
                f"page {page.page_id}: {page.endpoint} {page.request}, requested {page.requested_at:%Y-%m-%d %H:%M:%S} "
                f"UTC, {page.row_count} rows, SHA-256 {page.body_sha256.hex()}, signature {page.signature[:16]}…, "
                f"request {page.request_id or 'without an id'}"
            )
            break
    stored = f"{state.operation_status}, {state.sum_initial_amount} minor units of {state.sum_initial_currency}"
    return Sighting(
        state.account,
        state.observed_at,
        state.known_to,
        state.window_id,
        stored,
        found,
        row,
        signed and row is not None,
    )


def _row_in(body: bytes, operation_id: str) -> dict[str, Any] | None:
    rows = json.loads(body, parse_float=Decimal)["operations"]
    return next((row for row in rows if identity(row) == operation_id), None)


def body_of(page: Any) -> bytes:
    """Return the body of a row of raw.pages, as the platform sent it."""
    return bytes(pa.decompress(page.body_zstd, page.body_bytes, "zstd", asbytes=True))
