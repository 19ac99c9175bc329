"""Commands of closing: a day or a month sealed and opened again, and what is made of it: report, evidence, journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli import console
from pipelines.cli.accounts import each_in_turn, migrated_warehouse, only_account, reading_warehouse
from pipelines.cli.console import AsJson, EachAccount, OneAccount, read_day
from resources.accounts import AccountScope
from resources.errors import ConfigError, Incomplete
from resources.settings import report_dir, report_settings
from resources.warehouse.reference import settings_in_force

if TYPE_CHECKING:
    from pipelines.reconciliation.close import Outcome
    from pipelines.reports.document import DayDocument
    from pipelines.reports.month import MonthDocument
    from pipelines.reports.one_currency import InOneCurrency
    from pipelines.reports.publish import Published

app = typer.Typer()

Day = Annotated[str | None, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")]
Month = Annotated[str | None, typer.Option("--month", metavar="MONTH", help="or all days of a month (YYYY-MM)")]


@app.command()
def close(
    *,
    day: Day = None,
    month: Month = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="who prepares the figures, or reviewed them and closes")],
    with_open_breaks: Annotated[bool, typer.Option("--with-open-breaks", help="although breaks are open")] = False,
    account: OneAccount = None,
    as_json: AsJson = False,
) -> None:
    """Seal the figures of a day or month under four eyes: one person's call prepares them, another's closes."""
    from pipelines.reconciliation.close import close_day, close_month

    scope = only_account(account)
    days = _read_period(day, month)
    with migrated_warehouse(scope) as store:
        if month is not None:
            kept = _days_kept(scope, days)
            outcomes = close_month(store, scope.account, kept, by=by, with_open_breaks=with_open_breaks)
        else:
            (only,) = days
            outcomes = {only: close_day(store, scope.account, only, by=by, with_open_breaks=with_open_breaks)}
    found = [_closing_of(business_day, outcome) for business_day, outcome in outcomes.items()]
    left = [closing for closing in found if closing.state in ("not closed", "prepared anew")]
    one = found[0]
    period = f"--month {month}" if month is not None else f"--date {one.business_date}"
    again = f"ecommpay-sync close {period} --by NAME{' --with-open-breaks' * with_open_breaks}{scope.option}"
    if as_json:
        console.document({"account": scope.account, "days": found})
    elif month is not None:
        _print_month(month, found, again)
    elif one.state == "closed":
        sealed = f"row {one.close_no} of recon.closes, SHA-256 of the document {one.document_sha256}"
        console.line(f"closed: {one.business_date}, {sealed}")
        console.line(f"head of the chain: {one.entry_hash}")
    elif not left:
        console.line(f"prepared: {one.business_date} by {one.prepared_by}, SHA-256 of the figures {one.figures_sha256}")
        console.line(f"now another person looks at the report and closes it: `{again}`")
    if month is not None and left:
        raise Incomplete(f"{len(left)} of {len(found)} days of {month} are left: the table says why.")
    if left:
        raise Incomplete(
            f"{one.business_date} is not closed: {one.reason}. They are prepared anew by {one.prepared_by}, "
            "and another person closes the day."
        )


def _read_period(day: str | None, month: str | None) -> tuple[date, ...]:
    """Return the days that `--date` or `--month` names; a month that has not begun is refused."""
    from pipelines.reconciliation.close import days_of_month

    if (day is None) == (month is None):
        raise ConfigError("name a day (--date DAY) or a month (--month MONTH), one of the two.")
    if day is not None:
        return (read_day("--date", day),)
    try:
        days = days_of_month(datetime.strptime(month or "", "%Y-%m").date())  # noqa: DTZ007 - a month of any zone
    except ValueError:
        raise ConfigError(f"--month {month!r} is no month: write YYYY-MM.") from None
    if days[0] > datetime.now(UTC).date() + timedelta(days=1):
        raise ConfigError(f"--month {month} has not begun: name a month of which a day is over.")
    return days


def _days_kept(scope: AccountScope, days: Sequence[date]) -> tuple[date, ...]:
    first = scope.settings.first_day
    kept = tuple(day for day in days if day >= first)
    if not kept:
        raise ConfigError(f"{days[-1]} is before the first day this system keeps, {first}.")
    return kept


@dataclass(frozen=True)
class Closing:
    """What became of a day, and the command that comes next; as `close --json` shows it."""

    business_date: date
    state: str
    close_no: int | None = None
    document_sha256: str | None = None
    entry_hash: str | None = None
    prepared_by: str | None = None
    figures_sha256: str | None = None
    reason: str | None = None
    command: str | None = None

    @property
    def sentence(self) -> str:
        """What became of it in words."""
        if self.state == "closed":
            return f"row {self.close_no}, SHA-256 of the document {self.document_sha256}"
        reason = self.reason or ""
        if self.prepared_by:
            since = f", as {reason}" * bool(reason)
            return f"by {self.prepared_by}, SHA-256 of the figures {self.figures_sha256}{since}"
        return f"{reason}: `{self.command}`" if self.command else reason


def _closing_of(day: date, outcome: Outcome) -> Closing:
    from pipelines.reconciliation.close import Prepared, Sealed, is_same_person

    if isinstance(outcome, Sealed):
        return Closing(day, "closed", outcome.close_no, outcome.document_sha256, outcome.entry_hash)
    if isinstance(outcome, Prepared):
        before, state, reason = outcome.instead_of, "prepared", None
        if before is not None and not is_same_person(before.by, outcome.by):
            state, reason = "prepared anew", f"its figures changed since {before.by} prepared them"
        return Closing(day, state, prepared_by=outcome.by, figures_sha256=outcome.figures_sha256, reason=reason)
    if outcome.is_closed:
        return Closing(day, "closed before", command=outcome.command or None)
    return Closing(day, "not closed", reason=outcome.reason, command=outcome.command or None)


def _print_month(month: str, days: Sequence[Closing], again: str) -> None:
    """Print what became of each day of a month, and the command by which another person goes on."""
    console.table(
        f"The days of {month}",
        days,
        {"day": "business_date", "state": lambda day: day.state.removesuffix(" anew")},
        {"what, and the next command": "sentence"},
    )
    heads = [day.entry_hash for day in days if day.entry_hash]
    if heads:
        console.line(f"head of the chain: {heads[-1]}")
    if any(day.prepared_by for day in days):
        console.line(f"now another person looks at the report and closes what is prepared: `{again}`")
    done = sum(day.state.startswith("closed") for day in days)
    console.line(f"{done} of {len(days)} days of {month} are closed")


@app.command()
def reopen(
    day: Annotated[str, typer.Option("--date", metavar="DAY", help="a closed business day")],
    by: Annotated[str, typer.Option(metavar="NAME", help="who opens it")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="why")],
    account: OneAccount = None,
) -> None:
    """Open a closed day again; what was sealed stays on record."""
    from pipelines.reconciliation.close import reopen_day

    scope = only_account(account)
    business_day = read_day("--date", day)
    with migrated_warehouse(scope) as store:
        number = reopen_day(store, scope.account, business_day, by=by, reason=reason)
    console.line(f"open again: {business_day}, row {number} of recon.closes; what was sealed stays there")


@app.command()
def report(
    *,
    day: Day = None,
    month: Month = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="write an evidence pack for an auditor instead (--output FILE.zip)")
    ] = False,
    journal: Annotated[
        bool, typer.Option("--journal", help="write debit and credit lines instead (--output FILE.csv or .xlsx)")
    ] = False,
    map_file: Annotated[
        Path | None, typer.Option("--map", metavar="FILE", help="accounts of the journal, a .toml file")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="PATH", help="folder of the report; else SYNC_REPORT_DIR")
    ] = None,
    account: EachAccount = None,
    as_json: AsJson = False,
) -> None:
    """Write page and workbook of a day or month; or, of sealed days, an evidence pack or a journal."""
    days = _read_period(day, month)
    if evidence and journal:
        raise ConfigError("--evidence and --journal are two files: name one of them.")
    if map_file is not None and not journal:
        raise ConfigError("--map names the accounts of a journal: add --journal, or leave it out.")
    if as_json and (month is None or evidence or journal):
        raise ConfigError("--json prints the figures of a month's report: add --month MONTH, or leave it out.")
    if not evidence and not journal:
        _write_reports(days, month, output, account, as_json=as_json)
        return
    scope = only_account(account)
    kept = _days_kept(scope, days)
    option, kinds = ("--evidence", (".zip",)) if evidence else ("--journal", (".csv", ".xlsx"))
    if output is None or output.suffix.lower() not in kinds:
        raise ConfigError(f"{option} writes one file: add --output FILE{' or FILE'.join(kinds)}.")
    if journal:
        _write_journal(scope, kept, map_file, output)
        return
    from pipelines.reports.publish import write_evidence

    period = month or str(days[0])
    with reading_warehouse(scope) as store:
        pack = write_evidence(store, scope.account, kept, period, output)
    console.line(f"evidence: {pack.sealed} of {len(kept)} days of {period} sealed, {output}")
    console.line(f"SHA-256 of the pack: {pack.sha256}")


def _write_reports(
    days: Sequence[date], month: str | None, folder: Path | None, account: str | None, *, as_json: bool
) -> None:
    from pipelines.nights import starts_at
    from pipelines.reports.publish import publish, publish_month

    in_one = report_settings()

    def write(scope: AccountScope) -> None:
        with reading_warehouse(scope) as store:
            if month is not None:
                kept = _days_kept(scope, days)
                published: Published[Any] = publish_month(store, scope.account, kept, folder or report_dir(), in_one)
            else:
                zone = settings_in_force(store, scope.settings).reference.reporting_zone
                if starts_at(days[0], zone) > datetime.now(UTC):
                    raise ConfigError(f"{days[0]} has not begun in {zone}: name a day that has.")
                published = publish(store, scope.account, days[0], zone, folder or report_dir(), in_one)
        total = published.in_one
        if as_json:
            names = ("currency", "exponent", "credit_minor", "debit_minor", "left_out")
            figures = total and {name: getattr(total, name) for name in names} | {"by_currency": total.by_currency()}
            files = {"page": published.page, "workbook": published.workbook}
            console.document({**vars(published.document), "in_one_currency": figures, **files})
            return
        (_print_report if month is None else _print_month_report)(published.document)
        _print_in_one_currency(total)
        console.line(f"page:     {published.page}")
        console.line(f"workbook: {published.workbook}")
        console.line()

    each_in_turn(account, write, as_json=as_json)


def _print_report(document: DayDocument) -> None:
    """Print the day in one line, its totals and its open breaks."""
    from pipelines.reports.document import amount, break_name, change, rate
    from pipelines.reports.page import exponents_of, sentence

    console.line(f"{document.business_date} ({document.reporting_zone}): {sentence(document)}")
    console.line()
    console.table(
        "Totals of the day",
        document.totals,
        {"currency": "currency", ">volume": lambda total: amount(total.day.credit_minor, total.exponent)},
        {">day before": lambda now: change(now.day.credit_minor, now.day_before and now.day_before.credit_minor)},
        {">out": lambda total: amount(total.day.debit_minor, total.exponent)},
        {">approved": lambda total: rate(total.day.approved, total.day.attempts)},
        {">operations": console.count("day.operations")},
    )
    exponents = exponents_of(document)
    console.table(
        "Open breaks",
        document.breaks,
        {"break": lambda group: break_name(group.break_type), "age (days)": "age"},
        {"currency": lambda group: group.currency or "—", ">count": console.count("count")},
        {">amount": lambda group: amount(group.amount_minor, exponents.get(group.currency))},
    )
    console.table(
        "Whose they are",
        document.queue,
        {"owner": lambda line: line.owner or "nobody yet", ">open": console.count("count")},
        {">new": console.count("new"), ">overdue": console.count("overdue"), ">oldest (days)": "oldest_days"},
    )


def _print_month_report(document: MonthDocument) -> None:
    """Print the month in one line, its totals, and the days that are not sealed."""
    from pipelines.reports.document import amount
    from pipelines.reports.month import sentence

    console.line(f"{document.month:%Y-%m} ({document.reporting_zone}): {sentence(document)}")
    console.line()
    console.table(
        "Totals of the sealed days",
        document.totals,
        {"currency": lambda total: total.currency or "—", "type": "type", "status": "status"},
        {">count": console.count("count"), ">amount": lambda total: amount(total.minor, total.exponent)},
    )
    left = [day for day in document.days if day.seal is None]
    console.table("Not sealed", left, {"day": "business_date", "why": "reason", "next": "command"})


def _print_in_one_currency(in_one: InOneCurrency | None) -> None:
    """Print the total in the reporting currency with the rates that were applied, if one is set."""
    from pipelines.reports.document import amount

    if in_one is None:
        return
    lines: list[Any] = [*in_one.by_currency(), in_one]  # the last is the total of the others
    console.table(
        f"All in {in_one.currency}, by your rates",
        lines,
        {"currency": lambda line: "total" if line is in_one else line.currency},
        {">volume, exact": lambda line: "—" if line is in_one else amount(line.exact_credit_minor, line.exponent)},
        {f">volume, {in_one.currency}": lambda line: amount(line.credit_minor, in_one.exponent)},
        {f">out, {in_one.currency}": lambda line: amount(line.debit_minor, in_one.exponent)},
        {"rate": lambda line: "—" if line is in_one else line.rates},
    )
    if in_one.left_out:
        console.line(in_one.left_out)
        console.line()


def _write_journal(scope: AccountScope, days: Sequence[date], map_file: Path | None, file: Path) -> None:
    from pipelines.reports.document import amount
    from pipelines.reports.journal import read_journal_map, write_journal

    if map_file is None:
        raise ConfigError("--journal needs accounts: add --map FILE.toml; start from deploy/journal.example.toml.")
    accounts = read_journal_map(str(map_file))
    with reading_warehouse(scope) as store:
        journal = write_journal(store, scope.account, days, accounts, file)
    for total in journal.totals:
        console.line(f"{total.currency}: debit = credit = {amount(total.debit_minor, total.exponent)}")
    console.line(f"journal: {len(journal.lines):,} lines, {file}")
    if journal.ignored:
        console.line(f"left out by the map: {journal.ignored:,} operations")
