"""Documents of endpoints without a described format: every one arrives, versioned, in the ledger, to be replayed."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from fixtures.commands import execute, fetch_all
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
from pipelines.ingest.documents import describe, proposed_key, proposed_view
from resources.documents import DocumentsConfig
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


def test_a4_a_snapshot_is_of_the_platforms_second_whatever_our_clock_says(store):
    world = told(chargeback(1, status="new"))
    began = datetime.now(UTC).replace(microsecond=0)
    with SandboxServer(world) as sandbox:
        reports = []
        for seconds_ahead, status in ((50.0, "new"), (-50.0, "lost"), (0.0, "won")):
            world.documents.tell(CHARGEBACKS, [chargeback(1, status=status)])
            reports.append(load(sandbox, store, "one_chargeback", seconds_ahead=seconds_ahead))
            time.sleep(1.1)
    ended = datetime.now(UTC)
    rows = fetch_all(store, "SELECT * FROM sync.windows ORDER BY window_id")
    moments = [row[name] for row in rows for name in ("interval_from", "walk_started_at", "walk_ended_at")]
    assert began - timedelta(seconds=2) < min(moments)
    assert max(moments) < ended + timedelta(seconds=2)
    assert [row["interval_from"] for row in rows] == sorted(row["interval_from"] for row in rows), "as they were taken"
    assert [report.window.first for report in reports] == [row["interval_from"] for row in rows]
    assert all(row["interval_from"] == row["interval_to"] <= row["walk_started_at"] for row in rows)
    observed = fetch_all(store, "SELECT observed_at FROM core.documents")
    assert rows[-1]["interval_from"] <= observed[0]["observed_at"] <= rows[-1]["walk_ended_at"]
    assert stored(store, "documents:one_chargeback")["1"]["chargeback"]["status"] == "won"


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


def test_the_proposed_view_types_the_examples_chargebacks(store):
    world = world_of(20_000)
    with SandboxServer(world) as sandbox:
        load(sandbox, store, "chargebacks")
    paths = describe(store, "default", config("chargebacks"))
    assert proposed_key(paths).path == ("id",)
    execute(store, proposed_view(config("chargebacks"), paths))
    rows = fetch_all(store, "SELECT id::text, amount, updated_at FROM typed.chargebacks")
    truth = {str(item.fields["id"]): item.fields for item in world.documents.lists[CHARGEBACKS]}
    assert len(rows) > 50
    for row in rows:
        fields = truth[row["id"]]
        assert (row["amount"], row["updated_at"].timestamp()) == (fields["amount"], fields["updated_at"])


AWKWARD = [
    {
        "ref": "a",
        "n": 1,
        "fee": 1.5,
        "at": "2024-02-28 10:00:00",
        "in": {"n": "7", "odd name": 1},
        "list": [1],
        "x": None,
    },
    {"ref": "b", "n": 1, "fee": 2, "at": "2024-02-30 10:00:00", "in": {"n": "x'y"}, "in_n": True, "Account": "mine"},
    {"ref": "c", "n": 12345678901234567890, "at": "soon"},
]


def test_what_documents_look_like_is_described_and_a_value_that_cannot_be_cast_is_null_in_the_view(store):
    for number, document in enumerate(AWKWARD):
        row = f"'default', 'documents:fees', '{number}', 'x/y', $d${json.dumps(document)}$d$, '', now(), now(), 1"
        execute(store, f"INSERT INTO core.documents VALUES ({row})")
    paths = describe(store, "default", DocumentsConfig("fees", "x/y"))
    assert [(item.dotted, item.kinds, round(item.null_share, 2), item.different) for item in paths] == [
        ("Account", ("text",), 0.67, 1),
        ("at", ("text", "text of a time"), 0, 3),
        ("fee", ("decimal", "integer"), 0.33, 2),
        ("in.n", ("text", "text of an integer"), 0.33, 2),
        ("in.odd name", ("integer",), 0.67, 1),
        ("in_n", ("boolean",), 0.67, 1),
        ("list", ("array",), 0.67, 1),
        ("n", ("decimal", "integer"), 0, 2),
        ("ref", ("text",), 0, 3),
        ("x", (), 1, 0),
    ]
    assert proposed_key(paths).path == ("ref",)
    assert proposed_key([item for item in paths if item.path != ("ref",)]) is None
    times = [replace(item, kinds=("text of a time",)) if item.path == ("at",) else item for item in paths]
    execute(store, proposed_view(DocumentsConfig("fees", "x/y"), times))
    rows = fetch_all(store, "SELECT at, fee, in_n, in_n_2, n, account_2 FROM typed.fees ORDER BY document_key")
    assert [[str(value) for value in row.values()] for row in rows] == [
        ["2024-02-28 10:00:00+00:00", "1.5", "7", "None", "1", "None"],
        ["None", "2", "x'y", "true", "1", "mine"],
        ["None", "None", "None", "None", "12345678901234567890", "None"],
    ]
