"""Holds a stored day against a fresh, independent walk of it; writes the proof, never an operation.

The walk is the engine's (`pipelines.ingest.walk`); what is compared is in sql/reconciliation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import orjson

from pipelines.ingest import windows
from pipelines.ingest.normalize import Batch, Frame, concat
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.pages import FetchedPage, page_of
from pipelines.ingest.privacy import mask, unknown_columns
from pipelines.ingest.streams import PageRequest
from pipelines.ingest.walk import DEEPEST, Doubt, Page, Restless, TooDense, settle
from pipelines.ingest.windows import SECOND, Window
from pipelines.reconciliation.matching import note_run
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.load import stage_rows


@dataclass
class Rewalk:
    """What a walk without writing met; `restless`: the first interval not shown complete, and why."""

    rows: Frame
    requests: int = 0
    restless: str | None = None


@dataclass(frozen=True)
class CompletenessReport:
    """The proof, as recon.completeness keeps it."""

    verdict: str
    reason: str | None
    requests: int
    rows_walked: int
    rows_rejected: int
    rows_missing: int
    rows_differing: int
    rows_gone: int
    rows_moved: int
    totals_walked: list[dict[str, Any]]
    totals_stored: list[dict[str, Any]]
    digest_walked: str
    digest_stored: str


def prove_completeness(api: DataApi, warehouse: Warehouse, settings: SyncSettings, day: date) -> CompletenessReport:
    """Walk a business day again and compare it with the store by control totals, digest and row by row.

    Raises:
        ConfigError: the day is not over.
        Retryable, Permanent, WarehouseUnavailable: no proof was written.
    """
    window = day_window(warehouse, settings.account, day)
    started = datetime.now(UTC)
    if window.last >= started:
        raise ConfigError(f"{day} is not over: reconcile it when it is.")
    walked = rewalk(api, settings, window)
    with warehouse.transaction() as connection:
        stage_rows(connection, OPERATIONS, settings.account, walked.rows.frame)
        run(connection, "reconciliation/completeness/analyze_staging")
        (row,) = run(
            connection,
            "reconciliation/completeness/compare_walk",
            account=settings.account,
            first=window.first,
            last=window.last,
            unrequested=list(unknown_columns(OPERATIONS.unrequested({"fields": settings.fields}), settings.personal)),
        )
        report = _report(walked, row._asdict())
        run(
            connection,
            "reconciliation/completeness/add_completeness",
            account=settings.account,
            day=day,
            walked_at=started,
            first=window.first,
            last=window.last,
            **asdict(report)
            | {
                "totals_walked": orjson.dumps(report.totals_walked).decode(),
                "totals_stored": orjson.dumps(report.totals_stored).decode(),
            },
        )
        figures = {"verdict": report.verdict, "rows_walked": report.rows_walked}
        note_run(connection, settings.account, day, "completeness", started, figures)
    return report


def day_window(warehouse: Warehouse, account: str, day: date) -> Window:
    """Return the seconds of a business day, in UTC."""
    (bounds,) = warehouse.query("reconciliation/matching/day_bounds", account=account, day=day)
    return Window(bounds.starts_at.astimezone(UTC), bounds.ends_at.astimezone(UTC) - SECOND)


def rewalk(api: DataApi, settings: SyncSettings, window: Window) -> Rewalk:
    """Walk `window` as the sync does, cut where it must be, and keep the rows in memory."""
    result = Rewalk(concat(OPERATIONS.schema, []))
    batches: list[Batch] = []
    queue = deque([window])
    doubt = Doubt()
    while queue:
        piece = queue.popleft()
        outcome = settle(partial(_fetch, api, settings, piece), piece.length, doubt)
        result.requests += outcome.requests
        if isinstance(outcome, TooDense):
            pieces = windows.cut(piece, windows.pieces_for(piece, outcome.rows, outcome.span, DEEPEST))
            queue.extendleft(reversed(pieces))
        elif isinstance(outcome, Restless) and piece.length > timedelta(seconds=1) and not outcome.contradiction:
            queue.extendleft(reversed(windows.cut(piece, 2)))
        elif isinstance(outcome, Restless):
            result.restless = result.restless or f"{piece}: {outcome.why}"
        else:
            batches += [page.payload.batch for page in outcome.pages]
    result.rows = mask(concat(OPERATIONS.schema, batches), settings.personal)
    return result


def _fetch(api: DataApi, settings: SyncSettings, window: Window, offset: int, limit: int) -> Page[FetchedPage]:
    return page_of(OPERATIONS, OPERATIONS.request(api, settings, PageRequest(window, (), offset, limit)))


def _report(walked: Rewalk, row: dict[str, Any]) -> CompletenessReport:
    rejected = len(walked.rows.rejects)
    faults = [
        f"{count:,} operations {what}"
        for what, count in (
            ("are missing in the store", row["rows_missing"]),
            ("are stored otherwise", row["rows_differing"]),
            ("are stored and no longer met", row["rows_gone"]),
        )
        if count
    ]
    if walked.restless:
        verdict, reason = "incomplete", f"not shown complete: {walked.restless}"
    elif faults:
        verdict = "differs"
        reason = f"{', '.join(faults)}, the first: {row['first_difference']}; load the day again"
    else:
        verdict, reason = "complete", None
    del row["first_difference"]
    return CompletenessReport(verdict=verdict, reason=reason, requests=walked.requests, rows_rejected=rejected, **row)
