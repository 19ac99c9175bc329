"""The days a contender is asked for: `python contender.py FIRST LAST`, both included, UTC."""

from __future__ import annotations

import sys
from datetime import date, timedelta


def interval(first: date | None = None, last: date | None = None) -> dict[str, str]:
    """The request's `interval` for these days, or for the whole of what was asked for."""
    first = first or date.fromisoformat(sys.argv[1])
    last = last or date.fromisoformat(sys.argv[2])
    return {"from": f"{first} 00:00:00", "to": f"{last} 23:59:59"}


def days() -> list[date]:
    """Each day that was asked for."""
    first, last = date.fromisoformat(sys.argv[1]), date.fromisoformat(sys.argv[2])
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
