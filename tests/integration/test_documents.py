"""Documents of endpoints without a described format: complete, versioned, in the ledger, and nothing silent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.sync.documents import sync_documents
from pipelines.sync.operations import OperationsRequest
from pipelines.sync.replay import Replayer
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import BadSignature, BrokenBody, UnexpectedShape
from resources.documents_file import DocumentsConfig, Paging, read_documents_file
from resources.errors import ConfigError, Incomplete
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.sandbox.documents import Document
from resources.sandbox.times import seconds
from resources.settings import PersonalSettings, Secret, SyncSettings
from support import QUICK, ROOT, client_of, command, execute, fetch_all

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
        ("2024-03-01 00:00:00", "2024-03-30 23:59:59"),
        ("2024-03-31 00:00:00", "2024-03-31 23:59:59"),
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
    assert store.query("show/holes") == [], "nothing is missing between two snapshots"


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
    assert done.rows_new == 36
    assert (again.rows_new, again.rows_changed, again.rows_unchanged) == (0, 0, 36)
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
    assert store.query("ledger/verify", account=None) == []
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


# Nothing lost, nothing unproved


@pytest.mark.parametrize("fault", ["rows_leave:3", "rows_enter:3", "late_rows:2", "short_page", "empty_page"])
def test_data_that_moves_and_pages_that_mislead_lose_nothing(store, fault):
    stays = [chargeback(number, f"2024-03-{1 + number % 28:02} 12:00:{number % 60:02}") for number in range(300)]
    with SandboxServer(told(*stays)) as sandbox:
        small = config("chargebacks", paging=replace(config("chargebacks").paging, size=20))
        sandbox.faults.set_script({3: fault, 6: fault, 9: fault})
        load(sandbox, store, small)
        assert sandbox.faults.counts[fault.split(":")[0]] > 0
        missing = {
            str(item.fields["id"]) for item in sandbox.world.documents.between(CHARGEBACKS, *_seconds(FIRST, LAST))
        } - stored(store).keys()
    assert missing == set()


def _seconds(first: str, last: str) -> tuple[int, int]:
    return seconds(f"{first} 00:00:00"), seconds(f"{last} 23:59:59")


TAMPERED = ("tampered_value", "tampered_key", "wrong_signature", "tampered_drop")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        *(("chargebacks", fault) for fault in TAMPERED),
        *(("currency_rates", fault) for fault in TAMPERED),
        *(("one_chargeback", fault) for fault in TAMPERED[:3]),  # of one document nothing can be dropped
    ],
)
def test_an_answer_that_was_tampered_with_is_refused_and_nothing_of_it_is_stored(store, name, fault):
    world = told(chargeback(1, customer={"id": "c", "email": "e"}), chargeback(2))
    with SandboxServer(world) as sandbox:
        sandbox.faults.always(fault)
        with pytest.raises(BadSignature):
            load(sandbox, store, name, "2024-03-05", "2024-03-05")
    assert set(counts(store).values()) == {0}


def test_an_endpoint_that_ignores_pages_is_incomplete_and_nothing_is_stored(store):
    """It gives the same list whatever the offset, so that no end can be shown; here two names that are ignored."""
    paging = Paging(limit=("filter", "merchant"), offset=("filter", "currency"), size=100)
    with SandboxServer(World.of(now=NOW)) as sandbox, pytest.raises(Incomplete):
        load(sandbox, store, config("currency_rates", paging=paging), "2024-03-01", "2024-03-01")
    assert counts(store) | {"core.documents": 0, "raw.pages": 0} == counts(store)
    verdicts = fetch_all(store, "SELECT DISTINCT verdict, reason FROM sync.windows")
    assert [row["verdict"] for row in verdicts] == ["incomplete"]


# Rejects


def test_what_cannot_be_a_document_is_kept_with_its_reason(store):
    bad = [
        Document.told("2024-03-05 12:00:00", amount=1),
        chargeback("a\x00b"),
        chargeback(7, note="x"),
        chargeback(7, note="y"),
        chargeback(number=True),
        chargeback({"no": "scalar"}),
        chargeback("k" * 2_001),
    ]
    with SandboxServer(told(*bad, chargeback(1))) as sandbox:
        done = load(sandbox, store, "chargebacks")
    assert stored(store).keys() == {"1"}
    assert (done.rows_met, done.rows_rejected) == (8, 7)
    reasons = fetch_all(store, "SELECT stream, reason, count(*) AS n FROM core.rejects GROUP BY 1, 2 ORDER BY 2")
    assert {row["stream"] for row in reasons} == {"documents:chargebacks"}
    assert {row["reason"].split(",")[0]: row["n"] for row in reasons} == {
        "another document of the same answer has the same key and another content: the key does not tell documents"
        " apart": 2,
        "the document contains U+0000": 1,
        "the document has no value at id": 1,
        "the key is too long for an index": 1,
        "the value at id": 2,
    }


def test_the_same_document_twice_is_one_with_a_key_and_told_of_without(store):
    with SandboxServer(told(chargeback(1), chargeback(1))) as sandbox:
        assert load(sandbox, store, "chargebacks").rows_rejected == 0
        without = config("chargebacks", name="unkeyed", key=(), paging=None)
        done = load(sandbox, store, without)
    assert (done.rows_new, done.rows_rejected) == (1, 1)
    assert "stands more than once" in fetch_all(store, "SELECT reason FROM core.rejects")[0]["reason"]


def test_hostile_documents_survive_to_the_digit_and_the_letter(store):
    fields = {
        "big": 9_007_199_254_740_993,
        "huge": 10**40 + 1,
        "a:b": {"c:d": "e;f:g", "": "empty name"},
        "text": "\u202eإ 🎫 \\u0000 'quoted\" \t\n",
        "rate": 0.1,
        "none": None,
        "no": False,
    }
    with SandboxServer(told(chargeback("ü:1", **fields), chargeback(2, rate=1.5e-7))) as sandbox:
        load(sandbox, store, "chargebacks")
    rows = fetch_all(
        store,
        "SELECT document_key AS key, document ->> 'big' AS big, document ->> 'huge' AS huge,"
        " document ->> 'rate' AS rate,"
        " document -> 'a:b' AS colons, document ->> 'text' AS text FROM core.documents",
    )
    found = {row.pop("key"): row for row in rows}
    assert (found["ü:1"]["big"], found["ü:1"]["huge"]) == ("9007199254740993", str(10**40 + 1))
    assert (found["ü:1"]["rate"], Decimal(found["2"]["rate"])) == ("0.1", Decimal("1.5e-7"))
    assert (found["ü:1"]["colons"], found["ü:1"]["text"]) == (fields["a:b"], fields["text"])


def test_a_document_nested_deeper_than_any_is_refused_with_its_answer(store):
    deep: dict = {}
    for _ in range(70):
        deep = {"a": deep or 1}
    with SandboxServer(told(chargeback(1, deep=deep))) as sandbox, pytest.raises(BrokenBody, match="nested deeper"):
        load(sandbox, store, "chargebacks", "2024-03-05", "2024-03-05", policy=replace(QUICK, attempts=2))
    assert set(counts(store).values()) == {0}


# The shape of an answer


def test_an_answer_of_another_shape_is_told_with_what_it_has_and_asked_for_once(store):
    with SandboxServer(told(chargeback(1, secret="never shown"))) as sandbox:
        with pytest.raises(UnexpectedShape, match=re.escape("it has chargebacks (a list)")) as told_of:
            load(sandbox, store, config("chargebacks", rows=("data", "items")), "2024-03-05", "2024-03-05")
        assert sandbox.request_count == 1
    assert "never shown" not in str(told_of.value)
    assert "documents.chargebacks" in str(told_of.value)
    assert counts(store)["raw.pages"] == 0


def test_the_way_a_stream_is_read_cannot_change_under_its_name_once_something_was_loaded(store):
    with SandboxServer(told(chargeback(1))) as sandbox:
        with pytest.raises(UnexpectedShape):
            load(sandbox, store, config("chargebacks", rows=("guess",)))
        load(sandbox, store, "chargebacks")
        with pytest.raises(ConfigError, match="give the table a new name"):
            load(sandbox, store, config("chargebacks", key=(("id",), ("stage",))))
        load(sandbox, store, config("chargebacks", look_back_days=1, paging=None))


# Personal data


@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_no_configured_personal_value_is_anywhere_in_the_store(store, mode):
    mark = "clear-person"
    documents = [
        chargeback(1, customer={"id": mark, "email": f"{mark}@a.example"}, card_holder=mark),
        chargeback(None, customer={"id": mark, "email": mark}),
    ]
    personal = PersonalSettings(mode, Secret("a-key-of-the-tests-only") if mode == "hash" else None)
    with SandboxServer(told(*documents)) as sandbox:
        both = config("chargebacks", personal=(("customer", "id"), ("customer", "email")))
        load(sandbox, store, both, personal=personal)
        again = load(sandbox, store, both, personal=personal)
    assert (again.rows_changed, again.rows_unchanged, again.rows_rejected) == (0, 1, 1)
    text = str([fetch_all(store, f"SELECT to_jsonb(t) AS row FROM {name} t") for name in counts(store)])
    assert mark not in text
    (page, *_) = fetch_all(store, "SELECT body_zstd FROM raw.pages")
    assert page["body_zstd"] is None
    kept = stored(store)["1"]
    assert kept["stage"] == "first chargeback"
    assert (kept["customer"]["email"] is None) is (mode == "drop")


# As a user meets it


@pytest.fixture
def environment(store_url, tmp_path):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path),
        "DOCUMENTS_FILE": str(EXAMPLE),
    }


def test_the_command_loads_what_is_named_and_status_shows_it(store, environment):
    with SandboxServer(told(chargeback(1, customer={"id": "c"}), chargeback(2))) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        days = ("--from", FIRST, "--to", LAST)
        done = command("documents", "chargebacks", "one_chargeback", *days, environment=environment)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"^complete: (.*?) unchanged", done.stdout, re.MULTILINE) == [
            "2 documents of chargebacks in 2 windows, 2 new, 0 changed, 0",
            "1 documents of one_chargeback in 1 window, 1 new, 0 changed, 0",
        ]
        assert {request.endpoint for request in sandbox.requests} == {CHARGEBACKS, "chargeback/get"}
        shown = command("status", environment=environment).stdout
        assert re.search(r"default +chargebacks +2 ", shown)
        assert "HOLES" not in shown
        sandbox.world.documents.tell(CHARGEBACKS, [chargeback(None)])
        done = command("documents", "chargebacks", *days, environment=environment)
    assert done.returncode == 1
    assert "the check no_rejects of documents/chargebacks failed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("charge",), "there are chargebacks, one_chargeback, financial_report, currency_rates"),
        (("one_chargeback", "--from", FIRST, "--to", LAST), "none of these streams has an interval"),
        (("--from", FIRST), "--from and --to belong together"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(environment, arguments, said):
    done = command("documents", *arguments, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_without_the_file_there_is_nothing_of_it(environment):
    del environment["DOCUMENTS_FILE"]
    done = command("documents", environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "deploy/documents.example.toml" in done.stderr


def test_a_night_walks_each_stream_with_its_own_look_back(store, environment, tmp_path):
    script = """
