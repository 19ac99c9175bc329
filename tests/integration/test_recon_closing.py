"""A day is sealed under four eyes, stays the same to the byte, and what changes later is a restatement."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from fixtures.commands import execute, fetch_all, sync, waits_for_a_lock
from fixtures.load import started, walk
from fixtures.reconciliation import (
    CUTOFF,
    DAY,
    NEXT,
    add_entries,
    add_operations,
    at,
    breaks_of,
    four_days,
    load_all,
    prove,
    reconcile,
)
from pipelines.definitions import definitions
from pipelines.jobs import range_tags
from pipelines.reconciliation import close as closing
from pipelines.reconciliation.breaks import begin
from pipelines.reconciliation.close import (
    Prepared,
    Sealed,
    close_day,
    close_month,
    days_of_month,
    obstacle,
    reopen_day,
    sealed_document,
)
from pipelines.reconciliation.matching import reconcile_ledger
from pipelines.reconciliation.reconcile import changed_since_closed
from pipelines.reports.figures import gather
from pipelines.reports.publish import publish
from pipelines.resources import WarehouseResource
from resources.accounts import accounts_of
from resources.errors import ConfigError, Incomplete, SyncError, WarehouseBroken
from resources.sandbox import SandboxServer
from resources.warehouse import ledger
from resources.warehouse.locks import days_lock

BEFORE = date(2024, 3, 4)


@pytest.fixture
def settled(store):
    """A day with a sale in both books, proved and reconciled."""
    settle(store)
    return store


def settle(store, account="default"):
    add_operations(store, {"operation_id": "1", "payment_id": "p", "account": account})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "account": account})
    prove_by_hand(store, account)
    reconcile_ledger(store, account, DAY, CUTOFF)


def prove_by_hand(store, account="default", day=DAY, rows=1):
    execute(
        store,
        f"INSERT INTO recon.completeness VALUES ('{account}', '{day}', clock_timestamp(), '{day} 00:00Z',"
        f" '{day} 23:59:59Z', 'complete', NULL, {rows}, 1, 0, 0, 0, 0, 0, '[]', '[]', '', '');"
        "INSERT INTO recon.runs (account, business_date, leg, started_at, figures)"
        f"VALUES ('{account}', '{day}', 'completeness', now(), '{{}}')",
    )


def close(store, account="default", **options):
    assert isinstance(close_day(store, account, DAY, by="Ann", **options), Prepared)
    return close_day(store, account, DAY, by="Bob", **options)


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


def walked(store, seconds: float):
    """A load whose last answer came so many seconds from now, by the platform's clock."""
    execute(
        store,
        "INSERT INTO sync.runs (account, stream, product_version) VALUES ('default', 'operations', '0');"
        "INSERT INTO sync.windows (window_id, account, entry_no, run_id, stream, project_ids, interval_from,"
        " interval_to, verdict, walk_started_at, walk_ended_at, walks, drifts, pages, requests, rows_met, rows_new,"
        " rows_changed, rows_unchanged, rows_rejected, totals_met, totals_written, previous_hash, entry_hash)"
        " VALUES (1, 'default', 1, (SELECT max(run_id) FROM sync.runs), 'operations', '{}', now(), now(), 'complete',"
        f" now(), now() + interval '{seconds} seconds', 1, 0, 1, 1, 1, 1, 0, 0, 0, '[]', '[]', '', '')",
    )


@pytest.mark.parametrize("seconds", [-3600, 40])
def test_a4_what_was_loaded_before_a_day_is_closed_is_no_restatement_of_it_though_our_clock_is_behind(settled, seconds):
    execute(settled, f"UPDATE core.operations SET observed_at = now() + interval '{seconds} seconds'")
    walked(settled, seconds)
    reconcile(settled)
    known_at = datetime.fromisoformat(json.loads(close(settled).document)["known_at"])
    (last,) = fetch_all(settled, "SELECT walk_ended_at FROM sync.windows")
    assert known_at >= last["walk_ended_at"]
    assert fetch_all(settled, "SELECT * FROM recon.restatements") == []


