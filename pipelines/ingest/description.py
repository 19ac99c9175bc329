"""What the documents of a stream look like, and a proposal of key and view; how they are loaded is in `documents`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from resources.documents import DocumentsConfig
from resources.warehouse.engine import Warehouse

MOST = 10_000
PLAIN = re.compile(r"[a-z_][a-z0-9_]*", re.IGNORECASE | re.ASCII)
CASTS = {
    "integer": "typed.as_integer",
    "decimal": "typed.as_decimal",
    "text of a time": "typed.as_time",
}
HELPERS = {"as_integer": ("bigint", "t::bigint"), "as_decimal": ("numeric", "t::numeric")} | {
    "as_time": ("timestamptz", "t::timestamp AT TIME ZONE 'UTC'")
}


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
    rows = warehouse.query("ingest/description/paths", account=account, stream=config.stream, most=MOST)
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
    plain = [item for item in paths if all(map(PLAIN.fullmatch, item.path))]
    columns = ["account", "document_key", *_columns(plain), "first_seen_at", "observed_at"]
    lines = ["CREATE SCHEMA IF NOT EXISTS typed;", *_helpers()]
    lines += [f"CREATE OR REPLACE VIEW typed.{config.name} AS", "SELECT " + ",\n       ".join(columns)]
    lines += ["FROM core.documents", f"WHERE stream = '{config.stream}';"]
    return "\n".join(lines)


def _helpers() -> Iterator[str]:
    for name, (returned, cast) in HELPERS.items():
        yield (
            f"CREATE OR REPLACE FUNCTION typed.{name}(t text) RETURNS {returned} LANGUAGE plpgsql IMMUTABLE AS $$\n"
            f"BEGIN RETURN {cast}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$;"
        )


def _columns(paths: Sequence[PathDescription]) -> Iterator[str]:
    taken = {"account", "document_key", "first_seen_at", "observed_at"}
    for item in paths:
        name = "_".join(item.path).lower()[:56]
        unique = next(other for other in (name, *(f"{name}_{n}" for n in range(2, 99))) if other not in taken)
        taken.add(unique)
        steps = ", ".join(f"'{step}'" for step in item.path)
        (kind, *others) = item.kinds or ("text",)
        cast = CASTS.get(kind) if not others else CASTS["decimal"] if {*item.kinds} == {"integer", "decimal"} else None
        value = f"document #>> ARRAY[{steps}]"
        yield f'{cast}({value}) AS "{unique}"' if cast else f'{value} AS "{unique}"'
