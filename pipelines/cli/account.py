"""Which account a command is about: `--account`, the only one, or each in turn; what a command does is elsewhere.

A command says which of three kinds it is by a decorator: `each_account`, `one_account` or `all_accounts`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from resources.accounts import Accounts, accounts_of
from resources.errors import ConfigError, Failed, Stopped, SyncError
from resources.printable import printable
from resources.settings import ApiSettings, SyncSettings

if TYPE_CHECKING:
    from pipelines.accounts import AccountScope

Command = Callable[..., None]
_CURRENT: ContextVar[str | None] = ContextVar("account", default=None)


class SomeFailed(Failed):
    """Of several accounts some failed, each told already; the exit code is the worst of theirs: 2 over 1."""


def each_account(command: Command) -> Command:
    """Let a command do its work for each account in turn, unless one is named."""
    return _with_account(command, "only this account; else each of them in turn", each_in_turn)


def one_account(command: Command) -> Command:
    """Let a command be about one account, which must be named where there are several."""

    def refuse(accounts: Accounts, _: Callable[[], None]) -> None:
        raise ConfigError(name_one(accounts))

    return _with_account(command, "which account; needed where there are several", refuse)


def all_accounts(command: Command) -> Command:
    """Let a command show all accounts together, unless one is named; it asks `chosen` for them."""
    return _with_account(command, "only this account; else all of them", lambda _, work: work())


def _with_account(
    command: Command, explanation: str, unnamed: Callable[[Accounts, Callable[[], None]], None]
) -> Command:
    """Give the command an option `--account`; `unnamed` decides where there are several and none is named."""

    @wraps(command)
    def run(*, account: str | None = None, **arguments: Any) -> None:
        accounts = accounts_of()
        if account is None and accounts.several:
            unnamed(accounts, lambda: command(**arguments))
            return
        with acting_for(accounts.each[0].name if account is None else accounts.named(account).name):
            command(**arguments)

    told = inspect.signature(command, eval_str=True)
    option = inspect.Parameter(
        "account",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, typer.Option(metavar="NAME", help=explanation)],
    )
    run.__signature__ = told.replace(parameters=[*told.parameters.values(), option])  # type: ignore[attr-defined]
    return run


def each_in_turn(accounts: Accounts, work: Callable[[], None]) -> None:
    """Do the work for each account, tell what fails, and end with the worst of it.

    Raises:
        SomeFailed: at least one failed.
        Stopped: somebody stopped it; the accounts after that are left alone.
    """
    from pipelines.cli import show

    failed: dict[str, int] = {}
    told = set()
    for account in accounts.each:
        show.line(f"account {account.name}")
        try:
            with acting_for(account.name):
                work()
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - the next account is not to suffer from it
            message, failed[account.name] = explained(error)
            # what is wrong with the command itself is the same for all
            if not (isinstance(error, ConfigError) and message in told):
                print(f"ecommpay-sync: {account.name}: {message}", file=sys.stderr)  # noqa: T201
            told.add(message)
    if failed:
        raise SomeFailed(
            f"{len(failed)} of {len(accounts.each)} accounts failed: {', '.join(failed)}.", max(failed.values())
        )


def explained(error: Exception) -> tuple[str, int]:
    """Return what to tell of an error, in one line, and the exit code."""
    if isinstance(error, SyncError):
        return printable(str(error)), error.exit_code
    return f"unexpected: {type(error).__name__}: {printable(' '.join(str(error).split())[:400])}", 1


@contextmanager
def acting_for(name: str) -> Iterator[None]:
    """Let everything within be about this account."""
    token = _CURRENT.set(name)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def chosen(accounts: Accounts) -> tuple[str, ...]:
    """Return the names of the accounts that the command is about: the one in hand, or all."""
    name = _CURRENT.get()
    return tuple(account.name for account in accounts.each) if name is None else (name,)


def current_name(accounts: Accounts) -> str:
    """Return the account in hand, or the only one.

    Raises:
        ConfigError: there are several, and none is in hand.
    """
    names = chosen(accounts)
    if len(names) > 1:
        raise ConfigError(name_one(accounts))
    return names[0]


def name_one(accounts: Accounts) -> str:
    """Return what to tell who has to name an account."""
    return f"name the account with --account: one of {accounts.names}."


def owner() -> AccountScope:
    """Return the account in hand as Dagster meets it."""
    from pipelines.accounts import account_scope

    accounts = accounts_of()
    return account_scope(accounts, current_name(accounts))


def settings_of_all() -> tuple[SyncSettings, ...]:
    """Return how the sync of each account is run, for what is done once for all of them."""
    accounts = accounts_of()
    return tuple(accounts.settings(account.name) for account in accounts.each)


def settings() -> SyncSettings:
    """Return how the sync of the account in hand is run."""
    accounts = accounts_of()
    return accounts.settings(current_name(accounts))


def api_settings() -> ApiSettings:
    """Return where the platform is, and who the account in hand is there.

    Raises:
        ConfigError: a setting is missing or malformed.
    """
    accounts = accounts_of()
    return accounts.api_settings(current_name(accounts))
