"""Breaks: what does not agree is typed and merged into recon.breaks, and worked by people, by name.

A break found again keeps its row, owner and note; one that is no longer found is resolved. People own and explain
breaks one by one, by a filter, or from a file: every change is a row of recon.break_events, and the last event of a
break is its version. A file of breaks is written and read by `break_files`; people match by hand in `matching`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import orjson
from sqlalchemy import Connection

from resources.currencies import major_units
from resources.errors import ConfigError, Incomplete
from resources.output import printable, printable_lines
from resources.warehouse.engine import Warehouse, run

RECONCILE = "reconcile"  # the actor of the reconciliation itself
LONGEST_NAME, LONGEST_NOTE = 100, 4_000
SHOWN_PROBLEMS = 20
FILLED_IN = ("owner", "reason", "note")  # what people fill in


def begin(connection: Connection, account: str) -> None:
    """Begin a leg of a reconciliation in this transaction: the account's lock, and the tables of what is found."""
    run(connection, "reconciliation/matching/settings")
    run(connection, "reconciliation/matching/lock_account", account=account)
    run(connection, "reconciliation/breaks/tables")


def find_in_ledger(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Find the breaks between matched operations and entries, and those of either side that stands alone.

    Args:
        connection: the transaction, with the tables of `matching` filled.
        scope: account, day, starts_at, ends_at, cutoff_minutes, books_go_on, platform_goes_on.
    """
    run(connection, "reconciliation/breaks/compare", **scope)
    run(connection, "reconciliation/breaks/currency", **scope)
    run(connection, "reconciliation/breaks/amount", **scope)
    run(connection, "reconciliation/breaks/status", **scope)
    run(connection, "reconciliation/breaks/fee", **scope)
    run(connection, "reconciliation/breaks/operation_alone", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="off")
    run(connection, "reconciliation/breaks/entry_alone", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="on")


def find_at_platform(connection: Connection, scope: Mapping[str, Any]) -> None:
    """Find what the platform's own data contradicts, whether there are own books or not."""
    run(connection, "reconciliation/breaks/orphan_refund", **scope)
    run(connection, "reconciliation/breaks/refund_above_capture", **scope)
    run(connection, "reconciliation/breaks/late_change", **scope)
    run(connection, "reconciliation/breaks/set_loops", loops="off")


def save(connection: Connection, account: str, day: date, *, balances: bool) -> None:
    """Merge the breaks found into recon.breaks, and resolve those of the day that were not found again.

    Matches resolve those of other days too, whose other side this day has brought.
    """
    run(connection, "reconciliation/breaks/save", account=account, day=day)
    run(connection, "reconciliation/breaks/resolve_gone", account=account, day=day, balances=balances)
    if not balances:
        run(connection, "reconciliation/breaks/resolve_matched", account=account, day=day)


def record_run(
    connection: Connection,
    account: str,
    day: date,
    leg: str,
    started: datetime,
    figures: object,
    changed_at: datetime | None = None,
) -> None:
    """Record that a leg of the day was reconciled, its figures, and when the day had last changed before that."""
    run(
        connection,
        "reconciliation/breaks/add_run",
        account=account,
        day=day,
        leg=leg,
        started_at=started,
        changed_at=changed_at,
        figures=orjson.dumps(figures).decode(),
    )


@dataclass(frozen=True)
class BreakFilter:
    """Which breaks; what is None lets all through. Amounts are in minor units of `currency`, without sign."""

    ids: tuple[int, ...] | None = None
    first_day: date | None = None
    last_day: date | None = None
    types: tuple[str, ...] | None = None
    currency: str | None = None
    min_age: int | None = None
    least_minor: int | None = None
    most_minor: int | None = None
    owner: str | None = None
    overdue: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it lets every break through."""
        return self == BreakFilter()

    def parameters(self) -> dict[str, Any]:
        """Return what the statement takes."""
        lists = {"ids": self.ids and list(self.ids), "types": self.types and list(self.types)}
        return asdict(self) | lists


@dataclass(frozen=True)
class Change:
    """What one break gets: None leaves it as it is, an empty text clears it. `explained` explains the break."""

    break_id: int
    owner: str | None = None
    reason: str | None = None
    note: str | None = None
    explained: bool = False


@dataclass(frozen=True)
class FilledRow:
    """A row of a file of breaks as it came back; None: the file has no such column. `line` is its place in the file."""

    line: int
    break_id: int
    version: int
    owner: str | None
    reason: str | None
    note: str | None


@dataclass(frozen=True)
class Applied:
    """What a file of breaks did: rows that changed a break, that said what is so already, that nobody filled in."""

    changed: int
    unchanged: int
    untouched: int


def list_breaks(
    warehouse: Warehouse, account: str, wanted: BreakFilter, *, explained: bool, most: int | None = None
) -> list[Any]:
    """Return the breaks that are not resolved and fit the filter, oldest first."""
    parameters = {"account": account, "explained": explained, "most": most, **wanted.parameters()}
    return warehouse.query("reconciliation/breaks/list", **parameters)


def owners(warehouse: Warehouse, account: str) -> list[str]:
    """Return who owns or owned a break."""
    return [row.owner for row in warehouse.query("reconciliation/breaks/owners", account=account)]


def reasons(warehouse: Warehouse) -> list[Any]:
    """Return the reasons that explain a break, with what each is for."""
    return warehouse.query("reconciliation/breaks/reasons")


def add_reason(warehouse: Warehouse, reason: str, description: str, by: str) -> bool:
    """Add a reason to the list; return whether it was not there yet."""
    added = {"by": person(by), "reason": text(reason, "a reason", LONGEST_NAME).lower()}
    added["description"] = text(description, "--description")
    with warehouse.transaction() as connection:
        return bool(run(connection, "reconciliation/breaks/add_reason", **added))


def deadlines(warehouse: Warehouse) -> list[Any]:
    """Return how many days after its business day a break of each type is due."""
    return warehouse.query("reconciliation/breaks/deadlines")


def set_deadline(warehouse: Warehouse, break_type: str, days: int, by: str) -> None:
    """Set how many days after its business day a break of this type (`*`: any other) is due."""
    name = person(by)
    with warehouse.transaction() as connection:
        run(connection, "reconciliation/breaks/set_deadline", break_type=break_type, days=days, by=name)


def change_breaks(warehouse: Warehouse, account: str, wanted: BreakFilter, change: Change, by: str) -> list[Any]:
    """Make one change to all breaks of the filter, and return these breaks; by id explained ones too.

    Raises:
        ConfigError: an id is not that of an unresolved break, or a name or reason cannot be taken; nothing is changed.
    """
    by = person(by)
    with warehouse.transaction() as connection:
        change = _valid(change, known_reasons(connection))
        parameters = {"account": account, "explained": wanted.ids is not None, "most": None, **wanted.parameters()}
        found = run(connection, "reconciliation/breaks/list", **parameters)
        missing = sorted({*(wanted.ids or ())} - {row.break_id for row in found})
        if missing:
            fits = " that fits the other options" * (wanted != BreakFilter(ids=wanted.ids))
            raise ConfigError(
                f"there is no unresolved break {', '.join(map(str, missing))}{fits}: `ecommpay-sync breaks --all` "
                "lists them."
            )
        _save_changes(connection, account, by, [replace(change, break_id=row.break_id) for row in found])
    return found


def apply_rows(warehouse: Warehouse, account: str, rows: Sequence[FilledRow], by: str) -> Applied:
    """Take back owners, reasons and notes of a file of breaks: all of them, or nothing.

    Raises:
        ConfigError: a row says what cannot be taken.
        Incomplete: a break that was filled in changed since the file was written.
    """
    by = person(by)
    ids = [row.break_id for row in rows]
    versions = [row.version for row in rows]
    with warehouse.transaction() as connection:
        run(connection, "reconciliation/breaks/lock", account=account, ids=ids)
        states = run(connection, "reconciliation/breaks/states", account=account, ids=ids, versions=versions)
        changes, untouched = _changes_of(rows, states, known_reasons(connection))
        _save_changes(connection, account, by, changes)
    return Applied(len(changes), len(rows) - len(changes) - untouched, untouched)


def _changes_of(rows: Sequence[FilledRow], states: Sequence[Any], reasons: Collection[str]) -> tuple[list[Change], int]:
    """Return what the rows change, each held against its break as it is now, and how many nobody filled in.

    What a break says already is no change, whatever happened to it meanwhile: so a second time changes nothing.
    """
    changes, untouched = [], 0
    faults, conflicts = [], []
    lines: dict[int, int] = {}
    by_id: dict[int, Any] = {state.break_id: state for state in states if state.has_base}
    for row in rows:
        state: Any = by_id.get(row.break_id)
        try:
            filled = _filled_cells(row, state, lines)
            change = _valid(Change(row.break_id, **filled, explained=bool(filled.get("reason"))), reasons)
        except ConfigError as error:
            faults.append(f"row {row.line}: {error}")
            continue
        untouched += not filled
        is_so = all(shown(getattr(change, name)) == shown(getattr(state, name) or "") for name in filled)
        if is_so and not (change.explained and state.state == "open"):
            continue
        if state.version != row.version:
            conflicts.append(f"row {row.line}: {_what_changed(state)}")
        changes.append(change)
    if faults:
        raise ConfigError(nothing_applied(faults, "correct these rows"))
    if conflicts:
        raise Incomplete(nothing_applied(conflicts, "write the list again, or take these rows out of the file"))
    return changes, untouched


def _filled_cells(row: FilledRow, state: Any | None, lines: dict[int, int]) -> dict[str, str]:
    """Return the cells that are not what the file said; one that was emptied clears what it said."""
    if state is None:
        raise ConfigError(f"there is no break {row.break_id} of version {row.version} in this account")
    if lines.setdefault(row.break_id, row.line) != row.line:
        raise ConfigError(f"break {row.break_id} stands in row {lines[row.break_id]} already")
    cells = {name: shown(cell) for name in FILLED_IN if (cell := getattr(row, name)) is not None}
    return {name: cell for name, cell in cells.items() if cell != shown(getattr(state, f"base_{name}") or "")}


def _what_changed(state: Any) -> str:
    def amount(minor: int | None) -> str:
        return major_units(minor, state.currency, state.business_date)

    pairs = (
        ("state", state.base_state, state.state),
        ("owner", state.base_owner, state.owner),
        ("reason", state.base_reason, state.reason),
        ("note", state.base_note, state.note),
        ("amount", amount(state.base_minor), amount(state.amount_minor)),
    )
    changed = ", ".join(f"{name} {old or 'none'} → {new or 'none'}" for name, old, new in pairs if old != new)
    at = state.changed_at.astimezone(UTC)
    return (
        f"break {state.break_id} was changed by {state.changed_by} at {at:%Y-%m-%d %H:%M:%S} UTC: "
        f"{changed or 'what was found'}"
    )


def nothing_applied(problems: Sequence[str], advice: str) -> str:
    """Return what keeps all rows of a file from being applied, in one line."""
    more = f"; and {len(problems) - SHOWN_PROBLEMS:,} more" if len(problems) > SHOWN_PROBLEMS else ""
    return f"nothing was applied: {'; '.join(problems[:SHOWN_PROBLEMS])}{more}: {advice}."


def _save_changes(connection: Connection, account: str, by: str, changes: Sequence[Change]) -> None:
    run(connection, "reconciliation/breaks/actor", by=by)
    run(
        connection,
        "reconciliation/breaks/change",
        account=account,
        by=by,
        ids=[change.break_id for change in changes],
        owners=[change.owner for change in changes],
        reasons=[change.reason for change in changes],
        notes=[change.note for change in changes],
        explained=[change.explained for change in changes],
    )


def known_reasons(connection: Connection) -> set[str]:
    """Return the names of the reasons that explain a break."""
    return {row.reason for row in run(connection, "reconciliation/breaks/reasons")}


def _valid(change: Change, reasons: Collection[str]) -> Change:
    return replace(
        change,
        owner=change.owner and person(change.owner),
        reason=change.reason and known_reason(change.reason, reasons),
        note=change.note and text(change.note, "the note"),
    )


def person(name: str) -> str:
    """Return the name of a person as it is stored.

    Raises:
        ConfigError: it is empty, too long, or the reconciliation's own.
    """
    name = text(name, "a name", LONGEST_NAME)
    if name.lower() == RECONCILE:
        raise ConfigError(f"{printable(name)!r} is no name of a person: write another.")
    return name


def known_reason(reason: str, reasons: Collection[str]) -> str:
    """Return a reason as the list has it.

    Raises:
        ConfigError: the list does not have it.
    """
    reason = shown(reason).lower()
    if reason not in reasons:
        raise ConfigError(
            f"{printable(reason)!r} is no reason: write one of {', '.join(sorted(reasons))}, "
            "or add it with `ecommpay-sync breaks reasons --add`"
        )
    return reason


def text(value: str, what: str, longest: int = LONGEST_NOTE) -> str:
    """Return a text as it is stored: to the byte, without the space around it; escaped where the database has no way.

    Raises:
        ConfigError: it is empty, too long, or has a character that no file can hold.
    """
    value = value.strip()
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        value = shown(value)
    if not shown(value):
        raise ConfigError(f"{what} must not be empty.")
    if len(value) > longest:
        raise ConfigError(f"{what} has {len(value):,} characters: write at most {longest:,}.")
    return value


def shown(value: str) -> str:
    """Return a text as a cell of a file can hold it: no space around it, one kind of line end, nothing unseen."""
    if value.isprintable():
        return value.strip()
    lines = printable_lines(value.replace("\r\n", "\n").replace("\r", "\n")).split("\n")
    return "\n".join(line.strip() for line in lines).strip()
