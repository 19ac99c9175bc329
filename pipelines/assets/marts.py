"""The marts of schema bi as assets, built together after the load, in one transaction; see `pipelines.marts.build`."""

from collections.abc import Iterator

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.marts.build import MARTS, MartsReport, build_marts
from pipelines.resources import WarehouseResource

SOURCES = {"fct_balances_daily": ["balances"], "dim_currency": [], "data_freshness": ["operations", "balances"]}


def marts_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's assets; the tables behind them are of all accounts, so each build brings all up to date."""

    @dg.multi_asset(
        name=owner.op("marts"),
        specs=[
            dg.AssetSpec(
                mart_key(owner, name),
                deps=[dg.AssetKey(owner.key(source)) for source in SOURCES.get(name, ["operations"])],
                group_name=owner.group("bi"),
                kinds={"postgres"},
                metadata={"dagster/table_name": f"bi.{name}"},
            )
            for name in MARTS
        ],
    )
    def marts(warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult[None]]:
        """Bring the marts to the state of the core: what the ledger says is new, or everything."""
        with told_in_one_line():
            report = build_marts(warehouse.warehouse(), owner.settings)
        for name in MARTS:
            yield dg.MaterializeResult(asset_key=mart_key(owner, name), metadata=_metadata(name, report))

    return marts


def mart_key(owner: Owner, name: str) -> dg.AssetKey:
    """Return the key of a mart's asset."""
    return dg.AssetKey(owner.key("bi", name))


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
