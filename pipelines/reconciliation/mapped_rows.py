"""Rows of an export to rows of the contract, as a mapping says; `ledger_entries` types them. Pure."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.reconciliation.ledger_entries import (
    AMOUNTS,
    CURRENCY,
    Fault,
    WrongCell,
    digits_of,
    iso_moment,
    kind_of_value,
    shape_faults,
)
from pipelines.reconciliation.ledger_files import DIGITS_OF_A_CELL, LARGEST_WHOLE_FLOAT, Spoiled
from pipelines.reconciliation.mapping import IN_BRACES, ISO, Direction, LedgerMapping, Rule, Source, has_hours
from resources.environment import nearest

NUMBERS = (*AMOUNTS, *AMOUNTS.values())
MINUS = ("-", "\u2212")
SPACES = "[ \u00a0\u202f\u2009]"
SIGNS = {  # the currencies that each stands for, alone or as in US$ and R$
    "€": "EUR",
    "$": "USD ARS AUD BBD BMD BND BOB BRL BSD BZD CAD CLP COP CUC CUP CVE DOP FJD GYD HKD JMD KYD LRD MOP MXN NAD NIO "
    "NZD SBD SGD SRD SVC TOP TTD TWD UYU WST XCD ZWG ZWL USDC USDT",
    "£": "GBP EGP FKP GIP LBP SDG SHP SSP SYP TRY",
    "¥": "JPY CNY CNH",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₴": "UAH",
}

Read = Callable[[Sequence[Any]], Any]


class MappedRows:
    """Rows of one file, made into rows of the contract; which were left out, and by which rule, is counted."""

    def __init__(self, mapping: LedgerMapping, names: Sequence[str]) -> None:
        """Find the columns by their names; `faults` says which are not there."""
        self.mapping, self._width = mapping, len(names)
        self._names = [" ".join(name.split()) for name in names]
        self._shape = [name or "-" for name in self._names] if mapping.ignore_unnamed else self._names
        self.faults: list[Fault] = []
        self.skipped: Counter[str] = Counter()
        self._numbers = Numbers(mapping)
        direction = mapping.direction or Direction()
        self._amounts = Numbers(mapping, direction) if direction.has_marks_in_numbers else self._numbers
        self._moment = _Moments(mapping).read
        kinds = {"skip": mapping.skip, "totals row": mapping.totals}
        self._rules = [(kind, rule, self.column(rule.column)) for kind, rules in kinds.items() for rule in rules]
        self._sums = {rule.sum_of: Decimal(0) for rule in mapping.totals if rule.sum_of}
        self._summed = {name: self.column(name) for name in self._sums}
        self._number_places: list[int] = []
        self._amount = "amount_minor" if "amount_minor" in mapping.fields else "amount"
        self._readers = {name: self._reader(name, source) for name, source in mapping.fields.items()}
        self._places = {name: " and ".join(source.columns) or name for name, source in mapping.fields.items()}
        self._unit_currencies = {unit: codes for unit in mapping.units if (codes := _currencies_of(unit))}
        self._sides = [self.column(name) for name in (direction.debit, direction.credit) if name]
        self._mark = self.column(direction.mark) if direction.mark else None
        if self._sides:
            self._number_places += self._sides
            self._places["amount"] = f"{direction.debit} and {direction.credit}"

    def column(self, name: str) -> int:
        """Return the place of a column; that there is none, or are several, is a fault."""
        found = [place for place, other in enumerate(self._names) if other == " ".join(name.split())]
        if len(found) == 1:
            return found[0]
        if found:
            problem, advice = "stands twice", "keep one of them"
        elif near := nearest(name, self._names):
            problem, advice = "is missing", f"the file has {near!r}"
        else:
            problem, advice = "is missing", f"columns are {', '.join(filter(None, self._names))}"
        self.faults.append(Fault(self.mapping.header or 1, name, problem, advice))
        return 0

    def place(self, field: str) -> str:
        """Return the file's own name of what gives a field."""
        return self._places.get(field, field)

    def row(self, line: int, values: list[Any]) -> dict[str, Any] | list[Fault] | None:
        """Return the row by the names of the contract, all that is wrong with it, or None: it is no entry."""
        padded = [*values, *[None] * (self._width - len(values))]
        for kind, rule, column in self._rules:
            if rule.fits(shown(padded[column])):
                self.skipped[f"{kind}: {rule.words}"] += 1
                return self._totals_fault(line, rule, padded) if rule.sum_of else None
        faults = shape_faults(line, self._shape, values)
        if faults:
            return faults
        row: dict[str, Any] = {}
        for name, read in self._readers.items():
            try:
                row[name] = read(values)
            except WrongCell as wrong:
                faults.append(wrong.fault(line, self.place(name)))
        if not faults and self.mapping.direction:
            try:
                self._direct(row, values, self.mapping.direction)
            except WrongCell as wrong:
                faults.append(wrong.fault(line, self.place(self._amount)))
        faults = faults or self._unit_faults(line, row, values)
        for name, column in self._summed.items():
            try:
                self._sums[name] += self._amounts.summand(values[column])
            except WrongCell as wrong:
                faults = faults or [wrong.fault(line, name)]
        return faults or row

    def _unit_faults(self, line: int, row: dict[str, Any], values: list[Any]) -> list[Fault]:
        """Return the numbers whose unit is another currency than the row's: `5.00 USD` of a row in EUR."""
        advice = "correct the row, or take its currency from this column (fields.currency)"
        return [
            Fault(line, self._names[place], f"is in {unit}, and the row in {row['currency']}", advice)
            for unit, codes in self._unit_currencies.items()
            for place in self._number_places
            if isinstance(values[place], str) and unit in values[place] and row["currency"] not in (None, "", *codes)
        ]

    def _totals_fault(self, line: int, rule: Rule, values: list[Any]) -> list[Fault] | None:
        try:
            total = self._amounts.summand(values[self._summed[rule.sum_of]])
        except WrongCell as wrong:
            return [wrong.fault(line, rule.sum_of)]
        if total == self._sums[rule.sum_of]:
            return None
        return [Fault(line, rule.sum_of, "is not the sum of the rows above", "export it again, or correct sum_of")]

    def _reader(self, name: str, source: Source) -> Read:
        if source.value:
            return lambda _: source.value
        if name == "booked_at":
            return self._moment_of(source)
        text = self._template(source) if source.template else self._cell(name, source)
        if name in NUMBERS:
            numbers = self._amounts if name == self._amount else self._numbers
            return lambda values: _negated(numbers.read(text(values)), negate=source.negate)
        return text

    def _cell(self, name: str, source: Source) -> Read:
        column, trim, pattern, words = self.column(source.column), self.mapping.trim, source.pattern, source.words
        if name in NUMBERS:
            self._number_places.append(column)

        def read(values: Sequence[Any]) -> Any:
            value = values[column]
            if isinstance(value, str):
                value = value.strip() if trim else value
            elif source.number:
                value = digits_of(value) or value
            if pattern is not None and isinstance(value, str):
                match = pattern.search(value)
                value = match[1 if pattern.groups else 0] if match else None
            if words is not None and not isinstance(value, Spoiled):
                word = shown(value)
                if word not in words:
                    problem = "is no word of the mapping" if word else "is empty"
                    raise WrongCell(problem, "add it to its words, or skip such rows")
                value = words[word]
            return value

        return read

    def _template(self, source: Source) -> Read:
        columns = {name: self.column(name) for name in source.columns}

        def read(values: Sequence[Any]) -> Any:
            texts = {name: _in_full(values[column]) for name, column in columns.items()}
            return IN_BRACES.sub(lambda name: texts[name[1]], source.template) if all(texts.values()) else None

        return read

    def _moment_of(self, source: Source) -> Read:
        column, clock = self.column(source.column), self.column(source.time) if source.time else None

        def read(values: Sequence[Any]) -> Any:
            value = values[column]
            if clock is None:
                return self._moment(value, has_time=False)
            return self._moment(_with_time(value, values[clock]), has_time=True)

        return read

    def _direct(self, row: dict[str, Any], values: Sequence[Any], direction: Direction) -> None:
        """Take the sign off the amount, and give or check the type that it means."""
        value = row[self._amount] = self._of_two_columns(values) if self._sides else row[self._amount]
        if value is None:
            raise WrongCell("is missing", "every entry needs it; skip rows that are none")
        if not isinstance(value, Decimal):
            return  # spoiled, or no number: typing says so
        is_negative = value.is_signed()
        if self._mark is not None:
            mark = shown(values[self._mark])
            if mark not in (*direction.positive_marks, *direction.negative_marks):
                raise WrongCell(f"has no mark of the mapping in {direction.mark}", "add it to the mapping's marks")
            if is_negative:
                raise WrongCell(f"has a sign beside the mark in {direction.mark}", "correct the file")
            is_negative = mark in direction.negative_marks
        row[self._amount] = value.copy_abs()
        sign, allowed = ("negative", direction.negative) if is_negative else ("positive", direction.positive)
        if not allowed:
            raise WrongCell(f"is {sign}", f"name its type as direction.{sign}, or skip such rows")
        kind = row.setdefault("operation_type", allowed[0])
        if isinstance(kind, str) and kind not in allowed:
            raise WrongCell(f"is {sign}, which {kind} is not by direction.{sign}", "correct the row, or the mapping")

    def _of_two_columns(self, values: Sequence[Any]) -> Any:
        debit, credit = (self._numbers.read(values[column]) for column in self._sides)
        for value in (debit, credit):
            if value is not None and not isinstance(value, Decimal):
                return value
            if value is not None and value.is_signed():
                raise WrongCell("is negative", "correct the row: of debit and credit neither has a sign")
        if debit and credit:
            raise WrongCell("are both given", "keep one of them")
        if credit:
            return credit.copy_negate()
        return credit if debit is None else debit


