"""Ties the engine together: plans windows, walks several at once, loads each in one transaction.

What a window and a walk are is in `windows` and `walk`; what is requested, and what a row becomes, is in `streams`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import ceil
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from pipelines.ingest import windows
from pipelines.ingest.forecast import LogProgress, Progress
from pipelines.ingest.normalize import concat, normalize
from pipelines.ingest.privacy import mask, unknown_columns, without_body
from pipelines.ingest.streams import FetchedPage, PageRequest, Stream, page_of
from pipelines.ingest.walk import (
    CONTRADICTED,
    DEEPEST,
    MOVED,
    SHORTEST,
    Complete,
    Fetch,
    Page,
    Suspicion,
    TooDense,
    Unstable,
    fetch_whole,
    walk_until_stable,
)
from pipelines.ingest.windows import Pieces, Queue, Window, pieces_for
from resources.data_api import signature
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.errors import ConfigError, Incomplete
from resources.output import bind_log, log_commit
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import ControlTotal, LoadReport, Neighbours, RowCounts, Scope, Sums, WalkRecord
from resources.warehouse.load import load_window, readable_body, row_keys
from resources.warehouse.locks import BackfillThrottle, TokenBudget, open_locks

T = TypeVar("T")

FIRST_IN_FLIGHT = 4  # windows, until one of them has shown how long it waits
PROCESSORS = 2  # that windows keep busy: this process and PostgreSQL
MAY_BE_CUT = timedelta(days=14)  # of a longer one the row that tells how to cut it is asked for while its head comes
RELEASED_AFTER = 2  # windows: to give back the memory of each takes a twentieth of all time
LOADED_AT_ONCE = 2  # windows: one is made ready while PostgreSQL writes another


class Workers(Protocol):
    """What carries out the work of several windows at once, and waits for it."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Let a worker do this."""

    def first_done(self, futures: Collection[Future[Any]]) -> Collection[Future[Any]]:
        """Wait until some of these are done, and return those."""

    def shutdown(self, *, wait: bool = True, cancel_futures: bool = False) -> None:
        """Take no more work; let what has not begun be, if asked."""


class Threads(ThreadPoolExecutor):
    """Workers that are threads."""

    def __init__(self, most: int, name: str) -> None:
        super().__init__(most, thread_name_prefix=name)

    def first_done(self, futures: Collection[Future[Any]]) -> Collection[Future[Any]]:
        """Wait until some of these are done, and return those."""
        return wait(futures, return_when=FIRST_COMPLETED).done


class WindowStore(Protocol[T]):
    """Where the windows of one run are committed, each with all that it brought or not at all."""

    def load(self, record: WalkRecord, pages: list[Page[T]]) -> LoadReport:
        """Commit a complete walk: its rows and its verdict."""

    def add_incomplete(self, record: WalkRecord) -> None:
        """Commit the verdict of a walk that could not be shown complete."""

    def cancel(self) -> None:
        """End what other threads are executing, so that nobody waits for it."""


@dataclass(frozen=True)
class SyncRequest:
    """Which UTC days (both included) of which projects (none: all that the token may see; fraud knows none)."""

    first_day: date
    last_day: date
    project_ids: tuple[int, ...] = ()
    dagster_run_id: str | None = None
    refusal_is_failure: bool = False  # of a stream that most tokens may not see


@dataclass(frozen=True)
class SyncReport(RowCounts):
    """What a sync of one stream did; `skipped`: why it loaded nothing, and need not."""

    run_id: int
    window: Window
    windows: int = 0
    resumed_windows: int = 0
    requests: int = 0
    requests_in_flight: int = 0  # of the token, that were found to go well
    totals: tuple[ControlTotal, ...] = ()  # once it has ended
    skipped: str | None = None

    def __add__(self, loaded: LoadReport) -> SyncReport:
        """Count the rows of a committed window in."""
        counts = {item.name: getattr(self, item.name) + getattr(loaded, item.name) for item in fields(RowCounts)}
        return replace(self, windows=self.windows + 1, **counts)


