"""The Dagster resources: configured by the environment, opened for a run, closed after it. Thin shells only."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import dagster as dg
from pydantic import Field, PrivateAttr

from resources.accounts import accounts_of
from resources.data_api.client import Client
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.environment import value_or_file
from resources.errors import ConfigError, SyncError
from resources.output import configure_log
from resources.settings import (
    DEFAULT_BASE_URL,
    ApiSettings,
    Environment,
    ReferenceSettings,
    SyncSettings,
    checked_api_settings,
    data_dir,
    database_url,
    sync_settings,
)
from resources.warehouse.engine import Warehouse, open_warehouse
from resources.warehouse.migrate import migrate
from resources.warehouse.reference import settings_in_force

SECRET: dict[str, Any] = {"dagster__is_secret": True}


class DataApiResource(dg.ConfigurableResource[Any]):
    """The Data API: of one account, whose token and secret are given as values or as files, and never shown.

    Or of the account that a run is about (`of_accounts`): its token is read from `ACCOUNTS_FILE` or the variables
    of `ACCOUNTS` when the run uses it, and is in no configuration of Dagster's.
    """

    of_accounts: bool = False
    base_url: str = DEFAULT_BASE_URL
    token: str | None = Field(default=None, repr=False, json_schema_extra=SECRET)
    token_file: str | None = None
    secret: str | None = Field(default=None, repr=False, json_schema_extra=SECRET)
    secret_file: str | None = None
    retry_seconds: float = RetryPolicy().deadline
    # one run of the UI may be about the assets of several accounts
    _apis: dict[str | None, DataApi] = PrivateAttr(default_factory=dict)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Open nothing yet: the asset reports a wrong setting, in one line."""
        del context
        with suppress(ConfigError):  # the same
            configure_log()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections."""
        del context
        for api in self._apis.values():
            api.client.close()

    def api(self, account: str | None = None) -> DataApi:
        """Return the API of an account, ready to be called; None: the only account.

        Raises:
            ConfigError: a setting is missing or malformed.
        """
        if account not in self._apis:
            policy = RetryPolicy(deadline=self.retry_seconds)
            self._apis[account] = DataApi(Client(self._settings(account), policy))
        return self._apis[account]

    def _settings(self, account: str | None) -> ApiSettings:
        if self.of_accounts and account is not None:
            return accounts_of().api_settings(account)
        return checked_api_settings(
            base_url=self.base_url,
            token=_value("DATA_API_TOKEN", self.token, self.token_file),
            secret=_value("DATA_API_SECRET", self.secret, self.secret_file),
        )


class WarehouseResource(dg.ConfigurableResource[Any]):
    """The PostgreSQL warehouse; without a URL, the embedded one under the data folder."""

    url: str | None = Field(default=None, repr=False, json_schema_extra=SECRET)
    url_file: str | None = None
    _warehouse: Warehouse | None = PrivateAttr(default=None)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Close the connections."""
        del context
        if self._warehouse:
            self._warehouse.close()

    def warehouse(self) -> Warehouse:
        """Return the warehouse, migrated to this version.

        Raises:
            WarehouseUnavailable, WarehouseBroken: it cannot be reached or migrated.
        """
        if self._warehouse is None:
            warehouse = open_warehouse(_value("DATABASE_URL", self.url, self.url_file), self.url_file)
            try:
                migrate(warehouse, loads=True)
            except BaseException:
                warehouse.close()
                raise
            self._warehouse = warehouse
        return self._warehouse


def settings_of_warehouse(settings: SyncSettings) -> SyncSettings:
    """Return `settings` with the warehouse's zone where they name none; as they are where it cannot be asked.

    Whoever works with the warehouse tells why it cannot, and refuses a zone that differs.
    """
    if settings.reference != ReferenceSettings():
        return settings
    try:
        url = database_url()
        if url is None and not (data_dir() / "postgres").exists():  # looking makes no database
            return settings
        with open_warehouse(url, read_only=True) as warehouse:
            return settings_in_force(warehouse, settings)
    except SyncError:
        return settings


def data_api_from_env(environment: Environment = os.environ) -> DataApiResource:
    """Return the resource whose token and secret are read from the environment when a run starts."""
    if accounts_of(environment).source:
        return DataApiResource(of_accounts=True, retry_seconds=sync_settings(environment).retry_seconds)
    return DataApiResource(
        base_url=_env_var("DATA_API_BASE_URL", environment) or DEFAULT_BASE_URL,
        token=_env_var("DATA_API_TOKEN", environment),
        token_file=_env_var("DATA_API_TOKEN_FILE", environment),
        secret=_env_var("DATA_API_SECRET", environment),
        secret_file=_env_var("DATA_API_SECRET_FILE", environment),
        retry_seconds=sync_settings(environment).retry_seconds,
    )


def warehouse_from_env(environment: Environment = os.environ) -> WarehouseResource:
    """Return the resource whose URL Dagster reads from the environment when a run starts."""
    return WarehouseResource(
        url=_env_var("DATABASE_URL", environment), url_file=_env_var("DATABASE_URL_FILE", environment)
    )


def _env_var(name: str, environment: Environment) -> dg.EnvVar | None:
    # an EnvVar that is unset would stop the run with Dagster's own words; ours say what to do
    return dg.EnvVar(name) if environment.get(name) else None


def _value(name: str, value: str | None, file: str | None) -> str | None:
    return value_or_file(name, {name: value or "", f"{name}_FILE": file or ""})
