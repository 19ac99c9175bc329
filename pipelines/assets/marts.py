"""The marts of schema bi as assets, built together after the load, in one transaction; see `pipelines.sync.marts`."""

from collections.abc import Iterator

import dagster as dg

from pipelines.assets.failures import told_in_one_line
from pipelines.partitions import SETTINGS
from pipelines.sync.marts import MARTS, MartsReport, build_marts, currencies_missing_from_grain, differences_from_core
from resources.configured import WarehouseResource

SOURCES = {"fct_balances_daily": ["balances"], "dim_currency": [], "data_freshness": ["operations", "balances"]}
CHECKED = dg.AssetKey(["bi", "daily_overview"])
SHOWN = 10


@dg.multi_asset(
    name="marts",
    specs=[
        dg.AssetSpec(
            dg.AssetKey(["bi", name]),
            deps=SOURCES.get(name, ["operations"]),
            group_name="bi",
            kinds={"postgres"},
            metadata={"dagster/table_name": f"bi.{name}"},
        )
        for name in MARTS
    ],
)
def marts(warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult[None]]:
    """Bring the marts to the state of the core: what the ledger says is new, or everything."""
    with told_in_one_line():
        report = build_marts(warehouse.warehouse(), SETTINGS)
    for name in MARTS:
        yield dg.MaterializeResult(asset_key=dg.AssetKey(["bi", name]), metadata=_metadata(name, report))


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


@dg.asset_check(
    asset=CHECKED,
    name="currency_in_grain",
    description="Every mart with amounts has the currency beside them, and in its key: no sum can mix currencies.",
)
def currency_in_grain(warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """Look at the columns and keys of schema bi itself."""
    found = currencies_missing_from_grain(warehouse.warehouse())
    return dg.AssetCheckResult(passed=not found, metadata={"found": dg.MetadataValue.json(found)})


@dg.asset_check(
    asset=CHECKED,
    name="marts_equal_core",
    description="Count and Σ minor units by currency, type and status are those of core.operations.",
)
def marts_equal_core(warehouse: WarehouseResource) -> dg.AssetCheckResult:
    """Compare all of it, not only what was built now."""
    found = differences_from_core(warehouse.warehouse())
    rows = [{key: str(value) for key, value in row._asdict().items()} for row in found[:SHOWN]]
    return dg.AssetCheckResult(passed=not found, metadata={"found": len(found), "first": dg.MetadataValue.json(rows)})
