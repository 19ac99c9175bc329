"""The SQL of the product, in plain files beside the folders of Python that execute it; never put together from strings.

A module has one file of its own name, in which every statement stands under a line `-- name: …`, in the order in which
they run. A statement is called by file and name: `text("warehouse/ledger/start_run")` is `start_run` of
`sql/warehouse/ledger.sql`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
NAME_LINE = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def text(name: str) -> str:
    """Return the statement `name`: a file below `sql/`, a slash, and the statement's name in it.

    Raises:
        KeyError: the file has no such statement.
    """
    file, _, statement = name.rpartition("/")
    return statements(file)[statement]


@cache
def statements(file: str) -> dict[str, str]:
    """Return the named statements of `sql/<file>.sql`, in their order."""
    parts = NAME_LINE.split(script(file))
    return {name: statement.strip() for name, statement in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def script(file: str) -> str:
    """Return the whole of `sql/<file>.sql`, which is executed as it is."""
    return (FOLDER / f"{file}.sql").read_text(encoding="utf-8")


def migrations() -> list[tuple[int, str, str]]:
    """Return (version, name, statements) of every migration, in order of version."""
    files = sorted((FOLDER / "migrations").glob("*.sql"))
    return [(int(file.stem[:4]), file.stem[5:], file.read_text(encoding="utf-8")) for file in files]
