"""A day is sealed under four eyes, stays the same to the byte, and what changes later is a restatement."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime

import pytest

from fixtures.commands import execute, fetch_all, sync
from fixtures.reconciliation import (
    DAY,
    NEXT,
    add_entries,
    add_operations,
    breaks_of,
    four_days,
    load_all,
    prove,
    reconcile,
)
from pipelines.reconciliation.close import Prepared, Sealed, close_day, reopen_day, sealed_document
from pipelines.reports.figures import gather
from pipelines.reports.publish import publish
from resources.errors import ConfigError, Incomplete, SyncError, WarehouseBroken
from resources.sandbox import SandboxServer


@pytest.fixture
def settled(store):
    """A day with a sale in both books, proved and reconciled."""
    add_operations(store, {"operation_id": "1", "payment_id": "p"})
    add_entries(store, {"entry_id": "a", "operation_id": "1"})
    execute(
        store,
        f"INSERT INTO recon.completeness VALUES ('default', '{DAY}', now(), '{DAY} 00:00Z', '{DAY} 23:59:59Z',"
        "'complete', NULL, 1, 1, 0, 0, 0, 0, 0, '[]', '[]', '', '');"
        "INSERT INTO recon.runs (account, business_date, leg, started_at, figures)"
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


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a5_a_proof_of_other_bounds_than_the_day_has_now_closes_nothing(settled, zone):
    execute(settled, f"UPDATE core.settings SET value = '{zone}', updated_at = now() WHERE key = 'reporting_zone'")
    with pytest.raises(Incomplete, match="fresh walk"):
        close(settled)


def test_a5_a_day_reconciled_before_its_zone_was_changed_is_to_be_reconciled_again(settled):
    execute(settled, "UPDATE recon.completeness SET interval_from = '2024-03-04', interval_to = '2024-03-07'")
    execute(
        settled, "UPDATE core.settings SET value = 'Europe/Berlin', updated_at = now() WHERE key = 'reporting_zone'"
    )
    with pytest.raises(Incomplete, match="has not been reconciled"):
        close(settled)


@pytest.mark.parametrize("completed", [f"{DAY} 13:00Z", f"{NEXT} 13:00Z"], ids=["still of the day", "left the day"])
def test_a_day_of_which_an_operation_changed_after_it_was_reconciled_is_not_closed(settled, completed):
    execute(
        settled,
        "INSERT INTO core.operation_versions SELECT o.*, clock_timestamp() FROM core.operations o;"
        f"UPDATE core.operations SET operation_completed_at = '{completed}', observed_at = clock_timestamp()",
    )
    with pytest.raises(Incomplete, match="changed after it was reconciled: `ecommpay-sync reconcile"):
        close(settled, with_open_breaks=True)


def test_the_day_with_two_midnights_begins_at_the_first_in_the_totals_and_in_the_report(settled):
    day = date(2024, 11, 3)  # in Havana 01:00 is followed by 00:00
    execute(settled, "UPDATE core.settings SET value = 'America/Havana' WHERE key = 'reporting_zone'")
    first, second = (datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (4, 5))
    add_operations(settled, *({"operation_id": f"at {at}", "operation_completed_at": at} for at in (first, second)))
    (total,) = settled.query("reconciliation/close/seal_totals", account="default", day=day)
    with settled.transaction() as connection:
        report = gather(connection, "default", day, "America/Havana")
        later = gather(connection, "default", date(2024, 11, 30), "America/Havana")
    assert total.count == report.totals[0].day.operations == sum(line.operations for line in report.lateness) == 2
    assert (later.history[0].business_date, later.history[0].credit_minor) == (day, 2000), "the first day of its charts"


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
    assert settled.query("reconciliation/close/verify_closes") == []
    execute(settled, "ALTER TABLE recon.closes DISABLE TRIGGER keep_sealed; UPDATE recon.closes SET decided_by = 'Eve'")
    (broken,) = settled.query("reconciliation/close/verify_closes")
    assert (broken.close_no, broken.reason) == (1, "it was altered")
    with pytest.raises(WarehouseBroken, match="were altered"):
        sealed_document(settled, "default", DAY)


@pytest.fixture
def world():
    return four_days()


@pytest.fixture
def sandbox(world):
    with SandboxServer(world) as server:
        yield server


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
