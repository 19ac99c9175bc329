"""Matches a day's operations with the merchant's own ledger, pass by pass; what then differs is typed in `breaks`.

Runs in one transaction over temporary tables: a day's matches and breaks are replaced as a whole, or not at all.
Entries come in through `ledger_import`. What people match or part by hand (`match`, `unmatch`) is kept with who and
why, and never changed: every later run follows the last decision on a pair.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from pipelines.reconciliation import breaks
from pipelines.reconciliation.breaks import known_reason, person, text
from resources.currencies import major_units
from resources.errors import ConfigError
from resources.warehouse.engine import Warehouse, affect, run, run_many

SHIFT = 450  # seconds: half of the quarter of an hour that the last pass compares


@dataclass(frozen=True)
class LedgerReport:
    """What a reconciliation with the merchant's ledger found; counts are of the day, `breaks` by type."""

    has_books: bool
    operations: int
    operations_required: int
    entries: int
    operations_alone: int
    entries_alone: int
    matches: dict[str, int]
    breaks: dict[str, int]


def reconcile_ledger(warehouse: Warehouse, account: str, day: date, cutoff_minutes: int) -> LedgerReport:
    """Match a business day and save matches and breaks; a second time changes nothing.

    An account without a single ledger entry has no books: only what the platform's own data contradicts is found.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing of the day was changed.
    """
    started = datetime.now(UTC)
    with warehouse.transaction() as connection:
        breaks.begin(connection, account)
        # first: what a load commits from now on may be in what is read below, or not
        (changed,) = run(connection, "reconciliation/matching/day_changed_at", account=account, day=day)
        (bounds,) = run(connection, "reconciliation/matching/day_bounds", account=account, day=day)
        scope = {"account": account, "day": day, "cutoff_minutes": cutoff_minutes, **bounds._asdict()}
        run(connection, "reconciliation/matching/tables")
        if bounds.has_books:
            _match_pools(connection, scope)
            breaks.find_in_ledger(connection, scope)
        breaks.find_at_platform(connection, scope)
        breaks.save(connection, account, day, balances=False)
        run(connection, "reconciliation/matching/drop_matches", **scope)
        run(connection, "reconciliation/matching/save_matches", **scope)
        (figures,) = run(connection, "reconciliation/matching/figures")
        report = LedgerReport(has_books=bounds.has_books, **figures._asdict())
        breaks.record_run(connection, account, day, "books", started, report, changed.moment)
    return report


