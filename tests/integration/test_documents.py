"""Documents of endpoints without a described format: every one arrives, versioned, in the ledger, to be replayed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

from fixtures.commands import ROOT, execute, fetch_all
from fixtures.documents import (
    CHARGEBACKS,
    FIRST,
    LAST,
    NOW,
    REPORT,
    chargeback,
    config,
    counts,
    load,
    stored,
    told,
    world_of,
)
from pipelines.audit.replay import Replayer
from resources.sandbox import DEMO_SECRET, SandboxServer, World

# Each of the four, as the shipped example has it


def test_every_chargeback_arrives_through_pages_that_meet(store):
    world = world_of(60_000)
    with SandboxServer(world) as sandbox:
        done = load(sandbox, store, config("chargebacks", paging=replace(config("chargebacks").paging, size=10)))
        truth = {str(item.fields["id"]): item.shown() for item in world.documents.between(CHARGEBACKS, 0, world.now)}
        in_march = {key: row for key, row in truth.items() if row["updated_at"].startswith("2024-03")}
        asked = [request for request in sandbox.requests if request.endpoint == CHARGEBACKS]
    assert len(in_march) > 100
    assert stored(store) == in_march
    assert (done.rows_new, done.rows_rejected) == (len(in_march), 0)
    assert all(request.params["tz"] == "UTC" for request in asked)
    assert {request.params["pagination"]["limit"] for request in asked} == {1, 10}
    assert {tuple(request.params["filter"]["updated_at"]) for request in asked} == {
        ("2024-03-01 00:00:00", "2024-03-31 00:00:00"),
        ("2024-03-31 00:00:00", "2024-04-01 00:00:00"),
    }


def test_one_chargeback_is_a_snapshot_of_the_answer_itself(store):
    with SandboxServer(told(chargeback(1, customer={"id": "c", "email": "c@a.example"}), chargeback(2))) as sandbox:
        load(sandbox, store, "one_chargeback")
        load(sandbox, store, "one_chargeback")
    found = stored(store, "documents:one_chargeback")
    assert found.keys() == {"1"}
    assert found["1"]["chargeback"]["customer"]["email"] == "c@a.example"
    assert "signature" not in found["1"]
    assert counts(store) | {"raw.pages": 2, "sync.windows": 2, "core.document_versions": 0} == counts(store)
    runs = fetch_all(store, "SELECT interval_from, state FROM sync.runs")
    assert runs == [{"interval_from": None, "state": "complete"}] * 2
    (holes,) = [fetch_all(store, "SELECT count(*) AS n FROM sync.coverage WHERE stream LIKE 'documents:%'")]
    assert holes[0]["n"] >= 1
    assert store.query("cli/status/holes") == [], "nothing is missing between two snapshots"


def test_every_line_of_the_financial_report_arrives_with_its_decimals(store):
    world = world_of()
    with SandboxServer(world) as sandbox:
        load(sandbox, store, "financial_report")
        truth = [item.fields for item in world.documents.lists[REPORT] if item.at <= world.now]
    found = fetch_all(store, "SELECT document_key, document ->> 'fee_rate' AS rate, document FROM core.documents")
    assert len(found) == len([line for line in truth if "2024-03-01" <= _day(line["settled_at"]) <= LAST])
    assert {row["rate"] for row in found} == {"0.029"}
    by_key = {row["document_key"]: row["document"] for row in found}
    line = truth[0]
    key = json.dumps([line["operation_id"], line["type"]], separators=(",", ":"))
    assert by_key[key]["fees"] == line["fees"]


def _day(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).date().isoformat()


def test_every_rate_arrives_though_nothing_says_what_tells_it(store):
    with SandboxServer(World.of(now=NOW)) as sandbox:
        done = load(sandbox, store, "currency_rates", "2024-03-01", "2024-03-02")
        again = load(sandbox, store, "currency_rates", "2024-03-01", "2024-03-02")
        assert {request.params["tz"] for request in sandbox.requests} == {"UTC"}
    rates = 3 * 18  # of two days, and of the midnight after them, which both of its days ask for
    assert done.rows_new == rates
    assert (again.rows_new, again.rows_changed, again.rows_unchanged) == (0, 0, rates)
    rates = fetch_all(
        store, "SELECT document -> 'base' AS base, (document ->> 'rate')::numeric AS rate FROM core.documents"
    )
    assert {row["base"] for row in rates} >= {"EUR", "JPY"}
    assert all(isinstance(row["rate"], Decimal) and row["rate"] > 0 for row in rates)


# As operations are: last observation wins, unchanged untouched, one transaction, in the chain


def test_a_changed_document_leaves_a_version_and_a_second_pass_writes_nothing(store):
    world = told(chargeback(1), chargeback(2))
    with SandboxServer(world) as sandbox:
        load(sandbox, store, "chargebacks")
        before = fetch_all(store, "SELECT *, xmin::text FROM core.documents ORDER BY document_key")
        again = load(sandbox, store, "chargebacks")
        assert (again.rows_new, again.rows_changed, again.rows_unchanged) == (0, 0, 2)
        assert fetch_all(store, "SELECT *, xmin::text FROM core.documents ORDER BY document_key") == before
        world.documents.tell(CHARGEBACKS, [chargeback(1), chargeback(2, status="lost")])
        changed = load(sandbox, store, "chargebacks")
    assert (changed.rows_new, changed.rows_changed, changed.rows_unchanged) == (0, 1, 1)
    now = fetch_all(store, "SELECT * FROM core.documents WHERE document_key = '2'")[0]
    (version,) = fetch_all(store, "SELECT * FROM core.document_versions")
    assert now["document"]["status"] == "lost"
    assert version.pop("known_to") == now["observed_at"]
    assert version == {key: value for key, value in before[1].items() if key != "xmin"}
    assert now["first_seen_at"] == version["first_seen_at"]
    known = fetch_all(
        store,
        "SELECT document_key FROM core.documents_as_of(:moment) WHERE NOT document ? 'status' ORDER BY 1",
        moment=version["observed_at"],
    )
    assert [row["document_key"] for row in known] == ["1", "2"]


def test_the_ledger_holds_the_walks_and_replay_rebuilds_them_from_the_signed_pages(store):
    world = world_of()
    with SandboxServer(world) as sandbox:
        for name in ("chargebacks", "financial_report", "currency_rates"):
            load(sandbox, store, name)
    assert store.query("warehouse/ledger/verify", account=None) == []
    lines: list[str] = []
    first, last = date.fromisoformat(FIRST), date.fromisoformat(LAST)
    result = Replayer(store, "default", DEMO_SECRET).replay(first, last, lines.append)
    assert (result.problems, lines) == ([], [])
    assert result.rows == counts(store)["core.documents"] > 1000
    kept = fetch_all(store, "SELECT DISTINCT totals_written = sync.written_totals(window_id) AS kept FROM sync.windows")
    assert kept == [{"kept": True}]


def test_replay_finds_and_puts_back_what_was_altered_lost_or_added(store):
    with SandboxServer(told(*map(chargeback, range(5)))) as sandbox:
        load(sandbox, store, "chargebacks")
    before = stored(store)
    execute(store, """UPDATE core.documents SET document = '{"id": 1}' WHERE document_key = '1'""")
    execute(store, "DELETE FROM core.documents WHERE document_key = '2'")
    execute(store, "UPDATE core.documents SET document_key = 'x' WHERE document_key = '3'")
    replayer = Replayer(store, "default", DEMO_SECRET)
    first, last = date.fromisoformat(FIRST), date.fromisoformat(LAST)
    result = replayer.replay(first, last, lambda _: None)
    assert result.damaged["documents:chargebacks"] == {"1", "2", "3", "x"}
    replayer.repair(result.damaged)
    assert replayer.replay(first, last, print).problems == []
    assert stored(store) == before


def test_the_runbooks_view_types_the_examples_chargebacks(store):
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
    world = world_of(20_000)
    with SandboxServer(world) as sandbox:
        load(sandbox, store, "chargebacks")
    execute(store, block)
    rows = fetch_all(store, "SELECT chargeback_id, amount_minor, updated_at FROM typed.chargebacks")
    truth = {str(item.fields["id"]): item.fields for item in world.documents.lists[CHARGEBACKS]}
    assert len(rows) > 50
    for row in rows:
        fields = truth[row["chargeback_id"]]
        assert (row["amount_minor"], row["updated_at"].timestamp()) == (fields["amount"], fields["updated_at"])
