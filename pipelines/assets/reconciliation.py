"""The assets `reconciliation` (days against a fresh walk, own books and balances) and `ledger_entries` (the inbox)."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, column_schema
from pipelines.jobs import BACKFILL, DAYS
from pipelines.reconciliation.inbox import import_inbox
from pipelines.reconciliation.reconcile import LEGS, DayReport, Leg, is_over, is_proved, reconcile_day
from pipelines.resources import DataApiResource, WarehouseResource
from resources.currencies import exponent_of
from resources.settings import ledger_mappings
from resources.warehouse.reference import settings_in_force


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
        deps=[("operations",), PLATFORM, *([("ledger_entries",)] if scope.settings.ledger_inbox else [])],
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
            yield dg.MaterializeResult(asset_key=spec.key, metadata=column_schema(store, "recon.breaks"))

    return reconciliation


def ledger_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the asset of an account that has an inbox."""
    spec = asset_spec(
        scope,
        "ledger_entries",
        group="finance",
        description="The merchant's own books: the files of SYNC_LEDGER_INBOX are imported (recon.ledger_entries).",
        table="recon.ledger_entries",
    )

    @dg.multi_asset(name=scope.op("ledger_entries"), specs=[spec])
    def ledger_entries(warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        """Import the files that are complete; a refused one is moved aside, and keeps no other from being imported."""
        with as_dagster_failure():
            store, inbox = warehouse.warehouse(), scope.settings.ledger_inbox
            assert inbox is not None  # noqa: S101 - without one there is no such asset
            zone = settings_in_force(store, scope.settings).reference.reporting_zone
            files = list(import_inbox(store, scope.account, inbox, ledger_mappings(), zone, exponent_of))
            columns = column_schema(store, "recon.ledger_entries")
        return dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "files": dg.MetadataValue.int(len(files)),
                "refused": dg.MetadataValue.int(sum(file.imported is None for file in files)),
                "what": dg.MetadataValue.json([f"{file.mapping}/{file.name}: {file.sentence}" for file in files]),
                **columns,
            },
        )

    return ledger_entries


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
