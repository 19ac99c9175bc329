"""Documents as rows: found in an answer, keyed, made canonical, personal values protected. Pure: nothing is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipelines.ingest import privacy as protection
from pipelines.ingest.fraud_rows import holds_nul
from pipelines.ingest.normalize import LONGEST_INDEXED, Batch, json_text, last_of_each
from pipelines.ingest.typing_values import TIME
from resources.data_api.errors import UnexpectedShape
from resources.settings import PersonalSettings
from resources.warehouse.load import Reject

# in the order of the columns of core.documents between account and first_seen_at
COLUMNS = ("stream", "document_key", "endpoint", "document", "document_sha256", "observed_at")
MOST_DIGITS = 100_000  # before the decimal point; numeric, and so jsonb, holds 131,072
MOST_DECIMALS = 16_000  # after it; 16,383
CLASH = (
    "another document of the same answer has the same key and another content: the key does not tell documents apart"
)
TWIN = "the same document stands more than once in the answer, and no key is configured to tell the two apart"

Path = tuple[str, ...]


class NotStorable(ValueError):
    """Why a row of an answer becomes no document."""


@dataclass(frozen=True)
class Shape:
    """Where the documents of a stream are in an answer, and what tells one from another."""

    stream: str
    endpoint: str
    rows: Path | None = None  # None: the only list of an answer, or the answer itself
    key: tuple[Path, ...] = ()  # none: its content


def documents_in(shape: Shape, answer: dict[str, Any]) -> list[Any]:
    """Return the documents of a verified answer.

    Raises:
        UnexpectedShape: it has no such list, or several and none is configured; what it has is named, without values.
    """
    content = {name: value for name, value in answer.items() if name != "signature"}
    if shape.rows is None:
        lists = [value for value in content.values() if isinstance(value, list)]
        if len(lists) > 1:
            raise UnexpectedShape(_told(shape, content, "several lists: name one of them as rows"))
        return list(lists[0]) if lists else [content]
    found = _at(content, shape.rows)
    if not isinstance(found, list):
        raise UnexpectedShape(_told(shape, content, f"no list at rows = {'.'.join(shape.rows)}"))
    return list(found)


def identity(shape: Shape, row: Any) -> str:
    """Return what tells one document of a walk from another: its key; without one, all of it."""
    try:
        return _configured_key(shape, row)
    except NotStorable:
        return _digest(canonical(row))


def canonical(value: Any) -> str:
    """Return the text that a document's digest is taken over: keys sorted, no spaces, numbers as they came."""
    return json_text(_sorted(value))


def normalize_documents(
    shape: Shape, personal: PersonalSettings, paths: Sequence[Path], rows: Sequence[Any], observed_at: datetime
) -> Batch:
    """Return the documents of one answer, whose request was started at `observed_at`.

    Every document ends in the table or among the rejects. Two with one key and another content are both rejected,
    since which of them is right cannot be told.
    """
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    rejects: list[Reject] = []
    found: dict[str, list[tuple[str, Any]]] = {}
    for row in rows:
        kept = protect_document(row, personal, paths)
        try:
            key, text = _key_and_text(shape, kept)
        except NotStorable as error:
            rejects.append(Reject(str(error), json_text(kept), observed_at))
            continue
        found.setdefault(key, []).append((text, kept))
    for key, met in found.items():
        texts = {text for text, _ in met}
        if len(texts) > 1:
            rejects += [Reject(CLASH, json_text(kept), observed_at) for _, kept in met]
            continue
        if len(met) > 1 and not shape.key:
            rejects += [Reject(TWIN, json_text(kept), observed_at) for _, kept in met[1:]]
        text = met[0][0]
        for name, value in zip(
            COLUMNS, (shape.stream, key, shape.endpoint, text, _digest(text), observed_at), strict=True
        ):
            columns[name].append(value)
    table = pa.table(
        {name: pa.array(values, TIME if name == "observed_at" else pa.string()) for name, values in columns.items()}
    )
    return Batch(table, tuple(rejects))


def unite_documents(shape: Shape, batches: Sequence[Batch]) -> Batch:
    """Return all documents of several answers, sorted by key; of one met twice, the state observed later."""
    tables = [batch.table for batch in batches] or [
        normalize_documents(shape, PersonalSettings(), (), [], datetime.now(UTC)).table
    ]
    table = last_of_each(pa.concat_tables(tables).sort_by("observed_at"), "document_key")
    rejects = {reject.raw_json: reject for batch in batches for reject in batch.rejects}
    return Batch(table, tuple(rejects.values()))


