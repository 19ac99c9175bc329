"""Loads one window in one transaction: rows, versions, rejects, raw pages and the verdict, or nothing at all.

The frame's columns are those of the stream's table between account and first_seen_at, in that order
(`pipelines.ingest.schema`); what the statements do is in the stream's file of sql/ingest, and in sql/warehouse/load.
"""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Protocol

import orjson
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

import sql
from resources.errors import WarehouseBroken
from resources.warehouse.engine import Warehouse, affect, driver_of, run, run_many
from resources.warehouse.ledger import (
    ControlTotal,
    LoadReport,
    Scope,
    TotalKey,
    WalkRecord,
    add_window,
    next_window_id,
    sum_totals,
    written_totals,
)

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection, Row

COPIED_AT_ONCE = 2**20
CSV = csv.WriteOptions(include_header=False)


@dataclass(frozen=True)
class Total:
    """The columns of a table whose values its control totals are taken by; None: there is none."""

    currency: str | None
    type: str | None
    status: str | None
    minor: str | None


class Loadable(Protocol):
    """What loading needs to know of a stream (`pipelines.ingest.streams.Stream`)."""

    @property
    def name(self) -> str:
        """Its name in the ledger."""

    @property
    def key(self) -> str:
        """The column that, with the account, identifies a row."""

    @property
    def total(self) -> Total:
        """The columns of its control totals."""

    def sql(self, statement: str) -> str:
        """Return the name of one of its statements."""


@dataclass(frozen=True)
class Reject:
    """A row that could not be typed: why, its JSON, and the column that the reason speaks of."""

    reason: str
    raw_json: str
    observed_at: datetime
    field: str | None = None


@dataclass(frozen=True)
class RawPage:
    """An answer as the platform signed it, compressed with zstd, and the request it answers."""

    endpoint: str
    request: dict[str, Any]
    requested_at: datetime
    received_at: datetime
    row_count: int
    body_bytes: int
    body_sha256: bytes
    signature: str
    body_zstd: bytes | None  # None: not kept (SYNC_PERSONAL_DATA)
    request_id: str | None = None  # as in the log


@dataclass(frozen=True)
class WindowRows:
    """The rows that one window observed, and the columns that its requests did not ask for."""

    window_id: int
    frame: pd.DataFrame
    unrequested: Sequence[str] = ()


def compress(body: bytes) -> bytes:
    """Compress a body for raw.pages."""
    return bytes(pa.compress(body, codec="zstd", asbytes=True))


def body_of(page: Any) -> bytes:
    """Return the body of a row of raw.pages, as the platform sent it."""
    return bytes(pa.decompress(page.body_zstd, page.body_bytes, "zstd", asbytes=True))


def readable_body(page: Any) -> bytes | None:
    """Return the body as `body_of` does; None: what is stored cannot be decompressed any more."""
    try:
        return body_of(page)
    except (OSError, ValueError):
        return None


def row_keys(stream: Loadable, frame: pd.DataFrame, rejects: Iterable[Reject]) -> frozenset[str]:
    """Return what identifies the rows of a window, those among them that could not be typed."""
    return frozenset([*_values(frame, stream.key), *(reject.raw_json for reject in rejects)])


def load_window(
    warehouse: Warehouse,
    stream: Loadable,
    scope: Scope,
    walk: WalkRecord,
    frame: pd.DataFrame,
    rejects: Sequence[Reject],
    pages: Sequence[RawPage],
    unrequested: Sequence[str] = (),
) -> LoadReport:
    """Commit a complete walk into the stream's table. `frame` holds each row once, sorted by the stream's key.

    A column of `unrequested` that came empty is unknown: it overwrites nothing, and is no change.

    What a neighbour has counted counts here only if it has changed since.

    Raises:
        WarehouseUnavailable: the database failed; nothing of the window is stored.
        WarehouseBroken: what PostgreSQL received differs from what was sent; nothing is stored.
    """
    table = _arrow(frame)
    digest = _rows_digest(table)
    keys = row_keys(stream, frame, rejects)
    with warehouse.transaction() as connection:
        window_id = next_window_id(connection)
        lines = _lines(table, scope.account, window_id)  # before the lock, which the other windows wait for
        run(connection, "warehouse/load/lock_account", account=scope.account)
        run(connection, "warehouse/load/plan_by_key")
        counted = scope.neighbours.counted(connection, walk, window_id, keys)
        rejected = sum(reject.raw_json not in counted for reject in rejects)
        report = LoadReport(window_id, rows_met=rejected, rows_rejected=rejected)
        if counted:
            is_shared = frame[stream.key].isin(counted)
            shared_lines = _lines(_arrow(frame[is_shared]), scope.account, window_id)
            report = _merge_shared(connection, stream, report, shared_lines, unrequested)
            frame = frame[~is_shared]
            lines = _lines(_arrow(frame), scope.account, window_id)
        totals = control_totals(stream, frame)
        report = replace(report, rows_met=report.rows_met + len(frame), totals=sum_totals(report.totals, totals))
        all_new = len(frame) > 0 and not _any_stored(connection, stream, scope.account, frame)
        if all_new:
            _copy_new(connection, stream, lines)
            report = replace(report, rows_new=report.rows_new + len(frame))
        elif len(frame):
            _stage(connection, stream, lines)
            _check_staged(connection, stream, totals)
            report = _merge(connection, stream, report, len(frame), unrequested)
        add_pages(connection, scope, window_id, pages)
        add_rejects(connection, scope, stream.name, rejects, window_id)
        all_written = add_window(connection, scope, walk, report, digest=digest, pages_digest=pages_digest(pages))
        if all_new and not all_written:
            raise _arrived_otherwise()
    return report


