"""What is deployed: the image's file linted, its scripts parsed, compose and Helm values checked."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from fixtures.commands import ROOT
from fixtures.deploy import BIN, DEPLOY
from resources.accounts import OF_ONE


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
