"""The fields of an operation and their kinds, in the order of the columns of core.operations.

Source: the platform's public documentation of `operations/get`. A field that is not here lands in `extra`.
"""

from __future__ import annotations

from typing import Literal

Kind = Literal["text", "time", "amount"]

SUMS = ("sum_initial", "sum_converted")  # objects of `amount` (minor units) and `currency`

KINDS: dict[str, Kind] = {
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
    # on request only
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

COLUMNS = (*KINDS, "extra", "observed_at")  # of a normalized frame
