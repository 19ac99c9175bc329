"""Rows of the API to typed frames: nothing dropped, no float near an amount; single values are in `typing_values`.

A row that cannot be typed becomes a `Reject` with its reason and its JSON; an unknown field goes to `extra`.
Loading is in `resources.warehouse.load`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.schema import COLUMNS, KINDS, SUMS
from pipelines.ingest.typing_values import ARROW_TYPES, TIME, Reasons, typed, typed_column
from resources.warehouse.load import Reject

Row = dict[str, Any]

SUM_PARTS = {"amount", "currency"}
# a sum comes as an object; a field that is already spelled like one of our columns is not the platform's
API_FIELDS = {*KINDS, *SUMS} - {f"{name}_{part}" for name in SUMS for part in SUM_PARTS}
INDEXED = ("operation_id", "payment_id")
LONGEST_INDEXED = 2_000  # bytes; an index entry of PostgreSQL holds 2,704, the account included


@dataclass(frozen=True)
class Batch:
    """Typed rows of one answer, with the columns `fields.COLUMNS`, and what could not be typed."""

    table: pa.Table
    rejects: tuple[Reject, ...]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as pandas has them, over the same memory, indexed by position."""
        frame: pd.DataFrame = self.table.to_pandas(types_mapper=pd.ArrowDtype)
        return frame


def normalize_operations(rows: Sequence[Any], observed_at: datetime) -> Batch:
    """Type the rows of one `operations/get` answer, whose request was started at `observed_at`.

    Amounts become nullable 64-bit integers in minor units, times are UTC, `""` becomes null, text is kept
    to the byte. The rejected rows are not in the frame.
    """
    objects = [row for row in rows if isinstance(row, dict)]
    rejects = [_reject("the row is not an object", row, observed_at) for row in rows if not isinstance(row, dict)]
    columns = _columns(objects)
    reasons: Reasons = {}
    extras = _take_unknown(columns, len(objects))
    _take_sums(columns, extras, reasons)
    arrays = _typed_columns(columns, len(objects), reasons)
    arrays["extra"] = pa.array(_extra_texts(extras, len(objects), reasons), pa.string())
    arrays["observed_at"] = pa.array([observed_at] * len(objects), TIME)
    table = pa.table({name: arrays[name] for name in COLUMNS})
    if reasons:
        rejects += [_reject(reasons[number], objects[number], observed_at) for number in sorted(reasons)]
        table = table.filter(pa.array([number not in reasons for number in range(len(objects))]))
    return Batch(table, tuple(rejects))


def normalize_columns(rows: pa.StructArray, observed_at: datetime) -> Batch | None:
    """Type rows that were read as Arrow columns, as `normalize_operations` does; None: they are a case for it."""
    columns = _by_name(rows)
    if not columns.keys() <= API_FIELDS:
        return None
    for name in SUMS:
        parts = columns.pop(name, None)
        if parts is None or parts.null_count == len(parts):
            continue
        if not (pa.types.is_struct(parts.type) and _by_name(parts).keys() <= SUM_PARTS):
            return None
        columns |= {f"{name}_{part}": column for part, column in _by_name(parts).items()}
    arrays: dict[str, pa.Array] = {}
    for name, kind in KINDS.items():
        column = typed_column(columns.get(name), kind, len(rows))
        if column is None:
            return None
        arrays[name] = column
    longest = max(pc.max(pc.binary_length(arrays[name])).as_py() or 0 for name in INDEXED)
    if arrays["operation_id"].null_count or longest > LONGEST_INDEXED:
        return None
    arrays["extra"] = pa.nulls(len(rows), pa.string())
    arrays["observed_at"] = pa.repeat(pa.scalar(observed_at, TIME), len(rows))
    return Batch(pa.table({name: arrays[name] for name in COLUMNS}), ())


def _by_name(rows: pa.StructArray) -> dict[str, pa.Array]:
    return dict(zip((field.name for field in rows.type), rows.flatten(), strict=True))


def unite(batches: Sequence[Batch]) -> Batch:
    """Return all rows of several answers, in the order they were observed; of an operation met twice, the later.

    The frame is sorted by operation_id (by byte), as the digest of a window asks for. A row that was rejected
    in one answer and typed in a later one still stands among the rejects: it was met.
    """
    table = pa.concat_tables([batch.table for batch in batches]) if batches else _empty_table()
    rejects = {reject.raw_json: reject for batch in batches for reject in batch.rejects}
    return Batch(last_of_each(table, "operation_id"), tuple(rejects.values()))


def empty_frame() -> pd.DataFrame:
    """Return a frame of no rows with all columns and their types."""
    return Batch(_empty_table(), ()).frame


def _empty_table() -> pa.Table:
    return normalize_operations([], datetime.now(UTC)).table


