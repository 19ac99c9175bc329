"""The command on any terminal, and before any work: encodings, version, help, what it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fixtures.commands import ROOT, execute, fetch_all
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World

DAYS = ("--from", "2024-03-01", "--to", "2024-03-03")
ENCODINGS = {
    "PYTHONIOENCODING=ascii": {"PYTHONIOENCODING": "ascii"},
    # a locale that machines seldom have installed: Python says the same of it by this variable
    "ISO-8859-1": {"PYTHONIOENCODING": "iso-8859-1"},
    "the C locale": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.fixture(scope="module")
def sandbox():
    world = World.generate(seed=3, start="2024-03-01", days=3, operations=600, now="2024-04-01T00:00:00")
    with SandboxServer(world) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """The home of Dagster that the first load makes."""
    return tmp_path_factory.mktemp("dagster")


@pytest.fixture
def environment(sandbox, store_url, home, tmp_path):
    return {
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "DATABASE_URL": store_url,
        "SYNC_DATA_DIR": str(tmp_path),
        "DAGSTER_HOME": str(home),
        "SYNC_RETRY_SECONDS": "2",
    }


COMMAND = str(Path(sys.executable).parent / "ecommpay-sync")


def run(*arguments, environment):
    """As fixtures.commands.command does, but whatever bytes are written."""
    done = subprocess.run(
        [COMMAND, *arguments], env={"PATH": os.environ["PATH"]} | environment, capture_output=True, check=False
    )
    return done.returncode, done.stdout.decode("ascii", "replace"), done.stderr.decode("ascii", "replace")


# Encodings


@pytest.mark.parametrize("name", ENCODINGS)
def test_b14_a_load_is_complete_on_a_terminal_of_any_encoding(environment, store, sandbox, name):
    """The title of the control totals has a character that neither ASCII nor ISO-8859-1 has."""
    code, output, errors = run("operations", *DAYS, environment=environment | ENCODINGS[name])
    assert code == 0, errors
    assert "Operations read, by currency and status (? = awaiting)" in output
    (stored,) = fetch_all(store, "SELECT count(*) FROM core.operations")
    assert stored["count"] == len(sandbox.world.truth(None, "2024-03-01", "2024-03-03 23:59:59"))


def test_a_load_shows_its_bar_on_a_terminal_of_an_old_encoding(environment, store):
    terminal, end = os.openpty()
    settings = {"PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "100"} | ENCODINGS["ISO-8859-1"]
    with subprocess.Popen(
        [COMMAND, "operations", *DAYS], env=settings | environment, stdout=end, stderr=end
    ) as process:
        os.close(end)
        shown = b""
        while True:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the command has ended
                break
    os.close(terminal)
    assert process.returncode == 0, shown
    assert re.search(rb"2024-03-01 to 2024-03-03 .*0 %  0 rows", shown), shown
    assert b"complete: " in shown


@pytest.mark.parametrize("name", ENCODINGS)
@pytest.mark.parametrize(
    ("arguments", "changes", "code", "shown"),
    [
        (("status",), {}, 0, r"failed +\?\? \? no such day"),
        (("doctor",), {"DATA_API_TOKEN": ""}, 2, r"FAIL  credentials +DATA_API_TOKEN is not set: .*My profile \? API"),
        (("doctor",), {"DATA_API_TOKEN": ""}, 2, r"\?     connection +not checked: credentials first"),
        (("balances",), {"DATA_API_TOKEN": ""}, 2, r"ecommpay-sync: DATA_API_TOKEN is not set: .*My profile \? API"),
        (("breaks", "--date", "日本"), {}, 2, r"^ecommpay-sync: --date '.+' is no day"),
        (("日本",), {}, 2, r"^ecommpay-sync: No such command '.+': see"),
    ],
    ids=["table", "line", "line of a skipped check", "error of the work", "error of an argument", "wrong usage"],
)
def test_tables_lines_and_errors_are_printed_whatever_the_encoding(
    environment, store, name, arguments, changes, code, shown
):
    execute(
        store,
        "INSERT INTO sync.runs (account, stream, product_version, state, message) "
        "VALUES ('default', 'operations', '1', 'failed', '日本 – no such day')",
    )
    exit_code, output, errors = run(*arguments, environment=environment | changes | ENCODINGS[name])
    assert exit_code == code, errors
    assert re.search(shown, output + errors), output + errors
    assert "unexpected" not in errors
    assert "Traceback" not in errors


# What a command imports

WITHOUT_DAGSTER = """
import json, sys
sys.modules["dagster"] = None  # an import of it fails
from pipelines.cli import main
codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["ecommpay-sync", *arguments]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code or 0)
print(codes, file=sys.stderr)
"""


def test_commands_that_only_read_the_database_do_not_import_dagster(environment):
    commands = [
        *(["status"], ["verify"], ["breaks"], ["metrics"], ["dictionary"], ["doctor"], ["marts"], ["replay", *DAYS]),
        *(["trace", "1"], ["--version"], ["--help"]),
    ]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_DAGSTER, json.dumps(commands)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    # nothing is loaded that could be replayed or traced
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0]", done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize("arguments", [["status"], ["verify"], ["breaks"]], ids=" ".join)
def test_small_commands_import_no_library_of_the_load(environment, arguments):
    code = "import sys; from pipelines.cli import main\ntry: main()\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert imported & {"dagster", "pandas", "pyarrow", "httpx", "matplotlib", "openpyxl"} == set()
    assert "sqlalchemy" in imported


# Version and help


def test_the_version_is_that_of_the_package(environment):
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run("--version", environment=environment)[:2] == (0, f"ecommpay-sync {version}\n")


@pytest.mark.parametrize("installed", [False, True], ids=["shown", "installed"])
def test_bash_completes_commands_and_options(tmp_path, installed):
    get_it = "ecommpay-sync --install-completion >/dev/null; . ~/.bashrc" if installed else ""
    complete = f"""{get_it or 'eval "$(ecommpay-sync --show-completion)"'}
