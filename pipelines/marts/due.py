"""When a cron expression comes due next; running anything is the daemon's work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_DAYS = 366 * 8  # 29 February of a year that 400 does not divide is eight years away


def next_due(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return the first time after `after`, in UTC, that a cron of five fields names in a zone; None: never.

    Raises:
        ValueError: a field cannot be read.
    """
    minute, hour, day, month, weekday = cron.split()
    minutes, hours = _values(minute, 0, 59), _values(hour, 0, 23)
    days, months = _values(day, 1, 31), _values(month, 1, 12, MONTHS, first=1)
    weekdays = {value % 7 for value in _values(weekday, 0, 7, WEEKDAYS)}
    local = after.astimezone(ZoneInfo(zone))
    for ahead in range(LONGEST_DAYS):
        date = local.date() + timedelta(days=ahead)
        of_month, of_week = date.day in days, date.isoweekday() % 7 in weekdays
        # as cron has it: when both are given, either will do
        fits = of_month or of_week if "*" not in (day[0], weekday[0]) else of_month and of_week
        if date.month not in months or not fits:
            continue
        for moment in sorted(
            datetime(date.year, date.month, date.day, at_hour, at_minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)
            for at_hour in hours
            for at_minute in minutes
        ):
            if moment > after:
                return moment
    return None


def _values(field: str, least: int, most: int, names: tuple[str, ...] = (), first: int = 0) -> set[int]:
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        start, _, end = ("*", "", "") if span == "*" else span.partition("-")
        low = least if start == "*" else _value(start, names, first)
        high = most if start == "*" or (step and not end) else _value(end or start, names, first)
        if not least <= low <= high <= most:
            raise ValueError(f"{part!r} is not within {least} to {most}")
        found.update(range(low, high + 1, int(step or 1)))
    return found


def _value(text: str, names: tuple[str, ...], first: int) -> int:
    return names.index(text) + first if text in names else int(text)
