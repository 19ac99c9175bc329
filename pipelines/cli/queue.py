"""Commands of the queue of breaks: list and hand out, take back, assign, explain; match and part by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import partial, wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import console
from pipelines.cli.accounts import each_in_turn, migrated_warehouse, only_account, reading_warehouse
from pipelines.cli.console import AsJson, EachAccount, OneAccount, read_day
from resources.accounts import AccountScope
from resources.currencies import exponent_of
from resources.errors import ConfigError
from resources.output import write_named

if TYPE_CHECKING:
    from pipelines.reconciliation.breaks import BreakFilter, Change
    from pipelines.reconciliation.matching import Decision

MOST_BREAKS = 200


app = typer.Typer()
breaks_app = typer.Typer(
    name="breaks", help="The open breaks, and the work on them.", invoke_without_command=True, rich_markup_mode=None
)

By = Annotated[str, typer.Option("--by", metavar="NAME", help="who does this")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[BREAK_ID]...", show_default=False, max=2**63 - 1)]
FirstDay = Annotated[str | None, typer.Option("--from", metavar="DAY", help="of this business day or later")]
LastDay = Annotated[str | None, typer.Option("--to", metavar="DAY", help="of this business day or before")]


@dataclass(frozen=True)
class Chosen:
    """The options of a filter of breaks, as they were typed."""

    day: Annotated[str | None, typer.Option("--date", metavar="DAY", help="of this business day only")] = None
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="of this type; may be given again")
    ] = None
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="in this currency")] = None
    min_age: Annotated[int | None, typer.Option(metavar="DAYS", min=0, max=100_000, help="at least this old")] = None
    min_amount: Annotated[str | None, typer.Option(metavar="AMOUNT", help="of at least this; needs --currency")] = None
    max_amount: Annotated[str | None, typer.Option(metavar="AMOUNT", help="of at most this; needs --currency")] = None
    owner: Annotated[str | None, typer.Option(metavar="NAME", help="that this person owns")] = None
    overdue: Annotated[bool, typer.Option("--overdue", help="that are overdue")] = False

    def to_filter(
        self, ids: Sequence[int] | None = None, first: str | None = None, last: str | None = None
    ) -> BreakFilter:
        """Return the filter of these options, and of ids or days; amounts have the warehouse's decimals.

        Raises:
            ConfigError: an option is malformed, or does not go with another.
        """
        from pipelines.reconciliation.breaks import BreakFilter

        day = self.day
        if day and (first or last):
            raise ConfigError("--date is one day: give it, or --from and --to.")
        first_day = read_day("--date" if day else "--from", day or first or "") if day or first else None
        last_day = read_day("--date" if day else "--to", day or last or "") if day or last else None
        if first_day and last_day and last_day < first_day:
            raise ConfigError(f"--to {last} is before --from {first}: swap them.")
        for name in self.types or ():
            _check_type(name)
        least = _minor("--min-amount", self.min_amount, self.currency)
        most = _minor("--max-amount", self.max_amount, self.currency)
        if least is not None and most is not None and most < least:
            raise ConfigError(f"--max-amount {self.max_amount} is less than --min-amount {self.min_amount}: swap them.")
        return BreakFilter(
            ids=tuple(ids or ()) or None,
            first_day=first_day,
            last_day=last_day,
            types=tuple(self.types or ()) or None,
            currency=self.currency.upper() if self.currency else None,
            min_age=self.min_age,
            least_minor=least,
            most_minor=most,
            owner=self.owner,
            overdue=self.overdue,
        )


def with_filter(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Chosen`, each one of its own, in the place of its parameter `chosen`."""
    options = signature(Chosen, eval_str=True).parameters
    parameters: list[Parameter] = []
    for name, parameter in signature(command, eval_str=True).parameters.items():
        parameters += options.values() if name == "chosen" else [parameter]

    @wraps(command)
    def with_options(**given: Any) -> None:
        command(chosen=Chosen(**{name: given.pop(name) for name in options}), **given)

    as_named = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in parameters]
    vars(with_options)["__signature__"] = Signature(as_named)
    return with_options


def _check_type(name: str) -> None:
    from pipelines.reports.document import BREAK_TYPES
    from resources.environment import nearest

    if name not in BREAK_TYPES:
        near = nearest(name, list(BREAK_TYPES))
        advice = f"did you mean {near}?" if near else f"there are {', '.join(BREAK_TYPES)}."
        raise ConfigError(f"--type {name!r} is no type of a break: {advice}")


def _minor(option: str, amount: str | None, currency: str | None) -> int | None:
    if amount is None:
        return None
    exponent = exponent_of(currency.upper()) if currency else None
    if exponent is None:
        raise ConfigError(f"{option} needs --currency, of a currency whose decimals are known.")
    try:
        minor = Decimal(amount).scaleb(exponent)
    except InvalidOperation:
        minor = Decimal("NaN")
    if not minor.is_finite() or minor < 0 or minor != minor.to_integral_value() or minor >= 10**28:
        raise ConfigError(f"{option} {amount!r} is no amount of {currency}: write it like 12.50.")
    return int(minor)


