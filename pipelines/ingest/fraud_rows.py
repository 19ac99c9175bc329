"""Reports of fraud (`fraud/list`) to typed frames: their fields, their identity, their two units of money.

What a single value becomes is in `typing_values`; operations are typed in `normalize`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.ingest.normalize import LONGEST_INDEXED, Batch, json_text, last_of_each
from pipelines.ingest.typing_values import LARGEST, TIME, Reasons, typed
from resources.currencies import exponents
from resources.warehouse.load import Reject

TEXTS = (
    *("project_id", "payment_id", "operation_id", "tr_ccy", "account_number", "payment_method_type"),
    *("customer_id", "project_name", "arn", "fraud_type", "issuer_country", "issuer_bank_name", "bin"),
    *("country_by_ip", "customer_email"),
)
TIMES = ("row_updated_at", "fraud_report_date", "received_on", "purchase_date")
MAJORS = ("tr_amount", "channel_amount_in_usd")
DAYS = "report_and_purchase_date_difference"
FIELDS = (*TEXTS, *TIMES, *MAJORS, DAYS)
# in the order of the columns of core.fraud_reports between account and first_seen_at
COLUMNS = (
    *("report_key", "project_id", "payment_id", "operation_id", "tr_amount", "tr_ccy", "tr_amount_minor"),
    *("account_number", "payment_method_type", "row_updated_at", "customer_id", "project_name", "arn", "fraud_type"),
    *("fraud_report_date", "issuer_country", "received_on", "purchase_date", "channel_amount_in_usd"),
    *("issuer_bank_name", "bin", "country_by_ip", "customer_email", DAYS, "extra", "observed_at"),
)
# What does not change when a report is corrected; the rest (amount, type, …) is its content. The API gives no id.
IDENTIFYING = ("project_id", "payment_id", "operation_id", "arn", "received_on", "fraud_report_date")
LARGEST_INTEGER = 2**31 - 1
MAJOR_PATTERN = r"[+-]?\d{1,24}(\.\d{1,12})?"
CLASH = "another report of the same answer has the same project, payment, operation, arn, received_on and report date"


def normalize_fraud(rows: Sequence[Any], observed_at: datetime) -> Batch:
    """Type the rows of one `fraud/list` answer, whose request was started at `observed_at`.

    `tr_amount` stays an exact decimal of major units, as text; `tr_amount_minor` is the same in minor units, null
    when the currency's exponent is unknown. Two different reports with one identity: the second is rejected, so
    that neither is lost silently. A row that stands twice, to the byte, is one.
    """
    distinct = list({json_text(row): row for row in rows}.values())
    objects = [row for row in distinct if isinstance(row, dict)]
    reasons: Reasons = {}
    arrays = _typed_columns(objects, reasons)
    minors = _minor_units(arrays["tr_amount"], arrays["tr_ccy"], reasons)
    arrays["tr_amount_minor"] = pa.array(minors, pa.int64())
    arrays["extra"] = pa.array(_extras(objects, reasons), pa.string())
    arrays["observed_at"] = pa.array([observed_at] * len(objects), TIME)
    arrays["report_key"] = pa.array(_keys(arrays, reasons), pa.string())
    table = pa.table({name: arrays[name] for name in COLUMNS})
    rejects = [
        Reject("the row is not an object", json_text(row), observed_at) for row in distinct if not isinstance(row, dict)
    ]
    rejects += [Reject(reasons[number], json_text(objects[number]), observed_at) for number in sorted(reasons)]
    typed_rows = pa.array([number not in reasons for number in range(len(objects))], pa.bool_())
    return Batch(table.filter(typed_rows), tuple(rejects))


def unite_fraud(batches: Sequence[Batch]) -> Batch:
    """Return all reports of several answers, sorted by key; of one met twice, the state observed later."""
    tables = [batch.table for batch in batches] or [normalize_fraud([], datetime.now(UTC)).table]
    table = last_of_each(pa.concat_tables(tables).sort_by("observed_at"), "report_key")
    rejects = {reject.raw_json: reject for batch in batches for reject in batch.rejects}
    return Batch(table, tuple(rejects.values()))


def fraud_identity(row: Any) -> str:
    """Return what tells one row of an answer from another: all of it, since nothing in it is promised unique."""
    return hashlib.sha256(json_text(row).encode()).hexdigest()


def report_key(identifying: Mapping[str, Any]) -> str:
    """Return the id of a report: SHA-256 over its identifying values, typed, times as UTC."""
    values = [identifying[name] for name in IDENTIFYING]
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
    minor = amount.scaleb(exponent)
    if minor != minor.to_integral_value():
        raise ValueError(f"is {amount} {currency}, which is no whole number of minor units")
    if not -LARGEST - 1 <= minor <= LARGEST:
        raise ValueError(f"is {amount} {currency}, larger than a bigint holds in minor units")
    return int(minor)


def _typed_columns(rows: list[dict[str, Any]], reasons: Reasons) -> dict[str, pa.Array]:
    arrays: dict[str, pa.Array] = {}
    for name in FIELDS:
        values = [row.get(name) for row in rows]
        arrays[name], bad = _typers().get(name, _text)(values)
        for number, reason in bad.items():
            reasons.setdefault(number, f"{name} {reason}")
    for name in ("payment_id", "operation_id"):
        for number, value in enumerate(arrays[name].to_pylist()):
            if len((value or "").encode()) > LONGEST_INDEXED:
                reasons.setdefault(number, f"{name} is too long for an index")
    return arrays


def _text(values: Sequence[Any]) -> tuple[pa.Array, Reasons]:
    return typed(values, "text")


def _time(values: Sequence[Any]) -> tuple[pa.Array, Reasons]:
    return typed(values, "time")


def _days(values: Sequence[Any]) -> tuple[pa.Array, Reasons]:
    array, reasons = typed(values, "amount")
    for number, value in enumerate(array.to_pylist()):
        if value is not None and abs(value) > LARGEST_INTEGER:
            reasons[number] = f"is {value}, larger than an integer holds"
    return array, reasons


def _major(values: Sequence[Any]) -> tuple[pa.Array, Reasons]:
    texts: list[str | None] = []
    reasons: Reasons = {}
    for number, value in enumerate(values):
        text = None if value is None or value == "" else str(value)
        # a float would have been rounded already; a Decimal is the literal of the JSON
        if isinstance(value, bool | float | dict | list) or (text and not re.fullmatch(MAJOR_PATTERN, text)):
            reasons[number] = f"is {str(value)[:60]!r}, not a decimal number of major units"
            text = None
        texts.append(text)
    return pa.array(texts, pa.string()), reasons


def _typers() -> dict[str, Callable[[Sequence[Any]], tuple[pa.Array, Reasons]]]:
    return {**dict.fromkeys(TIMES, _time), **dict.fromkeys(MAJORS, _major), DAYS: _days}


def _minor_units(amounts: pa.Array, currencies: pa.Array, reasons: Reasons) -> list[int | None]:
    minors: list[int | None] = []
    for number, (amount, currency) in enumerate(zip(amounts.to_pylist(), currencies.to_pylist(), strict=True)):
        try:
            minors.append(None if amount is None else minor_units(Decimal(amount), currency))
        except ValueError as error:
            minors.append(None)
            reasons.setdefault(number, f"tr_amount {error}")
    return minors


def _extras(rows: list[dict[str, Any]], reasons: Reasons) -> list[str | None]:
    texts: list[str | None] = []
    for number, row in enumerate(rows):
        unknown = {name: value for name, value in row.items() if name not in FIELDS and value is not None}
        texts.append(json_text(unknown) if unknown else None)
        if unknown and holds_nul(unknown):
            reasons.setdefault(number, "an unknown field contains U+0000, which PostgreSQL cannot store")
    return texts


def holds_nul(value: Any) -> bool:
    """Return whether a JSON value has U+0000 in a text or a key, which jsonb cannot hold."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(holds_nul(key) or holds_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))


def _keys(arrays: Mapping[str, pa.Array], reasons: Reasons) -> list[str]:
    columns = [arrays[name].to_pylist() for name in IDENTIFYING]
    keys: list[str] = []
    taken: set[str] = set()
    for number, values in enumerate(zip(*columns, strict=True)):
        key = report_key(dict(zip(IDENTIFYING, values, strict=True)))
        if values[IDENTIFYING.index("operation_id")] is None:
            reasons.setdefault(number, "operation_id is missing")
        if number not in reasons:
            if key in taken:
                reasons[number] = CLASH
            taken.add(key)
        keys.append(key)
    return keys
