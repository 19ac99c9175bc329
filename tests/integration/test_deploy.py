"""What is deployed: the image's file linted, compose and Helm values checked, Dagster run as processes."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict
from receivers import webhook

from resources.accounts import OF_ONE
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from support import ROOT, fetch_all

BIN = Path(sys.executable).parent
DEPLOY = ROOT / "deploy"


def parsed(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose():
    return parsed(ROOT / "compose.yaml")


def test_the_dockerfile_passes_its_linter():
    done = subprocess.run(
        [str(BIN / "hadolint"), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_pinned_without_root_and_with_a_health_check():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", bases[0])
    last = text.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" in last
    assert not re.search(r"(?<!un)install", last), "nothing is built in the image that runs"


COPIED = re.findall(r"^COPY (?!--from|\$)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("copied", COPIED)
def test_what_the_image_copies_is_there_and_not_ignored(copied):
    ignored = (ROOT / ".dockerignore").read_text().split()
    for name in copied.split():
        assert (ROOT / name).exists()
        assert name not in ignored


@pytest.mark.parametrize("script", ["entrypoint.sh", "healthcheck.sh", "init-databases.sh"])
def test_a_script_of_the_image_is_executable_and_parses(script):
    assert os.access(DEPLOY / script, os.X_OK)
    subprocess.run(["sh", "-n", str(DEPLOY / script)], check=True)


def test_before_its_process_has_begun_nothing_is_healthy(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)}
    assert (
        subprocess.run([str(DEPLOY / "healthcheck.sh")], env=environment, capture_output=True, check=False).returncode
        != 0
    )


def test_compose_gives_the_token_to_the_code_server_alone(compose):
    services = compose["services"]
    assert services.keys() == {"db", "code", "daemon", "webserver", "metrics"}
    knows = {name for name, service in services.items() if "data_api_token" in service.get("secrets", [])}
    assert knows == {"code"}


def test_every_secret_of_compose_is_a_file_and_used_as_one(compose):
    declared = set(compose["secrets"])
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())
    for name, service in compose["services"].items():
        for key, value in (service.get("environment") or {}).items():
            if re.search("PASSWORD|TOKEN|SECRET|DATABASE_URL|WEBHOOK", key):
                assert key.endswith("_FILE"), f"{name}: {key}"
                assert value.removeprefix("/run/secrets/") in service["secrets"]
        assert set(service.get("secrets", [])) <= declared


def test_compose_publishes_nothing_beyond_this_machine_and_runs_without_rights(compose):
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for other in service.get("depends_on", {}):
            assert other in compose["services"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists()
        if name != "db":
            assert service["cap_drop"] == ["ALL"]
            assert service["read_only"] is True
        else:
            assert re.fullmatch(r"postgres:\d+\.\d+-\w+", service["image"])


def test_compose_for_several_accounts_changes_the_code_server_alone_and_takes_the_one_token_away(compose):
    services = parsed(DEPLOY / "compose.accounts.yaml")["services"]
    assert services.keys() == {"code"}
    environment = services["code"]["environment"]
    (mount,) = services["code"]["volumes"]
    assert environment["ACCOUNTS_FILE"].startswith(f"{mount.split(':')[1]}/")
    merged = compose["services"]["code"]["environment"] | environment
    assert [name for name in OF_ONE if merged.get(name)] == [], "they are refused beside ACCOUNTS_FILE"


KNOWN = {  # of the official chart: helm/dagster/values.yaml and its schema
    "global": {"postgresqlSecretName"},
    "postgresql": {"enabled", "postgresqlHost", "postgresqlUsername", "postgresqlDatabase", "postgresqlScheme"},
    "dagster-user-deployments": {"enabled", "deployments"},
    "runLauncher": {"type", "config"},
    "dagsterDaemon": {"runCoordinator", "runMonitoring", "runRetries"},
    "retention": {"enabled", "schedule", "sensor"},
    "telemetry": {"enabled"},
}


def test_the_helm_values_use_keys_of_the_chart_and_a_pod_for_each_run():
    values = parsed(DEPLOY / "kubernetes.values.yaml")
    assert values.pop("generatePostgresqlPasswordSecret") is False
    assert values.keys() == KNOWN.keys()
    assert {key for key in values if values[key].keys() - KNOWN[key]} == set()
    launcher = values["runLauncher"]
    assert launcher["type"] == "K8sRunLauncher"
    assert launcher["config"]["k8sRunLauncher"].keys() <= {"imagePullPolicy", "failPodOnRunFailure", "runK8sConfig"}
    assert (
        values["postgresql"]["postgresqlScheme"]
        == parsed(DEPLOY / "dagster.yaml")["storage"]["postgres"]["postgres_db"]["scheme"]
    )
    assert values["dagsterDaemon"]["runRetries"]["retryOnAssetOrOpFailure"] is False
    assert values["telemetry"]["enabled"] is False


def test_no_secret_is_written_into_what_is_deployed():
    for file in [ROOT / "compose.yaml", *(path for path in DEPLOY.rglob("*") if path.is_file())]:
        assert not re.search(r"(?i)(password|token|secret): *['\"]?[a-z0-9]{8,}['\"]?$", file.read_text(), re.MULTILINE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def dagster_storage(empty_url):
    """The environment that deploy/dagster.yaml reads, for a database of its own."""
    parts = conninfo_to_dict(empty_url)
    with ExitStack() as stack:
        host, port = parts.get("host", "127.0.0.1"), int(parts.get("port", 5432))
        if host.startswith("/"):  # Dagster speaks TCP only
            host, port = "127.0.0.1", stack.enter_context(forwarded(f"{host}/.s.PGSQL.{port}"))
        yield {
            "DAGSTER_PG_HOST": host,
            "DAGSTER_PG_PORT": str(port),
            "DAGSTER_PG_USER": parts.get("user") or "postgres",
            "DAGSTER_PG_PASSWORD": parts.get("password") or "unused",
            "DAGSTER_PG_DB": parts["dbname"],
        }


@contextmanager
def forwarded(path: str):
    """Yield a port of 127.0.0.1 that leads to a Unix socket."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


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


