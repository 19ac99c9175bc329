"""One pool of connections to PostgreSQL; how one is made is in `connect`, what is stored in `load` and `ledger`."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import psycopg
import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

import sql
from resources.errors import WarehouseBroken
from resources.values import text_of_file
from resources.warehouse.connect import APPLICATION, LOCK_SECONDS, Blockers, Driver, connect, place_of
from resources.warehouse.failures import explain

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

__all__ = ["Warehouse", "affect", "driver_of", "explain", "run", "run_many", "script"]


CANCEL_SECONDS = 3


class Warehouse:
    """A PostgreSQL database by its libpq URL. Safe to use from several threads; close it, or use `with`.

    Raises:
        ConfigError: libpq cannot read the URL.
    """

    def __init__(
        self,
        url: str,
        *,
        url_file: str | None = None,
        pool_size: int = 8,
        lock_seconds: float = LOCK_SECONDS,
        read_only: bool = False,
    ) -> None:
        self.url = url
        self._url_file, self._lock_seconds, self._read_only = url_file, lock_seconds, read_only
        self._place = place_of(url)
        self._in_transaction: set[Driver] = set()
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",  # only the dialect: libpq itself reads the URL, socket directories included
            creator=self.connect,
            pool_size=pool_size,
            max_overflow=-1,  # as many as there are threads that need one
            pool_pre_ping=True,
            hide_parameters=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Warehouse({self.place()})"

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def place(self) -> str:
        """Return where the database is, without user and password."""
        return self._place

    def connect(self, application: str = APPLICATION, *, autocommit: bool = False, lock_seconds: float = 0) -> Driver:
        """Return a connection of its own, set up like every other; 0: locks are waited for as long as elsewhere.

        A password that changed since is read again, where a file holds the URL.

        Raises:
            ConfigError, WarehouseUnavailable, WarehouseBroken: as `connect` says.
        """
        url = text_of_file("DATABASE_URL_FILE", self._url_file) if self._url_file else self.url
        return connect(
            url,
            application=application,
            lock_seconds=lock_seconds or self._lock_seconds,
            read_only=self._read_only,
            autocommit=autocommit,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection in a transaction: all of it is committed, or nothing.

        Raises:
            ConfigError: the login, or what it leads to, must be changed first.
            WarehouseUnavailable: no connection, or the server gave up (gone, disk full, no right, a lock held).
            WarehouseBroken: a statement did not fit the tables.
        """
        blockers = None
        try:
            with self._engine.begin() as connection:
                driver = driver_of(connection)
                self._in_transaction.add(driver)
                try:
                    with Blockers(self.connect, driver.info.backend_pid, self._lock_seconds).watched() as blockers:
                        yield connection
                finally:
                    self._in_transaction.discard(driver)
        except (SQLAlchemyError, psycopg.Error) as error:
            raise explain(error, self.place(), str(blockers or "")) from None

    def cancel(self) -> None:
        """Cancel what other threads execute, until all have rolled back, or for some seconds."""
        give_up_at = time.monotonic() + CANCEL_SECONDS
        while self._in_transaction and time.monotonic() < give_up_at:
            for driver in list(self._in_transaction):
                with suppress(psycopg.Error):
                    driver.cancel_safe(timeout=1)
            time.sleep(0.1)

    def query(self, name: str, **parameters: Any) -> list[Row[Any]]:
        """Return the rows of the statement `name` (`sql.text` says how it is named)."""
        with self.transaction() as connection:
            return run(connection, name, **parameters)


def open_warehouse(url: str | None, url_file: str | None = None, *, read_only: bool = False) -> Warehouse:
    """Return the warehouse at `url`, or the embedded one; not migrated. `url_file` is read at each new connection.

    Raises:
        ConfigError: libpq cannot read the URL.
        WarehouseUnavailable: the embedded one could not be started.
    """
    if url and not url_file and not os.environ.get("DATABASE_URL"):
        url_file = os.environ.get("DATABASE_URL_FILE") or None
    if url is None:
        from resources.settings import data_dir
        from resources.warehouse.embedded import embedded_url

        return Warehouse(embedded_url(data_dir()), read_only=read_only)
    return Warehouse(url, url_file=url_file, read_only=read_only)


def run(connection: Connection, name: str, **parameters: Any) -> list[Row[Any]]:
    """Execute the statement `name` of `sql/` and return its rows; none for a statement that returns none."""
    result = connection.execute(sqlalchemy.text(sql.text(name)), parameters)
    return list(result.all()) if result.returns_rows else []


def script(connection: Connection, file: str) -> None:
    """Execute the statements of `sql/<file>.sql` as they are, without parameters: `%` and `:` mean nothing."""
    driver_of(connection).execute(sql.script(file))


def driver_of(connection: Connection) -> Any:
    """Return psycopg's own connection beneath, for what SQLAlchemy does not do: scripts, COPY."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise WarehouseBroken("the pool gave no connection to execute on.")
    return driver


def affect(connection: Connection, name: str, **parameters: Any) -> int:
    """Execute the statement `name` and return how many rows it affected."""
    return int(connection.execute(sqlalchemy.text(sql.text(name)), parameters).rowcount)


def run_many(connection: Connection, name: str, rows: list[dict[str, Any]]) -> None:
    """Execute the statement `name` once for each of `rows`."""
    if rows:
        connection.execute(sqlalchemy.text(sql.text(name)), rows)
