"""SIGTERM ends any wait within five seconds: for locks, platform, server, readers; also where it goes unheard."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import psycopg
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.warehouse.engine import Warehouse
from resources.warehouse.locks import days_lock

DAY = "2024-03-01"
LOAD = ["operations", "--from", DAY, "--to", "2024-03-02"]
BACKFILL = ["operations", "--from", DAY, "--to", "2024-03-20"]
DOCUMENTS = '[documents.one]\nendpoint = "chargeback/get"\nparams = { id = "1" }\nkey = ["chargeback.id"]\n'
SECONDS = 5.0


@dataclass
class Place:
    """Where a command works, and what it waits for there."""

    url: str
    sandbox: SandboxServer
    folder: Path
    stack: ExitStack
    environment: dict[str, str] = field(default_factory=dict)
    stdout: str | None = None
    seen: Callable[[], list[socket.socket]] = list

    def hold(self, statement: str) -> None:
        """Another session holds a lock."""
        holder = self.stack.enter_context(psycopg.connect(self.url))
        holder.execute(statement)

    def load_elsewhere(self) -> None:
        """Another run loads the same days."""
        store = self.stack.enter_context(Warehouse(self.url))
        day = date.fromisoformat(DAY)
        self.stack.enter_context(days_lock(store, "default", day, day))

    def answer(self, *faults) -> None:
        self.sandbox.faults.always(*faults)

    def be_silent(self, variable: str, address: str) -> None:
        """A server takes the connection that a setting leads to, and says nothing."""
        port, self.seen = self.stack.enter_context(silent_server())
        self.environment[variable] = address.format(port)

    def read_nothing(self) -> None:
        """Whoever reads the output has stopped to read."""
        path = self.folder / "output"
        os.mkfifo(path)
        self.stack.callback(os.close, os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        self.stdout = str(path)


def a_lock(place: Place) -> bool:
    with psycopg.connect(place.url, autocommit=True) as other:
        return other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def the_platform(place: Place) -> bool:
    """A request has come; it is answered, or not even that."""
    return place.sandbox.faults.counts.total() >= 1


def a_server(place: Place) -> bool:
    return bool(place.seen())


def some_time(_: Place) -> bool:
    """Nobody sees what it waits for."""
    time.sleep(2)
    return True


def the_platform_and_then_a_lock(place: Place) -> bool:
    if not the_platform(place):
        return False
    place.hold("LOCK sync.runs")
    return True


def held(statement: str) -> Callable[[Place], None]:
    return lambda place: place.hold(statement)


def answered(*faults) -> Callable[[Place], None]:
    return lambda place: place.answer(*faults)


def silent(variable: str, address: str) -> Callable[[Place], None]:
    return lambda place: place.be_silent(variable, address)


LATE = answered(("slow", 60.0))
MUTE = "postgresql://postgres@127.0.0.1:{}/sales"
WAITS = {
    "migration": (["marts"], held("LOCK sync.migrations"), a_lock),
    "all marts": (["marts", "--full"], held("LOCK bi.fct_payments IN SHARE MODE"), a_lock),
    "marts": (["marts"], held("LOCK bi.fct_payments"), a_lock),
    "reconciliation": (["reconcile", "--date", DAY, "--leg", "books"], held("LOCK recon.breaks"), a_lock),
    "a walk for completeness": (["reconcile", "--date", DAY, "--leg", "completeness"], LATE, the_platform),
    "the load's table": (LOAD, held("LOCK core.operations IN EXCLUSIVE MODE"), a_lock),
    "import of books": (["ledger", "import", "{folder}/books.csv"], held("LOCK recon.ledger_entries"), a_lock),
    "inbox": (["ledger", "inbox"], held("LOCK recon.ledger_imports"), a_lock),
    "settings": (["settings", "apply"], held("LOCK core.settings"), a_lock),
    "roles": (["grant"], held("LOCK sync.windows"), a_lock),
    "erasing": (["erase", "--customer", "ann"], held("LOCK core.operations"), a_lock),
    "replay": (["replay", "--from", DAY, "--to", DAY], held("LOCK sync.windows"), a_lock),
    "verify": (["verify"], held("LOCK sync.windows"), a_lock),
    "alerts": (["alert"], held("LOCK sync.alerts"), a_lock),
    "closing": (["close", "--date", DAY, "--by", "ann"], held("LOCK recon.closes"), a_lock),
    "report": (["report", "--date", DAY], held("LOCK core.operations"), a_lock),
    "a reading command": (["status"], held("LOCK sync.runs"), a_lock),
    "a reader of our output": (["dictionary"], Place.read_nothing, some_time),
    "the ledger": (LOAD, held("LOCK sync.runs IN EXCLUSIVE MODE"), a_lock),
    "days that another run loads": (LOAD, Place.load_elsewhere, a_lock),
    "a backfill's days that another run loads": (BACKFILL, Place.load_elsewhere, a_lock),
    "an answer that takes a minute": (LOAD, LATE, the_platform),
    "an answer, and then the ledger": (LOAD, LATE, the_platform_and_then_a_lock),
    "a balance": (["balances"], LATE, the_platform),
    "a report of fraud": (["fraud", "--from", DAY, "--to", DAY], LATE, the_platform),
    "documents": (["documents"], LATE, the_platform),
    "a try again": (LOAD, answered("http_500"), the_platform),
    "a rate": (LOAD, answered(("http_429", 60)), the_platform),
    "doctor": (["doctor"], LATE, the_platform),
    "a server that says nothing": (["status"], silent("DATABASE_URL", MUTE), a_server),
    "a platform that says nothing": (["balances"], silent("DATA_API_BASE_URL", "http://127.0.0.1:{}"), a_server),
    "TLS with nobody": (["balances"], silent("DATA_API_BASE_URL", "https://127.0.0.1:{}"), a_server),
    "a webhook": (["alert", "--test"], silent("ALERT_WEBHOOK_URL", "http://127.0.0.1:{}/hook"), a_server),
}


@pytest.fixture
def place(store_url, tmp_path, dagster_home) -> Iterator[Place]:
    world = World.generate(seed=5, start=DAY, days=2, operations=60, now="2024-04-01T00:00:00")
    (tmp_path / "books.csv").write_text(
        "entry_id,booked_at,operation_type,currency,amount\n1,2024-03-01,sale,EUR,1.00\n", encoding="utf-8"
    )
    inbox = tmp_path / "inbox/default/contract"
    inbox.mkdir(parents=True)
    (inbox / "books.csv").write_bytes((tmp_path / "books.csv").read_bytes())
    (tmp_path / "documents.toml").write_text(DOCUMENTS, encoding="utf-8")
    with SandboxServer(world) as sandbox, ExitStack() as stack:
        environment = {
            "DATABASE_URL": store_url,
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "SYNC_DATA_DIR": str(tmp_path),
            "SYNC_BACKFILL_DAYS": "1",
            "SYNC_LEDGER_INBOX": str(tmp_path / "inbox"),
            "DOCUMENTS_FILE": str(tmp_path / "documents.toml"),
        }
        yield Place(store_url, sandbox, tmp_path, stack, environment)


@pytest.mark.parametrize("wait", sorted(WAITS))
def test_b7_sigterm_ends_any_wait_within_five_seconds(command, place, wait):
    arguments, prepare, is_waiting = WAITS[wait]
    prepare(place)
    arguments = [argument.format(folder=place.folder) for argument in arguments]
    with command.started(*arguments, environment=place.environment, stdout=place.stdout) as running:
        started = time.monotonic()
        while not is_waiting(place):
            assert not running.is_over(), running.said
            assert time.monotonic() < started + 240
            time.sleep(0.05)
        time.sleep(0.3)
        assert not running.is_over(), running.said
        began = time.monotonic()
        os.kill(running.pid, signal.SIGTERM)
        while not running.is_over() and time.monotonic() < began + 60:
            time.sleep(0.05)
        took = time.monotonic() - began
    said = running.said.splitlines()
    assert (running.returncode, said[-1][:22]) == (1, "ecommpay-sync: stopped"), said
    assert not any("Traceback" in line for line in said)
    # a machine so busy that a start takes minutes gets a share of that
    assert took < max(SECONDS, (began - started) / 4)


# what Dagster notes as it goes from one step to the next, and at either end of them
BETWEEN_STEPS = ("PIPELINE_START", "STEP_START", "STEP_SUCCESS")
STORAGE = """
telemetry: {{enabled: false}}
event_log_storage:
  module: interrupting_storage
  class: InterruptingStorage
  config: {{base_dir: {folder}}}
