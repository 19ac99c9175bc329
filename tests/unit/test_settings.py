"""How the sync is run and where its data lies: every setting, its default, and what is told of a malformed one."""

from __future__ import annotations

import re
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from fixtures.commands import ROOT
from fixtures.settings import refusal
from resources.config_file import known_variables, settings_page, unknown_names
from resources.settings import (
    InstallationSettings,
    ProjectOwner,
    ReferenceSettings,
    SyncSettings,
    data_dir,
    database_url,
    read,
    report_dir,
    sync_settings,
)
from resources.values import Wrong

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
        "SYNC_WINDOWS_IN_FLIGHT": "24",
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
        windows_in_flight=24,
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
        ("SYNC_ACCOUNT", "Two Words", "write 1 to 63 of a–z, 0–9, _ and -"),
        ("SYNC_ACCOUNT", "a" * 64, "write 1 to 63"),
        ("SYNC_ACCOUNT", "a'; DROP", "write 1 to 63"),
        ("SYNC_FIRST_DAY", "01.02.2024", "write a day as YYYY-MM-DD"),
        ("SYNC_FIRST_DAY", "2024-02-30", "write a day as YYYY-MM-DD"),
        ("SYNC_LOOK_BACK_DAYS", "-1", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "366", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "three", "write a whole number from 0 to 365"),
        ("SYNC_WINDOWS_IN_FLIGHT", "0", "write a whole number from 1 to 64"),
        ("SYNC_REQUESTS_IN_FLIGHT", "65", "write a whole number from 1 to 64"),
        ("SYNC_WINDOWS_IN_FLIGHT", "1.5", "write a whole number from 1 to 64"),
        ("SYNC_RETRY_SECONDS", "inf", "write a whole number from 1 to 86400"),
        ("SYNC_RETRY_SECONDS", "9" * 5000, "write a whole number from 1 to 86400"),
        ("SYNC_WINDOWS_IN_FLIGHT", "٣", "write a whole number from 1 to 64"),
        ("SYNC_NIGHTLY_DEADLINE", "7:15", "write a time of the day as HH:MM"),
        ("SYNC_FRAUD", "yes", "write auto, on or off"),
        ("SYNC_PERSONAL_DATA", "mask", "write keep, hash or drop"),
        ("SYNC_PROJECT_OWNERS", "22=Acme", "holds '22=Acme': write 22=acme"),
        ("SYNC_NIGHTLY_CRON", "60 3 * * *", "which is no cron expression ('60' is no minute): write five fields"),
        ("SYNC_NIGHTLY_CRON", "30 3 31 2 *", "February never has that day"),
        ("SYNC_BALANCES_CRON", "30 3 * * 8", "'8' is no day of the week"),
        ("SYNC_NIGHTLY_CRON", "every night", "write five fields, for example '30 3 * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * *", "write five fields, for example '0 * * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * * *; rm", "write five fields"),
        ("SYNC_SCHEDULE_TIME_ZONE", "Mars/Olympus", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "../../etc/passwd", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "x" * 300, "which is no IANA time zone"),
        ("SYNC_FIELDS", "operation_id;rrn", "write names of fields of the Data API"),
        ("SYNC_FIELDS", "a.b.c", "write names of fields of the Data API"),
        ("SYNC_FIELDS", "payment_id,rrn", "lacks operation_id, without which no row can be stored"),
        ("SYNC_FIRST_DAY", "20240201", "write a day as YYYY-MM-DD"),
        ("SYNC_FIRST_DAY", "2024-W05-4", "write a day as YYYY-MM-DD"),
        ("SYNC_CURRENCY_EXPONENTS", "JPY=2@20260101", "write a day as YYYY-MM-DD"),
    ],
)
def test_a_malformed_setting_is_named_with_what_to_write(name, value, told):
    message = refusal(sync_settings, {name: value})
    assert message.startswith(name)
    assert told in message


