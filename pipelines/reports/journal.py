"""The journal of sealed days: balanced debit and credit lines by a map of accounts, in a file that ledgers import.

Lines are made of the control totals in the sealed documents alone: each total of currency, type and status is one
booking, an amount in minor units that is written with the currency's decimals of that day. An example of the map, with
every setting, is in deploy/journal.example.toml.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, Literal

from pipelines.reconciliation.close import Sealed, sealed_days
from resources.currencies import with_decimals
from resources.environment import Table, fault_of_file, tables_of_file, validated
from resources.errors import ConfigError, Incomplete
from resources.output import cells, with_formula_quote, write_named
from resources.values import TRUTH, Kind, Wrong, matching, one_of
from resources.warehouse.engine import Warehouse

ANY = "*"
COLUMNS = ("date", "document", "account", "debit", "credit", "currency", "text", "reference")
SHOWN = 5  # faults that a message names

Decimal = Literal[".", ","]
Separator = Literal[",", ";", "\t", "|"]


def _template(names: Sequence[str]) -> Kind:
    """Return the kind of texts with these placeholders."""
    braces = [f"{{{name}}}" for name in names]

    def read(value: str) -> str:
        left = value
        for brace in braces:
            left = left.replace(brace, "")
        if not value.strip() or not value.isprintable() or "{" in left or "}" in left:
            raise ValueError
        return value

    return Kind(read, f"a text with {', '.join(braces)} where they belong")


def _date_format(value: str) -> str:
    if not all(date(2026, 10, 31).strftime(value).count(part) for part in ("26", "10", "31")):
        raise Wrong(f"is {value!r}: write year, month and day, for example %d.%m.%Y.")
    return value


WORD = matching(r"[^\s*](?:[^*\n\r\t]{0,98}[^\s*])?|\*", 'it as the platform does, or "*" for any')
ACCOUNT = _template(("currency",))


@dataclass(frozen=True)
class Rule(Table):
    """One table `[[rules]]`: where operations of a type and status are booked, or that they are not (`ignore`)."""

    type: Annotated[str, WORD]
    status: Annotated[str, WORD] = "success"
    currency: Annotated[str, WORD] = ANY
    debit: Annotated[str | None, ACCOUNT] = None
    credit: Annotated[str | None, ACCOUNT] = None
    ignore: Annotated[bool, TRUTH] = False

    @property
    def subject(self) -> tuple[str, str, str]:
        """Which operations it is about."""
        return self.type, self.status, self.currency

    def takes(self, total: Mapping[str, Any]) -> bool:
        """Return whether it is about these operations.

        An `ignore` of any type is about what did not succeed: money that moved is left out by name alone.
        """
        if self.ignore and self.type == ANY and total["is_success"]:
            return False
        of_total = (total["type"], total["status"], total["currency"])
        return all(wanted in {ANY, value} for wanted, value in zip(self.subject, of_total, strict=True))


@dataclass(frozen=True)
class JournalMap(Table):
    """What a file says: its rules, and how lines are written."""

    rules: tuple[Rule, ...]
    document: Annotated[str, _template(("date", "currency", "account"))] = "EP-{date}-{currency}"
    text: Annotated[str, _template(("type", "status", "count", "date"))] = "{type} {status}, {count} operations"
    separator: Annotated[Separator, one_of(Separator)] = ","
    decimal: Annotated[Decimal, one_of(Decimal)] = "."
    date: Annotated[str, Kind(_date_format, "for example %d.%m.%Y")] = "%Y-%m-%d"
    file: str = ""

    def rule(self, total: Mapping[str, Any]) -> Rule | None:
        """Return the rule about these operations that says most: type counts over status, status over currency."""
        fitting = [rule for rule in self.rules if rule.takes(total)]
        return max(fitting, key=lambda rule: tuple(part != ANY for part in rule.subject), default=None)


@dataclass(frozen=True)
class Line:
    """A line of the journal; one of the two amounts is set, in minor units."""

    day: date
    document: str
    account: str
    debit_minor: int | None
    credit_minor: int | None
    currency: str
    exponent: int
    text: str
    reference: str


@dataclass(frozen=True)
class CurrencySum:
    """What was booked in a currency; debit and credit are the same in a journal that is written."""

    currency: str
    exponent: int
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True)
class Journal:
    """The lines of the days, their sums, and how many operations the map leaves out."""

    lines: tuple[Line, ...]
    totals: tuple[CurrencySum, ...]
    ignored: int


def read_journal_map(path: str) -> JournalMap:
    """Return the map of accounts of a TOML file.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is none; with file and key.
    """
    where = f"--map ({path})"
    content = tables_of_file("--map", path)
    keys = tuple(item.name for item in fields(JournalMap) if item.name != "file")
    tables = content.get("rules", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{where}: rules is no list of tables: write [[rules]], and its keys below.")
    rules = tuple(_rule(where, number, table) for number, table in enumerate(tables, start=1))
    if "file" in content:
        raise ConfigError(f"{where}: file is unknown: there are {', '.join(keys)}.")
    accounts = validated(
        JournalMap, {**content, "rules": rules, "file": path}, lambda fault: fault_of_file(where, fault, keys)
    )
    if not rules:
        raise ConfigError(f"{where}: rules is missing: write tables [[rules]].")
    for number, rule in enumerate(rules, start=1):
        if rule.subject in {other.subject for other in rules[: number - 1]}:
            raise ConfigError(f"{where}: rules[{number}] is about what a rule before it is about: keep one of them.")
    return accounts


def _rule(where: str, number: int, table: Mapping[str, Any]) -> Rule:
    place = f"rules[{number}]"
    keys = tuple(item.name for item in fields(Rule))
    rule = validated(Rule, table, lambda fault: fault_of_file(where, fault | {"loc": (place, *fault["loc"])}, keys))
    if rule.ignore == bool(rule.debit or rule.credit):
        raise ConfigError(
            f"{where}: {place} has {'both ignore and an account' if rule.ignore else 'no account'}: "
            "write debit and credit, or ignore = true."
        )
    if rule.status == ANY and not rule.ignore:
        raise ConfigError(f'{where}: {place}.status is "*", and what did not succeed is not booked: name the status.')
    return rule


def journal_of(sealed: Mapping[date, Sealed], accounts: JournalMap) -> Journal:
    """Return the lines of sealed days.

    Raises:
        ConfigError: operations have no account, or the lines of a day do not balance; nothing is written then.
    """
    lines: list[Line] = []
    missing: list[str] = []
    uneven: list[str] = []
    ignored = 0
    for day, seal in sealed.items():
        of_day: list[Line] = []
        for total in seal.figures["totals"]["day"]:
            rule = accounts.rule(total)
            if not int(total["minor"] or 0):
                continue  # nothing of value: an authorisation of zero has no line
            if rule is not None and rule.ignore:
                ignored += total["count"]
            elif rule is None or total["currency"] is None or total["exponent"] is None:
                missing.append(_missing(day, total, rule))
            else:
                of_day += _booking(day, seal, total, rule, accounts)
        uneven += [
            f"{day} {total.currency}: debit {with_decimals(total.debit_minor, total.exponent)}, "
            f"credit {with_decimals(total.credit_minor, total.exponent)}"
            for total in sums_of(of_day)
            if total.debit_minor != total.credit_minor
        ]
        lines += of_day
    _refuse(
        missing, f"cannot be booked by {accounts.file}", "add a table [[rules]] for each, or one with ignore = true"
    )
    _refuse(uneven, f"do not balance by {accounts.file}", "give the rules the account of the other side")
    return Journal(tuple(lines), sums_of(lines), ignored)


def sums_of(lines: Sequence[Line]) -> tuple[CurrencySum, ...]:
    """Return debit and credit of each currency; one whose decimals changed is two."""
    found: dict[tuple[str, int], tuple[int, int]] = {}
    for line in lines:
        debit, credit = found.get((line.currency, line.exponent), (0, 0))
        found[line.currency, line.exponent] = debit + (line.debit_minor or 0), credit + (line.credit_minor or 0)
    return tuple(CurrencySum(*key, *sums) for key, sums in sorted(found.items()))


def write_journal(
    warehouse: Warehouse, account: str, days: Sequence[date], accounts: JournalMap, file: Path
) -> Journal:
    """Write the journal of the days to a .csv or .xlsx file, whole or not at all.

    Raises:
        ConfigError: the map has no account, or the file cannot be written.
        Incomplete: a day is not sealed.
        WarehouseBroken: what is stored of a day is not what was sealed.
    """
    with warehouse.transaction() as connection:
        sealed = sealed_days(connection, account, days[0], days[-1])
    left = [day for day in days if day not in sealed]
    if left:
        more = f" and {len(left) - 1} more days are" if len(left) > 1 else " is"
        period = f"--date {left[0]}" if len(left) == 1 else f"--month {left[0]:%Y-%m}"
        raise Incomplete(f"{left[0]}{more} not sealed: `ecommpay-sync close {period} --by NAME` comes first.")
    journal = journal_of(sealed, accounts)
    content = _xlsx(journal) if file.suffix.lower() == ".xlsx" else journal_csv(journal, accounts)
    write_named(f"--output {file}", file, content)
    return journal


def journal_csv(journal: Journal, accounts: JournalMap) -> bytes:
    """Return the journal as CSV, in UTF-8, as the map says."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=accounts.separator, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    marks = {ord(","): "", ord("."): accounts.decimal}
    for line in journal.lines:
        minors = (line.debit_minor, line.credit_minor)
        amounts = ("" if minor is None else with_decimals(minor, line.exponent).translate(marks) for minor in minors)
        texts = (line.document, line.account, line.currency, line.text, line.reference)
        document, booked, currency, text, reference = map(with_formula_quote, texts)
        writer.writerow((line.day.strftime(accounts.date), document, booked, *amounts, currency, text, reference))
    return out.getvalue().encode()