"""


@pytest.mark.parametrize("moment", BETWEEN_STEPS)
def test_sigterm_between_two_steps_of_a_run_is_told_as_any_other(command, place, dagster_home, moment):
    (dagster_home / "dagster.yaml").write_text(STORAGE.format(folder=dagster_home / "events"), encoding="utf-8")
    done = command("reconcile", "--date", DAY, environment={**place.environment, "INTERRUPT_AT": moment})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ecommpay-sync: stopped")
    assert "unexpected" not in done.stderr


# what is between the signal and the way out: nobody hears of it, or the way is long
UNHEARD = {
    "in a finalizer": "class Late:\n    def __del__(self): wait()\nLate()\ntime.sleep(60)",
    "in a callback of the garbage collector": "gc.callbacks.append(lambda *_: wait())\ngc.collect()\ntime.sleep(60)",
    "by a library that drops it": "try: wait()\nexcept BaseException: time.sleep(60)",
    "between two steps of Dagster": (
        "from dagster._utils.interrupts import capture_interrupts\nwith capture_interrupts(): wait()\ntime.sleep(60)"
    ),
    "with a thread that does not end": "threading.Thread(target=time.sleep, args=(60,)).start()\nwait()",
    "in a call that cannot be interrupted": "print(flush=True)\nctypes.PyDLL(None).sleep(60)",
}
PROGRAM = """
import ctypes, gc, threading, time
from pipelines.cli.console import Stopping

