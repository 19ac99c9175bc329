"""Reports of fraud: the second stream of the engine, and what happens when the token may not see them."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import date, timedelta

from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.progress import Progress
from pipelines.ingest.streams import FRAUD
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Skipped:
    """Reports of fraud were not loaded, and why that is no failure."""

    reason: str


def sync_fraud(
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    request: SyncRequest,
    progress: Progress | None = None,
) -> SyncReport | Skipped:
    """Load the reports received on the days asked for, as `sync` does.

    `SYNC_FRAUD=off` asks for nothing. With `auto` a refusal is no failure as long as no report was ever loaded for
    this account: most tokens have no such role. Once it had the role, losing it is a failure.

    Raises:
        NoAccess: the platform refused with 401 or 403, and that is a failure.
        Others as `sync`.
    """
    if settings.fraud == "off":
        return Skipped("not asked for: SYNC_FRAUD=off.")
    strict = replace(request, refusal_is_failure=settings.fraud == "on")
    report = sync(FRAUD, strict, api, warehouse, settings, progress)
    if report.skipped:
        logger.warning("%s", report.skipped)
        return Skipped(report.skipped)
    return report


def first_day_of_night(settings: SyncSettings, last_day: date) -> date:
    """Return the first day that a night walks again: corrections of a report do not move it to another day."""
    return max(settings.first_day, last_day - timedelta(days=settings.fraud_look_back_days))
