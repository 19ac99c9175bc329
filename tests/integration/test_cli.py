"""The command as a user meets it: exit codes, one clear line for what is wrong, no secret anywhere."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import typer
from typer.main import get_command

import fixtures.commands as support
from fixtures.commands import ROOT, assert_nowhere, differences, execute, fetch_all
from pipelines.cli.commands import app
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, SandboxServer, World

DAYS = ("--from", "2024-03-01", "--to", "2024-03-03")


@pytest.fixture(scope="module")
def sandbox():
    world = World.generate(seed=3, start="2024-03-01", days=3, operations=600, now="2024-04-01T00:00:00")
    with SandboxServer(world, accounts=[Account(projects=world.projects[:2])]) as server:
        yield server


@pytest.fixture
def environment(sandbox, store_url, tmp_path, dagster_home):
    return {
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "DATABASE_URL": store_url,
        "DAGSTER_HOME": str(dagster_home),
        "SYNC_DATA_DIR": str(tmp_path / "data"),
        "SYNC_RETRY_SECONDS": "5",
    }


def test_operations_are_loaded_and_a_second_time_no_row_changes(command, environment, sandbox, store):
    del environment["DAGSTER_HOME"]  # of quick commands alone
    first = support.command("operations", *DAYS, environment=environment)
    assert first.returncode == 0, first.stderr
    expected = len(sandbox.world.truth(sandbox.world.projects[:2], "2024-03-01", "2024-03-03 23:59:59"))
    assert f"complete: {expected:,} operations in 1 window, {expected:,} new, 0 changed" in first.stdout
    assert "Operations read, by currency and status" in first.stdout
    second = command("operations", *DAYS, environment=environment)
    assert second.returncode == 0, second.stderr
    assert "no row changed" in second.stdout
    assert fetch_all(store, "SELECT count(*) FROM core.operations") == [{"count": expected}]
    assert fetch_all(store, "SELECT count(*) FROM core.operation_versions") == [{"count": 0}]
    assert "\x1b" not in first.stdout + first.stderr, "no colours and no bar where there is no terminal"
    assert "telemetry" not in first.stdout + first.stderr


OPEN_AT_ONCE = """
import os, sys, time
import dagster
from pipelines.cli.dagster_runs import dagster_instance
at = time.monotonic() + 1
processes = []
while len(processes) < 4 and (not processes or processes[-1]):
    processes.append(os.fork())
if processes[-1]:
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes))
while time.monotonic() < at:
    time.sleep(0.001)
with dagster_instance() as instance:
    instance.get_runs(limit=1)
