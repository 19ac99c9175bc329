"""The first half of a close: who prepared which figures, whether they are still the same, and who is the same person.

Sealing is in `close`.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from resources.errors import ConfigError
from resources.warehouse.engine import run

LONGEST_NAME = 200


@dataclass(frozen=True)
class Prepared:
    """Figures of a day that somebody has looked at, and nobody has closed yet."""

    by: str
    at: datetime
    database_user: str
    figures_sha256: str
    instead_of: Prepared | None = None  # a preparation of other figures, which no longer counts


def prepared(connection: Connection, account: str, day: date) -> Prepared | None:
    """Return the preparation that counts, if there is one."""
    for row in run(connection, "reconciliation/close/close_prepared", account=account, day=day):
        return Prepared(row.prepared_by, row.prepared_at, row.database_user, bytes(row.figures_sha256).hex())
    return None


def prepare(connection: Connection, account: str, day: date, by: str, figures: str) -> Prepared:
    """Write down that `by` prepared these figures."""
    (row,) = run(
        connection,
        "reconciliation/close/close_prepare",
        account=account,
        day=day,
        by=by,
        figures=bytes.fromhex(figures),
    )
    return Prepared(by, row.prepared_at, row.database_user, figures)


def figures_of(connection: Connection, account: str, day: date) -> str:
    """Return the SHA-256 of what is closed: the day's totals, verdict, books, breaks and balances."""

    def rows(name: str) -> list[dict[str, Any]]:
        return [dict(row._asdict()) for row in run(connection, name, account=account, day=day)]

    figures = {
        "totals": rows("reconciliation/close/seal_totals"),
        "verdict": rows("cli/finance/seal_completeness")[0]["verdict"],
        "books": rows("reconciliation/close/seal_books")[0]["figures"],
        "breaks": rows("reconciliation/close/close_breaks"),
        "balances": rows("reconciliation/close/seal_balances"),
    }
    return hashlib.sha256(canonical(figures).encode()).hexdigest()


def canonical(document: dict[str, Any]) -> str:
    """Return JSON that is the same for the same facts: keys sorted, no spaces, no floats in it."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=_plain)


def name_of(option: str, text: str) -> str:
    """Return a person's name as it is kept.

    Raises:
        ConfigError: it is empty, too long, or not printable.
    """
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise ConfigError(f"{option} is empty or too long: write 1 to {LONGEST_NAME} characters.")
    return text


def is_same_person(one: str, other: str) -> bool:
    """Return whether two names are one: case, spacing and ligatures or wide letters do not tell people apart."""
    return _folded(one) == _folded(other)


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")  # a Decimal or a float among them
