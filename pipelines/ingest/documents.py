"""Streams of documents: endpoints whose answers are not described to us, made streams by configuration, and described.

What is configured is in `resources.documents`; what of a document is personal in `privacy`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.forecast import Progress
from pipelines.ingest.normalize import LONGEST_INDEXED
from pipelines.ingest.privacy import mask_document
from pipelines.ingest.schema import Rows, Schema, canonical, json_text, why_not_storable
from pipelines.ingest.streams import PageRequest, Stream
from pipelines.ingest.windows import DAY_SECONDS
from resources.data_api.endpoints import DataApi, utc_text
from resources.data_api.errors import UnexpectedShape
from resources.documents import FROM, TO, DocumentsConfig
from resources.errors import ConfigError
from resources.settings import PersonalSettings, SyncSettings
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.load import Total

SHORTEST = 3600  # seconds of a window that is not cut: an endpoint that ignores the interval would be asked for ever
CLASH = (
    "another document of the same answer has the same key and another content: the key does not tell documents apart"
)
TWIN = "the same document stands more than once in the answer, and no key is configured to tell the two apart"

MOST_DESCRIBED = 10_000
PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
VIEW_CASTS = {  # kind of values → the function that casts them, what it returns, and how
    "integer": ("typed.as_integer", "bigint", "t::bigint"),
    "decimal": ("typed.as_decimal", "numeric", "t::numeric"),
    "text of a time": ("typed.as_time", "timestamptz", "t::timestamp AT TIME ZONE 'UTC'"),
}

Path = tuple[str, ...]


class NoKey(ValueError):
    """Why a document has no key."""


def document_stream(config: DocumentsConfig, personal: PersonalSettings | None = None) -> Stream:
    """Return the stream that a table of DOCUMENTS_FILE configures."""
    return Stream(
        name=config.stream,
        row_name="document",
        endpoint=config.endpoint,
        table="core.documents",
        statements="ingest/documents",
        request=lambda api, _, page: api.documents(config.endpoint, parameters(config, page)),
        rows=partial(documents_in, config),
        schema=Schema(
            key="document_key",
            columns={
                "stream": "text",
                "document_key": "text",
                "endpoint": "text",
                "document": "json",
                "document_sha256": "text",
            },
            codes=("stream", "document_key", "endpoint", "document_sha256"),
            derived=("stream", "document_key", "endpoint", "document", "document_sha256"),
            derive=partial(_derive, config),
            prepare=partial(mask_document, personal=personal or PersonalSettings(), paths=config.personal),
        ),
        total=Total(None, "stream", None, None),  # an amount in a document is not known to be one
        look_back_days=lambda _settings: config.look_back_days,
        row_identity=partial(identity, config),
        is_snapshot=config.interval_days is None,
        has_pages=config.paging is not None,
        longest=DAY_SECONDS * (config.interval_days or 1),
        shortest=SHORTEST,
    )


def sync_documents(
    config: DocumentsConfig,
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    request: SyncRequest,
    progress: Progress | None = None,
) -> SyncReport:
    """Load the days asked for of a configured stream; of one without an interval, what it shows now.

    Raises:
        ConfigError: the stream was loaded before with another endpoint, rows or key; or the answer has another shape.
        Others as `sync`.
    """
    _hold_shape(warehouse, settings.account, config)
    stream = document_stream(config, settings.personal)
    # one window at a time: of two that bring one key, the later observed is then the later committed, so that the
    # earlier state is kept as a version, where it would be dropped as outdated
    return sync(stream, request, api, warehouse, replace(settings, windows_in_flight=1), progress)


def stored_streams(warehouse: Warehouse, account: str) -> dict[str, Stream]:
    """Return every stream of documents that was ever loaded, as replay needs it: what is configured now may differ."""
    rows = warehouse.query("ingest/document_shapes/shapes", account=account)
    return {row.stream: document_stream(_stored_config(row.stream, row)) for row in rows}


def documents_in(config: DocumentsConfig, answer: dict[str, Any]) -> list[Any]:
    """Return the documents of a verified answer.

    Raises:
        UnexpectedShape: it has no such list, or several and none is configured; what it has is named, without values.
    """
    content = {name: value for name, value in answer.items() if name != "signature"}
    if config.rows is None:
        lists = [value for value in content.values() if isinstance(value, list)]
        if len(lists) > 1:
            raise _unexpected(config, content, "several lists: name one of them as rows")
        return list(lists[0]) if lists else [content]
    found = _at(content, config.rows)
    if not isinstance(found, list):
        raise _unexpected(config, content, f"no list at rows = {'.'.join(config.rows)}")
    return list(found)


def identity(config: DocumentsConfig, row: Any) -> str:
    """Return the identity of a document within a walk: its key; without one, all of it."""
    try:
        return _configured_key(config, row)
    except NoKey:
        return _digest(canonical(row))


def parameters(config: DocumentsConfig, page: PageRequest) -> dict[str, Any]:
    """Return the parameters of one request: as configured, with the ends of the window and the page in their places."""
    ends = {FROM: utc_text(page.window.first), TO: utc_text(page.window.last)}
    found: dict[str, Any] = _filled(config.params, ends)
    if config.interval_days is not None:
        found["tz"] = "UTC"
    if config.paging is not None:
        _put(found, config.paging.limit, min(page.limit, config.paging.size))
        _put(found, config.paging.offset, page.offset)
    return found


def _derive(config: DocumentsConfig, rows: Rows) -> dict[str, pa.Array]:
    """Make the key, the canonical text and its digest of each document.

    Two with one key and different content are both rejected, since either may be right.
    """
    texts = [canonical(document) for document in rows.objects]
    keys: list[str] = []
    numbers_by_key: dict[str, list[int]] = {}
    for number, (document, text) in enumerate(zip(rows.objects, texts, strict=True)):
        keys.append(_digest(text))
        why = why_not_storable(document, text)
        if why is not None:
            rows.reject(number, f"the document {why}")
            continue
        try:
            keys[number] = _configured_key(config, document) if config.key else keys[number]
        except NoKey as error:
            rows.reject(number, str(error))
            continue
        if len(keys[number].encode()) > LONGEST_INDEXED:
            rows.reject(number, "the key is too long for an index")
            continue
        numbers_by_key.setdefault(keys[number], []).append(number)
    for numbers in numbers_by_key.values():
        clash = len({texts[number] for number in numbers}) > 1
        for number in numbers if clash else () if config.key else numbers[1:]:
            rows.reject(number, CLASH if clash else TWIN)
    count = len(texts)
    return {
        "stream": pa.array([config.stream] * count, pa.string()),
        "document_key": pa.array(keys, pa.string()),
        "endpoint": pa.array([config.endpoint] * count, pa.string()),
        "document": pa.array(texts, pa.string()),
        "document_sha256": pa.array(map(_digest, texts), pa.string()),
    }


def _configured_key(config: DocumentsConfig, row: Any) -> str:
    """Return the value at the path, or a JSON list of the values at several, so that no two pairs look alike.

    Raises:
        NoKey: a path has no value, or one that is no text or number; or no key is configured.
    """
    if not config.key:
        raise NoKey("no key is configured")
    values: list[str] = []
    for path in config.key:
        value = _at(row, path)
        if value is None or value == "":
            raise NoKey(f"the document has no value at {'.'.join(path)}, which is part of its key")
        if isinstance(value, bool | dict | list):
            raise NoKey(f"the value at {'.'.join(path)}, which is part of the key, is no text or number")
        values.append(str(value))
    return values[0] if len(values) == 1 else json_text(values)


def _at(value: Any, path: Path) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _unexpected(config: DocumentsConfig, content: dict[str, Any], what: str) -> UnexpectedShape:
    kinds: dict[type, str] = {dict: "an object", list: "a list"}
    parts = [f"{name[:60]} ({kinds.get(type(value), 'a value')})" for name, value in list(content.items())[:10]]
    return UnexpectedShape(
        f"the answer to {config.endpoint} has {what} (table documents.{config.name} of DOCUMENTS_FILE); "
        f"it has {', '.join(parts) or 'nothing'}."
    )


def _filled(value: Any, ends: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, ends) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, ends) for part in value]
    return ends.get(value, value) if isinstance(value, str) else value


def _put(table: dict[str, Any], path: Path, value: int) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
    table[path[-1]] = value


def _hold_shape(warehouse: Warehouse, account: str, config: DocumentsConfig) -> None:
    """Note how the stream is read at its first load, and refuse another way later: keys and replay would not fit."""
    values = {
        "endpoint": config.endpoint,
        "rows_path": ".".join(config.rows) if config.rows else None,
        "key_paths": [".".join(path) for path in config.key],
    }
    with warehouse.transaction() as connection:
        run(connection, "ingest/document_shapes/note_shape", account=account, stream=config.stream, **values)
        (row,) = run(connection, "ingest/document_shapes/shape", account=account, stream=config.stream)
    stored = _stored_config(config.stream, row)
    if (stored.endpoint, stored.rows, stored.key) != (config.endpoint, config.rows, config.key):
        raise ConfigError(
            f"{config.stream} was loaded before with another endpoint, rows or key (endpoint {row.endpoint}, rows "
            f"{row.rows_path or 'not set'}, key {row.key_paths}): write it as it was, or give the table a new name."
        )


def _stored_config(stream: str, row: Any) -> DocumentsConfig:
    """Return what is stored of a configuration: enough to read an answer, not to ask for one."""
    rows = tuple(row.rows_path.split(".")) if row.rows_path else None
    key = tuple(tuple(path.split(".")) for path in row.key_paths)
    return DocumentsConfig(stream.removeprefix("documents:"), row.endpoint, {}, rows=rows, key=key)


@dataclass(frozen=True)
class PathDescription:
    """A path of the documents: the kinds of its values, in how many documents it has one, how many are different."""

    path: tuple[str, ...]
    kinds: tuple[str, ...]
    documents: int
    present: int
    different: int

    @property
    def dotted(self) -> str:
        """The path as DOCUMENTS_FILE has it."""
        return ".".join(self.path)

    @property
    def null_share(self) -> float:
        """In what part of the documents it is missing or null."""
        return 1 - self.present / self.documents

    @property
    def may_be_key(self) -> bool:
        """Whether each document has a value of its own there."""
        is_scalar = set(self.kinds) <= {"integer", "text", "text of an integer"}
        return is_scalar and self.present == self.different == self.documents > 1


def describe(warehouse: Warehouse, account: str, config: DocumentsConfig) -> list[PathDescription]:
    """Return the paths of the newest documents of a stream."""
    rows = warehouse.query("ingest/document_shapes/paths", account=account, stream=config.stream, most=MOST_DESCRIBED)
    return [
        PathDescription(tuple(row.path), tuple(row.kinds), row.documents, row.present, row.different) for row in rows
    ]


def proposed_key(paths: Sequence[PathDescription]) -> PathDescription | None:
    """Return the path that tells the documents apart, rather one named id, rather an outer one; None: there is none."""
    keys = [path for path in paths if path.may_be_key]
    return min(keys, key=lambda item: (not re.search(r"(^|_)id$", item.path[-1]), len(item.path)), default=None)


def proposed_view(config: DocumentsConfig, paths: Sequence[PathDescription]) -> str:
    """Return statements that make a typed view of the stream; a value that cannot be cast is NULL there.

    Paths with names that need quotes are left out: they are in the table of the paths.
    """
    plain = [item for item in paths if all(map(PLAIN_NAME.fullmatch, item.path))]
    columns = ["account", "document_key", *_view_columns(plain), "first_seen_at", "observed_at"]
    lines = ["CREATE SCHEMA IF NOT EXISTS typed;"]
    for name, returned, cast in VIEW_CASTS.values():
        lines += [
            f"CREATE OR REPLACE FUNCTION {name}(t text) RETURNS {returned} LANGUAGE plpgsql IMMUTABLE AS $$",
            f"BEGIN RETURN {cast}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;",
        ]
    lines += [f"CREATE OR REPLACE VIEW typed.{config.name} AS", "SELECT " + ",\n       ".join(columns)]
    lines += ["FROM core.documents", f"WHERE stream = '{config.stream}';"]
    return "\n".join(lines)


def _view_columns(paths: Sequence[PathDescription]) -> Iterator[str]:
    taken = {"account", "document_key", "first_seen_at", "observed_at"}
    for item in paths:
        name = "_".join(item.path).lower()[:56]
        unique = next(other for other in (name, *(f"{name}_{n}" for n in range(2, 99))) if other not in taken)
        taken.add(unique)
        steps = ", ".join(f"'{step}'" for step in item.path)
        (kind, *others) = item.kinds or ("text",)
        is_number = {*item.kinds} == {"integer", "decimal"}
        cast = VIEW_CASTS.get(kind) if not others else VIEW_CASTS["decimal"] if is_number else None
        value = f"document #>> ARRAY[{steps}]"
        yield f'{cast[0]}({value}) AS "{unique}"' if cast else f'{value} AS "{unique}"'
