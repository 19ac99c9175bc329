"""The optional settings file: what it sets, what wins over it, what it refuses in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.settings import refusal
from resources.config_file import add_settings_of_file, settings_of_file
from resources.settings import database_url, sync_settings


@pytest.fixture
def config(tmp_path):
    """Write the settings file and return the environment that names it."""

    def write(text: str, **environment: str) -> dict[str, str]:
        path = tmp_path / "my settings.toml"
        path.write_text(text, encoding="utf-8")
        return {"SYNC_CONFIG": str(path), **environment}

    return write


def test_it_gives_what_the_environment_does_not(config):
    environment = config(
        "\ufeffSYNC_LOOK_BACK_DAYS = 7\r\nSYNC_FIRST_DAY = 2024-01-01\r\nSYNC_NIGHTLY_DEADLINE = 07:30:00\r\n"
        'SYNC_FIELDS = ["operation_id", "sum.amount"]\r\nSYNC_REPORTING_ZONE = "Asia/Tokyo"\r\n',
        SYNC_REPORTING_ZONE="Europe/Riga",
    )
    add_settings_of_file(environment)
    settings = sync_settings(environment)
    assert (settings.look_back_days, str(settings.first_day), f"{settings.nightly_deadline:%H:%M}") == (
        7,
        "2024-01-01",
        "07:30",
    )
    assert settings.fields == ("operation_id", "sum.amount")
    assert settings.reference.reporting_zone == "Europe/Riga", "the environment wins"


def test_paths_in_it_are_relative_to_its_folder(config, tmp_path):
    (tmp_path / "url").write_text("postgresql://db.example.com/finance\n")
    environment = config('DATABASE_URL_FILE = "url"\nSYNC_DATA_DIR = "data"\nSYNC_REPORT_DIR = "/var/reports"')
    add_settings_of_file(environment)
    assert database_url(environment) == "postgresql://db.example.com/finance"
    assert environment["SYNC_DATA_DIR"] == str(tmp_path / "data")
    assert environment["SYNC_REPORT_DIR"] == "/var/reports"


@pytest.mark.parametrize("given", ["DATABASE_URL", "DATABASE_URL_FILE"])
def test_a_value_of_the_environment_wins_over_a_file_that_the_settings_file_names(config, given):
    environment = config('DATABASE_URL_FILE = "url"', **{given: "postgresql://mine/db"})
    add_settings_of_file(environment)
    assert {name for name in environment if name.startswith("DATABASE")} == {given}


def test_a_secret_of_an_account_is_named_as_the_environment_names_it(config, tmp_path):
    environment = config('ACCOUNTS = "acme-eu,globex"\nDATA_API_TOKEN__ACME_EU_FILE = "token"')
    assert settings_of_file(environment)["DATA_API_TOKEN__ACME_EU_FILE"] == str(tmp_path / "token")


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("SYNC_LOOKBACK_DAYS = 3", "SYNC_LOOKBACK_DAYS is no setting here; SYNC_LOOK_BACK_DAYS was probably meant."),
        ("[sync]\nlook_back_days = 3", "sync is no setting here."),
        ('SYNC_CONFIG = "another.toml"', "SYNC_CONFIG is no setting"),
        ('DATA_API_TOKEN = "x"', "put it into a file of its own, and write DATA_API_TOKEN_FILE."),
        ('ALERT_WEBHOOK_URL = "https://x"', "ALERT_WEBHOOK_URL is a secret"),
        ("SYNC_RETRY_SECONDS = 1.5", "SYNC_RETRY_SECONDS is neither text, a whole number, a day nor a list"),
        ("SYNC_FRAUD = true", "SYNC_FRAUD is neither text"),
        ('SYNC_ACCOUNT = "a\\u0000b"', "SYNC_ACCOUNT holds a NUL character: remove it."),
        ("SYNC_FRAUD = auto", "is not TOML: look at line 1"),
        ("", "is empty"),
    ],
)
def test_what_is_wrong_with_it_is_one_line_that_names_file_and_key(config, text, refused):
    message = refusal(settings_of_file, config(text))
    assert refused in message
    assert "SYNC_CONFIG" in message
    assert "\n" not in message


def test_a_file_that_is_named_and_not_there_is_refused_and_none_at_all_is_nothing(tmp_path, monkeypatch):
    assert "No such file" in refusal(settings_of_file, {"SYNC_CONFIG": str(tmp_path / "none.toml")})
    monkeypatch.chdir(tmp_path)
    assert settings_of_file({}) == {}
    (tmp_path / "ecommpay-sync.toml").write_text("SYNC_RAW_DAYS = 30")
    assert settings_of_file({}) == {"SYNC_RAW_DAYS": "30"}
    assert settings_of_file({"SYNC_CONFIG": os.devnull}) == {}


def test_dagster_reads_it_before_its_partitions_are_made(config):
    environment = config("SYNC_FIRST_DAY = 2024-02-01")
    done = subprocess.run(
        [sys.executable, "-c", "import pipelines.definitions, pipelines.jobs as jobs; print(jobs.DAYS.start)"],
        env=environment | {"PATH": os.environ["PATH"], "HOME": str(Path.home())},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("2024-02-01")
