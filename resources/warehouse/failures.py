"""From a failure of PostgreSQL, psycopg, SQLAlchemy or the system to an error that says what to do: one table.

The kind decides the rest: `ConfigError` and `WarehouseBroken` are not retried, `WarehouseUnavailable` is.
"""

import ctypes
import os
import re
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from resources.errors import ConfigError, SyncError, WarehouseBroken, WarehouseUnavailable

CONNECT_TIMEOUT = 10
AGAIN = "nothing was half-written, run the same command again."


@dataclass(frozen=True)
class Failure:
    """What a failure means: its kind, what PostgreSQL did, and what to do about it."""

    kind: type[SyncError]
    event: str
    advice: str


UNREACHABLE = Failure(WarehouseUnavailable, "is not available", f"check DATABASE_URL and that the server runs; {AGAIN}")
BROKEN = Failure(
    WarehouseBroken,
    "could not execute a statement of ours",
    "`ecommpay-sync doctor` says whether database and program fit each other; if they do, report this line.",
)
NO_LOGIN = Failure(ConfigError, "refused the login", "check user and password of DATABASE_URL, and pg_hba.conf.")
NO_SUCH_SETTING = Failure(
    ConfigError,
    "refused the connection",
    "check the options of DATABASE_URL, the environment's PG… variables, the settings of role and database, and that "
    "the login may connect to it.",
)
TRANSACTION_POOLER = Failure(
    ConfigError,
    "is behind a pooler in transaction mode",
    "its statements reach different sessions, and locks are left behind in them: let DATABASE_URL name the server "
    "itself, or a pool in session mode.",
)
ENDED = Failure(WarehouseUnavailable, "ended the connection", f"see why in the server's log; {AGAIN}")
BUSY = Failure(WarehouseUnavailable, "has no connection left", f"raise max_connections, or close some; {AGAIN}")
TIME_OUT = "took longer than a time-out allows"
BY_SQLSTATE = {  # a whole code, or the class that it begins with: the longer one counts
    "08": UNREACHABLE,
    "08P01": NO_SUCH_SETTING,
    "25006": Failure(
        WarehouseUnavailable,
        "is read-only",
        "DATABASE_URL names a replica, or the server is failing over or was set to read-only: let it name the primary; "
        f"{AGAIN}",
    ),
    "25P03": Failure(
        WarehouseUnavailable, TIME_OUT, f"raise idle_in_transaction_session_timeout for this role; {AGAIN}"
    ),
    "25P04": Failure(WarehouseUnavailable, TIME_OUT, f"raise transaction_timeout for this role; {AGAIN}"),
    "26000": TRANSACTION_POOLER,
    "28": NO_LOGIN,
    "3D000": Failure(ConfigError, "has no such database", "check the database's name in DATABASE_URL, or create it."),
    "40": Failure(WarehouseUnavailable, "undid a transaction for the sake of another one", AGAIN),
    "42501": Failure(
        WarehouseUnavailable,
        "refused",
        "as the owner of the database, run `ecommpay-sync grant`, which gives the loader's role what it needs.",
    ),
    "42P05": TRANSACTION_POOLER,
    "53": Failure(WarehouseUnavailable, "has no resources left", f"look after the server; {AGAIN}"),
    "53100": Failure(WarehouseUnavailable, "has no room left", f"free some space on the server's disk; {AGAIN}"),
    "53300": BUSY,
    "55006": Failure(WarehouseUnavailable, "is in use by another session", AGAIN),
    "55P03": Failure(WarehouseUnavailable, "kept us waiting for a lock", f"let that session end, or end it; {AGAIN}"),
    "57": UNREACHABLE,
    "57014": Failure(
        WarehouseUnavailable, TIME_OUT, f"somebody cancelled the statement, or a statement_timeout did; {AGAIN}"
    ),
    "57P01": ENDED,
    "57P02": ENDED,
    "57P04": Failure(ConfigError, "has no such database", "somebody dropped it while we worked: create it again."),
    "57P05": Failure(WarehouseUnavailable, TIME_OUT, f"raise idle_session_timeout for this role; {AGAIN}"),
    "58": Failure(WarehouseUnavailable, "cannot use its files", f"see the server's log and its disk; {AGAIN}"),
    "F0": Failure(WarehouseUnavailable, "has a broken configuration", f"see the server's log; {AGAIN}"),
    "XX001": Failure(WarehouseBroken, "has damaged data", "restore it from a backup: see docs/runbook.md."),
    "XX002": Failure(WarehouseBroken, "has a damaged index", "run REINDEX DATABASE, and look for the cause."),
}
OF_CONNECTIONS = {"08", "28", "3D", "53", "57", "58", "F0", "XX"}  # else it is an option that the server does not take
# PgBouncer answers 08P01 whatever is wrong, and says what in English alone
OF_A_POOLER = {
    "28": "authentication failed|no such user|not allowed",
    "3D000": "no such database",
    "08P01": "startup parameter",
}
SQLSTATE_ALONE = 3  # PQERRORS_SQLSTATE of libpq: an error's message is its code
CODE = re.compile(r":  ([0-9A-Z]{5})$")
TLS_OFF = {"sslmode": "disable", "sslnegotiation": "postgres", "gssencmode": "disable"}
# whether a server is there is asked without TLS, and so without a login
NOBODY = {
    "user": "ping",
    "password": "-",
    "passfile": os.devnull,
    "require_auth": "",
    "channel_binding": "disable",
} | TLS_OFF
NOWHERE = {"host": "127.0.0.1", "hostaddr": "127.0.0.1", "port": "1"}