def last_of_each(table: pa.Table, key: str) -> pa.Table:
    """Return the last row of each value of the text column `key`, sorted by it (by byte)."""
    keys = pa.table({"id": table[key], "number": np.arange(len(table))})
    order = pc.sort_indices(keys, sort_keys=[("id", "ascending"), ("number", "ascending")])
    ids = keys["id"].combine_chunks().take(order)
    last = np.ones(len(ids), bool)
    last[:-1] = pc.not_equal(ids[:-1], ids[1:]).to_numpy(zero_copy_only=False)
    return table.combine_chunks().take(order.filter(pa.array(last)))


def identity(row: Any) -> str:
    """Return what tells one row of an answer from another: its id, or its whole JSON when it has none."""
    identifier = row.get("operation_id") if isinstance(row, dict) else None
    return str(identifier) if identifier else json_text(row)


def _columns(rows: list[Row]) -> dict[str, Sequence[Any]]:
    shapes = set(map(tuple, rows))
    if len(shapes) == 1:
        (names,) = shapes
        return dict(zip(names, zip(*map(dict.values, rows), strict=True), strict=True))
    names = tuple(dict.fromkeys(name for shape in shapes for name in shape))
    return {name: [row.get(name) for row in rows] for name in names}


def _take_unknown(columns: dict[str, Sequence[Any]], count: int) -> dict[int, Row]:
    """Move what is no known field out of `columns`, into an object for each row that has any."""
    extras: dict[int, Row] = {}
    for name in [name for name in columns if name not in API_FIELDS]:
        values = columns.pop(name)
        for number in range(count):
            if values[number] is not None:
                extras.setdefault(number, {})[name] = values[number]
    return extras


def _take_sums(columns: dict[str, Sequence[Any]], extras: dict[int, Row], reasons: Reasons) -> None:
    """Split each sum into its amount and its currency; a part that is neither goes to `extras`."""
    for name in SUMS:
        sums = columns.pop(name, None)
        if sums is None:
            continue
        if not set(map(type, sums)) <= {dict, type(None)}:
            sums = [_sum_object(name, value, number, reasons) for number, value in enumerate(sums)]
        columns[f"{name}_amount"] = [value.get("amount") if value else None for value in sums]
        columns[f"{name}_currency"] = [value.get("currency") if value else None for value in sums]
        if set(chain.from_iterable(filter(None, sums))) <= SUM_PARTS:
            continue
        for number, value in enumerate(sums):
            unknown = {key: part for key, part in (value or {}).items() if key not in SUM_PARTS}
            if unknown:
                extras.setdefault(number, {})[name] = unknown


def _sum_object(name: str, value: Any, number: int, reasons: Reasons) -> Row | None:
    if isinstance(value, dict) or value is None:
        return value
    if value in ("", []):  # how PHP writes an empty object
        return None
    reasons.setdefault(number, f"{name} is {json_text(value)[:60]}, not an object of amount and currency")
    return None


def _typed_columns(columns: dict[str, Sequence[Any]], count: int, reasons: Reasons) -> dict[str, pa.Array]:
    arrays = {}
    for name, kind in KINDS.items():
        if name not in columns:
            arrays[name] = pa.nulls(count, ARROW_TYPES[kind])
            continue
        arrays[name], bad = typed(columns[name], kind)
        for number, reason in bad.items():
            reasons.setdefault(number, f"{name} {reason}")
    if arrays["operation_id"].null_count:
        for number, value in enumerate(arrays["operation_id"].to_pylist()):
            if value is None:
                reasons.setdefault(number, "operation_id is missing")
    for name in INDEXED:
        _find_too_long(name, arrays[name], reasons)
    return arrays


def _find_too_long(name: str, texts: pa.Array, reasons: Reasons) -> None:
    lengths = pc.binary_length(texts)
    if (pc.max(lengths).as_py() or 0) > LONGEST_INDEXED:
        for number, length in enumerate(lengths.to_pylist()):
            if (length or 0) > LONGEST_INDEXED:
                reasons.setdefault(number, f"{name} is too long for an index ({length} bytes)")


def _extra_texts(extras: dict[int, Row], count: int, reasons: Reasons) -> list[str | None]:
    texts: list[str | None] = [None] * count
    for number, extra in extras.items():
        texts[number] = text = json_text(extra)
        if _NUL.search(text):
            reasons.setdefault(number, "an unknown field contains U+0000, which PostgreSQL cannot store")
    return texts


def _reject(reason: str, row: Any, observed_at: datetime) -> Reject:
    return Reject(reason=reason, raw_json=json_text(row), observed_at=observed_at)


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash that stands before "u0000"
_MARK = secrets.token_hex(8)  # cannot be foreseen, so no text of a merchant can look like a marked number
_MARKED = re.compile(rf'"{_MARK}([^"]*)"')


def json_text(value: Any) -> str:
    """Return `value` as JSON with every number as exact as it came (decimal.Decimal included)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_mark_number)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def _mark_number(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    raise TypeError(f"{type(value).__name__} is no JSON value")
