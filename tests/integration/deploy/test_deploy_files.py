"""What is deployed: the image's file linted, its scripts parsed, compose and Helm values checked."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import subprocess
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import grpc
import psycopg
import pytest
import yaml
from grpc_health.v1.health import HealthServicer
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from fixtures.commands import ROOT
from fixtures.debian_server import debian_server
from fixtures.deploy import BIN, DEPLOY
from resources.accounts import OF_ONE


def parsed(path: Path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose():
    return parsed(ROOT / "compose.yaml")


@pytest.fixture(scope="module")
def old_server():
    with debian_server() as url:
        yield url


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
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
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


class _Healthy(BaseHTTPRequestHandler):
    """Answers as a web server of Dagster's that is well."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def web_server():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Healthy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def code_server():
    server = grpc.server(ThreadPoolExecutor(1))
    service = HealthServicer()
    service.set("DagsterApi", HealthCheckResponse.SERVING)
    add_HealthServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


NO_PROXY_ANSWERS = "http://127.0.0.1:9"
PROXIES = {
    name: NO_PROXY_ANSWERS
    for lower in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    for name in (lower, lower.upper())
}


# a password that another system wrote into a file: what of it is no part of it, before and behind
ODD_FILES = {
    "a byte order mark": ("\ufeff", "\n"),
    "carriage returns": ("", "\r\n"),
    "both": ("\ufeff", "\r\n"),
    "none": ("", ""),
}
PASSWORD = "pass word-\u00fc$'\"`"


def is_of(stored: str, password: str) -> bool:
    """Whether PostgreSQL keeps this verifier of this password."""
    count, salt, key = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$([^:]+):.+", stored).groups()
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(count))
    return hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == b64decode(key)


@pytest.mark.parametrize("name", ODD_FILES)
def test_b18_a_password_of_a_file_from_another_system_is_what_people_type(name, old_server, tmp_path):
    before, behind = ODD_FILES[name]
    for file in ("warehouse_password", "dagster_password"):
        (tmp_path / file).write_bytes(f"{before}{PASSWORD}{behind}".encode())
    script = (DEPLOY / "init-databases.sh").read_text(encoding="utf-8").replace("/run/secrets", str(tmp_path))
    with psycopg.connect(old_server, autocommit=True) as connection:
        for statement in ("DATABASE finance", "DATABASE dagster", "ROLE ecommpay_loader", "ROLE dagster"):
            connection.execute(f"DROP {statement.replace(' ', ' IF EXISTS ')}")
        parts = connection.info.get_parameters()
        environment = {"PATH": os.environ["PATH"], "PGHOST": parts["host"], "POSTGRES_USER": parts["user"]}
        subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
        for role in ("ecommpay_loader", "dagster"):
            (stored,) = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [role]).fetchone()
            assert is_of(stored, PASSWORD)


@pytest.mark.parametrize("name", ODD_FILES)
@pytest.mark.parametrize(("script", "role"), [("entrypoint.sh", "dagster"), ("healthcheck.sh", "daemon")])
def test_b18_dagster_logs_in_and_is_checked_with_that_password_too(script, role, name, tmp_path):
    before, behind = ODD_FILES[name]
    (tmp_path / "password").write_bytes(f"{before}{PASSWORD}{behind}".encode())
    for program in ("dagster", "dagster-daemon"):
        (tmp_path / program).write_text('#!/bin/sh\nprintf %s "$DAGSTER_PG_PASSWORD"\n')
        (tmp_path / program).chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "DAGSTER_HOME": str(tmp_path / "home"),
        "APP_ROOT": str(ROOT),
        "TMPDIR": str(tmp_path),
        "DAGSTER_PG_PASSWORD_FILE": str(tmp_path / "password"),
    }
    done = subprocess.run([str(DEPLOY / script), role], env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == PASSWORD


@pytest.mark.parametrize("role", ["webserver", "code-server"])
def test_b16_a_health_check_never_goes_through_a_proxy(role, web_server, code_server, tmp_path):
    environment = {
        **PROXIES,
        "PATH": f"{BIN}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "DAGSTER_HOME": str(tmp_path),
        "WEBSERVER_PORT": str(web_server),
        "CODE_SERVER_PORT": str(code_server),
    }
    done = subprocess.run(
        [str(DEPLOY / "healthcheck.sh"), role], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({}, {"localhost", "127.0.0.1", "::1", "code"}),
        ({"NO_PROXY": "db.example"}, {"db.example", "localhost", "127.0.0.1", "::1", "code"}),
        ({"no_proxy": "a.example", "NO_PROXY": "b.example"}, {"a.example", "localhost", "127.0.0.1", "::1", "code"}),
    ],
)
def test_the_processes_reach_each_other_without_a_proxy(given, left_out, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "DAGSTER_YAML": "keep", "APP_ROOT": str(tmp_path), "TMPDIR": str(tmp_path)}
    (tmp_path / "dagster").write_text("#!/bin/sh\nenv\n")
    (tmp_path / "dagster").chmod(0o755)
    done = subprocess.run(
        [str(DEPLOY / "entrypoint.sh"), "dagster"],
        env=environment | given | {"PATH": f"{tmp_path}:/usr/bin:/bin", "CODE_SERVER_HOST": "code"},
        capture_output=True,
        text=True,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert set(variables["no_proxy"].split(",")) == left_out
    assert variables["NO_PROXY"] == variables["no_proxy"]


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
            assert re.fullmatch(r"postgres:\d+\.\d+-\w+@sha256:[0-9a-f]{64}", service["image"])


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


def test_b24_the_reports_of_kubernetes_outlive_the_pod_that_writes_them():
    (deployment,) = parsed(DEPLOY / "kubernetes.values.yaml")["dagster-user-deployments"]["deployments"]
    (folder,) = (item["value"] for item in deployment["env"] if item["name"] == "SYNC_REPORT_DIR")
    (mount,) = (item for item in deployment["volumeMounts"] if item["mountPath"] == folder)
    (volume,) = (item for item in deployment["volumes"] if item["name"] == mount["name"])
    assert "persistentVolumeClaim" in volume
    assert not mount.get("readOnly")
    assert deployment["includeConfigInLaunchedRuns"]["enabled"], "or the run pods have neither"


def test_no_secret_is_written_into_what_is_deployed():
    for file in [ROOT / "compose.yaml", *(path for path in DEPLOY.rglob("*") if path.is_file())]:
        assert not re.search(r"(?i)(password|token|secret): *['\"]?[a-z0-9]{8,}['\"]?$", file.read_text(), re.MULTILINE)
