"""One row of a ledger file to a typed entry, or to what is wrong with it. Pure; files are read in `ledger_files`.

The contract is docs/reconciliation.md. No float ever becomes an amount: text, whole numbers and decimals only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pipelines.reconciliation.ledger_files import LARGEST_WHOLE_FLOAT, Spoiled, column_letter

REQUIRED = ("entry_id", "booked_at", "operation_type", "currency")
AMOUNTS = {"amount": "amount_minor", "fee": "fee_minor"}  # in major units, and in minor units
TEXTS = ("operation_id", "project_id", "payment_id", "reference")
NUMBERED = {"operation_id", "project_id"}  # the platform's: digits without leading zeros, which a number cell holds
WORDS = {"operation_type", "status"}  # the platform's: small letters
CAPITALS = re.compile(r"(?=.*[A-Z])[A-Za-z][A-Za-z _-]*")  # such a word with capitals; other texts are data
WITHDRAWN = {"withdrawn", "cancelled"}  # however they are spelled, as recon.is_withdrawn has it
COLUMNS = (*REQUIRED, "status", *AMOUNTS, *AMOUNTS.values(), *TEXTS)
LARGEST = 2**63 - 1
LONGEST = 2_000  # bytes; an index entry of PostgreSQL holds 2,704, the account included
AS_TEXT = "export the column as text"
SPOILED = tuple(  # what spreadsheets and data frames make of an id or an empty cell; no id looks so by itself
    (re.compile(pattern), problem, advice)
    for pattern, problem, advice in (
        (r"=\".*\"|'\d+", "is a spreadsheet's spelling of a text", "write the text itself, without = or '"),
        (r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+", "is a number in scientific notation: digits are lost", AS_TEXT),
        (
            r"\d+[.,]0+|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+|\d{1,3}([ '’]\d{3})+[.,]\d+",
            "is a number with decimals or thousands marks, not an id",
            AS_TEXT,
        ),
        (
            r"(?i:-?nan|nat|none|null|\(null\)|<na>|n/a|\\n|undefined|inf|infinity)",
            "stands for a missing value",
            "leave the cell empty",
        ),
        (
            r"#([¡¿]?\w[\w/]*[!?]|N/A|NV|N/D|N/B|Н/Д|BRAK|YOK|[#]+)|Err:\d{3}",  # noqa: RUF001 - in any language
            "is an error of a spreadsheet",
            "correct the cell",
        ),
    )
)
ANY_SPOILED = re.compile("|".join(pattern.pattern for pattern, _, _ in SPOILED))
DIGITS = re.compile(r"\d+", re.ASCII)
LETTERLESS = re.compile(r"[\W\d_]+")  # in place of an id of digits, a number or a date as a spreadsheet shows it
CURRENCY = re.compile(r"[A-Z0-9]{3,8}")
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
BEFORE_TIME = re.compile(r"[\dW-]+[Tt ]", re.ASCII)  # a day, and what stands between it and its time
NUMBER = re.compile(r"\d{1,40}(\.\d{1,40})?", re.ASCII)

Exponent = Callable[[str, date], int | None]


@dataclass(frozen=True)
class Fault:
    """What is wrong with a row: where, what, and what to do; the value itself is not repeated."""

    line: int
    column: str
    problem: str
    advice: str


class Entry(NamedTuple):
    """A ledger entry; amounts in minor units of `currency`, `booked_at` in UTC."""

    entry_id: str
    booked_at: datetime
    is_date_only: bool
    operation_type: str
    status: str
    currency: str
    amount_minor: int
    fee_minor: int | None
    operation_id: str | None
    project_id: str | None
    payment_id: str | None
    reference: str | None


class WrongCell(Exception):
    """What is wrong with a cell: the rest of a `Fault`; `column` is named where it is another than the one read."""

    def __init__(self, problem: str, advice: str, column: str = "") -> None:
        super().__init__(problem)
        self.problem, self.advice, self.column = problem, advice, column

    def fault(self, line: int, column: str) -> Fault:
        """Return the fault of a row."""
        return Fault(line, column, self.problem, self.advice)


MISSING = ("is missing", "every row needs it")
NO_AMOUNT = ("amount", "is missing", "give amount (major units) or amount_minor (minor units)")


def header_faults(names: list[str]) -> list[Fault]:
    """Return what is wrong with the names of the columns."""
    faults = [
        Fault(1, name, "is no column of the contract", f"rename it or leave it out; columns are {', '.join(COLUMNS)}")
        for name in names
        if name and name not in COLUMNS
    ]
    twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
    faults += [Fault(1, name, "stands twice", "keep one of them") for name in twice]
    faults += [Fault(1, name, "is missing", "add the column") for name in REQUIRED if name not in names]
    if not {"amount", "amount_minor"} & {*names}:
        faults.append(Fault(1, "amount", "is missing", "add amount (major units) or amount_minor (minor units)"))
    return faults


def shape_faults(line: int, names: Sequence[str], values: Sequence[Any]) -> list[Fault]:
    """Return what is wrong with the cells of a row, whatever they mean: too many, too few, or under no name."""
    if len(values) != len(names):
        few = len(values) < len(names)
        advice = "complete the row" if few else "quote values with a separator in them; name every column"
        return [Fault(line, "(row)", f"has {len(values)} values, the header {len(names)}", advice)]
    nameless = (place for place, name in enumerate(names) if not name) if "" in names else ()
    return [
        Fault(line, f"column {column_letter(place)}", "has a value and no name", "name the column, or clear it")
        for place in nameless
        if values[place] not in (None, "")
    ]


class ContractRows:
    """Rows of a file that has the columns of the contract; `MappedRows` is for any other one."""

    def __init__(self, names: list[str]) -> None:
        self._names, self.faults = names, header_faults(names)
        self.skipped: Counter[str] = Counter()

    def place(self, field: str) -> str:
        """Return the file's own name of what gives a field."""
        return field

    def row(self, line: int, values: list[Any]) -> dict[str, Any] | list[Fault]:
        """Return the row by the names of the contract, or all that is wrong with its cells."""
        return shape_faults(line, self._names, values) or dict(zip(self._names, values, strict=True))


