"""The store against the signed raw pages: windows rebuilt, compared and repaired; one operation traced to its pages.

Nothing here calls the platform.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from pipelines.ingest import windows
from pipelines.ingest.normalize import Batch, concat, normalize
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.registry import all_streams
from pipelines.ingest.streams import Stream
from resources.data_api import signature
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import deleted_because_of_age
from resources.warehouse.load import (
    WindowRows,
    control_totals,
    merge_again,
    pages_digest,
    readable_body,
    rows_digest,
    staged_differences,
)

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 20  # differences of one window that are reported one by one
BEGINNING, END = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


@dataclass
class Replay:
    """What was rebuilt from raw pages, and every difference from the ledger and the store, one line each."""

    windows: int = 0
    pages: int = 0
    rows: int = 0
    problems: list[str] = field(default_factory=list)
    differences: int = 0
    deleted_windows: int = 0  # whose raw pages were deleted because of their age
    not_kept: int = 0  # windows without bodies (SYNC_PERSONAL_DATA): not compared
    erased: int = 0  # windows with a page that a person's data was taken out of (sync.erasures): not compared
    damaged: dict[str, set[str]] = field(default_factory=dict)  # stream → keys whose states are not as rebuilt

    def differ(self, line: str) -> str:
        """Take in a difference of a whole window; return its line."""
        self.differences += 1
        self.problems.append(line)
        return line

    def differ_rows(self, stream: Stream, where: str, rows: Sequence[Any]) -> list[str]:
        """Take in rows whose states are not as rebuilt; return their lines."""
        self.differences += len(rows)
        self.damaged.setdefault(stream.name, set()).update(row.key for row in rows)
        lines = [f"{where}{stream.row_name} {row.key} is {row.reason}" for row in rows[:SHOWN]]
        if len(rows) > SHOWN:
            lines.append(f"{where}and {len(rows) - SHOWN:,} more")
        self.problems += lines
        return lines


@dataclass(frozen=True)
class Repair:
    """What was put back into the store, and what could not be."""

    rows: int
    states_put_back: int
    states_removed: int
    impossible: tuple[str, ...]


@dataclass(frozen=True)
class Unusable:
    """Why a window cannot be rebuilt from its pages: by what was done to them, and in words.

    `altered`: they are not those that it was read from. The others are no tampering: `deleted` because of their age,
    `erased`: a person's data was taken out of one; `not kept`: bodies were not kept (SYNC_PERSONAL_DATA hash or drop;
    where they are, so are the personal columns, and what is rebuilt is what was stored, whatever the setting is now).
    """

    kind: Literal["altered", "deleted", "erased", "not kept"]
    why: str = ""


@dataclass(frozen=True)
class Rebuilt:
    """A window's typed rows, from its pages."""

    rows: WindowRows
    pages: int


class SharedRows:
    """Which rows of a window a neighbour has counted, by the rule of the load, in its order.

    A neighbour is a window of the same run, or one that this run did not walk again: `resumed`, as pairs of a window
    and the run.
    """

    def __init__(self, entries: Sequence[Any], resumed: Sequence[Any] = ()) -> None:
        self._windows = Counter(edge for entry in entries for edge in self._edges(entry, entry.run_id))
        self._at: dict[tuple[int, datetime], set[str] | None] = {}
        self._runs: dict[int, list[int]] = {}
        for row in resumed:
            self._runs.setdefault(row.window_id, []).append(row.run_id)

    def counted(self, entry: Any, keys: Sequence[str] | None) -> set[str] | None:
        """Return those of `keys` that neighbours counted; None: not known, since what they held cannot be read."""
        own = None if keys is None else set(keys)
        shared: set[str] | None = set()
        for edge in self._edges(entry, entry.run_id):
            if edge in self._at:
                theirs = self._at.pop(edge)
                shared = None if shared is None or theirs is None or own is None else shared | (own & theirs)
            elif self._windows[edge] > 1:
                self._at[edge] = own
        for run_id in self._runs.get(entry.window_id, ()):
            self._at |= {edge: own for edge in self._edges(entry, run_id) if self._windows[edge]}
        return shared

    @staticmethod
    def _edges(entry: Any, run_id: int) -> set[tuple[int, datetime]]:
        return {(run_id, entry.interval_from), (run_id, entry.interval_to)}


