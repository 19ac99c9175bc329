"""What Dagster loads: specs, jobs, crons and resources are pinned, since schedules and people rely on them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from fixtures.commands import ROOT
from pipelines.definitions import defs
from pipelines.jobs import schedules_of
from pipelines.marts import MARTS
from pipelines.resources import DataApiResource, WarehouseResource, data_api_from_env
from resources.accounts import AccountScope
from resources.settings import ReferenceSettings, SyncSettings


def test_all_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_assets_are_as_pinned():
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert specs.keys() == {
        *("data_api", "operations", "balances", "fraud", "spot_check", "raw_pages", "reconciliation", "report"),
        *(f"bi/{name}" for name in MARTS),
    }
    assert specs["operations"].partitions_def == dg.DailyPartitionsDefinition(
        "2015-01-01", timezone="UTC", end_offset=1
    )
    assert specs["balances"].partitions_def is None
    assert {spec.group_name for name, spec in specs.items() if name.startswith("bi/")} == {"bi"}
    assert {specs[name].group_name for name in ("operations", "balances")} == {"platform"}
    assert specs["operations"].metadata["dagster/table_name"] == "core.operations"
    operations = defs.get_assets_def("operations")
    assert operations.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=179)


def test_the_checks_are_as_pinned():
    checks = defs.get_repository_def().asset_graph.asset_check_keys
    assert sorted((key.asset_key.to_user_string(), key.name) for key in checks) == [
        ("balances", "no_rejects"),
        ("bi/daily_overview", "currency_in_grain"),
        ("bi/daily_overview", "marts_equal_core"),
        ("fraud", "currency_known"),
        ("fraud", "no_card_numbers"),
        ("fraud", "no_rejects"),
        ("fraud", "operation_known"),
        ("fraud", "received_in_window"),
        ("fraud", "totals_equal_ledger"),
        ("fraud", "units_agree"),
        ("fraud", "windows_complete"),
        ("operations", "currency_known"),
        ("operations", "keys_unique"),
        ("operations", "no_card_numbers"),
        ("operations", "no_rejects"),
        ("operations", "operations_keys_tell"),
        ("operations", "totals_equal_ledger"),
        ("operations", "windows_complete"),
        ("reconciliation", "complete"),
        ("reconciliation", "no_open_breaks"),
        ("spot_check", "no_difference"),
    ]


def test_the_jobs_and_crons_are_as_pinned():
    jobs = {job.name for job in defs.get_repository_def().get_all_jobs() if not job.name.startswith("__")}
    assert jobs == {
        "load_operations",
        "load_fraud",
        "nightly",
        "snapshot_balances",
        "backfill_operations",
        "check_operations",
        "spot_check_payments",
        "build_marts",
        "reconcile",
    }
    schedules = {
        schedule.name: (schedule.job_name, schedule.cron_schedule, schedule.execution_timezone, schedule.default_status)
        for schedule in defs.get_repository_def().schedule_defs
    }
    running = dg.DefaultScheduleStatus.RUNNING
    assert schedules == {
        "nightly": ("nightly", "30 3 * * *", "UTC", running),
        "balances": ("snapshot_balances", "0 * * * *", "UTC", running),
    }


def test_the_alerts_are_on_by_default():
    (sensor,) = defs.get_repository_def().sensor_defs
    assert (sensor.name, sensor.default_status) == ("alerts", dg.DefaultSensorStatus.RUNNING)


def test_the_night_asks_for_yesterday_and_three_days_before_in_one_run():
    context = dg.build_schedule_context(scheduled_execution_time=datetime(2024, 3, 10, 3, 30, tzinfo=UTC))
    nightly = defs.get_repository_def().get_schedule_def("nightly")
    (request,) = nightly.evaluate_tick(context).run_requests
    assert request.tags["dagster/asset_partition_range_start"] == "2024-03-06"
    assert request.tags["dagster/asset_partition_range_end"] == "2024-03-09"


def request_at(moment: str, **settings) -> dg.RunRequest:
    """What the nightly schedule of these settings asks for at a tick."""
    nightly, _ = schedules_of(AccountScope(SyncSettings(**settings)))
    tick = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(settings.get("schedule_time_zone", "UTC")))
    (request,) = nightly.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=tick)).run_requests
    dg.validate_run_config(defs.resolve_job_def("nightly"), request.run_config)
    return request


def days_of(request: dg.RunRequest) -> tuple[str, ...]:
    """First and last UTC day loaded; first and last business day reconciled; the report's and the spot check's day."""
    ops = request.run_config["ops"]
    reconciled = ops["reconciliation"]["config"]["days"]
    return (
        request.tags["dagster/asset_partition_range_start"],
        request.tags["dagster/asset_partition_range_end"],
        *(reconciled[0], reconciled[-1]),
        ops["report"]["config"]["day"],
        ops["spot_check"]["config"]["day"],
    )


@pytest.mark.parametrize(
    ("zone", "tick", "loaded", "reconciled"),
    [
        ("UTC", "2026-07-10 03:30", ("2026-07-06", "2026-07-09"), ("2026-07-06", "2026-07-09")),
        ("America/New_York", "2026-07-10 03:30", ("2026-07-06", "2026-07-10"), ("2026-07-06", "2026-07-09")),
        ("Asia/Kolkata", "2026-07-10 03:30", ("2026-07-05", "2026-07-09"), ("2026-07-06", "2026-07-09")),
        ("Asia/Tokyo", "2026-07-10 03:30", ("2026-07-05", "2026-07-09"), ("2026-07-06", "2026-07-09")),
        # the night in which midnight comes twice, and the one in which there is none
        ("America/Havana", "2026-11-01 03:30", ("2026-10-28", "2026-11-01"), ("2026-10-28", "2026-10-31")),
        ("America/Havana", "2026-03-08 03:30", ("2026-03-04", "2026-03-08"), ("2026-03-04", "2026-03-07")),
        ("Atlantic/Azores", "2026-10-25 03:30", ("2026-10-21", "2026-10-24"), ("2026-10-21", "2026-10-24")),
        ("Atlantic/Azores", "2026-03-29 03:30", ("2026-03-25", "2026-03-29"), ("2026-03-25", "2026-03-28")),
    ],
)
def test_a_tick_asks_for_whole_business_days_of_its_zone(zone, tick, loaded, reconciled):
    request = request_at(tick, schedule_time_zone=zone, reference=ReferenceSettings(zone))
    assert days_of(request)[:5] == (*loaded, *reconciled, reconciled[-1])
    assert request.run_config["ops"]["fraud"]["config"] == {"look_back": True}


def test_nights_that_were_missed_and_are_made_up_for_are_each_about_their_own_days():
    requests = [request_at(f"2026-07-{day:02} 03:30") for day in (10, 11, 12)]
    assert len({request.run_key for request in requests}) == 3
    assert [days_of(request) for request in requests] == [
        (f"2026-07-{day - 4:02}", last, f"2026-07-{day - 4:02}", last, last, last)
        for day, last in ((10, "2026-07-09"), (11, "2026-07-10"), (12, "2026-07-11"))
    ]


def test_two_nights_whose_ticks_are_on_one_utc_day_are_both_asked_for():
    """At 00:30 in London the clocks going forward bring two nights to one day of UTC."""
    settings = {"schedule_time_zone": "Europe/London", "reference": ReferenceSettings("Europe/London")}
    before, after = (request_at(f"2026-03-{day} 00:30", **settings) for day in (29, 30))
    assert before.run_key != after.run_key
    assert (days_of(before)[4], days_of(after)[4]) == ("2026-03-28", "2026-03-29")


def test_a_night_is_asked_for_once_however_often_the_cron_is_due():
    assert request_at("2026-07-10 03:30").run_key == request_at("2026-07-10 03:31").run_key


def test_before_the_first_day_nothing_is_asked_for():
    nightly, _ = schedules_of(AccountScope(SyncSettings(first_day=date(2026, 7, 10))))
    tick = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 7, 10, 3, 30, tzinfo=UTC))
    assert nightly.evaluate_tick(tick).run_requests == []


def test_a_night_that_somebody_starts_walks_the_look_back_of_each_stream_too():
    nightly = defs.resolve_job_def("nightly")
    config = nightly.partitioned_config.get_run_config_for_partition_key("2026-07-09")
    assert config == {"ops": {"fraud": {"config": {"look_back": True}}}}


def test_the_night_loads_operations_before_all_that_is_made_of_them():
    graph = defs.get_repository_def().asset_graph
    operations = dg.AssetKey("operations")
    for path in (["fraud"], ["spot_check"], ["reconciliation"], ["raw_pages"], ["bi", "daily_overview"]):
        assert operations in graph.get(dg.AssetKey(path)).parent_keys
    assert graph.get(dg.AssetKey("report")).parent_keys == {dg.AssetKey("reconciliation")}
    assert graph.get(operations).parent_keys == {dg.AssetKey("data_api")}


def test_every_asset_says_what_it_is_of_what_kind_and_whose():
    for spec in defs.resolve_all_asset_specs():
        assert spec.description, spec.key
        assert spec.kinds, spec.key
        assert spec.tags["account"] == "default"
        assert spec.group_name in {"platform", "finance", "bi"}


@pytest.mark.parametrize("show", [repr, str])
def test_no_resource_shows_its_secrets(show):
    api = DataApiResource(token="T" * 30, secret="very-secret")
    warehouse = WarehouseResource(url="postgresql://u:pass-word@h/d")
    for hidden in ("T" * 30, "very-secret", "pass-word"):
        assert hidden not in show(api) + show(warehouse)
    assert "very-secret" not in show(api.api().client.settings)


def test_token_and_secret_are_environment_variables_that_dagster_masks():
    resource = data_api_from_env({"DATA_API_TOKEN": "x", "DATA_API_SECRET": "y"})
    fields = resource.to_config_schema().as_field().config_type.fields
    assert fields["token"].is_secret
    assert fields["secret"].is_secret
    assert (resource.token, resource.secret) == (dg.EnvVar("DATA_API_TOKEN"), dg.EnvVar("DATA_API_SECRET"))


@pytest.mark.parametrize("folder", [ROOT, Path("/")], ids=["the project", "another folder"])
def test_the_workspace_loads_from_any_folder(folder, tmp_path):
    script = (
        "from dagster._core.workspace.load import location_origins_from_yaml_paths as load\n"
        f"(origin,) = load([{str(ROOT / 'workspace.yaml')!r}])\n"
        "target = origin.loadable_target_origin\n"
        "from dagster._core.code_pointer import CodePointer\n"
        "print(origin.location_name, target.python_file)\n"
        "from dagster._core.definitions.repository_definition import RepositoryDefinition\n"
        "pointer = CodePointer.from_python_file(target.python_file, 'defs', target.working_directory)\n"
        "pointer.load_target()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ecommpay", str(ROOT / "pipelines" / "definitions.py")]


THIN = {
    "jobs.py",
    "definitions.py",
    "sensors.py",
    "checks.py",
    "resources.py",
    "dagster_runs.py",
}


def test_only_thin_files_import_dagster():
    found = set()
    for file in [*ROOT.glob("pipelines/**/*.py"), *ROOT.glob("resources/**/*.py")]:
        imported = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        if "dagster" in imported and file.parent.name != "assets":
            found.add(file.name)
    assert found <= THIN