def test_a4_nothing_is_closed_by_a_clock_that_is_behind_what_the_platform_said(settled):
    walked(settled, 86_400)
    with pytest.raises(ConfigError, match=r"this machine's clock says .* and the platform's said"):
        close_day(settled, "default", DAY, by="Ann")
    assert fetch_all(settled, "SELECT 1 FROM recon.close_preparations") == []


def test_the_first_call_prepares_the_second_by_another_name_seals(settled):
    first = close_day(settled, "default", DAY, by="Ann")
    assert (first.by, first.instead_of) == ("Ann", None)
    assert sealed_document(settled, "default", DAY) is None, "prepared is not closed"
    document = json.loads(close_day(settled, "default", DAY, by="Bob").document)
    assert (document["prepared_by"], document["closed_by"]) == ("Ann", "Bob")
    assert document["figures_sha256"] == first.figures_sha256
    assert datetime.fromisoformat(document["prepared_at"]) == first.at
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
    assert (second.by, second.instead_of) == ("Bob", first)
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


@pytest.mark.parametrize("ahead", ["1 day", "-1 day"])
def test_a4_a_day_that_changed_after_it_was_reconciled_is_not_closed_whatever_the_databases_clock_said(settled, ahead):
    moved = f"UPDATE recon.runs SET finished_at = finished_at + interval '{ahead}', started_at = started_at + interval"
    execute(settled, f"{moved} '{ahead}'; UPDATE core.settings SET updated_at = '2024-01-01'")
    assert isinstance(close_day(settled, "default", DAY, by="Ann"), Prepared)
    execute(
        settled,
        "INSERT INTO core.operation_versions SELECT o.*, clock_timestamp() FROM core.operations o;"
        "UPDATE core.operations SET observed_at = clock_timestamp()",
    )
    with pytest.raises(Incomplete, match="changed after it was reconciled"):
        close_day(settled, "default", DAY, by="Bob")


def test_what_changed_later_keeps_a_day_open_from_its_first_moment_to_its_last_and_in_its_account(settled):
    moments = {
        ("default", f"{BEFORE} 23:59:59.999999Z"): False,
        ("default", f"{DAY} 00:00Z"): True,
        ("default", f"{DAY} 23:59:59.999999Z"): True,
        ("default", f"{NEXT} 00:00Z"): False,
        ("other", f"{DAY} 12:00Z"): False,
    }
    for (account, completed), keeps_open in moments.items():
        add_operations(settled, {"operation_id": "2", "account": account, "observed_at": datetime.now(UTC)})
        execute(settled, f"UPDATE core.operations SET operation_completed_at = '{completed}' WHERE operation_id = '2'")
        for gone in (False, True):
            if gone:  # one that left the day is in it no more
                execute(
                    settled,
                    "INSERT INTO core.operation_versions SELECT o.*, clock_timestamp() FROM core.operations o "
                    "WHERE operation_id = '2'; DELETE FROM core.operations WHERE operation_id = '2'",
                )
            with settled.transaction() as connection:
                found = obstacle(connection, "default", DAY, datetime.now(UTC), with_open_breaks=True)
            assert (found.reason if found else None) == ("changed after it was reconciled" if keeps_open else None)
        execute(settled, "DELETE FROM core.operation_versions")


