"""What `--json` prints is what docs/json.md says, path by path and type by type."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.commands import ROOT, fetch_all
from fixtures.reconciliation import add_entries
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, SandboxServer, World

OTHER = Account("other", token="y" * 30)
DAY = "2024-03-05"
PAGE = (ROOT / "docs" / "json.md").read_text(encoding="utf-8")
TYPES = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "true or false": (bool,),
    "time": (str,),
    "day": (str,),
    "object": (dict,),
    "list": (list,),
}


def documented(command: str) -> dict[str, tuple[str, bool]]:
    """Each path of a command's output, its type, and whether it may be null."""
    (section,) = re.findall(rf"^## `{command}`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+?)(, or null)? \|", section, re.MULTILINE)
    assert rows, command
    return {path: (kind, bool(null)) for path, kind, null in rows}


def leaves(value: Any, path: str, closed: set[str]) -> Iterator[tuple[str, Any]]:
    """Every value with its path; an object in `closed` is one value."""
    if isinstance(value, dict) and path not in closed:
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else name, closed)
    elif isinstance(value, list) and value and path not in closed:
        for part in value:
            yield from leaves(part, f"{path}[]", closed)
    else:
        yield path, value


@pytest.fixture(scope="module")
def sandbox():
    world = World.generate(seed=5, start=DAY, days=1, operations=60, now="2024-04-01T00:00:00")
    with SandboxServer(world, accounts=[Account(), OTHER]) as server:
        yield server


@pytest.fixture
def environment(sandbox, store_url, tmp_path, dagster_home):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path / "data"),
        "DAGSTER_HOME": str(dagster_home),
    }


WHY = ("--note", "seen", "--by", "Ann")
COMMANDS = (
    ("operations", ("operations", "--from", DAY, "--to", DAY)),
    ("balances", ("balances",)),
    ("reconcile", ("reconcile", "--date", DAY)),
    ("breaks", ("breaks",)),
    ("apply", ("breaks", "apply", "{queue}", "--by", "Ann")),
    ("assign", ("breaks", "assign", "1", "--to", "Eve", "--by", "Ann")),
    ("assign", ("explain", "1", "--note", "seen", "--by", "Ann")),
    ("close", ("close", "--date", DAY, "--by", "Ann", "--with-open-breaks")),
    ("close", ("close", "--date", DAY, "--by", "Bob", "--with-open-breaks")),
    ("report", ("report", "--month", DAY[:7], "--output", "{folder}")),
    ("match", ("match", "--operation", "{operation}", "--entry", "e1", *WHY, "--reason", "other")),
    ("match", ("unmatch", "--operation", "{operation}", "--entry", "e1", *WHY)),
    ("status", ("status",)),
    ("doctor", ("doctor",)),
    ("verify", ("verify",)),
    ("replay", ("replay", "--from", DAY, "--to", DAY)),
    ("alert", ("alert",)),
    ("settings", ("settings",)),
)


def test_each_command_prints_one_line_as_documented_and_nothing_else(command, environment, store, tmp_path):
    add_entries(store, {"entry_id": "e1", "payment_id": "nowhere"})
    (tmp_path / "queue.csv").write_text("id,version,owner\n1,1,Bob\n")
    places = {"{queue}": str(tmp_path / "queue.csv"), "{folder}": str(tmp_path)}
    seen = set()
    for name, arguments in COMMANDS:
        if "{operation}" in arguments:
            free = "SELECT operation_id FROM core.operations WHERE sum_initial_currency = 'EUR' LIMIT 1"
            places["{operation}"] = fetch_all(store, free)[0]["operation_id"]
        done = command(*(places.get(part, part) for part in arguments), "--json", environment=environment)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        assert done.stdout.count("\n") == 1, name
        expected = documented(name)
        closed = {path for path, (kind, _) in expected.items() if kind in {"object", "list"}}
        for path, value in leaves(json.loads(done.stdout), "", closed):
            if value == [] and path not in closed:
                assert any(of_rows.startswith(f"{path}[]") for of_rows in expected), f"{name}: {path} is not documented"
                continue
            kind, may_be_null = expected.get(path, (None, False))
            assert kind, f"{name}: {path} is not in docs/json.md"
            assert isinstance(value, TYPES[kind]) or (value is None and may_be_null), (name, path, value)
            seen.add((name, path))
            if kind == "time" and value:
                assert value.endswith("+00:00")
    missing = {(name, path) for name, _ in COMMANDS for path in documented(name)} - seen
    assert not {(name, path) for name, path in missing if "[]" not in path}


def test_a_failure_is_an_exit_code_and_a_line_on_stderr_beside_what_is_known(command, environment):
    done = command("doctor", "--json", environment=environment | {"DATA_API_TOKEN": "too short"})
    assert done.returncode == 2
    checks = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert checks["credentials"] == "failed"
    assert checks["connection"] == "skipped"
    done = command("breaks", "--json", environment=environment | {"SYNC_LOOK_BACK_DAYS": "many"})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_of_several_accounts_each_has_a_line_of_its_own(command, environment):
    several = {"ACCOUNTS": "acme,globex"}
    for account, token in (("ACME", DEMO_TOKEN), ("GLOBEX", OTHER.token)):
        several[f"DATA_API_TOKEN__{account}"] = token
        several[f"DATA_API_SECRET__{account}"] = DEMO_SECRET
        several[f"DATA_API_BASE_URL__{account}"] = environment["DATA_API_BASE_URL"]
    plain = {name: value for name, value in environment.items() if not name.startswith("DATA_API_")}
    done = command("balances", "--json", environment=plain | several)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["account"] for line in done.stdout.splitlines()] == ["acme", "globex"]


def test_settings_say_where_each_comes_from_and_show_no_secret(command, environment, tmp_path):
    (tmp_path / "sync.toml").write_text("SYNC_RAW_DAYS = 30\nSYNC_LOOK_BACK_DAYS = 5")
    own = environment | {"SYNC_CONFIG": str(tmp_path / "sync.toml"), "SYNC_LOOK_BACK_DAYS": "7"}
    done = command("settings", "--json", environment=own)
    found = {row["variable"]: row for row in json.loads(done.stdout)["settings"]}
    assert found["SYNC_RAW_DAYS"] == {
        "variable": "SYNC_RAW_DAYS",
        "value": "30",
        "origin": f"the settings file {tmp_path / 'sync.toml'}",
    }
    assert (found["SYNC_LOOK_BACK_DAYS"]["value"], found["SYNC_LOOK_BACK_DAYS"]["origin"]) == ("7", "the environment")
    assert found["SYNC_NIGHTLY_CRON"]["origin"] == "the default"
    assert found["DATA_API_TOKEN"]["value"] == "****"
    (tmp_path / "token").write_text(DEMO_TOKEN)
    by_file = {name: value for name, value in own.items() if name != "DATA_API_TOKEN"}
    again = command("settings", "--json", environment=by_file | {"DATA_API_TOKEN_FILE": str(tmp_path / "token")})
    found = {row["variable"]: row["value"] for row in json.loads(again.stdout)["settings"]}
    assert found["DATA_API_TOKEN_FILE"] == str(tmp_path / "token")
    assert "DATA_API_TOKEN" not in found, "what a file gives is not shown as missing"
    for secret in (DEMO_TOKEN, DEMO_SECRET):
        assert secret not in done.stdout + command("settings", environment=own).stdout