class Replayer:
    """Rebuilds windows of one account; `secret` verifies the pages' signatures."""

    def __init__(self, warehouse: Warehouse, account: str, secret: str) -> None:
        self.warehouse = warehouse
        self.account = account
        self.secret = secret
        self.streams = all_streams(warehouse, account)
        self.deleted = deleted_because_of_age(warehouse, account)

    def replay(self, first: date, last: date, notify: Callable[[str], None]) -> Replay:
        """Rebuild every complete window that touches the days, of every stream, and compare it with the store.

        A window is equal when its pages are those of the ledger, untouched and signed; its rows have the ledger's
        digest; those that no neighbour has counted have its control totals; the store holds each row as it was at the
        time it was observed; and every state that the store ascribes to the window is one of them.
        """
        interval = windows.of_days(first, last)
        result = Replay()
        for stream in self.streams.values():
            for line in self._compared(stream, self._entries(stream, interval.first, interval.last), result):
                notify(line)
        return result

    def _compared(self, stream: Stream, entries: Sequence[Any], result: Replay) -> Iterator[str]:
        """Compare the windows of a stream; yield what is to be reported at once."""
        run_ids = sorted({entry.run_id for entry in entries})
        shared = SharedRows(entries, self.warehouse.query("warehouse/ledger/resumed_windows", run_ids=run_ids))
        for entry in entries:
            outcome = self._rebuilt(stream, entry)
            keys = list(outcome.rows.frame[stream.key]) if isinstance(outcome, Rebuilt) else None
            counted = shared.counted(entry, keys)
            if entry.only_boundary:  # a neighbour of the days
                continue
            result.windows += 1
            where = f"window {entry.window_id} ({stream.name}, {entry.interval_from:%Y-%m-%d}): "
            match outcome:
                case Rebuilt():
                    yield from self._differences(stream, entry, outcome, counted, where, result)
                case Unusable("altered", why):
                    yield result.differ(f"{where}{why}")
                case Unusable("deleted", why):
                    result.deleted_windows += 1
                    yield f"{where}{why}"
                case Unusable("erased"):
                    result.erased += 1
                case Unusable("not kept"):
                    result.not_kept += 1
        if any(not entry.only_boundary for entry in entries):
            orphans = self.warehouse.query(stream.sql("orphans"), account=self.account, stream=stream.name)
            yield from result.differ_rows(stream, "", orphans)

    def repair(self, damaged: dict[str, set[str]]) -> Repair:
        """Build all states of the damaged rows again from every signed page that holds them, through the same merge.

        A row with a state from a window whose pages are not usable is left as it is, and named.
        """
        rows = put_back = removed = 0
        impossible: list[str] = []
        for name, keys in damaged.items():
            stream = self.streams[name]
            walks, unusable = self._walks_of(stream, keys)
            left = {state.key for state in self._states(stream, keys) if state.window_id in unusable}
            impossible += [f"{name} {key}" for key in sorted(left)]
            chosen = sorted(keys - left)
            filtered = [_only(rows, stream.key, set(chosen)) for rows in walks]
            added, gone = merge_again(self.warehouse, stream, self.account, chosen, filtered)
            rows, put_back, removed = rows + len(chosen), put_back + added, removed + gone
        return Repair(rows, put_back, removed, tuple(impossible))

    def _entries(self, stream: Stream, first: datetime, last: datetime) -> list[Any]:
        return self.warehouse.query(
            "warehouse/ledger/windows_between", account=self.account, stream=stream.name, first=first, last=last
        )

    def _states(self, stream: Stream, keys: set[str]) -> list[Any]:
        return self.warehouse.query(stream.sql("states"), account=self.account, stream=stream.name, keys=sorted(keys))

    def _differences(
        self, stream: Stream, entry: Any, rebuilt: Rebuilt, counted: set[str] | None, where: str, result: Replay
    ) -> Iterator[str]:
        """Compare a rebuilt window with ledger and store; `counted`: keys that count in a neighbour, if known."""
        own = self._own(stream, entry, rebuilt.rows.frame, counted or set())
        result.pages += rebuilt.pages
        result.rows += len(own)
        totals = set(ledger.control_totals_of(entry.totals_met))
        if rows_digest(rebuilt.rows.frame) != entry.rows_digest:
            yield result.differ(f"{where}the rows of its pages do not have the digest of the ledger")
        elif counted is not None and set(control_totals(stream, own)) != totals:
            yield result.differ(f"{where}the rows of its pages do not have the control totals of the ledger")
        found = staged_differences(self.warehouse, stream, self.account, rebuilt.rows)
        yield from result.differ_rows(stream, where, found)

    def _own(self, stream: Stream, entry: Any, frame: pd.DataFrame, counted: set[str]) -> pd.DataFrame:
        """Return the rows that count in this window: those that no neighbour counted, and those that it changed."""
        if not counted:
            return frame
        states = self._states(stream, counted)
        theirs = counted - {state.key for state in states if state.window_id == entry.window_id}
        return frame[~frame[stream.key].isin(theirs)]

    def _rebuilt(self, stream: Stream, entry: Any) -> Rebuilt | Unusable:
        """Return the rows of a window from its raw pages, or why they cannot be had."""
        pages = self.warehouse.query("warehouse/ledger/pages_of_window", window_id=entry.window_id)
        if any(page.erased_at for page in pages):
            return Unusable("erased")
        are_the_ledgers = entry.pages_digest is None or pages_digest(pages) == entry.pages_digest
        if (entry.rows_met and not pages) or not are_the_ledgers:
            deleted = self.deleted if self.deleted and entry.walk_started_at < self.deleted[0] else None
            if deleted or not pages:
                how = f"were deleted after {deleted[1]} days (SYNC_RAW_DAYS)" if deleted else "are gone"
                why = f"its raw pages {how}, so its {entry.rows_met} rows cannot be replayed"
                return Unusable("deleted" if deleted else "altered", why)
        has_bodies = all(page.body_zstd is not None for page in pages)
        batches: list[Batch] = []
        for page in pages if has_bodies else ():
            body = _body_as_received(page)
            if body is None or not signature.verify(body, self.secret):
                signed = f"page {page.page_id} is not what the platform signed (or was signed with another secret)"
                return Unusable("altered", signed)
            rows = stream.rows(signature.decode(body, self.secret))
            batches.append(normalize(stream.schema, rows, page.requested_at.astimezone(UTC)))
        if not are_the_ledgers:
            return Unusable("altered", "its raw pages are not those that the ledger names: some were added or removed")
        if not has_bodies:
            return Unusable("not kept")
        unrequested = stream.unrequested(pages[0].request) if pages else ()
        return Rebuilt(WindowRows(entry.window_id, concat(stream.schema, batches).frame, unrequested), len(pages))

    def _walks_of(self, stream: Stream, keys: set[str]) -> tuple[list[WindowRows], set[int]]:
        """Return the rows of the keys in each walk that met any, in order, and the windows that cannot be read."""
        walks: list[WindowRows] = []
        unusable: set[int] = set()
        for entry in self._entries(stream, BEGINNING, END):
            outcome = self._rebuilt(stream, entry)
            if isinstance(outcome, Unusable):
                unusable.add(entry.window_id)
            elif len((rows := _only(outcome.rows, stream.key, keys)).frame):
                walks.append(rows)
        return walks, unusable


