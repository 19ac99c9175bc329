"""What belongs to the warehouse stays as it was at the first load, until somebody changes it deliberately."""

from __future__ import annotations

import importlib.resources
import struct
import uuid
import zoneinfo
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import dagster as dg
import psycopg
import pytest
from conftest import create_database, drop_database, url_of
from psycopg.sql import SQL, Identifier

from fixtures.commands import execute, fetch_all
from pipelines.jobs import night_config, range_tags, schedules_of
from pipelines.nights import night_at
from resources.accounts import account_scopes, accounts_of
from resources.errors import ConfigError
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import ReferenceSettings, SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import is_migrated, migrate
from resources.warehouse.reference import examine_zone

FIRST, LAST = "2024-03-01", "2024-03-02"
KEPT = {"SYNC_REPORTING_ZONE": "Europe/Berlin", "SYNC_CURRENCY_EXPONENTS": "EUR=3", "SYNC_FISCAL_START_MONTH": "4"}
STORED = "SELECT key, value, xmin::text FROM core.settings ORDER BY key"
LOAD = ["operations", "--from", FIRST, "--to", LAST]


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(World.generate(seed=5, start=FIRST, days=2, operations=60, now="2024-04-01T00:00:00")) as server:
        yield server


@pytest.fixture
def environment(sandbox, store_url, tmp_path, dagster_home):
    return environment_of(sandbox, store_url, tmp_path)


def environment_of(sandbox, store_url, folder):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(folder),
    }


@pytest.fixture(scope="module")
def kept(command, sandbox, server_url, template, tmp_path_factory):
    """The name of a database that was loaded once with the settings KEPT."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    create_database(server_url, name, template)
    loaded(command, environment_of(sandbox, url_of(server_url, name), tmp_path_factory.mktemp("kept")), **KEPT)
    yield name
    drop_database(server_url, name)


@pytest.fixture
def kept_environment(kept, sandbox, server_url, tmp_path):
    """The environment of a copy of it."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    create_database(server_url, name, kept)
    yield environment_of(sandbox, url_of(server_url, name), tmp_path)
    drop_database(server_url, name)


@pytest.fixture
def kept_store(kept_environment):
    with Warehouse(kept_environment["DATABASE_URL"]) as warehouse:
        yield warehouse


def loaded(command, environment, **settings) -> None:
    done = command(*LOAD, environment=environment | settings)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a5_a_shell_with_only_the_url_takes_the_warehouses_settings_and_writes_nothing(
    command, kept_environment, kept_store
):
    before = fetch_all(kept_store, STORED)
    bare = {name: kept_environment[name] for name in ("DATABASE_URL", "SYNC_DATA_DIR")}
    for arguments in (["status"], ["marts"], ["verify"], ["breaks"], ["report", "--date", FIRST]):
        done = command(*arguments, environment=bare)
        assert (done.returncode, done.stderr) == (0, ""), arguments
    assert "(Europe/Berlin)" in done.stdout
    after = fetch_all(kept_store, STORED)
    built = ("bi_views_fingerprint",)
    assert [row for row in after if row["key"] not in built] == [row for row in before if row["key"] not in built]


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "UTC"])
def test_a5_a_night_whose_process_names_no_zone_is_about_the_warehouses_business_days(
    command, environment, store_url, monkeypatch, zone
):
    loaded(command, environment, SYNC_REPORTING_ZONE=zone)
    monkeypatch.setenv("DATABASE_URL", store_url)
    tick = datetime(2024, 3, 8, 7, 0, tzinfo=UTC)
    (scope,) = account_scopes(accounts_of())
    nightly = next(schedule for schedule in schedules_of(scope) if schedule.name == "nightly")
    (request,) = nightly.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=tick)).run_requests
    night = night_at(tick, SyncSettings(reference=ReferenceSettings(zone)))
    assert request.tags.items() >= range_tags(night.first_day, night.last_day).items()
    assert request.run_config == night_config(scope, night)


@pytest.mark.parametrize("zone", ["CET", "EET", "MET", "WET"])
def test_a5_a_zone_that_has_no_summer_time_for_the_server_alone_is_refused(command, environment, store, zone):
    before = fetch_all(store, STORED)
    for arguments in (LOAD, ["settings", "apply"]):
        done = command(*arguments, environment=environment | {"SYNC_REPORTING_ZONE": zone})
        assert done.returncode == 2
        assert f"SYNC_REPORTING_ZONE is '{zone}': at 20" in done.stderr
        assert done.stderr.count("\n") == 1
    assert fetch_all(store, STORED) == before


