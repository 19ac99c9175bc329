"""How the sync is run and where its data lies: every setting, its default, and what is told of a malformed one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from resources.settings import PROJECT_ROOT, SyncSettings, data_dir, database_url, sync_settings
from settings_support import refusal

# How the sync is run


def test_the_sync_has_a_default_for_everything():
    settings = sync_settings({})
    assert settings == SyncSettings()
    assert (settings.account, settings.look_back_days, settings.schedule_time_zone) == ("default", 3, "UTC")
    assert settings.fields == (), "none named: the documentation's default block"


def test_every_setting_of_the_sync_is_read():
    environment = {
        "SYNC_ACCOUNT": "brand-2_eu",
        "SYNC_FIRST_DAY": "2021-02-03",
        "SYNC_LOOK_BACK_DAYS": "0",
        "SYNC_WINDOWS_IN_FLIGHT": "16",
        "SYNC_REQUESTS_IN_FLIGHT": "5",
        "SYNC_RETRY_SECONDS": "60",
        "SYNC_NIGHTLY_CRON": "0 5 * * *",
        "SYNC_BALANCES_CRON": "*/5 * * * *",
        "SYNC_SCHEDULE_TIME_ZONE": "Asia/Tokyo",
        "SYNC_FIELDS": " operation_id, sum_initial.amount,\n rrn",
    }
    assert sync_settings(environment) == SyncSettings(
        account="brand-2_eu",
        first_day=date(2021, 2, 3),
        look_back_days=0,
        windows_in_flight=16,
        requests_in_flight=5,
        retry_seconds=60.0,
        nightly_cron="0 5 * * *",
        balances_cron="*/5 * * * *",
        schedule_time_zone="Asia/Tokyo",
        fields=("operation_id", "sum_initial.amount", "rrn"),
    )
    assert sync_settings(dict.fromkeys(environment, "")) == SyncSettings(), "empty is unset"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SYNC_ACCOUNT", "Two Words", "use 1 to 63 of a–z, 0–9, _ and -"),
        ("SYNC_ACCOUNT", "a" * 64, "use 1 to 63"),
        ("SYNC_ACCOUNT", "a'; DROP", "use 1 to 63"),
        ("SYNC_FIRST_DAY", "01.02.2024", "write a day as YYYY-MM-DD"),
        ("SYNC_FIRST_DAY", "2024-02-30", "write a day as YYYY-MM-DD"),
        ("SYNC_LOOK_BACK_DAYS", "-1", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "366", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "three", "write a whole number from 0 to 365"),
        ("SYNC_WINDOWS_IN_FLIGHT", "0", "write a whole number from 1 to 16"),
        ("SYNC_REQUESTS_IN_FLIGHT", "65", "write a whole number from 1 to 64"),
        ("SYNC_WINDOWS_IN_FLIGHT", "1.5", "write a whole number from 1 to 16"),
        ("SYNC_RETRY_SECONDS", "inf", "write a whole number from 1 to 86400"),
        ("SYNC_RETRY_SECONDS", "9" * 5000, "write a whole number from 1 to 86400"),
        ("SYNC_NIGHTLY_CRON", "every night", "write five fields, for example '30 3 * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * *", "write five fields, for example '0 * * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * * *; rm", "write five fields"),
        ("SYNC_SCHEDULE_TIME_ZONE", "Mars/Olympus", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "../../etc/passwd", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "x" * 300, "which is no IANA time zone"),
        ("SYNC_FIELDS", "operation_id;rrn", "which is no field of the Data API"),
        ("SYNC_FIELDS", "a.b.c", "which is no field of the Data API"),
    ],
)
def test_a_malformed_setting_is_named_with_what_to_write(name, value, told):
    message = refusal(sync_settings, {name: value})
    assert message.startswith(name)
    assert told in message


# The warehouse


@pytest.mark.parametrize(
    "url", ["postgresql://user:pass@db:5432/finance", "postgres://user@/finance?host=/var/run/postgresql"]
)
def test_a_libpq_url_is_taken_as_it_is(tmp_path, url):
    (tmp_path / "url").write_text(f"{url}\n")
    assert database_url({"DATABASE_URL": url}) == url
    assert database_url({"DATABASE_URL_FILE": str(tmp_path / "url")}) == url


def test_no_database_url_means_the_embedded_postgresql():
    assert database_url({}) is None
    assert database_url({"DATABASE_URL": ""}) is None


@pytest.mark.parametrize("url", ["mysql://user:hush-hush@db/x", "host=db password=hush-hush", "hush-hush"])
def test_what_is_no_libpq_url_is_refused_without_its_password(url):
    message = refusal(database_url, {"DATABASE_URL": url})
    assert message.startswith("DATABASE_URL is not a PostgreSQL URL: write postgresql://")
    assert "hush-hush" not in message


def test_data_lies_beside_the_project_or_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_dir({}) == PROJECT_ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": ""}) == PROJECT_ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": "/var/lib/sync"}) == Path("/var/lib/sync")
    assert data_dir({"SYNC_DATA_DIR": "here"}) == tmp_path / "here"
