"""The asset `raw_pages`: the signed bodies, of which those older than SYNC_RAW_DAYS are deleted every night."""

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.resources import WarehouseResource
from resources.warehouse.retention import delete_old_pages


def raw_pages_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""

    @dg.asset(
        key=owner.key("raw_pages"),
        group_name=owner.group("platform"),
        kinds={"postgres"},
        deps=[dg.AssetKey(owner.key("operations"))],
        metadata={"dagster/table_name": "raw.pages"},
    )
    def raw_pages(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Answers as the platform signed them, kept SYNC_RAW_DAYS (0: for ever); the ledger keeps their digests."""
        with told_in_one_line():
            deleted = delete_old_pages(warehouse.warehouse(), owner.account, owner.settings.raw_days)
            before = f"{deleted.received_before:%Y-%m-%d %H:%M:%S} UTC" if deleted.received_before else "never"
            return dg.MaterializeResult(
                metadata={
                    "deleted": dg.MetadataValue.int(deleted.pages),
                    "received_before": dg.MetadataValue.text(before),
                }
            )

    return raw_pages