import dagster as dg
from pipelines.definitions import defs
from pipelines.schedules import range_tags
from datetime import UTC, date, datetime
with dg.DagsterInstance.ephemeral() as instance:
    done = defs.resolve_job_def("nightly").execute_in_process(
        instance=instance, tags=range_tags(date(2024, 3, 20), date(2024, 3, 21)), raise_on_error=False)
    made = {event.asset_key.to_user_string() for event in done.get_asset_materialization_events()}
    print(done.success, *sorted(made))
"""
    world = told(chargeback(1, customer={"id": "c"}))
    with SandboxServer(world) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    succeeded, *made = done.stdout.split()
    assert succeeded == "True", done.stderr[-3000:]
    assert set(made) >= {"operations", *(f"documents/{item.name}" for item in read_documents_file(str(EXAMPLE)))}
    walked = fetch_all(
        store,
        "SELECT stream, interval_from::date::text AS first FROM sync.runs WHERE stream LIKE 'documents:%' ORDER BY 1",
    )
    assert {row["stream"]: row["first"] for row in walked} == {
        "documents:chargebacks": "2024-01-21",
        "documents:currency_rates": "2024-03-20",
        "documents:financial_report": "2024-03-14",
        "documents:one_chargeback": None,
    }


def test_a_run_that_is_killed_between_pages_stores_nothing_of_them_and_the_next_one_everything(store, environment):
    documents = [chargeback(number, f"2024-03-05 12:{number // 60:02}:{number % 60:02}") for number in range(500)]
    with SandboxServer(told(*documents)) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        sandbox.faults.set_script({3: ("slow", 8.0)})
        arguments = ("documents", "chargebacks", "--from", "2024-03-05", "--to", "2024-03-05")
        inherited = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
        program = str(Path(sys.executable).parent / "ecommpay-sync")
        with subprocess.Popen([program, *arguments], env=inherited | environment) as process:
            until = time.monotonic() + 60
            while sandbox.request_count < 2 and process.poll() is None and time.monotonic() < until:
                time.sleep(0.05)
            process.kill()
        assert sandbox.request_count >= 2
        assert counts(store) == dict.fromkeys(counts(store), 0)
        sandbox.faults.clear()
        done = command(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
    assert len(stored(store)) == 500
    assert store.query("ledger/verify", account=None) == []


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


# A key that tells nothing apart


def test_two_documents_under_one_key_on_two_pages_are_told_of_and_not_stored(store):
    twins = [chargeback(7, "2024-03-05 12:00:00", note="x"), chargeback(7, "2024-03-05 12:00:59", note="y")]
    between = [chargeback(number, f"2024-03-05 12:00:{number - 70:02}") for number in range(100, 125)]
    small = config("chargebacks", paging=replace(config("chargebacks").paging, size=10))
    with SandboxServer(told(*twins, *between)) as sandbox, pytest.raises(Incomplete):
        load(sandbox, store, small, "2024-03-05", "2024-03-05")
    assert "7" not in stored(store)


def test_two_documents_under_one_key_in_two_windows_turn_a_check_yellow(store):
    twins = [chargeback(7, "2024-03-05 12:00:00", note="x"), chargeback(7, "2024-03-31 12:00:00", note="y")]
    with SandboxServer(told(*twins, chargeback(8))) as sandbox:
        done = load(sandbox, store, "chargebacks")
    found = store.query("checks/documents_keys_tell", run_ids=[done.run_id])
    assert [tuple(row) for row in found] == [("documents:chargebacks", 1)]
    assert len(fetch_all(store, "SELECT * FROM core.document_versions")) == 1, "both are kept"
