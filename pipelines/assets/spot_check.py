"""The asset `spot_check`: payments asked for by id; the work is in `pipelines.audit.spot_check`."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, column_schema
from pipelines.audit.spot_check import SpotCheckReport
from pipelines.audit.spot_check import spot_check as check_payments
from pipelines.checks import SHOWN
from pipelines.resources import DataApiResource, WarehouseResource


class SpotCheckConfig(dg.Config):
    """How many payments to ask for (none: SYNC_SPOT_CHECK_SAMPLE), drawn for which UTC day (none: yesterday)."""

    sample: int | None = None
    day: str = ""


def spot_check_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "spot_check",
        group="platform",
        description="A sample of payments, drawn anew for each day, asked for by id and compared with the store.",
        table="sync.spot_checks",
        deps=[("operations",), PLATFORM],
    )

    @dg.multi_asset(name=scope.op("spot_check"), specs=[spec])
    def spot_check(
        context: dg.AssetExecutionContext,
        config: SpotCheckConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
    ) -> dg.MaterializeResult[None]:
        """Ask for the payments and compare them."""
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        with as_dagster_failure():
            store = warehouse.warehouse()
            report = check_payments(
                data_api.api(scope.account),
                store,
                scope.settings,
                date.fromisoformat(config.day) if config.day else yesterday,
                config.sample,
                context.run.run_id,
            )
            return dg.MaterializeResult(
                asset_key=spec.key, metadata={**_metadata(report), **column_schema(store, "sync.spot_checks")}
            )

    return spot_check


def _metadata(report: SpotCheckReport) -> dict[str, dg.MetadataValue]:
    differences = report.of("different")
    return {
        "payments": dg.MetadataValue.int(report.payments),
        "equal": dg.MetadataValue.int(len(report.of("equal"))),
        "changed_since": dg.MetadataValue.int(len(report.of("changed since"))),
        "not_loaded": dg.MetadataValue.int(len(report.of("not loaded"))),
        "different": dg.MetadataValue.int(len(differences)),
        "first": dg.MetadataValue.json([str(item) for item in differences[:SHOWN]]),
        "sync_run_id": dg.MetadataValue.int(report.run_id),
    }