def _match_pools(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Fill the pools of both sides, and let each pass match what the ones before it have left."""
    run(connection, "reconciliation/matching/operations_of_day", **scope)
    run(connection, "reconciliation/matching/entries_of_day", **scope)
    run(connection, "reconciliation/matching/analyze_pools")
    has_decisions = bool(run(connection, "reconciliation/matching/decisions", **scope))
    run(connection, "reconciliation/matching/operations_named", **scope)
    run(connection, "reconciliation/matching/entries_naming", **scope)
    if has_decisions:
        run(connection, "reconciliation/matching/entries_decided", **scope)
        run(connection, "reconciliation/matching/pass_manual")
        run(connection, "reconciliation/matching/withhold_decided")
    run(connection, "reconciliation/matching/mark_opposites")
    run(connection, "reconciliation/matching/pass_operation_exact")
    run(connection, "reconciliation/matching/drop_unmatched")
    run(connection, "reconciliation/matching/start_left")
    _pass(connection, "reconciliation/matching/pass_operation_group")

    run(connection, "reconciliation/matching/payment_entries", **scope)
    run(connection, "reconciliation/matching/payment_operations", **scope)
    run(connection, "reconciliation/matching/fill_projects")
    _pass(connection, "reconciliation/matching/pass_payment_exact")
    _pass(connection, "reconciliation/matching/pass_payment_group")

    for reference in ("arn", "rrn"):
        _pass(connection, "reconciliation/matching/pass_reference_exact", reference=reference)
        _pass(connection, "reconciliation/matching/pass_reference_group", reference=reference)

    for by_project in (True, False):
        for shift in (0, SHIFT):
            _pass(connection, "reconciliation/matching/pass_amount_time", shift=shift, by_project=by_project)
        _pass(connection, "reconciliation/matching/pass_amount_day", day=scope["day"], by_project=by_project)


def _pass(connection: Connection, name: str, **parameters: Any) -> None:
    if affect(connection, name, **parameters):
        run(connection, "reconciliation/matching/drop_unmatched")
        run(connection, "reconciliation/matching/shrink")


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
        pairs = tuple((operation, entry) for operation in operations for entry in entries)
        chosen = {"account": account, "operations": operations, "entries": entries}
        sides = (
            *_found("operation", operations, run(connection, "reconciliation/matching/chosen_operations", **chosen)),
            *_found("entry", entries, run(connection, "reconciliation/matching/chosen_entries", **chosen)),
        )
        difference = _difference(sides, operations)
        standing = run(connection, "reconciliation/matching/decisions_in_force", **chosen)
        if {(row.operation_id, row.entry_id) for row in standing} == {*pairs}:
            return Decision(pairs, difference, ())
        _check_free(sides, standing)
        if reason is not None:
            reason = known_reason(reason, breaks.known_reasons(connection))
        elif difference:
            (currency,) = {row.currency for row in sides}
            raise ConfigError(
                f"the sums differ by {major_units(difference, currency, sides[0].business_date)} {currency} "
                "(entries minus operations): say why with --reason."
            )
        decision = _decide(
            connection,
            account,
            pairs,
            {row.business_date for row in sides},
            decision="match",
            match_id=f"e{entries[0]}" if one_entry else f"o{operations[0]}",
            shape="n:1" if one_entry else "1:n" if len(entries) > 1 else "1:1",
            difference=difference,
            reason=reason if difference else None,
            note=note,
            by=by,
        )
    return _reconciled(warehouse, account, decision, cutoff_minutes)


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
        match_of = {"account": account, "operation": operation, "entry": entry}
        found = run(connection, "reconciliation/matching/pairs_of_match", **match_of)
        if not found:
            raise ConfigError(
                f"operation {operation} and entry {entry} are not matched: recon.matches has the matches."
            )
        pairs = tuple((row.operation_id, row.entry_id) for row in found)
        operations, entries = ([*{*ids}] for ids in zip(*pairs, strict=True))
        chosen = {"account": account, "operations": operations, "entries": entries}
        sides = (
            *run(connection, "reconciliation/matching/chosen_operations", **chosen),
            *run(connection, "reconciliation/matching/chosen_entries", **chosen),
        )
        decision = _decide(
            connection,
            account,
            pairs,
            {row.business_date for row in (*found, *sides)},
            decision="unmatch",
            match_id=found[0].match_id,
            shape=found[0].shape,
            difference=0,
            reason=None,
            note=note,
            by=by,
        )
    return _reconciled(warehouse, account, decision, cutoff_minutes)


def _found(what: str, ids: Sequence[str], rows: Sequence[Any]) -> Sequence[Any]:
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


def _decide(
    connection: Connection, account: str, pairs: Sequence[tuple[str, str]], days: Iterable[date], **decided: Any
) -> Decision:
    """Save what was decided about these pairs; its days are those it concerns that were reconciled."""
    rows = [{"account": account, "operation_id": operation, "entry_id": entry, **decided} for operation, entry in pairs]
    run_many(connection, "reconciliation/matching/add_decision", rows)
    operations, entries = map(list, zip(*pairs, strict=True))
    concerned = {"account": account, "operations": operations, "entries": entries, "days": sorted({*days})}
    reconciled = run(connection, "reconciliation/matching/days_reconciled", **concerned)
    return Decision(tuple(pairs), decided["difference"], tuple(row.business_date for row in reconciled))


def _reconciled(warehouse: Warehouse, account: str, decision: Decision, cutoff_minutes: int) -> Decision:
    for day in decision.days:
        reconcile_ledger(warehouse, account, day, cutoff_minutes)
    return decision
