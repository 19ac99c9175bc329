"""`ecommpay-sync init`: what it asks at a terminal, what it writes and with which modes, what it refuses."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World

COMMAND = str(Path(sys.executable).parent / "ecommpay-sync")
# a session of its own whose terminal is the pseudo terminal and whose Ctrl-C is heard, as a login shell has them
AT_A_TERMINAL = """
import os, signal, sys
os.open(os.ttyname(0), os.O_RDWR)
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(World.generate(seed=3, start="2024-03-01", days=1, operations=50)) as server:
        yield server


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def at_a_terminal(home: Path, answers: dict[str, list[str]], *arguments: str) -> tuple[int, str]:
    """The exit code and all that a person saw who gave these answers to the questions that hold these words."""
    terminal, end = os.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, COMMAND, "init", *arguments],
        **dict.fromkeys(("stdin", "stdout", "stderr"), end),
        env=environment,
        cwd=home,
        start_new_session=True,
    ) as process:
        os.close(end)
        shown, answered = b"", 0
        while True:
            if not select.select([terminal], [], [], 60)[0]:
                process.kill()
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # the command has ended
                break
            if shown[answered:].endswith(b"> "):
                asked = shown[answered:].decode()
                answered = len(shown)
                given = next((given for words, given in answers.items() if words in asked), None)
                time.sleep(0.05)  # a person types after the terminal has stopped to show it
                os.write(terminal, (given.pop(0) if given else "").encode() + b"\n")
    os.close(terminal)
    return process.returncode, shown.decode()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_person_answers_and_the_next_command_finds_everything(home, sandbox, store_url, command):
    answers = {
        "Where is the platform": ["http://example.com", sandbox.url],
        "Token": ["too short", DEMO_TOKEN],
        "Secret key": ["", DEMO_SECRET],
        "Name of the account": ["acme"],
        "PostgreSQL": [store_url],
        "business day begins": ["Europe/Atlantis", "Europe/Riga"],
        "First day": ["2024-01-01"],
        "Personal data": ["hash"],
    }
    code, shown = at_a_terminal(home, answers)
    assert code == 0, shown
    assert not any(answers.values()), "every answer was asked for"
    for hidden in (DEMO_TOKEN, DEMO_SECRET, store_url, "too short"):
        assert hidden not in shown
    for refused in ("plain http to example.com", "has 9 characters", "is needed.", "no IANA time zone"):
        assert refused in shown
    assert "schedule, 03:30 [Europe/Riga]" in shown
    assert re.search(r"ok +signature", shown), shown
    assert re.search(r"ok +database", shown), shown
    assert f"next: {COMMAND} operations" in shown

    config, secrets = home / "ecommpay-sync.toml", home / "secrets"
    assert tomllib.loads(config.read_text()) == {
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN_FILE": "secrets/data_api_token",
        "DATA_API_SECRET_FILE": "secrets/data_api_secret",
        "SYNC_ACCOUNT": "acme",
        "DATABASE_URL_FILE": "secrets/database_url",
        "SYNC_REPORTING_ZONE": "Europe/Riga",
        "SYNC_SCHEDULE_TIME_ZONE": "Europe/Riga",
        "SYNC_FIRST_DAY": "2024-01-01",
        "SYNC_PERSONAL_DATA": "hash",
        "SYNC_PERSONAL_DATA_KEY_FILE": "secrets/sync_personal_data_key",
    }
    assert {mode(path) for path in (config, *secrets.iterdir())} == {0o600}
    assert mode(secrets) == 0o700
    assert (secrets / "data_api_secret").read_text() == DEMO_SECRET + "\n"

    done = command("doctor", environment={"SYNC_CONFIG": str(config)})
    assert done.returncode == 0, done.stdout
    assert "account acme, first day 2024-01-01, look-back 3 days, personal data: hash" in done.stdout


def test_ctrl_c_and_the_end_of_the_input_leave_nothing(home):
    for pressed in ("\x03", "\x04"):
        code, shown = at_a_terminal(home, {"Where is the platform": [""], "Token": [pressed]})
        assert (code, "ecommpay-sync: stopped." in shown) == (1, True), shown
        assert [*home.iterdir()] == []