def typed_entry(line: int, row: Mapping[str, Any], zone: ZoneInfo, exponent: Exponent) -> Entry | list[Fault]:
    """Type one row, or say all that is wrong with it; where cells are spoiled, these alone.

    Args:
        line: where the row stands, for the report.
        row: column → text, int, Decimal, date, datetime, Spoiled or None, as the file has it.
        zone: the reporting zone, of which a date alone is a business day.
        exponent: number of decimals of a currency on a day, None when it is not known.
    """
    faults: list[Fault] = []

    def attempt(name: str, read: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return read(row, name, *arguments)
        except WrongCell as wrong:
            faults.append(wrong.fault(line, wrong.column or name))
            return None

    entry_id = attempt("entry_id", _required_text)
    moment = attempt("booked_at", _moment, zone)
    operation_type = attempt("operation_type", _required_text)
    currency = attempt("currency", _currency)
    status = attempt("status", text_field) or "success"
    texts = [attempt(name, text_field) for name in TEXTS]
    day = moment and moment[0].astimezone(zone).date()
    amount = attempt("amount", _minor_units, currency, day, exponent)
    fee = attempt("fee", _minor_units, currency, day, exponent)
    if amount is None and not {"amount", "amount_minor", "currency", "booked_at"} & {fault.column for fault in faults}:
        faults.append(Fault(line, *NO_AMOUNT))
    if faults:
        spoiled = ((name, value) for name, value in row.items() if isinstance(value, Spoiled))
        return [Fault(line, name, value.problem, value.advice) for name, value in spoiled] or faults
    return Entry._make((entry_id, *moment, operation_type, status, currency, amount, fee, *texts))


def text_field(row: Mapping[str, Any], name: str) -> str | None:
    """Return a text of a row as it is, None where it is empty.

    Raises:
        WrongCell: it is no text, or is spoiled.
    """
    value = row.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        if name in NUMBERED and (digits := digits_of(value)):
            return digits
        raise WrongCell(f"is a {kind_of_value(value)}, not text", "format the column as text, so that no digit is lost")
    if value != value.strip():
        raise WrongCell("begins or ends with a space", "remove it")
    if ANY_SPOILED.fullmatch(value):
        raise WrongCell(*next(words for pattern, *words in SPOILED if pattern.fullmatch(value)))
    if not value.isprintable():
        raise WrongCell("holds a character that cannot be printed", "remove it")
    if len(value.encode()) > LONGEST:
        raise WrongCell(f"is longer than {LONGEST} bytes", "shorten it")
    if name in WORDS and CAPITALS.fullmatch(value) and value.lower() not in WITHDRAWN:
        raise WrongCell("is not as the platform names it", f"write it in small letters: {value.lower()}")
    if name in NUMBERED and LETTERLESS.fullmatch(value) and not DIGITS.fullmatch(value):
        raise WrongCell("is no id of the platform, which are digits alone", AS_TEXT)
    return value


def _required_text(row: Mapping[str, Any], name: str) -> str:
    text = text_field(row, name)
    if text is None:
        raise WrongCell(*MISSING)
    return text


def _currency(row: Mapping[str, Any], name: str) -> str:
    text = _required_text(row, name)
    if not CURRENCY.fullmatch(text):
        raise WrongCell("is no currency code", "write its ISO 4217 code in capitals, for example EUR")
    return text


def _moment(row: Mapping[str, Any], name: str, zone: ZoneInfo) -> tuple[datetime, bool]:
    """Return a moment of a row in UTC, and whether the row has a date alone, which begins in the zone."""
    value = cell = row.get(name)
    if value is None or value == "":
        raise WrongCell(*MISSING)
    if isinstance(cell, str):
        try:
            value = iso_moment(cell)
        except ValueError:
            raise WrongCell("is no time", "write 2026-01-31T14:05:00+01:00 or 2026-01-31") from None
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            return _in_range(value), False
        if isinstance(cell, str) or value.time() != time():
            raise WrongCell("has a time without a zone", "write the offset: 2026-01-31T14:05:00+01:00")
        value = value.date()
    if not isinstance(value, date):
        raise WrongCell(f"is a {kind_of_value(value)}, no time", "write 2026-01-31T14:05:00+01:00 or 2026-01-31")
    return _in_range(datetime.combine(value, time(), zone)), True


def iso_moment(text: str) -> date | datetime:
    """Return the day or the moment of a text; of a day with an offset behind it, the library would make a time.

    Raises:
        ValueError: it is none.
    """
    if DAY.fullmatch(text):
        return date.fromisoformat(text)
    if not BEFORE_TIME.match(text):
        raise ValueError
    return datetime.fromisoformat(text)


def _in_range(moment: datetime) -> datetime:
    if not 1990 <= moment.year <= 2200:
        raise WrongCell("is not between 1990 and 2200", "correct the year")
    return moment.astimezone(UTC)


def _minor_units(
    row: Mapping[str, Any], name: str, currency: str | None, day: date | None, exponent: Exponent
) -> int | None:
    minor_name = AMOUNTS[name]
    major, minor = _number(row, name), _number(row, minor_name)
    if major is not None and minor is not None:
        raise WrongCell(f"and {minor_name} are both given", "keep one of them")
    if minor is not None:
        minor = minor.removesuffix(".0")  # a whole number that a data frame kept as a float
        if "." in minor:
            raise WrongCell("is no whole number", f"minor units are whole; major units go into {name}", minor_name)
        return _fitting(minor_name, int(minor))
    if major is None or currency is None or day is None:
        return None
    decimals = exponent(currency, day)
    if decimals is None:
        advice = "give minor units, or set SYNC_CURRENCY_EXPONENTS"
        raise WrongCell("has no decimals that we know", advice, "currency")
    whole, _, fraction = major.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise WrongCell(f"has more decimals than {currency} ({decimals})", "round it in your books")
    return _fitting(name, int(whole + fraction.ljust(decimals, "0")))


def _number(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, float):
        advice = "format the column as text, or give minor units"
        raise WrongCell("is a binary fraction, which is not exact", advice, name)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        value = format(value, "f" if isinstance(value, Decimal) else "d")
    if not isinstance(value, str):
        raise WrongCell(f"is a {kind_of_value(value)}, no number", "write digits with a point: 1234.56", name)
    if value.startswith("-"):
        raise WrongCell("is negative", "write it without a sign: the type gives the direction", name)
    if not NUMBER.fullmatch(value):
        raise WrongCell("is no number", "write digits with a point and no separators: 1234.56", name)
    return value


def _fitting(name: str, minor: int) -> int:
    if minor > LARGEST:
        raise WrongCell(f"is larger than {LARGEST:,} minor units", "check it", name)
    return minor


def digits_of(value: object) -> str | None:
    """Return the digits of a whole number; None: it is none, is negative, or a spreadsheet may have lost some."""
    if type(value) is int:
        return str(value) if 0 <= value < LARGEST_WHOLE_FLOAT else None
    if isinstance(value, Decimal) and value.as_tuple().exponent == 0 and value >= 0:
        return str(int(value))
    return None


def kind_of_value(value: object) -> str:
    """Return what a value of a cell is, as a word of a message."""
    names = {bool: "truth value", int: "number", float: "number", Decimal: "number", datetime: "time", date: "date"}
    return names.get(type(value), type(value).__name__)
