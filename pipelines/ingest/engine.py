"""Ties the engine together: plans windows, walks several at once, loads each in one transaction.

What a window and a walk are is in `windows` and `walk`; what is asked, and what a row becomes, is in `streams`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from pipelines.ingest import windows
from pipelines.ingest.memory import return_what_is_freed
from pipelines.ingest.normalize import concat
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.pages import FetchedPage, page_of
from pipelines.ingest.privacy import mask, unknown_columns, without_body
from pipelines.ingest.progress import LogProgress, Progress
from pipelines.ingest.streams import PageRequest, Stream
from pipelines.ingest.verdicts import record_of, what_is_incomplete, what_stopped_it
from pipelines.ingest.walk import DEEPEST, SHORTEST, Doubt, Page, Restless, Settled, TooDense, ask_once, settle
from pipelines.ingest.windows import Window
from resources import log
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError, Incomplete, SyncError
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.gates import Gate, open_gate
from resources.warehouse.ledger import ControlTotal, LoadReport, Scope
from resources.warehouse.load import load_window
from resources.warehouse.rate_limit import TokenBudget
from resources.warehouse.runs import run_under_way


@dataclass(frozen=True)
class OperationsRequest:
    """Which UTC days (both included) of which projects (none: all that the token may see; fraud knows none)."""

    first_day: date
    last_day: date
    project_ids: tuple[int, ...] = ()
    dagster_run_id: str | None = None


@dataclass
class SyncReport:
    """What a sync of one stream did."""

    run_id: int
    window: Window
    windows: int = 0
    resumed_windows: int = 0
    requests: int = 0
    rows_met: int = 0
    rows_new: int = 0
    rows_changed: int = 0
    rows_unchanged: int = 0
    rows_rejected: int = 0
    incomplete: list[str] = field(default_factory=list)
    why_incomplete: Restless | None = None  # of the first of them
    totals: dict[tuple[str | None, str | None, str | None], ControlTotal] = field(default_factory=dict)

    def add(self, report: LoadReport) -> None:
        """Count a committed window in."""
        self.windows += 1
        for name in ("rows_met", "rows_new", "rows_changed", "rows_unchanged", "rows_rejected"):
            setattr(self, name, getattr(self, name) + getattr(report, name))
        for total in report.totals:
            self._add_total(total)

    def _add_total(self, total: ControlTotal) -> None:
        key = (total.currency, total.type, total.status)
        before = self.totals.get(key)
        if before is None:
            self.totals[key] = total
            return
        minors = [minor for minor in (before.minor, total.minor) if minor is not None]
        self.totals[key] = ControlTotal(*key, before.count + total.count, sum(minors) if minors else None)


def sync_operations(
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    request: OperationsRequest,
    progress: Progress | None = None,
) -> SyncReport:
    """Load all operations of the days asked for; return when every window is complete and committed.

    Days that are not over are walked up to the current second. A run that was killed is continued: what it
    committed within the last day is not walked again, but for the days of the look-back, which change.

    Raises:
        ConfigError: the days make no sense; nothing was asked or written.
        Incomplete: some window could not be shown complete; the rest is committed, the ledger names the holes.
        Retryable, Permanent, WarehouseUnavailable: the sync stopped; what was committed stays.
    """
    return sync_stream(OPERATIONS, api, warehouse, settings, request, progress)


def sync_stream(
    stream: Stream,
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    request: OperationsRequest,
    progress: Progress | None = None,
) -> SyncReport:
    """Load the days asked for of any stream; `sync_operations` tells what that promises and raises."""
    now = _now()
    if not request.first_day <= request.last_day or request.first_day > now.date():
        raise ConfigError(f"no day to sync: {request.first_day} to {request.last_day} (today is {now:%Y-%m-%d}, UTC).")
    asked = windows.of_days(request.first_day, request.last_day)
    return_what_is_freed()
    sync = _Sync(stream, api, warehouse, settings, request, progress or LogProgress())
    return sync.run(asked, min(asked.last, now))


def sync_snapshot(
    stream: Stream,
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    dagster_run_id: str | None = None,
    progress: Progress | None = None,
) -> SyncReport:
    """Load what a stream without intervals shows now: a window of the present second, which cannot be cut."""
    now = _now()
    request = OperationsRequest(now.date(), now.date(), (), dagster_run_id)
    sync = _Sync(stream, api, warehouse, settings, request, progress or LogProgress())
    return sync.run(Window(now, now), now, is_snapshot=True)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


class _Sync:
    """One run: its scope, its queue of windows, its report."""

    def __init__(
        self,
        stream: Stream,
        api: DataApi,
        warehouse: Warehouse,
        settings: SyncSettings,
        request: OperationsRequest,
        progress: Progress,
    ) -> None:
        self.stream = stream
        self.api = api
        self.warehouse = warehouse
        self.settings = settings
        self.request = request
        self.progress = progress
        self.doubt = Doubt()

    def run(self, asked: Window, until: datetime, *, is_snapshot: bool = False) -> SyncReport:
        """Hold the locks of the days and of the run, and do the work."""
        account, projects = self.settings.account, tuple(sorted(set(self.request.project_ids)))
        name = self.stream.name
        self.api.client.pace.shared = TokenBudget(self.warehouse, account)
        with open_gate(self.warehouse, self.settings, asked.first.date(), asked.last.date(), name) as gate:
            look_back = self.stream.look_back_days(self.settings)
            done = ledger.windows_already_done(
                self.warehouse, account, (asked.first, asked.last), projects, look_back, name
            )
            with run_under_way(
                self.warehouse,
                account=account,
                stream=name,
                interval=None if is_snapshot else (asked.first, asked.last),
                project_ids=projects,
                dagster_run_id=self.request.dagster_run_id,
            ) as run_id:
                report = SyncReport(run_id, Window(asked.first, until), resumed_windows=len(done))
                self._fill(gate, Scope(account, run_id, projects, name), report, done)
        return report

    def _fill(self, gate: Gate, scope: Scope, report: SyncReport, done: Sequence[tuple[datetime, datetime]]) -> None:
        """Walk what is not done, and write how the run ended."""
        holes = windows.without(report.window, [Window(first, last) for first, last in done])
        try:
            self.progress.begin(report.window, holes)
            planned = [window for hole in holes for window in windows.plan(hole, self.stream.longest)]
            self._work(gate, scope, report, planned)
        except BaseException as error:
            message = str(error) if isinstance(error, SyncError) else what_stopped_it(error)
            self._finish(report, "failed", message)
            raise
        finally:
            self.api.client.resume()  # nothing is under way any more; another stream may ask
            self.progress.end()
        if report.incomplete:
            self._finish(report, "incomplete", report.incomplete[0])
            raise Incomplete(what_is_incomplete(report.incomplete, report.why_incomplete))
        self._finish(report, "complete", None)

    def _finish(self, report: SyncReport, state: ledger.RunState, message: str | None) -> None:
        report.requests = self.api.client.requests_sent
        try:
            counts = self.api.client.take_counts()
            ledger.finish_run(self.warehouse, report.run_id, state, message, report.requests, counts)
        except SyncError:
            if state == "complete":  # else the first failure is the one to tell of
                raise

    def _work(self, gate: Gate, scope: Scope, report: SyncReport, todo: Sequence[Window]) -> None:
        """Keep several windows in flight until none is left; the first failure stops the rest."""
        queue = deque(todo)
        with ThreadPoolExecutor(self.settings.windows_in_flight, thread_name_prefix="window") as pool:
            flying: dict[Future[LoadReport | Restless | list[Window]], Window] = {}
            try:
                while queue or flying:
                    while queue and len(flying) < gate.windows_in_flight():
                        if not gate.enter(*queue[0].days(), alone=not flying):
                            break
                        window = queue.popleft()
                        flying[pool.submit(self._walk_and_load, scope, window)] = window
                    landed, _ = wait(flying, return_when=FIRST_COMPLETED)
                    for future in landed:
                        window = flying.pop(future)
                        gate.leave(*window.days())
                        self._land(report, queue, window, future.result())
            except BaseException:
                self.api.client.abort()  # or an answer that takes minutes would be waited for
                raise

    def _land(
        self,
        report: SyncReport,
        queue: deque[Window],
        window: Window,
        outcome: LoadReport | Restless | list[Window],
    ) -> None:
        if isinstance(outcome, LoadReport):
            report.add(outcome)
            self.progress.committed(window, outcome)
            log.committed(report.run_id, window, outcome)
        elif isinstance(outcome, Restless):
            report.incomplete.append(str(window))
            report.why_incomplete = report.why_incomplete or outcome
        else:
            queue.extendleft(reversed(outcome))

    def _walk_and_load(self, scope: Scope, window: Window) -> LoadReport | Restless | list[Window]:
        """Return the report of a committed window, its pieces when it must be cut, why when incomplete."""
        log.bind(run_id=scope.run_id, window=window)
        started = datetime.now(UTC)
        can_be_cut = window.seconds > self.stream.shortest
        outcome = self._settle(scope, window, can_be_cut=can_be_cut)
        if isinstance(outcome, TooDense):
            return windows.cut(window, windows.pieces_for(window, outcome.rows, outcome.span, DEEPEST))
        if isinstance(outcome, Restless) and can_be_cut and not outcome.contradiction:
            return windows.cut(window, 2)
        record = record_of(window, started, outcome)
        if isinstance(outcome, Restless):
            ledger.add_incomplete_window(self.warehouse, scope, record)
            return outcome
        personal = self.settings.personal
        rows = mask(concat(self.stream.schema, [page.payload.batch for page in outcome.pages]), personal)
        pages = [without_body(page.payload.raw, personal) for page in outcome.pages]
        unknown = unknown_columns(self.stream.unrequested(pages[0].request) if pages else (), personal)
        return load_window(
            self.warehouse, self.stream, scope, record, rows.frame, rows.rejects, pages, unrequested=unknown
        )

    def _settle(
        self, scope: Scope, window: Window, *, can_be_cut: bool
    ) -> Settled[FetchedPage] | TooDense[FetchedPage] | Restless:
        def fetch(offset: int, limit: int) -> Page[FetchedPage]:
            return self._fetch(scope, window, offset, limit)

        if not self.stream.has_pages:
            return ask_once(fetch, self.doubt)
        return settle(fetch, window.length if can_be_cut else SHORTEST, self.doubt)

    def _fetch(self, scope: Scope, window: Window, offset: int, limit: int) -> Page[FetchedPage]:
        answer = self.stream.request(self.api, self.settings, PageRequest(window, scope.project_ids, offset, limit))
        return page_of(self.stream, answer)
