"""The marts of schema bi as assets, built together after the load, in one transaction; see `pipelines.marts.build`."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import as_dagster_failure, asset_spec, column_schema, nightly_freshness
from pipelines.marts.build import MARTS, MartsReport, build_marts
from pipelines.resources import WarehouseResource
from resources.warehouse.engine import Warehouse

# in short; what each column means is in the database's comments
DESCRIPTIONS = {
    "dim_date": "One row a business day: ISO week, month, fiscal year.",
    "dim_project": "One row a project that was ever seen.",
    "dim_operation_status": "One row a pair of type and status: what it means for money and for approval.",
    "dim_currency": "Decimals of each currency, by period.",
    "daily_overview": "Count and amount of operations by business day, project, currency, type and status.",
    "fct_payments": "One row a payment and currency: authorised, captured, sold, refunded, reversed, paid out.",
    "approval_by_method_daily": "Attempts and approvals by business day, payment method, issuer's country and BIN.",
    "decline_reasons_daily": "Attempts that were declined or failed, by business day and the provider's answer.",
    "fct_retries": "One row a payment that was tried again after it was declined or failed, and how that ended.",
    "fct_refunds": "One row a refund or reversal, with its sale and the time between them.",
    "refund_cohorts": "Of what was sold on a business day, how much was given back since.",
    "fct_operations": "One row an operation as last observed, without personal data.",
    "fct_fraud": "One row a report of fraud, without personal data, with the operation it is about.",
    "fct_balances_daily": "Each balance by business day: first, last, lowest and highest snapshot.",
    "approval_rate_daily": "Attempts and approvals by business day, project, currency and type.",
    "control_totals": "Control totals of each walk by currency, type and status, as the ledger keeps them.",
    "data_freshness": "One row an account and stream: is what is shown up to date, and if not, why.",
    "ops_runs": "One row a run: how it ended, how long it took, what it brought.",
    "ops_lateness": "How long after its completion an operation was first seen, by UTC day.",
    "recon_match_rate": "How much of a business day the own books have, and what each pass matched.",
    "recon_open_breaks": "Open breaks by type, owner, age and currency, and how many are overdue.",
    "recon_resolution": "How long breaks took until they were explained or resolved.",
    "recon_days": "How far the reconciliation and the close of each business day have come.",
}
# the marts that are made of something else than operations
SOURCES = {"fct_balances_daily": ["balances"], "dim_currency": [], "data_freshness": ["operations", "balances"]}


def marts_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's assets; the tables behind them are of all accounts, so each build brings all up to date."""
    specs = {
        name: asset_spec(
            scope,
            "bi",
            name,
            group="bi",
            description=DESCRIPTIONS[name],
            table=f"bi.{name}",
            deps=[(source,) for source in SOURCES.get(name, ["operations"])],
            freshness_policy=nightly_freshness(scope),
        )
        for name in MARTS
    }

    @dg.multi_asset(name=scope.op("marts"), specs=list(specs.values()))
    def marts(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult[None]]:
        """Bring the marts to the state of the core: what the ledger says is new, or everything."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            report = build_marts(store, scope.settings)
            pictures = _pictures(store, scope, context.run.run_id)
            for name, spec in specs.items():
                metadata: dict[str, Any] = {
                    **_metadata(name, report),
                    **column_schema(store, f"bi.{name}"),
                    **pictures.get(name, {}),
                }
                yield dg.MaterializeResult(asset_key=spec.key, metadata=metadata)

    return marts


def _metadata(name: str, report: MartsReport) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        "shows_core_of": dg.MetadataValue.timestamp(report.refreshed_at),
        "built_anew": dg.MetadataValue.bool(report.is_full),
        "ledger_entries": dg.MetadataValue.int(report.windows),
        "business_days": dg.MetadataValue.int(report.days),
        "payments": dg.MetadataValue.int(report.payments),
    }
    if name in report.rows:
        metadata["dagster/row_count"] = dg.MetadataValue.int(report.rows[name])
    return metadata


def _pictures(store: Warehouse, scope: AccountScope, dagster_run_id: str) -> dict[str, dict[str, dg.MetadataValue]]:
    """Return the charts of some marts: operations by business day, and how late those of the last load were."""
    from pipelines.reports.charts import counts

    volume = {
        f"{row.day.day} {row.day:%b}": row.operations
        for row in store.query("metadata/volume_by_day", account=scope.account)
    }
    lateness = {
        row.lateness: row.operations
        for run in store.query(
            "checks/runs_of_stream", stream="operations", account=scope.account, dagster_run_id=dagster_run_id
        )
        for row in store.query("metadata/lateness_of_run", run_id=run.run_id)
    }
    return {
        mart: {name: dg.MetadataValue.md(f"![{name}](data:image/png;base64,{b64encode(counts(bars)).decode()})")}
        for mart, name, bars in (("daily_overview", "volume", volume), ("ops_lateness", "lateness", lateness))
        if bars
    }
