"""Closes a business day under four eyes and seals its figures; opens it again. Nothing sealed is ever changed.

One person prepares the figures, another seals them while they are still the same. What the sealed document holds is in
docs/reconciliation.md; a report is rendered from it alone.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from pipelines.reports.document import Close, to_json
from pipelines.reports.figures import gather
from resources.errors import ConfigError, Incomplete, SyncError, WarehouseBroken
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


def close_day(
    warehouse: Warehouse, account: str, day: date, *, by: str, with_open_breaks: bool = False
) -> Sealed | Prepared:
    """Seal the figures of a day as they are known now, if somebody else prepared just these; else prepare them.

    Raises:
        ConfigError: the name is missing, this person prepared these figures, or the day is not over.
        Incomplete: the day is not proved complete, not reconciled, has open breaks, or is closed already.
        SyncError: a load is running; nothing is written.
    """
    by = _person("--by", by)
    with _at_rest(warehouse, account, day) as connection:
        known_at = datetime.now(UTC)
        _check(connection, account, day, known_at, with_open_breaks=with_open_breaks)
        figures = _figures_digest(connection, account, day)
        preparation = _latest_preparation(connection, account, day)
        if preparation is None or preparation.figures_sha256 != figures:
            return replace(_prepare(connection, account, day, by, figures), instead_of=preparation)
        if is_same_person(preparation.by, by):
            raise ConfigError(f"{preparation.by} prepared {day}: another person must close it.")
        return _seal(connection, account, day, preparation, by, known_at, with_open_breaks=with_open_breaks)


def _seal(
    connection: Connection,
    account: str,
    day: date,
    preparation: Prepared,
    by: str,
    known_at: datetime,
    *,
    with_open_breaks: bool,
) -> Sealed:
    report = replace(
        gather(connection, account, day, _zone(connection)),
        known_at=known_at,
        close=Close(preparation.by, by, known_at),
    )
    document = _canonical(
        _document(connection, account, day)
        | {
            "report": json.loads(to_json(report)),
            "known_at": known_at.isoformat(timespec="microseconds"),
            "prepared_by": preparation.by,
            "prepared_at": preparation.at,
            "prepared_as": preparation.database_user,
            "figures_sha256": preparation.figures_sha256,
            "closed_by": by,
            "with_open_breaks": with_open_breaks,
        }
    )
    (row,) = run(
        connection,
        "reconciliation/close/close_add",
        account=account,
        day=day,
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
        run(connection, "reconciliation/matching/lock_account", account=account)
        if not run(connection, "reconciliation/close/close_latest", account=account, day=day):
            raise ConfigError(f"{day} is not closed: there is nothing to open again.")
        (row,) = run(connection, "reconciliation/close/close_reopen", account=account, day=day, by=by, reason=reason)
        return int(row.close_no)


def sealed_document(warehouse: Warehouse, account: str, day: date) -> Sealed | None:
    """Return the sealed figures of a closed day, to the byte; None when it is not closed.

    Raises:
        WarehouseBroken: what is stored is not what was sealed.
    """
    rows = warehouse.query("reconciliation/close/close_latest", account=account, day=day)
    if not rows:
        return None
    (row,) = rows
    if hashlib.sha256(row.document.encode()).hexdigest() != row.sha256 or not row.is_intact:
        raise WarehouseBroken(f"the sealed figures of {day} were altered: compare with a backup.")
    return Sealed(row.close_no, row.document, row.sha256, row.entry_hash)


def _zone(connection: Connection) -> str:
    (row,) = run(connection, "reconciliation/close/reporting_zone")
    return str(row.value)


@contextmanager
def _at_rest(warehouse: Warehouse, account: str, day: date) -> Iterator[Connection]:
    """Yield a transaction while nothing loads or reconciles: what a running load observed would be known too late."""
    today = datetime.now(UTC).date()
    first = min(day, today) - timedelta(days=1)
    with days_lock(warehouse, account, first, today, WAIT_SECONDS), warehouse.transaction() as connection:
        run(connection, "reconciliation/matching/lock_account", account=account)
        yield connection


def _check(connection: Connection, account: str, day: date, known_at: datetime, *, with_open_breaks: bool) -> None:
    (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
    if bounds.ends_at > known_at:
        raise ConfigError(f"{day} is not over: close it when it is.")
    if run(connection, "reconciliation/close/close_latest", account=account, day=day):
        raise SyncError(f"{day} is closed already: `ecommpay-sync reopen --date {day}` opens it again.")
    state = next(iter(run(connection, "reconciliation/close/close_state", account=account, day=day)), None)
    if state is None or state.completeness is None:
        raise Incomplete(
            f"{day} has not been compared with a fresh walk: `ecommpay-sync reconcile --date {day}` does it."
        )
    if state.completeness != "complete":
        raise Incomplete(f"{day} is not complete ({state.reason}): load it, reconcile it, and close it then.")
    if state.loaded_at is not None and state.books_at is not None and state.books_at < state.loaded_at:
        raise Incomplete(f"{day} changed after it was reconciled: `ecommpay-sync reconcile --date {day}` again.")
    if state.books_at is None:
        raise Incomplete(f"{day} has not been reconciled: `ecommpay-sync reconcile --date {day}` does it.")
    if state.open_breaks and not with_open_breaks:
        raise Incomplete(
            f"{day} has {state.open_breaks:,} open breaks: explain them (`ecommpay-sync breaks --date {day}`), "
            "or close it with --with-open-breaks."
        )


def _document(connection: Connection, account: str, day: date) -> dict[str, Any]:
    def rows(name: str, **more: Any) -> list[dict[str, Any]]:
        return [dict(row._asdict()) for row in run(connection, name, account=account, **more)]

    (head,) = rows("reconciliation/close/seal_head", day=day)
    days = {"day": day, "day_before": day - timedelta(days=1), "week_before": day - timedelta(days=7)}
    return {
        "schema": SCHEMA,
        "account": account,
        "business_date": day,
        **head,
        "totals": {name: rows("reconciliation/close/seal_totals", day=that) for name, that in days.items()},
        "completeness": rows("reconciliation/close/seal_completeness", day=day)[0],
        "books": rows("reconciliation/close/seal_books", day=day)[0]["figures"],
        "breaks": {
            "by_type_and_age": rows("reconciliation/close/seal_breaks", day=day),
            "largest": rows("reconciliation/close/seal_largest_breaks", day=day, largest=LARGEST),
        },
        "balances": rows("reconciliation/close/seal_balances", day=day),
        "restatements": rows("reconciliation/close/seal_restatements", day=day),
    }


def _latest_preparation(connection: Connection, account: str, day: date) -> Prepared | None:
    """Return the preparation that counts, if there is one."""
    for row in run(connection, "reconciliation/close/close_prepared", account=account, day=day):
        return Prepared(row.prepared_by, row.prepared_at, row.database_user, bytes(row.figures_sha256).hex())
    return None


def _prepare(connection: Connection, account: str, day: date, by: str, figures: str) -> Prepared:
    """Write down that `by` prepared these figures."""
    (row,) = run(
        connection,
        "reconciliation/close/close_prepare",
        account=account,
        day=day,
        by=by,
        figures=bytes.fromhex(figures),
    )
    return Prepared(by, row.prepared_at, row.database_user, figures)


def _figures_digest(connection: Connection, account: str, day: date) -> str:
    """Return the SHA-256 of what is closed: the day's totals, verdict, books, breaks and balances."""

    def rows(name: str) -> list[dict[str, Any]]:
        return [dict(row._asdict()) for row in run(connection, name, account=account, day=day)]

    figures = {
        "totals": rows("reconciliation/close/seal_totals"),
        "verdict": rows("reconciliation/close/seal_completeness")[0]["verdict"],
        "books": rows("reconciliation/close/seal_books")[0]["figures"],
        "breaks": rows("reconciliation/close/close_breaks"),
        "balances": rows("reconciliation/close/seal_balances"),
    }
    return hashlib.sha256(_canonical(figures).encode()).hexdigest()


def _canonical(document: dict[str, Any]) -> str:
    """Return JSON that is the same for the same facts: keys sorted, no spaces, no floats in it."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)


def _person(option: str, text: str) -> str:
    """Return a person's name as it is kept.

    Raises:
        ConfigError: it is empty, too long, or not printable.
    """
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
