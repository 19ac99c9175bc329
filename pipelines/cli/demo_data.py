"""The made-up data of the demo: snapshots of past balances, and a merchant's ledger with one break of each type.

The ledger is the store's own operations of a day with the breaks worked in. What only the platform can get wrong (a
double charge, refunds without a payment, a late change) is asked of the sandbox's own route `/_sandbox/operations`,
before the day is loaded: `platform_faults`, and later `late_change`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.cli.accounts import migrated_warehouse
from pipelines.cli.demo_exports import write_exports
from resources.errors import ConfigError
from resources.settings import api_settings, sync_settings
from resources.warehouse.engine import Warehouse

if TYPE_CHECKING:
    from resources.sandbox import SandboxProcess

Row = dict[str, Any]

TOP_UP = (198, "EUR", 250_000)  # project, currency, minor units: which is in no operation of the Data API
# the default block; the project's name, by which payouts are told from those of the currency's other balances; and the
# issuer's country, by which approval is shown
FIELDS = (
    *("project_id", "operation_id", "payment_id", "operation_type", "operation_status", "account_number"),
    *("customer_ip", "payment_method_name", "payment_method_type", "payment_description"),
    *("operation_created_at", "operation_completed_at", "provider_date", "shipment_date", "arn", "rrn"),
    *("payment_provider_code", "payment_provider_message", "sum_initial", "sum_converted", "project_name"),
    "country_by_bin",
)
COLUMNS = (
    *("entry_id", "booked_at", "operation_type", "status", "currency", "amount_minor", "fee_minor"),
    *("operation_id", "project_id", "payment_id"),
)
OFF_BY = 250  # minor units of the amount break
ELIGIBLE = 6  # successful operations that get a fault of the ledger each
TOO_FEW = "a day has too few operations to make a fault of each kind: ask for more with --rows, or for fewer --days."


def snapshots_at(sandbox: SandboxProcess, moments: Iterable[datetime]) -> int:
    """Take a snapshot of the balances at each of these moments, and return how many balances there are.

    Nothing is written but what the sandbox answers. The client's clock stamps a snapshot, so both clocks are set to
    the moment: the sandbox's and the client's.
    """
    from pipelines.ingest.balances import sync_balances
    from resources.data_api.client import Client
    from resources.data_api.clock import FixedClock
    from resources.data_api.endpoints import DataApi

    count = 0
    with migrated_warehouse() as store:
        for moment in moments:
            sandbox.set_clock(f"{moment:%Y-%m-%d %H:%M:%S}")
            with Client(api_settings(), clock=FixedClock(moment)) as client:
                count = len(sync_balances(DataApi(client), store, sync_settings().account).balances)
    return count


def platform_faults(day: date) -> list[Row]:
    """Return what to POST to the sandbox's `/_sandbox/operations`, one body each, before the day is loaded."""
    return [
        {"add": _operation(day, payment, kind, amount, clock), "effective": f"{day} {clock}"}
        for payment, kind, amount, clock in (
            ("demo-twice", "sale", 4_200, "10:00:00"),
            ("demo-twice", "sale", 4_200, "10:00:20"),
            ("demo-orphan", "refund", 1_300, "11:00:00"),
            ("demo-refunded", "sale", 5_000, "12:00:00"),
            ("demo-refunded", "refund", 5_900, "13:00:00"),
        )
    ]


def late_change(operation_id: str, days_later: date) -> Row:
    """Return what to POST after the operation's day was closed: on a later day it was reversed."""
    return {
        "change": {"operation_id": operation_id, "operation_status": "reversed"},
        "effective": f"{days_later} 12:00:00",
    }


def write_demo_ledger(
    warehouse: Warehouse, account: str, day: date, path: Path, corrected: Row | None = None
) -> dict[str, str]:
    """Write the CSV and return which operation or entry has which break, by type; `corrected` is of another day.

    The same entries, as accounting systems export them, go into the folder `exports` beside it.
    """
    rows, broken = ledger_rows(_operations(warehouse, account, day), day)
    rows = [*rows, corrected] if corrected else rows
    _write(path, rows)
    write_exports(rows, path.parent / "exports")
    return broken


def write_faultless_ledger(warehouse: Warehouse, account: str, day: date, path: Path) -> None:
    """Write the CSV of a day that is booked as the platform has it."""
    _write(path, [_entry(row) for row in _operations(warehouse, account, day) if row["is_required"]])


