"""The file that DOCUMENTS_FILE names, checked: which endpoints are kept as documents, and how. Nothing is asked here.

An example with every setting is in deploy/documents.example.toml.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resources.errors import ConfigError

FROM, TO = "{from}", "{to}"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
ENDPOINT = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+)*")
LONGEST_DAYS = 180  # of an interval: the API processes longer ones one by one
SMALLEST_PAGE = 2  # two pages must meet in a row, so a page of one row would never get on
LARGEST_PAGE = 1000
MOST_LOOK_BACK = 365
KEYS = ("endpoint", "params", "paging", "rows", "key", "interval", "look_back_days", "personal")


@dataclass(frozen=True)
class Paging:
    """Where limit and offset stand among the parameters, and how many documents to ask for at once."""

    limit: tuple[str, ...]
    offset: tuple[str, ...]
    size: int


@dataclass(frozen=True)
class DocumentsConfig:
    """One table `[documents.NAME]`; a path is the names on the way to a value, from the outermost on."""

    name: str
    endpoint: str
    params: Mapping[str, Any]
    paging: Paging | None = None
    rows: tuple[str, ...] | None = None  # None: the only list of an answer, or the answer itself
    key: tuple[tuple[str, ...], ...] = ()  # none: the digest of its content tells a document
    interval_days: int | None = None  # None: a snapshot, which asks for no interval
    look_back_days: int = 0
    personal: tuple[tuple[str, ...], ...] = ()

    @property
    def stream(self) -> str:
        """Its name in the ledger."""
        return f"documents:{self.name}"


def read_documents_file(path: str) -> tuple[DocumentsConfig, ...]:
    """Return the streams that a file configures.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is none; with file and key.
    """
    try:
        with Path(path).open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"DOCUMENTS_FILE cannot be read: {path}: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"DOCUMENTS_FILE is no TOML: {path}: {error}.") from None
    reader = _Reader(path)
    for name in content:
        if name != "documents":
            raise reader.error(name, "is unknown: write tables [documents.NAME]")
    tables = reader.table("documents", content.get("documents", {}))
    return tuple(reader.stream(name, table) for name, table in tables.items())


class _Reader:
    """Reads the values of one file; every complaint names the file and the key."""

    def __init__(self, path: str) -> None:
        self.path = path

    def error(self, key: str, said: str) -> ConfigError:
        return ConfigError(f"DOCUMENTS_FILE ({self.path}): {key} {said}.")

    def stream(self, name: str, value: Any) -> DocumentsConfig:
        where = f"documents.{name}"
        if not NAME.fullmatch(name):
            raise self.error(where, "is no name: use a–z, 0–9 and _, at most 40, beginning with a letter")
        table = self.table(where, value)
        for key in table:
            if key not in KEYS:
                raise self.error(f"{where}.{key}", f"is unknown: there are {', '.join(KEYS)}")
        config = DocumentsConfig(
            name=name,
            endpoint=self._endpoint(f"{where}.endpoint", table.get("endpoint")),
            params=self._params(f"{where}.params", table.get("params", {})),
            paging=self._paging(f"{where}.paging", table["paging"]) if "paging" in table else None,
            rows=self._path(f"{where}.rows", table["rows"]) if "rows" in table else None,
            key=self._paths(f"{where}.key", table.get("key", [])),
            interval_days=self._interval(f"{where}.interval", table["interval"]) if "interval" in table else None,
            look_back_days=self._number(f"{where}.look_back_days", table.get("look_back_days", 0), 0, MOST_LOOK_BACK),
            personal=self._paths(f"{where}.personal", table.get("personal", [])),
        )
        self._check_together(where, config)
        return config

    def table(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.error(key, "is no table")
        return value

    def _endpoint(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or not ENDPOINT.fullmatch(value):
            raise self.error(key, f'is {value!r}: write a path of a–z, 0–9, _ and - such as "chargeback/list"')
        return value

    def _params(self, key: str, value: Any) -> dict[str, Any]:
        table = self.table(key, value)
        for name in ("token", "signature"):
            if name in table:
                raise self.error(f"{key}.{name}", "is set by the program: leave it out")
        self._check_param(key, table)
        return table

    def _check_param(self, key: str, value: Any) -> None:
        if isinstance(value, dict):
            for name, part in value.items():
                self._check_param(f"{key}.{name}", part)
        elif isinstance(value, list):
            for number, part in enumerate(value):
                self._check_param(f"{key}[{number}]", part)
        elif isinstance(value, str):
            if ("{" in value or "}" in value) and value not in {FROM, TO}:
                raise self.error(key, f'is {value!r}: a placeholder is "{FROM}" or "{TO}", and the whole text')
        elif not isinstance(value, bool | int):
            raise self.error(key, "is neither text, an integer, true, false, a list nor a table: write it as text")

    def _paging(self, key: str, value: Any) -> Paging:
        table = self.table(key, value)
        for name in table:
            if name not in {"limit", "offset", "size"}:
                raise self.error(f"{key}.{name}", "is unknown: there are limit, offset, size")
        limit = self._path(f"{key}.limit", table.get("limit"))
        offset = self._path(f"{key}.offset", table.get("offset"))
        if limit == offset:
            raise self.error(f"{key}.offset", "is where limit is")
        return Paging(limit, offset, self._number(f"{key}.size", table.get("size", 100), SMALLEST_PAGE, LARGEST_PAGE))

    def _interval(self, key: str, value: Any) -> int:
        table = self.table(key, value)
        if set(table) != {"days"}:
            raise self.error(key, "has another key than days: write { days = 1 }")
        return self._number(f"{key}.days", table["days"], 1, LONGEST_DAYS)

    def _number(self, key: str, value: Any, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            raise self.error(key, f"is {value!r}: write a whole number from {least} to {most}")
        return value

    def _paths(self, key: str, value: Any) -> tuple[tuple[str, ...], ...]:
        if not isinstance(value, list):
            raise self.error(key, 'is no list of paths: write for example ["id"]')
        paths = tuple(self._path(key, path) for path in value)
        if len(set(paths)) < len(paths):
            raise self.error(key, "names a path twice")
        return paths

    def _path(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, str) or not all(value.split(".")):
            raise self.error(key, f'is {value!r}: write a dotted path such as "data.items"')
        return tuple(value.split("."))

    def _check_together(self, where: str, config: DocumentsConfig) -> None:
        found = {text for text in _texts(config.params) if text in {FROM, TO}}
        if config.interval_days and found != {FROM, TO}:
            raise self.error(f"{where}.interval", f'needs "{FROM}" and "{TO}" among the params, where its ends go')
        if found and not config.interval_days:
            raise self.error(f"{where}.params", f'has "{found.pop()}": set interval too, such as {{ days = 1 }}')
        if config.look_back_days and not config.interval_days:
            raise self.error(f"{where}.look_back_days", "makes no sense without an interval")
        if config.interval_days and config.params.get("tz", "UTC") != "UTC":
            raise self.error(f"{where}.params.tz", "is not UTC: intervals are asked for in UTC, so leave it out")
        for name, path in (("limit", config.paging.limit), ("offset", config.paging.offset)) if config.paging else ():
            if not _is_free(config.params, path):
                raise self.error(f"{where}.paging.{name}", "stands where params has a value already")


def _texts(value: Any) -> list[str]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value] if isinstance(value, str) else [text for part in parts for text in _texts(part)]


def _is_free(params: Any, path: tuple[str, ...]) -> bool:
    for name in path:
        if not isinstance(params, dict):
            return False
        if name not in params:
            return True
        params = params[name]
    return False
