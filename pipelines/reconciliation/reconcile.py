"""The three legs of a day's reconciliation: its completeness, the own books (in `matching`), its balances.

Completeness compares a stored day with a fresh, independent walk of it by the engine's `Walker`; it writes the proof,
never an operation. Balances are rolled forward: opening snapshot + movements = closing snapshot, the residue shown.
Which operations move which balance is not documented by the platform: recon.balance_rules says so, by default as
docs/reconciliation.md does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Literal

import orjson

from pipelines.ingest import windows
from pipelines.ingest.engine import Walker
from pipelines.ingest.normalize import concat
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.privacy import mask, unknown_columns
from pipelines.ingest.streams import FetchedPage, page_of
from pipelines.ingest.walk import Unstable
from pipelines.ingest.windows import Pieces, Queue, Window
from pipelines.reconciliation import breaks
from pipelines.reconciliation.matching import LedgerReport, reconcile_ledger
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.load import lines_to_stage, stage_rows
from resources.warehouse.locks import TokenBudget

if TYPE_CHECKING:
    import pandas as pd

Leg = Literal["completeness", "books", "balances"]
LEGS: tuple[Leg, ...] = ("completeness", "books", "balances")
STREAM = "completeness"
MOST_IN_MEMORY = 64 * 2**20


@dataclass(frozen=True)
class DayReport:
    """What was found about a business day; None: this leg was not asked for."""

    day: date
    completeness: CompletenessReport | None
    books: LedgerReport | None
    balances: BalancesFigures | None


def reconcile_day(
    api: DataApi | None, warehouse: Warehouse, settings: SyncSettings, day: date, legs: tuple[Leg, ...] = LEGS
) -> DayReport:
    """Reconcile a business day that is over; `api` is needed for completeness only.

    Raises:
        ConfigError: the day is not over.
        Retryable, Permanent, WarehouseUnavailable: the legs before this one stand, this one and those behind do not.
    """
    account = settings.account
    return DayReport(
        day,
        prove_completeness(api, warehouse, settings, day) if "completeness" in legs and api else None,
        reconcile_ledger(warehouse, account, day, settings.recon_cutoff_minutes) if "books" in legs else None,
        roll_forward(warehouse, account, day) if "balances" in legs else None,
    )


def is_over(warehouse: Warehouse, account: str, day: date) -> bool:
    """Return whether a business day has ended in the reporting zone."""
    return day_window(warehouse, account, day).last <= datetime.now(UTC)


def is_proved(warehouse: Warehouse, account: str, day: date) -> bool:
    """Return whether the latest walk of a business day found the store complete."""
    states = warehouse.query("reconciliation/close/close_state", account=account, day=day)
    return any(state.completeness == "complete" for state in states)


def changed_since_closed(warehouse: Warehouse, account: str) -> list[date]:
    """Return the closed days of which something became known since they were last held against the own books."""
    return [row.day for row in warehouse.query("reconciliation/reconcile/changed_since_closed", account=account)]


@dataclass
class Rescan:
    """A walk that loads nothing: what it counted, and the first interval that it could not show complete, and why."""

    requests: int = 0
    rejects: set[str] = field(default_factory=set)
    unstable: str | None = None

    def walk(self, walker: Walker[FetchedPage], window: Window) -> Iterator[pd.DataFrame]:
        """Walk `window` as the sync does, cut where it must be, and yield the rows of each piece."""
        queue = Queue(windows.plan(window))
        while queue:
            piece, pieces = queue.take()
            outcome = walker.walk(piece).outcome
            if isinstance(outcome, Pieces):
                queue.cut(piece, outcome, pieces)
            elif isinstance(outcome, Unstable):
                self.unstable = self.unstable or f"{piece}: {outcome.reason}"
            else:
                pieces.learn(piece, outcome.rows)
                pages = [page.payload.batch for page in outcome.pages]
                rows = mask(concat(OPERATIONS.schema, pages), walker.settings.personal)
                self.rejects.update(reject.raw_json for reject in rows.rejects)
                yield rows.frame
        self.requests = walker.api.counts.total


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

    The walk is a run of its own in the ledger. What it meets goes window by window into a temporary file: a transaction
    that is open as long as the platform takes to answer would keep PostgreSQL from removing dead rows.

    Raises:
        ConfigError: the day is not over at the platform.
        Retryable, Permanent, WarehouseUnavailable: no proof was written.
    """
    account = settings.account
    window, clock = day_window(warehouse, account, day), api.client.clock
    began = clock.instant()
    with (
        api.run(TokenBudget(warehouse, account), settings.requests_in_flight) as run_api,
        ledger.run(warehouse, run_api.counts, account=account, stream=STREAM),
        SpooledTemporaryFile(max_size=MOST_IN_MEMORY) as lines,
    ):
        if run_api.last_second_over(window.last) < window.last:
            raise ConfigError(f"{day} is not over: reconcile it when it is.")
        rescan = Rescan()
        for frame in rescan.walk(Walker(OPERATIONS, run_api, settings, page_of), window):
            lines.write(lines_to_stage(frame, account))
        run_api.assert_over(window.last)
        return _compare_and_record(warehouse, settings, day, window, clock.at(began), rescan, lines)