def wait_for(what: str, ready, processes, seconds: float = 300):
    until = time.monotonic() + seconds
    while True:
        with suppress(OSError, ValueError, AssertionError):
            found = ready()
            if found:
                return found
        for name, process, log in processes:
            assert process.poll() is None, f"{name} ended: {log.read_text()[-3000:]}"
        if time.monotonic() > until:
            logs = "\n".join(f"--- {name}\n{log.read_text()[-3000:]}" for name, _, log in processes)
            raise TimeoutError(f"{what} did not happen\n{logs}")
        time.sleep(0.5)


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
            "PATH": f"{BIN}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "APP_ROOT": str(ROOT),
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
        processes = []

        def start(role: str, extra: dict[str, str]):
            folder = tmp_path / role
            folder.mkdir()
            log = tmp_path / f"{role}.log"
            environment = common | extra | {"TMPDIR": str(folder)}
            process = subprocess.Popen(
                [str(DEPLOY / "entrypoint.sh"), role],
                env=environment,
                cwd=folder,
                stdout=stack.enter_context(log.open("w")),
                stderr=subprocess.STDOUT,
            )
            stack.callback(_end, process)
            processes.append((role, process, log))
            return environment

        def healthy(environment, *role: str) -> bool:
            done = subprocess.run(
                [str(DEPLOY / "healthcheck.sh"), *role], env=environment, capture_output=True, check=False, timeout=60
            )
            return done.returncode == 0

        of_code = start("code-server", loads)
        wait_for("the code server's health", lambda: healthy(of_code), processes)
        of_daemon = start("daemon", {})
        nights = "SELECT interval_from, interval_to FROM sync.runs WHERE state = 'complete' AND stream = 'operations'"
        (night, *_) = wait_for("a night", lambda: fetch_all(store, nights), processes)
        assert night["interval_to"].date() == yesterday
        stored = fetch_all(store, "SELECT count(*) FROM core.operations")[0]["count"]
        assert stored == len(world.truth(None, night["interval_from"], night["interval_to"]))
        of_web = start("webserver", {})
        wait_for("the webserver's health", lambda: healthy(of_web), processes)
        assert ask(web, "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }")
        runs = '{ runsOrError(filter: {pipelineName: "nightly"}) { ... on Runs { results { status } } } }'
        done = {"status": "SUCCESS"}
        wait_for("the night's end", lambda: done in ask(web, runs)["runsOrError"]["results"], processes)
        assert all(healthy(of_web, role) for role in ("code-server", "daemon", "webserver")), "by name, on one machine"
        assert not healthy(of_web | {"WEBSERVER_PORT": str(free_port())}, "webserver")
        assert {local for port in (code, web) for local in listening(port)} <= {"127.0.0.1", "::ffff:127.0.0.1"}
        sandbox.accounts.delete("demo")
        assert healthy(of_daemon)
        _launch_again(web)
        wait_for("the alert", lambda: [t for t in hook.texts if "refuses the token" in t], processes)
        told = "\n".join(hook.texts)
        logs = "".join(log.read_text() for _, _, log in processes)
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


def _end(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
