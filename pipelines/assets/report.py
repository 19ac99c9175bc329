"""The asset `report`: the daily close report of the last business day; the work is in `pipelines.reports`."""

from datetime import UTC, date, datetime

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import as_dagster_failure, asset_spec, nightly_freshness
from pipelines.nights import last_business_day
from pipelines.reports.page import sentence
from pipelines.reports.publish import mail, publish
from pipelines.resources import WarehouseResource
from resources.settings import alert_settings, report_dir, report_settings
from resources.warehouse.reference import settings_in_force


class ReportConfig(dg.Config):
    """Which business day (YYYY-MM-DD); empty: the last one that is over in the reporting zone."""

    day: str = ""


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
            published = publish(store, scope.account, day, zone, report_dir(), report_settings())
            if mail(published, alert_settings()):
                context.log.info("the report was sent by e-mail")
        context.log.info(sentence(published.document))
        return dg.MaterializeResult(
            asset_key=spec.key,
            metadata={
                "business_date": day.isoformat(),
                "in_one_line": sentence(published.document),
                "page": dg.MetadataValue.path(published.page),
                "workbook": dg.MetadataValue.path(published.workbook),
                "open_breaks": sum(group.count for group in published.document.breaks),
                "ledger_head": published.document.completeness.ledger_head or "—",
            },
        )

    return report
