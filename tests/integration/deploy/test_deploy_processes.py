"""What is deployed, running: code server, daemon and webserver as processes, by the image's entrypoint."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from fixtures.commands import fetch_all
from fixtures.deploy import DEPLOY, Processes, free_port
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
        processes.wait_for("the code server's health", lambda: healthy(of_code))
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
        _launch_again(web)
        processes.wait_for("the alert", lambda: [t for t in hook.texts if "refuses the token" in t])
        told = "\n".join(hook.texts)
        logs = processes.logs()
        for secret in (DEMO_TOKEN, DEMO_SECRET, "SECRETPATH"):
            assert secret not in told + logs
    with psycopg.connect(store_url) as connection:
        assert connection.execute("SELECT count(*) FROM sync.alerts WHERE kind = 'token_refused'").fetchone() == (1,)


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


def _launch_again(port: int) -> None:
    """Launch the load of yesterday through the webserver, which queues it for the daemon."""
    yesterday = (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    tags = ", ".join(
        f'{{key: "dagster/asset_partition_range_{end}", value: "{yesterday}"}}' for end in ("start", "end")
    )
    answer = ask(
        port,
        'mutation { launchRun(executionParams: {selector: {repositoryLocationName: "ecommpay", '
        'repositoryName: "__repository__", jobName: "load_operations"}, '
        f"executionMetadata: {{tags: [{tags}]}}}}) {{ __typename ... on PythonError {{ message }} }} }}",
    )
    assert answer["launchRun"]["__typename"] == "LaunchRunSuccess", answer
