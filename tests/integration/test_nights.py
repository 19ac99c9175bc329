"""Whole nights, from the tick of the schedule to the report; `make nights` tries six zones, and the real daemon."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import date, datetime

import dagster as dg
import pytest

from fixtures.commands import fetch_all
from fixtures.nights import NIGHTS, WITHOUT_FRAUD, assert_night_is_whole, books_of, settings_of, tick_of, world_at
from fixtures.receivers import mail_server
from pipelines.definitions import definitions
from pipelines.jobs import schedules_of
from pipelines.nights import night_at
from pipelines.reconciliation.ledger_import import import_ledger
from resources.accounts import account_scopes, accounts_of
from resources.currencies import exponent_of
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer
from resources.settings import ReferenceSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

ALL = [(zone, day) for zone, days in NIGHTS.items() for day in days]
TRIED = ALL if os.environ.get("NIGHTS") == "all" else [("America/Havana", NIGHTS["America/Havana"][-1])]
WITH_BOOKS = ("America/Havana", "Asia/Kolkata")


@pytest.mark.parametrize(("zone", "day"), TRIED)
def test_a15_a_night_is_complete_reconciled_reported_and_quiet(zone, day, make_database, tmp_path, monkeypatch):
    tick = tick_of(zone, day)
    night, world = night_at(tick, settings_of(zone)), world_at(tick)
    with ExitStack() as stack:
        store = stack.enter_context(Warehouse(make_database()))
        if zone in WITH_BOOKS:
            import_books(
                store, zone, books_of(world, night, zone, stack.enter_context(Warehouse(make_database())), tmp_path)
            )
        sandbox = stack.enter_context(SandboxServer(world, accounts=[WITHOUT_FRAUD]))
        for name, value in {
            "DATABASE_URL": store.url,
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "SYNC_REPORTING_ZONE": zone,
            "SYNC_SCHEDULE_TIME_ZONE": zone,
            "SYNC_SPOT_CHECK_SAMPLE": "3",
            "SYNC_REPORT_DIR": str(tmp_path / "reports"),
        }.items():
            monkeypatch.setenv(name, value)
        result = run_as_scheduled(tick, stack)
        assert fetch_all(store, "SELECT break_type, business_date, detail FROM recon.breaks") == []
        assert [check.check_name for check in result.get_asset_check_evaluations() if not check.passed] == []
        assert_night_is_whole(store, world, zone, tick, has_books=zone in WITH_BOOKS)
    assert {file.name for file in (tmp_path / "reports").iterdir()} == {
        f"daily-close-default-{night.business_day}.{ending}" for ending in ("html", "xlsx")
    }


def import_books(store: Warehouse, zone: str, files) -> None:
    migrate(store, ReferenceSettings(zone))
    for file in files:
        assert not import_ledger(store, "default", file, zone, exponent_of).faults


def requested_at(tick: datetime) -> dg.RunRequest:
    (scope,) = account_scopes(accounts_of())
    nightly = next(schedule for schedule in schedules_of(scope) if schedule.name == "nightly")
    (request,) = nightly.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=tick)).run_requests
    return request


def run_as_scheduled(tick: datetime, stack: ExitStack) -> dg.ExecuteInProcessResult:
    """What the daemon does: evaluate the schedule, and run what it asks for."""
    request = requested_at(tick)
    return (
        definitions(accounts_of())
        .resolve_job_def("nightly")
        .execute_in_process(
            instance=stack.enter_context(dg.instance_for_test()), tags=request.tags, run_config=request.run_config
        )
    )


def test_b23_after_missed_nights_each_run_is_about_its_own_days(store, tmp_path, monkeypatch):
    """The daemon was away for three nights: each tick that it makes up for asks for the days of that night.

    Each night's report is mailed.
    """
    monkeypatch.setenv("DATABASE_URL", store.url)
    monkeypatch.setenv("SYNC_REPORT_DIR", str(tmp_path))
    ticks = [tick_of("UTC", date(2026, 11, day)) for day in (2, 3, 4)]
    requests = [requested_at(tick) for tick in ticks]
    assert len({request.run_key for request in requests}) == 3
    nights = [night_at(tick, settings_of("UTC")) for tick in ticks]
    ops = [request.run_config["ops"] for request in requests]
    assert [config["reconciliation"]["config"]["days"] for config in ops] == [
        [day.isoformat() for day in night.business_days] for night in nights
    ]
    assert [config["spot_check"]["config"]["day"] for config in ops] == [
        night.yesterday.isoformat() for night in nights
    ]
    with dg.instance_for_test() as instance, mail_server() as (mailbox, url):
        monkeypatch.setenv("ALERT_SMTP_URL", url)
        monkeypatch.setenv("ALERT_EMAIL_FROM", "from@a.example")
        monkeypatch.setenv("ALERT_EMAIL_TO", "on-call@b.example")
        monkeypatch.setenv("SYNC_REPORT_MAIL_TO", "finance@b.example, cfo@b.example")
        for config in ops:  # one after the other, days later
            definitions(accounts_of()).resolve_job_def("nightly").execute_in_process(
                instance=instance,
                run_config={"ops": {"report": config["report"]}},
                asset_selection=[dg.AssetKey("report")],
            )
    assert {file.name for file in tmp_path.glob("*.html")} == {
        f"daily-close-default-2026-11-0{day}.html" for day in (1, 2, 3)
    }
    assert [(subject, recipients) for subject, _, recipients in mailbox.messages] == [
        (
            f"[ecommpay-sync] default: 2026-11-0{day}: Not fine: the day is not shown complete.",
            ("finance@b.example", "cfo@b.example"),
        )
        for day in (1, 2, 3)
    ]
    assert "- on call: the day is not shown complete: ecommpay-sync operations --from" in mailbox.messages[0][1]
    assert mailbox.files.keys() == {file.name for file in tmp_path.iterdir() if file.suffix in {".html", ".xlsx"}}
    assert mailbox.files["daily-close-default-2026-11-01.xlsx"][:2] == b"PK"