def _body_as_received(page: Any) -> bytes | None:
    """Return the body of a page; None: it cannot be read, or is not the one that was stored."""
    body = readable_body(page)
    return body if body is not None and hashlib.sha256(body).digest() == page.body_sha256 else None


def _only(rows: WindowRows, column: str, keys: set[str]) -> WindowRows:
    return replace(rows, frame=rows.frame[rows.frame[column].isin(keys)])


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
    pages = warehouse.query("warehouse/ledger/pages_of_window", window_id=state.window_id)
    for page in (page for page in pages if page.requested_at == state.observed_at):
        name, digest = f"page {page.page_id}", f"SHA-256 {page.body_sha256.hex()}"
        if page.erased_at:
            found = f"{name}: a person's data was erased from it on {page.erased_at:%Y-%m-%d}"
            continue
        if page.body_zstd is None:
            found = f"{name}: its body was not kept (SYNC_PERSONAL_DATA), {digest}"
            continue
        body = _body_as_received(page)
        if body is None:
            found, damaged = f"{name}: its body is not what was stored, {digest}: damaged", True
            break
        row = _row_in(body, operation_id)
        if row is not None:
            signed = signature.verify(body, secret)
            found = (
                f"{name}: {page.endpoint} {page.request}, requested {page.requested_at:%Y-%m-%d %H:%M:%S} UTC, "
                f"{page.row_count} rows, {digest}, signature {page.signature[:16]}…, "
                f"request {page.request_id or 'without an id'}"
            )
            break
    deleted = deleted_because_of_age(warehouse, state.account) if found is None else None
    stored = f"{state.operation_status}, {state.sum_initial_amount} minor units of {state.sum_initial_currency}"
    of_state = {name: getattr(state, name) for name in ("account", "observed_at", "known_to", "window_id")}
    days = deleted[1] if deleted and state.observed_at < deleted[0] else None
    return Sighting(
        **of_state, stored=stored, page=found, row=row, signed=signed, deleted_after_days=days, damaged=damaged
    )


def _row_in(body: bytes, operation_id: str) -> dict[str, Any] | None:
    rows = json.loads(body, parse_float=Decimal)["operations"]
    return next((row for row in rows if OPERATIONS.identity(row) == operation_id), None)
