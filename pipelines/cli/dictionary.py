"""`dictionary`: docs/data-dictionary.md from the comments in the database; what they say is in sql/.

The text depends on the migrations and the marts alone: not on the server's version, nor on what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from pipelines.marts.build import build_marts
from resources.errors import ConfigError
from resources.warehouse.engine import Warehouse

SCHEMAS = ("bi", "core", "recon", "raw", "sync")  # in the order of those who read them
HEAD = """# Data dictionary

Every table and view of the warehouse, from the comments in the database itself (`\\d+` in psql shows the same).
Written by `make dictionary`; a test fails when it is not what the database says.
"""


def write_dictionary(output: Path | None) -> None:
    """Write the dictionary of the warehouse into a file, or print it.

    Raises:
        ConfigError: the file cannot be written.
    """
    settings = account.settings_of_all()
    with migrated_store() as store:
        build_marts(store, *settings)
        text = dictionary(store)
    if output is None:
        show.lines(text.rstrip("\n"))
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written: {error.strerror}.") from None
    show.line(f"written: {output}")


def dictionary(warehouse: Warehouse) -> str:
    """Return the dictionary as Markdown, of the migrated database whose marts are built."""
    schemas = {row.name: row.explained for row in warehouse.query("cli/admin/schemas", schemas=[*SCHEMAS])}
    columns = warehouse.query("cli/admin/columns", schemas=[*SCHEMAS])
    parts = [HEAD]
    for schema in SCHEMAS:
        parts.append(f"## Schema `{schema}`\n\n{schemas[schema]}\n")
        mine = [column for column in columns if column.schema_name == schema]
        parts += [_relation(list(of_one)) for _, of_one in groupby(mine, key=lambda column: column.relation)]
    return "\n".join(parts)


def _relation(columns: Sequence[Any]) -> str:
    first = columns[0]
    title = f"### `{first.schema_name}.{first.relation}` ({first.kind})"
    return "\n".join([title, "", first.relation_explained, "", *_rows(columns)]) + "\n"


def _rows(columns: Sequence[Any]) -> Iterator[str]:
    is_view = columns[0].kind == "view"
    yield "| Column | Type | Meaning |" if is_view else "| Column | Type | Null | Meaning |"
    yield "|---|---|---|" if is_view else "|---|---|---|---|"
    for column in columns:
        null = "" if is_view else f" {'yes' if column.is_nullable else 'no'} |"
        yield f"| `{column.column_name}` | {column.type} |{null} {_cell(column.explained)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
