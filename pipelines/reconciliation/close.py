"""Closes business days under four eyes and seals their figures; opens one again. Nothing sealed is ever changed.

One person prepares the figures, another seals them while they are still the same. What the sealed document holds is in
docs/reconciliation.md; a report is rendered from it alone. A month is closed day by day, each on its own figures.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from pipelines.reports.document import Close, to_json
from pipelines.reports.figures import gather
from resources.data_api.clock import TOLERANCE
from resources.errors import ConfigError, Incomplete, SyncError, WarehouseBroken
from resources.output import counted
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.locks import days_lock

SCHEMA = 1
LARGEST = 20  # breaks listed, of each currency
WAIT_SECONDS = 60
LONGEST_NAME = 200


@dataclass(frozen=True)
class Prepared:
    """Figures of a day that somebody has looked at, and nobody has closed yet."""

    by: str
    at: datetime
    database_user: str
    figures_sha256: str
    instead_of: Prepared | None = None  # a preparation of other figures, which no longer counts


@dataclass(frozen=True)
class Sealed:
    """A closed day: its place in the chain and the canonical JSON of its figures."""

    close_no: int
    document: str
    document_sha256: str
    entry_hash: str

    @cached_property
    def figures(self) -> dict[str, Any]:
        """What the canonical JSON says."""
        return dict(json.loads(self.document))


@dataclass(frozen=True)
class Obstacle:
    """Why a day is not closed now, and the command that comes next; of a closed day nothing does (`is_closed`)."""

    kind: type[SyncError]  # what it is to a caller who wants just this day
    reason: str
    message: str
    command: str = ""
    is_closed: bool = False
    is_of_data: bool = False  # data has to be loaded or walked again, before finance can do anything


Outcome = Sealed | Prepared | Obstacle


@dataclass(frozen=True)
class _Day:
    """A business day of an account, in a transaction."""

    connection: Connection
    account: str
    day: date

    def run(self, name: str, **parameters: Any) -> list[Any]:
        return run(self.connection, name, **{"account": self.account, "day": self.day} | parameters)

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return [dict(row._asdict()) for row in self.run(name, **parameters)]

    def is_closed(self) -> bool:
        return bool(self.run("reconciliation/close/closes_between", first=self.day, last=self.day))


def close_day(
    warehouse: Warehouse, account: str, day: date, *, by: str, with_open_breaks: bool = False
) -> Sealed | Prepared:
    """Seal the figures of a day as they are known now, if somebody else prepared just these; else prepare them.

    Raises:
        ConfigError: the name is missing, this person prepared these figures, or the day is not over.
        Incomplete: the day is not proved complete, not reconciled, has open breaks, or is closed already.
        SyncError: a load is running; nothing is written.
    """
    outcome = close_month(warehouse, account, [day], by=by, with_open_breaks=with_open_breaks)[day]
    if isinstance(outcome, Obstacle):
        raise outcome.kind(outcome.message)
    return outcome


def close_month(
    warehouse: Warehouse, account: str, days: Sequence[date], *, by: str, with_open_breaks: bool = False
) -> dict[date, Outcome]:
    """Close or prepare each of the days that can be, as `close_day` does; say of the others what is in the way.

    Raises:
        ConfigError: the name is missing.
        SyncError: a load is running; nothing is written.
    """
    by = _person("--by", by)
    today = datetime.now(UTC).date()
    first = min(*days, today) - timedelta(days=1)
    # while nothing loads or reconciles: what a running load observed would be known too late
    with days_lock(warehouse, account, first, today, WAIT_SECONDS), warehouse.transaction() as connection:
        run(connection, "reconciliation/matching/lock_account", account=account)
        return {day: _close(_Day(connection, account, day), by, with_open_breaks=with_open_breaks) for day in days}


def days_of_month(month: date) -> tuple[date, ...]:
    """Return the days of the month in which a day lies."""
    return tuple(month.replace(day=number) for number in range(1, monthrange(month.year, month.month)[1] + 1))


def _close(day: _Day, by: str, *, with_open_breaks: bool) -> Outcome:
    known_at = _present(day)
    found = next(_obstacles(day, known_at, with_open_breaks=with_open_breaks), None)
    if found:
        return found
    figures = _figures_digest(day)
    preparation = latest_preparation(day.connection, day.account, day.day)
    if preparation is None or preparation.figures_sha256 != figures:
        (row,) = day.run("reconciliation/close/close_prepare", by=by, figures=bytes.fromhex(figures))
        return Prepared(by, row.prepared_at, row.database_user, figures, instead_of=preparation)
    if is_same_person(preparation.by, by):
        return Obstacle(
            ConfigError,
            f"prepared by {preparation.by}: another person must close it",
            f"{preparation.by} prepared {day.day}: another person must close it.",
            f"ecommpay-sync close --date {day.day} --by NAME{' --with-open-breaks' * with_open_breaks}",
        )
    return _seal(day, preparation, by, known_at, with_open_breaks=with_open_breaks)


def _present(day: _Day) -> datetime:
    """Return the present moment, not before what was loaded last was known: what comes later is no part of a seal.

    Raises:
        ConfigError: this machine's clock is far from the database's, or behind what the platform has said.
    """
    (row,) = day.run("reconciliation/close/clocks")
    now = datetime.now(UTC)
    loaded_at: datetime = row.loaded_at or row.now
    if abs((row.now - now).total_seconds()) > TOLERANCE or (loaded_at - now).total_seconds() > TOLERANCE:
        raise ConfigError(
            f"this machine's clock says {now:%Y-%m-%d %H:%M:%S}, the database's {row.now:%Y-%m-%d %H:%M:%S} and the "
            f"platform's said {loaded_at:%Y-%m-%d %H:%M:%S} at the last load (UTC): nothing is sealed at a moment that "
            "is not known; set the clock that is wrong, and let NTP keep it."
        )
    return max(now, loaded_at)


def _seal(day: _Day, preparation: Prepared, by: str, known_at: datetime, *, with_open_breaks: bool) -> Sealed:
    figures = gather(day.connection, day.account, day.day, reporting_zone(day.connection))
    report = replace(figures, known_at=known_at, close=Close(preparation.by, by, known_at))
    document = _canonical(
        _document(day)
        | {
            "report": json.loads(to_json(report)),
            "known_at": known_at,
            "prepared_by": preparation.by,
            "prepared_at": preparation.at,
            "prepared_as": preparation.database_user,
            "figures_sha256": preparation.figures_sha256,
            "closed_by": by,
            "with_open_breaks": with_open_breaks,
        }
    )
    (row,) = day.run(
        "reconciliation/close/close_add",
        known_at=known_at,
        prepared_by=preparation.by,
        by=by,
        with_open_breaks=with_open_breaks,
        document=document,
        document_sha256=hashlib.sha256(document.encode()).digest(),
    )
    return Sealed(row.close_no, document, row.sha256, row.entry_hash)


def reopen_day(warehouse: Warehouse, account: str, day: date, *, by: str, reason: str) -> int:
    """Open a closed day again; what was sealed stays in the chain. Return the row's number in it.

    Raises:
        ConfigError: no name or reason, or the day is not closed.
    """
    by, reason = _person("--by", by), _person("--reason", reason)
    with warehouse.transaction() as connection:
        closed = _Day(connection, account, day)
        closed.run("reconciliation/matching/lock_account")
        if not closed.is_closed():
            raise ConfigError(f"{day} is not closed: there is nothing to open again.")
        (row,) = closed.run("reconciliation/close/close_reopen", by=by, reason=reason)
        return int(row.close_no)


def sealed_document(warehouse: Warehouse, account: str, day: date) -> Sealed | None:
    """Return the sealed figures of a closed day, to the byte; None when it is not closed.

    Raises:
        WarehouseBroken: what is stored is not what was sealed.
    """
    with warehouse.transaction() as connection:
        return sealed_days(connection, account, day, day).get(day)


def sealed_days(connection: Connection, account: str, first: date, last: date) -> dict[date, Sealed]:
    """Return the sealed figures of each closed day from `first` to `last`, in their order.

    Raises:
        WarehouseBroken: what is stored of one of them is not what was sealed.
    """
    rows = run(connection, "reconciliation/close/closes_between", account=account, first=first, last=last)
    for row in rows:
        if hashlib.sha256(row.document.encode()).hexdigest() != row.sha256 or not row.is_intact:
            raise WarehouseBroken(f"the sealed figures of {row.business_date} were altered: compare with a backup.")
    return {row.business_date: Sealed(row.close_no, row.document, row.sha256, row.entry_hash) for row in rows}


def reporting_zone(connection: Connection) -> str:
    """Return the zone in which the warehouse's business days are cut."""
    (row,) = run(connection, "reconciliation/close/reporting_zone")
    return str(row.value)


