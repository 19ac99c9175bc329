"""Follows a stored operation back to the signed pages it came from. Replaying whole windows is in `replay`.

Nothing here calls the platform, and nothing is written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from pipelines.ingest.operations import OPERATIONS
from resources.data_api import signature
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import deleted_because_of_age
from resources.warehouse.load import readable_body


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
    deleted_after_days: int | None  # the page is no longer kept because of its age
    damaged: bool = False  # the page is there, but its body is not what was stored, or cannot be read


def trace(warehouse: Warehouse, account: str, operation_id: str, secret: str) -> list[Sighting]:
    """Return every state of an account's operation, oldest first, with the signed page it came from."""
    states = warehouse.query("warehouse/ledger/states_of_operation", account=account, operation_id=operation_id)
    return [_sighting(warehouse, state, operation_id, secret) for state in states]


def _sighting(warehouse: Warehouse, state: Any, operation_id: str, secret: str) -> Sighting:
    found, row, signed, damaged = None, None, False, False
    for page in warehouse.query("warehouse/ledger/pages_of_window", window_id=state.window_id):
        if page.requested_at != state.observed_at:
            continue
        if page.erased_at:
            found = f"page {page.page_id}: a person's data was erased from it on {page.erased_at:%Y-%m-%d}"
            continue
        if page.body_zstd is None:
            found = f"page {page.page_id}: its body was not kept (SYNC_PERSONAL_DATA), SHA-256 {page.body_sha256.hex()}"
            continue
        body = readable_body(page)
        if body is None or hashlib.sha256(body).digest() != page.body_sha256:
            found = f"page {page.page_id}: its body is not what was stored, SHA-256 {page.body_sha256.hex()}: damaged"
            damaged = True
            break
        signed = signature.verify(body, secret)
        row = _row_in(body, operation_id)
        if row is not None:
            found = (
                f"page {page.page_id}: {page.endpoint} {page.request}, requested {page.requested_at:%Y-%m-%d %H:%M:%S} "
                f"UTC, {page.row_count} rows, SHA-256 {page.body_sha256.hex()}, signature {page.signature[:16]}…, "
                f"request {page.request_id or 'without an id'}"
            )
            break
    deleted = deleted_because_of_age(warehouse, state.account) if found is None else None
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
        deleted[1] if deleted and state.observed_at < deleted[0] else None,
        damaged,
    )


def _row_in(body: bytes, operation_id: str) -> dict[str, Any] | None:
    rows = json.loads(body, parse_float=Decimal)["operations"]
    return next((row for row in rows if OPERATIONS.identity(row) == operation_id), None)
