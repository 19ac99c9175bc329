"""What Dagster loads: specs, jobs, crons and resources are pinned, since schedules and people rely on them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from fixtures.commands import ROOT
from pipelines.definitions import defs
from pipelines.marts.build import MARTS
from pipelines.resources import DataApiResource, WarehouseResource, data_api_from_env
from pipelines.schedules import days_of_night
from resources.settings import SyncSettings


def test_all_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_the_assets_are_as_pinned():
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert specs.keys() == {
        *("operations", "balances", "fraud", "spot_check", "raw_pages", "reconciliation", "report"),
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
    assert operations.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=180)


def test_the_checks_are_as_pinned():
    checks = defs.get_repository_def().asset_graph.asset_check_keys
    assert sorted((key.asset_key.to_user_string(), key.name) for key in checks) == [
        ("balances", "no_rejects"),
        ("bi/daily_overview", "currency_in_grain"),
        ("bi/daily_overview", "marts_equal_core"),
        ("fraud", "currency_known"),
        ("fraud", "no_rejects"),
        ("fraud", "operation_known"),
        ("fraud", "received_in_window"),
        ("fraud", "totals_equal_ledger"),
        ("fraud", "units_agree"),
        ("fraud", "windows_complete"),
        ("operations", "currency_known"),
        ("operations", "keys_unique"),
        ("operations", "no_rejects"),
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


def test_the_first_night_does_not_reach_before_the_first_day():
    assert days_of_night(SyncSettings(), date(2015, 1, 2)) == (date(2015, 1, 1), date(2015, 1, 1))


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
    "fraud_checks.py",
    "mart_checks.py",
    "jobs.py",
    "definitions.py",
    "partitions.py",
    "schedules.py",
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