def test_without_a_terminal_options_and_environment_answer_and_all_else_has_its_default(
    home, sandbox, store_url, command
):
    (home / "token").write_text(DEMO_TOKEN)
    environment = {"DATA_API_SECRET": DEMO_SECRET, "DATABASE_URL": store_url, "SYNC_LOOK_BACK_DAYS": "5"}
    config = home / "new" / "my.toml"
    options = ("--config", str(config), "--set", f"DATA_API_BASE_URL={sandbox.url}")
    done = command(
        "init", *options, "--set", f"DATA_API_TOKEN_FILE={os.path.relpath(home / 'token')}", environment=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"for every later command: export SYNC_CONFIG={config}" in done.stdout
    assert tomllib.loads(config.read_text()) == {
        "DATA_API_SECRET_FILE": "secrets/data_api_secret",
        "DATABASE_URL_FILE": "secrets/database_url",
        "SYNC_LOOK_BACK_DAYS": "5",
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN_FILE": str(home / "token"),
    }
    assert command("doctor", environment={"SYNC_CONFIG": str(config)}).returncode == 0


def test_no_secret_gets_into_a_commit_of_the_folder_that_it_is_made_in(home, sandbox, store_url, command):
    subprocess.run(["git", "init", "--quiet"], cwd=home, check=True)
    given = {"DATA_API_BASE_URL": sandbox.url, "DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET}
    config = ("--config", str(home / "ecommpay-sync.toml"))
    done = command("init", "--no-input", *config, environment=given | {"DATABASE_URL": store_url})
    assert done.returncode == 0, done.stdout
    added = subprocess.run(["git", "add", "--all", "--verbose"], cwd=home, check=True, capture_output=True, text=True)
    assert added.stdout == "add 'ecommpay-sync.toml'\n"


def test_what_is_there_is_replaced_only_on_request_and_a_key_never(home, sandbox, store_url, command):
    environment = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET, "DATABASE_URL": store_url}
    environment |= {"DATA_API_BASE_URL": sandbox.url, "SYNC_CONFIG": str(home / "a.toml"), "SYNC_PERSONAL_DATA": "hash"}
    assert command("init", environment=environment).returncode == 0
    files = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    again = command("init", environment=environment | {"SYNC_ACCOUNT": "other"})
    assert again.returncode == 2
    assert re.search(r"a\.toml, .*data_api_token.* is there already.* --overwrite replaces it", again.stderr)
    assert {path: path.read_bytes() for path in files} == files

    over = command("init", "--overwrite", environment=environment | {"SYNC_ACCOUNT": "other"})
    assert over.returncode == 0, over.stdout + over.stderr
    assert tomllib.loads((home / "a.toml").read_text())["SYNC_ACCOUNT"] == "other"
    key = home / "secrets" / "sync_personal_data_key"
    assert key.read_bytes() == files[key]


@pytest.mark.parametrize(
    ("options", "changes", "refused"),
    [
        ((), {"DATA_API_TOKEN": ""}, "DATA_API_TOKEN is not set: in the Dashboard"),
        ((), {"DATA_API_TOKEN": "short"}, "DATA_API_TOKEN has 5 characters"),
        (("--set", "SYNC_FIRST_DAY=soon"), {}, "SYNC_FIRST_DAY is 'soon': write a day"),
        (("--set", f"DATA_API_SECRET={DEMO_SECRET}"), {}, "--set DATA_API_SECRET would show a secret"),
        (("--set", "SYNC_LOOKBACK_DAYS=3"), {}, "SYNC_LOOK_BACK_DAYS was probably meant"),
        (("--set", "SYNC_CONFIG=x"), {}, "--set 'SYNC_CONFIG' is no setting"),
        (("--set", "SYNC_FRAUD"), {}, "write NAME=VALUE"),
        ((), {"ACCOUNTS": "acme,globex"}, "ACCOUNTS is set, and init is for one account"),
        (("--config", "/proc/none/a.toml"), {}, "cannot be written: No such file or directory"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(home, command, options, changes, refused):
    environment = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET, "SYNC_CONFIG": str(home / "a.toml")}
    done = command("init", *options, environment=environment | changes)
    assert done.returncode == 2, done.stdout
    assert refused in done.stderr
    assert done.stderr.count("\n") == 1
    assert DEMO_SECRET not in done.stderr
    assert [*home.iterdir()] == []


def test_a_folder_of_secrets_that_others_may_enter_is_refused(home, command):
    (home / "secrets").mkdir(mode=0o755)
    environment = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET, "SYNC_CONFIG": str(home / "a.toml")}
    done = command("init", environment=environment)
    assert (done.returncode, "chmod 700" in done.stderr) == (2, True), done.stderr


def test_a_check_that_fails_is_shown_and_ends_with_its_code(home, sandbox, store_url, command):
    environment = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": "another", "DATABASE_URL": store_url}
    environment |= {"DATA_API_BASE_URL": sandbox.url, "SYNC_CONFIG": str(home / "a.toml")}
    done = command("init", environment=environment)
    assert done.returncode != 0
    assert re.search(r"FAIL +signature", done.stdout), done.stdout
    assert "next:" not in done.stdout
