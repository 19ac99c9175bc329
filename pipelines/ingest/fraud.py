"""The stream of reports of fraud (`fraud/list`): its declaration, and what happens when the token may not see them."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import MAX_PREC, Context, Decimal
from operator import attrgetter, itemgetter
from typing import Any

import pyarrow as pa

from pipelines.ingest import windows
from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.forecast import Progress
from pipelines.ingest.schema import LARGEST, Rows, Schema, json_text, of_kind
from pipelines.ingest.streams import Stream
from resources.currencies import exponents
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.load import Total

logger = logging.getLogger(__name__)

# What does not change when a report is corrected; the rest (amount, type, …) is its content. The API gives no id.
IDENTIFYING = ("project_id", "payment_id", "operation_id", "arn", "received_on", "fraud_report_date")
CLASH = "another report of the same answer has the same project, payment, operation, arn, received_on and report date"
RIGHT = "Risks or Merchant admin"


def report_key(values: Sequence[Any]) -> str:
    """Return the id of a report: SHA-256 over its `IDENTIFYING` values, typed, times as UTC."""
    texts = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()


def minor_units(amount: Decimal, currency: str | None) -> int | None:
    """Return an amount of major units in minor units; None when the currency's exponent is unknown.

    Raises:
        ValueError: it is no whole number of minor units, or too large for 64 bits.
    """
    exponent = exponents().get(currency or "")
    if exponent is None:
        return None
    minor = amount.scaleb(exponent, Context(prec=MAX_PREC))
    if minor != minor.to_integral_value():
        raise ValueError(f"is {amount} {currency}, which is no whole number of minor units")
    if not -LARGEST - 1 <= minor <= LARGEST:
        raise ValueError(f"is {amount} {currency}, larger than a bigint holds in minor units")
    return int(minor)


def _derive(rows: Rows) -> dict[str, pa.Array]:
    """Add the amount in minor units and the key of each report.

    Two different reports with one key: the second is rejected, so that neither is lost silently. A report that stands
    twice, to the byte, is one.
    """
    minors: list[int | None] = []
    amounts, currencies = rows.columns["tr_amount"].to_pylist(), rows.columns["tr_ccy"].to_pylist()
    for number, (amount, currency) in enumerate(zip(amounts, currencies, strict=True)):
        try:
            minors.append(None if amount is None else minor_units(Decimal(amount), currency))
        except ValueError as error:
            minors.append(None)
            rows.reject(number, f"tr_amount {error}", "tr_amount")
    keys: list[str] = []
    reports: dict[str, str] = {}
    for number, values in enumerate(zip(*(rows.columns[name].to_pylist() for name in IDENTIFYING), strict=True)):
        keys.append(report_key(values))
        if number not in rows.faults:
            text = json_text(rows.objects[number])
            if reports.setdefault(keys[-1], text) != text:
                rows.reject(number, CLASH)
    return {"tr_amount_minor": pa.array(minors, pa.int64()), "report_key": pa.array(keys, pa.string())}


FRAUD = Stream(
    name="fraud",
    row_name="report",
    endpoint="fraud/list",
    table="core.fraud_reports",
    statements="ingest/fraud",
    request=lambda api, _, page: api.fraud(page.window.first, page.window.last, offset=page.offset, limit=page.limit),
    rows=itemgetter("operations"),  # so the platform calls the list of reports
    schema=Schema(
        key="report_key",
        columns={
            **of_kind("id", "report_key", "project_id", "payment_id", "operation_id"),
            "tr_amount": "decimal",  # in major units
            "tr_ccy": "text",
            "tr_amount_minor": "amount",
            **of_kind("text", "account_number", "payment_method_type"),
            "row_updated_at": "time",
            **of_kind("text", "customer_id", "project_name", "arn", "fraud_type"),
            "fraud_report_date": "time",
            "issuer_country": "text",
            **of_kind("time", "received_on", "purchase_date"),
            "channel_amount_in_usd": "decimal",
            **of_kind("text", "issuer_bank_name", "bin", "country_by_ip", "customer_email"),
            "report_and_purchase_date_difference": "integer",
            "extra": "json",
        },
        derived=("report_key", "tr_amount_minor"),
        derive=_derive,
        required=("operation_id",),
        indexed=("payment_id", "operation_id"),
        codes=(
            *("report_key", "project_id", "payment_id", "operation_id", "customer_id", "arn"),
            *("tr_ccy", "payment_method_type", "issuer_country", "country_by_ip"),
        ),
    ),
    total=Total("tr_ccy", "fraud_type", None, "tr_amount_minor"),
    look_back_days=attrgetter("fraud_look_back_days"),  # corrections of a report do not move it to another day
    time_column="received_on",
    optional=True,
    required_right=RIGHT,
    rows_name="reports of fraud",
)


def sync_fraud(
    api: DataApi, warehouse: Warehouse, settings: SyncSettings, request: SyncRequest, progress: Progress | None = None
) -> SyncReport:
    """Load the reports received on the days asked for, as `sync` does.

    `SYNC_FRAUD=off` asks for nothing. With `auto` a refusal is no failure as long as no report was ever loaded for
    this account: most tokens have no such role. Once it had the role, losing it is a failure.

    Raises:
        Unauthorized: the platform refused with 401 or 403, and that is a failure.
        Others as `sync`.
    """
    if settings.fraud == "off":
        days = windows.of_days(request.first_day, request.last_day)
        return SyncReport(0, days, skipped="not asked for: SYNC_FRAUD=off.")
    strict = replace(request, refusal_is_failure=request.refusal_is_failure or settings.fraud == "on")
    report = sync(FRAUD, strict, api, warehouse, settings, progress)
    if not report.skipped:
        return report
    logger.warning("%s", report.skipped)
    return replace(report, skipped=f"{report.skipped.removesuffix('.')}, or set SYNC_FRAUD=off.")
