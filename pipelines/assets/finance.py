"""What finance reads: the assets `reconciliation`, `ledger_entries` (the inbox), `report`, and the marts of schema bi.

The work is in `pipelines.reconciliation`, `pipelines.reports` and `pipelines.marts`.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import dagster as dg

import sql
from pipelines.assets import PLATFORM, as_dagster_failure, asset_spec, materialized, nightly_freshness
from pipelines.jobs import BACKFILL, DAYS
from pipelines.marts import MARTS, VIEWS, build_marts
from pipelines.nights import last_business_day
from pipelines.reconciliation.ledger_import import import_inbox
from pipelines.reconciliation.reconcile import (
    LEGS,
    DayReport,
    Leg,
    changed_since_closed,
    is_over,
    is_proved,
    reconcile_day,
)
from pipelines.reports.page import sentence
from pipelines.reports.publish import mail, publish
from pipelines.resources import DataApiResource, WarehouseResource
from resources.accounts import AccountScope
from resources.currencies import exponent_of
from resources.settings import alert_settings, ledger_mappings, report_dir, report_settings
from resources.warehouse.engine import Warehouse
from resources.warehouse.reference import settings_in_force

COMMENT_ON_MART = re.compile(r"^COMMENT ON (?:TABLE|VIEW) bi\.(\w+) IS '((?:[^']|'')*)';", re.MULTILINE)
# the marts that are made of something else than operations
MART_SOURCES = {"fct_balances_daily": ["balances"], "dim_currency": [], "data_freshness": ["operations", "balances"]}


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
        """Reconcile the business days of the night, or of the partition range, that are over.

        A night does closed days again of which it learned something: a late change is a break, however old the day is.
        """
        chosen = {leg for leg in LEGS if leg in config.legs}
        with as_dagster_failure():
            store = warehouse.warehouse()
            days = [date.fromisoformat(text) for text in config.days or context.partition_keys]
            late = changed_since_closed(store, scope.account) if config.days else []
            for day in (*days, *(day for day in late if day not in days)):
                if not is_over(store, scope.account, day):
                    context.log.info("%s is not over in the reporting zone: left for the next night", day)
                    continue
                walk = "completeness" in chosen and (config.prove_again or not is_proved(store, scope.account, day))
                legs: tuple[Leg, ...] = tuple(leg for leg in LEGS if leg in chosen and (leg != "completeness" or walk))
                report = reconcile_day(data_api.api(scope.account) if walk else None, store, scope.settings, day, legs)
                if day in days:
                    found = _reconciliation_metadata(report)
                    context.add_asset_metadata(found, asset_key=spec.key, partition_key=str(day))
            yield materialized(spec, store)

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
            return materialized(
                spec,
                store,
                files=len(files),
                refused=sum(file.imported is None for file in files),
                what=[f"{file.mapping}/{file.name}: {file.sentence}" for file in files],
            )

    return ledger_entries


def _reconciliation_metadata(report: DayReport) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if report.completeness:
        found |= {"completeness": report.completeness.verdict, "rows_walked": report.completeness.rows_walked}
    if report.books:
        found |= {"books": vars(report.books), "breaks": sum(report.books.breaks.values())}
    if report.balances:
        found["balances"] = vars(report.balances)
    return found


class ReportConfig(dg.Config):
    """Which business day (YYYY-MM-DD); empty: the last one that is over in the reporting zone."""

    day: str = ""
    missed: list[str] = []  # noqa: RUF012 - pydantic copies it; days before it that no night has reported


def report_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's asset."""
    spec = asset_spec(
        scope,
        "report",
        group="finance",
        description="Daily close report of a business day: one page and one workbook in SYNC_REPORT_DIR.",
        deps=[("reconciliation",)],
        kinds=("html", "excel"),
        freshness_policy=nightly_freshness(scope),
    )

    @dg.multi_asset(name=scope.op("report"), specs=[spec])
    def report(
        context: dg.AssetExecutionContext, config: ReportConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        """Write page and workbook, and mail them to those that SYNC_REPORT_MAIL_TO names."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            zone = settings_in_force(store, scope.settings).reference.reporting_zone
            day = date.fromisoformat(config.day) if config.day else last_business_day(datetime.now(UTC), zone)
            for each in (*map(date.fromisoformat, config.missed), day):
                published = publish(store, scope.account, each, zone, report_dir(), report_settings())
                document = published.document
                if mail(published, alert_settings()):
                    context.log.info("the report was sent by e-mail")
        context.log.info(sentence(document))
        return dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "business_date": day.isoformat(),
                "in_one_line": sentence(document),
                "page": dg.MetadataValue.path(published.page),
                "workbook": dg.MetadataValue.path(published.workbook),
                "open_breaks": sum(group.count for group in document.breaks),
                "ledger_head": document.completeness.ledger_head or "—",
            },
        )

    return report


def marts_asset(scope: AccountScope) -> dg.AssetsDefinition:
    """Return the account's assets; the tables behind them are of all accounts, so each build brings all up to date."""
    specs = {
        name: asset_spec(
            scope,
            "bi",
            name,
            group="bi",
            description=_comments()[name].replace("''", "'"),
            table=f"bi.{name}",
            deps=[(source,) for source in MART_SOURCES.get(name, ["operations"])],
            freshness_policy=nightly_freshness(scope),
        )
        for name in MARTS
    }

    @dg.multi_asset(name=scope.op("marts"), specs=list(specs.values()))
    def marts(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.MaterializeResult[None]]:
        """Bring the marts to the state of the core: what the ledger says is new, or everything."""
        with as_dagster_failure():
            store = warehouse.warehouse()
            report = build_marts(store, scope.settings)
            pictures = _pictures(store, scope, context.run.run_id)
            built = {
                "shows_core_of": dg.MetadataValue.timestamp(report.refreshed_at),
                "built_anew": report.is_full,
                "ledger_entries": report.windows,
                "business_days": report.days,
                "payments": report.payments,
            }
            for name, spec in specs.items():
                counted = {"dagster/row_count": report.rows[name]} if name in report.rows else {}
                yield materialized(spec, store, **built, **counted, **pictures.get(name, {}))

    return marts


@cache
def _comments() -> dict[str, str]:
    """Return what the database says of each table and view of schema bi."""
    scripts = [*(statements for _, _, statements in sql.migrations()), *(sql.script(f"bi/{view}") for view in VIEWS)]
    return dict(COMMENT_ON_MART.findall("\n".join(scripts)))


def _pictures(store: Warehouse, scope: AccountScope, dagster_run_id: str) -> dict[str, dict[str, dg.MetadataValue]]:
    """Return the charts of some marts: operations by business day, and how late those of the last load were."""
    from pipelines.reports.charts import counts

    volume = {
        f"{row.day.day} {row.day:%b}": row.operations
        for row in store.query("metadata/volume_by_day", account=scope.account)
    }
    lateness = {
        row.lateness: row.operations
        for run in store.query(
            "checks/runs_of_stream", stream="operations", account=scope.account, dagster_run_id=dagster_run_id
        )
        for row in store.query("metadata/lateness_of_run", run_id=run.run_id)
    }
    return {
        mart: {name: dg.MetadataValue.md(f"![{name}](data:image/png;base64,{b64encode(counts(bars)).decode()})")}
        for mart, name, bars in (("daily_overview", "volume", volume), ("ops_lateness", "lateness", lateness))
        if bars
    }
