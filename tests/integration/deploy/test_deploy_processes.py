"""What is deployed, running: code server, daemon and webserver by the image's entrypoint, and all of `dev --own`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg

from fixtures.commands import fetch_all
from fixtures.deploy import BIN, DEPLOY, Processes, free_port
from fixtures.receivers import webhook
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World


def ask(port: int, query: str):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def test_daemon_webserver_and_code_server_run_the_nightly_and_alert_an_injected_failure(
    dagster_storage, store_url, store, tmp_path
):
    """The real processes, by the image's entrypoint: a tick of the schedule loads the night; then one fails."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    world = World.generate(seed=2, start=yesterday - timedelta(days=3), days=4, operations=400)
    code, web = free_port(), free_port()
    with SandboxServer(world) as sandbox, webhook() as (hook, hook_url), ExitStack() as stack:
        secrets = {
            "DATA_API_TOKEN_FILE": DEMO_TOKEN,
            "DATA_API_SECRET_FILE": DEMO_SECRET,
            "DATABASE_URL_FILE": store_url,
            "ALERT_WEBHOOK_URL_FILE": hook_url,
        }
        for name, value in secrets.items():
            (tmp_path / name).write_text(f"{value}\n")
            (tmp_path / name).chmod(0o600)
        common = dagster_storage | {
            "DAGSTER_HOME": str(tmp_path / "home"),
            "CODE_SERVER_HOST": "127.0.0.1",
            "CODE_SERVER_PORT": str(code),
            "WEBSERVER_PORT": str(web),
        }
        loads = {name: str(tmp_path / name) for name in secrets} | {
            "DATA_API_BASE_URL": sandbox.url,
            "SYNC_NIGHTLY_CRON": "* * * * *",
            "SYNC_BALANCES_CRON": "0 0 1 1 *",
            "SYNC_RETRY_SECONDS": "1",
        }
        processes = Processes(tmp_path, common, stack)

        def healthy(environment, *role: str) -> bool:
            done = subprocess.run(
                [str(DEPLOY / "healthcheck.sh"), *role], env=environment, capture_output=True, check=False, timeout=60
            )
            return done.returncode == 0

        of_code = processes.start("code-server", loads)
        processes.wait_for("the code server's health", lambda: listening(code) and healthy(of_code))
        of_daemon = processes.start("daemon")
        nights = "SELECT interval_from, interval_to FROM sync.runs WHERE state = 'complete' AND stream = 'operations'"
        (night, *_) = processes.wait_for("a night", lambda: fetch_all(store, nights))
        assert night["interval_to"].date() == yesterday
        stored = fetch_all(store, "SELECT count(*) FROM core.operations")[0]["count"]
        assert stored == len(world.truth(None, night["interval_from"], night["interval_to"]))
        of_web = processes.start("webserver")
        processes.wait_for("the webserver's health", lambda: healthy(of_web))
        assert ask(web, "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
        runs = '{ runsOrError(filter: {pipelineName: "nightly"}) { ... on Runs { results { status } } } }'
        done = {"status": "SUCCESS"}
        processes.wait_for("the night's end", lambda: done in ask(web, runs)["runsOrError"]["results"])
        assert all(healthy(of_web, role) for role in ("code-server", "daemon", "webserver")), "by name, on one machine"
        assert not healthy(of_web | {"WEBSERVER_PORT": str(free_port())}, "webserver")
        assert {local for port in (code, web) for local in listening(port)} <= {"127.0.0.1", "::ffff:127.0.0.1"}
        sandbox.accounts.delete("demo")
        assert healthy(of_daemon)
        launch(web, "ecommpay", "load_operations")
        processes.wait_for("the alert", lambda: [t for t in hook.texts if "refuses the token" in t])
        told = "\n".join(hook.texts)
        logs = processes.logs()
        for secret in (DEMO_TOKEN, DEMO_SECRET, "SECRETPATH"):
            assert secret not in told + logs
    with psycopg.connect(store_url) as connection:
        assert connection.execute("SELECT count(*) FROM sync.alerts WHERE kind = 'token_refused'").fetchone() == (1,)


def test_dev_own_runs_a_night_from_the_ui_on_the_settings_of_init_and_ended_in_the_next_one_leaves_no_process(
    command, store_url, store, tmp_path
):
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    world = World.generate(seed=5, start=yesterday - timedelta(days=3), days=4, operations=200)
    folder, port = tmp_path / "dev", free_port()
    folder.mkdir()
    with SandboxServer(world) as sandbox, ExitStack() as stack:
        answers = {
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "DATABASE_URL": store_url,
            "SYNC_DATA_DIR": str(tmp_path / "data"),
        }
        done = command("init", environment=answers | {"SYNC_CONFIG": str(folder / "ecommpay-sync.toml")})
        assert done.returncode == 0, done.stdout + done.stderr
        processes = Processes(tmp_path, {}, stack)
        of_dev = processes.start("dev", program=BIN / "ecommpay-sync", arguments=("dev", "--own", "--port", str(port)))

        schedule = processes.wait_for("the UI with its schedules", lambda: schedules(port)["nightly"])
        assert schedule["scheduleState"]["status"] == "RUNNING"
        (tick,) = schedule["futureTicks"]["results"]
        assert datetime.now(UTC).timestamp() < tick["timestamp"] < (datetime.now(UTC) + timedelta(days=1)).timestamp()

        run = launch(port, "pipelines.definitions", "nightly")
        status = f'{{ runOrError(runId: "{run}") {{ ... on Run {{ status }} }} }}'
        ended = processes.wait_for(
            "the night's end",
            lambda: {"SUCCESS", "FAILURE", "CANCELED"} & {ask(port, status)["runOrError"]["status"]},
        )
        assert ended == {"SUCCESS"}, processes.logs()[-3000:]
        (window,) = fetch_all(
            store,
            "SELECT interval_from, interval_to FROM sync.runs WHERE state = 'complete' AND stream = 'operations'",
        )
        assert window["interval_to"].date() == yesterday
        stored = fetch_all(store, "SELECT count(*) FROM core.operations")[0]["count"]
        assert stored == len(world.truth(None, window["interval_from"], window["interval_to"])) > 0
        assert fetch_all(store, "SELECT count(*) FROM bi.daily_overview")[0]["count"] > 0

        dev, home = processes.running["dev"], str(tmp_path / "data" / "dagster")
        requests = sandbox.request_count
        sandbox.faults.always(("slow", 60.0))
        stopped = launch(port, "pipelines.definitions", "nightly")
        processes.wait_for("a request of the next night", lambda: sandbox.request_count > requests)
        assert len(processes_with(of_dev["TMPDIR"])) > 4, "daemon, UI, their code servers and the run"
        dev.terminate()
        time.sleep(1)
        os.killpg(dev.pid, signal.SIGINT)  # Ctrl+C of who is impatient goes to all of them
        assert dev.wait(30) == 0
        assert not processes_with(of_dev["TMPDIR"])
        with dg.DagsterInstance.from_config(home) as instance:
            assert instance.get_run_by_id(stopped).status == dg.DagsterRunStatus.FAILURE
            assert instance.get_run_by_id(run).status == dg.DagsterRunStatus.SUCCESS
        last = "SELECT state, error_kind FROM sync.runs WHERE stream = 'operations' ORDER BY run_id DESC LIMIT 1"
        assert fetch_all(store, last) == [{"state": "failed", "error_kind": "interrupted"}]

        sandbox.faults.clear()
        day = str(yesterday)
        done = command("operations", "--from", day, "--to", day, environment=answers)
        assert done.returncode == 0, done.stdout + done.stderr
        assert fetch_all(store, last) == [{"state": "complete", "error_kind": None}]


def test_dev_own_killed_leaves_no_process(store_url, tmp_path):
    port = free_port()
    settings = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET, "DATABASE_URL": store_url}
    with ExitStack() as stack:
        processes = Processes(tmp_path, settings | {"SYNC_DATA_DIR": str(tmp_path / "data")}, stack)
        of_dev = processes.start("dev", program=BIN / "ecommpay-sync", arguments=("dev", "--own", "--port", str(port)))
        processes.wait_for("the UI with its schedules", lambda: schedules(port)["nightly"])
        processes.wait_for("code servers", lambda: len(processes_with(of_dev["TMPDIR"])) > 4)
        dev = processes.running.pop("dev")
        dev.kill()
        dev.wait()
        try:
            processes.wait_for("the end of what it started", lambda: not processes_with(of_dev["TMPDIR"]), seconds=90)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(dev.pid, signal.SIGKILL)


