"""Reports of fraud: the second stream of the engine, and what happens when the token may not see them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pipelines.ingest.engine import OperationsRequest, SyncReport, sync_stream
from pipelines.ingest.progress import Progress
from pipelines.ingest.streams import FRAUD
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

logger = logging.getLogger(__name__)

HOW_TO_GET_ACCESS = (
    "reports of fraud need the role Risks or Merchant admin: grant it to the token's user (My team → the user's tab), "
    "or set SYNC_FRAUD=off"
)


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
    tolerated = settings.fraud == "auto" and not _was_loaded_before(warehouse, settings.account)
    try:
        return sync_stream(FRAUD, api, warehouse, settings, request, progress, refusal_is_skipped=tolerated)
    except Unauthorized as error:
        message = f"{error} For {HOW_TO_GET_ACCESS}."
        if not tolerated:
            raise NoFraudAccess(message) from None
        logger.warning("%s", message)
        return Skipped(message)


def _was_loaded_before(warehouse: Warehouse, account: str) -> bool:
    return bool(warehouse.query("warehouse/ledger/was_complete", account=account, stream=FRAUD.name))