def shown(value: Any) -> str:
    """Return a cell as a text without spaces around it."""
    return "" if value is None or isinstance(value, Spoiled) else str(value).strip()


def _in_full(value: Any) -> str:
    if isinstance(value, int | float) and not abs(value) < LARGEST_WHOLE_FLOAT:
        advice = "format the column as text, so that no digit is lost"
        raise WrongCell(f"is made of a number of more than {DIGITS_OF_A_CELL} digits", advice)
    return shown(value)


def _negated(number: Any, *, negate: bool) -> Any:
    return number.copy_negate() if negate and isinstance(number, Decimal) and number else number


class Numbers:
    """Cells as decimals: exactly what the cell says, or refused; by marks in the cell (`5.00 CR`) with their sign."""

    def __init__(self, mapping: LedgerMapping, marks: Direction | None = None) -> None:
        self._marks = dict.fromkeys(marks.positive_marks, False) if marks else {}
        self._marks |= dict.fromkeys(marks.negative_marks, True) if marks else {}
        self._takes_fractions, self._form = mapping.fraction_cells, re.compile(_number_form(mapping), re.ASCII)
        self._advice = f"the mapping reads 1{mapping.thousands}234{mapping.decimal}56"
        self._of_text = lru_cache(maxsize=4096)(self._read_text)

    def read(self, value: Any) -> Any:
        """Return the number, None for an empty cell; what is none of a cell's numbers as it is: typing refuses it."""
        if isinstance(value, str):
            return self._of_text(value.strip())
        if self._marks and isinstance(value, int | float | Decimal):
            raise WrongCell("is a number, without a mark", "export the column as text, with its marks")
        if isinstance(value, float) and self._takes_fractions:
            exact = Decimal(repr(value))
            if exact.is_finite() and len(exact.as_tuple().digits) <= DIGITS_OF_A_CELL:
                return exact
            raise WrongCell(f"has more than {DIGITS_OF_A_CELL} digits, as a calculation leaves them", "round it")
        return Decimal(value) if type(value) is int else value

    def summand(self, value: Any) -> Decimal:
        """Return the number that a cell adds to a sum: nothing where it is empty, or typing refuses it."""
        number = self.read(value)
        return number if isinstance(number, Decimal) else Decimal(0)

    def _read_text(self, text: str) -> Decimal | None:
        if not text:
            return None
        mark = ""
        if self._marks:
            beside = [mark for mark in self._marks if text.startswith(mark) or text.endswith(mark)]
            if not beside:
                raise WrongCell("has no mark of the mapping", "add it to the mapping's marks")
            mark = max(beside, key=len)
            text = (text.removesuffix(mark) if text.endswith(mark) else text.removeprefix(mark)).strip()
        match = self._form.fullmatch(text)
        if match is None:
            raise WrongCell("is no number as the mapping has it", self._advice)
        opened, sign, digits, fraction, behind = match.groups()
        if self._marks and (opened or behind or sign):
            raise WrongCell("has a sign beside the mark", "correct the file")
        minus = "-" if opened or behind or sign in MINUS or self._marks.get(mark) else ""
        whole = re.sub(r"\D", "", digits)
        return Decimal(f"{minus}{whole}.{fraction or ''}")