for words in "ecommpay-sync rec" "ecommpay-sync reconcile --da" "ecommpay-sync breaks as"; do
    COMP_WORDS=($words); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _ecommpay_sync_completion ecommpay-sync; echo "${{COMPREPLY[@]}}"
done"""
    done = subprocess.run(
        ["bash", "-c", complete],
        env={"PATH": f"{Path(COMMAND).parent}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("reconcile\n--date\nassign\n", "")


def test_the_help_lists_each_command_once_under_a_heading(environment):
    code, output, _ = run("--help", environment=environment)
    assert code == 0
    commands, heading = [], None
    for line in output.splitlines():
        heading = line if re.fullmatch(r"[A-Z].*:", line) else heading
        if heading not in {None, "Options:"} and (command := re.match(r"  ([a-z-]+)  ", line)):
            commands.append(command[1])
    assert " ".join(sorted(commands)) == (
        "alert balances breaks close database demo dev dictionary doctor documents erase explain fraud grant init "
        "ledger marts match metrics operations reconcile reopen replay report sandbox settings spot-check status trace "
        "unmatch verify"
    )


# Output that cannot be written


@pytest.mark.parametrize("arguments", [["--version"], ["settings"], ["status"]], ids=" ".join)
def test_output_that_cannot_be_written_is_told_in_one_line(environment, arguments):
    settings = {"PATH": os.environ["PATH"]} | environment
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, *arguments], env=settings, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (
        1,
        "ecommpay-sync: the output: no space left on device: make room there, then run the same command again.\n",
    )


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_a_command_whose_output_is_closed_does_its_work(environment, store, closed):
    shell = f'"{COMMAND}" marts {closed}'
    settings = {"PATH": os.environ["PATH"]} | environment
    done = subprocess.run(["sh", "-c", shell], env=settings, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_command_without_any_input_asks_nothing(environment, tmp_path):
    settings = {"PATH": os.environ["PATH"]} | environment
    shell = f'"{COMMAND}" init <&- && "{COMMAND}" init --overwrite <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", shell], env=settings, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "ecommpay-sync.toml").exists()


def left_by_its_reader(arguments, settings, *, stderr=None):
    """The exit code and stderr of a command whose output, or whose every word, goes to somebody who has left."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [COMMAND, *arguments],
            env=settings,
            stdout=writer,
            stderr=writer if stderr else subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["settings"], ["status"], ["doctor"], ["marts"]], ids=" ".join)
def test_a_command_whose_reader_has_left_does_its_work_and_ends_as_ever(environment, store, arguments):
    settings = {"PATH": os.environ["PATH"]} | environment
    assert left_by_its_reader(arguments, settings) == (0, b"")
    assert left_by_its_reader(arguments, settings, stderr="too") == (0, None)


def test_a_failure_that_nobody_reads_is_one_and_keeps_no_other_account_from_its_work(environment, store):
    names = ("DATA_API_TOKEN", "DATA_API_SECRET")
    settings = {name: value for name, value in environment.items() if name not in names}
    settings |= {"PATH": os.environ["PATH"], "ACCOUNTS": "acme,globex", "DATA_API_TOKEN__ACME": "short"}
    settings |= {f"{name}__GLOBEX": environment[name] for name in names}
    assert left_by_its_reader(["balances"], settings, stderr="too") == (2, None)
    assert fetch_all(store, "SELECT DISTINCT account FROM core.balance_snapshots") == [{"account": "globex"}]


# A warehouse that nothing was loaded into


DAY = "2024-03-01"
READING = [
    *(["status"], ["settings"], ["verify"], ["metrics"], ["breaks"], ["breaks", "reasons"], ["trace", "1"], ["alert"]),
    *(["replay", "--from", DAY, "--to", DAY], ["report", "--date", DAY], ["report", "--month", "2024-03"]),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_command_that_reads_says_of_an_empty_database_what_to_do(command, environment, empty_url, arguments):
    done = command(*arguments, environment=environment | {"DATABASE_URL": empty_url})
    assert done.returncode == 0 or "migrations are pending" in done.stderr, done.stderr
    assert done.stderr.count("\n") <= 1
