"""Dagster's SQLite event log at a fraction of its price: one connection a file is kept while the command runs.

By itself it makes an engine, a connection, a checkpoint and the text of each statement anew for every event, 7 ms of
CPU; a thousand days then cost more than their operations. The events, their tables and their files stay Dagster's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg
    from sqlalchemy import Connection, Engine

INDEX = "index"  # Dagster's name of the file that holds the events of all runs
BUSY_SECONDS = 30.0  # another process, such as the UI, may be writing
Connect = Callable[[str], AbstractContextManager[Any]]


@contextmanager
def quick_events(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep the connections of the instance's SQLite event log open; another storage is left as it is."""
    storage: Any = instance.event_log_storage
    if type(storage).__name__ != "SqliteEventLogStorage":
        yield
        return
    own = storage.run_connection, storage.index_connection
    with ExitStack() as at_end:
        kept = _Kept(storage.conn_string_for_shard, own[0], at_end)
        storage.run_connection = kept.connection
        storage.index_connection = lambda: kept.connection(INDEX)
        try:
            yield
        finally:
            storage.run_connection, storage.index_connection = own


class _Kept:
    """An engine with one connection for each file, made when it is first asked for."""

    def __init__(self, url_of: Callable[[str], str], make: Connect, at_end: ExitStack) -> None:
        self._url_of = url_of
        self._make = make
        self._at_end = at_end
        self._lock = RLock()
        self._engines: dict[str, Engine] = {}

    @contextmanager
    def connection(self, shard: str) -> Iterator[Connection]:
        """Yield the file's connection in a transaction, to one thread at a time."""
        with self._lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            import sqlalchemy

            with self._make(shard):  # Dagster makes the tables of a new file
                pass
            engine = sqlalchemy.create_engine(
                self._url_of(shard),
                poolclass=sqlalchemy.StaticPool,
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            self._at_end.callback(engine.dispose)
            self._engines[shard] = engine
        return self._engines[shard]
