"""How many decimals a currency has, and since when: ISO 4217, and overrides. Formatting is in `pipelines.money`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Literal

FIRST_DAY = date(1900, 1, 1)  # spreadsheets and BI tools know no day before


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
    source: Literal["iso4217", "override"]
    valid_from: date
    valid_to: date | None

    @property
    def smallest_unit(self) -> Decimal:
        """What one minor unit is worth in major units, exactly."""
        return Decimal(1).scaleb(-self.exponent)


@cache
def iso_exponents() -> Mapping[str, int]:
    """Return the number of decimals of each currency of ISO 4217 that has one (JPY 0, EUR 2, KWD 3, CLF 4)."""
    from iso4217 import Currency

    return {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


def periods(iso: Mapping[str, int], overrides: Iterable[ExponentOverride]) -> list[CurrencyPeriod]:
    """Return the periods of every currency in order, without a gap or an overlap, each override until the next."""
    starts: dict[str, dict[date, tuple[int, Literal["iso4217", "override"]]]] = {
        currency: {FIRST_DAY: (exponent, "iso4217")} for currency, exponent in iso.items()
    }
    for override in overrides:
        starts.setdefault(override.currency, {})[override.valid_from or FIRST_DAY] = (override.exponent, "override")
    found = []
    for currency, by_day in sorted(starts.items()):
        days = sorted(by_day)
        for day, end in zip(days, [*days[1:], None], strict=True):
            found.append(CurrencyPeriod(currency, *by_day[day], day, end))
    return found


def exponent_at(found: Iterable[CurrencyPeriod], day: date) -> int | None:
    """Return the decimals on a day, of the periods of one currency; None when they are not known."""
    return next(
        (
            period.exponent
            for period in found
            if period.valid_from <= day and (period.valid_to is None or day < period.valid_to)
        ),
        None,
    )
