"""What is taken out of a document that names a person: its format is not known, so little is trusted to be harmless.

Which documents are looked at, and where they are stored, is in `erase`. Pure.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.privacy import PERSONAL_COLUMNS

ERASED = "erased"
# text under these names stays; any other text of the document goes
HARMLESS = (OPERATIONS.schema.typed.keys() - PERSONAL_COLUMNS) | {"currency", "stage", "status", "type"}
TIME_OR_AMOUNT = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.+Z-]{5,})?|-?\d{1,12}\.\d{1,4}")


@dataclass(frozen=True)
class Named:
    """By what a document names a person: ids and addresses in lower case, and ids of the person's operations."""

    names: frozenset[str]
    operation_ids: frozenset[str]

    def is_in(self, value: Any, name: str = "", parent: str = "") -> bool:
        """Whether one of the names is a whole value anywhere, or one of the operations is the document's."""
        if isinstance(value, dict):
            return any(self.is_in(part, key, name) for key, part in value.items())
        if isinstance(value, list):
            return any(self.is_in(part, name, parent) for part in value)
        if value is None or isinstance(value, bool):
            return False
        text = str(value)
        is_operation = name == "operation_id" or (name == "id" and parent in {"operation", "operations"})
        return self.is_name(text) or (is_operation and text in self.operation_ids)

    def is_name(self, text: str) -> bool:
        """Whether a text is one of the names."""
        return text.lower() in self.names

    def key_without(self, key: str) -> str:
        """Return a document's key, or another one nobody can guess when the person's name is all or part of it."""
        try:
            parts = json.loads(key)
        except ValueError:
            parts = key
        values = [str(part) for part in parts] if isinstance(parts, list) else [key]
        return f"{ERASED}-{secrets.token_hex(16)}" if any(map(self.is_name, values)) else key

    def redacted(self, value: Any, name: str = "") -> Any:
        """Return a document that names the person, without what may identify them.

        Numbers, true and false stay, unless under a personal name or equal to the person's; so does text that is
        a time or an amount with decimals, or under a name known as harmless. Any other text becomes "erased".
        """
        if isinstance(value, dict):
            return {key: self.redacted(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [self.redacted(part, name) for part in value]
        if value is None or value == "" or isinstance(value, bool):
            return value
        is_plain = not isinstance(value, str) or name in HARMLESS or TIME_OR_AMOUNT.fullmatch(value) is not None
        return value if is_plain and name not in PERSONAL_COLUMNS and not self.is_name(str(value)) else ERASED

    def redacted_body(self, body: Any) -> Any:
        """Return an answer in which every document that names the person is redacted."""
        lists = list(_outermost_lists(body))
        for rows in lists:
            rows[:] = [self.redacted(row) if self.is_in(row) else row for row in rows]
        return _without_signature(self, body) if not lists and self.is_in(body) else body


def read(text: str) -> Any:
    """Return a JSON value with every number exact."""
    return json.loads(text, parse_float=Decimal)


def _outermost_lists(value: Any) -> Iterator[list[Any]]:
    if isinstance(value, list):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _outermost_lists(part)


def _without_signature(named: Named, body: dict[str, Any]) -> dict[str, Any]:
    signature = {"signature": body["signature"]} if "signature" in body else {}
    return {**named.redacted(body), **signature}
