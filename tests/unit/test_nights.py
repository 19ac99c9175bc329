"""What a night loads and reports: two years of nights, in twelve zones, whatever the schedule's zone is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from pipelines import nights as nights_module
from pipelines.nights import Night, last_business_day, night_at
from resources import values
from resources.settings import ReferenceSettings, SyncSettings

ZONES = (
    *("UTC", "America/New_York", "America/Havana", "America/St_Johns", "America/Santiago", "Pacific/Honolulu"),
    *("Atlantic/Azores", "Europe/London", "Asia/Dubai", "Asia/Kolkata", "Asia/Tokyo", "Pacific/Kiritimati"),
)
YEARS = [date(2025, 1, 1) + timedelta(days=number) for number in range(730)]
A_YEAR = YEARS[:365]
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
last_due, starts_at = cache(values.last_due), cache(nights_module.starts_at)


@pytest.fixture(autouse=True)
def _each_moment_is_worked_out_once(monkeypatch):
    """Four fifths of these tests' time went into the same ticks and days, for each zone and look-back again."""
    monkeypatch.setattr(nights_module, "last_due", last_due)
    monkeypatch.setattr(nights_module, "starts_at", starts_at)


def settings_of(zone: str, **changes) -> SyncSettings:
    return SyncSettings(reference=ReferenceSettings(zone), **changes)


def covered(night: Night, tick: datetime) -> tuple[datetime, datetime]:
    """The stretch of time that the load of this night covers."""
    first = datetime.combine(night.first_day, clock.min, UTC)
    return first, min(datetime.combine(night.last_day + DAY, clock.min, UTC), tick)


def days_of(night: Night) -> set[date]:
    """The UTC days that this night loads, but for one that is not over."""
    return {night.first_day + timedelta(days=number) for number in range((night.yesterday - night.first_day).days + 1)}


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
    place = zone if schedule == "the same" else schedule
    cron = f"{at.minute} {at.hour} * * *"
    settings = settings_of(zone, look_back_days=look_back, nightly_cron=cron, schedule_time_zone=place)
    reported, whole, loaded = [], [], set()
    for day in A_YEAR:
        tick = datetime.combine(day, at, ZoneInfo(place)).astimezone(UTC)
        night = night_at(tick, settings)
        first, until = covered(night, tick)
        assert len(night.business_days) - len(night.missed_days) in (look_back, look_back + 1)
        assert night.business_days[-1] == night.business_day
        for business_day in night.business_days:
            assert first <= starts_at(business_day, zone)
            assert starts_at(business_day + DAY, zone) <= until
        assert (night.last_day - night.first_day).days in (look_back, look_back + 1, look_back + 2)
        assert night.first_day <= night.yesterday <= night.last_day <= tick.date()
        reported += [*night.missed_days, night.business_day]
        whole.append(night.yesterday)
        loaded |= days_of(night)
    assert all(timedelta(0) <= after - before <= 2 * DAY for before, after in pairwise(whole))
    assert sorted(reported) == reported
    for days in (reported, loaded):
        assert set(A_YEAR[5:-5]) <= set(days)


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


@pytest.mark.parametrize("cron", ["30 3 * * 1-5", "0 0 * * 0", "30 3 */10 * *", "30 2 * * *", "0 0 * * *", "0 0 1 * *"])
@pytest.mark.parametrize("schedule", ["UTC", "Europe/London", "Africa/Cairo", "Australia/Lord_Howe"])
@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Kathmandu", "Europe/London"])
def test_a_day_that_no_tick_follows_is_loaded_and_reported_by_the_next_night(zone, schedule, cron):
    """A schedule that leaves days out, and clocks that change: without any look-back, nothing is left out."""
    settings = settings_of(zone, look_back_days=0, nightly_cron=cron, schedule_time_zone=schedule)
    ticks = [last_due(cron, schedule, datetime.combine(YEARS[-1], clock(12), UTC))]
    while ticks[-1].date() > YEARS[0]:
        ticks.append(last_due(cron, schedule, ticks[-1] - SECOND))
    nights = [night_at(tick, settings) for tick in ticks[-2::-1]]
    assert len(nights) >= 23, "a month is the longest of these schedules"
    reported = [day for night in nights for day in (*night.missed_days, night.business_day)]
    between = {night.business_day for night in nights}
    assert set().union(*map(days_of, nights)) == {
        nights[0].first_day + timedelta(days=number)
        for number in range((nights[-1].yesterday - nights[0].first_day).days + 1)
    }
    assert set(reported) == {
        reported[0] + timedelta(days=number) for number in range((max(between) - reported[0]).days + 1)
    }
    assert all(set(night.missed_days) < set(night.business_days) for night in nights)