def _currencies_of(unit: str) -> frozenset[str]:
    """Return the currencies that a unit beside a number can stand for; none, where that is not known."""
    if CURRENCY.fullmatch(unit):
        return frozenset({unit})
    return frozenset(next((codes for sign, codes in SIGNS.items() if sign in unit), "").split())


def _number_form(mapping: LedgerMapping) -> str:
    """Return the regular expression of a number; it is negative in brackets, or with a minus before or behind it."""
    mark = mapping.thousands
    group = {" ": SPACES, "'": "['’]", "’": "['’]"}.get(mark, re.escape(mark))
    whole = rf"\d{{1,3}}(?:{group}\d{{3}})+|\d+" if mark else r"\d+"
    space = rf"(?:\s|{SPACES})*"
    unit = rf"{space}(?:{'|'.join(map(re.escape, mapping.units))})?{space}" if mapping.units else ""
    number = rf"{unit}({whole})(?:{re.escape(mapping.decimal)}(\d+))?{unit}"
    return rf"{unit}(?P<opened>\()?(?(opened)|(?P<sign>[+\u2212-])?){number}(?(opened)\)|(?(sign)|(-)?)){unit}"


def _with_time(day: Any, clock: Any) -> Any:
    """Return a day and a time of two cells as one value."""
    if isinstance(day, Spoiled) or isinstance(clock, Spoiled):
        return day if isinstance(day, Spoiled) else clock
    if isinstance(day, str) and isinstance(clock, str):
        return f"{day.strip()} {clock.strip()}".strip()
    if isinstance(day, datetime) and day.time() == time():
        day = day.date()
    if type(day) is date and isinstance(clock, time):
        return datetime.combine(day, clock)
    problem = f"are a {kind_of_value(day)} and a {kind_of_value(clock)}"
    raise WrongCell(problem, "write both as text, or both as cells of dates")


