"""Rows of the API to typed frames, by the schema of their stream: nothing dropped, no float near an amount.

A row that cannot be typed becomes a `Reject` with its reason and its JSON; an unknown field goes to `extra`.
What a single value becomes is in `schema`; loading is in `resources.warehouse.load`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.ingest.schema import (
    ARROW_TYPES,
    EXTRA,
    SUM_PARTS,
    TIME,
    Rows,
    Schema,
    json_text,
    typed,
    typed_column,
    why_not_storable,
)
from resources.warehouse.load import Reject

Row = dict[str, Any]

LONGEST_INDEXED = 2_000  # bytes; an index entry of PostgreSQL holds 2,704, the account included


@dataclass(frozen=True)
class Batch:
    """The typed rows of one answer, with the columns of their schema, and what could not be typed."""

    table: pa.Table
    rejects: tuple[Reject, ...]


@dataclass(frozen=True)
class Frame:
    """The typed rows of a window as they are handed on: each once, sorted by key, over Arrow's memory; its rejects."""

    frame: pd.DataFrame
    rejects: tuple[Reject, ...]


def normalize(schema: Schema, rows: Sequence[Any], observed_at: datetime) -> Batch:
    """Type the rows of one answer, whose request was started at `observed_at`.

    Amounts become nullable 64-bit integers in minor units, times are UTC, `""` becomes null, text is kept
    to the byte. The rejected rows are not in the frame.
    """
    if schema.prepare is not None:
        rows = [schema.prepare(row) for row in rows]
    found = Rows([row for row in rows if isinstance(row, dict)])
    rejects = [
        Reject("the row is not an object", json_text(row), observed_at) for row in rows if not isinstance(row, dict)
    ]
    count = len(found.objects)
    values = _values_by_field(found.objects) if schema.fields else {}
    extras = _pop_unknown(schema, values, count)
    _split_sums(schema, values, extras, found)
    _type_columns(schema, values, found)
    if schema.derive is not None:
        found.columns |= schema.derive(found)
    if EXTRA in schema.columns:
        found.columns[EXTRA] = pa.array(_extra_texts(extras, found), pa.string())
    found.columns["observed_at"] = pa.array([observed_at] * count, TIME)
    table = pa.table({name: found.columns[name] for name in schema.frame_columns})
    _reject_contradictions(schema.key, table, found)
    if found.faults:
        for number, fault in sorted(found.faults.items()):
            rejects.append(Reject(fault.reason, json_text(found.objects[number]), observed_at, fault.field))
        table = table.filter(pa.array([number not in found.faults for number in range(count)]))
    return Batch(table, tuple(rejects))


def normalize_columns(schema: Schema, rows: pa.StructArray, observed_at: datetime) -> Batch | None:
    """Type rows that were read as Arrow columns, as `normalize` does; None: they are a case for it."""
    columns = _by_name(rows)
    if schema.derive is not None or schema.prepare is not None or not columns.keys() <= schema.fields:
        return None
    for name in schema.sums:
        parts = columns.pop(name, None)
        if parts is None or parts.null_count == len(parts):
            continue
        if not (pa.types.is_struct(parts.type) and _by_name(parts).keys() <= {*SUM_PARTS}):
            return None
        columns |= {f"{name}_{part}": column for part, column in _by_name(parts).items()}
    arrays: dict[str, pa.Array] = {EXTRA: pa.nulls(len(rows), pa.string())}
    for name, kind in schema.typed.items():
        column = typed_column(columns.get(name), kind, len(rows))
        if column is None:
            return None
        arrays[name] = column
    if any(arrays[name].null_count for name in schema.required) or _repeats(arrays[schema.key]):
        return None
    if any((pc.max(pc.binary_length(arrays[name])).as_py() or 0) > LONGEST_INDEXED for name in schema.indexed):
        return None
    arrays["observed_at"] = pa.repeat(pa.scalar(observed_at, TIME), len(rows))
    return Batch(pa.table({name: arrays[name] for name in schema.frame_columns}), ())


def concat(schema: Schema, batches: Sequence[Batch]) -> Frame:
    """Return the rows of several answers, sorted by their key (by byte); of one that came twice, the later observed.

    A row that was rejected in one answer and typed in a later one still stands among the rejects.
    """
    in_order = sorted(batches, key=_observed_at)
    table = pa.concat_tables([batch.table for batch in in_order or [normalize(schema, [], datetime.now(UTC))]])
    every = chain.from_iterable(batch.rejects for batch in batches)
    rejects = {reject.raw_json: reject for reject in sorted(every, key=attrgetter("observed_at"))}
    frame = _last_of_each(table, schema.key).to_pandas(types_mapper=pd.ArrowDtype)
    return Frame(frame, tuple(rejects.values()))