@contextmanager
def zone_as(folder, zone, content):
    """Let this machine have other time zone data."""
    file = folder.joinpath(*zone.split("/"))
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(folder)])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        yield
    finally:
        zoneinfo.reset_tzpath(to=before)
        zoneinfo.ZoneInfo.clear_cache()


def examined(store) -> str:
    with store.transaction() as connection:
        return examine_zone(connection, is_migrated=is_migrated(store))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Almaty"])
def test_a5_a_machine_and_a_server_whose_time_zone_data_differ_are_refused(store, tmp_path, monkeypatch, zone):
    """The machine's data is made that of another zone, before the first load and after it; the doctor says so too."""
    tokyo = importlib.resources.files("tzdata.zoneinfo.Asia").joinpath("Tokyo").read_bytes()
    monkeypatch.setenv("SYNC_REPORTING_ZONE", zone)

    def refused() -> None:
        with zone_as(tmp_path, zone, tokyo):
            for work in (migrate, examined):
                with pytest.raises(ConfigError, match=r"for this machine and \d\d:\d\d for the PostgreSQL server: upd"):
                    work(store)

    refused()
    migrate(store)
    execute(store, "INSERT INTO sync.runs (account, stream, product_version) VALUES ('default', 'operations', '0')")
    migrate(store)
    assert examined(store) == f"{zone}, the same time here and for the server"
    refused()


def test_the_doctor_warns_of_time_zone_data_that_will_differ(store, tmp_path, monkeypatch):
    """In 30 days the clocks go forward an hour there, as this machine has it."""
    monkeypatch.setenv("SYNC_REPORTING_ZONE", "Africa/Abidjan")
    change = datetime.now(UTC) + timedelta(days=30)
    kinds = struct.pack(">lbb", 0, 0, 0) + struct.pack(">lbb", 3600, 0, 4) + b"GMT\0WET\0"
    header = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 1, 2, 8)
    parts = [header, struct.pack(">lB", int(change.timestamp()), 1), kinds]
    parts += [header, struct.pack(">qB", int(change.timestamp()), 1), kinds, b"\nWET-1\n"]
    with zone_as(tmp_path, "Africa/Abidjan", b"".join(parts)):
        migrate(store)
        warning = (
            "the same time here and for the server — until it is refused: SYNC_REPORTING_ZONE is 'Africa/Abidjan': "
        )
        assert f"{warning}at {change:%Y-%m-%d}" in examined(store)


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("SYNC_REPORTING_ZONE", "UTC", "SYNC_REPORTING_ZONE is UTC here, and Europe/Berlin in the warehouse"),
        ("SYNC_CURRENCY_EXPONENTS", "EUR=2", "SYNC_CURRENCY_EXPONENTS is EUR=2 here, and EUR=3 in the warehouse"),
        ("SYNC_FISCAL_START_MONTH", "1", "SYNC_FISCAL_START_MONTH is 1 here, and 4 in the warehouse"),
        ("SYNC_FIRST_DAY", "2023-01-01", "SYNC_FIRST_DAY is 2023-01-01 here, and 2015-01-01 in the warehouse"),
        ("SYNC_PERSONAL_DATA", "drop", "SYNC_PERSONAL_DATA is drop here, and keep in the warehouse"),
    ],
)
def test_a5_other_settings_are_refused_until_they_are_applied(
    command, kept_environment, kept_store, variable, value, words
):
    other = kept_environment | KEPT | {variable: value}
    before = fetch_all(kept_store, STORED)
    for arguments in (["status"], ["marts"], LOAD):
        done = command(*arguments, environment=other)
        assert done.returncode == 2, arguments
        assert words in done.stderr
        assert "`ecommpay-sync settings apply`" in done.stderr
        assert done.stderr.count("\n") == 1
    assert fetch_all(kept_store, STORED) == before
    done = command("settings", "apply", environment=other)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{variable}: ")
    assert "rebuilt: " in done.stdout
    assert command("status", environment=other).returncode == 0


