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
from functools import partial
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from resources.errors import ConfigError, SyncError, WarehouseBroken, WarehouseUnavailable

CONNECT_TIMEOUT = 10
AGAIN = "nothing was half-written, run the same command again"


@dataclass(frozen=True)
class Failure:
    """What a failure means: its kind, what PostgreSQL did, and what to do about it."""

    kind: type[SyncError]
    event: str
    advice: str

    def error(self, place: str, said: str = "", detail: str = "") -> SyncError:
        """Return the error, in one line, with what was said of it."""
        words = ", ".join(filter(None, (" ".join(said.split()), detail)))
        advice = f"{self.advice}; {AGAIN}" if self.kind is WarehouseUnavailable else self.advice
        return self.kind(f"PostgreSQL ({place}) {self.event}{words and f': {words}'} — {advice}.")


_unavailable = partial(Failure, WarehouseUnavailable)
_misconfigured = partial(Failure, ConfigError)
_broken = partial(Failure, WarehouseBroken)

UNREACHABLE = _unavailable("is not available", "check DATABASE_URL and that the server runs")
BROKEN = _broken(
    "could not execute a statement of ours",
    "`ecommpay-sync doctor` says whether database and program fit each other; if they do, report this line",
)
NO_LOGIN = _misconfigured("refused the login", "check user and password of DATABASE_URL, and pg_hba.conf")
NO_SUCH_SETTING = _misconfigured(
    "refused the connection",
    "check the options of DATABASE_URL, the environment's PG… variables, the settings of role and database, and that "
    "the login may connect to it",
)
TRANSACTION_POOLER = _misconfigured(
    "is behind a pooler in transaction mode",
    "its statements reach different sessions, and locks are left behind in them: let DATABASE_URL name the server "
    "itself, or a pool in session mode",
)
READ_ONLY = _unavailable(
    "is read-only",
    "DATABASE_URL names a replica, or the server is failing over or was set to read-only: let it name the primary",
)
CHANGED = _broken(
    "lacks what a migration made",
    "a restore was not whole, or somebody took it out: restore it as docs/runbook.md says; else report this line",
)
ENDED = _unavailable("ended the connection", "see why in the server's log")
BUSY = _unavailable("has no connection left", "raise max_connections, or close some")
TIME_OUT = "took longer than a time-out allows"
BY_SQLSTATE = {  # a whole code, or the class that it begins with: the longer one counts
    "08": UNREACHABLE,
    "08P01": NO_SUCH_SETTING,
    "25006": READ_ONLY,
    "25P03": _unavailable(TIME_OUT, "raise idle_in_transaction_session_timeout for this role"),
    "25P04": _unavailable(TIME_OUT, "raise transaction_timeout for this role"),
    "26000": TRANSACTION_POOLER,
    "28": NO_LOGIN,
    "3D000": _misconfigured("has no such database", "check the database's name in DATABASE_URL, or create it"),
    "3F000": CHANGED,
    "40": _unavailable("undid a transaction for the sake of another one", "let that one end"),
    "42501": _unavailable(
        "refused",
        "as the owner of the database, run `ecommpay-sync grant`, which gives the loader's role what it needs",
    ),
    **dict.fromkeys(("42P01", "42703", "42883"), CHANGED),  # a table, a column, a function
    "42P05": TRANSACTION_POOLER,
    "53": _unavailable("has no resources left", "look after the server"),
    "53100": _unavailable("has no room left", "free some space on the server's disk"),
    "53300": BUSY,
    "55006": _unavailable("is in use by another session", "let that session end, or end it"),
    "55P03": _unavailable("kept us waiting for a lock", "let that session end, or end it"),
    "57": UNREACHABLE,
    "57014": _unavailable(TIME_OUT, "somebody cancelled the statement, or a statement_timeout did"),
    "57P01": ENDED,
    "57P02": ENDED,
    "57P04": _misconfigured("has no such database", "somebody dropped it while we worked: create it again"),
    "57P05": _unavailable(TIME_OUT, "raise idle_session_timeout for this role"),
    "58": _unavailable("cannot use its files", "see the server's log and its disk"),
    "F0": _unavailable("has a broken configuration", "see the server's log"),
    "XX001": _broken("has damaged data", "restore it from a backup: see docs/runbook.md"),
    "XX002": _broken("has a damaged index", "run REINDEX DATABASE, and look for the cause"),
}
CONNECTED = "00000"
OF_CONNECTIONS = {"08", "28", "3D", "53", "57", "58", "F0", "XX"}  # else it is an option that the server does not take
# PgBouncer answers 08P01 whatever is wrong, and says what in English alone
OF_A_POOLER = {
    "28": "authentication failed|no such user|not allowed",
    "3D000": "no such database",
    "08P01": "startup parameter",
}
SQLSTATE_ALONE = 3  # PQERRORS_SQLSTATE of libpq: an error's message is its code
CODE = re.compile(r":  ([0-9A-Z]{5})$")
# whether a server is there is asked without TLS, and so without a login
NOBODY = {
    "user": "ping",
    "password": "-",
    "passfile": os.devnull,
    "require_auth": "",
    "channel_binding": "disable",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "gssencmode": "disable",
}
NOWHERE = {"host": "127.0.0.1", "hostaddr": "127.0.0.1", "port": "1"}