def test_a_preparation_a_close_and_a_reopening_are_of_their_account_and_day_alone(settled):
    settle(settled, "other")
    prove_by_hand(settled, day=NEXT)
    reconcile(settled, NEXT)
    first = close_day(settled, "default", DAY, by="Ann")
    close(settled, "other")
    reopen_day(settled, "other", DAY, by="Bob", reason="late invoice")
    for account, day in (("other", DAY), ("default", NEXT)):
        assert isinstance(close_day(settled, account, day, by="Eve"), Prepared)
    sealed = close_day(settled, "default", DAY, by="Bob")
    document = json.loads(sealed.document)
    assert (sealed.close_no, document["prepared_by"]) == (1, "Ann")
    assert document["figures_sha256"] == first.figures_sha256
    with pytest.raises(ConfigError, match="not closed"):
        reopen_day(settled, "default", NEXT, by="Bob", reason="x")
    assert reopen_day(settled, "default", DAY, by="Bob", reason="x") == 2
    rows = fetch_all(
        settled, "SELECT account, business_date, action, known_at FROM recon.closes ORDER BY account, close_no"
    )
    assert [tuple(row.values())[:3] for row in rows] == [
        ("default", DAY, "close"),
        ("default", DAY, "reopen"),
        ("other", DAY, "close"),
        ("other", DAY, "reopen"),
    ]
    assert rows[0]["known_at"] < rows[1]["known_at"] <= datetime.now(UTC)
    tips = settled.query("reconciliation/close/close_tips")
    assert [(tip.account, tip.close_no) for tip in tips] == [("default", 2), ("other", 2)]


def test_the_day_with_two_midnights_begins_at_the_first_in_the_totals_and_in_the_report(settled):
    day = date(2024, 11, 3)  # in Havana 01:00 is followed by 00:00
    execute(settled, "UPDATE core.settings SET value = 'America/Havana' WHERE key = 'reporting_zone'")
    first, second = (datetime(2024, 11, 3, hour, 30, tzinfo=UTC) for hour in (4, 5))
    add_operations(
        settled, *({"operation_id": f"at {moment}", "operation_completed_at": moment} for moment in (first, second))
    )
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
    with pytest.raises(Incomplete, match=r"has 1 open break\b"):
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


OBSTACLES = {
    "is not over": ("", "", "close it when it is.", ""),
    "is closed already": ("", "", f"`ecommpay-sync reopen --date {DAY}` opens it again.", ""),
    "has not been compared with a fresh walk": (
        "DELETE FROM recon.completeness",
        "",
        f"`ecommpay-sync reconcile --date {DAY}` does it.",
        f"ecommpay-sync reconcile --date {DAY}",
    ),
    "is not complete (1 missing)": (
        "UPDATE recon.completeness SET verdict = 'differs', reason = '1 missing'",
        "",
        "load it, reconcile it, and close it then.",
        f"ecommpay-sync operations --from {DAY} --to {DAY}",
    ),
    "changed after it was reconciled": (
        "UPDATE core.operations SET observed_at = clock_timestamp()",
        "",
        f"`ecommpay-sync reconcile --date {DAY}` again.",
        f"ecommpay-sync reconcile --date {DAY}",
    ),
    "has not been reconciled": (
        "DELETE FROM recon.runs WHERE leg = 'books'",
        "",
        f"`ecommpay-sync reconcile --date {DAY}` does it.",
        f"ecommpay-sync reconcile --date {DAY}",
    ),
    "has 1 open break": (
        "",
        "another operation",
        f"explain them (`ecommpay-sync breaks --date {DAY}`), or close it with --with-open-breaks.",
        f"ecommpay-sync breaks --date {DAY}",
    ),
}


@pytest.mark.parametrize("reason", OBSTACLES)
def test_what_keeps_a_day_open_is_told_with_the_command_that_comes_next(settled, reason):
    statement, another, advice, command = OBSTACLES[reason]
    if another:
        add_operations(settled, {"operation_id": "2"})
        reconcile(settled)
    if statement:
        execute(settled, statement)
    if reason == "is closed already":
        close(settled)
    known_at = datetime(2024, 3, 5, 23, 59, tzinfo=UTC) if reason == "is not over" else datetime.now(UTC)
    with settled.transaction() as connection:
        found = obstacle(connection, "default", DAY, known_at)
    assert (found.reason, found.message, found.command) == (reason, f"{DAY} {reason}: {advice}", command)
    assert found.is_closed == (reason == "is closed already")
    assert found.kind is {"is not over": ConfigError, "is closed already": SyncError}.get(reason, Incomplete)