@breaks_app.callback()
@with_filter
def breaks(
    context: typer.Context,
    *,
    everything: Annotated[bool, typer.Option("--all", help="explained ones too")] = False,
    first: FirstDay = None,
    last: LastDay = None,
    chosen: Chosen,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="write all of them to this .xlsx or .csv to fill in")
    ] = None,
    account: EachAccount = None,
    as_json: AsJson = False,
) -> None:
    """List the open breaks, oldest first, or write them to a file that `breaks apply` takes back."""
    if context.invoked_subcommand is not None:
        return
    if output is not None:
        account = only_account(account).account  # one file is of one account

    def show(scope: AccountScope) -> None:
        from pipelines.reconciliation.breaks import list_breaks, owners, reasons

        with reading_warehouse(scope) as store:
            most = None if output or as_json else MOST_BREAKS
            wanted = chosen.to_filter(first=first, last=last)
            rows = list_breaks(store, scope.account, wanted, explained=everything, most=most)
            if output is not None:
                from pipelines.reconciliation.break_files import write_breaks

                names = [row.reason for row in reasons(store)]
                body = write_breaks(output.suffix.lower(), rows, owners(store, scope.account), names)
                write_named(f"--output {output}", output, body)
                console.line(f"written: {len(rows):,} breaks to {output}")
                console.line(f"fill in owner, reason and note, then: ecommpay-sync breaks apply {output} --by NAME")
                return
        if as_json:
            console.document({"account": scope.account, "breaks": rows})
            return
        if not rows:
            what = "breaks" if everything else "open breaks"
            chosen_by = "" if wanted.is_empty else " of these days, types, currency, amounts, age and owner"
            console.line(f"no {what}{chosen_by}")
        console.table(
            "Breaks",
            rows,
            {">id": "break_id", "day": "business_date", "age": "age_bucket"},
            {"due": lambda row: f"{row.due_date}{' overdue' * row.is_overdue}"},
            {"type": "break_type", "state": "state", ">amount": console.money(), "currency": "currency"},
            {"operation": "operation_id", "entry": lambda row: row.entry_id or row.balance_name, "what": "detail"},
            {"owner": "owner", "reason": "reason", "note": "note"},
        )
        if len(rows) == MOST_BREAKS:
            console.line(f"the first {MOST_BREAKS}; --output FILE writes all, and all are in recon.aged_breaks")

    each_in_turn(account, show, as_json=as_json)


@breaks_app.command("apply")
def breaks_apply(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a list of `breaks --output`, filled in")],
    by: By,
    account: OneAccount = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take back owners, reasons and notes of a list that was filled in: all rows of it, or nothing."""
    from pipelines.reconciliation.break_files import read_breaks
    from pipelines.reconciliation.breaks import apply_rows

    scope = only_account(account)
    rows = read_breaks(file)
    with migrated_warehouse(scope) as store:
        applied = apply_rows(store, scope.account, rows, by)
    if as_json:
        console.document({"account": scope.account, **vars(applied)})
        return
    console.line(
        (f"applied: {applied.changed:,} breaks changed" if applied.changed else "nothing to change")
        + f"; {applied.unchanged:,} say so already, {applied.untouched:,} rows were not filled in"
    )


@breaks_app.command("assign")
@with_filter
def breaks_assign(
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="who is to look after them; empty: nobody")],
    by: By,
    break_ids: Ids = None,
    *,
    chosen: Chosen,
    account: OneAccount = None,
    as_json: AsJson = False,
) -> None:
    """Give breaks, by id or by a filter, to a person."""
    from pipelines.reconciliation.breaks import Change

    what = f"assigned to {to.strip() or 'nobody'}"
    wanted = partial(chosen.to_filter, break_ids)
    _change(only_account(account), what, wanted, Change(0, owner=to.strip()), by, as_json=as_json)


@app.command()
@with_filter
def explain(
    by: Annotated[str, typer.Option(metavar="NAME", help="who explains it")],
    note: Annotated[str, typer.Option(metavar="TEXT", help="how")],
    break_ids: Ids = None,
    *,
    reason: Annotated[str | None, typer.Option(metavar="REASON", help="one of `breaks reasons`")] = None,
    chosen: Chosen,
    account: OneAccount = None,
    as_json: AsJson = False,
) -> None:
    """Explain breaks, by id or by a filter: they stay on record and do not come back as new."""
    from pipelines.reconciliation.breaks import Change

    scope = only_account(account)
    if not by.strip() or not note.strip():
        raise ConfigError("--by and --note must not be empty: who explains the break, and how.")
    change = Change(0, reason=reason, note=note, explained=True)
    _change(scope, "explained", partial(chosen.to_filter, break_ids), change, by, as_json=as_json)


def _change(
    scope: AccountScope, what: str, wanted: Callable[[], BreakFilter], change: Change, by: str, *, as_json: bool
) -> None:
    """Make one change to the breaks of a filter, whose amounts have the warehouse's decimals, and print which."""
    from pipelines.reconciliation.breaks import change_breaks

    with migrated_warehouse(scope) as store:
        chosen = wanted()
        if chosen.is_empty:
            raise ConfigError("say which breaks: their ids, or a filter such as --type or --currency.")
        found = change_breaks(store, scope.account, chosen, change, by)
    if as_json:
        console.document({"account": scope.account, "break_ids": [row.break_id for row in found]})
    elif len(found) == 1:
        console.line(f"{what}: break {found[0].break_id}, {found[0].break_type}")
    else:
        console.line(f"{what}: {f'{len(found):,} breaks' if found else 'none, as no open break fits'}")


@breaks_app.command("reasons")
def breaks_reasons(
    add: Annotated[str | None, typer.Option("--add", metavar="REASON", help="a reason to add")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="when it is the right one")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="who adds it")] = None,
) -> None:
    """List the reasons that explain a break, or add one."""
    from pipelines.reconciliation import breaks

    if add is not None:
        if by is None or description is None:
            raise ConfigError("--add needs --description and --by: when the reason is the right one, and who adds it.")
        with migrated_warehouse() as store:
            is_new = breaks.add_reason(store, add, description, by)
        console.line(f"{'added' if is_new else 'there already'}: {add.strip().lower()}")
        return
    if description is not None or by is not None:
        raise ConfigError("--description and --by are of a new reason: name it with --add REASON.")
    with reading_warehouse() as store:
        rows = breaks.reasons(store)
    console.table("Reasons", rows, {"reason": "reason", "when": "description", "added by": "added_by"})