def processes_with(folder: str) -> set[str]:
    """The processes that were started with this folder for temporary files, and run."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"TMPDIR={folder}\0".encode() in (process / "environ").read_bytes():
                found.add((process / "cmdline").read_text())
    return found


def schedules(port: int) -> dict[str, dict]:
    """The schedules that the UI shows, by name, each with its next tick."""
    answer = ask(
        port,
        '{ schedulesOrError(repositorySelector: {repositoryLocationName: "pipelines.definitions", '
        'repositoryName: "__repository__"}) { ... on Schedules '
        "{ results { name scheduleState { status } futureTicks(limit: 1) { results { timestamp } } } } } }",
    )
    return {schedule["name"]: schedule for schedule in answer["schedulesOrError"].get("results", [])}


def listening(port: int) -> set[str]:
    """The addresses on which somebody of this machine listens at a port."""
    found = set()
    for file, family, size in (("tcp", socket.AF_INET, 4), ("tcp6", socket.AF_INET6, 16)):
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, 2 * size, 8)]
                found.add(socket.inet_ntop(family, b"".join(words)))
    assert found
    return found


def launch(port: int, location: str, job: str) -> str:
    """Launch a job for yesterday through the webserver, which queues it for the daemon; return the run's id."""
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    tags = ", ".join(
        f'{{key: "dagster/asset_partition_range_{end}", value: "{yesterday}"}}' for end in ("start", "end")
    )
    answer = ask(
        port,
        f'mutation {{ launchRun(executionParams: {{selector: {{repositoryLocationName: "{location}", '
        f'repositoryName: "__repository__", jobName: "{job}"}}, executionMetadata: {{tags: [{tags}]}}}}) '
        "{ __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }",
    )
    assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
    return answer["launchRun"]["run"]["runId"]
