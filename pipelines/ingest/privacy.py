"""Personal columns of a window's typed rows: kept, hashed with a key, or dropped. Pure; loading is elsewhere.

Unless they are kept, rejects and unknown fields are masked by name, and the signed bodies are not kept at all.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.ingest.normalize import Batch, json_text
from resources.settings import PersonalSettings
from resources.warehouse.load import RawPage, Reject

COLUMNS = ("account_number", "customer_ip", "customer_email", "card_holder", "avs_post_code", "avs_street_address")
MASK = "****"


def protect(batch: Batch, personal: PersonalSettings) -> Batch:
    """Return the rows of a window as they are to be stored and compared."""
    if personal.mode == "keep":
        return batch
    table = batch.table
    for number, name in enumerate(table.column_names):
        if name in COLUMNS:
            table = table.set_column(number, name, _protected(table[name], name, personal))
        elif name == "extra":
            table = table.set_column(number, name, _masked_texts(table[name]))
    return Batch(table, tuple(_masked_reject(reject) for reject in batch.rejects))


def without_body(page: RawPage, personal: PersonalSettings) -> RawPage:
    """Return a raw page without its body, unless personal data is kept; its digest and signature stay."""
    return page if personal.mode == "keep" else replace(page, body_zstd=None)


def keyed_hash(key: str, column: str, value: str) -> str:
    """Return the HMAC-SHA256, as hex, of a value of a column: the same every time, another one in another column."""
    return hmac.new(key.encode(), f"{column}\0{value}".encode(), hashlib.sha256).hexdigest()


def _protected(column: pa.ChunkedArray, name: str, personal: PersonalSettings) -> pa.Array:
    if personal.key is None or personal.mode == "drop":
        return pa.nulls(len(column), column.type)
    key = personal.key.reveal()
    encoded = column.combine_chunks().dictionary_encode()
    hashes = [keyed_hash(key, name, value) for value in encoded.dictionary.to_pylist()]
    return pa.array(hashes, column.type).take(encoded.indices)


def _masked_texts(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if column.null_count == len(column):
        return column
    texts = [None if text is None else _masked_json(text) for text in column.to_pylist()]
    return pa.array(texts, column.type)


def _masked_reject(reject: Reject) -> Reject:
    name = reject.reason.split(" ", 1)[0]
    reason = f"{name} cannot be typed" if name in COLUMNS else reject.reason  # a reason quotes the value
    return replace(reject, reason=reason, raw_json=_masked_json(reject.raw_json))


def _masked_json(text: str) -> str:
    # numbers stay as exact as they came
    value = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    # what is no object has no names to tell by
    return json_text(_masked(value) if isinstance(value, dict) else MASK)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: MASK if name in COLUMNS and part not in (None, "") else _masked(part) for name, part in value.items()
        }
    return [_masked(part) for part in value] if isinstance(value, list) else value
