"""The stream of payment operations (`operations/get`): its declaration, and nothing else.

Source of the fields: the platform's public documentation. A field that is not here lands in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any

from pipelines.ingest.schema import EXTRA, SUM_PARTS, Kind, Schema, of_kind
from pipelines.ingest.streams import PageRequest, Stream
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.load import Total

BY_DEFAULT: dict[str, Kind] = {
    **of_kind("id", "operation_id", "project_id", "payment_id"),
    **of_kind("text", "operation_type", "operation_status"),
    **of_kind("text", "account_number", "customer_ip"),
    **of_kind("text", "payment_method_name", "payment_method_type", "payment_description"),
    **of_kind("time", "operation_created_at", "operation_completed_at", "provider_date", "shipment_date"),
    "sum_initial_amount": "amount",
    "sum_initial_currency": "text",
    "sum_converted_amount": "amount",
    "sum_converted_currency": "text",
    **of_kind("text", "arn", "rrn", "payment_provider_code", "payment_provider_message"),
}
ON_REQUEST: dict[str, Kind] = {
    **of_kind("text", "bin", "bank_name", "card_enroll_check", "card_holder", "card_product_name", "card_token"),
    **of_kind("text", "expiration_date", "country_by_bin", "eci", "secure_3ds_check", "auth_code"),
    **of_kind("text", "avs_post_code", "avs_street_address", "avs_result"),
    **of_kind("text", "customer_id", "customer_email", "country_by_ip"),
    **of_kind("amount", "completed_refund", "remaining_refund"),
    **of_kind("text", "currency_rate", "payment_currency", "balance_id", "payment_type"),
    **of_kind("time", "transaction_created_at", "transaction_completed_at"),
    **of_kind("text", "transaction_status", "provider_payment_id", "recurring_id", "recurring_register"),
    **of_kind("text", "recurring_valid_thru", "acquirer_bank_name", "legal_entity_name", "merchant_id"),
    **of_kind("text", "project_name", "project_url"),
}
COLUMNS: dict[str, Kind] = {**BY_DEFAULT, **ON_REQUEST, EXTRA: "json"}
KEY = "operation_id"
CODES = (
    *("operation_id", "project_id", "payment_id", "provider_payment_id", "recurring_id", "balance_id", "merchant_id"),
    *("customer_id", "customer_ip", "card_token", "arn", "rrn"),
    *("operation_type", "operation_status", "payment_method_name", "payment_method_type", "payment_type"),
    *("sum_initial_currency", "sum_converted_currency", "payment_currency", "currency_rate", "country_by_bin"),
    *("country_by_ip", "payment_provider_code", "card_enroll_check", "expiration_date", "eci", "secure_3ds_check"),
    *("auth_code", "avs_result", "transaction_status", "recurring_register", "recurring_valid_thru"),
)
SUMS = ("sum_initial", "sum_converted")


def _request(api: DataApi, settings: SyncSettings, page: PageRequest) -> Answer:
    first, last, fields = page.window.first, page.window.last, settings.fields
    return api.operations(
        first, last, offset=page.offset, limit=page.limit, project_ids=page.project_ids, fields=fields
    )


def _unrequested(request: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns that a request did not ask for: without `fields`, those on request; else all not named.

    `extra` holds what is in no column: whatever comes by default, or what is named and not known.
    """
    names = {*(request.get("fields") or ())}
    if not names:
        return tuple(ON_REQUEST)
    parts = {f"{name}_{part}": {name, f"{name}.{part}"} for name in SUMS for part in SUM_PARTS}
    requested = {column for column in COLUMNS if parts.get(column, {column}) & names}
    if names - {*COLUMNS}.union(*parts.values()):
        requested.add(EXTRA)
    return tuple(column for column in COLUMNS if column not in requested and column != KEY)


OPERATIONS = Stream(
    name="operations",
    row_name="operation",
    endpoint="operations/get",
    table="core.operations",
    statements="ingest/operations",
    request=_request,
    rows=itemgetter("operations"),
    schema=Schema(key=KEY, columns=COLUMNS, sums=SUMS, required=(KEY,), indexed=(KEY, "payment_id"), codes=CODES),
    total=Total("sum_initial_currency", "operation_type", "operation_status", "sum_initial_amount"),
    look_back_days=attrgetter("look_back_days"),
    unrequested=_unrequested,
    time_column="operation_completed_at",
)
