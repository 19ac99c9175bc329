"""Days as arguments of commands."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from resources.errors import ConfigError

FirstDay = Annotated[str, typer.Option("--from", metavar="DAY", help="first UTC day (YYYY-MM-DD, today, yesterday)")]
LastDay = Annotated[str, typer.Option("--to", metavar="DAY", help="last UTC day, included")]
BusinessDay = Annotated[str, typer.Option("--date", metavar="DAY", help="business day (YYYY-MM-DD, yesterday)")]


def read_days(first: str, last: str) -> tuple[date, date]:
    """Return the days that `--from` and `--to` name.

    Raises:
        ConfigError: one of them is no day, or they are in the wrong order.
    """
    days = read_day("--from", first), read_day("--to", last)
    if days[1] < days[0]:
        raise ConfigError(f"--to {last} is before --from {first}: swap them.")
    return days


def read_day(option: str, text: str) -> date:
    """Return the day that an option names.

    Raises:
        ConfigError: it is no day.
    """
    today = datetime.now(UTC).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}
    try:
        return named[text] if text in named else datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise ConfigError(f"{option} {text!r} is no day: write YYYY-MM-DD, today or yesterday.") from None
