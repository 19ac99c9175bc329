"""Cron expressions, as Dagster reads them: which are valid, and when one is due; what runs then is not here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
LONGEST_CHANGE = timedelta(hours=2)  # by which a zone sets its clocks, at most
MINUTE = timedelta(minutes=1)
# Dagster's own copy of the library is older and knows no nearest weekday
NEAREST_WEEKDAY = re.compile(r"\dw|\bw\d|\blw\b|\bwl\b", re.IGNORECASE)


def why_invalid(cron: str) -> str | None:
    """Return what keeps Dagster from taking an expression; None: it takes it."""
    from croniter import croniter

    fields = cron.split()
    if len(fields) != len(FIELDS) and not (len(fields) == 1 and fields[0].startswith("@")):
        return f"it has {len(fields)} fields, not {len(FIELDS)}"
    for number, (name, field) in enumerate(zip(FIELDS, fields, strict=False)):
        alone = " ".join(field if place == number else "*" for place in range(len(FIELDS)))
        if len(fields) > 1 and (NEAREST_WEEKDAY.search(field) or not croniter.is_valid(alone)):
            return f"{field!r} is no {name}"
    if not croniter.is_valid(cron):
        return f"{cron!r} is not known"
    _, _, days, months, _ = croniter.expand(cron)[0]
    return "February never has that day" if months == [2] and days in ([30], [31]) else None


def next_due(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return the first time after `after`, in UTC, at which Dagster starts a schedule; None: never.

    Raises:
        ValueError: the expression cannot be read.
    """
    return _due(cron, zone, after, ahead=True)


def last_due(cron: str, zone: str, until: datetime) -> datetime | None:
    """Return the last time, not after `until`, in UTC, at which Dagster starts a schedule; None: never.

    Raises:
        ValueError: the expression cannot be read.
    """
    return _due(cron, zone, until, ahead=False)


def _due(cron: str, zone: str, bound: datetime, *, ahead: bool) -> datetime | None:
    """Return the nearest time on one side of `bound`.

    The library walks the clock on the wall, on which times repeat: the walk goes on for as long as a later time on
    the wall can still be a nearer one.
    """
    place, best, limit = ZoneInfo(zone), None, None
    for wall, times in _times(cron, place, bound, ahead=ahead):
        if limit is not None and abs(wall - limit) > LONGEST_CHANGE:
            break
        for moment in times:
            if moment > bound if ahead else moment <= bound:
                best = moment if best is None else min(best, moment) if ahead else max(best, moment)
                limit = limit or wall
    return best


def _times(cron: str, place: ZoneInfo, bound: datetime, *, ahead: bool) -> Iterator[tuple[datetime, list[datetime]]]:
    """Yield times on the wall from about `bound` on, ahead or back, and when in UTC each of them is due."""
    from croniter import CroniterBadDateError, croniter

    start = bound.astimezone(place).replace(tzinfo=None, fold=0)
    ticks = croniter(cron, start - LONGEST_CHANGE if ahead else start + LONGEST_CHANGE)
    every_hour = croniter.expand(cron)[0][1] == ["*"]
    while True:
        try:
            wall = ticks.get_next(datetime) if ahead else ticks.get_prev(datetime)
        except CroniterBadDateError:  # none within 50 years
            return
        yield wall, _in_zone(wall, place, every_hour=every_hour)


def _in_zone(wall: datetime, place: ZoneInfo, *, every_hour: bool) -> list[datetime]:
    """Return when a time on the wall is due, as Dagster has it, where the clocks are changed.

    A skipped one is due once the clocks have changed, one that comes twice the second time; a schedule of every hour
    is due in each hour that there is.
    """
    first, second = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return [first, second] if every_hour else [second]
    return [] if every_hour else _in_zone(wall + MINUTE, place, every_hour=every_hour)
