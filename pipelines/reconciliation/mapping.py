"""A mapping: a TOML file that says how an export is laid out and what its columns mean. Here it is read and checked.

`ledger_files` reads the rows by its layout, `mapped_rows` makes rows of the contract of them. Nothing is guessed: what
the mapping does not say is a fault. A first mapping is written by `guess_mapping`.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pipelines.reconciliation.ledger_entries import COLUMNS
from pipelines.reconciliation.ledger_files import Layout, one_mark
from resources.environment import Table, fault_of_file, nearest, tables_of_file, validated
from resources.errors import ConfigError
from resources.values import TRUTH, ZONE, Kind, Wrong, one_of

ISO = "iso"
IN_BRACES = re.compile(r"\{([^{}]+)\}")  # a column of a template
UNDECIDED = "?"  # what `ledger map` writes where it does not know
DateCells = Literal["date", "time"]
RepeatedHour = Literal["first", "second"]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError
    return tuple(value)


def _pattern(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except re.error as error:
        raise Wrong(f"is no regular expression: {error}.") from None


def _date_formats(value: Any) -> tuple[str, ...]:
    formats = _texts(value)
    sample = datetime(2025, 11, 12, 13, 14, 15, tzinfo=UTC)
    for text in formats:
        if text == ISO:
            continue
        try:
            back = datetime.strptime(sample.strftime(text), text)  # noqa: DTZ007
        except ValueError:
            back = None
        if back is None or back.date() != sample.date():
            raise Wrong(f'has {text!r}, which gives no day: write for example "%d.%m.%Y %H:%M:%S", or "iso".')
    return formats


TEXTS = Kind(_texts, "a text, or a list of texts")
PATTERN = Kind(_pattern, "a regular expression")
MARK = one_mark((".", ","), '"." or ","')
THOUSANDS = one_mark((".", ",", "'", "’", " ", ""), '".", ",", "\'", " " or ""')


@dataclass(frozen=True)
class Source(Table):
    """Where the value of a field comes from: a column, several columns put together, or the same value for each row."""

    column: str = ""
    value: str = ""
    template: str = ""  # "{Document}-{Line}"
    pattern: Annotated[re.Pattern[str] | None, PATTERN] = None  # what to take of the text: its group, or all of it
    words: Mapping[str, str] | None = None  # theirs → the contract's; others are refused
    number: Annotated[bool, TRUTH] = False  # the digits of a number cell are the text
    negate: Annotated[bool, TRUTH] = False  # a number is booked with the other sign
    time: str = ""  # of a moment: the column of its time

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(name for name in (self.column, *IN_BRACES.findall(self.template), self.time) if name)

    def __post_init__(self) -> None:
        if sum(map(bool, (self.column, self.value, self.template))) != 1:
            raise Wrong("needs one of column, template and value.")


@dataclass(frozen=True)
class Direction(Table):
    """How a row says which way the money went, and which types of operations go which way."""

    positive: Annotated[tuple[str, ...], TEXTS] = ()  # types of a positive amount; one of them is given to every row
    negative: Annotated[tuple[str, ...], TEXTS] = ()
    debit: str = ""  # the column of amounts that count as positive
    credit: str = ""  # the column of those that count as negative
    mark: str = ""  # the column of a mark beside the amount; without one, the marks stand in the amount's own cell
    positive_marks: Annotated[tuple[str, ...], TEXTS] = ()
    negative_marks: Annotated[tuple[str, ...], TEXTS] = ()

    @property
    def has_marks_in_numbers(self) -> bool:
        """Whether each amount says its sign by a mark in its cell: `5.00 CR`."""
        return bool(self.positive_marks) and not self.mark


@dataclass(frozen=True)
class Rule(Table):
    """Which rows are no entries: by what stands in a column."""

    column: str
    equals: Annotated[tuple[str, ...], TEXTS] = ()
    matches: Annotated[re.Pattern[str] | None, PATTERN] = None
    empty: Annotated[bool, TRUTH] = False
    sum_of: str = ""  # of totals: the column in which the row has the sum of all rows above

    def fits(self, text: str) -> bool:
        """Return whether a row with this text in the column is meant."""
        if self.empty and not text:
            return True
        return text in self.equals or (self.matches is not None and self.matches.search(text) is not None)

    @property
    def words(self) -> str:
        """The rule as a line of a report."""
        parts = [repr(word) for word in self.equals] + (["empty"] if self.empty else [])
        return f"{self.column} is {' or '.join([*parts, *([self.matches.pattern] if self.matches else [])])}"


TABLES = {"fields": Source, "direction": Direction, "skip": Rule, "totals": Rule}


@dataclass(frozen=True)
class LedgerMapping(Layout, Table):
    """How an export is read: its layout, how it writes numbers and dates, and what its columns mean."""

    decimal: Annotated[str, MARK] = "."
    thousands: Annotated[str, THOUSANDS] = ""
    units: Annotated[tuple[str, ...], TEXTS] = ()  # what may stand before or behind a number: "€", "EUR"
    dates: Annotated[tuple[str, ...], Kind(_date_formats, "a format, or a list of them")] = (ISO,)
    zone: Annotated[str, ZONE] = ""
    repeated_hour: Annotated[RepeatedHour | None, one_of(RepeatedHour)] = None  # when clocks are set back
    date_cells: Annotated[DateCells, one_of(DateCells)] = "date"  # what a date cell of a workbook holds
    fraction_cells: Annotated[bool, TRUTH] = False  # number cells with a fraction are taken as they are shown
    trim: Annotated[bool, TRUTH] = False  # spaces around a value are no part of it
    ignore_unnamed: Annotated[bool, TRUTH] = False  # values under no name are not read; else they are faults
    fields: Mapping[str, Source] = dataclasses.field(default_factory=dict)
    direction: Direction | None = None
    skip: tuple[Rule, ...] = ()
    totals: tuple[Rule, ...] = ()


def read_mapping(name: str, folder: Path) -> LedgerMapping:
    """Return the mapping of a name or path.

    A path has a separator, or ends with `.toml`. A name is looked for in the folder, then among the ready ones.

    Raises:
        ConfigError: there is none, a key or value in it is wrong, or something in it is not decided yet.
    """
    ready = Path(str(files("pipelines.reconciliation") / "mappings"))
    if name.endswith(".toml") or "/" in name or "\\" in name:
        path = Path(name)
    else:
        places = [place / f"{name}.toml" for place in (folder, ready)]
        existing = next((place for place in places if place.is_file()), None)
        if existing is None:
            names = sorted({place.stem for there in (folder, ready) for place in there.glob("*.toml")})
            near = nearest(name, names)
            raise ConfigError(
                f"there is no mapping {name!r} in {folder}, nor a ready one"
                + (f": did you mean {near}?" if near else ":")
                + f" There are {', '.join(names)}; `ecommpay-sync ledger map FILE` writes one."
            )
        path = existing
    return _mapping(f"mapping {path.name}", tables_of_file(f"mapping {path.name}", str(path)))


def _mapping(where: str, content: dict[str, Any]) -> LedgerMapping:
    for place, hint in undecided(content):
        said = f" ({hint})" if hint else ""
        raise ConfigError(f"{where}: {place} is not decided yet{said}: edit that line of the file.")
    for key in ("skip", "totals"):
        if not isinstance(content.get(key, []), list):
            raise ConfigError(f"{where}: {key} is no list: write [[{key}]], and its keys below.")

    sources = content.get("fields", {})
    for name, value in sources.items() if isinstance(sources, dict) else ():
        if name not in COLUMNS:
            near = nearest(name, COLUMNS)
            meant = f"did you mean {near}? " if near else ""
            raise ConfigError(
                f"{where}: fields.{name} is no field of the contract: {meant}There are {', '.join(COLUMNS)}."
            )
        if not isinstance(value, str | dict):
            raise ConfigError(f'{where}: fields.{name} is neither a column nor a table: write for example "Amount".')
        sources[name] = {"column": value} if isinstance(value, str) else value

    def refuse(fault: Any) -> str:
        place = tuple(part for part in fault["loc"] if isinstance(part, str))
        table = TABLES.get(place[0], LedgerMapping) if len(place) > 1 else LedgerMapping
        return fault_of_file(where, fault | {"loc": place}, [item.name for item in dataclasses.fields(table)])

    mapping = validated(LedgerMapping, content, refuse)
    for contradiction in _contradictions(mapping):
        raise ConfigError(f"{where}: {contradiction}.")
    return mapping


def undecided(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield where a value begins with a question mark, and what stands behind it."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from undecided(part, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for part in value:
            yield from undecided(part, place)
    elif isinstance(value, str) and value.startswith(UNDECIDED):
        yield place, value.removeprefix(UNDECIDED).strip()


def has_hours(form: str) -> bool:
    """Return whether a format of dates has a time of the day."""
    return "%H" in form or "%I" in form


def _contradictions(mapping: LedgerMapping) -> Iterator[str]:
    """Yield what is missing in a mapping, or does not go together."""
    given, direction = mapping.fields, mapping.direction or Direction()
    by_columns = bool(direction.debit or direction.credit)
    needed = ("entry_id", "booked_at", "currency")
    yield from (f"fields.{name} is missing: add it" for name in needed if name not in given)
    if "operation_type" not in given and mapping.direction is None:
        yield "fields.operation_type is missing: add it, or [direction] with the types of both signs"
    if [by_columns, "amount" in given, "amount_minor" in given].count(True) != 1:
        yield "the amount comes from one of fields.amount, fields.amount_minor, direction.debit with direction.credit"
    if mapping.thousands == mapping.decimal:
        yield "thousands and decimal are the same mark"
    has_times = mapping.date_cells == "time" or any(has_hours(form) for form in mapping.dates if "%z" not in form)
    if has_times and not mapping.zone:
        yield 'zone is missing: dates have times without an offset, so write for example zone = "Europe/Berlin"'
    if mapping.direction is not None:
        yield from _contradictions_of(direction, is_type_given="operation_type" in given)


def _contradictions_of(direction: Direction, *, is_type_given: bool) -> Iterator[str]:
    if bool(direction.debit) != bool(direction.credit):
        yield "direction.debit and direction.credit go together: name both columns"
    if direction.debit and (direction.mark or direction.positive_marks):
        yield "direction has debit and credit columns and a mark: keep one of them"
    if not bool(direction.mark) <= bool(direction.positive_marks) == bool(direction.negative_marks):
        yield "direction.positive_marks and direction.negative_marks go together, and direction.mark needs both"
    if both := {*direction.positive_marks} & {*direction.negative_marks}:
        yield f"direction has {min(both)!r} among the marks of both signs: keep one of them"
    if not is_type_given and max(len(direction.positive), len(direction.negative)) > 1:
        yield "direction.positive and direction.negative name one type each, where no column gives the type"
    if not direction.positive and not direction.negative:
        yield "direction.positive or direction.negative is missing: name the types of such amounts"
