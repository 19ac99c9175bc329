"""Which accounts a command is about, by its option `--account` (`console`); and the warehouse that it opens."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.cli import console
from resources.accounts import AccountScope, account_scope, accounts_of
from resources.currencies import exponents_by
from resources.errors import ConfigError, Failed, Stopped, SyncError
from resources.output import FULL_DISK, MAKE_ROOM, printable
from resources.settings import SyncSettings, database_url
from resources.warehouse.engine import Warehouse, open_warehouse
from resources.warehouse.migrate import check_migrated, migrate
from resources.warehouse.reference import check_account, exponents_in_force

_FORBIDDEN = "let this user write there, or choose another place."
_EXHAUSTED = "give it more, or let less run beside it."
REFUSED_BY_THE_MACHINE = {
    **dict.fromkeys(FULL_DISK, MAKE_ROOM),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _FORBIDDEN),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN), _EXHAUSTED),
    errno.EIO: "the device fails: the system's log says more.",
}


class SomeFailed(Failed):
    """Some of several accounts failed, each reported already; the exit code is the worst of theirs: 2 over 1."""


def each_in_turn(name: str | None, work: Callable[[AccountScope], None], *, as_json: bool = False) -> None:
    """Do the work for the named account; without a name for each, report what fails, and end with the worst of it.

    As JSON the account is named in what the work prints, not above it.

    Raises:
        SomeFailed: at least one of several failed.
        Stopped: somebody stopped it; the accounts after that are left alone.
    """
    accounts = accounts_of()
    if name is not None or not accounts.several:
        work(only_account(name))
        return
    failed: dict[str, int] = {}
    reported = set()
    for account in accounts.names:
        if not as_json:
            console.line(f"account {account}")
        try:
            work(account_scope(accounts, account))
        except Exception as error:
            if isinstance(error, Stopped) or console.SIGNALLED.is_set():
                raise
            # the next account is not to suffer from it
            message, failed[account] = explained(error)
            # what is wrong with the command itself is the same for all
            if not (isinstance(error, ConfigError) and message in reported):
                console.problem(f"{account}: {message}")
            reported.add(message)
    if failed:
        raise SomeFailed(
            f"{len(failed)} of {len(accounts.each)} accounts failed: {', '.join(failed)}.", max(failed.values())
        )


def only_account(name: str | None) -> AccountScope:
    """Return the named account, or the only one.

    Raises:
        ConfigError: there are several and none is named, or none has this name.
    """
    accounts = accounts_of()
    if name is None and accounts.several:
        raise ConfigError(f"name the account with --account: one of {', '.join(accounts.names)}.")
    return account_scope(accounts, name or accounts.names[0])


def settings_of_all() -> tuple[SyncSettings, ...]:
    """Return the settings of every account, for what is done once for all of them."""
    accounts = accounts_of()
    return tuple(map(accounts.settings, accounts.names))


def explained(error: Exception) -> tuple[str, int]:
    """Return the message of an error, in one line, and the exit code."""
    if isinstance(error, SyncError):
        return printable(str(error)), error.exit_code
    if isinstance(error, OSError):
        number = error.errno
        unnamed = "the output" if number in FULL_DISK else "this machine"
        where = printable(str(error.filename)) if error.filename else unnamed
    else:
        number, where = _errno_of_sqlite(error), printable(f"Dagster's files in {os.environ.get('DAGSTER_HOME')}")
    if number in REFUSED_BY_THE_MACHINE:
        return f"{where}: {os.strerror(number).lower()}: {REFUSED_BY_THE_MACHINE[number]}", 1
    return f"unexpected: {type(error).__name__}: {printable(' '.join(str(error).split())[:400])}", 1


def _errno_of_sqlite(error: Exception) -> int | None:
    """Return what the system refused Dagster's storage, if SQLAlchemy reports that of SQLite."""
    import sqlite3

    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF  # the rest says where
    home = os.environ.get("DAGSTER_HOME", ".")
    if code == sqlite3.SQLITE_IOERR and os.path.isdir(home) and not shutil.disk_usage(home).free:  # noqa: PTH112
        return errno.ENOSPC  # of a file beside the database
    return {
        sqlite3.SQLITE_FULL: errno.ENOSPC,
        sqlite3.SQLITE_READONLY: errno.EACCES,
        sqlite3.SQLITE_CANTOPEN: errno.EACCES,  # it writes beside a file that it only reads
        sqlite3.SQLITE_IOERR: errno.EIO,
        sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    }.get(code)


@contextmanager
def migrated_warehouse(scope: AccountScope | None = None) -> Iterator[Warehouse]:
    """Yield the warehouse of the settings, migrated; `scope`: the account that the command is about.

    Raises:
        ConfigError: a setting of the database is malformed, or differs from the warehouse's; nobody named the account.
        WarehouseUnavailable, WarehouseBroken: it cannot be reached or migrated.
    """
    with open_warehouse(database_url()) as warehouse:
        migrate(warehouse)
        _check_account(warehouse, scope)
        with exponents_by(exponents_in_force(warehouse)):
            yield warehouse


@contextmanager
def reading_warehouse(scope: AccountScope | None = None, *, stages: bool = False) -> Iterator[Warehouse]:
    """Yield the warehouse for a command that only reads: nothing is written, not even by a migration.

    `stages`: it compares with temporary tables, which a session that may only read cannot make.

    Raises:
        ConfigError, WarehouseUnavailable, WarehouseBroken: likewise, or it is not migrated.
    """
    with open_warehouse(database_url(), read_only=not stages) as warehouse:
        check_migrated(warehouse)
        _check_account(warehouse, scope)
        with exponents_by(exponents_in_force(warehouse)):
            yield warehouse


def _check_account(warehouse: Warehouse, scope: AccountScope | None) -> None:
    if scope is not None:
        with warehouse.transaction() as connection:
            check_account(connection)
