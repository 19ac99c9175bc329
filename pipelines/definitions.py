"""The one Definitions object; what is in it is in `assets`, `checks`, `jobs`, `sensors` and `resources`."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipelines.assets import platform_asset
from pipelines.assets.finance import ledger_asset, marts_asset, reconciliation_asset, report_asset
from pipelines.assets.platform import balances_asset, raw_pages_asset, spot_check_asset
from pipelines.assets.streams import backfill_job, stream_assets
from pipelines.checks import asset_checks
from pipelines.ingest.forecast import LogProgress
from pipelines.jobs import jobs_of, schedules_of
from pipelines.resources import data_api_from_env, warehouse_from_env
from pipelines.sensors import alerts_sensor, inbox_sensor
from resources.accounts import Accounts, AccountScope, account_scopes, accounts_of

ASSETS = (balances_asset, spot_check_asset, reconciliation_asset, marts_asset, report_asset, raw_pages_asset)


def definitions(accounts: Accounts) -> dg.Definitions:
    """Return what Dagster runs for these accounts: each has its own assets, checks, jobs and schedules."""
    scopes = account_scopes(accounts)
    return dg.Definitions(
        assets=[asset for scope in scopes for asset in _assets(scope)],
        asset_checks=[check for scope in scopes for check in asset_checks(scope)],
        jobs=[job for scope in scopes for job in (*jobs_of(scope), backfill_job(scope))],
        schedules=[schedule for scope in scopes for schedule in schedules_of(scope)],
        sensors=[
            alerts_sensor(scopes),
            *(inbox_sensor(scope) for scope in scopes if scope.settings.ledger_inbox),
        ],
        resources={"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": LogProgress()},
        # a process for each step would cost seconds and gain nothing: the dozen steps of a night wait for one another
        executor=dg.in_process_executor,
    )


def _assets(scope: AccountScope) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    yield platform_asset(scope)
    yield from stream_assets(scope)
    yield from (make_asset(scope) for make_asset in ASSETS)
    if scope.settings.ledger_inbox:
        yield ledger_asset(scope)


defs = definitions(accounts_of())
