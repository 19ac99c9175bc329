"""Rows of text, typed column by column, as far as they are plainly right. Pure.

What a row means is in `mapped_rows` and `ledger_entries`. Here are kernels that take only what these take as it stands,
and their own functions for a cell, called once for each value of a column. A row that is not taken is left to them, so
that every fault has their words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, timedelta
from functools import cache, lru_cache, partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from pyarrow import compute as pc

from pipelines.reconciliation.ledger_entries import (
    AMOUNTS,
    ANY_SPOILED,
    DIGITS,
    LONGEST,
    NUMBERED,
    TEXTS,
    WORDS,
    Entry,
    Exponent,
    WrongCell,
    currency_field,
    moment_field,
    text_field,
)
from pipelines.reconciliation.mapped_rows import MINUS, MappedRows, number_form, shown
from pipelines.reconciliation.mapping import ISO, Direction, LedgerMapping, Rule, Source

PLAIN = r"^[!-~]([ -~]*[!-~])?$"  # printable, and no space around it
SPOILED = f"^(?:{ANY_SPOILED.pattern})$"
PLATFORM_ID, PLATFORM_WORD = f"^{DIGITS.pattern}$", "^[^A-Z]+$"
BLANKS = " \t\u00a0"
CONTRACT_NUMBER = r"(?P<opened>)(?P<sign>)(?P<whole>\d+)(?:\.(?P<fraction>\d+))?(?P<behind>)(?P<closed>)"
CLOCK = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
OFFSET = r"(?P<offset>Z|(?P<east>[+-])(?P<oH>\d\d):(?P<oM>\d\d))"
ISO_FORM = rf"(?P<Y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)(?:[T ]{CLOCK}(?:\.(?P<f>\d{{3}}|\d{{6}}))?{OFFSET}?)?"
DIRECTIVES = {"%Y": r"(?P<Y>\d{4})", **{f"%{name}": rf"(?P<{name}>\d\d)" for name in "mdHMS"}}
WHOLE_DIGITS, FRACTION_DIGITS = 12, 6  # together they fit 64 bits
MICROS, MINUTE, DAY = 10**6, 60 * 10**6, 86_400 * 10**6
FIRST_YEAR, LAST_YEAR = 1990, 2200
NOTHING = r"^(?P<Y>[^\s\S])$"
EPOCH = date(1970, 1, 1).toordinal()
TYPES = {
    "booked_at": pa.timestamp("us", "UTC"),
    "is_date_only": pa.bool_(),
    "amount_minor": pa.int64(),
    "fee_minor": pa.int64(),
}
SCHEMA = pa.schema([(item.name, TYPES.get(item.name, pa.string())) for item in fields(Entry)])
REQUIRED_TEXTS = ("entry_id", "operation_type", "currency")

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class PlainEntries:
    """What of a block's rows is plain: which rows, and their entries; what each adds to the columns of the totals."""

    is_taken: Array
    entries: pa.Table
    sums: dict[str, tuple[Array, ...]]  # whole units and millionths of each row


@dataclass(frozen=True)
class _Numbers:
    """A column of numbers, as whole units and millionths without a sign; an empty cell is not `given`, and 0."""

    given: Array
    is_negative: Array
    has_fraction: Array
    whole: Array
    millionths: Array

    @property
    def is_zero(self) -> Array:
        found: Array = (self.whole == 0) & (self.millionths == 0)
        return found

    def where(self, mask: Array, other: _Numbers) -> _Numbers:
        """Return these numbers where the mask is true, else the other's."""
        pairs = ((getattr(self, item.name), getattr(other, item.name)) for item in fields(self))
        return _Numbers(*(np.where(mask, mine, others) for mine, others in pairs))


def no_plain_entries(rows: int) -> PlainEntries:
    """Return that none of so many rows is plain."""
    return PlainEntries(np.zeros(rows, bool), SCHEMA.empty_table(), {})


