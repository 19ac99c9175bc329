"""The asset `raw_pages`: the signed bodies, of which those older than SYNC_RAW_DAYS are deleted every night."""

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import as_dagster_failure, asset_spec, column_schema
from pipelines.resources import WarehouseResource
from resources.warehouse.ledger import delete_old_pages


def raw_pages_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "raw_pages",
        group="platform",
        description="Answers as the platform signed them, kept SYNC_RAW_DAYS (0: for ever); the ledger keeps digests.",
        table="raw.pages",
        deps=[("operations",)],
    )

    @dg.multi_asset(name=scope.op("raw_pages"), specs=[spec])
    def raw_pages(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Delete the pages that are older."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            deleted = delete_old_pages(store, scope.account, scope.settings.raw_days)
            before = f"{deleted.received_before:%Y-%m-%d %H:%M:%S} UTC" if deleted.received_before else "never"
            return dg.MaterializeResult(
                asset_key=spec.key,
                metadata={
                    "deleted": dg.MetadataValue.int(deleted.pages),
                    "received_before": dg.MetadataValue.text(before),
                    **column_schema(store, "raw.pages"),
                },
            )

    return raw_pages
