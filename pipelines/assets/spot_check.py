"""The asset `spot_check` and its check: payments asked for by id; the work is in `pipelines.audit.spot_check`."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.audit.spot_check import STREAM, SpotCheckReport
from pipelines.audit.spot_check import spot_check as check_payments
from pipelines.checks import none_found, runs_to_check
from pipelines.resources import DataApiResource, WarehouseResource

SHOWN = 20


class SpotCheckConfig(dg.Config):
    """How many payments to ask for; none: SYNC_SPOT_CHECK_SAMPLE."""

    sample: int | None = None


def spot_check_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""

    @dg.asset(
        key=owner.key("spot_check"),
        group_name=owner.group("platform"),
        kinds={"postgres"},
        deps=[dg.AssetKey(owner.key("operations"))],
        metadata={"dagster/table_name": "sync.spot_checks"},
    )
    def spot_check(
        context: dg.AssetExecutionContext,
        config: SpotCheckConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
    ) -> dg.MaterializeResult[None]:
        """A sample of payments, drawn anew for each day, asked for by id and compared with the store."""
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        with told_in_one_line():
            report = check_payments(
                data_api.api(owner.account),
                warehouse.warehouse(),
                owner.settings,
                yesterday,
                config.sample,
                context.run_id,
            )
            return dg.MaterializeResult(metadata=_metadata(report))

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


def spot_check_checks(owner: Owner) -> dg.AssetChecksDefinition:
    """Return the check of the account's asset."""
    key = dg.AssetKey(owner.key("spot_check"))

    @dg.asset_check(
        asset=key,
        name="no_difference",
        description="What the platform answers about a payment is what the store holds, or has changed since the walk.",
    )
    def spot_check_no_difference(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        """Check what this Dagster run compared, or the last spot check."""
        store = warehouse.warehouse()
        run_ids = runs_to_check(store, owner, STREAM, context.run.run_id)
        return none_found("no_difference", store.query("checks/spot_differences", run_ids=run_ids), key)

    return spot_check_no_difference
