"""Matches that people make or part by hand; `matching` follows the last decision on each pair in every later run.

A decision is kept with who and why, and never changed. The days it concerns are reconciled again at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection

from pipelines.reconciliation.matching import reconcile_ledger
from pipelines.reconciliation.queue import known_reason, person, text
from resources.currencies import major_units
from resources.errors import ConfigError
from resources.warehouse.engine import Warehouse, run, run_many


@dataclass(frozen=True)
class Decision:
    """What was decided: the pairs, entries minus operations in minor units, and the days reconciled again."""

    pairs: tuple[tuple[str, str], ...]
    difference_minor: int
    days: tuple[date, ...]


def match(
    warehouse: Warehouse,
    account: str,
    operations: Sequence[str],
    entries: Sequence[str],
    cutoff_minutes: int,
    *,
    by: str,
    note: str,
    reason: str | None = None,
) -> Decision:
    """Match one operation with one or several entries, or several operations with one entry, by hand.

    Raises:
        ConfigError: one of them is not there, withdrawn or matched already; they have several currencies; or the sums
            differ and no reason says why. Nothing is changed.
    """
    by, note = person(by), text(note, "--note")
    operations, entries = sorted({*operations}), sorted({*entries})
    if min(len(operations), len(entries)) != 1:
        raise ConfigError("a match is of one operation or of one entry: several of both are several matches.")
    one_entry = len(operations) > 1
    with warehouse.transaction() as connection:
        run(connection, "reconciliation/matching/lock_account", account=account)
        sides = (
            *_found(connection, "reconciliation/manual_matches/operations", account, "operation", operations),
            *_found(connection, "reconciliation/manual_matches/entries", account, "entry", entries),
        )
        pairs = tuple((operation, entry) for operation in operations for entry in entries)
        standing = run(
            connection,
            "reconciliation/manual_matches/in_force",
            account=account,
            operations=operations,
            entries=entries,
        )
        if {(row.operation_id, row.entry_id) for row in standing} == {*pairs}:
            return Decision(pairs, _difference(sides, operations), ())
        _check_free(sides, standing)
        difference = _difference(sides, operations)
        if reason is not None:
            known = {row.reason for row in run(connection, "reconciliation/queue/reasons")}
            reason = known_reason(reason, known)
        elif difference:
            (currency,) = {row.currency for row in sides}
            raise ConfigError(
                f"the sums differ by {major_units(difference, currency, sides[0].business_date)} {currency} "
                "(entries minus operations): say why with --reason."
            )
        _add(
            connection,
            account,
            pairs,
            decision="match",
            match_id=f"e{entries[0]}" if one_entry else f"o{operations[0]}",
            shape="n:1" if one_entry else "1:n" if len(entries) > 1 else "1:1",
            difference=difference,
            reason=reason if difference else None,
            note=note,
            by=by,
        )
        days = _days(connection, account, operations, entries, {row.business_date for row in sides})
    return Decision(pairs, difference, _reconcile(warehouse, account, days, cutoff_minutes))


def unmatch(
    warehouse: Warehouse, account: str, operation: str, entry: str, cutoff_minutes: int, *, by: str, note: str
) -> Decision:
    """Part the match that has this operation and entry; no pass puts any pair of it together again.

    Raises:
        ConfigError: they are not matched.
    """
    by, note = person(by), text(note, "--note")
    with warehouse.transaction() as connection:
        run(connection, "reconciliation/matching/lock_account", account=account)
        found = run(
            connection,
            "reconciliation/manual_matches/pairs_of_match",
            account=account,
            operation=operation,
            entry=entry,
        )
        if not found:
            raise ConfigError(
                f"operation {operation} and entry {entry} are not matched: recon.matches has the matches."
            )
        pairs = tuple((row.operation_id, row.entry_id) for row in found)
        operations, entries = sorted({pair[0] for pair in pairs}), sorted({pair[1] for pair in pairs})
        sides = (
            *run(connection, "reconciliation/manual_matches/operations", account=account, operations=operations),
            *run(connection, "reconciliation/manual_matches/entries", account=account, entries=entries),
        )
        _add(
            connection,
            account,
            pairs,
            decision="unmatch",
            match_id=found[0].match_id,
            shape=found[0].shape,
            difference=0,
            reason=None,
            note=note,
            by=by,
        )
        known = {row.business_date for row in (*found, *sides)}
        days = _days(connection, account, operations, entries, known)
    return Decision(pairs, 0, _reconcile(warehouse, account, days, cutoff_minutes))


def _found(connection: Connection, statement: str, account: str, what: str, ids: list[str]) -> list[Any]:
    rows = run(connection, statement, account=account, operations=ids, entries=ids)
    missing = sorted({*ids} - {row[0] for row in rows})
    if missing:
        raise ConfigError(f"there is no {what} {', '.join(missing)} in this account: check the id.")
    return rows


def _check_free(sides: Iterable[Any], standing: Iterable[Any]) -> None:
    by_hand = {name: row for row in standing for name in (row.operation_id, row.entry_id)}
    for row in sides:
        if getattr(row, "is_withdrawn", False):
            raise ConfigError(f"entry {row[0]} was withdrawn: it cannot be matched.")
        other = row.matched_with or (by_hand[row[0]].match_id[1:] if row[0] in by_hand else None)
        if other is not None:
            raise ConfigError(f"{row[0]} is matched with {other}: part them with `ecommpay-sync unmatch` first.")
    currencies = sorted({row.currency or "none" for row in sides})
    if len(currencies) > 1:
        raise ConfigError(f"the currencies differ ({', '.join(currencies)}): amounts of two are never compared.")


def _difference(sides: Iterable[Any], operations: Sequence[str]) -> int:
    """Return entries minus operations; `sides` has the operations first."""
    minors = [row.minor or 0 for row in sides]
    return sum(minors[len(operations) :]) - sum(minors[: len(operations)])


def _add(connection: Connection, account: str, pairs: Sequence[tuple[str, str]], **decided: Any) -> None:
    run_many(
        connection,
        "reconciliation/manual_matches/add",
        [{"account": account, "operation_id": operation, "entry_id": entry, **decided} for operation, entry in pairs],
    )


def _days(
    connection: Connection, account: str, operations: list[str], entries: list[str], days: Iterable[date]
) -> list[date]:
    rows = run(
        connection,
        "reconciliation/manual_matches/days_reconciled",
        account=account,
        operations=operations,
        entries=entries,
        days=sorted({*days}),
    )
    return [row.business_date for row in rows]


def _reconcile(warehouse: Warehouse, account: str, days: Sequence[date], cutoff_minutes: int) -> tuple[date, ...]:
    for day in days:
        reconcile_ledger(warehouse, account, day, cutoff_minutes)
    return tuple(days)