class _Moments:
    """Cells as dates, or as moments with their zone."""

    def __init__(self, mapping: LedgerMapping) -> None:
        self.mapping, self._zone = mapping, ZoneInfo(mapping.zone) if mapping.zone else None
        self._of_text = lru_cache(maxsize=65536)(self._read_text)

    def read(self, value: Any, *, has_time: bool) -> Any:
        """Return the day or the moment; `has_time` says that a second cell gave the time."""
        if isinstance(value, str):
            text = value.strip()
            return self._of_text(text) if text else None
        if not isinstance(value, datetime) or value.tzinfo is not None:
            return value
        if has_time or self.mapping.date_cells == "time":
            return self._in_zone(value)
        if value.time() != time():
            raise WrongCell("has a time", 'add date_cells = "time" and zone to the mapping')
        return value.date()

    def _read_text(self, text: str) -> date | datetime:
        formats = self.mapping.dates
        found = {value for form in formats if (value := parsed_date(text, form)) is not None}
        if not found:
            raise WrongCell("is no date as the mapping has it", f"the mapping reads {' or '.join(formats)}")
        if len(found) > 1:
            raise WrongCell("can be read as two dates", "keep one of the mapping's dates")
        value = found.pop()
        return self._in_zone(value) if isinstance(value, datetime) else value

    def _in_zone(self, moment: datetime) -> datetime:
        if moment.tzinfo is not None:
            return moment
        if self._zone is None:
            raise WrongCell("has a time without a zone", "add zone to the mapping")
        name, chosen = self.mapping.zone, self.mapping.repeated_hour
        first, second = (moment.replace(tzinfo=self._zone, fold=fold) for fold in (0, 1))
        earlier, later = (each.astimezone(UTC) for each in (first, second))
        if earlier > later:
            raise WrongCell(f"is in an hour that {name} left out", "correct the time, or the mapping's zone")
        if earlier < later and chosen is None:
            advice = 'add repeated_hour = "first" or "second" to the mapping'
            raise WrongCell(f"is in an hour that {name} had twice", advice)
        return second if chosen == "second" else first


def parsed_date(text: str, form: str) -> date | datetime | None:
    """Return the day or the moment that a text is by a format; None: it is none."""
    try:
        if form == ISO:
            return iso_moment(text)
        moment = datetime.strptime(text, form)  # noqa: DTZ007 - its zone is the mapping's
    except ValueError:
        return None
    return moment if has_hours(form) else moment.date()
