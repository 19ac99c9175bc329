"""The sandbox's fraud reports, drawn from operations or told by hand; filters and pages are in api.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from resources.sandbox.fields import DECIMALS, major_units
from resources.sandbox.pools import BANKS, COUNTRIES, FRAUD_TYPES, USD_WORTH
from resources.sandbox.states import DrawnState
from resources.sandbox.times import DAY, seconds

TIMES: Final = ("row_updated_at", "fraud_report_date", "received_on", "purchase_date")
FILTERS: Final = ("received_on", "purchase_date", "fraud_report_date")


@dataclass(frozen=True, slots=True)
class Fraud:
    """One report: known from `received_on` on; times are seconds, the rest as the API shows it."""

    project: int
    fields: Mapping[str, Any]

    @property
    def received_on(self) -> int:
        """Give the second from which the API knows of the report."""
        return int(self.fields["received_on"])

    @classmethod
    def told(cls, **fields: Any) -> Fraud:
        """Make a report by hand; times may be seconds or text, and what is left out is empty."""
        times = {name: seconds(fields.get(name, "2024-03-01 00:00:00")) for name in TIMES}
        facts = {**dict.fromkeys(_NAMES, ""), "project_id": "198", "operation_id": 0, **fields, **times}
        facts["report_and_purchase_date_difference"] = _days_between(facts)
        return cls(int(facts["project_id"]), facts)


def draw_frauds(suspects: Iterable[DrawnState]) -> list[Fraud]:
    """Draw a report about each of some operations."""
    return [_draw(state.facts()) for state in suspects]


def _draw(operation: Mapping[str, Any]) -> Fraud:
    number = int(operation["operation_id"])
    purchased = int(operation["operation_created_at"])
    reported = purchased + DAY + number % (20 * DAY)
    received = reported + number % (3 * DAY)
    amount, currency = operation["sum_initial"]["amount"], operation["sum_initial"]["currency"]
    usd = amount * USD_WORTH[currency] / 10 ** DECIMALS.get(currency, 2)
    fields = {
        "payment_id": operation["payment_id"],
        "operation_id": number,
        "tr_amount": major_units(amount, currency),
        "tr_ccy": currency,
        "account_number": operation["account_number"],
        "payment_method_type": operation["payment_method_type"],
        "row_updated_at": received + 60,
        "customer_id": operation["customer_id"],
        "project_name": operation["project_name"],
        "project_id": operation["project_id"],
        "arn": operation["arn"],
        "fraud_type": FRAUD_TYPES[number // 10 % len(FRAUD_TYPES)],
        "fraud_report_date": reported,
        "issuer_country": COUNTRIES[number // 10 % len(COUNTRIES)],
        "received_on": received,
        "purchase_date": purchased,
        "channel_amount_in_usd": f"{usd:.2f}",
        "issuer_bank_name": BANKS[number // 10 % len(BANKS)],
        "bin": operation["bin"],
        "country_by_ip": operation["country_by_ip"],
        "customer_email": operation["customer_email"],
    }
    fields["report_and_purchase_date_difference"] = _days_between(fields)
    return Fraud(int(operation["project_id"]), fields)


def _days_between(fields: Mapping[str, Any]) -> int:
    return (int(fields["fraud_report_date"]) - int(fields["purchase_date"])) // DAY


_NAMES: Final = (
    *("payment_id", "operation_id", "tr_amount", "tr_ccy", "account_number", "payment_method_type"),
    *("row_updated_at", "customer_id", "project_name", "project_id", "arn", "fraud_type"),
    *("fraud_report_date", "issuer_country", "received_on", "purchase_date", "channel_amount_in_usd"),
    *("issuer_bank_name", "bin", "country_by_ip", "customer_email"),
)
