"""Currencies: decimals by ISO 4217 and by overrides, amounts as a person reads them, and rates between two of them.

Amounts are stored as integers of minor units only. A currency that ISO withdrew is known up to its withdrawal. Rates
are those of the file that SYNC_RATES_FILE names, read exactly; a report applies them to show one currency. It is a CSV
file with the columns `day,from,to,rate,source`: on that day one unit of `from` was `rate` units of `to`.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, Literal

from resources.environment import nearest, text_of_file
from resources.errors import ConfigError
from resources.values import DAY, Kind, Wrong, matching

VARIABLE = "SYNC_CURRENCY_EXPONENTS"
_OVERRIDES: ContextVar[str | None] = ContextVar("overrides", default=None)
FIRST_DAY = date(1900, 1, 1)  # spreadsheets and BI tools know no day before
MOST_DECIMALS = 18
# ISO gives the day of a withdrawal for ever (its list three), but the decimals only of currencies in use (list one):
# these are what list one said of the currencies withdrawn since 2007. Entries are added, never taken out.
WITHDRAWN: Mapping[str, int] = {
    "BYR": 0,
    **dict.fromkeys(
        (
            *("ANG", "BGN", "CUC", "CYP", "EEK", "GHC", "GHP", "HRK", "LTL", "LVL", "MRO", "MTL", "SDD", "SIT", "SKK"),
            *("SLL", "STD", "TMM", "USS", "VEB", "VEF", "ZMK", "ZWD", "ZWL", "ZWR"),
        ),
        2,
    ),
}

LONGEST_SOURCE = 80
CODE = matching(r"[A-Z0-9]{3,8}", "a code such as EUR")
Source = Literal["iso4217", "override"]


@dataclass(frozen=True, order=True)
class ExponentOverride:
    """The platform counts a currency in other decimals than ISO 4217, from a day on (None: always)."""

    currency: str
    valid_from: date | None
    exponent: int


@dataclass(frozen=True)
class CurrencyPeriod:
    """The decimals of a currency from a day on; `valid_to` is the first day on which they no longer hold."""

    currency: str
    exponent: int
    source: Source
    valid_from: date
    valid_to: date | None

    @property
    def smallest_unit(self) -> Decimal:
        """What one minor unit is worth in major units, exactly."""
        return Decimal(1).scaleb(-self.exponent)


@cache
def iso_periods() -> tuple[CurrencyPeriod, ...]:
    """Return the decimals of each currency of ISO 4217 that has some (JPY 0, EUR 2, KWD 3, CLF 4).

    A withdrawn one has them to the end of the month that ISO names.
    """
    from iso_4217 import Currency

    found = []
    for currency in Currency:
        exponent = currency.subunit_exp if currency.entities else WITHDRAWN.get(currency.name)
        if exponent is not None:
            end = None if currency.entities else _withdrawn_on(currency.withdrew_entities)
            found.append(CurrencyPeriod(currency.name, exponent, "iso4217", FIRST_DAY, end))
    return tuple(found)


def iso_exponents() -> dict[str, int]:
    """Return the decimals of the currencies of ISO 4217 that are in use."""
    return {period.currency: period.exponent for period in iso_periods() if period.valid_to is None}


def iso_codes() -> frozenset[str]:
    """Return the codes of all currencies of ISO 4217, in use or withdrawn, with decimals or without."""
    from iso_4217 import Currency

    return frozenset(currency.name for currency in Currency)


def periods(iso: Iterable[CurrencyPeriod], overrides: Iterable[ExponentOverride]) -> list[CurrencyPeriod]:
    """Return the periods of every currency in order, without an overlap, each override until the next.

    There is a gap only where a currency was withdrawn, and counted again by a later override.
    """
    starts: dict[str, dict[date, tuple[int, Source, date | None]]] = {
        period.currency: {period.valid_from: (period.exponent, period.source, period.valid_to)} for period in iso
    }
    for override in overrides:
        by_day = starts.setdefault(override.currency, {})
        by_day[override.valid_from or FIRST_DAY] = (override.exponent, "override", None)
    found = []
    for currency, by_day in sorted(starts.items()):
        days = sorted(by_day)
        for day, following in zip(days, [*days[1:], None], strict=True):
            exponent, source, end = by_day[day]
            ends = [limit for limit in (end, following) if limit is not None]
            found.append(CurrencyPeriod(currency, exponent, source, day, min(ends, default=None)))
    return found


def exponent_at(found: Iterable[CurrencyPeriod], day: date) -> int | None:
    """Return the decimals on a day, of the periods of one currency; None when they are not known."""
    for period in found:
        if period.valid_from <= day and (period.valid_to is None or day < period.valid_to):
            return period.exponent
    return None


def exponent_overrides(text: str) -> tuple[ExponentOverride, ...]:
    """Read overrides of ISO 4217's exponents: `JPY=2` (always) or `JPY=2@2026-01-01` (from that day), with commas.

    Raises:
        ConfigError: one is malformed, or given twice for the same day.
    """
    found: dict[tuple[str, date | None], ExponentOverride] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        match = re.fullmatch(r"([A-Z0-9]{3,8})=(\d{1,2})(?:@(\S+))?", part, re.ASCII)
        if not match or int(match[2]) > MOST_DECIMALS:
            raise ConfigError(
                f"{VARIABLE} has {part!r}: write CODE=DECIMALS or CODE=DECIMALS@DAY, "
                f"decimals from 0 to {MOST_DECIMALS}, for example JPY=2@2026-01-01."
            )
        try:
            day = DAY.read(match[3]) if match[3] else None
        except ValueError:
            raise ConfigError(f"{VARIABLE} has the day {match[3]!r}: write a day as YYYY-MM-DD.") from None
        if (match[1], day) in found:
            raise ConfigError(f"{VARIABLE} gives {match[1]} twice for the same day: keep one of them.")
        found[match[1], day] = ExponentOverride(match[1], day, int(match[2]))
    return tuple(found.values())


def exponents(day: date | None = None) -> dict[str, int]:
    """Return the decimals of each currency on a day (None: as last known), overrides included."""
    found = {currency: exponent_of(currency, day) for currency in _periods()}
    return {currency: exponent for currency, exponent in found.items() if exponent is not None}


def exponent_of(currency: str | None, day: date | None = None) -> int | None:
    """Return the decimals of a currency on a day (None: today, or as last known); None when they are not known."""
    found = _periods().get(currency or "", [])
    if day is not None:
        return exponent_at(found, day)
    today = datetime.now(UTC).date()
    begun = [period for period in found if period.valid_from <= today]
    return begun[-1].exponent if begun else None


def major_units(minor: int | Decimal | None, currency: str | None, day: date | None = None) -> str:
    """Return an exact amount with the decimals of the currency on a day: 1234567 EUR is `12,345.67`.

    A currency whose decimals are not known keeps its minor units, and says so.
    """
    if minor is None:
        return "—"
    return with_decimals(int(minor), exponent_of(currency, day))


def with_decimals(minor: int, exponent: int | None) -> str:
    """Return an exact amount with `exponent` decimals: 1234567 with 2 is `12,345.67`; without one, minor units."""
    if exponent is None:
        return f"{minor:,} minor units"
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], f".{digits[-exponent:]}") if exponent else (digits, "")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{fraction}"


@contextmanager
def exponents_by(overrides: str) -> Iterator[None]:
    """Let amounts within have the decimals of a warehouse, whose overrides these are, instead of the environment's."""
    token = _OVERRIDES.set(overrides)
    try:
        yield
    finally:
        _OVERRIDES.reset(token)


