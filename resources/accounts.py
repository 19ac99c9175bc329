"""Whose tokens are synced: one account of the plain variables, or several by `ACCOUNTS_FILE` or `ACCOUNTS`.

`AccountScope` is one of them as the rest of the product sees it: its settings, its names in Dagster, no token.
Which accounts there are is read at once, their tokens and secrets only when one of them is used. The file:

```toml
[accounts.acme]
token_file = "acme_token"       # beside this file, or an absolute path; or token = "…"
secret_file = "acme_secret"     # or secret = "…"
base_url = "https://data.brand.example/v1"

[projects]
22 = "acme"
```
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from resources.config_file import open_secret_files
from resources.environment import Environment, Table, model_of_file, read, secret_of_file, text_of
from resources.errors import ConfigError
from resources.settings import AccountsSettings, ApiSettings, SyncSettings, checked_api_settings, sync_settings
from resources.values import ACCOUNT, DEFAULT_BASE_URL, PROJECT_OWNERS, Kind, ProjectOwner, Secret, Wrong

BASE_URL = "DATA_API_BASE_URL"
OF_ONE = ("DATA_API_TOKEN", "DATA_API_TOKEN_FILE", "DATA_API_SECRET", "DATA_API_SECRET_FILE", "SYNC_ACCOUNT")


@dataclass(frozen=True)
class Given:
    """A token or secret as it was given: the value itself, or the file that holds it; and what names each."""

    name: str
    file_name: str
    value: Secret | None = None
    file: str | None = None

    def read(self) -> str | None:
        """Return the value; None: neither is given.

        Raises:
            ConfigError: both are given, or the file cannot be read.
        """
        if self.value and self.file:
            raise ConfigError(f"{self.name} and {self.file_name} are both set: keep one of them.")
        if self.value:
            return self.value.reveal()
        return secret_of_file(self.file_name, self.file) if self.file else None


@dataclass(frozen=True)
class Account:
    """A token's account: its name is the first part of every key in the warehouse."""

    name: str
    base_url: str
    token: Given
    secret: Given
    base_url_name: str = BASE_URL

    @property
    def label(self) -> str:
        """The name as jobs and variables can carry it: two accounts never share one."""
        return self.name.replace("-", "_")

    def api_settings(self) -> ApiSettings:
        """Return where the platform is, and who we are there.

        Raises:
            ConfigError: token or secret is missing or malformed.
        """
        return checked_api_settings(
            base_url=self.base_url,
            token=self.token.read(),
            secret=self.secret.read(),
            names={"base_url": self.base_url_name, "token": self.token.name, "secret": self.secret.name},
        )


