"""The stream of payment operations (`operations/get`): its declaration, and nothing else.

Source of the fields: the platform's public documentation. A field that is not here lands in `extra`.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter, itemgetter
from typing import Any

from pipelines.ingest.schema import EXTRA, SUM_PARTS, Kind, Schema
from pipelines.ingest.streams import PageRequest, Stream
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi
from resources.settings import SyncSettings
from resources.warehouse.load import Total

BY_DEFAULT: dict[str, Kind] = {
    "operation_id": "text",
    "project_id": "text",
    "payment_id": "text",
    "operation_type": "text",
    "operation_status": "text",
    "account_number": "text",
    "customer_ip": "text",
    "payment_method_name": "text",
    "payment_method_type": "text",
    "payment_description": "text",
    "operation_created_at": "time",
    "operation_completed_at": "time",
    "provider_date": "time",
    "shipment_date": "time",
    "sum_initial_amount": "amount",
    "sum_initial_currency": "text",
    "sum_converted_amount": "amount",
    "sum_converted_currency": "text",
    "arn": "text",
    "rrn": "text",
    "payment_provider_code": "text",
    "payment_provider_message": "text",
}
ON_REQUEST: dict[str, Kind] = {
    "bin": "text",
    "bank_name": "text",
    "card_enroll_check": "text",
    "card_holder": "text",
    "card_product_name": "text",
    "card_token": "text",
    "expiration_date": "text",
    "country_by_bin": "text",
    "eci": "text",
    "secure_3ds_check": "text",
    "auth_code": "text",
    "avs_post_code": "text",
    "avs_street_address": "text",
    "avs_result": "text",
    "customer_id": "text",
    "customer_email": "text",
    "country_by_ip": "text",
    "completed_refund": "amount",
    "remaining_refund": "amount",
    "currency_rate": "text",
    "payment_currency": "text",
    "balance_id": "text",
    "payment_type": "text",
    "transaction_created_at": "time",
    "transaction_completed_at": "time",
    "transaction_status": "text",
    "provider_payment_id": "text",
    "recurring_id": "text",
    "recurring_register": "text",
    "recurring_valid_thru": "text",
    "acquirer_bank_name": "text",
    "legal_entity_name": "text",
    "merchant_id": "text",
    "project_name": "text",
    "project_url": "text",
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
    return api.operations(
        page.window.first,
        page.window.last,
        offset=page.offset,
        limit=page.limit,
        project_ids=page.project_ids,
        fields=settings.fields,
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
