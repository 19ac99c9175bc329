"""The asset `reconciliation`: days compared with a fresh walk, own books and balances."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec
from pipelines.jobs import BACKFILL, DAYS
from pipelines.reconciliation.reconcile import LEGS, DayReport, Leg, is_over, is_proved, reconcile_day
from pipelines.resources import DataApiResource, WarehouseResource


class ReconciliationConfig(dg.Config):
    """Which legs of which business days are done."""

    legs: list[str] = list(LEGS)  # noqa: RUF012 - pydantic copies it
    days: list[str] = []  # noqa: RUF012 - the same; none: the days of the partitions
    prove_again: bool = False  # walk a day again that was proved complete before


def reconciliation_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "reconciliation",
        group="finance",
        description=(
            "Business days compared with a fresh walk of the platform, the merchant's own books and the "
            "balances (recon.completeness, recon.matches, recon.breaks, recon.balance_rollforward)."
        ),
        table="recon.breaks",
        deps=[("operations",), PLATFORM],
        partitions_def=DAYS,
    )

    @dg.multi_asset(name=scope.op("reconciliation"), specs=[spec], backfill_policy=BACKFILL)
    def reconciliation(
        context: dg.AssetExecutionContext,
        config: ReconciliationConfig,
        data_api: DataApiResource,
        warehouse: WarehouseResource,
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Reconcile the business days of the partition range that are over."""
        chosen = {leg for leg in LEGS if leg in config.legs}
        with as_dagster_failure():
            store = warehouse.warehouse()
            for text in config.days or context.partition_keys:
                day = date.fromisoformat(text)
                if not is_over(store, scope.account, day):
                    context.log.info("%s is not over in the reporting zone: left for the next night", day)
                    continue
                walk = "completeness" in chosen and (config.prove_again or not is_proved(store, scope.account, day))
                legs: tuple[Leg, ...] = tuple(leg for leg in LEGS if leg in chosen and (leg != "completeness" or walk))
                report = reconcile_day(data_api.api(scope.account) if walk else None, store, scope.settings, day, legs)
                context.add_asset_metadata(_metadata(report), asset_key=spec.key, partition_key=text)
            yield dg.MaterializeResult(asset_key=spec.key)

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
