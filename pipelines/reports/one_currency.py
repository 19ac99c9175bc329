"""Totals of a report in one reporting currency, by rates of a file, beside the exact figures and never among them.

A currency's sum of one day is converted by the last rate of that day or of the SYNC_RATE_DAYS before, and rounded to
the minor unit, half away from zero; the total adds what was rounded, so that the lines add up to it, and a month to its
days. A currency without such a rate is named and left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from pipelines.reports.document import CurrencyDay, CurrencyTotals, DayDocument, rounded
from pipelines.reports.month import MonthDocument
from resources.currencies import Rate
from resources.output import counted
from resources.settings import ReportSettings


@dataclass(frozen=True)
class DayInOne:
    """A currency's exact figures of a day, and what they are in the reporting currency; None: they are left out."""

    business_date: date
    exact: CurrencyDay
    exponent: int | None
    rate: Rate | None  # None: left out, or the reporting currency itself
    credit_minor: int | None
    debit_minor: int | None
    too_old: Rate | None = None  # the last rate before, where it is too old to be used


@dataclass(frozen=True)
class CurrencyInOne:
    """A currency over the days of a report: exact sums, what they are in the reporting currency, and by which rates."""

    currency: str
    exponent: int | None
    exact_credit_minor: int
    exact_debit_minor: int
    credit_minor: int | None
    debit_minor: int | None
    rates: str


@dataclass(frozen=True)
class InOneCurrency:
    """The total of a report in the reporting currency: each currency of each day."""

    currency: str
    exponent: int
    rate_days: int  # how old a rate may be
    days: tuple[DayInOne, ...]

    @property
    def credit_minor(self) -> int:
        """What came in, of all currencies that have a rate."""
        return sum(line.credit_minor or 0 for line in self.days)

    @property
    def debit_minor(self) -> int:
        """What went out, likewise."""
        return sum(line.debit_minor or 0 for line in self.days)

    @property
    def days_before(self) -> str:
        """Which days before a day lend it their rate, in words; empty: none."""
        return {0: "", 1: "the day before"}.get(self.rate_days, f"the {self.rate_days} days before")

    @property
    def left_out(self) -> str:
        """Which currencies are not in the total, or not with all their days, and why; empty: none."""
        days: dict[str, list[DayInOne]] = {}
        for line in self.days:
            if line.credit_minor is None:
                days.setdefault(line.exact.currency, []).append(line)
        return "; ".join(f"without {name}: {_why_left_out(lines, self.days_before)}" for name, lines in days.items())

    @property
    def days_of_rates(self) -> str:
        """The days of the rates that were applied, in words; empty: none was."""
        days = sorted({line.rate.day for line in self.days if line.rate})
        return " to ".join(str(day) for day in dict.fromkeys((*days[:1], *days[-1:])))

    def by_currency(self) -> tuple[CurrencyInOne, ...]:
        """Return each currency once, over all days, with the rates that were applied."""
        lines: dict[tuple[str, int | None], list[DayInOne]] = {}
        for line in self.days:
            lines.setdefault((line.exact.currency, line.exponent), []).append(line)
        return tuple(
            CurrencyInOne(
                currency,
                exponent,
                sum(line.exact.credit_minor for line in mine),
                sum(line.exact.debit_minor for line in mine),
                _added(line.credit_minor for line in mine),
                _added(line.debit_minor for line in mine),
                _rates_in_words(mine),
            )
            for (currency, exponent), mine in lines.items()
        )


def of_day(document: DayDocument, settings: ReportSettings) -> InOneCurrency | None:
    """Return the total of a day in the reporting currency; None: none is set."""
    return _converted(((document.business_date, total) for total in document.totals), settings)


def of_month(document: MonthDocument, settings: ReportSettings) -> InOneCurrency | None:
    """Return the total of a month's sealed days in the reporting currency, each by the rate of its day."""
    return _converted(((day.business_date, total) for day in document.days for total in day.totals), settings)


Pairs = Mapping[frozenset[str], Sequence[Rate]]  # the rates of each two currencies, the earliest day first


def _converted(lines: Iterable[tuple[date, CurrencyTotals]], settings: ReportSettings) -> InOneCurrency | None:
    if settings.currency is None:
        return None
    pairs = defaultdict[frozenset[str], list[Rate]](list)
    for rate in sorted(settings.rates, key=lambda rate: rate.day):
        pairs[frozenset((rate.base, rate.quote))].append(rate)
    days = tuple(_day(day, total, settings, pairs) for day, total in lines)
    return InOneCurrency(settings.currency, settings.decimals, settings.rate_days, days)


def _day(day: date, total: CurrencyTotals, settings: ReportSettings, pairs: Pairs) -> DayInOne:
    exact, exponent, currency = total.day, total.exponent, str(settings.currency)
    rate, too_old, factor = None, None, Fraction(1)
    if exact.currency != currency:
        of_pair = pairs.get(frozenset((exact.currency, currency)), ())
        place = bisect_right(of_pair, day, key=lambda rate: rate.day)
        rate = of_pair[place - 1] if place else None
        if rate and (day - rate.day).days > settings.rate_days:
            rate, too_old = None, rate
        factor = rate.units_of(currency) if rate else Fraction(0)
    if exponent is None or not factor:
        return DayInOne(day, exact, exponent, None, None, None, too_old)
    scaled = factor * Fraction(10) ** (settings.decimals - exponent)
    credit, debit = (
        rounded(minor * scaled.numerator, scaled.denominator) for minor in (exact.credit_minor, exact.debit_minor)
    )
    return DayInOne(day, exact, exponent, rate, credit, debit)


def _added(minors: Iterable[int | None]) -> int | None:
    """Return the sum of what there is; None: there is nothing."""
    known = [minor for minor in minors if minor is not None]
    return sum(known) if known else None


def _why_left_out(lines: Sequence[DayInOne], before: str) -> str:
    if any(line.exponent is None for line in lines):
        return "its decimals are not known"
    days = sorted(line.business_date for line in lines)
    span = str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)} days)"
    nor = f", nor for {before}" if before else ""
    last = max((line.too_old.day for line in lines if line.too_old), default=None)
    return f"no rate for {span}{nor} ({f'the last is of {last}' if last else 'there is no earlier one'})"


def _rates_in_words(lines: Sequence[DayInOne]) -> str:
    """Return the rates that were applied, several by number, days and sources, and how many days are left out."""
    applied = list(dict.fromkeys(line.rate for line in lines if line.rate))
    if len(applied) > 1:
        days, sources = sorted(rate.day for rate in applied), dict.fromkeys(rate.source for rate in applied)
        said = f"{len(applied)} rates of {days[0]} to {days[-1]} ({', '.join(sources)})"
    else:
        said = "".join(map(str, applied)) or "itself"
    left_out = sum(line.credit_minor is None for line in lines)
    if left_out == len(lines):
        return "left out"
    return f"{said}; {counted(left_out, 'day')} left out" if left_out else said
