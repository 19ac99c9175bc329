"""Reports of fraud: the second stream of the engine, and what happens when the token may not see them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.sync.operations import OperationsRequest, SyncReport, sync_stream
from pipelines.sync.progress import Progress
from pipelines.sync.streams import FRAUD
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

logger = logging.getLogger(__name__)


class NoFraudAccess(Unauthorized):
    """The token's user may not see reports of fraud."""


@dataclass(frozen=True)
class Skipped:
    """Reports of fraud were not loaded, and why that is no failure."""

    reason: str


def sync_fraud(
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    request: OperationsRequest,
    progress: Progress | None = None,
) -> SyncReport | Skipped:
    """Load the reports received on the days asked for, as `sync_operations` does operations.

    `SYNC_FRAUD=off` asks for nothing. With `auto` a refusal is no failure as long as no report was ever loaded for
    this account: most tokens have no such role. Once it had the role, losing it is a failure.

    Raises:
        NoFraudAccess: the platform refused with 401 or 403, and that is a failure.
        Others as `sync_operations`.
    """
    if settings.fraud == "off":
        return Skipped("not asked for: SYNC_FRAUD=off.")
    try:
        return sync_stream(FRAUD, api, warehouse, settings, request, progress)
    except Unauthorized as error:
        message = f"{str(error).removesuffix('.')}, or set SYNC_FRAUD=off."
        if settings.fraud == "on" or _was_loaded_before(warehouse, settings.account):
            raise NoFraudAccess(message, error.right) from None
        logger.warning("%s", message)
        return Skipped(message)


def first_day_of_night(settings: SyncSettings, last_day: date) -> date:
    """Return the first day that a night walks again: corrections of a report do not move it to another day."""
    return max(settings.first_day, last_day - timedelta(days=settings.fraud_look_back_days))


def _was_loaded_before(warehouse: Warehouse, account: str) -> bool:
    return bool(warehouse.query("ledger/was_complete", account=account, stream=FRAUD.name))
