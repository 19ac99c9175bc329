"""The SQL of the product, in plain files named by what they make; loaded by name, never put together."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


@cache
def text(name: str) -> str:
    """Return the statement in `sql/<name>.sql`, for example `text("load/insert_operations")`."""
    return (FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def migrations() -> list[tuple[int, str, str]]:
    """Return (version, name, statements) of every migration, in order of version."""
    files = sorted((FOLDER / "migrations").glob("*.sql"))
    return [(int(file.stem[:4]), file.stem[5:], file.read_text(encoding="utf-8")) for file in files]