def sync(
    stream: Stream,
    request: SyncRequest,
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    progress: Progress | None = None,
) -> SyncReport:
    """Load a stream's rows of the days asked for; return when every window is complete and committed.

    Days that are not over are walked up to the last second that is over at the platform; of a snapshot, what it shows
    now. A run that was killed is continued: what it committed within the last day is not walked again, but for the
    days of the stream's look-back, which change. A stream that most tokens may not see is skipped if the platform
    refuses it, unless that is a failure or it was loaded before.

    Raises:
        ConfigError: the days make no sense; nothing was sent or written.
        Incomplete: some window could not be shown complete; the rest is committed, the ledger names the holes.
        Unauthorized: the platform refused; the message names the right that the stream takes, if it takes one.
        Retryable, Permanent, WarehouseUnavailable: the sync stopped; what was committed stays.
    """
    pa.set_memory_pool(pa.system_memory_pool())  # gives back what is freed; Arrow's own keeps a quarter more
    days = request.first_day, request.last_day
    today = datetime.now(UTC).date()
    if not days[0] <= days[1] or days[0] > today:
        raise ConfigError(f"no day to sync: {days[0]} to {days[1]} (today is {today}, UTC).")
    account, look_back = settings.account, stream.look_back_days(settings)
    projects = tuple(sorted(set(request.project_ids)))
    interval = None if stream.is_snapshot else windows.interval_of_days(*days)
    with (
        api.run(TokenBudget(warehouse, account), settings.requests_in_flight) as run_api,
        open_locks(warehouse, account, stream.name) as locks,
    ):
        throttle = locks.begin(*days, settings, look_back)
        done = ledger.windows_already_done(
            warehouse, account, interval, projects, look_back, stream.name, now=api.client.clock.now()
        )
        with ledger.run(
            warehouse,
            run_api.counts,
            account=account,
            stream=stream.name,
            interval=interval,
            project_ids=projects,
            dagster_run_id=request.dagster_run_id,
            locks=locks,
        ) as run:
            ledger.note_resumed_windows(warehouse, run.run_id, done)
            walker = Walker(stream, run_api, settings, page_of, projects)
            neighbours = Neighbours(done, partial(_keys_of, warehouse, stream))
            store = WarehouseWindows(warehouse, stream, replace(run.scope, neighbours=neighbours), settings)
            engine = Engine(walker, store, run.run_id, throttle, progress or LogProgress())
            try:
                return engine.load(request, [Window(window.interval_from, window.interval_to) for window in done])
            except Unauthorized as error:
                was_held = stream.optional and ledger.was_loaded(warehouse, account, stream.name)
                if not stream.optional or request.refusal_is_failure or was_held:
                    raise
                run.skipped = str(error)
                return SyncReport(run.run_id, windows.of_days(*days), skipped=run.skipped)


@dataclass(frozen=True)
class Walked(Generic[T]):
    """How the walk of a window ended: with all of its pages, why it is not complete, or how to cut it."""

    window: Window
    outcome: Complete[T] | Unstable | Pieces
    began: float  # instants of the client's clock
    ended: float
    waited: float  # seconds, for its turns and for the platform


@dataclass
class Walker(Generic[T]):
    """Walks windows of a stream; what one meets of a server that is not to be trusted, the next ones know.

    `read` makes pages of answers.
    """

    stream: Stream
    api: DataApi
    settings: SyncSettings
    read: Callable[[Stream, Answer], Page[T]]
    project_ids: tuple[int, ...] = ()
    suspicion: Suspicion = field(default_factory=Suspicion)

    def walk(self, window: Window, deepest: Future[Answer] | None = None) -> Walked[T]:
        """Walk a window; `deepest` is what `ask` brings of its row at `DEEPEST`, where that was asked for already."""
        clock, waits = self.api.client.clock, list[float]()
        began = clock.instant()

        def fetch(offset: int, limit: int) -> Page[T]:
            asked = clock.instant()
            if deepest and (offset, limit) == (DEEPEST, 1):
                answer = deepest.result()
                waits.append(clock.instant() - asked)  # not how long it took, beside the first page
            else:
                answer = self.ask(window, offset, limit)
                waits.append(answer.waited)
            return self.read(self.stream, answer)

        outcome = self._outcome(window, fetch)
        return Walked(window, outcome, began, clock.instant(), sum(waits))

    def ask(self, window: Window, offset: int, limit: int) -> Answer:
        """Ask for a page of a window."""
        return self.stream.request(self.api, self.settings, PageRequest(window, self.project_ids, offset, limit))

    def _outcome(self, window: Window, fetch: Fetch[T]) -> Complete[T] | Unstable | Pieces:
        if not self.stream.has_pages:
            return fetch_whole(fetch, self.suspicion)
        shortest = self.stream.shortest
        can_be_cut = window.seconds > shortest
        outcome = walk_until_stable(fetch, window.length if can_be_cut else SHORTEST, self.suspicion)
        if isinstance(outcome, TooDense):
            return pieces_for(window, outcome.rows, outcome.span, at_least=DEEPEST, shortest=shortest)
        if isinstance(outcome, Unstable) and can_be_cut and outcome.reason != CONTRADICTED:
            return pieces_for(window, shortest=shortest)
        return outcome