def _booking(day: date, seal: Sealed, total: Mapping[str, Any], rule: Rule, accounts: JournalMap) -> Iterator[Line]:
    values = {"date": f"{day:%Y%m%d}", "account": seal.figures["account"]} | {
        name: str(total[name]) for name in ("currency", "type", "status", "count")
    }
    minor = int(total["minor"])
    for booked, debit, credit in ((rule.debit, minor, None), (rule.credit, None, minor)):
        if booked is not None:
            yield Line(
                day,
                accounts.document.format_map(values),
                booked.format_map(values),
                debit,
                credit,
                total["currency"],
                total["exponent"],
                accounts.text.format_map(values),
                f"close-{seal.close_no}-{seal.document_sha256[:12]}",
            )


def _missing(day: date, total: Mapping[str, Any], rule: Rule | None) -> str:
    what = f"{total['type']} {total['status']} {total['currency'] or 'without a currency'}"
    why = "" if rule is None else ", whose decimals are not known (SYNC_CURRENCY_EXPONENTS)"
    return f"{what}{why if total['currency'] else ''} ({total['count']:,} operations of {day})"


def _refuse(faults: Sequence[str], what: str, advice: str) -> None:
    if faults:
        more = f" and {len(faults) - SHOWN:,} more" if len(faults) > SHOWN else ""
        raise ConfigError(f"the journal is not written: {'; '.join(faults[:SHOWN])}{more} {what}: {advice}.")


def _xlsx(journal: Journal) -> bytes:
    from pipelines.reports.workbook import Sheet, money_columns, tables

    columns = {"date": "day", "document": "document", "account": "account"}
    amounts = money_columns({"debit": "debit_minor", "credit": "credit_minor"}, attrgetter("exponent"))
    page = Sheet("Journal", *cells(journal.lines, columns, amounts, {name: name for name in COLUMNS[5:]}))
    return tables("Journal", [page])
