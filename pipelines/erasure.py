"""Removes a person's data from tables and raw pages; keys, amounts and the ledger stay, so every total does too.

Nothing that identifies the person is kept or printed. What the platform still holds comes back when its days are walked
again: erase there first (docs/bi.md).
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.privacy import PERSONAL_COLUMNS
from pipelines.ingest.registry import TYPED
from pipelines.ingest.schema import canonical, json_text
from resources.warehouse.engine import Warehouse, affect, run
from resources.warehouse.load import body_of, compress

KEPT = frozenset[str]().union(*(stream.schema.fields for stream in TYPED)) - PERSONAL_COLUMNS
REDACT = {"documents": "erasure/redact_documents", "document_versions": "erasure/redact_document_versions"}
KNOWN_ENDPOINTS = frozenset({"operations/get", "operations/get-by-payment", "fraud/list", "balance/get"})
ERASED = "erased"
# text under these names stays; any other text of the document goes
HARMLESS = (OPERATIONS.schema.typed.keys() - PERSONAL_COLUMNS) | {"currency", "stage", "status", "type"}
TIME_OR_AMOUNT = re.compile(r"\d{4}-\d{2}-\d{2}([T ][\d:.+Z-]{5,})?|-?\d{1,12}\.\d{1,4}")


@dataclass(frozen=True)
class Erasure:
    """How many rows and pages lost a person's data."""

    operations: int
    operation_versions: int
    fraud_reports: int
    rejects: int
    pages: int
    documents: int

    @property
    def found(self) -> bool:
        """Whether there was anything to erase."""
        return any(vars(self).values())


@dataclass(frozen=True)
class _Person:
    names: frozenset[str]  # ids as they are, addresses in lower case
    operation_ids: frozenset[str]

    @property
    def in_documents(self) -> Named:
        """The same for documents, in which a name may stand anywhere."""
        return Named(frozenset(name.lower() for name in self.names), self.operation_ids)

    def is_in(self, row: Any) -> bool:
        if not isinstance(row, dict):
            return False
        named = {str(row.get("customer_id") or ""), str(row.get("customer_email") or "").lower()} - {""}
        return bool(named & self.names) or OPERATIONS.identity(row) in self.operation_ids

    def redacted(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key in KEPT}


def erase(warehouse: Warehouse, account: str, customer: str) -> Erasure:
    """Erase what is stored of a customer, by id or e-mail address, in one transaction, and record that it was done.

    Raises:
        WarehouseUnavailable, WarehouseBroken: nothing has been erased then.
    """
    with warehouse.transaction() as connection:
        run(connection, "warehouse/load/lock_account", account=account)
        known = {"account": account, "customer": customer, "who_lower": _in_lower_case({customer})}
        names = {str(row.value) for row in run(connection, "erasure/who", **known)}
        keys = {"account": account, "who": sorted(names), "who_lower": _in_lower_case(names)}
        ids = [row.operation_id for row in run(connection, "erasure/operations", **keys)]
        keys["operation_ids"] = ids
        versions = len(run(connection, "erasure/operation_versions", **keys))
        frauds = affect(connection, "erasure/fraud_reports", **keys)
        frauds += affect(connection, "erasure/fraud_report_versions", **keys)
        person = _Person(frozenset({*names, *(name.lower() for name in names)}), frozenset(ids))
        rejects, pages = _redact_rejects(connection, account, person), _redact_pages(connection, account, person)
        documents = _redact_documents(connection, account, person)
        done = Erasure(len(ids), versions, frauds, rejects, pages, documents)
        if done.found:
            run(connection, "erasure/record", account=account, **vars(done))
        return done


def _in_lower_case(names: Iterable[str]) -> list[str]:
    """Return the names as lower() gives them in any locale: in lower case whole, or in their ASCII letters alone."""
    ascii_alone = {form.encode().lower().decode() for name in names for form in (name, name.lower(), name.upper())}
    return sorted(ascii_alone.union(name.lower() for name in names))


def _redact_rejects(connection: Connection, account: str, person: _Person) -> int:
    count = 0
    for reject in run(connection, "erasure/rejects", account=account):
        try:
            row = _read(reject.raw_json)
        except ValueError:
            row = None
        if isinstance(row, dict):
            named = person.in_documents if reject.stream.startswith("documents:") else person
            redacted = json_text(named.redacted(row)) if named.is_in(row) else None
        else:  # no object: all that can be said is whether it names the person
            redacted = '"erased"' if any(name in reject.raw_json.lower() for name in person.names) else None
        if redacted is not None and redacted != reject.raw_json:
            values = {"stream": reject.stream, "row_sha256": reject.row_sha256, "raw_json": redacted}
            count += affect(connection, "erasure/redact_reject", account=account, **values)
    return count


def _redact_pages(connection: Connection, account: str, person: _Person) -> int:
    # every page is read: an operation that a walk met unchanged is on that walk's page too
    count, last = 0, 0
    while pages := run(connection, "erasure/pages_after", account=account, page_id=last):
        last = pages[-1].page_id
        for page in pages:
            if (text := _redacted_body(page, person)) is not None:
                values = {"page_id": page.page_id, "body_zstd": compress(text), "body_bytes": len(text)}
                count += affect(connection, "erasure/redact_page", account=account, **values)
    return count


def _redacted_body(page: Any, person: _Person) -> bytes | None:
    """Return the body of a page without the person, or None when it does not name them."""
    body = _read(body_of(page).decode())
    is_known = page.endpoint in KNOWN_ENDPOINTS
    redacted = _redacted_lists(body, person) if is_known else person.in_documents.redacted_body(body)
    return json_text(redacted).encode() if redacted != body else None


def _redacted_lists(value: Any, who: _Person | Named) -> Any:
    """Return a JSON value in whose outermost lists all that names the person is redacted."""
    if isinstance(value, list):
        return [who.redacted(row) if who.is_in(row) else row for row in value]
    return {name: _redacted_lists(part, who) for name, part in value.items()} if isinstance(value, dict) else value


def _redact_documents(connection: Connection, account: str, person: _Person) -> int:
    named, count = person.in_documents, 0
    # as they stand in JSON text; what is found is looked at exactly
    needles = sorted(
        json.dumps(name, ensure_ascii=False)[1:-1] for name in _in_lower_case(named.names | named.operation_ids)
    )
    new_keys: dict[tuple[str, str], str] = {}
    for row in run(connection, "erasure/documents_named", account=account, needles=needles):
        document = _read(row.text)
        key = new_keys.setdefault((row.stream, row.document_key), named.key_without(row.document_key))
        if key == row.document_key and not named.is_in(document):
            continue
        text = canonical(named.redacted(document))
        if (key, text) == (row.document_key, canonical(document)):
            continue
        values = {
            "stream": row.stream,
            "document_key": row.document_key,
            "observed_at": row.observed_at,
            "document": text,
            "document_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "new_key": key,
        }
        count += affect(connection, REDACT[row.source], account=account, **values)
    return count


@dataclass(frozen=True)
class Named:
    """By what a document names a person: ids and addresses in lower case, and ids of the person's operations.

    The format of a document is not known, so little of it is trusted to be harmless.
    """

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
        if _holds_list(body) or not self.is_in(body):
            return _redacted_lists(body, self)
        signature = {"signature": body["signature"]} if "signature" in body else {}
        return {**self.redacted(body), **signature}


def _read(text: str) -> Any:
    """Return a JSON value with every number exact."""
    return json.loads(text, parse_float=Decimal)


def _holds_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and any(map(_holds_list, value.values())))