def protect_document(row: Any, personal: PersonalSettings, paths: Sequence[Path]) -> Any:
    """Return a document with its personal values hashed or dropped, as SYNC_PERSONAL_DATA says.

    Personal are the configured paths (through lists, each of their elements), and anywhere what is named as a
    personal column of core.operations. A value has the same hash as in such a column of the same name.
    """
    if personal.mode == "keep":
        return row
    hidden = _hide_named(row, personal)
    for path in paths:
        hidden = _hide_at(hidden, path, personal)
    return hidden


def _hide_named(value: Any, personal: PersonalSettings) -> Any:
    if isinstance(value, dict):
        return {
            name: _hidden(part, name, personal) if name in protection.COLUMNS else _hide_named(part, personal)
            for name, part in value.items()
        }
    return [_hide_named(part, personal) for part in value] if isinstance(value, list) else value


def _hide_at(value: Any, path: Path, personal: PersonalSettings) -> Any:
    if isinstance(value, list):
        return [_hide_at(part, path, personal) for part in value]
    name, rest = path[0], path[1:]
    if not isinstance(value, dict) or name not in value:
        return value
    if rest:
        return {**value, name: _hide_at(value[name], rest, personal)}
    # what has a personal name is hidden already
    return value if name in protection.COLUMNS else {**value, name: _hidden(value[name], name, personal)}


def _hidden(value: Any, name: str, personal: PersonalSettings) -> str | None:
    if value is None or value == "" or personal.key is None or personal.mode == "drop":
        return None
    text = value if isinstance(value, str) else canonical(value)
    return protection.keyed_hash(personal.key.reveal(), name, text)


def _key_and_text(shape: Shape, row: Any) -> tuple[str, str]:
    if not isinstance(row, dict):
        raise NotStorable("the document is not an object")
    if holds_nul(row):
        raise NotStorable("the document contains U+0000, which PostgreSQL cannot store")
    if any(map(_is_too_long, numbers_in(row))):
        raise NotStorable("the document contains a number that is too long for PostgreSQL")
    text = canonical(row)
    key = _configured_key(shape, row) if shape.key else _digest(text)
    if len(key.encode()) > LONGEST_INDEXED:
        raise NotStorable("the key is too long for an index")
    return key, text


def _configured_key(shape: Shape, row: Any) -> str:
    """Return the value at the path, or a JSON list of the values at several, so that no two pairs look alike.

    Raises:
        NotStorable: a path has no value, or one that is no text or number; or no key is configured.
    """
    values = [_key_value(row, path) for path in shape.key]
    if not values:
        raise NotStorable("no key is configured")
    return values[0] if len(values) == 1 else json_text(values)


def _key_value(row: Any, path: Path) -> str:
    value = _at(row, path)
    if value is None or value == "":
        raise NotStorable(f"the document has no value at {'.'.join(path)}, which is part of its key")
    if isinstance(value, bool | dict | list):
        raise NotStorable(f"the value at {'.'.join(path)}, which is part of the key, is no text or number")
    return str(value)


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(part) for part in value] if isinstance(value, list) else value


def numbers_in(value: Any) -> Iterator[int | Decimal]:
    """Yield every number of a JSON value."""
    if isinstance(value, dict):
        yield from numbers_in(list(value.values()))
    elif isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        yield value


def _is_too_long(number: int | Decimal) -> bool:
    if isinstance(number, int):
        return number.bit_length() > 3 * MOST_DIGITS
    exponent = number.as_tuple().exponent
    return number.adjusted() > MOST_DIGITS or (isinstance(exponent, int) and -exponent > MOST_DECIMALS)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _told(shape: Shape, content: dict[str, Any], what: str) -> str:
    kinds: dict[type, str] = {dict: "an object", list: "a list"}
    parts = [f"{name[:60]} ({kinds.get(type(value), 'a value')})" for name, value in list(content.items())[:10]]
    return (
        f"the answer to {shape.endpoint} has {what} (table {shape.stream.replace(':', '.', 1)} of DOCUMENTS_FILE); "
        f"it has {', '.join(parts) or 'nothing'}."
    )
