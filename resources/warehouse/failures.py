"""From a failure of PostgreSQL, psycopg, SQLAlchemy or the system to an error that says what to do: one table.

The kind decides the rest: `ConfigError` and `WarehouseBroken` are not retried, `WarehouseUnavailable` is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from resources.errors import ConfigError, SyncError, WarehouseBroken, WarehouseUnavailable

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
    "check the options of DATABASE_URL, the environment's PG… variables, and the settings of role and database.",
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
# libpq tells no SQLSTATE of a connection that it did not get, only words
REFUSALS: dict[str, tuple[str, ...]] = {
    "28": (
        "authentication failed",
        "no password supplied",
        "pg_hba.conf",
        "is not permitted to log in",
        'role ".*" does not exist',
        "no such user",
    ),
    "3D000": ('database ".*" does not exist', "no such database"),
    "42501": ("permission denied for database",),
    "53300": ("too many (clients|connections)", "connection slots are reserved", "no more connections allowed"),
    "08P01": (
        "(for|configuration|startup) parameter",
        "permission denied to set",
        "requires a value",
        "command-line argument",
        "cannot be changed",
        "definition of service",
        "service file",
        "invalid .* value",
        "may not be used with",
        "does not support SSL",
        "certificate",
        "private key file",
        "GSS",
        "channel binding",
        "requirepeer",
        "authentication method requirement",
        "protocol version",
    ),
}


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


def explain_refusal(error: Exception, place: str) -> SyncError:
    """Return the error for a connection that could not be made."""
    said = str(error)
    if isinstance(error, psycopg.Error) and error.pgconn and error.pgconn.needs_password:
        return _error(NO_LOGIN, said, place)
    for sqlstate, words in REFUSALS.items():
        if re.search("|".join(words), said, re.IGNORECASE):
            return _error(BY_SQLSTATE[sqlstate], said, place)
    return _error(NO_SUCH_SETTING if isinstance(error, psycopg.ProgrammingError) else UNREACHABLE, said, place)


def _error(failure: Failure, said: str, place: str, detail: str = "") -> SyncError:
    line = re.sub(r"\s+", " ", said).strip()
    held = f", {detail}" if detail else ""
    return failure.kind(f"PostgreSQL ({place}) {failure.event}: {line}{held} — {failure.advice}")