def test_a_day_is_over_at_the_moment_at_which_the_next_begins(settled):
    with settled.transaction() as connection:
        assert obstacle(connection, "default", DAY, datetime(2024, 3, 6, tzinfo=UTC)) is None


def test_of_a_month_the_days_that_can_be_are_closed_and_the_others_say_why_not(settled):
    days = [DAY, NEXT]
    first, second, third = (close_month(settled, "default", days, by=name) for name in ("Ann", "  ann", "Bob"))
    assert [*first] == [*second] == [*third] == days
    assert (type(first[DAY]), first[NEXT].reason) == (Prepared, "has not been compared with a fresh walk")
    assert second[DAY].message == f"Ann prepared {DAY}: another person must close it."
    assert second[DAY].reason == "prepared by Ann: another person must close it"
    assert second[DAY].command == f"ecommpay-sync close --date {DAY} --by NAME"
    assert third[DAY] == sealed_document(settled, "default", DAY)
    assert close_month(settled, "default", days, by="Bob")[DAY].is_closed
    with pytest.raises(ConfigError, match="--by is empty"):
        close_month(settled, "default", days, by=" ")


def test_of_a_month_days_are_closed_with_their_open_breaks_where_that_is_said(settled):
    add_operations(settled, {"operation_id": "2"})
    reconcile(settled)
    assert close_month(settled, "default", [DAY], by="Ann")[DAY].reason == "has 1 open break"
    for name in ("Ann", "Bob"):
        found = close_month(settled, "default", [DAY], by=name, with_open_breaks=True)
    assert json.loads(found[DAY].document)["with_open_breaks"] is True


def test_a_month_has_all_its_days():
    assert days_of_month(date(2024, 2, 17)) == tuple(date(2024, 2, number) for number in range(1, 30))


@pytest.mark.parametrize("name", ["", " \t", "x" * 201, "a\x00b", "a\u202eb"])
def test_a_name_or_reason_that_is_empty_too_long_or_not_printable_is_refused(settled, name):
    with pytest.raises(ConfigError, match=r"^--by is empty or too long: write 1 to 200 characters\.$"):
        close_day(settled, "default", DAY, by=name)
    close(settled)
    with pytest.raises(ConfigError, match=r"^--by is"):
        reopen_day(settled, "default", DAY, by=name, reason="x")
    with pytest.raises(ConfigError, match=r"^--reason is"):
        reopen_day(settled, "default", DAY, by="Bob", reason=name)


def test_names_and_reasons_are_kept_with_single_spaces_and_up_to_200_characters(settled):
    close_day(settled, "default", DAY, by="Ann  Lee ")
    sealed = close_day(settled, "default", DAY, by="x" * 200)
    assert reopen_day(settled, "default", DAY, by=" Bob", reason=" late  invoice ") == sealed.close_no + 1
    rows = fetch_all(settled, "SELECT prepared_by, decided_by, reason FROM recon.closes ORDER BY close_no")
    assert [tuple(row.values()) for row in rows] == [
        ("Ann Lee", "x" * 200, None),
        (None, "Bob", "late invoice"),
    ]


def test_a_sealed_document_is_canonical_json_with_the_totals_of_the_day_before_and_the_week_before(settled):
    add_operations(
        settled,
        {"operation_id": "b", "operation_completed_at": at("12:00", date(2024, 3, 4)), "sum_initial_amount": 7},
        {"operation_id": "w", "operation_completed_at": at("12:00", date(2024, 2, 27)), "sum_initial_amount": 8},
    )
    close_day(settled, "default", DAY, by="Zoë")
    sealed = close_day(settled, "default", DAY, by="Bob")
    document = json.loads(sealed.document)
    assert sealed.document == json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert (document["schema"], document["account"], document["business_date"]) == (1, "default", str(DAY))
    minors = {name: [total["minor"] for total in totals] for name, totals in document["totals"].items()}
    assert minors == {"day": ["1000"], "day_before": ["7"], "week_before": ["8"]}
    assert (document["starts_at"], document["ends_at"]) == tuple(f"{day}T00:00:00.000000+00:00" for day in (DAY, NEXT))
    assert document["with_open_breaks"] is False
    assert document["completeness"]["verdict"] == "complete"
    assert document["books"]["entries"] == 1
    assert document["report"]["close"] == {
        "prepared_by": "Zoë",
        "closed_by": "Bob",
        "closed_at": document["report"]["close"]["closed_at"],
    }
    known_at, closed_at = (
        datetime.fromisoformat(text) for text in (document["known_at"], document["report"]["close"]["closed_at"])
    )
    assert datetime.fromisoformat(document["report"]["known_at"]) == known_at == closed_at


