"""Connections to PostgreSQL: how one is made, their pool, statements by name; what errors mean is in `failures`.

Every session is set up alike, whatever environment, role or pooler say. What it must be is set after connecting,
because poolers drop what is asked for at the start, and looked at afterwards; a server or a pooler that cannot serve
us is refused. What is stored is in `load` and `ledger`.
"""

from __future__ import annotations

import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

import psycopg
import sqlalchemy
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import namedtuple_row
from sqlalchemy.exc import SQLAlchemyError

import sql
from resources.environment import secret_of_file
from resources.errors import ConfigError, SyncError, WarehouseBroken
from resources.warehouse.failures import CONNECT_TIMEOUT, READ_ONLY, TRANSACTION_POOLER, explain, explain_refusal

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

OLDEST_SERVER = 140000
LOCK_SECONDS = 120
CANCEL_SECONDS = 3
LAST_PORT = 65_535
APPLICATION = "ecommpay-sync"
# of what a role, a database, a server or PGOPTIONS may set: all that changes what we read, write or wait for
SESSION = {
    "client_encoding": "UTF8",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "geqo": "on",
    "transform_null_equals": "off",
    "gin_fuzzy_search_limit": "0",
    "row_security": "off",  # an error rather than a part of the rows
    "search_path": "pg_catalog, pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
}
# what forgets idle connections on the way must not take the locks with it, nor leave us waiting for a dead server
DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT,
    "application_name": APPLICATION,
    "keepalives_idle": 60,
    "keepalives_interval": 15,
    "keepalives_count": 4,
}
# a / or @ that is not encoded would make libpq, and its messages, take half of a password for the host
URL = re.compile(r"postgres(?:ql)?://(?:[^@/]*@)?[^@?]*(?:\?|$)")

Driver = psycopg.Connection[tuple[Any, ...]]
_POOLERS_IN_SESSION_MODE: set[str] = set()


class NumericLoader(Loader):
    """Load a numeric without decimals as an int, as sums of minor units are; any other as a Decimal."""

    def load(self, data: Buffer) -> int | Decimal:
        """Return the number of a text."""
        text = bytes(data).decode()
        return int(text) if text.removeprefix("-").isdecimal() else Decimal(text)


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
        pool_size: int = 16,
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
        url = secret_of_file("DATABASE_URL_FILE", self._url_file) if self._url_file else self.url
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


def place_of(url: str) -> str:
    """Return where a URL leads to, without user and password.

    Raises:
        ConfigError: libpq cannot read it.
    """
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        parts = None  # what libpq says can hold the password
    if parts is None or (url.startswith("postgres") and not URL.match(url)):
        raise ConfigError(
            "DATABASE_URL cannot be read as postgresql://user:password@host:5432/database: write special "
            "characters of user and password percent-encoded (@ as %40, / as %2F, % as %25), and behind a ? nothing "
            "but options of libpq."
        )
    ports = str(parts.get("port") or "").split(",")
    if any(port and not (port.isdecimal() and 0 < int(port[:6]) <= LAST_PORT) for port in ports):
        # not shown: of a URL without user and host it is the password
        raise ConfigError("DATABASE_URL has a port that is none: write a number from 1 to 65535 behind the host.")
    return f"{parts.get('dbname') or 'the default database'} at {parts.get('host') or 'the local socket'}"


def connect(
    url: str,
    *,
    application: str = APPLICATION,
    lock_seconds: float = LOCK_SECONDS,
    read_only: bool = False,
    autocommit: bool = False,
) -> Driver:
    """Return a connection whose session is set up; options, application and time-outs of the URL itself are kept.

    Raises:
        ConfigError: login, database, encoding or pooler must be changed first.
        WarehouseUnavailable: the server is not there, or read-only and `read_only` was not asked for.
        WarehouseBroken: the server is too old.
    """
    place, given = place_of(url), conninfo_to_dict(url)
    wanted = {key: value for key, value in (DEFAULTS | {"application_name": application}).items() if key not in given}
    if "PGCONNECT_TIMEOUT" in os.environ:
        wanted.pop("connect_timeout", None)
    conninfo = make_conninfo(url, **wanted, client_encoding="UTF8")
    try:
        connection: Driver = psycopg.connect(conninfo, autocommit=True)
    except (psycopg.Error, OSError, ValueError) as error:
        raise explain_refusal(error, conninfo, place) from None
    try:
        has_own_wait = "lock_timeout" in str(given.get("options", ""))
        waits = {} if has_own_wait else {"lock_timeout": f"{lock_seconds * 1000:.0f}"}
        _set_up(connection, url, place, waits, read_only=read_only)
        connection.adapters.register_loader("numeric", NumericLoader)
        connection.autocommit = autocommit
    except BaseException as error:
        connection.close()
        if isinstance(error, psycopg.Error):
            raise explain(error, place) from None
        raise
    return connection


