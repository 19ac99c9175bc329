"""The file that DOCUMENTS_FILE names, checked: which endpoints are kept as documents, and how. Nothing is sent here.

An example with every setting is in deploy/documents.example.toml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from resources.environment import Table, model_of_file
from resources.errors import ConfigError
from resources.values import Kind, Wrong, matching, whole

FROM, TO = "{from}", "{to}"
LONGEST_DAYS = 180  # of an interval: the API processes longer ones one by one
SMALLEST_PAGE = 2  # two pages must meet in a row, so a page of one row would never get on
LARGEST_PAGE = 1000
MOST_LOOK_BACK = 365

Path = tuple[str, ...]  # the names on the way to a value, from the outermost on


def _path(value: Any) -> Path:
    if not all(value.split(".")):
        raise ValueError
    return tuple(value.split("."))


def _paths(value: Any) -> tuple[Path, ...]:
    if not isinstance(value, list):
        raise Wrong('is no list of paths: write for example ["id"].')
    paths = tuple(DOTTED.checked(path) for path in value)
    if len(set(paths)) < len(paths):
        raise Wrong("names a path twice.")
    return paths


def _params(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Wrong("is no table: write { name = value }.")
    for name in ("token", "signature"):
        if name in value:
            raise Wrong(f".{name} is set by the program: leave it out.")
    for place, part in _leaves(value):
        if isinstance(part, str):
            if ("{" in part or "}" in part) and part not in {FROM, TO}:
                raise Wrong(f'{place} is {part!r}: a placeholder is "{FROM}" or "{TO}", and the whole text.')
        elif not isinstance(part, bool | int):
            raise Wrong(f"{place} is neither text, an integer, true, false, a list nor a table: write it as text.")
    return value


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is neither a table nor a list, and where it stands."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _leaves(part, f"{place}.{name}")
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{place}[{number}]")
    else:
        yield place, value


DOTTED = Kind(_path, 'a dotted path such as "data.items"')
NAME = matching(r"[a-z][a-z0-9_]{0,39}", "a–z, 0–9 and _, at most 40, beginning with a letter")
ENDPOINT = matching(r"[a-z0-9_-]+(/[a-z0-9_-]+)*", 'a path of a–z, 0–9, _ and - such as "chargeback/list"')


@dataclass(frozen=True)
class Paging(Table):
    """Where limit and offset stand among the parameters, and how many documents to ask for at once."""

    limit: Annotated[Path, DOTTED]
    offset: Annotated[Path, DOTTED]
    size: Annotated[int, whole(SMALLEST_PAGE, LARGEST_PAGE)] = 100


@dataclass(frozen=True)
class Interval(Table):
    """How many days a window has."""

    days: Annotated[int, whole(1, LONGEST_DAYS)]


@dataclass(frozen=True)
class DocumentsTable(Table):
    """One table `[documents.NAME]`."""

    endpoint: Annotated[str, ENDPOINT]
    params: Annotated[Mapping[str, Any], Kind(_params, "a table")] = field(default_factory=dict)
    paging: Paging | None = None
    rows: Annotated[Path | None, DOTTED] = None  # None: the only list of an answer, or the answer itself
    key: Annotated[tuple[Path, ...], Kind(_paths, "a list of paths")] = ()  # none: the digest of its content is the key
    interval: Interval | None = None  # None: a snapshot, which asks for no interval
    look_back_days: Annotated[int, whole(0, MOST_LOOK_BACK)] = 0
    personal: Annotated[tuple[Path, ...], Kind(_paths, "a list of paths")] = ()


@dataclass(frozen=True)
class DocumentsFile(Table):
    """The file as a whole."""

    documents: dict[Annotated[str, NAME], DocumentsTable] = field(default_factory=dict)


@dataclass(frozen=True)
class _Named:
    name: str


@dataclass(frozen=True)
class DocumentsConfig(DocumentsTable, _Named):
    """A stream of documents: its name, and what its table says."""

    @property
    def stream(self) -> str:
        """Its name in the ledger."""
        return f"documents:{self.name}"

    @property
    def interval_days(self) -> int | None:
        """How many days a window has; None: it is a snapshot."""
        return self.interval.days if self.interval else None


def read_documents_file(path: str) -> tuple[DocumentsConfig, ...]:
    """Return the streams that a file configures.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is none; with file and key.
    """
    tables = model_of_file(DocumentsFile, "DOCUMENTS_FILE", path).documents
    configs = tuple(DocumentsConfig(name, **vars(table)) for name, table in tables.items())
    for config in configs:
        for fault in _contradictions(config):
            raise ConfigError(f"DOCUMENTS_FILE ({path}): documents.{config.name}.{fault}.")
    return configs


def _contradictions(config: DocumentsConfig) -> Iterator[str]:
    """Yield which settings of a stream do not go together."""
    found = {part for _, part in _leaves(config.params) if part in {FROM, TO}}
    if config.interval and found != {FROM, TO}:
        yield f'interval needs "{FROM}" and "{TO}" among the params, where its ends go'
    if found and not config.interval:
        yield f'params has "{min(found)}": set interval too, such as {{ days = 1 }}'
    if config.look_back_days and not config.interval:
        yield "look_back_days makes no sense without an interval"
    if config.interval and config.params.get("tz", "UTC") != "UTC":
        yield "params.tz is not UTC: intervals are asked for in UTC, so leave it out"
    if paging := config.paging:
        if paging.limit == paging.offset:
            yield "paging.offset is where limit is"
        for name, path in (("limit", paging.limit), ("offset", paging.offset)):
            if not _is_free(config.params, path):
                yield f"paging.{name} stands where params has a value already"


def _is_free(params: Any, path: Path) -> bool:
    for name in path:
        if not isinstance(params, dict):
            return False
        if name not in params:
            return True
        params = params[name]
    return False