def _observed_at(batch: Batch) -> int:
    return int(batch.table["observed_at"][0].value) if batch.table.num_rows else 0


def _last_of_each(table: pa.Table, key: str) -> pa.Table:
    keys = table[key].combine_chunks()
    order = pc.array_sort_indices(keys)  # stable
    ordered = keys.take(order)
    last = np.ones(len(ordered), bool)
    last[:-1] = pc.not_equal(ordered[:-1], ordered[1:]).to_numpy(zero_copy_only=False)
    return table.combine_chunks().take(order.filter(pa.array(last)))


def _by_name(rows: pa.StructArray) -> dict[str, pa.Array]:
    return dict(zip((field.name for field in rows.type), rows.flatten(), strict=True))


def _values_by_field(rows: list[Row]) -> dict[str, Sequence[Any]]:
    shapes = set(map(tuple, rows))
    if len(shapes) == 1:
        (names,) = shapes
        return dict(zip(names, zip(*map(dict.values, rows), strict=True), strict=True))
    names = tuple(dict.fromkeys(name for shape in shapes for name in shape))
    return {name: [row.get(name) for row in rows] for name in names}


def _pop_unknown(schema: Schema, values: dict[str, Sequence[Any]], count: int) -> dict[int, Row]:
    """Move what is no known field out of `values`, into an object for each row that has any."""
    extras: dict[int, Row] = {}
    for name in [name for name in values if name not in schema.fields]:
        unknown = values.pop(name)
        for number in range(count):
            if unknown[number] is not None:
                extras.setdefault(number, {})[name] = unknown[number]
    return extras


def _split_sums(schema: Schema, values: dict[str, Sequence[Any]], extras: dict[int, Row], found: Rows) -> None:
    """Split each sum into its amount and its currency; a part that is neither goes to `extras`."""
    for name in schema.sums:
        sums = values.pop(name, None)
        if sums is None:
            continue
        if not set(map(type, sums)) <= {dict, type(None)}:
            sums = [_sum_object(name, value, number, found) for number, value in enumerate(sums)]
        for part in SUM_PARTS:
            values[f"{name}_{part}"] = [value.get(part) if value else None for value in sums]
        if set(chain.from_iterable(filter(None, sums))) <= {*SUM_PARTS}:
            continue
        for number, value in enumerate(sums):
            unknown = {key: part for key, part in (value or {}).items() if key not in SUM_PARTS}
            if unknown:
                extras.setdefault(number, {})[name] = unknown


def _sum_object(name: str, value: Any, number: int, found: Rows) -> Row | None:
    if isinstance(value, dict) or value is None:
        return value
    if value in ("", []):  # how PHP writes an empty object
        return None
    found.reject(number, f"{name} is {json_text(value)[:60]}, not an object of amount and currency", name)
    return None


def _type_columns(schema: Schema, values: dict[str, Sequence[Any]], found: Rows) -> None:
    count = len(found.objects)
    for name, kind in schema.typed.items():
        if name not in values:
            found.columns[name] = pa.nulls(count, ARROW_TYPES[kind])
            continue
        found.columns[name], bad = typed(values[name], kind)
        for number, reason in bad.items():
            found.reject(number, f"{name} {reason}", name)
    for name in schema.required:
        for number in pc.indices_nonzero(found.columns[name].is_null()).to_pylist():
            found.reject(number, f"{name} is missing", name)
    for name in schema.indexed:
        lengths = pc.binary_length(found.columns[name])
        for number in pc.indices_nonzero(pc.greater(lengths, LONGEST_INDEXED)).to_pylist():
            found.reject(number, f"{name} is too long for an index ({lengths[number]} bytes)", name)


def _reject_contradictions(key: str, table: pa.Table, found: Rows) -> None:
    """Of the rows of one answer with one key the last stays; what differs from it is rejected, not lost silently."""
    if not _repeats(table[key]):
        return
    lasts: dict[str, int] = {}
    for number, value in reversed([*enumerate(table[key].to_pylist())]):
        if number not in found.faults:
            last = lasts.setdefault(value, number)
            if last != number and not table.slice(last, 1).equals(table.slice(number, 1)):
                found.reject(number, f"another row of the same answer has this {key}, and differs", key)


def _repeats(keys: pa.Array) -> bool:
    return bool(pc.count_distinct(keys, mode="all").as_py() < len(keys))


def _extra_texts(extras: dict[int, Row], found: Rows) -> list[str | None]:
    texts: list[str | None] = [None] * len(found.objects)
    for number, extra in extras.items():
        texts[number] = text = json_text(extra)
        why = why_not_storable(extra, text)
        if why is not None:
            found.reject(number, f"an unknown field {why}", EXTRA)
    return texts
