"""Asset checks of the marts: no sum can mix currencies, all of the core is in them, and nothing of it twice."""

from collections.abc import Iterator

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.marts import mart_key
from pipelines.marts.build import currencies_missing_from_grain, differences_from_core
from pipelines.marts.projects import SharedProject, shared_projects
from pipelines.resources import WarehouseResource

SHOWN = 10


def mart_checks(owner: Owner) -> Iterator[dg.AssetChecksDefinition]:
    """Yield the checks of the account's marts."""
    key = mart_key(owner, "daily_overview")

    @dg.asset_check(
        asset=key,
        name="currency_in_grain",
        description="Every mart with amounts has the currency beside them, and in its key: no sum can mix currencies.",
    )
    def currency_in_grain(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        """Look at the columns and keys of schema bi itself."""
        found = currencies_missing_from_grain(warehouse.warehouse())
        return dg.AssetCheckResult(passed=not found, metadata={"found": dg.MetadataValue.json(found)})

    @dg.asset_check(
        asset=key,
        name="marts_equal_core",
        description="Count and Σ minor units by currency, type and status are those of core.operations.",
    )
    def marts_equal_core(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        """Compare all of it, not only what was built now; of several accounts each its own."""
        found = [
            row for row in differences_from_core(warehouse.warehouse()) if owner.is_only or row.account == owner.account
        ]
        rows = [{key: str(value) for key, value in row._asdict().items()} for row in found[:SHOWN]]
        return dg.AssetCheckResult(
            passed=not found, metadata={"found": len(found), "first": dg.MetadataValue.json(rows)}
        )

    yield currency_in_grain
    yield marts_equal_core
    if not owner.is_only:
        yield _projects_seen_once(owner, key)


def _projects_seen_once(owner: Owner, key: dg.AssetKey) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key,
        name="projects_seen_once",
        description="No project of this account is seen by another account's token too; the marts count it for one.",
    )
    def projects_seen_once(warehouse: WarehouseResource) -> dg.AssetCheckResult:
        """Look at the core itself; a warning, since the marts count the project once all the same."""
        found = [item for item in shared_projects(warehouse.warehouse()) if owner.account in item.accounts]
        return _told(found)

    return projects_seen_once


def _told(found: list[SharedProject]) -> dg.AssetCheckResult:
    lines = [str(item) for item in found]
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(lines[:SHOWN]) if lines else "none is",
        metadata={"found": len(lines), "first": dg.MetadataValue.json(lines[:SHOWN])},
    )
