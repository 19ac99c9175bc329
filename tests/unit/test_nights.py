"""What a night loads and reports: two years of nights, in twelve zones, whatever the schedule's zone is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from pipelines.nights import Night, last_business_day, night_at, starts_at
from resources.settings import ReferenceSettings, SyncSettings

ZONES = (
    *("UTC", "America/New_York", "America/Havana", "America/St_Johns", "America/Santiago", "Pacific/Honolulu"),
    *("Atlantic/Azores", "Europe/London", "Asia/Dubai", "Asia/Kolkata", "Asia/Tokyo", "Pacific/Kiritimati"),
)
YEARS = [date(2025, 1, 1) + timedelta(days=number) for number in range(730)]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


def settings_of(zone: str, **changes) -> SyncSettings:
    return SyncSettings(reference=ReferenceSettings(zone), **changes)


def covered(night: Night, tick: datetime) -> tuple[datetime, datetime]:
    """The stretch of time that the load of this night covers."""
    first = datetime.combine(night.first_day, clock.min, UTC)
    return first, min(datetime.combine(night.last_day + DAY, clock.min, UTC), tick)


def seconds_that_show(day: date, zone: str) -> tuple[datetime, datetime]:
    """The first and the last moment at which a clock of the zone shows the day, found by looking at every half hour."""
    place, start = ZoneInfo(zone), datetime.combine(day, clock.min, UTC) - timedelta(hours=16)
    moments = [start + timedelta(minutes=30 * number) for number in range(2 * 60)]
    shown = [moment for moment in moments if moment.astimezone(place).date() == day]
    return shown[0], shown[-1] + timedelta(minutes=30)


@pytest.mark.parametrize("schedule", ["UTC", "America/New_York", "Asia/Tokyo", "the same"])
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", [clock(0, 30), clock(3, 30), clock(23, 0)])
@pytest.mark.parametrize("look_back", [0, 3])
def test_a15_every_business_day_that_a_night_reports_is_loaded_whole(zone, schedule, at, look_back):
    place = ZoneInfo(zone if schedule == "the same" else schedule)
    settings = settings_of(zone, look_back_days=look_back)
    reported, whole = [], []
    for day in YEARS:
        tick = datetime.combine(day, at, place).astimezone(UTC)
        night = night_at(tick, settings)
        first, until = covered(night, tick)
        assert len(night.business_days) == look_back + 1
        assert night.business_days[-1] == night.business_day
        for business_day in night.business_days:
            assert first <= starts_at(business_day, zone)
            assert starts_at(business_day + DAY, zone) <= until
        assert (night.last_day - night.first_day).days in (look_back, look_back + 1, look_back + 2)
        assert night.first_day <= night.yesterday <= night.last_day <= tick.date()
        reported.append(night.business_day)
        whole.append(night.yesterday)
    for days in (reported, whole):
        assert all(timedelta(0) <= after - before <= 2 * DAY for before, after in pairwise(days))
        if look_back:
            assert set(YEARS[5:-5]) <= {day - timedelta(days=back) for day in days for back in range(look_back + 1)}


@pytest.mark.parametrize("zone", ZONES)
def test_a_business_day_is_all_the_time_at_which_a_clock_shows_it(zone):
    for day in YEARS:
        assert (starts_at(day, zone), starts_at(day + DAY, zone)) == seconds_that_show(day, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_a_business_day_is_over_at_its_end_and_not_a_second_before(zone):
    for day in YEARS:
        end = starts_at(day + DAY, zone)
        assert last_business_day(end, zone) == day
        assert last_business_day(end - SECOND, zone) == day - DAY


@pytest.mark.parametrize(
    ("tick", "zone", "loaded", "reported"),
    [
        ("2024-03-10 03:30", "UTC", ("2024-03-06", "2024-03-09"), ("2024-03-06", "2024-03-09")),
        # 03:30 in New York: the day there ended at 04:00 UTC of today
        ("2024-07-10 07:30", "America/New_York", ("2024-07-06", "2024-07-10"), ("2024-07-06", "2024-07-09")),
        # the schedule in UTC: in New York it is still the evening before
        ("2024-07-10 03:30", "America/New_York", ("2024-07-05", "2024-07-09"), ("2024-07-05", "2024-07-08")),
        # 03:30 in Tokyo is the UTC day before, of which Tokyo's day has ended at 15:00
        ("2024-07-09 18:30", "Asia/Tokyo", ("2024-07-05", "2024-07-09"), ("2024-07-06", "2024-07-09")),
    ],
)
def test_a_night_loads_beyond_its_look_back_what_the_reporting_zone_needs(tick, zone, loaded, reported):
    night = night_at(datetime.fromisoformat(tick).replace(tzinfo=UTC), settings_of(zone))
    assert (night.first_day, night.last_day) == tuple(map(date.fromisoformat, loaded))
    assert (night.business_days[0], night.business_days[-1]) == tuple(map(date.fromisoformat, reported))


def test_the_first_nights_do_not_reach_before_the_first_day_and_reconcile_only_whole_days():
    first = date(2015, 1, 1)
    night = night_at(datetime(2015, 1, 2, 3, 30, tzinfo=UTC), SyncSettings())
    assert (night.first_day, night.last_day, night.business_days) == (first, first, (first,))
    night = night_at(datetime(2015, 1, 2, 18, 30, tzinfo=UTC), settings_of("Asia/Tokyo"))
    assert (night.first_day, night.business_days) == (first, (date(2015, 1, 2),))