def _compare_and_record(
    warehouse: Warehouse,
    settings: SyncSettings,
    day: date,
    window: Window,
    started: datetime,
    rescan: Rescan,
    lines: IO[bytes],
) -> CompletenessReport:
    account = settings.account
    with warehouse.transaction() as connection:
        stage_rows(connection, OPERATIONS, lines)
        run(connection, "reconciliation/reconcile/keep_last_observed")
        (row,) = run(
            connection,
            "reconciliation/reconcile/compare_walk",
            account=account,
            first=window.first,
            last=window.last,
            unrequested=list(unknown_columns(OPERATIONS.unrequested({"fields": settings.fields}), settings.personal)),
        )
        report = _report(rescan, row._asdict())
        totals = {name: orjson.dumps(getattr(report, name)).decode() for name in ("totals_walked", "totals_stored")}
        run(
            connection,
            "reconciliation/reconcile/add_completeness",
            account=account,
            day=day,
            walked_at=started,
            first=window.first,
            last=window.last,
            **asdict(report) | totals,
        )
        figures = {"verdict": report.verdict, "rows_walked": report.rows_walked}
        breaks.record_run(connection, account, day, "completeness", started, figures)
    return report


def day_window(warehouse: Warehouse, account: str, day: date) -> Window:
    """Return a business day, up to the midnight after it, in UTC."""
    (bounds,) = warehouse.query("reconciliation/matching/day_bounds", account=account, day=day)
    return Window(bounds.starts_at.astimezone(UTC), bounds.ends_at.astimezone(UTC))


def _report(rescan: Rescan, row: dict[str, Any]) -> CompletenessReport:
    kinds = {
        "rows_missing": "are missing in the store",
        "rows_differing": "are stored otherwise",
        "rows_gone": "are stored and no longer met",
    }
    faults = [f"{row[name]:,} operations {what}" for name, what in kinds.items() if row[name]]
    if rescan.unstable:
        verdict, reason = "incomplete", f"not shown complete: {rescan.unstable}"
    elif faults:
        verdict = "differs"
        reason = f"{', '.join(faults)}, the first: {row['first_difference']}; load the day again"
    else:
        verdict, reason = "complete", None
    del row["first_difference"]
    return CompletenessReport(verdict, reason, rescan.requests, rows_rejected=len(rescan.rejects), **row)


@dataclass(frozen=True)
class BalancesFigures:
    """How many balances were rolled forward, by outcome."""

    balances: int
    explained: int
    lag: int
    unexplained: int
    without_snapshot: int


def roll_forward(warehouse: Warehouse, account: str, day: date) -> BalancesFigures:
    """Roll the balances of a business day forward and save them with their breaks; a second time changes nothing.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing of the day was changed.
    """
    started = datetime.now(UTC)
    with warehouse.transaction() as connection:
        breaks.begin(connection, account)
        (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
        run(connection, "reconciliation/reconcile/tables")
        run(connection, "reconciliation/reconcile/snapshots", account=account, **bounds._asdict())
        run(connection, "reconciliation/reconcile/movements", account=account, day=day)
        run(connection, "reconciliation/reconcile/basis", account=account, day=day)
        run(connection, "reconciliation/reconcile/roll_forward", account=account, day=day)
        run(connection, "reconciliation/reconcile/drop_rolled", account=account, day=day)
        run(connection, "reconciliation/reconcile/save_rolled")
        run(connection, "reconciliation/reconcile/break_balance", day=day)
        breaks.save(connection, account, day, balances=True)
        (row,) = run(connection, "reconciliation/reconcile/figures_balances")
        figures = BalancesFigures(**row._asdict())
        breaks.record_run(connection, account, day, "balances", started, figures)
    return figures
