"""One snapshot of the balances: request, type, store; the statements are in sql/ingest/balances.sql."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.ingest.normalize import LONGEST_INDEXED
from pipelines.ingest.schema import json_text, typed
from pipelines.ingest.streams import raw_page
from pipelines.ingest.walk import LOOKS_AT_NOTHING
from resources.data_api.endpoints import DataApi
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse, run, run_many
from resources.warehouse.load import Reject, add_pages, add_rejects
from resources.warehouse.locks import TokenBudget

CURRENCY = re.compile(r"[A-Z][A-Z0-9]{2,7}")  # ISO 4217, and what a platform adds to it, such as USDT


@dataclass(frozen=True)
class Balance:
    """One balance in one currency; `amount_minor` is in minor units of `currency` and may be negative."""

    position: int
    name: str
    currency: str
    amount_minor: int


@dataclass(frozen=True)
class BalancesReport:
    """What a snapshot brought."""

    run_id: int
    captured_at: datetime
    balances: tuple[Balance, ...]
    rejects: tuple[Reject, ...]


def sync_balances(
    api: DataApi, warehouse: Warehouse, account: str, dagster_run_id: str | None = None
) -> BalancesReport:
    """Take a snapshot of all balances and store it, in one transaction.

    Raises:
        Retryable, Permanent: the platform did not answer, or refused.
        WarehouseUnavailable: the database failed; nothing of the snapshot is stored.
    """
    with (
        api.run(TokenBudget(warehouse, account)) as run_api,
        ledger.run(
            warehouse, run_api.counts, account=account, stream="balances", dagster_run_id=dagster_run_id
        ) as this,
    ):
        for _ in range(LOOKS_AT_NOTHING):  # as for an empty window: nothing else can be shown of it
            answer = run_api.balances()
            entries = answer.document["balance"]
            if entries:
                break
        balances, rejects = normalize_balances(entries, answer.requested_at)
        snapshot = {"account": account, "captured_at": answer.requested_at, "run_id": this.run_id}
        with warehouse.transaction() as connection:
            run(connection, "warehouse/load/lock_account", account=account)
            run_many(connection, "ingest/balances/add", [{**snapshot, **vars(balance)} for balance in balances])
            add_rejects(connection, this.scope, "balances", rejects, None)
            add_pages(connection, this.scope, None, [raw_page(answer, len(entries))])
        return BalancesReport(this.run_id, answer.requested_at, tuple(balances), tuple(rejects))


def normalize_balances(entries: Sequence[Any], observed_at: datetime) -> tuple[list[Balance], list[Reject]]:
    """Type the entries of a `balance/get` answer: `{"name": …, "<currency>": "<minor units>"}`.

    The currency is the name of the other key; the balance's own name may mention another currency.
    """
    balances: list[Balance] = []
    rejects: list[Reject] = []
    for position, entry in enumerate(entries):
        try:
            balances += _balances_of(position, entry)
        except ValueError as error:
            rejects.append(Reject(str(error), json_text(entry), observed_at))
    return balances, rejects


def _balances_of(position: int, entry: Any) -> list[Balance]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or "\x00" in entry["name"]:
        raise ValueError("the entry is not an object with a name")
    if len(entry["name"].encode()) > LONGEST_INDEXED:
        raise ValueError("the name is too long for an index")
    currencies = [key for key in entry if CURRENCY.fullmatch(key)]
    if not currencies or len(currencies) != len(entry) - 1:
        raise ValueError("beside its name, the entry has a key that is no currency, or none at all")
    amounts, reasons = typed([entry[currency] for currency in currencies], "amount")
    if reasons or amounts.null_count:
        raise ValueError(f"the amount {next(iter(reasons.values()), 'is missing')}")
    return [
        Balance(position, entry["name"], currency, amount)
        for currency, amount in zip(currencies, amounts.to_pylist(), strict=True)
    ]