def failure_of(error: BaseException | None) -> Failure:
    """Return what `error` means; of SQLAlchemy's own errors too."""
    if isinstance(error, DBAPIError):
        return failure_of(error.orig)
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return BY_SQLSTATE.get(error.sqlstate) or BY_SQLSTATE.get(error.sqlstate[:2]) or BROKEN
    if isinstance(error, PoolTimeout):
        return BUSY
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | OSError):
        return UNREACHABLE
    return BROKEN


def explain(error: BaseException | None, place: str, detail: str = "") -> SyncError:
    """Return the error for a failure, in one line, without a value of a row or a password in it."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    primary = orig.diag.message_primary if isinstance(orig, psycopg.Error) else None
    return _error(failure_of(orig), primary or str(orig), place, detail)


def explain_refusal(error: Exception, conninfo: str, place: str) -> SyncError:
    """Return the error for a connection that could not be made.

    psycopg gives the server's words alone, in the server's language: its code, and whether there is a server at all,
    are asked for anew.
    """
    return _error(_refusal(error, conninfo), str(error), place)


def _refusal(error: Exception, conninfo: str) -> Failure:
    if isinstance(error, OSError | psycopg.errors.ConnectionTimeout):
        return UNREACHABLE
    if not isinstance(error, psycopg.OperationalError):
        return NO_SUCH_SETTING
    if error.pgconn and error.pgconn.needs_password:
        return NO_LOGIN
    answer = _connect_again(conninfo)
    if answer == _Answer():
        if pq.PGconn.ping(make_conninfo(conninfo, **NOWHERE).encode()) == pq.Ping.NO_ATTEMPT:
            return NO_SUCH_SETTING
        if _connect_again(make_conninfo(conninfo, **NOBODY)) == _Answer():
            return UNREACHABLE
        answer = _connect_again(conninfo)  # a server that came back meanwhile takes it now
    return UNREACHABLE if answer.is_connected else _failure_of_code(answer.sqlstate, str(error), conninfo)


def _failure_of_code(sqlstate: str | None, said: str, conninfo: str) -> Failure:
    if sqlstate is None:  # the server is there, and libpq does not take it
        is_choosy = conninfo_to_dict(conninfo).get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
        return BY_SQLSTATE["25006"] if is_choosy else NO_SUCH_SETTING
    if sqlstate == "08P01":
        return next((BY_SQLSTATE[code] for code, words in OF_A_POOLER.items() if re.search(words, said)), UNREACHABLE)
    if sqlstate[:2] in OF_CONNECTIONS:
        return BY_SQLSTATE.get(sqlstate) or BY_SQLSTATE.get(sqlstate[:2], BROKEN)
    return NO_SUCH_SETTING


@dataclass(frozen=True)
class _Answer:
    """How a second attempt to connect ended: connected, refused by the server with a code, or neither."""

    is_connected: bool = False
    sqlstate: str | None = None


def _connect_again(conninfo: str) -> _Answer:
    """Connect once more, with codes instead of messages.

    libpq keeps no SQLSTATE of a refused connection but in its message, and psycopg (3.3; its issue 1188) has no
    function that asks for it there: PQsetErrorVerbosity is called in the library that psycopg has loaded. Limits: a
    psycopg whose libpq cannot be called so gives no code, and the refusal is one of the options; where a server has
    several addresses the code is that of the last; PgBouncer has one code for all; and it is a second login, which a
    server may count.
    """
    attempt: Any = pq.PGconn.connect_start(conninfo.encode())
    try:
        with suppress(OSError, AttributeError):  # psycopg without its own libpq
            libpq = ctypes.CDLL(sys.modules[type(attempt).__module__].__file__)
            libpq.PQsetErrorVerbosity(ctypes.c_void_p(attempt.pgconn_ptr), SQLSTATE_ALONE)
        polled: int = pq.PollingStatus.WRITING
        give_up_at = time.monotonic() + CONNECT_TIMEOUT
        while attempt.status != pq.ConnStatus.BAD and polled != pq.PollingStatus.OK and time.monotonic() < give_up_at:
            sockets = [attempt.socket]
            if polled == pq.PollingStatus.WRITING:
                select.select([], sockets, [], max(0.0, give_up_at - time.monotonic()))
            else:
                select.select(sockets, [], [], max(0.0, give_up_at - time.monotonic()))
            polled = attempt.connect_poll()
        code = CODE.search(attempt.get_error_message())
        return _Answer(attempt.status == pq.ConnStatus.OK, code[1] if code else None)
    finally:
        attempt.finish()


def _error(failure: Failure, said: str, place: str, detail: str = "") -> SyncError:
    line = re.sub(r"\s+", " ", said).strip()
    held = f", {detail}" if detail else ""
    return failure.kind(f"PostgreSQL ({place}) {failure.event}: {line}{held} — {failure.advice}")