"""


def test_first_commands_that_start_at_once_do_not_break_the_new_dagster_home(environment, tmp_path):
    """Dagster makes its SQLite files unguarded: two at once left a home that no later command could open."""
    home = tmp_path / "new"
    home.mkdir()
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment | {"DAGSTER_HOME": str(home)}
    four = subprocess.run(
        [sys.executable, "-c", OPEN_AT_ONCE], env=inherited, capture_output=True, text=True, timeout=120, check=False
    )
    assert four.returncode == 0, four.stderr


def test_balances_are_stored_and_shown(command, environment, store):
    done = command("balances", environment=environment)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Project_Cosmo1_balance_USD\s+SGD\s+3,100\.99", done.stdout)
    stored = fetch_all(store, "SELECT currency, amount_minor FROM core.balance_snapshots WHERE position = 0")
    assert stored == [{"currency": "SGD", "amount_minor": 310_099}]


def test_status_shows_what_is_stored_and_how_complete_it_is(command, environment):
    assert "The store is empty" in command("status", environment=environment).stdout
    command("operations", *DAYS, environment=environment)
    shown = command("status", environment=environment)
    assert shown.returncode == 0
    assert re.search(r"default\s+2024-03-01 00:00:00\s+2024-03-04 00:00:00", shown.stdout)
    found = re.search(r"Requests in flight, as found.*?default\s+(\d+)\s+ended", shown.stdout, re.DOTALL)
    assert found, shown.stdout
    assert 1 <= int(found[1]) <= 16


def test_doctor_finds_all_in_place(command, environment):
    done = command("doctor", environment=environment)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", name]
        for name in (
            *("settings", "credentials", "connection", "signature", "clock"),
            *("balances", "projects", "database", "migrations", "zone"),
        )
    ]


def test_doctor_says_how_to_get_a_token_and_checks_the_rest(command, environment):
    environment = {key: value for key, value in environment.items() if key != "DATA_API_TOKEN"}
    done = command("doctor", environment=environment)
    assert done.returncode == 2
    assert "My profile → API Tokens" in done.stdout
    assert "Manage API tokens" in done.stdout
    assert "ok    database" in done.stdout


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALERT_WEBHOOK_URL", "http://example.com/hook"),
        ("ALERT_BREAKS_ABOVE", "EUR"),
        ("ALERT_SMTP_URL", "smtp://mail.example.com"),
        ("SYNC_ROLE_PREFIX", "A-b"),
        ("SYNC_LEDGER_INBOX", "/nonsuch"),
        ("SYNC_LEDGER_MAPPINGS", "~/mappings"),
        ("DAGSTER_HOME", "/nonsuch"),
    ],
)
def test_doctor_names_a_wrong_setting_that_no_load_reads(command, environment, variable, value):
    done = command("doctor", environment=environment | {variable: value})
    assert done.returncode == 2
    assert re.search(rf"^FAIL  settings .*{variable}", done.stdout)


def test_doctor_goes_on_after_what_nobody_has_foreseen(command, environment):
    done = command("doctor", environment=environment | {"SYNC_LEDGER_INBOX": f"/{'x' * 300}"})
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("FAIL  settings       unexpected: OSError: [Errno 36] File name too long")
    assert "ok    database" in done.stdout


def test_doctor_goes_on_where_tls_cannot_be_set_up(command, environment):
    environment |= {"DATA_API_BASE_URL": "https://127.0.0.1:9/v1", "SSLKEYLOGFILE": "/nonsuch/keys"}
    done = command("doctor", environment=environment)
    assert (done.returncode, done.stderr) == (2, "")
    assert re.search("^FAIL  connection .*SSLKEYLOGFILE cannot be written: /nonsuch/keys", done.stdout, re.MULTILINE)
    assert "ok    database" in done.stdout


@pytest.mark.parametrize("arguments", [("sandbox",), ("dev",), ("dev", "--own"), ("metrics",)], ids=" ".join)
def test_a_port_that_is_taken_ends_the_command_at_once(command, environment, arguments):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command(*arguments, "--port", str(taken.getsockname()[1]), environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert re.search(r"--port.* cannot be listened on: Address already in use", done.stderr)
    assert "Dagster" not in done.stdout


def test_a_misspelt_setting_is_told_at_the_start_of_a_command_and_by_the_doctor(command, environment):
    environment |= {"SYNC_LOKBACK_DAYS": "5"}
    told = "SYNC_LOKBACK_DAYS is no setting; SYNC_LOOK_BACK_DAYS was probably meant"
    done = command("doctor", environment=environment)
    assert done.returncode == 0, done.stdout
    assert f"ecommpay-sync: warning: {told}." in done.stderr.splitlines()
    assert told in done.stdout.splitlines()[0]


WRONG = {
    "wrong token": ({"DATA_API_TOKEN": "x" * 30}, 2, r"answered 401 to operations/get: .*check DATA_API_TOKEN"),
    "short token": ({"DATA_API_TOKEN": DEMO_TOKEN[:29]}, 2, r"DATA_API_TOKEN has 29 characters; a token is 30"),
    "no token": ({"DATA_API_TOKEN": ""}, 2, r"DATA_API_TOKEN is not set: .*My profile → API Tokens"),
    "no secret": ({"DATA_API_SECRET": ""}, 2, r"DATA_API_SECRET is not set"),
    "wrong secret": ({"DATA_API_SECRET": "another"}, 2, r"answered 401 to operations/get"),
    "unreachable host": ({"DATA_API_BASE_URL": "http://127.0.0.1:9/v1"}, 1, r"no connection to 127\.0\.0\.1:9: "),
    "no such host": ({"DATA_API_BASE_URL": "https://data.invalid/v1"}, 1, r"no connection to data\.invalid: "),
    "plain http": ({"DATA_API_BASE_URL": "http://data.ecommpay.com/v1"}, 2, r"plain http to data\.ecommpay\.com: "),
    "no URL": ({"DATA_API_BASE_URL": "data.ecommpay.com"}, 2, r"DATA_API_BASE_URL is not a base URL"),
    "database down": (
        {"DATABASE_URL": "postgresql://u:pass-word@127.0.0.1:9/x"},
        1,
        r"PostgreSQL \(x at 127\.0\.0\.1\)",
    ),
    "no database URL": ({"DATABASE_URL": "mysql://x"}, 2, r"DATABASE_URL is not a PostgreSQL URL"),
    "no Dagster home": ({"DAGSTER_HOME": "/nowhere/at/all"}, 2, r"DAGSTER_HOME is no folder"),
    "impossible cron": (
        {"SYNC_NIGHTLY_CRON": "61 3 * * *"},
        2,
        r"SYNC_NIGHTLY_CRON is '61 3 \* \* \*', which is no cron",
    ),
    "a proxy that cannot be used": (
        {"DATA_API_BASE_URL": "https://data.invalid/v1", "ALL_PROXY": "socks5h://proxy:1080"},
        2,
        r"ALL_PROXY names a proxy of the kind socks5h",
    ),
    "wrong setting": ({"SYNC_LOOK_BACK_DAYS": "three"}, 2, r"SYNC_LOOK_BACK_DAYS is 'three'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line_and_nothing_is_written(command, environment, store, name):
    changes, exit_code, message = WRONG[name]
    done = command("operations", *DAYS, environment=environment | changes)
    assert done.returncode == exit_code, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("ecommpay-sync: ")]
    assert len(told) == 1, done.stderr
    assert re.search(message, told[0])
    assert "Traceback" not in done.stdout + done.stderr
    assert "pass-word" not in done.stdout + done.stderr
    assert fetch_all(store, "SELECT count(*) FROM core.operations") == [{"count": 0}]
    assert fetch_all(store, "SELECT count(*) FROM sync.windows") == [{"count": 0}]


@pytest.mark.parametrize(
    ("arguments", "changes", "said"),
    [
        (("dev", "--own"), {"DATA_API_TOKEN": ""}, "DATA_API_TOKEN is not set"),
        (("dev", "--own"), {"SYNC_NIGHTLY_CRON": "61 3 * * *"}, "SYNC_NIGHTLY_CRON is '61 3 * * *'"),
        (("report", "--date", "2024-03-01"), {"SYNC_RATES_FILE": "{rates}"}, "line 2: rate is '0,9'"),
        (("report", "--date", "2024-03-01"), {"SYNC_REPORTING_CURRENCY": "EUR"}, "need each other"),
    ],
)
def test_a_setting_that_only_one_command_needs_is_refused_by_it_in_one_line(
    command, environment, tmp_path, arguments, changes, said
):
    rates = tmp_path / "rates.csv"
    rates.write_text('day,from,to,rate,source\n2024-03-01,USD,EUR,"0,9",ECB\n')
    changes = {name: value.format(rates=rates) for name, value in changes.items()}
    done = command(*arguments, environment=environment | changes)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert said in line
    if arguments[0] == "report":
        examined = command("doctor", environment=environment | changes)
        assert examined.returncode == 2
        assert said in examined.stdout.splitlines()[0]


ARGUMENTS = {
    ("--from", "2024-03-32", "--to", "2024-03-03"): "--from '2024-03-32' is no day",
    ("--from", "1 March", "--to", "2024-03-03"): "--from '1 March' is no day",
    ("--from", "2024-03-03", "--to", "2024-03-01"): "--to 2024-03-01 is before --from 2024-03-03",
    ("--from", "2199-01-01", "--to", "2199-01-02"): "2199-01-01 is in the future",
    ("--from", "2001-01-01", "--to", "2001-01-02"): "before the first day this system keeps",
    ("--from", "2024-03-01", "--to", "2024-03-01", "--project", "-4"): "--project takes a project id",
    ("--from", "2024-03-01", "--to", "2024-03-01", "--project", "x"): "Invalid value for '--project'",
    ("--from", "2024-03-01"): "Missing option '--to': see `ecommpay-sync operations --help`.",
    ("--from", "2024-03-01", "--till", "2024-03-01"): "No such option: --till",
}


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_arguments_that_make_no_sense_are_told_in_one_line(command, environment, arguments):
    done = command("operations", *arguments, environment=environment)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("ecommpay-sync: ")
    assert ARGUMENTS[arguments] in line


NO_YEAR, EMPTY, HUGE = "is no day of the years 1990 to 2999", "it is empty; leave it out", str(10**20)
BY = ("--by", "Ann", "--note", "x")
OF_OTHERS = {
    ("reconcile", "--date", "9999-12-31"): NO_YEAR,
    ("close", "--date", "0001-01-01", "--by", "Ann"): NO_YEAR,
    ("report", "--date", "9999-12-31"): NO_YEAR,
    ("replay", "--from", "9999-12-31", "--to", "9999-12-31"): NO_YEAR,
    ("report", "--date", "2999-12-31"): "2999-12-31 has not begun in UTC: name a day that has.",
    ("breaks", "--min-age", HUGE): "Invalid value for '--min-age'",
    ("explain", HUGE, *BY): "Invalid value for '[BREAK_ID]...'",
    ("breaks", "--currency", ""): f"'--currency': {EMPTY}",
    ("operations", *DAYS, "--account", ""): f"'--account': {EMPTY}",
    ("close", "--date", "2024-03-01", "--by", "Ann", "--account="): f"'--account': {EMPTY}",
    ("breaks", "--output", ""): f"'--output': {EMPTY}",
    ("ledger", "import", "/"): "/ is no .csv, .parquet or .xlsx",
    ("dev", "--own", "--port", "0"): "Invalid value for '--port'",
}


@pytest.mark.parametrize("arguments", OF_OTHERS, ids=" ".join)
def test_arguments_of_other_commands_that_make_no_sense_are_told_in_one_line(command, environment, arguments):
    done = command(*arguments, environment=environment)
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert OF_OTHERS[arguments] in line


def test_no_option_that_may_be_left_out_takes_an_empty_value_for_that():
    whole = get_command(app)
    tried = 0
    for words in empty_options(whole, ()):
        with pytest.raises(typer.BadParameter, match=EMPTY):
            whole([*words], standalone_mode=False)
        tried += 1
    assert tried > 100


def empty_options(command, words):
    for param in command.params:
        if param.param_type_name == "option" and not param.required and not param.is_flag:
            yield from ((*words, param.opts[0], ""), (*words, f"{param.opts[0]}="))
    for name, inner in getattr(command, "commands", {}).items():
        yield from empty_options(inner, (*words, name))


def test_an_unseen_project_is_refused_with_the_platforms_own_words(command, environment, sandbox):
    unseen = str(sandbox.world.projects[-1])
    done = command("operations", *DAYS, "--project", unseen, environment=environment)
    assert done.returncode == 2
    assert f"You have no access to project_id = {unseen}" in done.stderr


def test_a_replaced_token_is_refused(command, environment):
    replaced = Account(token="y" * 30)
    with SandboxServer(World.of(now="2024-04-01"), accounts=[Account(), replaced]) as sandbox:
        sandbox.accounts.put(Account(token="z" * 30))
        done = command("balances", environment=environment | {"DATA_API_BASE_URL": sandbox.url})
    assert done.returncode == 2
    assert "answered 401 to balance/get" in done.stderr


def test_token_and_secret_come_from_files_too(command, environment, tmp_path):
    for name in ("DATA_API_TOKEN", "DATA_API_SECRET", "DATABASE_URL"):
        file = tmp_path / name
        file.write_text(environment.pop(name) + "\n")
        environment[f"{name}_FILE"] = str(file)
    done = command("balances", environment=environment)
    assert done.returncode == 0, done.stderr


def test_a_row_that_cannot_be_typed_ends_the_command_with_1(command, environment, store):
    world = World.of([({"operation_id": "1", "sum_initial": {"amount": "1.5", "currency": "EUR"}}, "2024-03-01")])
    with SandboxServer(world) as sandbox:
        done = command("operations", *DAYS, environment=environment | {"DATA_API_BASE_URL": sandbox.url})
    assert done.returncode == 1
    assert "check no_rejects of operations failed" in done.stderr
    assert fetch_all(store, "SELECT count(*) FROM core.rejects") == [{"count": 1}]


def test_no_secret_is_anywhere_in_output_logs_dagster_storage_or_database(command, environment, store_url, tmp_path):
    """A run that succeeds, one that is refused, one with faults: then every byte that they left is searched."""
    runs = [command("operations", *DAYS, environment=environment), command("balances", environment=environment)]
    wrong = environment | {"DATA_API_SECRET": "another-secret-that-must-not-leak"}
    runs.append(command("operations", *DAYS, environment=wrong))
    runs.append(command("doctor", environment=wrong))
    hidden = [DEMO_TOKEN.encode(), DEMO_SECRET.encode(), b"another-secret-that-must-not-leak"]
    assert_nowhere(hidden, runs, [tmp_path], store_url)


def test_a_tampered_store_is_noticed_by_the_check(command, environment, store):
    """An amount changed in the database no longer fits the ledger entry of the walk that wrote it."""
    command("operations", *DAYS, environment=environment)
    execute(
        store,
        "UPDATE core.operations SET sum_initial_amount = sum_initial_amount + 1 WHERE operation_id = "
        "(SELECT min(operation_id) FROM core.operations WHERE sum_initial_amount IS NOT NULL)",
    )
    found = fetch_all(store, "SELECT count(*) FROM sync.windows WHERE totals_written <> sync.written_totals(window_id)")
    assert found == [{"count": 1}]


def test_after_kill_9_twice_the_next_command_continues_and_waits_for_nothing(command, environment, store):
    """Neither a lock, nor a slot of Dagster, nor half a window stays behind; what was committed is not walked again."""
    world = World.generate(seed=4, start="2024-03-01", days=3, operations=30_000, now="2024-04-01T00:00:00")
    environment = {key: value for key, value in environment.items() if key != "DAGSTER_HOME"}
    with SandboxServer(world) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url, "SYNC_WINDOWS_IN_FLIGHT": "1"}
        sandbox.faults.always(("slow", 0.1))
        for _ in range(2):
            kill_after_a_window(command, environment, store)
        sandbox.faults.clear()
        finished = command("operations", *DAYS, environment=environment)
        assert finished.returncode == 0, finished.stderr
        assert "an interrupted run already did" in finished.stderr
        assert differences(store, world, "2024-03-01", "2024-03-03") == {}
    with dg.DagsterInstance.from_config(str(Path(environment["SYNC_DATA_DIR"]) / "dagster")) as instance:
        statuses = sorted(run.status.value for run in instance.get_runs())
    assert statuses == ["FAILURE", "FAILURE", "SUCCESS"], "a killed command does not count as running for ever"


def kill_after_a_window(command, environment, store):
    def committed():
        return fetch_all(store, "SELECT count(*) FROM sync.windows")[0]["count"]

    before, until = committed(), time.monotonic() + 90
    with command.started("operations", *DAYS, environment=environment) as running:
        while time.monotonic() < until and committed() == before:
            time.sleep(0.05)
    assert running.returncode == -signal.SIGKILL
    assert committed() > before
    assert fetch_all(store, "SELECT count(DISTINCT window_id) FROM core.operations")[0]["count"] == committed()