def obstacle(
    connection: Connection, account: str, day: date, known_at: datetime, *, with_open_breaks: bool = False
) -> Obstacle | None:
    """Return what keeps a day from being closed at a moment, the first thing to do; None: nothing does."""
    return next(_obstacles(_Day(connection, account, day), known_at, with_open_breaks=with_open_breaks), None)


def _obstacles(of: _Day, known_at: datetime, *, with_open_breaks: bool) -> Iterator[Obstacle]:
    day = of.day

    def blocked(
        reason: str, advice: str, command: str = "", kind: type[SyncError] = Incomplete, **is_so: bool
    ) -> Obstacle:
        command = f"ecommpay-sync {command}" if command else ""
        return Obstacle(kind, reason, f"{day} {reason}: {advice}", command, **is_so)

    reconcile = f"reconcile --date {day}"
    (bounds,) = of.run("reconciliation/matching/day_bounds")
    if bounds.ends_at > known_at:
        yield blocked("is not over", "close it when it is.", kind=ConfigError)
    if of.is_closed():
        advice = f"`ecommpay-sync reopen --date {day}` opens it again."
        yield blocked("is closed already", advice, kind=SyncError, is_closed=True)
    state = next(iter(of.run("reconciliation/close/close_state")), None)
    if state is None or state.completeness is None:
        walk = "has not been compared with a fresh walk"
        yield blocked(walk, f"`ecommpay-sync {reconcile}` does it.", reconcile, is_of_data=True)
        return
    if state.completeness != "complete":
        load, advice = f"operations --from {day} --to {day}", "load it, reconcile it, and close it then."
        yield blocked(f"is not complete ({state.reason})", advice, load, is_of_data=True)
    if state.books_at is not None and state.changed:
        yield blocked("changed after it was reconciled", f"`ecommpay-sync {reconcile}` again.", reconcile)
    if state.books_at is None:
        yield blocked("has not been reconciled", f"`ecommpay-sync {reconcile}` does it.", reconcile)
    if state.open_breaks and not with_open_breaks:
        yield blocked(
            f"has {counted(state.open_breaks, 'open break')}",
            f"explain them (`ecommpay-sync breaks --date {day}`), or close it with --with-open-breaks.",
            f"breaks --date {day}",
        )


