"""Which day must be complete by now: pure, from the nightly cron, its zone, and the deadline in the reporting zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from zoneinfo import ZoneInfo

from resources.cron import last_due
from resources.settings import SyncSettings


def required_day(now: datetime, settings: SyncSettings) -> date:
    """Return the newest UTC day whose deadline has passed at `now`.

    It is the day that the last nightly tick before the last deadline loads.
    """
    deadline = last_moment(now, settings.nightly_deadline, settings.reference.reporting_zone)
    tick = last_due(settings.nightly_cron, settings.schedule_time_zone, deadline) or deadline
    return tick.astimezone(UTC).date() - timedelta(days=1)


def last_moment(now: datetime, at: clock, zone: str) -> datetime:
    """Return the last time, not after `now`, that the clocks of `zone` showed `at`; in UTC."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    moments = (datetime.combine(today - timedelta(days=back), at, place).astimezone(UTC) for back in range(3))
    return next(moment for moment in moments if moment <= now)
