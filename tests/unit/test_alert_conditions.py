"""When an alert is due: the deadline in any zone, what is unusual, settings that are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.alerts.conditions import LEAST_NIGHTS, Night, unusual
from pipelines.nights import last_moment, required_day
from resources.errors import ConfigError
from resources.settings import ReferenceSettings, SyncSettings, alert_settings, sync_settings

# hypothesis takes bounds without a zone
EARLIEST, LATEST = datetime(2020, 1, 1), datetime(2030, 1, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "settings", "day"),
    [
        ("2026-03-10 05:59", SyncSettings(), "2026-03-08"),
        ("2026-03-10 06:00", SyncSettings(), "2026-03-09"),
        # 06:00 in Berlin is 05:00 UTC, after the tick at 03:30 UTC
        ("2026-03-10 05:00", SyncSettings(reference=ReferenceSettings("Europe/Berlin")), "2026-03-09"),
        # 06:00 in Dubai is 02:00 UTC, before the tick at 03:30 UTC: the tick of the day before counts
        ("2026-03-10 02:00", SyncSettings(reference=ReferenceSettings("Asia/Dubai")), "2026-03-08"),
        # both in Tokyo: the tick at 03:30 is 18:30 UTC of the day before, and loads the day before that
        (
            "2026-03-10 00:00",
            SyncSettings(reference=ReferenceSettings("Asia/Tokyo"), schedule_time_zone="Asia/Tokyo"),
            "2026-03-08",
        ),
        ("2026-03-10 12:00", SyncSettings(nightly_cron="* * * * *"), "2026-03-09"),
    ],
)
def test_the_day_required_is_the_one_that_the_last_tick_before_the_deadline_loads(now, settings, day):
    assert required_day(at(now), settings) == date.fromisoformat(day)


@given(
    st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)),
    st.times(),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"]),
)
def test_the_last_moment_is_never_in_the_future_nor_more_than_a_day_and_a_change_of_clocks_ago(now, clock, zone):
    moment = last_moment(now, clock.replace(microsecond=0, fold=0), zone)
    assert now - timedelta(hours=25, seconds=1) <= moment <= now


def nights(*figures: tuple[int, int]) -> list[Night]:
    return [Night(date(2026, 3, 30) - timedelta(days=back), new, late) for back, (new, late) in enumerate(figures)]


@pytest.mark.parametrize(
    ("last", "kinds"),
    [
        ((10_000, 5), []),
        ((5_000, 5), []),
        ((3_900, 5), ["volume"]),
        ((26_000, 5), ["volume"]),
        ((10_000, 300), ["lateness"]),
        ((0, 0), ["volume"]),
        ((10_000, 45), []),
    ],
)
def test_a_night_is_unusual_by_a_factor_of_its_new_or_late_operations(last, kinds):
    assert [alert.kind for alert in unusual(nights(last, *[(10_000, 20)] * 20))] == kinds


def test_small_figures_vary_by_chance_and_are_not_told_of():
    assert list(unusual(nights((1, 0), *[(6, 0)] * 20))) == []


def test_nothing_is_usual_before_a_week_of_nights():
    assert list(unusual(nights((0, 0), *[(10_000, 0)] * (LEAST_NIGHTS - 1)))) == []


def test_no_setting_means_no_channel():
    settings = alert_settings({})
    assert (settings.smtp, settings.webhook) == (None, None)


MAIL = {"ALERT_SMTP_URL": "smtp://mail.example.com", "ALERT_EMAIL_FROM": "a@b.example", "ALERT_EMAIL_TO": "c@d.example"}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ALERT_EMAIL_TO": "c@d.example"}, "ALERT_SMTP_URL is not set"),
        (MAIL | {"ALERT_EMAIL_TO": "nobody"}, "write e-mail addresses"),
        (MAIL | {"ALERT_EMAIL_FROM": "a@b.example\nBcc: x@y.example"}, "write an e-mail address"),
        (MAIL | {"ALERT_SMTP_URL": "mail.example.com"}, "is no mail server"),
        (MAIL | {"ALERT_SMTP_URL": "smtp://u:hush-hush@mail.example.com"}, "must not hold a password"),
        (MAIL | {"ALERT_SMTP_URL": "smtp://u@mail.example.com"}, "set ALERT_SMTP_PASSWORD_FILE"),
        ({"ALERT_WEBHOOK_URL": "http://hooks.example.com/hush-hush"}, "plain http"),
        ({"ALERT_WEBHOOK_URL": "hush-hush"}, "is no URL"),
        ({"SYNC_REPORT_MAIL_TO": "c@d.example"}, "SYNC_REPORT_MAIL_TO needs a mail server: .*ALERT_SMTP_URL"),
        (MAIL | {"SYNC_REPORT_MAIL_TO": "nobody"}, "write e-mail addresses"),
        ({"ALERT_BREAKS_ABOVE": "EUR=1.5"}, "write minor units by currency"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line_without_what_is_secret(environment, said):
    with pytest.raises(ConfigError, match=said) as told:
        alert_settings(environment)
    assert "hush-hush" not in str(told.value)
    assert "\n" not in str(told.value)


def test_mail_is_encrypted_unless_it_stays_on_this_machine():
    assert alert_settings(MAIL).smtp.start_tls
    assert not alert_settings(MAIL | {"ALERT_SMTP_URL": "smtp://127.0.0.1:25"}).smtp.start_tls
    tls = alert_settings(MAIL | {"ALERT_SMTP_URL": "smtps://mail.example.com"}).smtp
    assert (tls.server.implicit_tls, tls.server.port) == (True, 465)


def test_the_deadline_is_a_time_of_the_day():
    assert sync_settings({"SYNC_NIGHTLY_DEADLINE": "07:15"}).nightly_deadline == time(7, 15)
    with pytest.raises(ConfigError, match="HH:MM"):
        sync_settings({"SYNC_NIGHTLY_DEADLINE": "25:00"})
