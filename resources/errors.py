"""The errors a person can act on, by what that person can do; the platform's own are in `data_api.errors`.

Each message is one line: what was wrong, where, and what to do. None ever holds a secret. Each class has a `kind`,
which the ledger keeps (`error_kind`) and alerts go by: it stays as it is, whatever becomes of the words.
"""

from typing import ClassVar


class SyncError(Exception):
    """Any failure that is explained in one line; `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "failed"


class ConfigError(SyncError):
    """A setting or an argument is wrong: nothing was sent, nothing was written."""

    exit_code = 2
    kind = "config"


class Incomplete(SyncError):
    """Some of what was asked for could not be proved complete; the ledger says which part."""

    kind = "incomplete"


class Failed(SyncError):
    """Work of several parts ended badly; `code`, of the part that failed, is what the command ends with."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # of this failure, not of the class


class Stopped(SyncError):
    """Somebody stopped the work: nothing that comes after it is begun."""

    kind = "interrupted"


class WarehouseUnavailable(SyncError):
    """PostgreSQL cannot be reached, or refused us."""

    kind = "warehouse_unavailable"


class WarehouseBroken(SyncError):
    """The database is not what its migrations and its ledger say it is."""

    kind = "warehouse_broken"


def kind_of(error: BaseException) -> str:
    """Return the kind of any error: `unexpected` is a bug, or a failure that is new."""
    if isinstance(error, SyncError):
        return error.kind
    # KeyboardInterrupt, SystemExit, and Dagster's own interrupt, which derive from BaseException alone
    return "unexpected" if isinstance(error, Exception) else "interrupted"
