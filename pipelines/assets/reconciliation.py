"""The asset `reconciliation`: days held against a fresh walk, own books and balances."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.partitions import BACKFILL, DAYS
from pipelines.reconciliation.reconcile import LEGS, DayReport, Leg, is_over, is_proved, reconcile_day
from pipelines.resources import DataApiResource, WarehouseResource


class ReconciliationConfig(dg.Config):
    """Which legs; and whether to walk a day again that was proved complete before."""

    legs: list[str] = list(LEGS)  # noqa: RUF012 - pydantic copies it
    prove_again: bool = False


def reconciliation_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""
    key = dg.AssetKey(owner.key("reconciliation"))

    @dg.multi_asset(
        name=owner.op("reconciliation"),
        specs=[
            dg.AssetSpec(
                key,
                deps=[dg.AssetKey(owner.key("operations"))],
                partitions_def=DAYS,
                group_name=owner.group("finance"),
                kinds={"postgres"},
                description=(
                    "Business days held against a fresh walk of the platform, the merchant's own books and the "
                    "balances (recon.completeness, recon.matches, recon.breaks, recon.balance_rollforward)."
                ),
                metadata={"dagster/table_name": "recon.breaks"},
            )
        ],
        backfill_policy=BACKFILL,
    )
    def reconciliation(
        context: dg.AssetExecutionContext,
        config: ReconciliationConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Reconcile the business days of the partition range that are over."""
        asked = {leg for leg in LEGS if leg in config.legs}
        with told_in_one_line():
            store = warehouse.warehouse()
            for text in context.partition_keys:
                day = date.fromisoformat(text)
                if not is_over(store, owner.account, day):
                    context.log.info("%s is not over in the reporting zone: left for the next night", day)
                    continue
                walk = "completeness" in asked and (config.prove_again or not is_proved(store, owner.account, day))
                legs: tuple[Leg, ...] = tuple(leg for leg in LEGS if leg in asked and (leg != "completeness" or walk))
                report = reconcile_day(data_api.api(owner.account) if walk else None, store, owner.settings, day, legs)
                context.add_asset_metadata(_metadata(report), asset_key=key, partition_key=text)
            yield dg.MaterializeResult(asset_key=key)

    return reconciliation


def _metadata(report: DayReport) -> dict[str, dg.MetadataValue]:
    found: dict[str, dg.MetadataValue] = {}
    if report.completeness:
        found["completeness"] = dg.MetadataValue.text(report.completeness.verdict)
        found["rows_walked"] = dg.MetadataValue.int(report.completeness.rows_walked)
    if report.books:
        found["books"] = dg.MetadataValue.json(vars(report.books))
        found["breaks"] = dg.MetadataValue.int(sum(report.books.breaks.values()))
    if report.balances:
        found["balances"] = dg.MetadataValue.json(vars(report.balances))
    return found