@dataclass(frozen=True)
class Rate:
    """On a day one unit of `base` was `rate` units of `quote`, as `source` says; `rate` is the text of the file."""

    day: date
    base: str
    quote: str
    rate: str
    source: str

    def units_of(self, currency: str) -> Fraction:
        """Return how many units of a currency of the pair one unit of the other was, exactly."""
        found = Fraction(self.rate)
        return found if currency == self.quote else 1 / found

    def __str__(self) -> str:
        return f"1 {self.base} = {self.rate} {self.quote} ({self.source}, {self.day})"


def _rate(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value) or not Fraction(value):
        raise ValueError
    return value


def _source(value: str) -> str:
    if not 0 < len(value) <= LONGEST_SOURCE or not value.isprintable():
        raise ValueError
    return value


RATE_KINDS = {
    "day": DAY,
    "from": CODE,
    "to": CODE,
    "rate": Kind(_rate, "a decimal above 0 with a point, such as 1.0832"),
    "source": Kind(_source, f"who published the rate, in 1 to {LONGEST_SOURCE} characters"),
}
RATE_COLUMNS = tuple(RATE_KINDS)


def read_rates_file(path: str) -> tuple[Rate, ...]:
    """Return the rates of a file, in its order.

    Raises:
        ConfigError: the file cannot be read, or a column or value in it is none; with file and line.
    """
    where = f"SYNC_RATES_FILE ({path})"
    rows = csv.DictReader(io.StringIO(text_of_file("SYNC_RATES_FILE", path)), strict=True)
    found: dict[tuple[date, frozenset[str]], Rate] = {}
    try:
        _check_rate_columns(where, rows.fieldnames or ())
        for row in rows:
            rate = _rate_of(f"{where}, line {rows.line_num}", row)
            pair = rate.day, frozenset((rate.base, rate.quote))
            if pair in found:
                raise ConfigError(
                    f"{where}, line {rows.line_num}: {rate.base} and {rate.quote} have a rate of {rate.day} already: "
                    "keep one of them."
                )
            found[pair] = rate
    except csv.Error as error:
        raise ConfigError(f"{where}, line {rows.line_num}: {error}: quotes do not match.") from None
    if not found:
        raise ConfigError(f"{where} holds no rate: write lines of {','.join(RATE_COLUMNS)}.")
    return tuple(found.values())