class WindowsInFlight:
    """How many windows are walked at once, at most `most`: as many as keep the processors busy beside their waiting.

    Of a window that takes a second and waits for the platform nine tenths of it, twenty do; where answers come at
    once, three, and more would only fill the memory.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._working: float | None = None  # share of a window's time in which it does not wait

    @property
    def limit(self) -> int:
        """How many it is now."""
        return min(self._most, FIRST_IN_FLIGHT if self._working is None else ceil(PROCESSORS / self._working))

    def learn(self, lasted: float, waited: float) -> None:
        """Learn from a window, in seconds: it counts as much as all before."""
        if lasted > 0:
            working = max(1 - waited / lasted, PROCESSORS / self._most)
            self._working = working if self._working is None else (self._working + working) / 2


@dataclass
class Engine(Generic[T]):
    """The work of one run: its queue of windows, its report. It decides; what it works with is given."""

    walker: Walker[T]
    store: WindowStore[T]
    run_id: int
    throttle: BackfillThrottle | None
    progress: Progress
    workers: Callable[[int, str], AbstractContextManager[Workers]] = Threads
    incomplete: list[tuple[Window, Unstable]] = field(default_factory=list)
    sums: Sums = field(default_factory=Sums)  # of all committed windows

    def __post_init__(self) -> None:
        self.stream, self.api, self.settings = self.walker.stream, self.walker.api, self.walker.settings
        self.at_once = WindowsInFlight(self.settings.windows_in_flight)

    def load(self, request: SyncRequest, done: Sequence[Window]) -> SyncReport:
        """Walk and load what is not done of the days."""
        whole = self._whole(request)
        holes = windows.without(whole, done)
        self.report = SyncReport(self.run_id, whole, resumed_windows=len(done))
        try:
            self.progress.begin(whole, holes)
            self._work([window for hole in holes for window in windows.plan(hole, self.stream.longest)])
        finally:
            self.progress.end()
        if self.incomplete:
            raise Incomplete(_incomplete_message(self.incomplete))
        return replace(
            self.report,
            requests=self.api.counts.total,
            requests_in_flight=self.api.client.concurrency.limit,
            totals=self.sums.totals(),
        )

    def _whole(self, request: SyncRequest) -> Window:
        """Return the window of the days as far as they are over; of a snapshot, what seems to be the present second."""
        if self.stream.is_snapshot:
            return _second_of(self.api.client.clock.now())
        days = windows.of_days(request.first_day, request.last_day)
        last = self.api.last_second_over(days.last)
        if last < days.first:
            raise ConfigError(f"no second of {days.first:%Y-%m-%d} is over at the platform: sync it later.")
        return Window(days.first, last)

    def _work(self, planned: list[Window]) -> None:
        """Walk several windows at once and load what was walked, until none is left; a failure stops the rest."""
        queue = Queue(planned)
        walks: dict[Future[Walked[T]], Pieces] = {}
        loads: dict[Future[tuple[Window, LoadReport | Unstable]], Walked[T]] = {}
        most = self.settings.windows_in_flight
        long = {window for window in planned if self.stream.has_pages and window.length > MAY_BE_CUT}
        with self.workers(most, "walk") as walkers, self.workers(LOADED_AT_ONCE, "load") as loaders:
            try:
                while queue or walks or loads:
                    while queue and self._may_start(queue.next(), len(walks) + len(loads)):
                        window, pieces = queue.take()
                        deepest = walkers.submit(self._ask_deepest, window) if window in long else None
                        walks[walkers.submit(self._walk, window, deepest)] = pieces
                    for future in walkers.first_done([*walks, *loads]):
                        if future in loads:
                            self._on_done(loads.pop(future))
                            self._count(*future.result())
                            continue
                        pieces, walked = walks.pop(future), future.result()
                        if isinstance(walked.outcome, Complete):
                            pieces.learn(walked.window, walked.outcome.rows)
                        if isinstance(walked.outcome, Pieces):
                            self._on_done(walked)
                            queue.cut(walked.window, walked.outcome, pieces)
                        else:
                            loads[loaders.submit(self._commit, walked, walked.outcome)] = walked
            except BaseException as error:
                self.api.stop()  # or an answer that takes minutes would be waited for
                if not isinstance(error, Exception):  # somebody stops us: nor wait for a lock
                    loaders.shutdown(wait=False, cancel_futures=True)
                    self.store.cancel()
                raise

    def _may_start(self, window: Window, in_flight: int) -> bool:
        if in_flight >= self.at_once.limit:
            return False
        if self.throttle is None:
            return True
        has_room = in_flight < self.throttle.windows_in_flight()
        return has_room and self.throttle.acquire(*window.days(), is_first=not in_flight)

    def _on_done(self, walked: Walked[T]) -> None:
        if self.throttle:
            self.throttle.release(*walked.window.days())
        self.at_once.learn(self.api.client.clock.instant() - walked.began, walked.waited)

    def _count(self, window: Window, outcome: LoadReport | Unstable) -> None:
        if isinstance(outcome, Unstable):
            self.incomplete.append((window, outcome))
            return
        self.report += outcome
        if self.report.windows % RELEASED_AFTER == 0:
            pa.default_memory_pool().release_unused()
        self.sums.add(outcome.totals)
        if self.stream.is_snapshot:
            self.report = replace(self.report, window=window)
        self.progress.committed(window, outcome)
        log_commit(self.run_id, window, outcome)

    def _ask_deepest(self, window: Window) -> Answer:
        bind_log(run_id=self.run_id, window=window)
        return self.walker.ask(window, DEEPEST, 1)

    def _walk(self, window: Window, deepest: Future[Answer] | None) -> Walked[T]:
        bind_log(run_id=self.run_id, window=window)
        return self.walker.walk(window, deepest)

    def _commit(self, walked: Walked[T], outcome: Complete[T] | Unstable) -> tuple[Window, LoadReport | Unstable]:
        """Commit a verdict; return its window, which of a snapshot is the second in which its walk began."""
        bind_log(run_id=self.run_id, window=walked.window)
        clock, window = self.api.client.clock, walked.window
        started = clock.at(walked.began)  # only the answers tell the platform's time
        if self.stream.is_snapshot:
            window = _second_of(started)
        else:
            self.api.assert_over(window.last)
        record = _record(window, started, clock.at(walked.ended), outcome)
        if isinstance(outcome, Unstable):
            self.store.add_incomplete(record)
            return window, outcome
        return window, self.store.load(record, outcome.pages)


@dataclass(frozen=True)
class WarehouseWindows:
    """The windows of one run in PostgreSQL."""

    warehouse: Warehouse
    stream: Stream
    scope: Scope
    settings: SyncSettings

    def load(self, record: WalkRecord, pages: list[Page[FetchedPage]]) -> LoadReport:
        """Commit a complete walk: its rows and its verdict."""
        personal = self.settings.personal
        rows = mask(concat(self.stream.schema, [page.payload.batch for page in pages]), personal)
        raw = [without_body(page.payload.raw, personal) for page in pages]
        unknown = unknown_columns(self.stream.unrequested(raw[0].request) if raw else (), personal)
        pages.clear()  # what waits for the commits of other windows is in memory once
        return load_window(
            self.warehouse, self.stream, self.scope, record, rows.frame, rows.rejects, raw, unrequested=unknown
        )

    def add_incomplete(self, record: WalkRecord) -> None:
        """Commit the verdict of a walk that could not be shown complete."""
        ledger.add_incomplete_window(self.warehouse, self.scope, record)

    def cancel(self) -> None:
        """Cancel the statements of the other threads."""
        self.warehouse.cancel()


def _keys_of(warehouse: Warehouse, stream: Stream, window_id: int) -> frozenset[str]:
    """Return the keys of a committed window from its raw pages; none where bodies are not kept."""
    pages = warehouse.query("warehouse/ledger/pages_of_window", window_id=window_id)
    batches = [
        normalize(stream.schema, stream.rows(signature.parsed(body)), page.requested_at)
        for page in pages
        if page.body_zstd is not None and (body := readable_body(page)) is not None
    ]
    rows = concat(stream.schema, batches)
    return row_keys(stream, rows.frame, rows.rejects)


def _second_of(moment: datetime) -> Window:
    second = moment.replace(microsecond=0)
    return Window(second, second)


def _record(window: Window, started: datetime, ended: datetime, outcome: Complete[Any] | Unstable) -> WalkRecord:
    """Return what the ledger keeps of a walk; its times are the platform's."""
    return WalkRecord(
        interval_from=window.first,
        interval_to=window.last,
        walk_started_at=started,
        walk_ended_at=ended,
        walks=outcome.walks if isinstance(outcome, Complete) else outcome.drifts,
        drifts=outcome.drifts,
        pages=len(outcome.pages) if isinstance(outcome, Complete) else 0,
        requests=outcome.requests,
        incomplete_because=outcome.reason if isinstance(outcome, Unstable) else None,
    )


def _incomplete_message(incomplete: Sequence[tuple[Window, Unstable]]) -> str:
    """Return the message of a run with windows that could not be shown complete."""
    window, outcome = incomplete[0]
    advice = "Run the same command again."
    if outcome.reason != MOVED:
        advice = "Running again helps only once the platform's paging is right: show its support this interval."
    return (
        f"{len(incomplete)} window{'s' if len(incomplete) > 1 else ''} could not be shown complete, the first: "
        f"{window} ({outcome.reason}); all others are stored. {advice}"
    )
