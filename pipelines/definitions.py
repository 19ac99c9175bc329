"""The one Definitions object; what is in it is in assets, checks, schedules and `resources.configured`."""

from __future__ import annotations

import dagster as dg

from pipelines.assets.backfill import BACKFILL_JOB
from pipelines.assets.balances import balances
from pipelines.assets.documents import DOCUMENTS_JOB, document_assets
from pipelines.assets.fraud import fraud
from pipelines.assets.marts import currency_in_grain, marts, marts_equal_core
from pipelines.assets.operations import operations
from pipelines.assets.raw_pages import raw_pages
from pipelines.assets.reconciliation import reconciliation
from pipelines.assets.report import report
from pipelines.assets.spot_check import spot_check, spot_check_no_difference
from pipelines.checks import balances_no_rejects, operations_checks, reconciliation_checks
from pipelines.fraud_checks import fraud_checks
from pipelines.partitions import SETTINGS
from pipelines.schedules import (
    BALANCES_JOB,
    CHECKS_JOB,
    FRAUD_JOB,
    MARTS_JOB,
    NIGHTLY_JOB,
    OPERATIONS_JOB,
    RECONCILE_JOB,
    SPOT_CHECK_JOB,
    balances_schedule,
    nightly_schedule,
)
from pipelines.sensors import alerts_sensor
from pipelines.sync.progress import LogProgress
from resources.configured import data_api_from_env, warehouse_from_env

defs = dg.Definitions(
    assets=[
        operations,
        balances,
        fraud,
        spot_check,
        reconciliation,
        marts,
        report,
        raw_pages,
        *document_assets(SETTINGS),
    ],
    asset_checks=[
        operations_checks,
        balances_no_rejects,
        fraud_checks,
        spot_check_no_difference,
        reconciliation_checks,
        currency_in_grain,
        marts_equal_core,
    ],
    jobs=[
        OPERATIONS_JOB,
        NIGHTLY_JOB,
        BALANCES_JOB,
        BACKFILL_JOB,
        CHECKS_JOB,
        FRAUD_JOB,
        SPOT_CHECK_JOB,
        RECONCILE_JOB,
        MARTS_JOB,
        *([DOCUMENTS_JOB] if SETTINGS.documents else []),
    ],
    schedules=[nightly_schedule, balances_schedule],
    sensors=[alerts_sensor],
    resources={"data_api": data_api_from_env(), "warehouse": warehouse_from_env(), "progress": LogProgress()},
    # a process for each step would cost seconds and gain nothing: a run has one or two steps
    executor=dg.in_process_executor,
)
