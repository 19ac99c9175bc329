"""The demo's snapshots of past balances: taken as the asset takes them, with the clocks of both sides set back.

Nothing is written but what the sandbox answered. A snapshot is stamped by the client's clock, so that clock stands at
the moment that the sandbox is told to be at; of an ordinary command it is the platform's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from pipelines.cli import account
from pipelines.cli.store import migrated_store
from resources.settings import api_settings

if TYPE_CHECKING:
    from resources.sandbox import SandboxProcess

TOP_UP = (198, "EUR", 250_000)  # project, currency, minor units: which no operation of the Data API tells of
# the default block, and the project's name: by it payouts are told from those of the currency's other balances
FIELDS = (
    *("project_id", "operation_id", "payment_id", "operation_type", "operation_status", "account_number"),
    *("customer_ip", "payment_method_name", "payment_method_type", "payment_description"),
    *("operation_created_at", "operation_completed_at", "provider_date", "shipment_date", "arn", "rrn"),
    *("payment_provider_code", "payment_provider_message", "sum_initial", "sum_converted", "project_name"),
)


def snapshots_at(sandbox: SandboxProcess, moments: Iterable[datetime]) -> int:
    """Take a snapshot at each of these moments, as which the sandbox is set to; return how many balances there are."""
    from pipelines.ingest.balances import sync_balances
    from resources.data_api.client import Client
    from resources.data_api.clock import FixedClock
    from resources.data_api.endpoints import DataApi

    count = 0
    with migrated_store() as store:
        for moment in moments:
            sandbox.set_clock(f"{moment:%Y-%m-%d %H:%M:%S}")
            with Client(api_settings(), clock=FixedClock(moment)) as client:
                count = len(sync_balances(DataApi(client), store, account.settings().account).balances)
    return count
