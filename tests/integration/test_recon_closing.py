"""A day is proved complete, its balances are rolled forward, it is sealed under four eyes, and stays so."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest

from pipelines.recon.balances import roll_forward
from pipelines.recon.closing import Sealed, close_day, reopen_day, sealed_document
from pipelines.recon.completeness import prove_completeness
from pipelines.recon.preparing import Prepared
from pipelines.report.publish import publish
from recon_support import DAY, NEXT, add_entries, add_operations, at, breaks_of, everything, reconcile
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError, Incomplete, SyncError, WarehouseBroken
from resources.sandbox import SandboxServer, World
from support import SETTINGS, client_of, execute, fetch_all, sync

# Completeness


@pytest.fixture
def world():
    return World.generate(seed=4, start="2024-03-04", days=4, operations=4000, now="2024-03-20T00:00:00")


@pytest.fixture
def sandbox(world):
    with SandboxServer(world) as server:
        yield server


def prove(sandbox, store, day=DAY, settings=SETTINGS):
    with client_of(sandbox.url) as client:
        return prove_completeness(DataApi(client), store, settings, day)


def load_all(sandbox, store):
    for day in ("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07"):
        sync(sandbox, store, day, day)


def test_a_loaded_day_is_complete_by_totals_and_digest_and_nothing_is_written_to_it(sandbox, store):
    load_all(sandbox, store)
    before = fetch_all(
        store,
        "SELECT (SELECT count(*) FROM sync.windows) AS w, (SELECT sum(hashtext(o::text)) FROM core.operations o) AS o",
    )
    report = prove(sandbox, store)
    assert (report.verdict, report.reason) == ("complete", None)
    assert report.rows_walked > 500
    assert report.totals_walked == report.totals_stored
    assert report.digest_walked == report.digest_stored
    assert before == fetch_all(
        store,
        "SELECT (SELECT count(*) FROM sync.windows) AS w, (SELECT sum(hashtext(o::text)) FROM core.operations o) AS o",
    )
    (row,) = fetch_all(store, "SELECT verdict, rows_walked FROM recon.completeness")
    assert row == {"verdict": "complete", "rows_walked": report.rows_walked}


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("DELETE FROM core.operations WHERE operation_id = '{id}'", "rows_missing"),
        ("UPDATE core.operations SET sum_initial_amount = 7 WHERE operation_id = '{id}'", "rows_differing"),
        ("UPDATE core.operations SET arn = '7' WHERE operation_id = '{id}'", "rows_differing"),
    ],
)
def test_a_store_that_is_not_what_the_platform_says_is_found_by_row(sandbox, store, world, statement, field):
    load_all(sandbox, store)
    victim = world.truth(None, f"{DAY} 00:00:00", f"{DAY} 23:59:59")[3]["operation_id"]
    execute(store, statement.format(id=victim))
    report = prove(sandbox, store)
    assert (report.verdict, getattr(report, field)) == ("differs", 1)
    assert victim in report.reason


def test_an_operation_that_changed_later_is_gone_until_its_change_is_loaded_and_then_it_has_moved(
    sandbox, store, world
):
    load_all(sandbox, store)
    victim = world.truth(None, f"{DAY} 00:00:00", f"{DAY} 23:59:59")[3]["operation_id"]
    world.change(victim, effective=f"{NEXT} 12:00:00", arn="123")
    report = prove(sandbox, store)
    assert (report.verdict, report.rows_gone) == ("differs", 1)
    sync(sandbox, store, str(NEXT), str(NEXT))
    report = prove(sandbox, store)
    assert (report.verdict, report.rows_gone) == ("complete", 0)
    assert report.rows_moved >= 1


def test_a_day_that_is_not_over_is_not_proved(sandbox, store):
    (today,) = fetch_all(store, "SELECT core.business_date(now()) AS day")
    with pytest.raises(ConfigError, match="is not over"):
        prove(sandbox, store, today["day"])


# Balances


def snapshots(store, *rows):
    execute(store, "INSERT INTO sync.runs (account, stream, product_version) VALUES ('default', 'balances', '0')")
    for place, (moment, name, currency, minor) in enumerate(rows):
        execute(
            store,
            f"INSERT INTO core.balance_snapshots VALUES ('default', '{moment.isoformat()}', {place}, '{name}', "
            f"'{currency}', {minor}, (SELECT max(run_id) FROM sync.runs))",
        )


def rolled(store):
    roll_forward(store, "default", DAY)
    before = everything(store)
    roll_forward(store, "default", DAY)
    assert everything(store) == before, "a second time changes nothing"
    return [
        tuple(row.values())
        for row in fetch_all(
            store,
            "SELECT balance_name, currency, opening_minor, movements_minor, closing_minor, unexplained_minor, basis, "
            "status FROM recon.balance_rollforward ORDER BY 1, 2",
        )
    ]


OPEN, CLOSE = at("00:00"), at("00:00", NEXT) - timedelta(minutes=1)
PAYOUT = {"operation_type": "payout", "sum_initial_amount": 300}


def test_payouts_drain_the_only_balance_of_their_currency(store):
    snapshots(store, (OPEN, "Main", "EUR", 1000), (CLOSE, "Main", "EUR", 700))
    add_operations(
        store,
        {"operation_id": "1", **PAYOUT},
        {"operation_id": "2"},
        {"operation_id": "3", **PAYOUT, "operation_status": "decline"},
    )
    assert rolled(store) == [("Main", "EUR", 1000, -300, 700, 0, "only balance of its currency", "explained")]
    assert breaks_of(store) == []


def test_what_movements_do_not_explain_is_a_balance_break(store):
    snapshots(store, (OPEN, "Main", "KWD", 1234), (CLOSE, "Main", "KWD", 9_007_199_254_740_993))
    assert rolled(store)[0][5] == 9_007_199_254_740_993 - 1234
    assert [(row["break_type"], row["currency"], row["amount_minor"]) for row in breaks_of(store)] == [
        ("balance", "KWD", 9_007_199_254_740_993 - 1234)
    ]


def test_two_balances_of_a_currency_are_told_apart_by_rules_or_by_the_projects_name_or_not_at_all(store):
    both = [(moment, name, "EUR", 1000) for moment in (OPEN, CLOSE) for name in ("Shop balance EUR", "Other")]
    snapshots(store, *both)
    add_operations(store, {"operation_id": "1", **PAYOUT}, {"operation_id": "2", **PAYOUT, "project_id": "7"})
    assert [row[3] for row in rolled(store)] == [0, 0]
    execute(store, "UPDATE core.operations SET project_name = 'Shop' WHERE operation_id = '1'")
    assert [(row[3], row[6]) for row in rolled(store)] == [(0, "none"), (-300, "project name")]
    execute(
        store,
        "INSERT INTO recon.balance_rules "
        "(account, balance_name, currency, project_id, operation_type, sign, valid_from, set_by) "
        "VALUES ('default', 'Other', 'EUR', '7', 'payout', -1, '2024-01-01', 'cfo')",
    )
    assert [(row[3], row[6]) for row in rolled(store)] == [(-300, "rule"), (-300, "project name")]


@pytest.mark.parametrize(
    ("moment", "closing", "status"),
    [
        (CLOSE - timedelta(minutes=20), 1000, "lag"),  # before the cut, not shown yet
        (CLOSE + timedelta(minutes=20), 700, "lag"),  # after the cut, shown already
        (OPEN - timedelta(minutes=20), 700, "lag"),  # before the opening, shown only now
        (OPEN + timedelta(minutes=20), 1000, "lag"),  # after the opening, which showed it already
        (CLOSE - timedelta(minutes=40), 1000, "unexplained"),
        (CLOSE - timedelta(minutes=20), 999, "unexplained"),
    ],
)
def test_a_residue_that_operations_within_half_an_hour_of_a_cut_explain_is_lag(store, moment, closing, status):
    snapshots(store, (OPEN, "Main", "EUR", 1000), (CLOSE, "Main", "EUR", closing))
    add_operations(store, {"operation_id": "1", **PAYOUT, "operation_completed_at": moment})
    ((*_, residue, _, found),) = rolled(store)
    assert (found, residue != 0) == (status, True)
    assert len(breaks_of(store)) == (status == "unexplained")


def test_a_balance_without_an_opening_snapshot_says_so(store):
    snapshots(store, (CLOSE, "Main", "EUR", 700))
    assert [row[-1] for row in rolled(store)] == ["no opening"]


# Closing


@pytest.fixture
def settled(store):
    """A day with a sale in both books, proved and reconciled."""
    add_operations(store, {"operation_id": "1", "payment_id": "p"})
    add_entries(store, {"entry_id": "a", "operation_id": "1"})
    execute(
        store,
        f"INSERT INTO recon.completeness VALUES ('default', '{DAY}', now(), now(), now(), 'complete', NULL, 1, 1, 0, "
        f"0, 0, 0, 0, '[]', '[]', '', ''); INSERT INTO recon.runs (account, business_date, leg, started_at, figures) "
        f"VALUES ('default', '{DAY}', 'completeness', now(), '{{}}')",
    )
    reconcile(store)
    return store


def close(store, **options):
    assert isinstance(close_day(store, "default", DAY, by="Ann", **options), Prepared)
    return close_day(store, "default", DAY, by="Bob", **options)


def test_a_sealed_day_holds_what_its_report_needs_and_stays_the_same_to_the_byte(settled):
    sealed = close(settled)
    document = json.loads(sealed.document)
    assert document["totals"]["day"] == [
        {
            "count": 1,
            "currency": "EUR",
            "exponent": 2,
            "is_success": True,
            "minor": "1000",
            "sign": 1,
            "status": "success",
            "type": "sale",
        }
    ]
    assert (document["prepared_by"], document["closed_by"]) == ("Ann", "Bob")
    assert document.keys() >= {"known_at", "completeness", "books", "breaks", "balances", "restatements", "ledger_head"}
    assert hashlib.sha256(sealed.document.encode()).hexdigest() == sealed.document_sha256
    assert sealed_document(settled, "default", DAY) == sealed


def test_a_sale_reversed_after_its_day_was_closed_is_a_restatement_and_a_late_change(store, sandbox, world, tmp_path):
    load_all(sandbox, store)
    prove(sandbox, store)
    reconcile(store)
    before = close(store, with_open_breaks=True)
    report = publish(store, "default", DAY, "UTC", tmp_path / "before")
    sale = next(
        row
        for row in world.truth(None, f"{DAY} 00:00:00", f"{DAY} 23:59:59")
        if (row["operation_type"], row["operation_status"]) == ("sale", "success")
    )
    world.change(sale["operation_id"], effective="2024-03-10 12:00:00", operation_status="reversed")
    sync(sandbox, store, "2024-03-10", "2024-03-10")
    assert sealed_document(store, "default", DAY) == before
    again = publish(store, "default", DAY, "UTC", tmp_path / "after")
    assert again.page.read_bytes() == report.page.read_bytes()
    assert again.workbook.read_bytes() == report.workbook.read_bytes()
    assert "Closed by Bob" in again.page.read_text()
    later = publish(store, "default", NEXT, "UTC", tmp_path / "next").document
    (restated,) = (line for line in later.restatements if line.operation_id == sale["operation_id"])
    assert (restated.kind, restated.status_before, restated.status_after) == ("changed", "success", "reversed")
    assert restated.known_from < restated.known_to
    found = fetch_all(store, "SELECT * FROM recon.restatements")
    (row,) = (row for row in found if row["operation_id"] == sale["operation_id"])
    amount = sale["sum_initial"]["amount"]
    assert (row["operation_id"], row["kind"]) == (sale["operation_id"], "changed")
    assert (row["status_before"], row["status_after"]) == ("success", "reversed")
    assert (row["minor_before"], row["minor_after"]) == (amount, amount)
    known_at = json.loads(before.document)["known_at"]
    assert row["sealed_known_at"].isoformat(timespec="microseconds") == known_at
    (now,) = fetch_all(store, f"SELECT observed_at FROM core.operations WHERE operation_id = '{sale['operation_id']}'")
    assert row["restated_known_at"] == now["observed_at"] > row["sealed_known_at"]
    for _ in range(2):
        reconcile(store)
        late = [row for row in breaks_of(store) if row["break_type"] == "late_change"]
        assert sorted(row["operation_id"] for row in late) == sorted(row["operation_id"] for row in found)
        late = [row for row in late if row["operation_id"] == sale["operation_id"]]
        assert [(row["operation_id"], row["amount_minor"], row["business_date"]) for row in late] == [
            (sale["operation_id"], -amount, DAY)
        ]


def test_the_first_call_prepares_the_second_by_another_name_seals(settled):
    first = close_day(settled, "default", DAY, by="Ann")
    assert (first.by, first.instead_of) == ("Ann", None)
    assert sealed_document(settled, "default", DAY) is None, "prepared is not closed"
    document = json.loads(close_day(settled, "default", DAY, by="Bob").document)
    assert (document["prepared_by"], document["closed_by"]) == ("Ann", "Bob")
    assert document["figures_sha256"] == first.figures_sha256
    (role,) = fetch_all(settled, "SELECT session_user::text AS name")
    assert document["prepared_as"] == document["closed_as"] == role["name"], (
        "the database's role is kept beside the names"
    )
    (row,) = fetch_all(settled, "SELECT prepared_by, database_user FROM recon.close_preparations")
    assert row == {"prepared_by": "Ann", "database_user": role["name"]}


@pytest.mark.parametrize(
    ("name", "by"),
    [("Ann", "Ann"), ("Ann", " ann "), ("Ann  Lee", "ANN LEE"), ("Ann", "\uff21nn"), ("Steffi", "Ste\ufb00i")],
)
def test_who_prepared_a_day_does_not_close_it_however_the_name_is_written(settled, name, by):
    close_day(settled, "default", DAY, by=name)
    with pytest.raises(ConfigError, match="another person must close it"):
        close_day(settled, "default", DAY, by=by)
    with pytest.raises(WarehouseBroken, match="four_eyes"):  # nor past the command
        execute(
            settled,
            "INSERT INTO recon.closes (account, business_date, action, known_at, prepared_by, decided_by, document, "
            f"document_sha256) VALUES ('default', '{DAY}', 'close', now(), '{name}', '{by}', '{{}}', "
            "sha256(convert_to('{}', 'UTF8')))",
        )


def test_figures_that_changed_since_they_were_prepared_are_prepared_anew_and_not_sealed(settled):
    first = close_day(settled, "default", DAY, by="Ann")
    add_operations(settled, {"operation_id": "2", "payment_id": "q"})
    add_entries(settled, {"entry_id": "b", "operation_id": "2"})
    reconcile(settled)
    second = close_day(settled, "default", DAY, by="Bob")
    assert isinstance(second, Prepared)
    assert (second.by, second.instead_of.by) == ("Bob", "Ann")
    assert second.figures_sha256 != first.figures_sha256
    with pytest.raises(ConfigError, match="Bob prepared"):
        close_day(settled, "default", DAY, by="Bob")
    document = json.loads(close_day(settled, "default", DAY, by="Ann").document)
    assert (document["prepared_by"], document["closed_by"]) == ("Bob", "Ann")


def test_a_break_explained_after_the_figures_were_prepared_makes_them_other_figures(settled):
    add_operations(settled, {"operation_id": "2"})
    reconcile(settled)
    close_day(settled, "default", DAY, by="Ann", with_open_breaks=True)
    execute(settled, "UPDATE recon.breaks SET state = 'explained', owner = 'Eve', note = 'never mind'")
    assert isinstance(close_day(settled, "default", DAY, by="Bob"), Prepared)


def test_a_second_reconciliation_of_the_same_data_leaves_the_preparation_good(settled):
    close_day(settled, "default", DAY, by="Ann")
    reconcile(settled)
    assert isinstance(close_day(settled, "default", DAY, by="Bob"), Sealed)


def test_a_preparation_from_before_a_reopening_no_longer_counts(settled):
    close(settled)
    reopen_day(settled, "default", DAY, by="Bob", reason="late invoice")
    assert isinstance(close_day(settled, "default", DAY, by="Bob"), Prepared)


def test_a_preparation_cannot_be_changed_or_taken_away(settled):
    close_day(settled, "default", DAY, by="Ann")
    for statement in (
        "UPDATE recon.close_preparations SET prepared_by = 'Eve'",
        "DELETE FROM recon.close_preparations",
    ):
        with pytest.raises(WarehouseBroken, match="never changed"):
            execute(settled, statement)


def test_a_day_that_was_not_proved_or_not_reconciled_is_not_closed(settled):
    execute(settled, "DELETE FROM recon.completeness")
    with pytest.raises(Incomplete, match="fresh walk"):
        close(settled)
    execute(settled, "DELETE FROM recon.runs")
    with pytest.raises(Incomplete, match="fresh walk"):
        close(settled)


def test_a_day_that_is_not_complete_is_not_closed_whatever_is_said(settled):
    execute(settled, "UPDATE recon.completeness SET verdict = 'differs', reason = '1 missing'")
    with pytest.raises(Incomplete, match="1 missing"):
        close(settled, with_open_breaks=True)


def test_open_breaks_keep_a_day_open_until_they_are_explained_or_accepted(settled):
    add_operations(settled, {"operation_id": "2"})
    reconcile(settled)
    with pytest.raises(Incomplete, match="1 open breaks"):
        close(settled)
    document = json.loads(close(settled, with_open_breaks=True).document)
    assert document["with_open_breaks"] is True
    assert document["breaks"]["by_type_and_age"] == [
        {
            "age": "0–1",
            "break_type": "missing_in_ledger",
            "count": 1,
            "currency": "EUR",
            "minor": "1000",
            "state": "open",
        }
    ]
    assert [row["operation_id"] for row in document["breaks"]["largest"]] == ["2"]


def test_a_closed_day_is_opened_again_with_a_name_and_a_reason_and_closed_again_beside_the_first(settled):
    first = close(settled)
    with pytest.raises(SyncError, match="closed already"):
        close(settled)
    reopen_day(settled, "default", DAY, by="Bob", reason="late invoice")
    assert sealed_document(settled, "default", DAY) is None
    second = close(settled)
    assert (first.close_no, second.close_no) == (1, 3)
    with pytest.raises(ConfigError, match="is not closed"):
        reopen_day(settled, "default", NEXT, by="Bob", reason="x")
    rows = fetch_all(settled, "SELECT action, reason FROM recon.closes ORDER BY close_no")
    assert [row["action"] for row in rows] == ["close", "reopen", "close"]


def test_a_sealed_row_cannot_be_changed_and_tampering_past_that_is_noticed(settled):
    close(settled)
    with pytest.raises(WarehouseBroken, match="never changed"):
        execute(settled, "UPDATE recon.closes SET decided_by = 'Eve'")
    assert settled.query("reconciliation/verify_closes") == []
    execute(settled, "ALTER TABLE recon.closes DISABLE TRIGGER keep_sealed; UPDATE recon.closes SET decided_by = 'Eve'")
    (broken,) = settled.query("reconciliation/verify_closes")
    assert (broken.close_no, broken.reason) == (1, "it was altered")
    with pytest.raises(WarehouseBroken, match="were altered"):
        sealed_document(settled, "default", DAY)
