"""The incremental streams: what each asks, how its rows are told apart and typed, where they go.

The engine (`operations`) walks any of them in the same way; nothing here asks or stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from pipelines.ingest.fraud_rows import fraud_identity, normalize_fraud, unite_fraud
from pipelines.ingest.normalize import Batch, identity, normalize_columns, normalize_operations, unite
from pipelines.ingest.windows import LONGEST, Window
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse import targets
from resources.warehouse.targets import Target


@dataclass(frozen=True)
class PageRequest:
    """One page of a window: which projects (none: all that the token may see), where it begins, how many rows."""

    window: Window
    project_ids: tuple[int, ...]
    offset: int
    limit: int


@dataclass(frozen=True)
class Stream:
    """Rows that the platform gives by intervals of time and by pages."""

    name: str  # as in the ledger
    ask: Callable[[DataApi, SyncSettings, PageRequest], Answer]
    rows_of: Callable[[dict[str, Any]], list[Any]]  # of a verified answer
    identity: Callable[[Any], str]
    normalize: Callable[[Sequence[Any], datetime], Batch]
    normalize_columns: Callable[[pa.StructArray, datetime], Batch | None]  # the same of columns; None: not possible
    unite: Callable[[Sequence[Batch]], Batch]
    time_column: str | None  # tells about how dense a window is
    target: Target
    look_back: Callable[[SyncSettings], int]  # days that every night walks again
    optional: bool = False  # most tokens have no right to it: a refusal skips it
    access: str = ""  # a sentence: which right it takes
    snapshot: bool = False  # what it shows now, without an interval
    pages: bool = True  # else one answer holds all of a window
    longest: int = LONGEST  # seconds of a window
    shortest: int = 1  # seconds of a window that is not cut, however much it holds


def _operations_in(document: dict[str, Any]) -> list[Any]:
    return list(document["operations"])


def _ask_operations(api: DataApi, settings: SyncSettings, ask: PageRequest) -> Answer:
    return api.operations(
        ask.window.first,
        ask.window.last,
        offset=ask.offset,
        limit=ask.limit,
        project_ids=ask.project_ids,
        fields=settings.fields,
    )


def _ask_fraud(api: DataApi, _: SyncSettings, ask: PageRequest) -> Answer:
    return api.fraud(ask.window.first, ask.window.last, offset=ask.offset, limit=ask.limit)


OPERATIONS = Stream(
    name="operations",
    ask=_ask_operations,
    rows_of=_operations_in,
    identity=identity,
    normalize=normalize_operations,
    normalize_columns=normalize_columns,
    unite=unite,
    time_column="operation_completed_at",
    target=targets.OPERATIONS,
    look_back=lambda settings: settings.look_back_days,
)
FRAUD = Stream(
    name="fraud",
    ask=_ask_fraud,
    rows_of=_operations_in,  # so the platform calls the list of reports
    identity=fraud_identity,
    normalize=normalize_fraud,
    normalize_columns=lambda _rows, _observed_at: None,  # few rows, of many kinds
    unite=unite_fraud,
    time_column="received_on",
    target=targets.FRAUD,
    look_back=lambda settings: settings.fraud_look_back_days,
    optional=True,
    access=(
        "Reports of fraud need the role Risks or Merchant admin: grant it to the token's user (My team → the user's "
        "tab), or set SYNC_FRAUD=off."
    ),
)
STREAMS = {stream.name: stream for stream in (OPERATIONS, FRAUD)}
