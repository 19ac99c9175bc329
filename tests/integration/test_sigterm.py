"""SIGTERM ends any wait within five seconds: for locks, for the platform, for the server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World

LOAD = ["operations", "--from", "2024-03-01", "--to", "2024-03-02"]
SECONDS = 5.0


@dataclass
class Place:
    """Where a command works, and what it waits for there."""

    url: str
    sandbox: SandboxServer
    folder: Path
    stack: ExitStack

    def hold(self, statement: str) -> None:
        """Another session holds a lock."""
        holder = self.stack.enter_context(psycopg.connect(self.url))
        holder.execute(statement)

    def answer(self, *faults) -> None:
        self.sandbox.faults.always(*faults)


def a_lock(place: Place) -> bool:
    with psycopg.connect(place.url, autocommit=True) as other:
        return other.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is not None


def the_platform(place: Place) -> bool:
    return place.sandbox.request_count >= 1


def held(statement: str) -> Callable[[Place], None]:
    return lambda place: place.hold(statement)


def answered(*faults) -> Callable[[Place], None]:
    return lambda place: place.answer(*faults)


WAITS = {
    "migration": (["marts"], held("LOCK sync.migrations"), a_lock),
    "reader of a mart": (["marts", "--full"], held("SELECT * FROM bi.fct_payments"), a_lock),
    "the load's table": (LOAD, held("LOCK core.operations IN EXCLUSIVE MODE"), a_lock),
    "import of books": (["ledger", "import", "books.csv"], held("LOCK recon.ledger_entries"), a_lock),
    "a reading command": (["status"], held("LOCK sync.runs"), a_lock),
    "days that another run loads": (LOAD, held("LOCK sync.runs IN EXCLUSIVE MODE"), a_lock),
    "an answer that takes a minute": (LOAD, answered(("slow", 60.0)), the_platform),
    "a try again": (LOAD, answered("http_500"), the_platform),
    "a rate": (LOAD, answered(("http_429", 60)), the_platform),
    "doctor": (["doctor"], answered(("slow", 60.0)), the_platform),
}


@pytest.fixture
def place(store_url, tmp_path) -> Iterator[Place]:
    world = World.generate(seed=5, start="2024-03-01", days=2, operations=60, now="2024-04-01T00:00:00")
    (tmp_path / "books.csv").write_text(
        "entry_id,booked_at,operation_type,currency,amount\n1,2024-03-01,sale,EUR,1.00\n", encoding="utf-8"
    )
    with SandboxServer(world) as sandbox, ExitStack() as stack:
        yield Place(store_url, sandbox, tmp_path, stack)


def assert_ends_in_time(place: Place, arguments: list[str], is_waiting: Callable[[Place], bool], **more: str) -> None:
    """Start a command, and end it once it waits; a machine so busy that a start takes minutes gets a share of that."""
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": place.url,
        "DATA_API_BASE_URL": place.sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(place.folder / "data"),
    }
    command, said = [f"{sys.prefix}/bin/ecommpay-sync", *arguments], place.folder / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(
            command, env=environment | more, cwd=place.folder, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        started = time.monotonic()
        try:
            while not is_waiting(place):
                assert process.poll() is None, said.read_text()
                assert time.monotonic() < started + 240
                time.sleep(0.2)
            time.sleep(0.5)
            assert process.poll() is None, said.read_text()
            began = time.monotonic()
            process.terminate()
            process.wait(60)
            took = time.monotonic() - began
        finally:
            process.kill()
    assert process.returncode not in (0, 2), said.read_text()
    assert took < max(SECONDS, (began - started) / 4)


@pytest.mark.parametrize("wait", sorted(WAITS))
def test_b7_sigterm_ends_any_wait_within_five_seconds(place, wait):
    arguments, prepare, is_waiting = WAITS[wait]
    prepare(place)
    assert_ends_in_time(place, arguments, is_waiting)


def test_b7_sigterm_ends_the_wait_for_a_server_that_says_nothing(place):
    with silent_server() as (port, seen):
        url = f"postgresql://postgres@127.0.0.1:{port}/sales"
        assert_ends_in_time(place, ["status"], lambda _: bool(seen()), DATABASE_URL=url)


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