def _document(day: _Day) -> dict[str, Any]:
    (head,) = day.rows("reconciliation/close/seal_head")
    totals = {"day": 0, "day_before": 1, "week_before": 7}
    return {
        "schema": SCHEMA,
        "account": day.account,
        "business_date": day.day,
        **head,
        "totals": {
            name: day.rows("reconciliation/close/seal_totals", day=day.day - timedelta(days=before))
            for name, before in totals.items()
        },
        "completeness": day.rows("reconciliation/close/seal_completeness")[0],
        "books": day.rows("reconciliation/close/seal_books")[0]["figures"],
        "breaks": {
            "by_type_and_age": day.rows("reconciliation/close/seal_breaks"),
            "largest": day.rows("reconciliation/close/seal_largest_breaks", largest=LARGEST),
        },
        "balances": day.rows("reconciliation/close/seal_balances"),
        "restatements": day.rows("reconciliation/close/seal_restatements"),
    }


def latest_preparation(connection: Connection, account: str, day: date) -> Prepared | None:
    """Return the preparation that counts, if there is one."""
    for row in _Day(connection, account, day).run("reconciliation/close/close_prepared"):
        return Prepared(row.prepared_by, row.prepared_at, row.database_user, bytes(row.figures_sha256).hex())
    return None


def _figures_digest(day: _Day) -> str:
    """Return the SHA-256 of what is closed: the day's totals, verdict, books, breaks and balances."""
    figures = {
        "totals": day.rows("reconciliation/close/seal_totals"),
        "verdict": day.rows("reconciliation/close/seal_completeness")[0]["verdict"],
        "books": day.rows("reconciliation/close/seal_books")[0]["figures"],
        "breaks": day.rows("reconciliation/close/close_breaks"),
        "balances": day.rows("reconciliation/close/seal_balances"),
    }
    return hashlib.sha256(_canonical(figures).encode()).hexdigest()


def _canonical(document: dict[str, Any]) -> str:
    """Return JSON that is the same for the same facts: keys sorted, no spaces, no floats in it."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)


def _person(option: str, text: str) -> str:
    """Return a person's name as it is kept; one that is empty, too long or not printable is refused."""
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise ConfigError(f"{option} is empty or too long: write 1 to {LONGEST_NAME} characters.")
    return text


def is_same_person(one: str, other: str) -> bool:
    """Return whether two names are one: case, spacing and ligatures or wide letters do not tell people apart."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")  # a Decimal or a float among them
