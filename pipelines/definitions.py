"""The one Definitions object; what is in it is in assets, checks, jobs, schedules and `pipelines.resources`."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from pipelines.accounts import Owner, owners_of
from pipelines.assets.backfill import backfill_job_of
from pipelines.assets.balances import balances_of
from pipelines.assets.documents import document_assets
from pipelines.assets.fraud import fraud_of
from pipelines.assets.marts import marts_of
from pipelines.assets.operations import operations_of
from pipelines.assets.reconciliation import reconciliation_of
from pipelines.assets.report import report_of
from pipelines.assets.retention import raw_pages_of
from pipelines.assets.spot_check import spot_check_checks, spot_check_of
from pipelines.checks import balances_no_rejects, operations_checks, reconciliation_checks
from pipelines.fraud_checks import fraud_checks
from pipelines.ingest.progress import LogProgress
from pipelines.jobs import jobs_of
from pipelines.mart_checks import mart_checks
from pipelines.resources import data_api_from_env, warehouse_from_env
from pipelines.schedules import schedules_of
from pipelines.sensors import alerts_sensor
from resources.accounts import Accounts, accounts_of

ASSETS = (
    *(operations_of, balances_of, fraud_of, spot_check_of, reconciliation_of),
    *(marts_of, report_of, raw_pages_of),
)


def definitions(accounts: Accounts) -> dg.Definitions:
    """Return what Dagster runs for these accounts: each has its own assets, checks, jobs and schedules."""
    owners = owners_of(accounts)
    return dg.Definitions(
        assets=[asset for owner in owners for asset in _assets_of(owner)],
        asset_checks=[check for owner in owners for check in _checks_of(owner)],
        jobs=[job for owner in owners for job in (*jobs_of(owner), backfill_job_of(owner))],
        schedules=[schedule for owner in owners for schedule in schedules_of(owner)],
        sensors=[alerts_sensor(owners)],
        resources={"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": LogProgress()},
        # a process for each step would cost seconds and gain nothing: the dozen steps of a night wait for one another
        executor=dg.in_process_executor,
    )


def _assets_of(owner: Owner) -> Iterator[dg.AssetsDefinition]:
    yield from (asset_of(owner) for asset_of in ASSETS)
    yield from document_assets(owner)


def _checks_of(owner: Owner) -> Iterator[dg.AssetChecksDefinition]:
    yield operations_checks(owner)
    yield balances_no_rejects(owner)
    yield fraud_checks(owner)
    yield spot_check_checks(owner)
    yield reconciliation_checks(owner)
    yield from mart_checks(owner)


defs = definitions(accounts_of())
