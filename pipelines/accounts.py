"""Names of one account's assets, jobs and schedules in Dagster, and its settings; knows no Dagster."""

from __future__ import annotations

from dataclasses import dataclass

from resources.accounts import Accounts
from resources.settings import SyncSettings


@dataclass(frozen=True)
class AccountScope:
    """One account's part of the definitions. A single account has plain names, each of several its own.

    Assets of account `acme-eu` have keys such as acme-eu/operations, its jobs names such as nightly_acme_eu.
    """

    settings: SyncSettings
    prefix: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """The account's name in the warehouse."""
        return self.settings.account

    @property
    def is_only(self) -> bool:
        """Whether there is no other account."""
        return not self.prefix

    @property
    def option(self) -> str:
        """The option that names the account to a command, with the space before it."""
        return "" if self.is_only else f" --account {self.account}"

    def key(self, *path: str) -> list[str]:
        """Return the path of an asset's key."""
        return [*self.prefix, *path]

    def op(self, *path: str) -> str:
        """Return the name of the op of an asset, as Dagster itself makes it of the asset's key."""
        return "__".join(self.key(*path)).replace("-", "_")

    def job(self, name: str) -> str:
        """Return the name of a job, a schedule or a group."""
        return "_".join([name, *self.prefix]).replace("-", "_")

    group = job
    schedule = job


def account_scope(accounts: Accounts, name: str) -> AccountScope:
    """Return the scope of the account with this name.

    Raises:
        ConfigError: there is none, or a setting is malformed.
    """
    return AccountScope(accounts.settings(accounts.named(name).name), (name,) if accounts.several else ())


def account_scopes(accounts: Accounts) -> tuple[AccountScope, ...]:
    """Return the scope of each account."""
    return tuple(account_scope(accounts, account.name) for account in accounts.each)
