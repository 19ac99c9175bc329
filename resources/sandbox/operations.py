"""Operations as the platform has them: times, fields and rows of the wire, states, and what a request asks for.

Times are seconds since 1970; there is no clock here.
"""

import math
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

TimeFormat = Literal["iso", "plain"]
Moment = int | float | str | date | datetime
Projects = Collection[int] | None  # None: all

DAY: Final = 86_400
_OFFSET: Final = re.compile(r"([+-])(\d{2}):(\d{2})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DAY: Final = datetime(9999, 12, 31, tzinfo=UTC) - timedelta(seconds=1)  # in no zone is the year 10000 then

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

# ISO 4217's own minor units; every other currency has two decimals.
DECIMALS: Final = {
    **dict.fromkeys(("JPY", "KRW", "CLP", "VND", "ISK", "XAF", "UGX", "PYG"), 0),
    **dict.fromkeys(("KWD", "BHD", "IQD", "JOD", "OMR", "TND", "LYD"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}

_ON_REQUEST: Final = frozenset(ON_REQUEST)


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """Give the zone of an IANA name or of an offset such as `+10:30`; ValueError for anything else."""
    if name == "UTC":
        return UTC
    if match := _OFFSET.fullmatch(name):
        hours, minutes = int(match[2]), int(match[3])
        if hours > 14 or minutes > 59:
            raise ValueError(f"Unknown time zone: {name}")
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"Unknown time zone: {name}") from error


def instant(moment: Moment) -> float:
    """Give the second of a moment with its fraction, however it is written; what names no zone is UTC."""
    if isinstance(moment, (int, float)):
        return moment
    at = datetime.fromisoformat(str(moment))
    second = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return int(second) if second.is_integer() else second


def seconds(moment: Moment) -> int:
    """Give the whole second of a moment."""
    return math.floor(instant(moment))


def as_facts(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give fields as a test writes them with their times as seconds; what is no time stays as it is."""
    facts = dict(fields)
    for name in TIMES & facts.keys():
        if isinstance(facts[name], str) and len(facts[name]) >= 19:
            with suppress(ValueError):
                facts[name] = seconds(facts[name])
    return facts


def scramble(number: int) -> int:
    """Give 64 bits that look random but follow from the number."""
    return number * 0x9E3779B97F4A7C15 & ((1 << 64) - 1)


def text(second: float, tz: tzinfo, style: TimeFormat) -> str:
    """Write the whole second in a zone: `2018-08-01T08:28:47+00:00` or `2018-08-01 08:28:47`."""
    moment = _EPOCH + timedelta(0, int(second))
    if tz is not UTC:
        moment = min(moment, _LAST_DAY).astimezone(tz)
    return moment.isoformat() if style == "iso" else moment.isoformat(" ")[:19]


@dataclass(frozen=True, slots=True)
class View:
    """How rows are shown: the zone and format of their times, and which fields (None: the default ones)."""

    tz: tzinfo = UTC
    style: TimeFormat = "iso"
    fields: tuple[str, ...] | None = None


def major_units(amount: int, currency: str) -> str:
    """Write an amount of minor units in major ones: 18000 of USD is `180.00`."""
    return f"{Decimal(amount).scaleb(-DECIMALS.get(currency, 2)):f}"


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


@dataclass(eq=False, slots=True)
class State:
    """One state of an operation: `effective` selects it, the API knows it from `visible` on; both are seconds."""

    effective: float
    visible: int
    kind: object
    status: object
    fields: Mapping[str, Any] = field(default_factory=dict)

    def facts(self, *, all_fields: bool = True) -> dict[str, Any]:
        """Give the fields, times as seconds; those on request may be missing unless all are asked for."""
        del all_fields
        return dict(self.fields)

    def row(self, view: View) -> dict[str, Any]:
        """Give the row that the API delivers; by default it has all that does not come on request only."""
        row = self.facts(all_fields=view.fields is not None)
        if view.fields is not None:
            row = _requested(row, frozenset(view.fields))
        elif not _ON_REQUEST.isdisjoint(row):
            row = {name: value for name, value in row.items() if name not in _ON_REQUEST}
        for name in TIMES:
            value = row.get(name)
            if type(value) is int:
                row[name] = text(value, view.tz, view.style)
        return row


@dataclass(eq=False, slots=True)
class Operation:
    """An operation: its states in the order they came about; `number` sorts those of one time."""

    id: str
    number: int
    project: int
    states: list[State]

    def at(self, now: int) -> State | None:
        """Give the last state that is visible at a time."""
        for state in reversed(self.states):
            if state.visible <= now:
                return state
        return None


@dataclass(frozen=True, slots=True)
class Query:
    """Which operations a request asks for; None is no condition. Both ends of the interval are included."""

    start: int | None = None
    end: int | None = None
    projects: frozenset[int] | None = None
    conditions: tuple[tuple[str, frozenset[str]], ...] = ()  # a field and the values that it may have

    def takes(self, operation: Operation, state: State) -> bool:
        """Return whether an operation in this state fulfils all conditions but the interval."""
        if self.projects is not None and operation.project not in self.projects:
            return False
        facts = state.facts() if self.conditions else {}
        return all(facts.get(name) in values for name, values in self.conditions)