def staged_differences(warehouse: Warehouse, stream: Loadable, account: str, rows: WindowRows) -> list[Row[Any]]:
    """Return (key, observed_at, reason) wherever the store and the rows of a window differ, in either direction."""
    with warehouse.transaction() as connection:
        _stage(connection, stream, _lines(_arrow(rows.frame), account, rows.window_id))
        run(connection, "warehouse/load/plan_by_key")
        missing = run(connection, stream.sql("differences"), unrequested=list(rows.unrequested))
        return missing + run(connection, stream.sql("unfounded"), account=account, window_id=rows.window_id)


def merge_again(
    warehouse: Warehouse,
    stream: Loadable,
    account: str,
    keys: Sequence[str],
    windows: Sequence[WindowRows],
) -> tuple[int, int]:
    """Build all states of some rows again from the windows that returned them, in order; in one transaction.

    Returns how many states stand in the store now that did not before, and how many are gone that did.
    """
    with warehouse.transaction() as connection:
        run(connection, "warehouse/load/lock_account", account=account)
        run(connection, "warehouse/load/plan_by_key")
        who = {"account": account, "stream": stream.name, "keys": list(keys)}
        before = {tuple(row) for row in run(connection, stream.sql("states"), **who)}
        run(connection, stream.sql("forget"), **who)
        for rows in windows:
            _stage(connection, stream, _lines(_arrow(rows.frame), account, rows.window_id))
            _merge_staged(connection, stream, rows.unrequested)
            run(connection, stream.sql("unstage"))
        after = {tuple(row) for row in run(connection, stream.sql("states"), **who)}
    return len(after - before), len(before - after)


def lines_to_stage(frame: pd.DataFrame, account: str) -> bytes:
    """Return typed rows as `stage_rows` takes them."""
    return _lines(_arrow(frame), account, 0)


def stage_rows(connection: Connection, stream: Loadable, lines: IO[bytes]) -> None:
    """Copy rows into the stream's temporary table, to be compared; nothing is merged."""
    lines.seek(0)
    _stage(connection, stream, lines)


def control_totals(stream: Loadable, frame: pd.DataFrame) -> list[ControlTotal]:
    """Return count and exact sum of the stream's amount for each currency, type and status of the rows."""
    total = stream.total
    groups = (_values(frame, name) for name in (total.currency, total.type, total.status))
    amounts: defaultdict[TotalKey, list[int | None]] = defaultdict(list)
    for currency, kind, status, minor in zip(*groups, _values(frame, total.minor), strict=True):
        amounts[currency, kind, status].append(minor)
    return [_total(key, minors) for key, minors in amounts.items()]


def _total(key: TotalKey, minors: Sequence[int | None]) -> ControlTotal:
    # Python's integers: 64-bit sums could wrap around silently, and pyarrow's grouping is 9 MB of imports
    present = [minor for minor in minors if minor is not None]
    return ControlTotal(*key, len(minors), sum(present) if present else None)


def _values(frame: pd.DataFrame, name: str | None) -> list[Any]:
    return [None] * len(frame) if name is None else pa.array(frame[name]).to_pylist()