BALANCE = f"""INSERT INTO recon.balance_rollforward
    (account, business_date, balance_name, currency, opening_at, opening_minor, movements, movements_minor, closing_at,
     closing_minor, unexplained_minor, basis, status)
    VALUES ('default', '{DAY}', 'EUR 1', 'EUR', now(), 1, 0, 0, now(), 1, 0, 'none', 'explained')"""
OF_THE_MOMENT = {"known_at", "prepared_at", "ledger_head", "previous_close", "report"}


def test_a_sealed_day_holds_nothing_of_another_account_and_nothing_of_a_later_day(settled):
    execute(settled, BALANCE)
    add_operations(settled, {"operation_id": "2"})
    reconcile(settled)
    first = json.loads(close(settled, with_open_breaks=True).document)
    assert first["previous_close"] is first["ledger_head"] is None
    reopen_day(settled, "default", DAY, by="Bob", reason="another look")

    settle(settled, "other")
    execute(settled, BALANCE.replace("default", "other"))
    add_operations(settled, {"operation_id": "2", "account": "other"}, {"operation_id": "3", "account": "other"})
    reconcile_ledger(settled, "other", DAY, CUTOFF)
    for _ in range(2):
        close(settled, "other", with_open_breaks=True)
        reopen_day(settled, "other", DAY, by="Bob", reason="another look")
    execute(settled, BALANCE.replace(str(DAY), str(NEXT)).replace("EUR 1", "EUR 2"))
    prove_by_hand(settled, day=NEXT, rows=2)
    add_operations(settled, {"operation_id": "next", "operation_completed_at": at("00:00", NEXT)})
    add_entries(settled, {"entry_id": "much later", "booked_at": at("12:00", date(2024, 3, 9))})
    reconcile(settled, NEXT)
    for account, count in (("default", 2), ("other", 3)):
        for _ in range(count):
            record = replace(walk(), incomplete_because="it moved")
            ledger.add_incomplete_window(settled, started(settled, account), record)

    second = json.loads(close(settled, with_open_breaks=True).document)
    assert {name: second[name] for name in first.keys() - OF_THE_MOMENT} == {
        name: first[name] for name in first.keys() - OF_THE_MOMENT
    }
    assert (second["previous_close"]["close_no"], second["ledger_head"]["entry_no"]) == (2, 2)
    assert sealed_document(settled, "other", DAY) is sealed_document(settled, "default", NEXT) is None


def test_a_sealed_day_holds_its_latest_proof_and_its_last_reconciliation(settled):
    prove_by_hand(settled, rows=8)
    add_operations(settled, {"operation_id": "2"})
    add_entries(settled, {"entry_id": "b", "operation_id": "2"})
    reconcile(settled)
    document = json.loads(close(settled).document)
    assert (document["completeness"]["requests"], document["books"]["entries"]) == (8, 2)


