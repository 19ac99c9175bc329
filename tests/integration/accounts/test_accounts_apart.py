"""Several accounts keep apart: what fails, leaks, slows down or alerts one of them is no matter of the other."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import dagster as dg
import pytest

from fixtures.accounts import DAYS, SECRET, TOKEN, load, truth
from fixtures.commands import assert_nowhere, fetch_all
from pipelines.definitions import definitions
from pipelines.resources import WarehouseResource
from pipelines.sensors import alerts_sensor
from resources.accounts import account_scopes, accounts_of
from resources.sandbox import Account, SandboxServer
from resources.warehouse.locks import TokenBudget

FAILURES = {
    "a refused token": ("x" * 30, 2, r"globex: the platform answered 401 to operations/get"),
    "a malformed token": ("short", 2, r"globex: token_file of \[accounts.globex\] .*|globex: token of .* has 5 char"),
}


def seconds_left(store, account):
    return TokenBudget(store, account).exchange("a process", 2).seconds_left


@pytest.mark.parametrize("name", FAILURES)
def test_one_account_that_fails_keeps_the_other_from_nothing_and_the_command_says_so(
    command, environment, sandbox, seen, store, tmp_path, name
):
    token, exit_code, message = FAILURES[name]
    (tmp_path / "globex_token").write_text(token)
    text = (tmp_path / "accounts.toml").read_text()
    acme, globex = text.split("\n\n")
    (tmp_path / "accounts.toml").write_text(f"{globex}\n\n{acme}\n")  # the one that fails comes first
    done = command("operations", *DAYS, environment=environment)
    assert done.returncode == exit_code
    told = [line.removeprefix("ecommpay-sync: ") for line in done.stderr.splitlines() if "ecommpay-sync: " in line]
    assert re.match(message, told[0]), told
    assert told[1:] == ["1 of 2 accounts failed: globex."]
    stored = fetch_all(store, "SELECT account, count(*) FROM core.operations GROUP BY 1")
    assert stored == [{"account": "acme", "count": len(truth(sandbox.world, seen["acme"]))}]
    assert "Traceback" not in done.stdout + done.stderr


def test_the_worst_exit_code_is_the_commands(command, environment, sandbox, store, tmp_path):
    """An unreachable platform ends with 1 alone, and with 2 beside a refused token."""
    text = (tmp_path / "accounts.toml").read_text()
    (tmp_path / "accounts.toml").write_text(text + 'base_url = "http://127.0.0.1:9/v1"\n')  # of globex
    done = command("balances", environment=environment)
    assert done.returncode == 1, done.stderr
    assert "ecommpay-sync: globex: no connection to 127.0.0.1:9" in done.stderr
    broken = (tmp_path / "accounts.toml").read_text().replace(TOKEN["acme"], "x" * 30)
    (tmp_path / "accounts.toml").write_text(broken)
    done = command("balances", environment=environment)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "ecommpay-sync: 2 of 2 accounts failed: acme, globex."


def test_an_argument_that_is_wrong_for_all_is_told_once(command, environment):
    done = command("operations", "--from", "2199-01-01", "--to", "2199-01-02", environment=environment)
    assert done.returncode == 2
    assert done.stderr.count("is in the future") == 1


def test_the_night_of_one_account_is_its_own_and_its_token_is_read_when_it_runs(
    command, environment, store, seen, tmp_path
):
    made = command.night("2024-03-02", "2024-03-03", environment, tmp_path, job="nightly_globex", instance="get")
    assert {"globex/operations", "globex/fraud", "globex/report", "globex/bi/daily_overview"} <= made
    assert {name.partition("/")[0] for name in made} == {"globex"}
    assert {row["account"] for row in fetch_all(store, "SELECT account FROM sync.runs")} == {"globex"}
    assert fetch_all(store, "SELECT DISTINCT account FROM sync.due") == [{"account": "globex"}]


def test_no_secret_of_any_account_is_in_output_dagsters_storage_or_the_database(
    command, environment, store_url, tmp_path
):
    runs = [command("operations", *DAYS, environment=environment), command("balances", environment=environment)]
    (tmp_path / "globex_secret").write_text("another-secret-that-must-not-leak")
    runs.append(command("operations", *DAYS, environment=environment))
    assert [run.returncode for run in runs] == [0, 0, 2]
    hidden = [*map(str.encode, (*TOKEN.values(), *SECRET.values())), b"another-secret-that-must-not-leak"]
    assert_nowhere(hidden, runs, (tmp_path / "dagster", tmp_path / "data"), store_url)


def test_a_429_to_one_account_slows_the_other_by_nothing(world, sandbox, store, seen):
    """Two brands of the platform at two base URLs; acme's says once to come back in ten seconds."""
    accounts = [Account("acme", TOKEN["acme"], SECRET["acme"], projects=seen["acme"])]
    with SandboxServer(world, accounts=accounts) as brand, ThreadPoolExecutor() as pool:
        assert brand.url != sandbox.url
        brand.faults.next(("http_429", 10))
        slowed = pool.submit(load, brand, store, "acme")
        until = time.monotonic() + 30
        while seconds_left(store, "acme") <= 0 and time.monotonic() < until:
            time.sleep(0.05)
        assert seconds_left(store, "acme") > 0
        assert seconds_left(store, "globex") <= 0
        report = load(sandbox, store, "globex")
        assert not slowed.done(), "acme still waits when globex has everything"
        assert report.rows_met == len(truth(world, seen["globex"]))
        assert slowed.result(60).rows_met == len(truth(world, seen["acme"]))
        assert brand.faults.counts["http_429"] == 1


def test_each_accounts_causes_are_told_under_its_name(command, environment, store, tmp_path):
    (tmp_path / "globex_token").write_text("x" * 30)
    assert command("operations", *DAYS, environment=environment).returncode == 2
    done = command("alert", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "the platform refuses the token of account globex" in done.stdout
    kinds = fetch_all(store, "SELECT DISTINCT account FROM sync.alerts WHERE kind = 'token_refused'")
    assert json.dumps(kinds) == '[{"account": "globex"}]'


def test_the_one_sensor_judges_every_account(command, environment, store, store_url, tmp_path, monkeypatch):
    (tmp_path / "globex_token").write_text("x" * 30)
    assert command("balances", environment=environment).returncode == 2
    accounts = accounts_of(environment)
    monkeypatch.setenv("ACCOUNTS_FILE", environment["ACCOUNTS_FILE"])
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance=instance,
            repository_def=definitions(accounts).get_repository_def(),
            resources={"warehouse": WarehouseResource(url=store_url)},
        ) as context,
    ):
        said = alerts_sensor(account_scopes(accounts))(context).skip_message
    assert re.match(r"[1-9] causes stand, 0 messages sent", said), said
    kinds = fetch_all(store, "SELECT account, kind FROM sync.alerts WHERE kind <> 'nightly_late'")
    assert kinds == [{"account": "globex", "kind": "token_refused"}]
    late = fetch_all(store, "SELECT DISTINCT account FROM sync.alerts WHERE kind = 'nightly_late' ORDER BY 1")
    assert late == [{"account": "acme"}, {"account": "globex"}], "both are judged"
    (advice, *_) = fetch_all(store, "SELECT message FROM sync.alerts WHERE kind = 'nightly_late' AND account = 'acme'")
    assert re.search(r"operations --from \S+ --to \S+ --account acme`", advice["message"])
