"""Documents of endpoints whose answers are not described to us: what is asked, and their way through the engine.

How a document is found, keyed and protected is in `document_rows`; what is configured in `resources.documents`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pipelines.ingest.document_rows import Shape, documents_in, identity, normalize_documents, unite_documents
from pipelines.ingest.engine import SyncReport, SyncRequest, sync
from pipelines.ingest.progress import Progress
from pipelines.ingest.streams import PageRequest, Stream
from pipelines.ingest.windows import DAY_SECONDS, LONGEST
from resources.data_api.client import Answer
from resources.data_api.endpoints import DataApi, utc_text
from resources.documents import FROM, TO, DocumentsConfig
from resources.errors import ConfigError
from resources.settings import PersonalSettings, SyncSettings
from resources.warehouse import targets
from resources.warehouse.engine import Warehouse, run

SHORTEST = 3600  # seconds of a window that is not cut: an endpoint that ignores the interval would be asked for ever


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
    shape = shape_of(config)
    _hold_shape(warehouse, settings.account, shape)
    stream = document_stream(shape, config, settings.personal)
    # one window at a time: of two that bring one key, the later observed is then the later committed, so that the
    # earlier state is kept as a version and told of, where it would be passed over as outdated
    return sync(stream, request, api, warehouse, replace(settings, windows_in_flight=1), progress)


def shape_of(config: DocumentsConfig) -> Shape:
    """Return how the documents of a stream are found and told apart."""
    return Shape(config.stream, config.endpoint, config.rows, config.key)


def document_stream(
    shape: Shape, config: DocumentsConfig | None = None, personal: PersonalSettings | None = None
) -> Stream:
    """Return the stream of the engine; without a configuration it can replay answers, but not ask."""
    paths = config.personal if config else ()
    return Stream(
        name=shape.stream,
        ask=partial(_ask, config),
        rows_of=partial(documents_in, shape),
        identity=partial(identity, shape),
        normalize=partial(normalize_documents, shape, personal or PersonalSettings(), paths),
        normalize_columns=lambda _rows, _observed_at: None,
        unite=partial(unite_documents, shape),
        time_column=None,  # which of its times an interval selects by is not known
        target=targets.documents(shape.stream),
        look_back=lambda _: config.look_back_days if config else 0,
        snapshot=bool(config and config.interval_days is None),
        pages=bool(config and config.paging),
        longest=min(LONGEST, DAY_SECONDS * (config.interval_days or 1)) if config else DAY_SECONDS,
        shortest=SHORTEST,
    )


def stored_streams(warehouse: Warehouse, account: str) -> dict[str, Stream]:
    """Return every stream of documents that was ever loaded, as replay needs it: what is configured now may differ."""
    rows = warehouse.query("ingest/document_shapes/shapes", account=account)
    return {row.stream: document_stream(_shape_of_row(row.stream, row)) for row in rows}


def parameters(config: DocumentsConfig, ask: PageRequest) -> dict[str, Any]:
    """Return the parameters of one request: as configured, with the ends of the window and the page in their places."""
    ends = {FROM: utc_text(ask.window.first), TO: utc_text(ask.window.last)}
    found: dict[str, Any] = _filled(config.params, ends)
    if config.interval_days is not None:
        found["tz"] = "UTC"
    if config.paging is not None:
        _put(found, config.paging.limit, min(ask.limit, config.paging.size))
        _put(found, config.paging.offset, ask.offset)
    return found


def _ask(config: DocumentsConfig | None, api: DataApi, _: SyncSettings, ask: PageRequest) -> Answer:
    if config is None:
        raise ConfigError("this stream is not in DOCUMENTS_FILE.")
    return api.documents(config.endpoint, parameters(config, ask))


def _filled(value: Any, ends: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(part, ends) for name, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, ends) for part in value]
    return ends.get(value, value) if isinstance(value, str) else value


def _put(table: dict[str, Any], path: tuple[str, ...], value: int) -> None:
    for name in path[:-1]:
        table = table.setdefault(name, {})
    table[path[-1]] = value


def _hold_shape(warehouse: Warehouse, account: str, shape: Shape) -> None:
    """Note how the stream is read at its first load, and refuse another way later: keys and replay would not fit."""
    values = {
        "endpoint": shape.endpoint,
        "rows_path": ".".join(shape.rows) if shape.rows else None,
        "key_paths": [".".join(path) for path in shape.key],
    }
    with warehouse.transaction() as connection:
        run(connection, "ingest/document_shapes/note_shape", account=account, stream=shape.stream, **values)
        (row,) = run(connection, "ingest/document_shapes/shape", account=account, stream=shape.stream)
    if _shape_of_row(shape.stream, row) != shape:
        raise ConfigError(
            f"{shape.stream} was loaded before with another endpoint, rows or key (endpoint {row.endpoint}, rows "
            f"{row.rows_path or 'not set'}, key {row.key_paths}): write it as it was, or give the table a new name."
        )


def _shape_of_row(stream: str, row: Any) -> Shape:
    rows = tuple(row.rows_path.split(".")) if row.rows_path else None
    return Shape(stream, row.endpoint, rows, tuple(tuple(path.split(".")) for path in row.key_paths))
