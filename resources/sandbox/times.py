"""Times of the wire and back: zones, the two formats, seconds since 1970; no clock."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

TimeFormat = Literal["iso", "plain"]
Moment = int | float | str | date | datetime

DAY: Final = 86_400
_OFFSET: Final = re.compile(r"([+-])(\d{2}):(\d{2})")
_INTERVAL: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}", re.ASCII)
_LAST_SECOND: Final = 253_402_300_799 - DAY  # of the year 9999, in any zone


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Give the zone of an IANA name or of an offset such as `+10:30`; ValueError for anything else."""
    if name == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(name):
        hours, minutes = int(match[2]), int(match[3])
        if hours > 14 or minutes > 59:
            raise ValueError(f"Unknown time zone: {name}")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"Unknown time zone: {name}") from error


def parse(text: str, tz: tzinfo) -> int:
    """Read a bound of an interval in either format; ValueError if it is not one, or no such day exists."""
    if not _INTERVAL.fullmatch(text):
        raise ValueError(f"Expected YYYY-MM-DD hh:mm:ss, got {text!r}")
    return int(datetime.fromisoformat(text).replace(tzinfo=tz).timestamp())


def instant(moment: Moment) -> float:
    """Give the second of a moment with its fraction, however it is written; what names no zone is UTC."""
    if isinstance(moment, (int, float)):
        return moment
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    elif not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    second = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return int(second) if second.is_integer() else second


def seconds(moment: Moment) -> int:
    """Give the whole second of a moment."""
    return math.floor(instant(moment))


def as_second(value: object) -> object:
    """Turn a time of a hand-written operation into its second; what is no time stays as it is."""
    if isinstance(value, str) and len(value) >= 19:
        try:
            return seconds(value)
        except ValueError:
            return value
    return value


def text(second: float, tz: tzinfo, style: TimeFormat) -> str:
    """Write the whole second in a zone: `2018-08-01T08:28:47+00:00` or `2018-08-01 08:28:47`."""
    if tz is UTC:
        days, rest = divmod(int(second), DAY)
        return _day(days) + _clock(rest, style)
    moment = datetime.fromtimestamp(min(int(second), _LAST_SECOND), tz)
    return moment.isoformat() if style == "iso" else moment.strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


@lru_cache(maxsize=2 * DAY)
def _clock(rest: int, style: TimeFormat) -> str:
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"T{clock}+00:00" if style == "iso" else f" {clock}"