@dataclass(frozen=True)
class Accounts:
    """All accounts, in the order given; `owners` says for which account a project counts that several see.

    `source` is the variable that names them: `ACCOUNTS_FILE`, then with its path, `ACCOUNTS`, or none.
    """

    each: tuple[Account, ...]
    owners: tuple[ProjectOwner, ...] = ()
    source: str | None = None
    file: str | None = None

    @property
    def several(self) -> bool:
        """Whether names of jobs and assets must contain the account."""
        return len(self.each) > 1

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each."""
        return tuple(account.name for account in self.each)

    def named(self, name: str) -> Account:
        """Return the account of this name.

        Raises:
            ConfigError: there is none.
        """
        for account in self.each:
            if account.name == name:
                return account
        there = f"{', '.join(self.names)} {'are' if self.several else 'is'} configured"
        raise ConfigError(f"there is no account {name!r}: {there}.")

    def api_settings(self, name: str) -> ApiSettings:
        """Return the API settings of an account whose token is its alone.

        Raises:
            ConfigError: no such account, no token, or a token that another account has too.
        """
        settings = self.named(name).api_settings()
        for other in self.each:
            if other.name != name and _token_of(other) == settings.token.reveal():
                raise ConfigError(
                    f"{other.token.name} and {self.named(name).token.name} are the same token: its operations would be "
                    "loaded twice; give each account its own."
                )
        return settings

    def settings(self, name: str, environment: Environment = os.environ) -> SyncSettings:
        """Return how the sync of an account is run: all settings but these two are of all accounts."""
        return replace(sync_settings(environment), account=name, project_owners=self.owners)

    def open_secret_files(self, environment: Environment = os.environ) -> list[str]:
        """Return the files of secrets that other users of this machine may read, each with its mode."""
        return open_secret_files(environment, self._files() if self.source else ())

    def _files(self) -> Iterator[tuple[str, str]]:
        if self.file:
            yield "ACCOUNTS_FILE", self.file
        for account in self.each:
            for given in (account.token, account.secret):
                if given.file:
                    yield given.file_name, given.file


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
    return tuple(account_scope(accounts, name) for name in accounts.names)


def accounts_of(environment: Environment = os.environ) -> Accounts:
    """Return the accounts of `ACCOUNTS_FILE` or `ACCOUNTS`; without either the one of `DATA_API_TOKEN`.

    Raises:
        ConfigError: both are set, or one of them is malformed. Tokens and secrets are not looked at yet.
    """
    several = read(AccountsSettings, environment)
    if several.file and several.names:
        raise ConfigError("ACCOUNTS_FILE and ACCOUNTS are both set: keep one of them.")
    if not several.file and not several.names:
        name = read(SyncSettings, environment, only="account").account
        return Accounts((_of_environment(name, "", environment),), _owners(environment))
    source = "ACCOUNTS_FILE" if several.file else "ACCOUNTS"
    for name in OF_ONE:
        if environment.get(name):
            raise ConfigError(f"{name} and {source} are both set: name that account in {source}, and unset {name}.")
    found = _of_file(several.file, environment) if several.file else _of_names(several.names or "", environment)
    _check(found, source)
    return found


def _of_names(names: str, environment: Environment) -> Accounts:
    given = [name.strip() for name in names.split(",") if name.strip()]
    if not given:
        raise ConfigError(f"ACCOUNTS is {names!r}: write the accounts' names with commas, for example acme,globex.")
    for name in given:
        try:
            ACCOUNT.checked(name)
        except Wrong as error:
            raise ConfigError(f"ACCOUNTS: a name {error}") from None
    suffixes = [f"__{name.upper().replace('-', '_')}" for name in given]
    accounts = [_of_environment(name, end, environment) for name, end in zip(given, suffixes, strict=True)]
    return Accounts(tuple(accounts), _owners(environment), "ACCOUNTS")


def _owners(environment: Environment) -> tuple[ProjectOwner, ...]:
    return read(SyncSettings, environment, only="project_owners").project_owners


def _of_environment(name: str, suffix: str, environment: Environment) -> Account:
    own_url = text_of(f"{BASE_URL}{suffix}", environment)
    return Account(
        name,
        own_url or text_of(BASE_URL, environment) or DEFAULT_BASE_URL,
        _given(f"DATA_API_TOKEN{suffix}", environment),
        _given(f"DATA_API_SECRET{suffix}", environment),
        f"{BASE_URL}{suffix}" if own_url else BASE_URL,
    )


def _given(name: str, environment: Environment) -> Given:
    value = text_of(name, environment)
    return Given(name, f"{name}_FILE", Secret(value) if value else None, text_of(f"{name}_FILE", environment))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Wrong("is no text: write it in quotes.")
    return value


TEXT, SECRET_TEXT = Kind(_text, "a text"), Kind(lambda value: Secret(_text(value)), "a text")


@dataclass(frozen=True)
class AccountTable(Table):
    """One table `[accounts.NAME]`."""

    token: Annotated[Secret | None, SECRET_TEXT] = None
    token_file: Annotated[str | None, TEXT] = None
    secret: Annotated[Secret | None, SECRET_TEXT] = None
    secret_file: Annotated[str | None, TEXT] = None
    base_url: Annotated[str | None, TEXT] = None


@dataclass(frozen=True)
class AccountsFile(Table):
    """The file as a whole."""

    accounts: dict[Annotated[str, ACCOUNT], AccountTable] = field(default_factory=dict)
    projects: Annotated[tuple[ProjectOwner, ...], PROJECT_OWNERS] = ()


def _of_file(path: str, environment: Environment) -> Accounts:
    where = f"ACCOUNTS_FILE ({path})"
    found = model_of_file(AccountsFile, "ACCOUNTS_FILE", path)
    if not found.accounts:
        raise ConfigError(f"{where} has no account: write [accounts.NAME] with token_file and secret_file.")
    if found.projects and text_of("SYNC_PROJECT_OWNERS", environment):
        raise ConfigError(f"SYNC_PROJECT_OWNERS and [projects] of {where} are both set: keep one of them.")
    default_url = text_of(BASE_URL, environment) or DEFAULT_BASE_URL
    accounts = [_of_table(where, Path(path), name, table, default_url) for name, table in found.accounts.items()]
    return Accounts(tuple(accounts), found.projects or _owners(environment), "ACCOUNTS_FILE", path)


def _of_table(where: str, path: Path, name: str, table: AccountTable, default_url: str) -> Account:
    def given(key: str, value: Secret | None, file: str | None) -> Given:
        return Given(
            f"{key} of [accounts.{name}] in {where}",
            f"{key}_file of [accounts.{name}] in {where}",
            value,
            str(path.absolute().parent / file) if file else None,
        )

    return Account(
        name,
        table.base_url or default_url,
        given("token", table.token, table.token_file),
        given("secret", table.secret, table.secret_file),
        f"base_url of [accounts.{name}] in {where}" if table.base_url else BASE_URL,
    )


def _check(accounts: Accounts, source: str) -> None:
    for one, other in combinations(accounts.each, 2):
        if one.label == other.label:
            twice = f"{one.name} twice" if one.name == other.name else f"{one.name} and {other.name}"
            raise ConfigError(f"{source} names {twice}, which would be one in jobs and variables: rename one.")
        for short, long in ((one, other), (other, one)):
            if long.label == f"{short.label}_file":
                raise ConfigError(
                    f"{source} names {short.name} and {long.name}, whose variables would be the same: rename one."
                )
    for owner in accounts.owners:
        if owner.account not in accounts.names:
            raise ConfigError(
                f"project {owner.project_id} is given to {owner.account!r}, which is none of "
                f"{', '.join(accounts.names)}: write one of these."
            )


def _token_of(account: Account) -> str | None:
    try:
        return account.token.read()
    except ConfigError:  # reported where that account is used
        return None
