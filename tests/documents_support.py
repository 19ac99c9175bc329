"""What the tests of documents share: the shipped example, chargebacks told by hand, and what is stored of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from pipelines.sync.documents import sync_documents
from pipelines.sync.operations import OperationsRequest
from resources.data_api.endpoints import DataApi
from resources.documents import DocumentsConfig, read_documents_file
from resources.sandbox import World
from resources.sandbox.documents import Document
from resources.settings import SyncSettings
from support import QUICK, ROOT, client_of, fetch_all

EXAMPLE = ROOT / "deploy" / "documents.example.toml"
NOW = "2024-06-15 00:00:00"
FIRST, LAST = "2024-03-01", "2024-03-31"
CHARGEBACKS, REPORT = "chargeback/list", "financial-reporting/operations"


def config(table: str, path: Path = EXAMPLE, **changes) -> DocumentsConfig:
    found = {item.name: item for item in read_documents_file(str(path))}[table]
    return replace(found, **changes)


def world_of(operations: int = 3_000) -> World:
    return World.generate(seed=5, start=FIRST, days=31, operations=operations, now=NOW)


def told(*documents: Document, endpoint: str = CHARGEBACKS) -> World:
    world = World.of(now=NOW)
    world.documents.tell(endpoint, documents)
    return world


def chargeback(number, at: str = "2024-03-05 12:00:00", **fields) -> Document:
    return Document.told(at, id=number, amount=100, currency="EUR", stage="first chargeback", **fields)


def load(sandbox, store, what, first=FIRST, last=LAST, policy=QUICK, **settings):
    what = config(what) if isinstance(what, str) else what
    request = OperationsRequest(date.fromisoformat(first), date.fromisoformat(last))
    with client_of(sandbox.url, policy=policy) as client:
        return sync_documents(what, DataApi(client), store, SyncSettings(**settings), request)


def stored(store, stream: str = "documents:chargebacks") -> dict[str, dict]:
    rows = fetch_all(store, "SELECT document_key, document FROM core.documents WHERE stream = :stream", stream=stream)
    return {row["document_key"]: row["document"] for row in rows}


def counts(store) -> dict[str, int]:
    tables = ("core.documents", "core.document_versions", "core.rejects", "raw.pages", "sync.windows")
    return {name: fetch_all(store, f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in tables}
