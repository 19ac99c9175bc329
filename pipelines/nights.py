"""The days of one night: which it loads, which business days it reports, and which must be complete by when.

Pure: no clock, no I/O. The zones of schedule, reporting and platform may all differ: a night loads whole every business
day that it reports.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from resources.settings import SyncSettings
from resources.values import last_due

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Night:
    """UTC days to load, both included, of which the last may not be over; business days, oldest first."""

    first_day: date
    last_day: date
    yesterday: date  # the last UTC day that is over
    business_days: tuple[date, ...]  # those that the load covers from their first to their last second
    business_day: date  # the last that is over: the report's
    missed_days: tuple[date, ...] = ()  # others that are over since the night before; each gets its report too


def night_at(tick: datetime, settings: SyncSettings) -> Night:
    """Return the days of the night whose schedule is due at `tick`.

    Beside the look-back days in UTC it loads what the same number of business days needs: in a zone west of UTC the
    last one ends today, in a zone east of it the first one starts a day earlier. Between two ticks may lie more than a
    day, where clocks change or the schedule leaves days out: it is about all that is over since the last.
    """
    zone, back = settings.reference.reporting_zone, timedelta(days=settings.look_back_days)
    before = last_due(settings.nightly_cron, settings.schedule_time_zone, tick - SECOND) or tick - DAY
    yesterday = tick.astimezone(UTC).date() - DAY
    newest = last_business_day(tick, zone)
    unreported = last_business_day(before, zone) + DAY
    oldest = min(newest - back, unreported)
    first = min(yesterday - back, before.astimezone(UTC).date(), starts_at(oldest, zone).date())
    last = max(yesterday, (starts_at(newest + DAY, zone) - SECOND).date())
    first = max(first, settings.first_day)
    days = (oldest + timedelta(days=number) for number in range((newest - oldest).days + 1))
    whole = tuple(day for day in days if starts_at(day, zone).date() >= first)
    missed = tuple(day for day in whole if unreported <= day < newest)
    return Night(first, last, yesterday, whole, newest, missed)


def last_business_day(moment: datetime, zone: str) -> date:
    """Return the newest business day that is over at `moment`."""
    day = moment.astimezone(ZoneInfo(zone)).date()
    while starts_at(day + DAY, zone) > moment:
        day -= DAY
    return day


def starts_at(day: date, zone: str) -> datetime:
    """Return the first moment of a business day, in UTC: of two midnights the first, of a skipped one the next."""
    return datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)


def required_day(now: datetime, settings: SyncSettings) -> date:
    """Return the newest UTC day whose deadline has passed at `now`.

    It is the day that the last nightly tick before the last deadline loads.
    """
    deadline = last_moment(now, settings.nightly_deadline, settings.reference.reporting_zone)
    tick = last_due(settings.nightly_cron, settings.schedule_time_zone, deadline) or deadline
    return tick.astimezone(UTC).date() - DAY


def last_moment(now: datetime, at: time, zone: str) -> datetime:
    """Return the last time, not after `now`, that the clocks of `zone` showed `at`; in UTC."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    moments = (datetime.combine(today - timedelta(days=back), at, place).astimezone(UTC) for back in range(3))
    return next(moment for moment in moments if moment <= now)