class _Groups:
    """What the groups of a regular expression found in texts."""

    def __init__(self, texts: pa.Array, form: str) -> None:
        self._found, self._nothing = pc.extract_regex(texts, form), pa.repeat("", len(texts))
        self._names = [field.name for field in self._found.type]
        self.is_found = _numpy(self._found.is_valid())

    def text(self, name: str) -> pa.Array:
        """Return a group of each text, empty where it found nothing."""
        return pc.struct_field(self._found, name).fill_null("") if name in self._names else self._nothing

    def given(self, name: str) -> Array:
        """Return where a group found something."""
        return _numpy(pc.not_equal(self.text(name), ""))


class _Block:
    """Some rows by columns, and which of them are plain so far."""

    def __init__(self, rows: Sequence[Sequence[str]], width: int) -> None:
        self._size = len(rows)
        self._places = np.flatnonzero(np.fromiter(map(len, rows), int, len(rows)) == width)
        whole = rows if len(self._places) == len(rows) else [rows[place] for place in self._places.tolist()]
        self._cells = list(zip(*whole, strict=True))
        self._columns: dict[int, pa.Array] = {}
        self._plain: dict[int, tuple[pa.Array, pa.Array]] = {}  # by the id of an array, which stays here
        self.size, self.is_plain = len(self._places), np.ones(len(self._places), bool)

    def column(self, place: int) -> pa.Array:
        """Return a column as texts.

        Raises:
            UnicodeEncodeError: it has what is no text.
        """
        if place not in self._columns:
            self._columns[place] = pa.array(self._cells[place] if self._cells else [], pa.string())
        return self._columns[place]

    def keep(self, mask: Any) -> None:
        """Leave the rows for which the mask is not true."""
        self.is_plain &= mask if isinstance(mask, np.ndarray) else _numpy(mask)

    def _is_plain(self, texts: pa.Array) -> pa.Array:
        """Return which texts any field takes as they are; null where there is none."""
        if id(texts) not in self._plain:
            is_short = pc.less_equal(pc.binary_length(texts), LONGEST)
            is_fine = pc.and_(is_short, pc.match_substring_regex(texts, PLAIN))
            self._plain[id(texts)] = texts, pc.and_not(is_fine, pc.match_substring_regex(texts, SPOILED))
        return self._plain[id(texts)][1]

    def by_value(
        self, texts: pa.Array, function: Callable[[str], str | None], *, keeps_plain: bool = False, form: str = ""
    ) -> pa.Array:
        """Return a function's result for each text, called once a value; leave the rows whose value it refuses.

        `keeps_plain`: what is plain, and of the form if there is one, it returns as it is.
        """
        others = pa.array(np.ones(len(texts), bool))
        if keeps_plain:
            is_kept = self._is_plain(texts)
            is_kept = pc.and_(is_kept, pc.match_substring_regex(texts, form)) if form else is_kept
            others = pc.invert(is_kept.fill_null(fill_value=True))
        values, found, refused = texts.filter(others).dictionary_encode(), [], []
        for value in values.dictionary.to_pylist():
            try:
                found.append(function(value))
                refused.append(False)
            except WrongCell:
                found.append(None)
                refused.append(True)
        if any(refused):
            of_others = pa.array(refused).take(values.indices).fill_null(fill_value=False)
            self.keep(pc.invert(pc.replace_with_mask(pa.array(np.zeros(len(texts), bool)), others, of_others)))
        return pc.replace_with_mask(texts, others, pa.array(found, pa.string()).take(values.indices))

    def numbers(self, texts: pa.Array, form: str) -> _Numbers:
        """Return texts as numbers; leave the rows of others, and of very long ones."""
        groups = _Groups(texts, form)
        given = _numpy(pc.not_equal(texts, ""))
        self.keep(~given | groups.is_found)
        opened, behind, fraction = groups.given("opened"), groups.given("behind"), groups.text("fraction")
        minus = _numpy(pc.is_in(groups.text("sign"), pa.array(MINUS)))
        self.keep(opened == groups.given("closed"))
        self.keep(opened.astype(int) + behind + groups.given("sign") <= 1)
        whole = pc.replace_substring_regex(groups.text("whole"), r"\D", "")
        for digits, longest in ((whole, WHOLE_DIGITS), (fraction, FRACTION_DIGITS)):
            self.keep(pc.less_equal(pc.binary_length(digits), longest))
        whole, fraction = (pc.if_else(pa.array(self.is_plain), digits, "") for digits in (whole, fraction))
        millionths = _integers(pc.utf8_rpad(fraction, FRACTION_DIGITS, "0"))
        return _Numbers(given, opened | behind | minus, groups.given("fraction"), _integers(whole), millionths)

    def of_all_rows(self, values: Array) -> Array:
        """Return the values of the plain rows in their places among all rows; of the others 0 or false."""
        found = np.zeros(self._size, values.dtype)
        found[self._places] = np.where(self.is_plain, values, np.zeros_like(values))
        return found