def _periods() -> Mapping[str, list[CurrencyPeriod]]:
    overrides = _OVERRIDES.get()
    return _periods_with(os.environ.get(VARIABLE, "") if overrides is None else overrides)


@cache
def _periods_with(overrides: str) -> Mapping[str, list[CurrencyPeriod]]:
    found: dict[str, list[CurrencyPeriod]] = {}
    for period in periods(iso_periods(), exponent_overrides(overrides)):
        found.setdefault(period.currency, []).append(period)
    return found


def _withdrawn_on(withdrawals: Iterable[Any]) -> date:
    """Return the first day after the last month in which a currency was withdrawn somewhere."""
    year, month = max((item.time.end.year, item.time.end.month or 12) for item in withdrawals)
    return date(year + month // 12, month % 12 + 1, 1)


def _check_rate_columns(where: str, names: Sequence[str]) -> None:
    for name in names:
        if name not in RATE_COLUMNS:
            near = nearest(name, RATE_COLUMNS)
            meant = f"did you mean {near}? " if near else ""
            raise ConfigError(f"{where}: the column {name!r} is unknown: {meant}there are {', '.join(RATE_COLUMNS)}.")
    missing = [name for name in RATE_COLUMNS if name not in names]
    if missing or len(names) != len(RATE_COLUMNS):
        said = f"the column {missing[0]} is missing" if missing else "a column is there twice"
        raise ConfigError(f"{where}: {said}: the first line is {','.join(RATE_COLUMNS)}.")


def _rate_of(where: str, row: Mapping[str, str]) -> Rate:
    if None in row or None in row.values():
        raise ConfigError(f"{where} has too many values, or too few: there are {len(RATE_COLUMNS)} columns.")
    values = []
    for name, kind in RATE_KINDS.items():
        try:
            values.append(kind.checked(row[name].strip()))
        except Wrong as error:
            raise ConfigError(f"{where}: {name} {error}") from None
    rate = Rate(*values)
    if rate.base == rate.quote:
        raise ConfigError(f"{where}: from and to are both {rate.base}: a rate is between two currencies.")
    return rate
