"""An operation's fields: their names, order and kinds, and the row of them that the API delivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from resources.sandbox.times import TimeFormat, text, zone

DEFAULT: Final = (
    *("project_id", "operation_id", "payment_id", "operation_type", "operation_status", "account_number"),
    *("customer_ip", "payment_method_name", "payment_method_type", "payment_description"),
    *("operation_created_at", "operation_completed_at", "provider_date", "shipment_date", "arn", "rrn"),
    *("payment_provider_code", "payment_provider_message", "sum_initial", "sum_converted"),
)
ON_REQUEST: Final = (
    *("bin", "bank_name", "card_enroll_check", "card_holder", "card_product_name", "card_token"),
    *("expiration_date", "country_by_bin", "eci", "secure_3ds_check", "auth_code"),
    *("avs_post_code", "avs_street_address", "avs_result"),
    *("customer_id", "customer_email", "country_by_ip"),
    *("completed_refund", "remaining_refund", "currency_rate", "payment_currency", "balance_id"),
    *("payment_type", "transaction_created_at", "transaction_completed_at", "transaction_status"),
    *("provider_payment_id", "recurring_id", "recurring_register", "recurring_valid_thru"),
    *("acquirer_bank_name", "legal_entity_name", "merchant_id", "project_name", "project_url"),
)
TIMES: Final = frozenset(
    {
        *("operation_created_at", "operation_completed_at", "provider_date", "shipment_date"),
        *("transaction_created_at", "transaction_completed_at"),
    }
)
SUMS: Final = ("sum_initial", "sum_converted")
NESTED: Final = frozenset(f"{name}.{part}" for name in SUMS for part in ("amount", "currency"))
KNOWN: Final = frozenset({*DEFAULT, *ON_REQUEST, *NESTED})

TYPES: Final = (
    *("sale", "auth", "capture", "cancel", "recurring"),
    *("refund", "reversal", "payout", "account verification"),
)
STATUSES: Final = (
    *("success", "decline", "processing", "awaiting 3ds result", "awaiting redirect result"),
    *("awaiting clarification", "awaiting customer action", "error"),
)
FINAL_STATUSES: Final = frozenset({"success", "decline", "error"})

# ISO 4217's own minor units; every other currency has two decimals.
DECIMALS: Final = {
    **dict.fromkeys(("JPY", "KRW", "CLP", "VND", "ISK", "XAF", "UGX", "PYG"), 0),
    **dict.fromkeys(("KWD", "BHD", "IQD", "JOD", "OMR", "TND", "LYD"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}

_ON_REQUEST: Final = frozenset(ON_REQUEST)
_DEFAULT_TIMES: Final = tuple(name for name in DEFAULT if name in TIMES)


@dataclass(frozen=True, slots=True)
class View:
    """How rows are shown: the zone and format of their times, and which fields (None: the default ones)."""

    tz: str = "UTC"
    style: TimeFormat = "iso"
    fields: tuple[str, ...] | None = None

    def row(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Make an operation's facts its row; without `fields` it has all that does not come on request only."""
        tz = zone(self.tz)
        if self.fields is not None:
            row = _requested(facts, frozenset(self.fields))
        elif _ON_REQUEST.isdisjoint(facts):
            row = facts
        else:
            row = {name: value for name, value in facts.items() if name not in _ON_REQUEST}
        for name in _DEFAULT_TIMES if self.fields is None else TIMES & row.keys():
            value = row.get(name)
            if type(value) is int:
                row[name] = text(value, tz, self.style)
        return row


def major_units(amount: int, currency: str) -> str:
    """Write an amount of minor units in major ones: 18000 of USD is `180.00`."""
    decimals = DECIMALS.get(currency, 2)
    digits = str(abs(amount)).rjust(decimals + 1, "0")
    whole, part = (digits[:-decimals], digits[-decimals:]) if decimals else (digits, "")
    return ("-" if amount < 0 else "") + whole + ("." + part if part else "")


def plain_row(operation_id: str) -> dict[str, Any]:
    """Give the default fields of an operation about which nothing else is to be said."""
    return {
        **dict.fromkeys(DEFAULT, ""),
        "project_id": "198",
        "operation_id": operation_id,
        "payment_id": f"order-{operation_id}",
        "operation_type": "sale",
        "operation_status": "success",
        "sum_initial": {"amount": 1000, "currency": "EUR"},
        "sum_converted": {"amount": 1000, "currency": "EUR"},
    }


def _requested(facts: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Give the row of a request with `fields`: the platform's order, whatever the order of the request."""
    row: dict[str, Any] = {}
    for name in (*DEFAULT, *ON_REQUEST):
        if name in names:
            row[name] = facts.get(name, "")
        elif name in SUMS and (parts := [part for part in ("amount", "currency") if f"{name}.{part}" in names]):
            value = facts.get(name)
            row[name] = {p: value[p] for p in parts if p in value} if isinstance(value, Mapping) else value
    return row