def rows_digest(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the rows' content as CSV (times in µs since 1970), rows as sorted; without observed_at."""
    return _rows_digest(_arrow(frame))


def _rows_digest(table: pa.Table) -> str:
    content = _with_times_as(pa.int64(), table.drop_columns(["observed_at"]))
    return hashlib.sha256(_csv(content)).hexdigest()


def pages_digest(pages: Sequence[Any]) -> str:
    """Return the SHA-256 over the SHA-256 of raw pages, in the order of their requests."""
    ordered = sorted(pages, key=lambda page: (page.requested_at, bytes(page.body_sha256)))
    return hashlib.sha256(b"".join(bytes(page.body_sha256) for page in ordered)).hexdigest()


def _arrow(frame: pd.DataFrame) -> pa.Table:
    # its columns are Arrow's own; from_pandas looks at each several times, and starts threads for each window
    return pa.table({name: pa.array(column.array) for name, column in frame.items()})


def _with_times_as(kind: pa.DataType, table: pa.Table) -> pa.Table:
    for number, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            table = table.set_column(number, column.name, pc.cast(table.column(number), kind))
    return table


def add_rejects(
    connection: Connection, scope: Scope, stream: str, rejects: Sequence[Reject], window_id: int | None
) -> None:
    """Keep rows that could not be typed; of one that is known only the time is new."""
    rows = [
        {
            "account": scope.account,
            "stream": stream,
            "row_sha256": hashlib.sha256(reject.raw_json.encode()).digest(),
            "reason": reject.reason,
            "raw_json": reject.raw_json.replace("\x00", "\\u0000"),
            "run_id": scope.run_id,
            "window_id": window_id,
            "observed_at": reject.observed_at,
        }
        for reject in rejects
    ]
    run_many(connection, "warehouse/load/add_reject", rows)


def _lines(table: pa.Table, account: str, window_id: int) -> bytes:
    """Return rows as COPY takes them, with all columns of their table."""
    count = table.num_rows
    whole = (
        table.add_column(0, "account", pa.repeat(account, count))
        .append_column("first_seen_at", table["observed_at"])
        .append_column("window_id", pa.repeat(pa.scalar(window_id, pa.int64()), count))
    )
    # without their zone: Arrow writes zoned times ten times slower, and our sessions are in UTC
    return _csv(_with_times_as(pa.timestamp("us"), whole))


def _any_stored(connection: Connection, stream: Loadable, account: str, frame: pd.DataFrame) -> bool:
    keys = orjson.dumps(_values(frame, stream.key)).decode()  # an array takes psycopg twenty times as long
    (row,) = run(connection, stream.sql("any_stored"), account=account, stream=stream.name, keys=keys)
    return bool(row.found)


def _copy_new(connection: Connection, stream: Loadable, lines: bytes) -> None:
    try:
        _copy(connection, stream.sql("copy_new"), lines)
    except psycopg.errors.UniqueViolation:  # the account is locked, and none of them was stored
        raise _arrived_otherwise() from None


def _stage(connection: Connection, stream: Loadable, lines: bytes | IO[bytes]) -> None:
    run(connection, stream.sql("stage"))
    _copy(connection, stream.sql("copy"), lines)


def _copy(connection: Connection, name: str, lines: bytes | IO[bytes]) -> None:
    parts: Iterable[bytes] = [lines] if isinstance(lines, bytes) else iter(partial(lines.read, COPIED_AT_ONCE), b"")
    with driver_of(connection).cursor() as cursor, cursor.copy(sql.text(name)) as copy:
        for part in parts:
            copy.write(part)


def _csv(table: pa.Table) -> bytes:
    out = io.BytesIO()
    csv.write_csv(table, out, CSV)
    return out.getvalue()


def _check_staged(connection: Connection, stream: Loadable, sent: Sequence[ControlTotal]) -> None:
    received = [
        ControlTotal(row.currency, row.type, row.status, row.row_count, row.minor)
        for row in run(connection, stream.sql("totals"))
    ]
    if set(received) != set(sent):
        raise _arrived_otherwise()


def _arrived_otherwise() -> WarehouseBroken:
    return WarehouseBroken(
        "what PostgreSQL received differs from what was sent (control totals of the rows): "
        "nothing of this window was stored; run it again, and report it if it happens twice."
    )


def _merge(
    connection: Connection, stream: Loadable, report: LoadReport, staged: int, unrequested: Sequence[str]
) -> LoadReport:
    changed, written = _merge_staged(connection, stream, unrequested)
    return replace(
        report,
        rows_new=report.rows_new + written - changed,
        rows_changed=report.rows_changed + changed,
        rows_unchanged=report.rows_unchanged + staged - written,
    )


def _merge_shared(
    connection: Connection, stream: Loadable, report: LoadReport, lines: bytes, unrequested: Sequence[str]
) -> LoadReport:
    """Merge what a neighbour has counted; count what has changed since. Nothing else of the window is written yet."""
    _stage(connection, stream, lines)
    changed, written = _merge_staged(connection, stream, unrequested)
    run(connection, stream.sql("unstage"))
    return replace(
        report,
        rows_met=report.rows_met + written,
        rows_new=written - changed,
        rows_changed=changed,
        totals=tuple(written_totals(connection, report.window_id)),
    )


def _merge_staged(connection: Connection, stream: Loadable, unrequested: Sequence[str]) -> tuple[int, int]:
    """Merge what is staged; return how many rows changed, and how many were written."""
    affect(connection, stream.sql("drop_unchanged"))
    if unrequested:
        affect(connection, stream.sql("fill"), unrequested=list(unrequested))
    changed = affect(connection, stream.sql("retire"))
    return changed, affect(connection, stream.sql("insert"))


def add_pages(connection: Connection, scope: Scope, window_id: int | None, pages: Sequence[RawPage]) -> None:
    """Keep the answers that a walk, or a snapshot, was read from."""
    run_many(
        connection,
        "warehouse/load/add_page",
        [
            {
                "account": scope.account,
                "window_id": window_id,
                "run_id": scope.run_id,
                **vars(page),
                "request": orjson.dumps(page.request).decode(),
            }
            for page in pages
        ],
    )