def failure_of(error: BaseException | None) -> Failure:
    """Return what `error` means; of SQLAlchemy's own errors too."""
    if isinstance(error, DBAPIError):
        return failure_of(error.orig)
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return _failure_of_code(error.sqlstate)
    if isinstance(error, PoolTimeout):
        return BUSY
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | OSError):
        return UNREACHABLE
    return BROKEN


def _failure_of_code(sqlstate: str) -> Failure:
    return BY_SQLSTATE.get(sqlstate) or BY_SQLSTATE.get(sqlstate[:2]) or BROKEN


def explain(error: BaseException | None, place: str, detail: str = "") -> SyncError:
    """Return the error for a failure, in one line, without a value of a row or a password in it."""
    orig = error.orig if isinstance(error, DBAPIError) else error
    primary = orig.diag.message_primary if isinstance(orig, psycopg.Error) else None
    return failure_of(orig).error(place, primary or str(orig), detail)


def explain_refusal(error: Exception, conninfo: str, place: str) -> SyncError:
    """Return the error for a connection that could not be made.

    psycopg gives the server's words alone, in the server's language: its code, and whether there is a server at all,
    are asked for anew.
    """
    return _refusal(error, conninfo).error(place, str(error))


def _refusal(error: Exception, conninfo: str) -> Failure:
    if isinstance(error, OSError | psycopg.errors.ConnectionTimeout):
        return UNREACHABLE
    if not isinstance(error, psycopg.OperationalError):
        return NO_SUCH_SETTING
    if error.pgconn and error.pgconn.needs_password:
        return NO_LOGIN
    sqlstate = _connect_again(conninfo)
    if not sqlstate:
        # psycopg lets no other thread go on while it pings: nowhere is fast
        if pq.PGconn.ping(make_conninfo(conninfo, **NOWHERE).encode()) == pq.Ping.NO_ATTEMPT:
            return NO_SUCH_SETTING
        if not _connect_again(make_conninfo(conninfo, **NOBODY)):
            return UNREACHABLE
        sqlstate = _connect_again(conninfo)  # a server that came back meanwhile takes it now
    return UNREACHABLE if sqlstate == CONNECTED else _failure_of_refusal(sqlstate, str(error), conninfo)


def _failure_of_refusal(sqlstate: str, said: str, conninfo: str) -> Failure:
    if not sqlstate:  # the server is there, and libpq does not take it
        is_choosy = conninfo_to_dict(conninfo).get("target_session_attrs") or os.environ.get("PGTARGETSESSIONATTRS")
        return READ_ONLY if is_choosy else NO_SUCH_SETTING
    if sqlstate == "08P01":
        return BY_SQLSTATE[next((code for code, words in OF_A_POOLER.items() if re.search(words, said)), "08")]
    return _failure_of_code(sqlstate) if sqlstate[:2] in OF_CONNECTIONS else NO_SUCH_SETTING


def _connect_again(conninfo: str) -> str:
    """Connect once more, and return the SQLSTATE of how that ended; empty: no server gave one.

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
            to_read, to_write = [attempt.socket], list[int]()
            if polled == pq.PollingStatus.WRITING:
                to_read, to_write = to_write, to_read
            select.select(to_read, to_write, [], max(0.0, give_up_at - time.monotonic()))
            polled = attempt.connect_poll()
        code = CODE.search(attempt.get_error_message())
        return CONNECTED if attempt.status == pq.ConnStatus.OK else code[1] if code else ""
    finally:
        attempt.finish()