@breaks_app.command("deadlines")
def breaks_deadlines(
    break_type: Annotated[str | None, typer.Option("--type", metavar="TYPE", help="a type; *: any other")] = None,
    days: Annotated[int | None, typer.Option(metavar="N", min=0, max=3650, help="days after the business day")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="who decides it")] = None,
) -> None:
    """List how many days after its business day a break is due, by type, or set it."""
    from pipelines.reconciliation import breaks

    if break_type is not None or days is not None:
        if break_type is None or by is None or days is None:
            raise ConfigError("--type, --days and --by go together: of which type, how many days, who decides it.")
        if break_type != "*":
            _check_type(break_type)
        with migrated_warehouse() as store:
            breaks.set_deadline(store, break_type, days, by)
    with reading_warehouse() as store:
        rows = breaks.deadlines(store)
    console.table("Breaks are due", rows, {"type": "break_type", ">days": "days", "set by": "set_by"})


@app.command("match")
def match_by_hand(
    operations: Annotated[list[str], typer.Option("--operation", metavar="ID", help="may be given again")],
    entries: Annotated[list[str], typer.Option("--entry", metavar="ID", help="may be given again")],
    by: By,
    note: Annotated[str, typer.Option(metavar="TEXT", help="why they belong together")],
    reason: Annotated[
        str | None, typer.Option(metavar="REASON", help="why their sums differ: one of `breaks reasons`")
    ] = None,
    account: OneAccount = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Match operations with entries by hand: one with one or several; every later reconciliation follows."""
    from pipelines.reconciliation.matching import match

    scope = only_account(account)
    cutoff = scope.settings.recon_cutoff_minutes
    with migrated_warehouse(scope) as store:
        done = match(store, scope.account, operations, entries, cutoff, by=by, note=note, reason=reason)
    _print_decision(scope, "matched", done, as_json=as_json)


@app.command()
def unmatch(
    operation: Annotated[str, typer.Option(metavar="ID", help="an operation of the match")],
    entry: Annotated[str, typer.Option(metavar="ID", help="an entry of the match")],
    by: By,
    note: Annotated[str, typer.Option(metavar="TEXT", help="why they do not belong together")],
    account: OneAccount = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Part a match, whoever made it: no later reconciliation puts it together again."""
    from pipelines.reconciliation.matching import unmatch as part

    scope = only_account(account)
    with migrated_warehouse(scope) as store:
        done = part(store, scope.account, operation, entry, scope.settings.recon_cutoff_minutes, by=by, note=note)
    _print_decision(scope, "parted", done, as_json=as_json)


def _print_decision(scope: AccountScope, what: str, done: Decision, *, as_json: bool) -> None:
    if as_json:
        pairs = [{"operation_id": operation, "entry_id": entry} for operation, entry in done.pairs]
        found = {"pairs": pairs, "difference_minor": done.difference_minor, "reconciled": done.days}
        console.document({"account": scope.account, **found})
        return
    console.line(f"{what}: {', '.join(f'operation {operation} and entry {entry}' for operation, entry in done.pairs)}")
    if done.days:
        console.line(f"reconciled again: {', '.join(map(str, done.days))}")


app.add_typer(breaks_app)
