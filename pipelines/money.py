"""Minor units to what a person reads, by the exponents of ISO 4217 itself; amounts are stored as integers only."""

from __future__ import annotations

from decimal import Decimal
from functools import cache


@cache
def exponents() -> dict[str, int]:
    """Return the number of decimals of each currency of ISO 4217 that has one (JPY 0, EUR 2, KWD 3, CLF 4)."""
    from iso4217 import Currency

    return {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}


def major_units(minor: int | Decimal | None, currency: str | None) -> str:
    """Return an exact amount with the currency's own decimals: 1234567 EUR is `12,345.67`.

    A currency that ISO 4217 does not know keeps its minor units, and says so.
    """
    if minor is None:
        return "—"
    exponent = exponents().get(currency or "")
    if exponent is None:
        return f"{int(minor):,} minor units"
    digits = str(abs(int(minor))).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], f".{digits[-exponent:]}") if exponent else (digits, "")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{fraction}"