def a_sale(warehouse: Warehouse, account: str, day: date) -> Row:
    """Return the largest sale of a day in euros, to be reversed later.

    Raises:
        ConfigError: there is none.
    """
    sales = (
        row
        for row in _operations(warehouse, account, day)
        if row["is_required"] and (row["operation_type"], row["currency"]) == ("sale", "EUR")
    )
    sale = max(sales, key=lambda row: int(row["minor"]), default=None)
    if sale is None:
        raise ConfigError(TOO_FEW)
    return sale


def reversed_entry(sale: Row) -> Row:
    """Return the sale's entry, corrected: the merchant heard of the reversal and booked it."""
    return {**_entry(sale), "status": "reversed"}


def _operations(warehouse: Warehouse, account: str, day: date) -> list[Row]:
    return [dict(row._asdict()) for row in warehouse.query("cli/demo_data/operations", account=account, day=day)]


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def ledger_rows(operations: Sequence[Row], day: date) -> tuple[list[Row], dict[str, str]]:
    """Book the operations, but for one fault of each type; the rest of the platform's own faults is booked as it is."""
    money = [row for row in operations if row["is_required"]]
    plain = [row for row in money if not row["payment_id"].startswith("demo-") and row["minor"] > OFF_BY]
    declined = next((row for row in operations if row["operation_status"] == "decline" and row["minor"]), None)
    if len(plain) < ELIGIBLE or declined is None:
        raise ConfigError(TOO_FEW)
    missing, amount, currency, fee, twice, rounding = plain[:ELIGIBLE]
    changes: dict[str, Row] = {
        amount["operation_id"]: {"amount_minor": amount["minor"] - OFF_BY},
        currency["operation_id"]: {"currency": "GBP" if currency["currency"] != "GBP" else "EUR"},
        fee["operation_id"]: {"amount_minor": fee["minor"] - 35, "fee_minor": 35},
        rounding["operation_id"]: {"amount_minor": rounding["minor"] + 1},
    }
    doubled = [row["operation_id"] for row in money if row["payment_id"] == "demo-twice"][1:]
    left_out = {missing["operation_id"], *doubled}
    rows = [
        {**_entry(row), **changes.get(row["operation_id"], {})} for row in money if row["operation_id"] not in left_out
    ]
    rows.append({**_entry(twice), "entry_id": f"{_entry(twice)['entry_id']}-again"})
    rows.append({**_entry(declined), "status": "success"})
    rows += _of_no_operation(day)
    return rows, {
        "missing_in_ledger": missing["operation_id"],
        "amount": amount["operation_id"],
        "currency": currency["operation_id"],
        "fee": fee["operation_id"],
        "duplicate_in_ledger": f"{_entry(twice)['entry_id']}-again",
        "rounding": rounding["operation_id"],
        "status": declined["operation_id"],
        "missing_at_platform": "L-nobody",
        "timing": "L-late",
    }


def _of_no_operation(day: date) -> Iterator[Row]:
    for entry_id, clock in (("L-nobody", "09:30"), ("L-late", "23:59")):
        yield {
            "entry_id": entry_id,
            "booked_at": f"{day}T{clock}:00+00:00",
            "operation_type": "sale",
            "status": "success",
            "currency": "EUR",
            "amount_minor": 7_700,
            "operation_id": f"999{len(entry_id)}",
        }


def _entry(row: Row) -> Row:
    return {
        "entry_id": f"L{row['operation_id']}",
        "booked_at": row["at"].isoformat(),
        "operation_type": row["operation_type"],
        "status": row["operation_status"],
        "currency": row["currency"],
        "amount_minor": row["minor"],
        "operation_id": row["operation_id"],
        "project_id": row["project_id"],
        "payment_id": row["payment_id"],
    }


def _operation(day: date, payment: str, kind: str, amount: int, clock: str) -> Row:
    return {
        "project_id": "198",
        "payment_id": payment,
        "operation_type": kind,
        "operation_status": "success",
        "sum_initial": {"amount": amount, "currency": "EUR"},
        "sum_converted": {"amount": amount, "currency": "EUR"},
        "operation_created_at": f"{day} {clock}",
        "operation_completed_at": f"{day} {clock}",
    }