class PlainRows:
    """The kernels for the rows of one file."""

    def __init__(self, names: Sequence[str], mapped: MappedRows | None, zone: ZoneInfo, exponent: Exponent) -> None:
        """Choose the kernels of a mapping, or of the contract."""
        contract = {name: Source(name) for name in names if name}
        self._names, self._mapped, self._zone, self._exponent = names, mapped, zone, exponent
        self._mapping = mapped.mapping if mapped else LedgerMapping(fields=contract)
        self._place = mapped.column if mapped else names.index
        self._number = f"^(?:{number_form(self._mapping) if mapped else CONTRACT_NUMBER})$"
        self._form = _moment_form(self._mapping.dates)
        self._offset_of_day = cache(partial(_offset_of_day, self._mapping.zone))
        self._typed_moment = lru_cache(maxsize=65536)(self._type_moment)
        given = self._mapping.fields
        numbers = [given[name] for pair in AMOUNTS.items() for name in pair if name in given]
        self._is_able = bool(given["booked_at"].column) and all(source.column for source in numbers)

    def read(self, rows: Sequence[Sequence[str]]) -> PlainEntries:
        """Return what is plain of the rows of a block."""
        block = _Block(rows, len(self._names))
        if self._is_able and block.size:
            try:
                return self._read(block)
            except UnicodeEncodeError:
                pass
        return no_plain_entries(len(rows))

    def _read(self, block: _Block) -> PlainEntries:
        self._leave_no_entries(block)
        texts = {name: self._text(block, name) for name in (*REQUIRED_TEXTS, "status", *TEXTS)}
        texts["currency"] = block.by_value(texts["currency"], lambda text: currency_field({"currency": text}))
        numbers = {name: self._number_field(block, name) for pair in AMOUNTS.items() for name in pair}
        self._leave_other_currencies(block, texts["currency"])
        if self._mapping.direction:
            texts["operation_type"] = self._direct(block, self._mapping.direction, numbers, texts["operation_type"])
        for name in REQUIRED_TEXTS:
            block.keep(texts[name].is_valid())
        moments, is_date_only = self._moments(block)
        decimals = self._decimals(texts["currency"], moments)
        amount, has_amount = _minor_units(block, "amount", numbers, decimals)
        fee, has_fee = _minor_units(block, "fee", numbers, decimals)
        block.keep(has_amount)
        summed = {rule.sum_of: self._place(rule.sum_of) for rule in self._mapping.totals if rule.sum_of}
        totals = {name: self._numbers(block, block.column(place)) for name, place in summed.items()}
        columns = {
            **texts,
            "status": texts["status"].fill_null("success"),
            "booked_at": pa.array(moments).cast(TYPES["booked_at"]),
            "is_date_only": pa.array(is_date_only),
            "amount_minor": pa.array(amount),
            "fee_minor": pa.array(fee, mask=~has_fee),
        }
        entries = pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
        sums = {
            name: tuple(block.of_all_rows(np.where(n.is_negative, -part, part)) for part in (n.whole, n.millionths))
            for name, n in totals.items()
        }
        return PlainEntries(block.of_all_rows(block.is_plain), entries.filter(pa.array(block.is_plain)), sums)

    def _leave_no_entries(self, block: _Block) -> None:
        """Leave the rows that a rule tells apart, and those with a value under no name."""
        for rule in (*self._mapping.skip, *self._mapping.totals):
            cells = block.column(self._place(rule.column))
            block.keep(pc.invert(pc.is_in(cells, pa.array(rule.equals, pa.string()))))
            block.by_value(cells, partial(_refuse_if_fits, rule), keeps_plain=rule.matches is None)
        for place, name in enumerate(self._names):
            if not name.strip() and not self._mapping.ignore_unnamed:
                block.keep(pc.equal(block.column(place), ""))

    def _leave_other_currencies(self, block: _Block, currencies: pa.Array) -> None:
        """Leave the rows with a number whose unit is another currency than the row's."""
        if self._mapped is None:
            return
        for unit, codes in self._mapped.unit_currencies.items():
            is_other = pc.invert(pc.is_in(currencies, pa.array(codes, pa.string())))
            for place in self._mapped.number_places:
                has_unit = pc.match_substring(block.column(place), unit)
                block.keep(pc.invert(pc.and_(is_other, has_unit).fill_null(fill_value=False)))

    def _text(self, block: _Block, name: str) -> pa.Array:
        """Return a field of texts, null where it is empty."""
        source = self._mapping.fields.get(name)
        if source is None:
            return pa.nulls(block.size, pa.string())
        typed = partial(_typed_text, name)
        form = PLATFORM_ID if name in NUMBERED else PLATFORM_WORD if name in WORDS else ""
        typed_by_value = partial(block.by_value, keeps_plain=True, form=form)
        if source.value:
            return block.by_value(pa.repeat(source.value, block.size), typed)
        if source.template:
            return typed_by_value(self._filled(block, source.template), typed)
        if self._mapped is None or (source.pattern is None and source.words is None):
            cell = self._mapped.cell(source) if self._mapped else str
            return typed_by_value(block.column(self._place(source.column)), lambda text: typed(cell(text)))
        return typed_by_value(self._cells(block, source), typed)

    def _cells(self, block: _Block, source: Source) -> pa.Array:
        """Return what is meant of the cells of a column."""
        cells = block.column(self._place(source.column))
        if self._mapped is None or (source.pattern is None and source.words is None):
            return cells
        return block.by_value(cells, self._mapped.cell(source))

    def _filled(self, block: _Block, template: str) -> pa.Array:
        """Return the texts of a template, null where one of its columns is empty."""
        parts: list[Any] = []
        for place, part in enumerate(re.split(r"\{([^{}]+)\}", template)):
            if place % 2:
                texts = block.by_value(block.column(self._place(part)), shown, keeps_plain=True)
                parts.append(pc.if_else(pc.equal(texts, ""), None, texts))
            else:
                parts.append(part)
        return pc.binary_join_element_wise(*parts, "")

    def _trimmed(self, texts: pa.Array) -> pa.Array:
        return pc.utf8_trim(texts, BLANKS) if self._mapped else texts

    def _numbers(self, block: _Block, texts: pa.Array) -> _Numbers:
        return block.numbers(self._trimmed(texts), self._number)

    def _number_field(self, block: _Block, name: str) -> _Numbers:
        source = self._mapping.fields.get(name)
        if source is None:
            nothing = np.zeros(block.size, bool)
            return _Numbers(nothing, nothing, nothing, nothing.astype(int), nothing.astype(int))
        numbers = self._numbers(block, self._cells(block, source).fill_null(""))
        return replace(numbers, is_negative=numbers.is_negative ^ ~numbers.is_zero) if source.negate else numbers

    def _direct(self, block: _Block, direction: Direction, numbers: dict[str, _Numbers], types: pa.Array) -> pa.Array:
        """Take the sign off the amounts, and return the types that it means or allows."""
        name = "amount_minor" if "amount_minor" in self._mapping.fields else "amount"
        if direction.debit:
            places = (self._place(column) for column in (direction.debit, direction.credit))
            debit, credit = (self._numbers(block, block.column(place)) for place in places)
            block.keep(~debit.is_negative & ~credit.is_negative & (debit.is_zero | credit.is_zero))
            amount = debit.where(credit.is_zero & debit.given, credit)
            amount = replace(amount, is_negative=~credit.is_zero)
        elif direction.mark:
            amount = numbers[name]
            block.keep(~amount.is_negative)
            marks = block.by_value(block.column(self._place(direction.mark)), partial(_sign_of_mark, direction))
            block.keep(marks.is_valid())
            amount = replace(amount, is_negative=_numpy(pc.equal(marks, "-").fill_null(fill_value=False)))
        else:
            amount = numbers[name]
        numbers[name] = replace(amount, is_negative=np.zeros(block.size, bool))
        is_negative = pa.array(amount.is_negative)
        if "operation_type" not in self._mapping.fields:
            positive, negative = ((*names, None)[0] for names in (direction.positive, direction.negative))
            return pc.if_else(is_negative, pa.scalar(negative, pa.string()), pa.scalar(positive, pa.string()))
        allowed = (pc.is_in(types, pa.array(names, pa.string())) for names in (direction.negative, direction.positive))
        block.keep(pc.if_else(is_negative, *allowed))
        return types

    def _moments(self, block: _Block) -> tuple[Array, Array]:
        """Return the moments in microseconds since 1970, UTC, and which of them are a date alone."""
        source = self._mapping.fields["booked_at"]
        texts = self._trimmed(block.column(self._place(source.column)))
        if source.time:
            texts = pc.binary_join_element_wise(texts, self._trimmed(block.column(self._place(source.time))), " ")
        found, is_date_only, is_known = self._plain_moments(texts)
        others = pa.array(~is_known)
        values = texts.filter(others).dictionary_encode()
        typed = [self._typed_moment(value) for value in values.dictionary.to_pylist()]
        moments, dates = (np.array([pair[part] if pair else 0 for pair in typed], int) for part in (0, 1))
        indices = values.indices.to_numpy()
        block.keep(is_known | _spread(~is_known, np.array([pair is not None for pair in typed], bool)[indices]))
        return found + _spread(~is_known, moments[indices]), is_date_only | _spread(~is_known, dates[indices] == 1)

    def _type_moment(self, value: str | date) -> tuple[int, bool] | None:
        """Return the moment of a cell in microseconds, and whether it is a date alone; None: it is refused."""
        try:
            read = self._mapped.moment(value, has_time=False) if self._mapped else value
            moment, is_date_only = moment_field({"booked_at": read}, "booked_at", self._zone)
        except WrongCell:
            return None
        return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // timedelta(microseconds=1), is_date_only

    def _plain_moments(self, texts: pa.Array) -> tuple[Array, Array, Array]:
        """Return moments, which are a date alone, and which are known: in the format, on a day of a single offset."""
        groups = _Groups(texts, self._form)
        year, month, day, hour, minute, second, offset_hour, offset_minute = (
            _integers(groups.text(name)) for name in ("Y", "m", "d", "H", "M", "S", "oH", "oM")
        )
        is_known = (year > FIRST_YEAR) & (year < LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1)
        is_known &= (hour < 24) & (minute < 60) & (second < 60) & (offset_hour < 15) & (offset_minute < 60)
        months = np.where(is_known, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
        dates = months.astype("datetime64[D]") + (day - 1)
        is_known &= dates.astype("datetime64[M]") == months
        days, place = np.unique(np.where(is_known, dates.astype(int), 0), return_inverse=True)
        has_offset, is_date_only = groups.given("offset"), ~groups.given("H")
        offset = (offset_hour * 60 + offset_minute) * np.where(
            _numpy(pc.equal(groups.text("east"), "-")), -MINUTE, MINUTE
        )
        if not has_offset.all():
            of_days = [self._offset_of_day(int(value)) for value in days]
            is_known &= has_offset | is_date_only | np.array([each is not None for each in of_days])[place]
            offset = np.where(has_offset, offset, np.array([each or 0 for each in of_days])[place])
        fraction = _integers(pc.utf8_rpad(groups.text("f"), 6, "0"))
        moments = days[place] * DAY + (hour * 60 + minute) * MINUTE + second * MICROS + fraction - offset
        if is_date_only.any():
            starts = [self._typed_moment(date.fromordinal(EPOCH + int(value))) for value in days]
            moments = np.where(is_date_only, np.array([start[0] if start else 0 for start in starts])[place], moments)
        return np.where(is_known, moments, 0), is_known & is_date_only, is_known

    def _decimals(self, currencies: pa.Array, moments: Array) -> Array:
        """Return the decimals of each row's currency, the same on the days around its moment; -1: not so simple."""
        codes = currencies.fill_null("").dictionary_encode()
        days = moments // DAY - moments.min() // DAY
        pairs, place = np.unique(codes.indices.to_numpy() * (days.max() + 1) + days, return_inverse=True)
        names, first, found = codes.dictionary.to_pylist(), EPOCH + int(moments.min() // DAY), []
        for pair in pairs:
            code, day = divmod(int(pair), int(days.max()) + 1)
            around = {self._exponent(names[code], date.fromordinal(first + day + step)) for step in (-1, 0, 1)}
            exponent = around.pop()
            found.append(-1 if around or exponent is None or exponent > FRACTION_DIGITS else exponent)
        return np.array(found, int)[place]


def _minor_units(block: _Block, name: str, numbers: Mapping[str, _Numbers], decimals: Array) -> tuple[Array, Array]:
    """Return amounts in minor units, and which rows have one; leave the rows where it is not exact."""
    major, minor = numbers[name], numbers[AMOUNTS[name]]
    step = 10 ** (FRACTION_DIGITS - np.maximum(decimals, 0))
    block.keep(~(major.given & minor.given) & ~major.is_negative & ~minor.is_negative & ~minor.has_fraction)
    block.keep(~major.given | ((decimals >= 0) & (major.millionths % step == 0)))
    of_major = major.whole * 10 ** np.maximum(decimals, 0) + major.millionths // step
    return np.where(major.given, of_major, minor.whole), major.given | minor.given


def _moment_form(formats: Sequence[str]) -> str:
    """Return the regular expression of a format; of several, or one with other directives, one that fits nothing."""
    if len(formats) > 1:
        return NOTHING
    if formats[0] == ISO:
        return f"^{ISO_FORM}$"
    parts = re.split("(%.)", formats[0])
    if any(part.startswith("%") and part not in DIRECTIVES for part in parts) or len({*parts[1::2]}) < len(parts[1::2]):
        return NOTHING
    return f"^{''.join(DIRECTIVES.get(part) or re.escape(part) for part in parts)}$"


def _offset_of_day(zone: str, day: int) -> int | None:
    """Return the offset of a zone in microseconds on a day since 1970; None: it has none, or changes on that day."""
    if not zone:
        return None
    start = datetime.fromordinal(EPOCH + day)
    hours = (start + timedelta(hours=hour) for hour in range(25))
    found = {hour.replace(tzinfo=ZoneInfo(zone), fold=fold).utcoffset() for hour in hours for fold in (0, 1)}
    offset = found.pop()
    return None if found or offset is None else offset // timedelta(microseconds=1)


def _typed_text(name: str, text: str | None) -> str | None:
    return text_field({name: text}, name)


def _refuse_if_fits(rule: Rule, text: str) -> str:
    if rule.fits(shown(text)):
        raise WrongCell(rule.column, "is that of no entry", rule.words)
    return text


def _sign_of_mark(direction: Direction, text: str) -> str | None:
    mark = shown(text)
    return "-" if mark in direction.negative_marks else "+" if mark in direction.positive_marks else None


def _numpy(values: pa.Array) -> Array:
    found: Array = values.to_numpy(zero_copy_only=False)
    return found


def _integers(digits: pa.Array) -> Array:
    """Return digits as numbers; where there are none, 0."""
    return _numpy(pc.if_else(pc.equal(digits, ""), "0", digits).cast(pa.int64()))


def _spread(mask: Array, values: Array) -> Array:
    """Return the values where the mask is true, in their order; elsewhere 0 or false."""
    found = np.zeros(len(mask), values.dtype)
    found[mask] = values
    return found
