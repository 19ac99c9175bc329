"""Holds a stored day against a fresh, independent walk of it; writes the proof, never an operation.

The walk is the engine's (`pipelines.sync.walk`); what is compared is in sql/reconciliation.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from pipelines.recon.books import note_run, step
from pipelines.sync import windows
from pipelines.sync.answers import Kept, page_of
from pipelines.sync.normalize import Batch, unite
from pipelines.sync.personal import protect
from pipelines.sync.streams import OPERATIONS, Ask
from pipelines.sync.walk import DEEPEST, Doubt, Page, Restless, TooDense, settle
from pipelines.sync.windows import SECOND, Window
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError, SyncError
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.budget import TokenBudget
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.load import stage_rows
from resources.warehouse.runs import run_under_way

STREAM = "completeness"


@dataclass
class Rewalk:
    """What a walk without writing met; `restless`: the first interval not shown complete, and why."""

    batch: Batch
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
        ConfigError: the day is not over at the platform.
        Retryable, Permanent, WarehouseUnavailable: no proof was written.
    """
    window = day_window(warehouse, settings.account, day)
    started = datetime.now(UTC)
    walked = _recorded_rewalk(api, warehouse, settings, window, day)
    table = pa.Table.from_pandas(walked.batch.frame, preserve_index=False)
    with warehouse.transaction() as connection:
        stage_rows(connection, settings.account, table)
        step(connection, "003_analyze_staging")
        (row,) = step(
            connection,
            "004_compare_walk",
            account=settings.account,
            first=window.first,
            last=window.last,
        )
        report = _report(walked, row._asdict())
        run(
            connection,
            "reconciliation/005_add_completeness",
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


def _recorded_rewalk(api: DataApi, warehouse: Warehouse, settings: SyncSettings, window: Window, day: date) -> Rewalk:
    """Walk as a run of its own, so that its requests are in the ledger."""
    with (
        api.run(TokenBudget(warehouse, settings.account), settings.requests_in_flight) as run_api,
        run_under_way(warehouse, account=settings.account, stream=STREAM, interval=None) as run_id,
    ):
        counts = run_api.counts
        try:
            _assert_over(run_api, window, day)
            walked = rewalk(run_api, settings, window)
        except BaseException as error:
            message = str(error) if isinstance(error, SyncError) else type(error).__name__
            with suppress(SyncError):  # the first failure is the one to tell of
                ledger.finish_run(warehouse, run_id, "failed", message, counts.total, counts.by_endpoint())
            raise
        ledger.finish_run(warehouse, run_id, "complete", None, counts.total, counts.by_endpoint())
        return walked


def _assert_over(api: DataApi, window: Window, day: date) -> None:
    if api.last_second_over(window.last) < window.last:
        raise ConfigError(f"{day} is not over: reconcile it when it is.")


def day_window(warehouse: Warehouse, account: str, day: date) -> Window:
    """Return the seconds of a business day, in UTC."""
    (bounds,) = warehouse.query("reconciliation/002_day_bounds", account=account, day=day)
    return Window(bounds.starts_at.astimezone(UTC), bounds.ends_at.astimezone(UTC) - SECOND)


def rewalk(api: DataApi, settings: SyncSettings, window: Window) -> Rewalk:
    """Walk `window` as the sync does, cut where it must be, and keep the rows in memory."""
    result = Rewalk(unite([]))
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
    result.batch = protect(unite(batches), settings.personal)
    return result


def _fetch(api: DataApi, settings: SyncSettings, window: Window, offset: int, limit: int) -> Page[Kept]:
    return page_of(OPERATIONS, OPERATIONS.ask(api, settings, Ask(window, (), offset, limit)))


def _report(walked: Rewalk, row: dict[str, Any]) -> CompletenessReport:
    rejected = len(walked.batch.rejects)
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