def test_sealed_totals_are_by_currency_type_and_status_of_completed_or_else_created_operations(settled):
    created = {"operation_completed_at": None, "operation_status": "decline"}
    add_operations(
        settled,
        {"operation_id": "first", **created, "operation_created_at": at("00:00")},
        {"operation_id": "last", **created, "operation_created_at": at("23:59"), "sum_initial_amount": 5},
        {"operation_id": "next", **created, "operation_created_at": at("00:00", NEXT)},
        {"operation_id": "before", **created, "operation_created_at": at("23:59", BEFORE)},
    )
    add_operations(
        settled,
        {"operation_id": "odd", "operation_type": "odd", "operation_status": "odd", "sum_initial_currency": "XXQ"},
        {"operation_id": "sum", "sum_initial_amount": 3},
        {"operation_id": "refund", "operation_type": "refund", "sum_initial_currency": "KWD"},
    )
    reconcile(settled)
    totals = json.loads(close(settled, with_open_breaks=True).document)["totals"]["day"]
    names = ("currency", "exponent", "type", "status", "is_success", "sign", "count", "minor")
    assert [tuple(total[name] for name in names) for total in totals] == [
        ("EUR", 2, "sale", "decline", False, 1, 2, "1005"),
        ("EUR", 2, "sale", "success", True, 1, 2, "1003"),
        ("KWD", 3, "refund", "success", True, -1, 1, "1000"),
        ("XXQ", None, "odd", "odd", False, 0, 1, "1000"),
    ]


def test_sealed_breaks_are_those_up_to_the_day_that_are_not_resolved_by_type_state_age_and_currency(settled):
    add_operations(
        settled,
        {"operation_id": "2", "operation_completed_at": at("12:00", BEFORE), "sum_initial_amount": 700},
        {"operation_id": "3", "operation_completed_at": at("12:00", date(2024, 3, 2)), "sum_initial_amount": 40},
        {"operation_id": "4", "operation_completed_at": at("12:00", date(2024, 3, 2)), "sum_initial_amount": 2},
        {"operation_id": "5", "sum_initial_currency": "USD"},
        {"operation_id": "6", "sum_initial_amount": 1},
    )
    for day in (date(2024, 3, 2), BEFORE, DAY):
        reconcile(settled, day)
    execute(settled, "UPDATE recon.breaks SET state = 'explained', owner = 'Eve', note = 'x' WHERE operation_id = '3'")
    execute(settled, "UPDATE recon.breaks SET state = 'resolved' WHERE operation_id = '6'")
    breaks = json.loads(close(settled, with_open_breaks=True).document)["breaks"]
    names = ("break_type", "state", "age", "currency", "count", "minor")
    assert [tuple(row[name] for name in names) for row in breaks["by_type_and_age"]] == [
        ("missing_in_ledger", "explained", "4–7", "EUR", 1, "40"),
        ("missing_in_ledger", "open", "0–1", "USD", 1, "1000"),
        ("missing_in_ledger", "open", "2–3", "EUR", 1, "700"),
        ("missing_in_ledger", "open", "4–7", "EUR", 1, "2"),
    ]
    largest = [(row["currency"], row["operation_id"], row["minor"]) for row in breaks["largest"]]
    assert largest == [("EUR", "2", "700"), ("EUR", "3", "40"), ("EUR", "4", "2"), ("USD", "5", "1000")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core.operations SET sum_initial_amount = 999",
        "UPDATE recon.runs SET figures = '{\"entries\": 2}' WHERE leg = 'books'",
        BALANCE,
    ],
    ids=["totals", "books", "balances"],
)
def test_whatever_is_closed_makes_other_figures_when_it_changes(settled, statement):
    first = close_day(settled, "default", DAY, by="Ann")
    execute(settled, statement)
    second = close_day(settled, "default", DAY, by="Bob")
    assert isinstance(second, Prepared)
    assert second.figures_sha256 != first.figures_sha256


def test_of_each_currency_the_20_largest_breaks_are_sealed(settled):
    add_operations(settled, *({"operation_id": f"o{minor}", "sum_initial_amount": minor} for minor in range(100, 122)))
    reconcile(settled)
    largest = json.loads(close(settled, with_open_breaks=True).document)["breaks"]["largest"]
    assert [row["minor"] for row in largest] == [str(minor) for minor in range(121, 101, -1)]