def wait():
    gc.callbacks.clear()
    print(flush=True)
    time.sleep(60)

Stopping(lambda: time.sleep(60))
"""


def test_a_signal_that_nobody_hears_ends_the_command_within_five_seconds():
    with ExitStack() as stack:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes = {
            where: stack.enter_context(subprocess.Popen([sys.executable, "-c", PROGRAM + lines], **pipes))
            for where, lines in UNHEARD.items()
        }
        for process in processes.values():
            process.stdout.readline()
        began = time.monotonic()
        for process in processes.values():
            process.terminate()
        said = {where: process.communicate(timeout=60) for where, process in processes.items()}
        took = time.monotonic() - began
    for where, process in processes.items():
        assert process.returncode not in (0, 2), (where, said)
        assert "ignored" not in said[where][1]
    assert took < SECONDS + 1


FAILS_ON_THE_WAY_OUT = """
import signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup,
signal.signal(signal.SIGINT, signal.default_int_handler)  # or in the background of a shell
from pipelines.cli import commands
from pipelines.cli.accounts import each_in_turn
from resources.errors import WarehouseBroken

def work(scope):
    try:
        print("works", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.2)
        raise WarehouseBroken("a statement was cut off")

commands.app.command("work")(lambda: each_in_turn(None, work))
sys.argv = ["ecommpay-sync", "work"]
commands.run()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("accounts", [("only",), ("acme", "globex")])
def test_what_fails_because_of_a_signal_is_told_as_the_signal_and_no_other_account_is_begun(tmp_path, accounts, number):
    file = tmp_path / "accounts.toml"
    text = "".join(
        f'[accounts.{name}]\ntoken = "{name}-token-made-up-of-30-chars"\nsecret = "{name}-secret"\n\n'
        for name in accounts
    )
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    environment = os.environ | {"ACCOUNTS_FILE": str(file)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", FAILS_ON_THE_WAY_OUT], env=environment, **pipes) as process:
        while process.stdout.readline().strip() != "works":
            assert process.poll() is None
        process.send_signal(number)
        more, said = process.communicate(timeout=60)
    assert (process.returncode, more, said) == (
        1,
        "",
        "ecommpay-sync: stopped; what was committed stays, and the same command continues from there.\n",
    )


def test_a_command_under_nohup_outlives_its_terminal():
    lines = ("signal.signal(signal.SIGHUP, signal.SIG_IGN)", "Stopping(print)", "signal.raise_signal(signal.SIGHUP)")
    program = "\n".join(("import signal", "from pipelines.cli.console import Stopping", *lines, "print('lives')"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lives\n", "")


IMPORTS = """
import os, signal, sys
from pipelines.cli import main

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "pipelines.cli.commands":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""


def test_ctrl_c_while_libraries_are_imported_leaves_no_stack_trace():
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@contextmanager
def silent_server():
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)

        def seen() -> list[socket.socket]:
            with suppress(TimeoutError):
                accepted.append(server.accept()[0])
            return accepted

        yield server.getsockname()[1], seen
        for connection in accepted:
            connection.close()
