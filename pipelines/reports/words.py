"""How the report writes figures and names: exact amounts with the currency's decimals, ages, break types."""

from __future__ import annotations

from collections.abc import Sequence

from resources.currencies import with_decimals

MINUS = "\u2212"  # as wide as a plus, and no beginning of a formula

AGES = ("0–1", "2–3", "4–7", "8–30", "over 30")

BREAK_TYPES = {
    "missing_in_ledger": "Missing in our ledger",
    "missing_at_platform": "Missing at the platform",
    "amount": "Amount differs",
    "currency": "Currency differs",
    "status": "Status differs",
    "fee": "Fee differs",
    "duplicate_in_ledger": "Twice in our ledger",
    "duplicate_at_platform": "Twice at the platform",
    "timing": "Booked on another day",
    "rounding": "Rounding",
    "orphan_refund": "Refund without its payment",
    "refund_above_capture": "Refunded more than captured",
    "late_change": "Changed after the close",
    "balance": "Balance movement unexplained",
}


def amount(minor: int | None, exponent: int | None) -> str:
    """Return an exact amount as `with_decimals` writes it, with a real minus sign; None is a dash."""
    if minor is None:
        return "—"
    return with_decimals(minor, exponent).replace("-", MINUS)


def change(now: int, before: int | None) -> str:
    """Return the relative change from `before` with its direction in words: `▲ 12.3 %`."""
    if before is None:
        return "no figure"
    if before == 0:
        return "same" if now == 0 else "▲ from 0"
    tenths = rounded(1000 * (now - before), abs(before))
    if tenths == 0:
        return "same"
    return f"{'▲' if tenths > 0 else '▼'} {abs(tenths) // 10:,}.{abs(tenths) % 10} %"


def rate(part: int, whole: int) -> str:
    """Return part ÷ whole in per cent with one decimal, exactly rounded."""
    if not whole:
        return "—"
    tenths = rounded(1000 * part, whole)
    return f"{tenths // 10}.{tenths % 10} %"


def percent(value: float) -> str:
    """Return a rate of a chart in per cent."""
    return f"{100 * value:.1f} %"


def compact(value: float, digits: int = 3) -> str:
    """Return a number of an axis: 1.2k, 3.4M."""
    for size, letter in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.{digits}g}{letter}".replace("-", MINUS)
    return f"{value:.{digits}g}".replace("-", MINUS)


def digits_to_tell_apart(values: Sequence[float]) -> int:
    """Return how many digits `compact` needs so that no two of an axis's numbers look the same."""
    wanted = len(set(values))
    return next((n for n in range(3, 12) if len({compact(value, n) for value in values}) == wanted), 12)


def break_name(kind: str) -> str:
    """Return the name of a break type as a person reads it."""
    return BREAK_TYPES.get(kind, kind.replace("_", " ").capitalize())


def rounded(numerator: int, denominator: int) -> int:
    """Return numerator ÷ denominator (positive), rounded half away from zero, in integers."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -magnitude if numerator < 0 else magnitude