def test_a6_personal_data_is_never_stored_in_another_mode_or_by_another_key(command, environment, store):
    hashed = {"SYNC_PERSONAL_DATA": "hash", "SYNC_PERSONAL_DATA_KEY": "a-key-of-the-tests-only"}
    loaded(command, environment, **hashed)
    rows = fetch_all(store, "SELECT * FROM core.operations ORDER BY operation_id")
    for other in (
        {},
        {"SYNC_PERSONAL_DATA": "keep"},
        {"SYNC_PERSONAL_DATA": "drop"},
        hashed | {"SYNC_PERSONAL_DATA_KEY": "another-key-of-the-tests"},
    ):
        done = command(*LOAD, environment=environment | other)
        assert done.returncode == 2, other
        assert "hash with key " in done.stderr
        assert "key-of-the-tests" not in done.stderr
        assert fetch_all(store, "SELECT * FROM core.operations ORDER BY operation_id") == rows
    loaded(command, environment, **hashed)


def test_a7_a_second_copy_under_the_default_name_must_be_asked_for(command, environment, store, tmp_path):
    books = tmp_path / "books.csv"
    books.write_text(
        "entry_id,booked_at,operation_type,currency,amount\n1,2026-03-01,sale,EUR,1.00\n", encoding="utf-8"
    )
    loaded(command, environment, SYNC_ACCOUNT="acme")
    told = command("status", environment=environment)
    assert told.returncode == 0
    assert "SYNC_ACCOUNT is not set, and the warehouse holds acme" in told.stdout
    for arguments in (
        *(LOAD, ["balances"], ["spot-check"], ["fraud", *LOAD[1:]], ["ledger", "import", str(books)]),
        *(
            ["breaks"],
            ["report", "--date", FIRST],
            ["replay", *LOAD[1:]],
            ["trace", "1"],
            ["reconcile", "--date", FIRST],
        ),
        *(["close", "--date", FIRST, "--by", "Ann"], ["reopen", "--date", FIRST, "--by", "Ann", "--reason", "x"]),
        *(["erase", "--customer", "c-1"], ["explain", "1", "--by", "Ann", "--note", "x"]),
    ):
        done = command(*arguments, environment=environment)
        assert done.returncode == 2, arguments
        assert "SYNC_ACCOUNT is not set, and the warehouse holds acme: set SYNC_ACCOUNT=acme" in done.stderr
    for table in ("core.operations", "sync.runs"):
        assert fetch_all(store, f"SELECT DISTINCT account FROM {table}") == [{"account": "acme"}]
    assert fetch_all(store, "SELECT account FROM recon.ledger_entries") == []
    loaded(command, environment, SYNC_ACCOUNT="default")


def everything(store: Warehouse) -> dict[str, list[dict]]:
    """Every row of every table with the transaction that wrote it."""
    tables = fetch_all(
        store,
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname IN ('core', 'raw', 'sync', 'recon', 'bi')",
    )
    assert len(tables) > 20
    return {
        table["name"]: fetch_all(store, f"SELECT xmin::text, md5(t::text) FROM {table['name']} t ORDER BY 1, 2")
        for table in tables
    }


def test_reading_commands_work_for_a_role_that_cannot_write(command, environment, store, store_url):
    loaded(command, environment)
    assert command("marts", environment=environment).returncode == 0
    role = f"t{uuid.uuid4().hex[:8]}"
    (operation,) = fetch_all(store, "SELECT operation_id FROM core.operations LIMIT 1")
    before = everything(store)
    with psycopg.connect(store_url, autocommit=True) as owner:
        owner.execute(SQL("CREATE ROLE {} LOGIN IN ROLE pg_read_all_data").format(Identifier(role)))
        url = store_url.replace("postgresql://postgres@", f"postgresql://{role}@")
        try:
            for arguments in (
                ["status"],
                ["doctor"],
                ["breaks"],
                ["verify"],
                ["trace", operation["operation_id"]],
                ["metrics"],
                ["settings"],
                ["report", "--date", FIRST],
                ["replay", *LOAD[1:]],
                [*LOAD, "--dry-run"],
            ):
                done = command(*arguments, environment=environment | {"DATABASE_URL": url})
                assert (done.returncode, done.stderr) == (0, ""), (arguments, done.stdout, done.stderr)
            with Warehouse(url, read_only=True) as reader:
                assert fetch_all(reader, "SHOW transaction_read_only") == [{"transaction_read_only": "on"}]
            assert everything(store) == before
        finally:
            owner.execute(SQL("DROP ROLE {}").format(Identifier(role)))
