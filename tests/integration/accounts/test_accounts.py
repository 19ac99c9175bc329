"""Several accounts, one platform, one warehouse: each its own rows, runs and chain, by the command itself."""

from __future__ import annotations

import re
import time

import dagster as dg
import pytest

from fixtures.accounts import DAYS, SECRET, TOKEN, truth
from fixtures.commands import fetch_all


def of_account(store, statement):
    return {row["account"]: row for row in fetch_all(store, statement)}


def test_each_account_is_loaded_in_turn_into_rows_runs_and_a_chain_of_its_own(
    command, environment, sandbox, seen, store
):
    done = command("operations", *DAYS, environment=environment)
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith(("account ", "complete: "))]
    count = {name: len(truth(sandbox.world, seen[name])) for name in TOKEN}
    assert [line.split(" operations")[0] for line in heads] == [
        *("account acme", f"complete: {count['acme']:,}"),
        *("account globex", f"complete: {count['globex']:,}"),
    ]
    stored = fetch_all(store, "SELECT account, operation_id FROM core.operations")
    for name in TOKEN:
        expected = {row["operation_id"] for row in truth(sandbox.world, seen[name])}
        assert {row["operation_id"] for row in stored if row["account"] == name} == expected
    runs = of_account(store, "SELECT account, count(*) FROM sync.runs WHERE state = 'complete' GROUP BY 1")
    assert {name: row["count"] for name, row in runs.items()} == {"acme": 1, "globex": 1}
    chains = of_account(
        store, "SELECT account, min(entry_no) AS least, max(entry_no) AS n FROM sync.windows GROUP BY 1"
    )
    assert {name: (row["least"], row["n"]) for name, row in chains.items()} == {"acme": (1, 1), "globex": (1, 1)}
    shown = command("verify", environment=environment).stdout
    assert re.findall(r"intact: account (\w+), 1 entries", shown) == ["acme", "globex"]
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        jobs = sorted(run.job_name for run in instance.get_runs())
        assert jobs == ["backfill_operations_acme", "backfill_operations_globex"]
        days = instance.get_materialized_partitions(dg.AssetKey(["acme", "operations"]))
        assert days == {"2024-03-01", "2024-03-02", "2024-03-03"}


def test_one_account_can_be_named_and_an_unknown_one_is_refused_with_the_known_ones(command, environment, store):
    done = command("operations", *DAYS, "--account", "globex", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "account " not in done.stdout
    assert fetch_all(store, "SELECT DISTINCT account FROM core.operations") == [{"account": "globex"}]
    done = command("operations", *DAYS, "--account", "initech", environment=environment)
    assert (done.returncode, done.stderr) == (
        2,
        "ecommpay-sync: there is no account 'initech': acme, globex are configured.\n",
    )


MUST_NAME = (
    ("close", "--date", "2024-03-01", "--by", "a"),
    ("reopen", "--date", "2024-03-01", "--by", "a", "--reason", "b"),
    ("explain", "1", "--by", "a", "--note", "b"),
    ("erase", "--customer", "a"),
    ("trace", "1"),
    ("ledger", "import", "books.csv"),
)


@pytest.mark.parametrize("arguments", MUST_NAME, ids=lambda arguments: arguments[0])
def test_a_command_about_one_account_wants_it_named(command, environment, arguments):
    done = command(*arguments, environment=environment)
    assert (done.returncode, done.stderr) == (
        2,
        "ecommpay-sync: name the account with --account: one of acme, globex.\n",
    )


def test_a_single_account_may_be_named_too(command, environment, sandbox, store):
    plain = {name: value for name, value in environment.items() if name != "ACCOUNTS_FILE"}
    plain |= {"DATA_API_TOKEN": TOKEN["acme"], "DATA_API_SECRET": SECRET["acme"]}
    done = command("balances", "--account", "default", environment=plain)
    assert done.returncode == 0, done.stderr
    assert fetch_all(store, "SELECT DISTINCT account FROM core.balance_snapshots") == [{"account": "default"}]
    assert (
        "there is no account 'acme': default is configured."
        in command("balances", "--account", "acme", environment=plain).stderr
    )


def test_doctor_examines_each_account_and_status_shows_all(command, environment, tmp_path, shared):
    (tmp_path / "globex_secret").chmod(0o644)
    done = command("doctor", environment=environment)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith(("account", "all", "ok"))]
    each = [f"ok {n}" for n in ("settings", "credentials", "connection", "signature", "clock", "balances", "projects")]
    assert [" ".join(line.split()[:2]) for line in lines] == [
        *("account acme", *each, "account globex", *each),
        *("all accounts", "ok database", "ok migrations", "ok zone", "ok shared"),
    ]
    assert f"{tmp_path}/globex_secret, mode 0644): chmod 600" in done.stdout
    command("operations", *DAYS, environment=environment)
    shown = command("status", environment=environment).stdout
    assert re.findall(r"^(\w+) +2024-03-01 00:00:00 +2024-03-04 00:00:00$", shown, re.MULTILINE) == ["acme", "globex"]
    assert re.findall(rf"^{shared} +(\w+) +\d+ +not built yet", shown, re.MULTILINE) == ["acme", "globex"]
    one = command("status", "--account", "globex", environment=environment).stdout
    assert not re.search(r"^acme +2024", one, re.MULTILINE)


def test_status_shows_the_balances_of_each_account_at_the_moment_of_its_own_snapshot(command, environment, store):
    for account in ("acme", "globex"):
        assert command("balances", "--account", account, environment=environment).returncode == 0
        time.sleep(1.1)  # the table shows seconds, and a command is faster than that
    moments = of_account(
        store,
        "SELECT DISTINCT account, to_char(captured_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at "
        "FROM core.balance_snapshots",
    )
    assert moments["acme"]["at"] != moments["globex"]["at"]
    shown = command("status", environment=environment).stdout
    table = shown.split("Balances (times in UTC)\n")[1].split("\n\n")[0].splitlines()
    for account, row in moments.items():
        lines = [line for line in table if line.startswith(f"{account} ")]
        assert lines
        assert [line for line in lines if not line.endswith(row["at"])] == []
        alone = command("status", "--account", account, environment=environment).stdout
        assert f"Balances at {row['at']} UTC" in alone


def test_reports_and_reconciliations_are_of_each_account(command, environment, store, tmp_path):
    assert command("operations", *DAYS, environment=environment).returncode == 0
    done = command("reconcile", "--date", "2024-03-02", "--leg", "completeness", environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("completeness: complete") == 2
    done = command("report", "--date", "2024-03-02", "--output", str(tmp_path / "out"), environment=environment)
    assert done.returncode == 0, done.stderr
    names = {file.name for file in (tmp_path / "out").glob("*.html")}
    assert names == {f"daily-close-{name}-2024-03-02.html" for name in TOKEN}
    done = command("replay", *DAYS, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal: ") == 2, "each with its own secret"
