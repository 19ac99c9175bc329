"""Reports of fraud through the same engine as operations: complete, versioned, in the ledger; and without the role."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from fixtures.commands import client_of, execute, fetch_all, sync
from pipelines.alerts.conditions import EVERY_TOKEN_SEES
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.fraud import sync_fraud
from pipelines.marts import build_marts
from resources.data_api.endpoints import DataApi
from resources.data_api.errors import Unauthorized
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, Fraud, SandboxServer, World
from resources.settings import SyncSettings

FIRST, LAST = "2024-03-01", "2024-05-31"
NOW = "2024-06-15T00:00:00"


def world_of(operations: int = 6_000) -> World:
    return World.generate(seed=5, start=FIRST, days=30, operations=operations, now=NOW)


def report(number: int, received: str = "2024-03-05 12:00:00", **fields) -> Fraud:
    amounts = {"tr_amount": "10.00", "tr_ccy": "EUR", "channel_amount_in_usd": "11.00"}
    return Fraud.new(**{"operation_id": number, "received_on": received, "fraud_type": "stolen", **amounts, **fields})


def load(sandbox, store, first=FIRST, last=LAST, **settings):
    request = SyncRequest(date.fromisoformat(first), date.fromisoformat(last))
    with client_of(sandbox.url) as client:
        return sync_fraud(DataApi(client), store, SyncSettings(**settings), request)


def stored(store) -> dict[str, dict]:
    return {row["operation_id"]: row for row in fetch_all(store, "SELECT * FROM core.fraud_reports")}


def test_every_report_arrives_exactly_with_its_major_and_minor_units(store):
    with SandboxServer(world_of()) as sandbox:
        done = load(sandbox, store)
        truth = {str(item.fields["operation_id"]): item.fields for item in sandbox.world.frauds}
        found = stored(store)
        assert len(truth) >= 8
        assert found.keys() == truth.keys()
        assert done.rows_new == len(truth)
        for key, fields in truth.items():
            assert found[key]["tr_amount"] == Decimal(fields["tr_amount"])
            assert found[key]["arn"] == (fields["arn"] or None)
            assert found[key]["received_on"].timestamp() == fields["received_on"]
        sync(sandbox, store, FIRST, LAST)
    agree = fetch_all(
        store,
        "SELECT count(*) FILTER (WHERE f.tr_amount_minor = o.sum_initial_amount) AS equal, count(*) AS joined "
        "FROM core.fraud_reports f JOIN core.operations o USING (account, operation_id)",
    )
    assert agree == [{"equal": len(truth), "joined": len(truth)}]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_whatever_the_number_of_reports_all_of_them_arrive(store, count):
    world = World.of(now=NOW)
    world.frauds = [report(number, f"2024-03-{1 + number % 28:02} 12:00:00") for number in range(1, count + 1)]
    with SandboxServer(world) as sandbox:
        done = load(sandbox, store)
    assert (done.rows_new, len(stored(store))) == (count, count)


def test_a_second_walk_changes_nothing_and_a_corrected_report_leaves_a_version(store):
    world = World.of(now=NOW)
    world.frauds = [report(1), report(2)]
    with SandboxServer(world) as sandbox:
        load(sandbox, store)
        again = load(sandbox, store)
        assert (again.rows_new, again.rows_changed, again.rows_unchanged) == (0, 0, 2)
        before = stored(store)["2"]
        world.frauds[1] = report(2, fraud_type="account takeover", row_updated_at="2024-03-09 00:00:00")
        assert load(sandbox, store).rows_changed == 1
    now = stored(store)["2"]
    assert now["fraud_type"] == "account takeover"
    (version,) = fetch_all(store, "SELECT * FROM core.fraud_report_versions")
    assert version.pop("known_to") == now["observed_at"]
    assert version == before
    assert now["first_seen_at"] == before["first_seen_at"]


def test_the_ledger_has_the_stream_its_totals_and_its_signed_pages(store):
    with SandboxServer(world_of()) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        load(sandbox, store)
    entries = fetch_all(
        store,
        "SELECT stream, totals_met = totals_written AS all_new,"
        " totals_written = sync.written_totals(window_id) AS kept, rows_met,"
        " (SELECT count(*) FROM raw.pages p WHERE p.window_id = w.window_id) AS pages"
        " FROM sync.windows w WHERE stream = 'fraud'",
    )
    assert entries
    assert all(entry["all_new"] and entry["kept"] for entry in entries)
    assert sum(entry["rows_met"] for entry in entries) == len(stored(store))
    assert all(entry["pages"] for entry in entries if entry["rows_met"])
    assert fetch_all(store, "SELECT DISTINCT endpoint FROM raw.pages ORDER BY 1") == [
        {"endpoint": "fraud/list"},
        {"endpoint": "operations/get"},
    ]
    streams = {row["stream"] for row in fetch_all(store, "SELECT DISTINCT stream FROM sync.coverage")}
    assert streams == {"fraud", "operations"}


def test_a_report_that_cannot_be_typed_is_kept_with_its_reason(store):
    world = World.of(now=NOW)
    world.frauds = [report(1), report(2, tr_amount="12.345")]
    with SandboxServer(world) as sandbox:
        done = load(sandbox, store)
    assert (done.rows_new, done.rows_rejected) == (1, 1)
    assert fetch_all(store, "SELECT stream, reason FROM core.rejects") == [
        {"stream": "fraud", "reason": "tr_amount is 12.345 EUR, which is no whole number of minor units"}
    ]


# Without the role


def test_without_the_role_nothing_fails_and_the_reason_says_what_to_do(store):
    with SandboxServer(world_of(50), accounts=[Account(risks=False)]) as sandbox:
        outcome = load(sandbox, store)
        assert "the role Risks or Merchant admin" in outcome.skipped
        assert "SYNC_FRAUD=off" in outcome.skipped
        with pytest.raises(Unauthorized, match="role Risks"):
            load(sandbox, store, fraud="on")
        asked = sandbox.request_count
        assert load(sandbox, store, fraud="off").skipped == "not asked for: SYNC_FRAUD=off."
        assert sandbox.request_count == asked
    runs = fetch_all(store, "SELECT stream, state, error_kind, message FROM sync.runs ORDER BY run_id")
    assert [(run["stream"], run["state"]) for run in runs] == [("fraud", "skipped"), ("fraud", "failed")]
    assert [run["error_kind"] for run in runs] == [None, "unauthorized"]
    assert all("the role Risks or Merchant admin" in run["message"] for run in runs)


def test_a_stream_that_was_skipped_is_no_refused_token_and_not_late(store):
    with SandboxServer(world_of(50), accounts=[Account(risks=False)]) as sandbox:
        load(sandbox, store)
    assert store.query("alerts/conditions/refused_token", account="default", streams=list(EVERY_TOKEN_SEES)) == []
    build_marts(store, SyncSettings())
    assert fetch_all(store, "SELECT stream FROM bi.data_freshness") == []


def test_a_role_that_was_lost_is_a_failure(store):
    account = Account()
    with SandboxServer(world_of(50), accounts=[account]) as sandbox:
        load(sandbox, store)
        sandbox.accounts.put(replace(account, risks=False))
        with pytest.raises(Unauthorized, match="the role Risks or Merchant admin"):
            load(sandbox, store)
    (run,) = fetch_all(store, "SELECT state, error_kind, message FROM sync.runs ORDER BY run_id DESC LIMIT 1")
    assert (run["state"], run["error_kind"]) == ("failed", "unauthorized")
    assert "the role Risks or Merchant admin" in run["message"]


# As a user meets it


@pytest.fixture
def environment(store_url, tmp_path, dagster_home):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path),
    }


def test_the_command_loads_reports_and_its_checks_hold(command, store, environment):
    with SandboxServer(world_of(3_000)) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        environment["DATA_API_BASE_URL"] = sandbox.url
        done = command("fraud", "--from", FIRST, "--to", LAST, environment=environment)
        assert done.returncode == 0, done.stderr
        assert "reports of fraud in" in done.stdout
        execute(store, "UPDATE core.operations SET sum_initial_amount = sum_initial_amount * 100")
        execute(store, "UPDATE core.operations SET sum_converted_amount = sum_converted_amount * 100")
        done = command("fraud", "--from", FIRST, "--to", LAST, environment=environment)
        assert done.returncode == 1
        assert "units_agree of fraud failed" in done.stderr


def test_the_command_tells_of_the_missing_role_in_one_line(command, store, environment):
    with SandboxServer(world_of(50), accounts=[Account(risks=False)]) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        done = command("fraud", "--from", FIRST, "--to", FIRST, environment=environment)
        assert done.returncode == 2
        assert done.stderr.splitlines()[1:] == [done.stderr.splitlines()[-1]], "one line after that of the progress"
        assert "role Risks or Merchant admin" in done.stderr
    done = command("fraud", "--from", FIRST, "--to", FIRST, environment=environment | {"SYNC_FRAUD": "off"})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("risks", [True, False])
def test_a_night_loads_operations_whether_or_not_the_token_may_see_reports_of_fraud(
    command, store, environment, tmp_path, risks
):
    with SandboxServer(world_of(300), accounts=[Account(risks=risks)]) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        made = command.night("2024-03-20", "2024-03-21", environment, tmp_path)
    assert made >= {"operations", "spot_check", "raw_pages", "reconciliation", "report", "bi/fct_operations"}
    assert ("fraud" in made) is risks
    walked = fetch_all(store, "SELECT interval_from::date::text AS first FROM sync.runs WHERE stream = 'fraud'")
    assert walked == [{"first": "2024-02-20"}], "a night has its own look-back for reports"
