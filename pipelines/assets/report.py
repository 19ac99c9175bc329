"""The asset `report`: the daily close report of the last business day; the work is in `pipelines.reports`."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.accounts import Owner
from pipelines.assets.failures import told_in_one_line
from pipelines.reports.page import sentence
from pipelines.reports.publish import publish
from pipelines.resources import WarehouseResource
from resources.settings import report_dir
from resources.warehouse.reference import settings_in_force


class ReportConfig(dg.Config):
    """Which business day (YYYY-MM-DD); empty: the last one that is over in the reporting zone."""

    day: str = ""


def report_of(owner: Owner) -> dg.AssetsDefinition:
    """Return the account's asset."""

    @dg.asset(
        key=owner.key("report"),
        group_name=owner.group("finance"),
        kinds={"html", "excel"},
        deps=[dg.AssetKey(owner.key("reconciliation"))],
        description="Daily close report of a business day: one page and one workbook in SYNC_REPORT_DIR.",
    )
    def report(
        context: dg.AssetExecutionContext, config: ReportConfig, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        """Write page and workbook."""
        with told_in_one_line():
            store = warehouse.warehouse()
            zone = settings_in_force(store, owner.settings).reference.reporting_zone
            yesterday = (datetime.now(UTC).astimezone(ZoneInfo(zone)) - timedelta(days=1)).date()
            day = datetime.strptime(config.day, "%Y-%m-%d").replace(tzinfo=UTC).date() if config.day else yesterday
            published = publish(store, owner.account, day, zone, report_dir())
        context.log.info(sentence(published.document))
        return dg.MaterializeResult(
            metadata={
                "business_date": day.isoformat(),
                "in_one_line": sentence(published.document),
                "page": dg.MetadataValue.path(published.page),
                "workbook": dg.MetadataValue.path(published.workbook),
                "open_breaks": sum(group.count for group in published.document.breaks),
                "ledger_head": published.document.completeness.ledger_head or "—",
            }
        )

    return report