def _set_up(connection: Driver, url: str, place: str, more: dict[str, str], *, read_only: bool) -> None:
    facts = _row(connection, "warehouse/engine/facts")
    if facts.backend != connection.info.backend_pid and url not in _POOLERS_IN_SESSION_MODE:
        _check_pooler(connection, url, place)
        _POOLERS_IN_SESSION_MODE.add(url)
    _check_server(facts, place, read_only=read_only)
    wanted = SESSION | more | ({"role": facts.owner} if facts.owner else {})
    if read_only:
        wanted["default_transaction_read_only"] = "on"
    settings = {row.name: row.value for row in _rows(connection, "warehouse/engine/configure", **_lists(wanted))}
    found = _row(connection, "warehouse/engine/differences", **_lists(settings))
    if found.backend != facts.backend:
        raise TRANSACTION_POOLER.error(place)
    if found.settings:
        raise ConfigError(
            f"PostgreSQL ({place}) does not keep the settings of our session ({found.settings}): let DATABASE_URL "
            "name the server itself, without a pooler."
        )


def _check_server(facts: Any, place: str, *, read_only: bool) -> None:
    if facts.version < OLDEST_SERVER:
        raise WarehouseBroken(f"this server is PostgreSQL {facts.version // 10000}; 14 or newer is needed.")
    if facts.encoding != "UTF8":
        raise ConfigError(
            f"PostgreSQL ({place}): the database has the encoding {facts.encoding}, in which names and notes cannot be "
            "stored as they are: create one with ENCODING 'UTF8' TEMPLATE template0."
        )
    if facts.replication_role != "origin":
        raise ConfigError(
            f"PostgreSQL ({place}): session_replication_role is {facts.replication_role}, with which no trigger of the "
            "ledger runs: take it from role, database or DATABASE_URL."
        )
    if facts.is_read_only and not read_only:
        raise READ_ONLY.error(place)


def _check_pooler(connection: Driver, url: str, place: str) -> None:
    """Refuse a pooler that gives a session's statements to different backends: another session sees our mark then."""
    mark = uuid.uuid4().hex
    connection.execute(sql.text("warehouse/engine/mark"), {"mark": mark})
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT) as other:
            seen = other.execute(sql.text("warehouse/engine/marked")).fetchone()  # its transaction stays open
            kept = connection.execute(sql.text("warehouse/engine/marked")).fetchone()
    finally:
        connection.execute(sql.text("warehouse/engine/mark"), {"mark": ""})
    if seen == (mark,) or kept != (mark,):
        raise TRANSACTION_POOLER.error(place)


def _rows(connection: Driver, name: str, **parameters: Any) -> list[Any]:
    with connection.cursor(row_factory=namedtuple_row) as cursor:
        return list(cursor.execute(sql.text(name), parameters))


def _row(connection: Driver, name: str, **parameters: Any) -> Any:
    (row,) = _rows(connection, name, **parameters)
    return row


def _lists(settings: dict[str, str]) -> dict[str, list[str]]:
    return {"names": list(settings), "values": list(settings.values())}


class Blockers:
    """Who holds the lock that a session waits for, as it was last seen; looked up on a connection of its own."""

    def __init__(self, connect_again: Callable[[], Driver], backend: int, lock_seconds: float) -> None:
        self._connect, self._backend = connect_again, backend
        self._pause = min(max(lock_seconds / 4, 0.05), 10)
        self._done = threading.Event()
        self._seen: list[str] = []

    def __str__(self) -> str:
        return f"held by {' and by '.join(self._seen)}" if self._seen else ""

    @contextmanager
    def watched(self) -> Iterator[Blockers]:
        """Look from time to time, for as long as the block runs."""
        threading.Thread(target=self._watch, name="blockers", daemon=True).start()
        try:
            yield self
        finally:
            self._done.set()

    def _watch(self) -> None:
        if self._done.wait(self._pause):
            return
        try:
            with self._connect() as connection:
                while True:
                    rows = _rows(connection, "warehouse/engine/blockers", pid=self._backend)
                    self._seen = [_described(row) for row in rows] or self._seen
                    if self._done.wait(self._pause):
                        return
        except (psycopg.Error, SyncError):
            return  # the message then names nobody


def _described(row: Any) -> str:
    since = f", since {row.since:%Y-%m-%d %H:%M:%S} UTC" if row.since else ""
    # the first words only, and none of the values in it
    words = " ".join(re.split(r"['$\d]", " ".join((row.query or "").split()))[0].split()[:8])
    doing = f", {row.state}: {words}" if row.state and words else ""
    return f"{row.login} ({row.application or 'no application name'}, pid {row.pid}{since}{doing})"