LISTS = {
    "SYNC_FIELDS": ("operation_id,rrn", ("operation_id", "rrn")),
    "SYNC_ASSET_OWNERS": ("team:a, b@c.example", ("team:a", "b@c.example")),
    "SYNC_ASSET_TAGS": ("domain=finance tier=1", (("domain", "finance"), ("tier", "1"))),
    "SYNC_PROJECT_OWNERS": ("22 = acme, 7=globex,", (ProjectOwner("22", "acme"), ProjectOwner("7", "globex"))),
    "SYNC_REPORT_MAIL_TO": ("a@b.example\n c@d.example", ("a@b.example", "c@d.example")),
    "ALERT_BREAKS_ABOVE": ("JPY=5,EUR=100", (("EUR", 100), ("JPY", 5))),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_has_commas_or_blanks_between_its_parts_and_at_least_one_of_them(name):
    kind = known_variables()[name].kind
    text, parts = LISTS[name]
    assert kind.read(text) == parts
    for wrong in (",", "?", f"{text},?", *((f"{text},{text}",) if "=" in text else ())):
        with pytest.raises(Wrong, match=r"^(is|holds|gives) "):
            kind.checked(wrong)


def test_a_cron_may_be_any_that_dagster_takes():
    assert sync_settings({"SYNC_NIGHTLY_CRON": "@daily"}).nightly_cron == "@daily"


def test_a_key_of_hashes_is_needed_for_hashes_alone():
    message = refusal(sync_settings, {"SYNC_PERSONAL_DATA": "hash"})
    assert message.startswith("SYNC_PERSONAL_DATA_KEY is not set")
    message = refusal(sync_settings, {"SYNC_PERSONAL_DATA": "hash", "SYNC_PERSONAL_DATA_KEY": "hush-hush"})
    assert message.startswith("SYNC_PERSONAL_DATA_KEY must have at least 16 printable characters")
    assert "hush-hush" not in message
    assert sync_settings({"SYNC_PERSONAL_DATA": "drop"}).personal.mode == "drop"


def test_b18_the_carriage_return_of_a_sourced_file_is_taken_off_every_variable(tmp_path):
    assert sync_settings({"SYNC_LOOK_BACK_DAYS": "5\r", "SYNC_REPORTING_ZONE": "Asia/Tokyo\r"}) == SyncSettings(
        look_back_days=5, reference=ReferenceSettings("Asia/Tokyo")
    )
    assert report_dir({"SYNC_REPORT_DIR": f"{tmp_path}/reports\r"}) == tmp_path / "reports"
    assert database_url({"DATABASE_URL": "postgresql://user@db/finance\r"}) == "postgresql://user@db/finance"
    assert sync_settings({"SYNC_LOOK_BACK_DAYS": "\r"}) == SyncSettings(), "an empty one is unset there too"


# Names


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNC_LOKBACK_DAYS", "SYNC_LOOK_BACK_DAYS"),
        ("SYNC_REPORTING_TZ", "SYNC_REPORTING_ZONE"),
        ("DATA_API_TOKN", "DATA_API_TOKEN"),
        ("DATA_API_TOKEN__ACME", "DATA_API_TOKEN"),
        ("ALERT_WEBHOOK", "ALERT_WEBHOOK_URL"),
        ("SYNC_SOMETHING_ELSE_ALTOGETHER", None),
    ],
)
def test_a_name_that_looks_like_ours_and_is_none_is_told_with_the_one_that_was_meant(name, meant):
    assert unknown_names({name: "x", "HOME": "/", "SYNC_FRAUD": "on"}) == [(name, meant)]


def test_every_name_that_is_documented_is_known():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:SYNC|ALERT|DATA_API)_[A-Z_]+)`", page)
    assert len(names) > 40
    assert unknown_names(dict.fromkeys(names, "x") | {"ACCOUNTS": "acme,globex"}) == []
    own = {"DATA_API_TOKEN__GLOBEX_EU_FILE": "x", "DATA_API_SECRET__ACME": "x", "DATA_API_BASE_URL__ACME": "x"}
    assert unknown_names(own | {"ACCOUNTS": "acme, globex-eu"}) == []


def test_the_page_of_settings_is_as_the_settings_are():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page(), "run `make settings`"
    assert str(ROOT) not in page


# Proxies


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


@pytest.mark.parametrize("url", [" postgresql://u:hush-hush@db/x", "postgresql://u:hush-hush@db/x\n"])
def test_a_libpq_url_with_space_around_it_was_copied_wrong(url):
    message = refusal(database_url, {"DATABASE_URL": url})
    assert re.match("DATABASE_URL (begins or ends with a space|is not a PostgreSQL URL)", message)
    assert "hush-hush" not in message


@pytest.mark.parametrize("url", ["mysql://user:hush-hush@db/x", "host=db password=hush-hush", "hush-hush"])
def test_what_is_no_libpq_url_is_refused_without_its_password(url):
    message = refusal(database_url, {"DATABASE_URL": url})
    assert message.startswith("DATABASE_URL is not a PostgreSQL URL: write postgresql://")
    assert "hush-hush" not in message


@pytest.mark.parametrize("variable", ["SYNC_DATA_DIR", "SYNC_REPORT_DIR", "SYNC_LEDGER_MAPPINGS", "DAGSTER_HOME"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        *((f"{part}/sync", "write the path in full") for part in ("~", "$HOME", "${HOME}", "/srv/~")),
        *((path, "begins or ends with a space") for path in ("/srv/sync ", " /srv/sync", " ", "/srv/sync\n")),
        ("/srv/\x1b[31m", "holds a character that cannot be printed"),
    ],
)
def test_a_path_that_a_shell_would_have_changed_makes_no_folder_of_that_name(variable, path, reason):
    assert reason in refusal(partial(read, InstallationSettings), {variable: path})


@pytest.mark.parametrize("path", ["/srv/~old", "/srv/a b$", "/srv/$", "/srv/Відлік"])
def test_any_other_path_is_taken_as_it_is(path):
    assert data_dir({"SYNC_DATA_DIR": path}) == Path(path)


def test_data_lies_beside_the_project_or_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_dir({}) == ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": ""}) == ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": "/var/lib/sync"}) == Path("/var/lib/sync")
    assert data_dir({"SYNC_DATA_DIR": "here"}) == tmp_path / "here"
