"""Dagster's runs of processes that are ended: each ends at once, and none counts as running for ever."""

import json
import signal
import socket

import dagster as dg
import pytest

from pipelines.assets import as_dagster_failure
from pipelines.cli.dagster_runs import SERVER_TAG, end_runs_of_dead_servers

TIMES = dg.RetryPolicy(max_retries=3, delay=1)


@pytest.fixture
def instance(tmp_path):
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("asked_for", "ends"), [(True, "CANCELED"), (False, "FAILURE")])
def test_a_signal_ends_a_run_at_once_though_its_steps_are_tried_again_after_failures(instance, number, asked_for, ends):
    attempts = []

    @dg.op
    def loads(context: dg.OpExecutionContext):
        attempts.append(number)
        if asked_for:  # as "Terminate" of the UI does
            instance.report_run_canceling(context.run)
        with as_dagster_failure():
            signal.raise_signal(number)

    @dg.op(ins={"start": dg.In(dg.Nothing)})
    def comes_after():
        attempts.append("after")

    @dg.job(op_retry_policy=TIMES)
    def night():
        comes_after(start=loads())

    done = night.execute_in_process(instance=instance, raise_on_error=False)
    assert attempts == [number]
    assert instance.get_run_by_id(done.run_id).status == dg.DagsterRunStatus[ends]


@dg.job
def job():
    pass


STATUSES = ("STARTING", "STARTED", "CANCELING", "NOT_STARTED", "SUCCESS")


@pytest.mark.parametrize(
    ("server", "ended"),
    [
        ("gone", {"STARTING", "STARTED", "CANCELING"}),
        ("not listening", {"STARTING", "STARTED", "CANCELING"}),
        ("listening", set()),
        ("of another machine", set()),
        ("none", set()),
    ],
)
def test_runs_of_a_code_server_that_is_gone_are_ended_and_no_others(instance, tmp_path, server, ended):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        if server in {"listening", "not listening"}:
            listener.bind(path)
        if server == "listening":
            listener.listen()
        where = {"port": 4000} if server == "of another machine" else {"socket": path}
        tags = {} if server == "none" else {SERVER_TAG: json.dumps({"host": "localhost"} | where)}
        runs = {
            status: instance.create_run_for_job(job, status=dg.DagsterRunStatus[status], tags=tags).run_id
            for status in STATUSES
        }
        end_runs_of_dead_servers(instance)
    found = {status: instance.get_run_by_id(run_id).status.value for status, run_id in runs.items()}
    assert found == {status: "FAILURE" if status in ended else status for status in STATUSES}
