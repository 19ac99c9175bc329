"""`ACCOUNTS_FILE`: accounts as TOML tables, and whose a project is; other ways to name accounts are in `accounts`.

```toml
[accounts.acme]
token_file = "acme_token"       # beside this file, or an absolute path; or token = "…"
secret_file = "acme_secret"     # or secret = "…"
base_url = "https://data.brand.example/v1"

[projects]
22 = "acme"
```
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from resources.accounts import Account, Accounts, Given
from resources.api_settings import DEFAULT_BASE_URL, NAMES
from resources.errors import ConfigError
from resources.project_owners import ProjectOwner, project_owner, project_owners
from resources.settings_values import Environment, Secret, account_of, text_of_file

KEYS = ("token", "token_file", "secret", "secret_file", "base_url")
Table = Mapping[str, Any]


def read_accounts_file(path: str, environment: Environment) -> Accounts:
    """Return the accounts of the file.

    Raises:
        ConfigError: it cannot be read, is no TOML, or has something else in it than accounts and projects.
    """
    where = f"ACCOUNTS_FILE ({path})"
    try:
        document = tomllib.loads(text_of_file("ACCOUNTS_FILE", path))
    except tomllib.TOMLDecodeError as error:
        # its own words can repeat a part of the line, and that may be a token
        place = str(error).rpartition("(")[2].rstrip(")")
        raise ConfigError(f"{where} is not TOML: look {place}.") from None
    for key in document:
        if key not in ("accounts", "projects"):
            raise ConfigError(f"{where} has {key!r}: it may have [accounts.NAME] and [projects].")
    tables = _table(where, "accounts", document.get("accounts", {}))
    if not tables:
        raise ConfigError(f"{where} has no account: write [accounts.NAME] with token_file and secret_file.")
    default_url = environment.get("DATA_API_BASE_URL") or DEFAULT_BASE_URL
    accounts = [_account(where, Path(path), name, table, default_url) for name, table in tables.items()]
    owners = _table(where, "projects", document.get("projects", {}))
    if owners and environment.get("SYNC_PROJECT_OWNERS"):
        raise ConfigError(f"SYNC_PROJECT_OWNERS and [projects] of {where} are both set: keep one of them.")
    return Accounts(tuple(accounts), _owners(where, owners, environment), "ACCOUNTS_FILE", path)


def _account(where: str, path: Path, name: str, table: Any, default_url: str) -> Account:
    account_of(f"{where}: an account", name)
    values = _table(where, f"accounts.{name}", table)
    for key, value in values.items():
        if key not in KEYS:
            raise ConfigError(f"{where}: [accounts.{name}] has {key!r}: it may have {', '.join(KEYS)}.")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where}: {key} of [accounts.{name}] is no text: write it in quotes.")

    def given(key: str) -> Given:
        value, file = values.get(key), values.get(f"{key}_file")
        return Given(
            f"{key} of [accounts.{name}] in {where}",
            f"{key}_file of [accounts.{name}] in {where}",
            Secret(value) if value else None,
            str(path.absolute().parent / file) if file else None,
        )

    own_url = f"base_url of [accounts.{name}] in {where}" if "base_url" in values else NAMES.base_url
    return Account(name, values.get("base_url", default_url), given("token"), given("secret"), own_url)


def _owners(where: str, owners: Table, environment: Environment) -> tuple[ProjectOwner, ...]:
    if not owners:
        return project_owners(environment.get("SYNC_PROJECT_OWNERS", ""))
    return tuple(sorted(project_owner(f"[projects] of {where}", key, str(owners[key])) for key in owners))


def _table(where: str, name: str, value: Any) -> Table:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {name} is no table: write [{name}], and its keys below.")
    return value
