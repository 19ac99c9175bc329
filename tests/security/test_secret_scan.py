"""The secret scan of `make check`: run as make runs it, in a copy of this repository."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys

import pytest

from fixtures.commands import ROOT

SCAN = "tests/security/secret_scan.py"
COPIED = (SCAN, ".secrets.baseline", ".gitignore", "README.md", "resources/settings.py", "tests/unit/test_settings.py")


def scan(folder, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, SCAN, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def clone(tmp_path):
    """Some files of the repository, known made-up secrets among them, in a clone of their own."""
    for name in COPIED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def test_make_check_runs_this_very_command():
    assert f"$(BIN)/python {SCAN}\n" in (ROOT / "Makefile").read_text()


def test_what_is_known_is_no_finding(clone):
    done = scan(clone)
    assert done.returncode == 0, done.stdout + done.stderr


def planted(kind: str) -> tuple[str, str]:
    value = secrets.token_hex(20)
    return {
        "python": ("pipelines/nightly.py", f'DATA_API_SECRET = "{value}"\n'),
        "settings": (".env", f"DATA_API_SECRET={value}\n"),
        "yaml": ("deploy/values.yaml", f"database: postgresql://loader:{value}@db:5432/finance\n"),
        "key": ("deploy/tls.pem", "-----BEGIN " + "PRIVATE KEY-----\n" + value + "\n"),
        "webhook": ("docs/runbook.md", f"https://hooks.slack.com/services/T0ABCDEFG/B0ABCDEFG/{value[:24]}\n"),
    }[kind]


@pytest.mark.parametrize("kind", ["python", "settings", "yaml", "key", "webhook"])
def test_a_new_secret_fails_and_is_named_by_file_and_line_but_not_shown(clone, kind):
    name, line = planted(kind)
    (clone / name).parent.mkdir(parents=True, exist_ok=True)
    (clone / name).write_text(f"# a line before\n{line}")
    done = scan(clone)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name}:2: looks like a secret" in done.stdout
    assert line.strip().rpartition("=")[2].strip(' "') not in done.stdout


def test_a_known_secret_may_move_within_its_file(clone):
    file = clone / "tests/unit/test_settings.py"
    file.write_text("\n\n\n" + file.read_text())
    assert scan(clone).returncode == 0


def test_a_known_secret_in_another_file_is_a_new_one(clone):
    shutil.copy(clone / "tests/unit/test_settings.py", clone / "tests/unit/test_other.py")
    assert scan(clone).returncode == 1


def test_accepted_is_known(clone):
    name, line = planted("settings")
    (clone / name).write_text(line)
    assert scan(clone).returncode == 1
    assert scan(clone, "--accept").returncode == 0
    assert scan(clone).returncode == 0


def test_the_baseline_names_no_path_of_a_machine_and_asks_no_service():
    known = json.loads((ROOT / ".secrets.baseline").read_text())
    assert not [name for name in known["results"] if name.startswith(("/", "..")) or not (ROOT / name).exists()]
    assert not [each for each in known["filters_used"] if "verification" in each["path"]]
