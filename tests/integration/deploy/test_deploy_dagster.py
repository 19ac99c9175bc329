"""Dagster as it is deployed: its settings are loaded by a real instance, its old runs are pruned."""

from __future__ import annotations

import subprocess

import dagster as dg

from fixtures.commands import ROOT
from fixtures.deploy import BIN, DEPLOY


def test_dagster_yaml_is_loaded_by_a_real_instance_on_postgresql(dagster_storage, tmp_path, monkeypatch):
    for name, value in dagster_storage.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())

    @dg.op
    def works():
        pass

    @dg.job
    def job():
        works()

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert type(instance.run_coordinator).__name__ == "QueuedRunCoordinator"
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
        assert instance.run_retries_enabled
        assert instance.get_settings("run_retries")["retry_on_asset_or_op_failure"] is False
        done = job.execute_in_process(instance=instance)
        assert [record.dagster_run.run_id for record in instance.get_run_records()] == [done.run_id]


def test_old_runs_are_pruned_with_their_events_and_others_stay(tmp_path):
    @dg.op
    def works():
        pass

    @dg.job
    def job():
        works()

    def prune(days):
        return subprocess.run(
            [str(DEPLOY / "entrypoint.sh"), "prune", days],
            env={
                "DAGSTER_HOME": str(tmp_path),
                "DAGSTER_YAML": "keep",
                "APP_ROOT": str(ROOT),
                "PATH": f"{BIN}:/usr/bin:/bin",
                "HOME": str(tmp_path),
                "TMPDIR": str(tmp_path),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        done = job.execute_in_process(instance=instance)
        assert prune("1").stdout == "0 runs were deleted\n"
        assert instance.get_records_for_run(done.run_id).records
        assert prune("0").stdout == "1 runs were deleted\n"
        assert instance.get_run_records() == []
        assert instance.get_records_for_run(done.run_id).records == []
        assert prune("many").returncode == 1
