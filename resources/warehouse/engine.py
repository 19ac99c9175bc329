"""One pool of connections to PostgreSQL, and its failures in one line; what is stored is in `load` and `ledger`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import psycopg
import sqlalchemy
from sqlalchemy.exc import DBAPIError

import sql
from resources.errors import ConfigError, WarehouseBroken, WarehouseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

CONNECT_TIMEOUT = 10
OLDEST_SERVER = 140000
# a database or a role may have defaults of its own, which must not change what we read and write
SESSION = r"-c timezone=UTC -c datestyle=ISO,YMD -c default_transaction_isolation=read\ committed"
# a / or @ that is not encoded would make libpq, and its messages, take half of a password for the host
URL = re.compile(r"postgres(?:ql)?://(?:[^@/]*@)?[^@?]*(?:\?|$)")


class Warehouse:
    """A PostgreSQL database by its libpq URL. Safe to use from several threads; close it, or use `with`.

    Raises:
        ConfigError: libpq cannot read the URL.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self.url = url
        self._place = _place_of(url)
        self._engine = sqlalchemy.create_engine(
            "postgresql+psycopg://",  # only the dialect: libpq itself reads the URL, socket directories included
            creator=lambda: psycopg.connect(
                url,
                connect_timeout=CONNECT_TIMEOUT,
                application_name="ecommpay-sync",
                options=SESSION,
            ),
            pool_size=pool_size,
            max_overflow=4,
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

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Yield a connection in a transaction: all of it is committed, or nothing.

        Raises:
            WarehouseUnavailable: no connection, or the server gave up (gone, disk full, no right).
            WarehouseBroken: a statement did not fit the tables.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise explain(error.orig, self.place()) from None
        except psycopg.Error as error:
            raise explain(error, self.place()) from None

    def query(self, name: str, **parameters: Any) -> list[Row[Any]]:
        """Return the rows of the statement `name` (`sql.text` says how it is named)."""
        with self.transaction() as connection:
            return run(connection, name, **parameters)


def open_warehouse(url: str | None) -> Warehouse:
    """Return the warehouse at `url`, or the embedded one; not migrated.

    Raises:
        ConfigError: libpq cannot read the URL.
        WarehouseUnavailable: the embedded one could not be started.
    """
    if url is None:
        from resources.settings import data_dir
        from resources.warehouse.embedded import embedded_url

        url = embedded_url(data_dir())
    return Warehouse(url)


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


def _place_of(url: str) -> str:
    try:
        parts = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None  # what libpq says can hold the password
    if parts is None or (url.startswith("postgres") and not URL.match(url)):
        raise ConfigError(
            "DATABASE_URL cannot be read as postgresql://user:password@host:5432/database: write special "
            "characters of user and password percent-encoded (@ as %40, / as %2F, % as %25)."
        )
    return f"{parts.get('dbname') or 'the default database'} at {parts.get('host') or 'the local socket'}"


def explain(error: BaseException | None, place: str) -> WarehouseUnavailable | WarehouseBroken:
    """Return the error for a failure of psycopg, in one line, without a value of a row or a password in it."""
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    said = re.sub(r"\s+", " ", primary or str(error)).strip()
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return WarehouseUnavailable(
            f"PostgreSQL ({place}) refused: {said} — as the owner of the database, run `ecommpay-sync grant`, "
            "which gives the loader's role what it needs."
        )
    if isinstance(error, psycopg.errors.DiskFull):
        return WarehouseUnavailable(
            f"PostgreSQL ({place}) has no room left: {said} — free some space on the server's disk; "
            "nothing was half-written, run the same command again."
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return WarehouseUnavailable(
            f"PostgreSQL ({place}) is not available: {said} — check DATABASE_URL and that the server runs; "
            "nothing was half-written, run the same command again."
        )
    return WarehouseBroken(
        f"PostgreSQL ({place}) could not execute a statement of ours: {said} — `ecommpay-sync doctor` says "
        "whether database and program fit each other; if they do, report this line."
    )