def test_no_day_is_closed_while_it_or_the_day_before_is_being_loaded(settled, monkeypatch):
    monkeypatch.setattr(closing, "WAIT_SECONDS", 0.1)
    for day in (date(2024, 3, 4), datetime.now(UTC).date()):
        with days_lock(settled, "default", day, day, 1), pytest.raises(SyncError, match="loading"):
            close(settled)
    with days_lock(settled, "default", date(2024, 2, 29), date(2024, 2, 29), 1):
        close(settled)
        with pytest.raises(SyncError, match="loading"):  # a month is loaded by one run at a time
            close_day(settled, "default", date(2024, 3, 1), by="Ann")


def test_a_sealed_day_holds_the_restatements_of_days_closed_before_it_by_kind_and_currency(settled):
    add_operations(settled, {"operation_id": "2", "account": "default"}, {"operation_id": "3", "account": "other"})
    add_entries(settled, {"entry_id": "b", "operation_id": "2", "account": "default"})
    reconcile(settled)
    settle(settled, "other")
    reconcile_ledger(settled, "other", DAY, CUTOFF)
    close(settled)
    close(settled, "other", with_open_breaks=True)
    execute(
        settled,
        "INSERT INTO core.operation_versions SELECT o.*, clock_timestamp() FROM core.operations o;"
        "UPDATE core.operations SET observed_at = clock_timestamp(), sum_initial_amount = 400;"
        "UPDATE core.operations SET sum_initial_currency = 'USD' WHERE operation_id = '2'",
    )
    late = {"operation_id": "late", "sum_initial_amount": 7, "observed_at": datetime.now(UTC)}
    add_operations(settled, late)
    prove_by_hand(settled, day=NEXT)
    reconcile(settled, NEXT)
    prove_by_hand(settled, day=BEFORE)
    reconcile(settled, BEFORE)
    for day, found in (
        (BEFORE, []),
        (
            NEXT,
            [
                (str(DAY), "changed", "EUR", "EUR", 1, "1000", "400"),
                (str(DAY), "changed", "EUR", "USD", 1, "1000", "400"),
                (str(DAY), "new", "EUR", "EUR", 1, None, "7"),
            ],
        ),
    ):
        for name in ("Ann", "Bob"):
            sealed = close_day(settled, "default", day, by=name, with_open_breaks=True)
        names = ("business_date", "kind", "currency", "currency_after", "count", "minor_before", "minor_after")
        restated = json.loads(sealed.document)["restatements"]
        assert [tuple(row[name] for name in names) for row in restated] == found


def test_a_day_is_closed_and_opened_again_when_no_reconciliation_of_its_account_is_under_way(settled):
    settle(settled, "other")
    for step in (
        lambda account: close_day(settled, account, DAY, by="Ann"),
        lambda account: close_day(settled, account, DAY, by="Bob"),
        lambda account: reopen_day(settled, account, DAY, by="Bob", reason="x"),
    ):
        with ThreadPoolExecutor(1) as pool:
            with settled.transaction() as connection:
                begin(connection, "default")
                step("other")
                waiting = pool.submit(step, "default")
                assert waits_for_a_lock(settled)
            waiting.result(60)


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
    assert changed_since_closed(store, "default") == [DAY]
    days = {"reconciliation": {"config": {"legs": ["books"], "days": [str(NEXT)]}}}
    definitions(accounts_of()).resolve_job_def("reconcile").execute_in_process(
        resources={"warehouse": WarehouseResource(url=store.url)},
        run_config={"ops": days},
        tags=range_tags(NEXT, NEXT),
    )
    for _ in range(2):
        assert changed_since_closed(store, "default") == []
        late = [row for row in breaks_of(store) if row["break_type"] == "late_change"]
        assert sorted(row["operation_id"] for row in late) == sorted(row["operation_id"] for row in found)
        late = [row for row in late if row["operation_id"] == sale["operation_id"]]
        assert [(row["operation_id"], row["amount_minor"], row["business_date"]) for row in late] == [
            (sale["operation_id"], -amount, DAY)
        ]
        reconcile(store)
