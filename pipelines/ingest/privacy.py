"""Personal values of rows and documents: kept, hashed with a key, or dropped. Pure; loading and erasing are elsewhere.

Unless they are kept, rejects and unknown fields are masked by name, and the signed bodies are not kept at all.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pandas as pd

from pipelines.ingest.normalize import Frame
from pipelines.ingest.schema import EXTRA, canonical, json_text
from resources.settings import PersonalSettings
from resources.warehouse.load import RawPage, Reject

# what SYNC_PERSONAL_DATA=hash or drop covers
MASKED_COLUMNS = (
    *("account_number", "customer_ip", "customer_email", "card_holder", "avs_post_code", "avs_street_address"),
)
# what may identify a person beside that: an id of the merchant's, by which rows are joined, and free text
PERSONAL_COLUMNS = frozenset({*MASKED_COLUMNS, "customer_id", "card_token", "payment_description", "expiration_date"})
MASK = "****"

Path = tuple[str, ...]


def mask(rows: Frame, personal: PersonalSettings) -> Frame:
    """Return the rows of a window as they are to be stored and compared."""
    if personal.mode == "keep":
        return rows
    masked = {name: _masked_column(rows.frame[name], personal) for name in rows.frame if name in MASKED_COLUMNS}
    if EXTRA in rows.frame:
        extra = rows.frame[EXTRA]
        masked[EXTRA] = extra.map(_masked_json, na_action="ignore").astype(extra.dtype)
    return Frame(rows.frame.assign(**masked), tuple(_masked_reject(reject) for reject in rows.rejects))


def mask_document(document: Any, personal: PersonalSettings, paths: Sequence[Path]) -> Any:
    """Return a document with its personal values hashed or dropped, as SYNC_PERSONAL_DATA says.

    Personal are the configured paths (through lists, each of their elements), and anywhere what is named as a
    masked column. A value has the same hash as in such a column of the same name.
    """
    if personal.mode == "keep":
        return document
    hidden = _with_named(document, lambda name, part: _hidden(part, name, personal))
    for path in paths:
        hidden = _hide_at(hidden, path, personal)
    return hidden


def without_body(page: RawPage, personal: PersonalSettings) -> RawPage:
    """Return a raw page without its body, unless personal data is kept; its digest and signature stay."""
    return page if personal.mode == "keep" else replace(page, body_zstd=None)


def unknown_columns(unrequested: Sequence[str], personal: PersonalSettings) -> tuple[str, ...]:
    """Return which of the columns not asked for keep what is stored: under hash and drop no clear value does."""
    return tuple(name for name in unrequested if personal.mode == "keep" or name not in MASKED_COLUMNS)


def keyed_hash(key: str, column: str, value: str) -> str:
    """Return the HMAC-SHA256, as hex, of a value of a column: the same every time, another one in another column."""
    return hmac.new(key.encode(), f"{column}\0{value}".encode(), hashlib.sha256).hexdigest()


def _masked_column(column: pd.Series, personal: PersonalSettings) -> pd.Series:
    if personal.key is None or personal.mode == "drop":
        return pd.Series(pd.NA, column.index, column.dtype)
    key = personal.key.reveal()
    hashes = {value: keyed_hash(key, str(column.name), value) for value in column.dropna().unique()}
    return column.map(hashes, na_action="ignore").astype(column.dtype)


def _masked_reject(reject: Reject) -> Reject:
    # a reason quotes the value
    reason = f"{reject.field} cannot be typed" if reject.field in MASKED_COLUMNS else reject.reason
    return replace(reject, reason=reason, raw_json=_masked_json(reject.raw_json))


def _masked_json(text: str) -> str:
    # numbers stay as exact as they came
    value = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    if not isinstance(value, dict):
        return json_text(MASK)  # what is no object has no names
    return json_text(_with_named(value, lambda _, part: part if part in (None, "") else MASK))


def _with_named(value: Any, hide: Callable[[str, Any], Any]) -> Any:
    """Return a JSON value in which all that is named as a masked column is what `hide` makes of it."""
    if isinstance(value, dict):
        return {
            name: hide(name, part) if name in MASKED_COLUMNS else _with_named(part, hide)
            for name, part in value.items()
        }
    return [_with_named(part, hide) for part in value] if isinstance(value, list) else value


def _hide_at(value: Any, path: Path, personal: PersonalSettings) -> Any:
    if isinstance(value, list):
        return [_hide_at(part, path, personal) for part in value]
    name, rest = path[0], path[1:]
    if not isinstance(value, dict) or name not in value:
        return value
    if rest:
        return {**value, name: _hide_at(value[name], rest, personal)}
    # what has a personal name is hidden already
    return value if name in MASKED_COLUMNS else {**value, name: _hidden(value[name], name, personal)}


def _hidden(value: Any, name: str, personal: PersonalSettings) -> str | None:
    if value is None or value == "" or personal.key is None or personal.mode == "drop":
        return None
    text = value if isinstance(value, str) else canonical(value)
    return keyed_hash(personal.key.reveal(), name, text)
