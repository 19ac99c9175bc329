"""Card numbers in what a run wrote are counted by column, with what to do; the numbers themselves show nowhere."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg
import pytest
import sqlalchemy

from fixtures.commands import SETTINGS, client_of, execute, fetch_all, sync
from fixtures.documents import chargeback, told
from pipelines.checks import asset_checks, card_numbers
from pipelines.ingest.documents import document_stream, sync_documents
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.fraud import FRAUD
from pipelines.ingest.operations import OPERATIONS
from pipelines.resources import WarehouseResource
from resources.accounts import AccountScope
from resources.data_api.endpoints import DataApi
from resources.documents import DocumentsConfig, Interval
from resources.sandbox import SandboxServer, World

DAY = "2024-03-05"
CARD = "4111111111111111"
EXTRA = {
    "note": f"card {CARD}",
    "acquirer_id": CARD,
    "orderId": CARD,
    "paid": CARD,
    "rows": [{"number": int(CARD)}, {"number": CARD}, {"rate": 0.4111111111111111}],
    f"key {CARD}": "its name",
}


@pytest.fixture
def sandbox():
    with SandboxServer(World.generate(seed=3, start=DAY, days=1, operations=20, now="2024-05-01")) as server:
        yield server


def check(store_url):
    """The check of operations, run as Dagster runs it."""
    resources = {"warehouse": WarehouseResource(url=store_url)}
    checks = list(asset_checks(AccountScope(SETTINGS), "operations"))
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(asset_checks=checks, resources=resources).resolve_implicit_global_asset_job_def()
        evaluations = job.execute_in_process(instance=instance).get_asset_check_evaluations()
    return next(item for item in evaluations if item.check_name == "no_card_numbers")


def stored(store) -> int:
    return fetch_all(store, "SELECT count(*) AS n FROM core.operations")[0]["n"]


def found(store, stream) -> dict[str, int]:
    runs = fetch_all(store, "SELECT max(run_id) AS run_id FROM sync.runs WHERE stream = :stream", stream=stream.name)
    return {row.column: row.rows for row in card_numbers(store, stream, [runs[0]["run_id"]])}


def test_card_numbers_are_counted_by_column_until_a_run_writes_text_without_them(sandbox, store, store_url):
    sync(sandbox, store, DAY, DAY)
    clean = check(store_url)
    assert (clean.passed, clean.description) == (True, "none found")
    execute(
        store,
        f"UPDATE core.operations SET payment_description = 'for {CARD}', payment_provider_message = 'A {CARD}',"
        f" customer_id = '{CARD}' WHERE operation_id IN (SELECT operation_id FROM core.operations ORDER BY 1 LIMIT 3)",
    )
    execute(
        store,
        f"UPDATE core.operations SET account_number = '{CARD}' WHERE operation_id = (SELECT min(operation_id)"
        " FROM core.operations)",
    )
    warned = check(store_url)
    assert (warned.passed, warned.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert warned.description.startswith("7 found. ")
    assert "docs/runbook.md" in warned.description
    assert warned.metadata["first"].value == [
        {"column": "account_number", "rows": "1"},
        {"column": "payment_description", "rows": "3"},
        {"column": "payment_provider_message", "rows": "3"},
    ]
    assert CARD not in str(warned)
    sync(sandbox, store, DAY, DAY)
    assert check(store_url).passed


@pytest.mark.parametrize("stream", [OPERATIONS, FRAUD], ids=lambda stream: stream.name)
def test_every_column_of_text_is_looked_through_but_those_of_ids_and_codes(sandbox, store, stream):
    sync(sandbox, store, DAY, DAY)
    schema = stream.schema
    texts = [name for name, kind in schema.columns.items() if kind == "text" and name != schema.key]
    if stream is FRAUD:
        execute(store, "UPDATE sync.runs SET stream = 'fraud'")
        execute(
            store,
            "INSERT INTO core.fraud_reports (account, report_key, observed_at, first_seen_at, window_id)"
            " SELECT account, 'a', observed_at, first_seen_at, window_id FROM core.operations LIMIT 1",
        )
    table = sqlalchemy.table(stream.table.partition(".")[2], *map(sqlalchemy.column, texts), schema="core")
    with store.transaction() as connection:
        connection.execute(sqlalchemy.update(table).values(dict.fromkeys(texts, CARD)))
    rows = stored(store) if stream is OPERATIONS else 1
    assert found(store, stream) == {name: rows for name in texts if name not in schema.codes}


def test_json_is_looked_through_field_by_field_but_for_ids(sandbox, store):
    sync(sandbox, store, DAY, DAY)
    with store.transaction() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE core.operations SET extra = CAST(:extra AS jsonb)"), {"extra": json.dumps(EXTRA)}
        )
        connection.execute(
            sqlalchemy.text(
                "INSERT INTO core.rejects SELECT 'default', 'operations', '', 'no reason', :raw, max(run_id), NULL,"
                " now(), now() FROM sync.runs"
            ),
            {"raw": json.dumps({"operation_id": CARD, "payment_description": f"{CARD}", "sum_initial": "7" * 5000})},
        )
    assert found(store, OPERATIONS) == {
        "core.rejects.payment_description": 1,
        "extra.note": stored(store),
        "extra.paid": stored(store),
        "extra.rows.number": stored(store),
        "extra.…": stored(store),
    }


def test_documents_are_looked_through(store):
    config = DocumentsConfig("chargebacks", "chargeback/list", {}, interval=Interval(1))
    day = date.fromisoformat(DAY)
    rows = [chargeback(number, f"{DAY} 12:00:00", comment=comment) for number, comment in enumerate(["", CARD, "4111"])]
    with SandboxServer(told(*rows)) as sandbox, client_of(sandbox.url) as client:
        sync_documents(config, DataApi(client), store, SETTINGS, SyncRequest(day, day))
    assert found(store, document_stream(config)) == {"document.comment": 1}
