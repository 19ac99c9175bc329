"""Minor units to what a person reads, by ISO 4217 and SYNC_CURRENCY_EXPONENTS; amounts are stored as integers only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache

from resources.currencies import CurrencyPeriod, exponent_at, iso_exponents, periods
from resources.settings import exponent_overrides

_OVERRIDES: ContextVar[str | None] = ContextVar("overrides", default=None)


def exponents(day: date | None = None) -> dict[str, int]:
    """Return the number of decimals of each currency on a day (None: today), overrides included."""
    at = day or datetime.now(UTC).date()
    found = {currency: exponent_at(spans, at) for currency, spans in _periods().items()}
    return {currency: exponent for currency, exponent in found.items() if exponent is not None}


def exponent_of(currency: str | None, day: date | None = None) -> int | None:
    """Return the number of decimals of a currency on a day (None: today); None when they are not known."""
    return exponent_at(_periods().get(currency or "", ()), day or datetime.now(UTC).date())


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


def _periods() -> Mapping[str, list[CurrencyPeriod]]:
    overrides = _OVERRIDES.get()
    return _periods_with(os.environ.get("SYNC_CURRENCY_EXPONENTS", "") if overrides is None else overrides)


@cache
def _periods_with(overrides: str) -> Mapping[str, list[CurrencyPeriod]]:
    found: dict[str, list[CurrencyPeriod]] = {}
    for period in periods(iso_exponents(), exponent_overrides(overrides)):
        found.setdefault(period.currency, []).append(period)
    return found
