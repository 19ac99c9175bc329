"""Whose definitions these are: an account's settings, and what tells its assets and jobs from another account's."""

from __future__ import annotations

from dataclasses import dataclass

from resources.accounts import Accounts
from resources.settings import SyncSettings


@dataclass(frozen=True)
class Owner:
    """An account as Dagster meets it. The only one has plain names, each of several its own.

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
        """What a command needs to be about this account, with the space before it."""
        return "" if self.is_only else f" --account {self.account}"

    def key(self, *path: str) -> list[str]:
        """Return the path of an asset's key."""
        return [*self.prefix, *path]

    def op(self, name: str) -> str:
        """Return the name of an op, as Dagster itself makes it of an asset's key."""
        return "__".join(self.key(name)).replace("-", "_")

    def job(self, name: str) -> str:
        """Return the name of a job, a schedule or a group."""
        return "_".join([name, *self.prefix]).replace("-", "_")

    group = job
    schedule = job


def owner_of(accounts: Accounts, name: str) -> Owner:
    """Return the owner of this name among the accounts.

    Raises:
        ConfigError: there is none, or a setting is malformed.
    """
    return Owner(accounts.settings(accounts.named(name).name), (name,) if accounts.several else ())


def owners_of(accounts: Accounts) -> tuple[Owner, ...]:
    """Return an owner for each account."""
    return tuple(owner_of(accounts, account.name) for account in accounts.each)
