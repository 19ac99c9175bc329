"""A month is closed day by day, reported from what is sealed, handed to an auditor, and booked.

One warehouse for the file, which begins on 20 February 2024, in days of Berlin: that month is sealed whole; of the last
week of March, whose last day has 23 hours, three days are not.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from conftest import database
from openpyxl import load_workbook

from fixtures.commands import execute, fetch_all
from fixtures.reconciliation import add_entries, add_operations, reconcile
from pipelines.reconciliation.close import Obstacle, Prepared, Sealed, close_month, days_of_month, reopen_day
from pipelines.reports import first_screen
from pipelines.reports.document import from_sealed
from pipelines.reports.journal import read_journal_map, write_journal
from pipelines.reports.month import gather_month, sums
from pipelines.reports.publish import publish, publish_month, write_evidence
from resources.currencies import Rate
from resources.errors import ConfigError, Incomplete, WarehouseBroken
from resources.settings import ReportSettings
from resources.warehouse.engine import Warehouse

FEBRUARY, MARCH = days_of_month(date(2024, 2, 1))[19:], days_of_month(date(2024, 3, 1))[24:]
NOT_RECONCILED, DIFFERS, WITH_BREAK = date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29)
LEFT = (NOT_RECONCILED, DIFFERS, WITH_BREAK)
EMPTY = date(2024, 2, 25)
LATE = "f22"  # changes after its day was sealed
MAP = """
[[rules]]
type = "sale"
debit = "1360-{currency}"
credit = "8400"
[[rules]]
type = "refund"
debit = "8400"
credit = "1360-{currency}"
[[rules]]
type = "*"
status = "*"
ignore = true
"""


@pytest.fixture(scope="module")
def month_url(server_url, template):
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def loaded(month_url):
    """Both months loaded and reconciled, but for three days of March."""
    with Warehouse(month_url) as store:
        execute(store, "UPDATE core.settings SET value = 'Europe/Berlin' WHERE key = 'reporting_zone'")
        execute(store, "UPDATE core.settings SET updated_at = '2024-01-01' WHERE key = 'reporting_zone'")
        sales = [
            {"operation_id": f"{'f' if day in FEBRUARY else 'm'}{day.day}", "operation_completed_at": noon(day)}
            for day in (*FEBRUARY, *MARCH)
            if day != EMPTY
        ]
        more = {"operation_completed_at": noon(FEBRUARY[0])}
        odd = [
            {"operation_id": "yen", "sum_initial_currency": "JPY", "sum_initial_amount": 500, **more},
            {"operation_id": "dinar", "sum_initial_currency": "KWD", "sum_initial_amount": 1234, **more},
            {
                "operation_id": "back",
                "operation_type": "refund",
                "sum_initial_amount": 300,
                "payment_id": "pay-f20",
                **more,
            },
            {"operation_id": "no", "operation_status": "decline", **more},
            # the last second of March, whose last day has 23 hours; and the first of April
            {"operation_id": "last", "operation_completed_at": datetime(2024, 3, 31, 21, 59, 59, tzinfo=UTC)},
            {"operation_id": "april", "operation_completed_at": datetime(2024, 3, 31, 22, 0, tzinfo=UTC)},
        ]
        add_operations(store, *({"payment_id": f"pay-{row['operation_id']}", **PLAIN, **row} for row in (*sales, *odd)))
        booked = [row for row in (*sales, *odd) if row["operation_id"] not in {"m29", "f23", "f24", "no"}]
        add_entries(
            store,
            *(
                {
                    "entry_id": row["operation_id"],
                    "operation_id": row["operation_id"],
                    "booked_at": row["operation_completed_at"],
                    "operation_type": row.get("operation_type", "sale"),
                    "currency": row.get("sum_initial_currency", "EUR"),
                    "amount_minor": row.get("sum_initial_amount", 1000),
                }
                for row in booked
            ),
        )
        prove(store, *FEBRUARY, *(day for day in MARCH if day != NOT_RECONCILED))
        execute(
            store,
            "UPDATE recon.completeness SET verdict = 'differs', reason = '1 missing' "
            f"WHERE business_date = '{DIFFERS}'",
        )
        execute(
            store,
            "INSERT INTO recon.balance_rollforward SELECT 'default', day, 'Main', 'EUR', day, 100 * n, 90, 1, day, "
            "100 * (n + 1), 10, 'rule', 'unexplained' FROM (SELECT d::date AS day, (d::date - date '2024-02-20') AS n "
            "FROM generate_series(date '2024-02-20', date '2024-03-31', interval '1 day') AS d) AS days",
        )
        explain(store, "f23")
        add_entries(store, {"entry_id": "f24", "operation_id": "f24", "booked_at": noon(FEBRUARY[4])})
        reconcile(store, FEBRUARY[4])
        yield store


PLAIN = {
    "operation_type": "sale",
    "operation_status": "success",
    "sum_initial_currency": "EUR",
    "sum_initial_amount": 1000,
    "observed_at": datetime(2024, 4, 2, tzinfo=UTC),
    "first_seen_at": datetime(2024, 4, 2, tzinfo=UTC),
}


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def prove(store, *days):
    """What a fresh walk and a reconciliation leave of days that are complete."""
    for day in days:
        execute(
            store,
            "INSERT INTO recon.completeness SELECT 'default', d, now(), core.business_day_starts_at(d), "
            "core.business_day_starts_at(d + 1), 'complete', NULL, 1, 1, 0, 0, 0, 0, 0, '[]', '[]', '', '' "
            f"FROM (SELECT date '{day}' AS d) AS day;"
            "INSERT INTO recon.runs (account, business_date, leg, started_at, figures)"
            f"VALUES ('default', '{day}', 'completeness', now(), '{{}}')",
        )
        reconcile(store, day)


def explain(store, operation_id):
    execute(
        store,
        "UPDATE recon.breaks SET state = 'explained', owner = 'Eve', note = 'booked by hand', "
        f"changed_at = clock_timestamp() WHERE operation_id = '{operation_id}'",
    )


@pytest.fixture(scope="module")
def outcomes(loaded):
    """What the two calls of each month said; and one operation of a sealed day changes behind them."""
    found = [close_month(loaded, "default", days, by=name) for days in (FEBRUARY, MARCH) for name in ("Ann", "Bob")]
    execute(
        loaded,
        "INSERT INTO core.operation_versions SELECT o.*, clock_timestamp() FROM core.operations o "
        f"WHERE operation_id = '{LATE}';"
        "UPDATE core.operations SET sum_initial_amount = 900, observed_at = clock_timestamp() "
        f"WHERE operation_id = '{LATE}'",
    )
    return found


@pytest.fixture(scope="module")
def sealed(loaded, outcomes):
    return loaded


def gathered(store, days):
    with store.transaction() as connection:
        return gather_month(connection, "default", days)


def test_the_days_that_can_be_closed_are_and_each_other_says_why_and_what_comes_next(outcomes):
    prepared, closed, prepared_in_part, closed_in_part = outcomes
    assert all(isinstance(outcome, Prepared) for outcome in prepared.values())
    assert all(isinstance(outcome, Sealed) for outcome in closed.values())
    assert [outcome.close_no for outcome in closed.values()] == list(range(1, 11)), "in the order of the days"
    for found, kind in ((prepared_in_part, Prepared), (closed_in_part, Sealed)):
        assert {day for day, outcome in found.items() if isinstance(outcome, kind)} == {*MARCH} - {*LEFT}
        assert [(found[day].reason, found[day].command) for day in LEFT] == [
            ("has not been compared with a fresh walk", f"ecommpay-sync reconcile --date {NOT_RECONCILED}"),
            ("is not complete (1 missing)", f"ecommpay-sync operations --from {DIFFERS} --to {DIFFERS}"),
            ("has 1 open break", f"ecommpay-sync breaks --date {WITH_BREAK}"),
        ]


def test_a_month_that_is_closed_stays_as_it_is_and_one_that_is_not_over_is_left(sealed):
    again = close_month(sealed, "default", FEBRUARY, by="Eve")
    assert all(isinstance(outcome, Obstacle) and outcome.is_closed for outcome in again.values())
    today = datetime.now(UTC).date()
    (future,) = close_month(sealed, "default", [today + timedelta(days=2)], by="Eve").values()
    assert (future.reason, future.is_closed, future.kind) == ("is not over", False, ConfigError)


def test_totals_of_a_month_are_those_of_its_sealed_days_in_each_currencys_own_minor_units(sealed):
    february, march = gathered(sealed, FEBRUARY), gathered(sealed, MARCH)
    assert {
        (total.currency, total.exponent, total.type, total.status): (total.count, total.minor)
        for total in february.totals
    } == {
        ("EUR", 2, "refund", "success"): (1, 300),
        ("EUR", 2, "sale", "decline"): (1, 1000),
        ("EUR", 2, "sale", "success"): (9, 9_000),  # ten days, of which one is empty
        ("JPY", 0, "sale", "success"): (1, 500),
        ("KWD", 3, "sale", "success"): (1, 1234),
    }
    assert [(total.type, total.status, total.count) for total in march.totals] == [("sale", "success", 4 + 1)]
    assert {day.business_date: day.operations for day in february.days}[EMPTY] == 0
    assert {day.business_date: day.operations for day in march.days}[MARCH[-1]] == 2, "23 hours, up to the last second"
    assert [day.business_date for day in march.days if day.seal is None] == [*LEFT]


def test_balances_of_a_month_run_from_the_first_sealed_day_to_the_last(sealed):
    (whole,) = gathered(sealed, FEBRUARY).balances
    assert (whole.opening_day, whole.opening_minor, whole.closing_day, whole.closing_minor) == (
        *(FEBRUARY[0], 0),
        *(FEBRUARY[-1], 1000),
    )
    assert (whole.movements_minor, whole.unexplained_minor) == (10 * 90, 10 * 10)
    (with_holes,) = gathered(sealed, MARCH).balances
    assert (with_holes.movements_minor, with_holes.unexplained_minor) == (4 * 90, None), "three days are not in it"


def test_breaks_of_a_month_are_counted_by_what_became_of_them(sealed):
    found = gathered(sealed, FEBRUARY).breaks
    assert {(group.break_type, group.state, group.count, group.minor) for group in found} == {
        ("missing_in_ledger", "explained", 1, 1000),
        ("missing_in_ledger", "resolved", 1, 1000),
    }
    assert {group.age for group in found} == {"over 30"}, "days until then"
    assert gathered(sealed, MARCH).breaks == (), "of sealed days only"


def test_the_match_rate_of_a_month_is_of_what_must_be_in_the_books(sealed):
    matches = gathered(sealed, FEBRUARY).matches
    assert (matches.days_with_books, matches.required, matches.matched) == (10, 12, 11)
    assert dict(matches.by_pass) == {"operation_id": 11}


def test_what_changed_behind_the_seal_is_a_restatement_and_no_figure_of_the_month(sealed):
    document = gathered(sealed, FEBRUARY)
    (line,) = document.restatements
    assert (line.business_date, line.kind, line.count) == (FEBRUARY[2], "changed", 1)
    assert (line.currency_before, line.minor_before, line.currency_after, line.minor_after) == ("EUR", 1000, "EUR", 900)
    assert gathered(sealed, MARCH).restatements == ()


def test_page_and_workbook_of_a_month_say_the_same_and_mark_what_is_not_sealed(sealed, tmp_path):
    whole, part = (publish_month(sealed, "default", days, tmp_path) for days in (FEBRUARY, MARCH))
    assert whole.page.name == "monthly-close-default-2024-02.html"
    page = whole.page.read_text()
    for shown in ("All 10 days are sealed", ">1.234<", ">500<", ">90.00<", "91.7 % matched", "Restated since"):
        assert shown in page
    page = part.page.read_text()
    assert "4 of 7 days are sealed: the figures are of these days only." in page
    assert page.count("not sealed</b>") == 3
    assert re.sub("<[^>]+>", "", page).count(f"ecommpay-sync reconcile --date {NOT_RECONCILED}") == 2, (
        "to do, and at its day"
    )
    assert "Not fine: 2 days are not shown complete." in page
    book = load_workbook(whole.workbook)
    totals = [[cell.value for cell in row] for row in book["Totals"].iter_rows(min_row=2)]
    assert ["KWD", "sale", "success", 1, 1.234] in totals
    assert ["EUR", "sale", "success", 9, 90] in totals
    states = [[cell.value for cell in row] for row in load_workbook(part.workbook)["Days"].iter_rows(min_row=2)]
    assert [(row[0].date(), row[1]) for row in states if row[1] != "sealed"] == [(day, "not sealed") for day in LEFT]
    again = publish_month(sealed, "default", FEBRUARY, tmp_path / "again")
    assert again.page.read_bytes() == whole.page.read_bytes()
    assert again.workbook.read_bytes() == whole.workbook.read_bytes()


def test_the_first_screen_of_a_month_has_what_is_in_the_way_of_its_days_and_of_its_balances(sealed):
    found = first_screen.of_month(gathered(sealed, MARCH))
    assert [(task.what, task.who, task.command) for task in found.tasks] == [
        (
            f"{NOT_RECONCILED} has not been compared with a fresh walk",
            "on call",
            f"ecommpay-sync reconcile --date {NOT_RECONCILED}",
        ),
        (
            f"{DIFFERS} is not complete (1 missing)",
            "on call",
            f"ecommpay-sync operations --from {DIFFERS} --to {DIFFERS}",
        ),
        (f"{WITH_BREAK} has 1 open break", "finance", f"ecommpay-sync breaks --date {WITH_BREAK}"),
        *(
            (f"1 break overdue, the oldest {line.oldest_days} days old", "nobody yet", "ecommpay-sync breaks --overdue")
            for line in gathered(sealed, MARCH).queue
        ),
    ]
    whole = first_screen.of_month(gathered(sealed, FEBRUARY))
    assert [task.what for task in whole.tasks] == ["balance Main: 1.00 EUR unexplained"]
    assert whole.changes == (
        "1 operation changed since the day was sealed, listed below",
        "The month before is compared when every day of both is sealed.",
    )


@pytest.mark.parametrize(
    ("breaks", "is_explained"),
    [
        ([("Main", "EUR", "explained"), ("Main", "EUR", "explained")], True),
        ([("Main", "EUR", "explained"), ("Main", "EUR", "open")], False),
        ([("Other", "EUR", "explained"), ("Main", "KWD", "explained")], False),
    ],
)
def test_a_balance_of_a_month_is_explained_when_none_of_its_own_breaks_is_open(sealed, breaks, is_explained):
    with sealed.transaction() as connection:
        for place, (name, currency, state) in enumerate(breaks):
            connection.exec_driver_sql(
                "INSERT INTO recon.breaks (account, break_key, business_date, reconciled_date, break_type, "
                "balance_name, currency, amount_minor, detail, state) "
                "VALUES ('default', %s, %s, %s, 'balance', %s, %s, 5, '', %s)",
                (f"b{place}", FEBRUARY[place], FEBRUARY[place], name, currency, state),
            )
        (main,) = gather_month(connection, "default", FEBRUARY).balances
        connection.rollback()
    assert main.is_explained is is_explained


def test_figures_by_currency_are_those_of_the_sealed_days_reports(sealed):
    found = sums(day.totals for day in gathered(sealed, FEBRUARY).days)
    assert {(line.currency, line.exponent): (line.day.operations, line.day.credit_minor) for line in found} == {
        ("EUR", 2): (11, 9_000),
        ("JPY", 0): (1, 500),
        ("KWD", 3): (1, 1234),
    }
    assert {line.currency: line.day.debit_minor for line in found}["EUR"] == 300


def test_rates_change_reports_alone_and_nothing_that_is_sealed(sealed, tmp_path):
    def stored():
        return fetch_all(sealed, "SELECT * FROM recon.closes ORDER BY close_no")

    def evidence(name):
        return write_evidence(sealed, "default", FEBRUARY, "2024-02", tmp_path / name).sha256

    before, pack = stored(), evidence("before.zip")
    rates = tuple(Rate(FEBRUARY[0], code, "EUR", rate, "ECB") for code, rate in (("JPY", "0.006"), ("KWD", "3")))
    month = publish_month(sealed, "default", FEBRUARY, tmp_path, ReportSettings("EUR", rates))
    assert (month.in_one.credit_minor, month.in_one.debit_minor) == (9_000 + 300 + 370, 300)
    shown = month.page.read_text()
    assert "All in EUR" in shown
    assert ">1.234<" in shown, "exact figures stay"
    day = publish(sealed, "default", FEBRUARY[0], "Europe/Berlin", tmp_path, ReportSettings("EUR", rates[:1]))
    assert day.in_one.left_out == (
        f"without KWD: no rate for {FEBRUARY[0]}, nor for the 7 days before (there is no earlier one)"
    )
    assert day.in_one.left_out in day.page.read_text()
    (document,) = fetch_all(sealed, f"SELECT document FROM recon.closes WHERE business_date = '{FEBRUARY[0]}'")
    assert day.document == from_sealed(json.loads(document["document"]))
    assert (stored(), evidence("after.zip")) == (before, pack)


@pytest.fixture(scope="module")
def packs(sealed, tmp_path_factory):
    """The evidence of a month with holes, and of a day, unpacked."""
    folder = tmp_path_factory.mktemp("evidence")
    found = {}
    for period, days in (("2024-03", MARCH), ("2024-02-22", FEBRUARY[2:3])):
        pack = write_evidence(sealed, "default", days, period, folder / f"{period}.zip")
        content = (folder / f"{period}.zip").read_bytes()
        assert pack.sha256 == hashlib.sha256(content).hexdigest()
        again = write_evidence(sealed, "default", days, period, folder / "again.zip")
        assert again == pack, "the same state gives the same bytes"
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            file.extractall(folder / period)
        found[period] = folder / period
    return found


def follow_readme(pack, tmp_path) -> subprocess.CompletedProcess:
    """Carry out the steps of the pack's README.txt as they stand there, where nothing of ours can be imported."""
    text = (pack / "README.txt").read_text(encoding="utf-8")
    steps = re.findall("^(?:sha256sum|python3|grep|jq) .*$", text, re.MULTILINE)
    assert len(steps) == 4 + 3
    steps = [step for step in steps if shutil.which("jq") or not step.startswith("jq")]
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    if not (tools / "python3").exists():
        (tools / "python3").symlink_to(os.path.realpath(sys.executable))
    return subprocess.run(
        ["sh", "-e", "-c", "\n".join(steps)],
        cwd=pack,
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("period", ["2024-03", "2024-02-22"])
def test_an_auditor_follows_the_readme_without_the_product(packs, tmp_path, period):
    done = follow_readme(packs[period], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    files = [path for path in packs[period].rglob("*") if path.is_file() and path.name != "SHA256SUMS"]
    assert done.stdout.count(": OK\n") == len(files)
    assert done.stdout.count("OK: ") == 3
    verification = json.loads((packs[period] / "verification.json").read_text())
    assert f"head {verification['closed_days']['head']}" in done.stdout
    computed, sealed_as = re.findall("^[0-9a-f]{64}$", done.stdout, re.MULTILINE)[:2]
    assert computed == sealed_as
    assert "prepared or closed by: Ann, Bob" in done.stdout


def test_the_pack_says_which_days_are_not_sealed_and_what_was_restated(packs):
    month, day = (json.loads((pack / "verification.json").read_text()) for pack in packs.values())
    assert [line["business_date"] for line in month["days"] if line["state"] != "sealed"] == [*map(str, LEFT)]
    assert (month["days"][0]["prepared_by"], month["days"][0]["closed_by"]) == ("Ann", "Bob")
    assert "2024-03: 4 of 7 days are sealed" in (packs["2024-03"] / "README.txt").read_text()
    assert [(line["business_date"], line["minor_before"], line["minor_after"]) for line in day["restatements"]] == [
        ("2024-02-22", 1000, 900)
    ]


def _with_new_sums(pack):
    lines = [line.split("  ")[1] for line in (pack / "SHA256SUMS").read_text().splitlines()]
    sums = [f"{hashlib.sha256((pack / name).read_bytes()).hexdigest()}  {name}\n" for name in lines]
    (pack / "SHA256SUMS").write_text("".join(sums))


def _replace(name, before, after):
    def change(pack):
        text = (pack / name).read_text(encoding="utf-8")
        assert before in text
        (pack / name).write_text(text.replace(before, after, 1), encoding="utf-8")

    return change


def _without_a_row(pack):
    lines = (pack / "chain.jsonl").read_text().splitlines(keepends=True)
    (pack / "chain.jsonl").write_text("".join(lines[:2] + lines[3:]))


def _without_the_last_row(pack):
    lines = (pack / "chain.jsonl").read_text().splitlines(keepends=True)
    (pack / "chain.jsonl").write_text("".join(lines[:-1]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_replace("documents/2024-03-25.json", '"minor":"1000"', '"minor":"1001"'), "is not what was sealed"),
        (_replace("chain.jsonl", r"decided_by\": \"Bob", r"decided_by\": \"Eve"), "was altered"),
        (_without_a_row, "is missing"),
        (_without_the_last_row, "does not end at the head"),
        (lambda pack: (pack / "documents/2024-03-26.json").write_bytes(b"{}"), "is not what was sealed"),
        (_replace("totals.json", '"minor": 5000', '"minor": 5001'), "totals.json is not the sum"),
    ],
)
def test_an_auditor_notices_what_was_changed_even_with_new_sums(packs, tmp_path, change, said):
    pack = tmp_path / "pack"
    shutil.copytree(packs["2024-03"], pack)
    change(pack)
    done = follow_readme(pack, tmp_path)
    assert done.returncode != 0
    assert "FAILED" in done.stdout, "its SHA-256 is not that of the list"
    _with_new_sums(pack)
    done = follow_readme(pack, tmp_path)
    assert done.returncode != 0
    assert said in done.stderr


def test_there_is_no_evidence_of_days_of_which_none_is_sealed(sealed, tmp_path):
    with pytest.raises(Incomplete, match="ecommpay-sync close --date 2024-03-27 --by NAME"):
        write_evidence(sealed, "default", [NOT_RECONCILED], "2024-03-27", tmp_path / "pack.zip")
    assert [*tmp_path.iterdir()] == []


@pytest.fixture
def accounts(tmp_path):
    file = tmp_path / "accounts.toml"
    file.write_text(MAP)
    return read_journal_map(str(file))


@pytest.mark.parametrize("days", [FEBRUARY, FEBRUARY[:1], [EMPTY]])
def test_a_journals_sums_are_the_sealed_control_totals(sealed, accounts, tmp_path, days):
    write_journal(sealed, "default", days, accounts, tmp_path / "journal.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "journal.csv").read_text())))
    booked: dict[tuple, Decimal] = {}
    for row in rows:
        assert bool(row["debit"]) != bool(row["credit"])
        key = row["currency"], row["text"].split()[0], "debit" if row["debit"] else "credit"
        booked[key] = booked.get(key, Decimal(0)) + Decimal(row["debit"] or row["credit"])
    totals = {
        (total.currency, total.type, side): Decimal(total.minor).scaleb(-total.exponent)
        for total in gathered(sealed, days).totals
        for side in ("debit", "credit")
        if total.status == "success"
    }
    assert booked == totals


def test_a_journal_has_the_shape_that_ledgers_import(sealed, accounts, tmp_path):
    journal = write_journal(sealed, "default", FEBRUARY[:1], accounts, tmp_path / "journal.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "journal.csv").read_text())))
    (document,) = fetch_all(
        sealed, "SELECT encode(document_sha256, 'hex') AS sha256 FROM recon.closes WHERE close_no = 1"
    )
    assert rows[-1] == {
        "date": "2024-02-20",
        "document": "EP-20240220-KWD",
        "account": "8400",
        "debit": "",
        "credit": "1.234",
        "currency": "KWD",
        "text": "sale success, 1 operations",
        "reference": f"close-1-{document['sha256'][:12]}",
    }
    assert ("1360-JPY", "500") in {(row["account"], row["debit"]) for row in rows}
    assert journal.ignored == 1, "a decline"
    write_journal(sealed, "default", FEBRUARY[:1], accounts, tmp_path / "journal.xlsx")
    sheet = load_workbook(tmp_path / "journal.xlsx")["Journal"]
    lines = [[cell.value for cell in row] for row in sheet.iter_rows(min_row=2)]
    assert [[line[2], line[3], line[4], line[5]] for line in lines] == [
        [row["account"], *(float(row[side]) if row[side] else None for side in ("debit", "credit")), row["currency"]]
        for row in rows
    ]


def test_a_day_that_is_not_sealed_has_no_journal(sealed, accounts, tmp_path):
    with pytest.raises(Incomplete, match=r"2024-03-27 and 2 more days are not sealed: .*close --month 2024-03 --by"):
        write_journal(sealed, "default", MARCH, accounts, tmp_path / "journal.csv")
    with pytest.raises(Incomplete, match=r"2024-03-28 is not sealed: .*close --date 2024-03-28 --by"):
        write_journal(sealed, "default", [DIFFERS], accounts, tmp_path / "journal.csv")
    assert not (tmp_path / "journal.csv").exists()


@pytest.fixture(scope="module")
def environment(month_url, tmp_path_factory):
    return {
        "DATABASE_URL": month_url,
        "SYNC_REPORTING_ZONE": "Europe/Berlin",
        "SYNC_FIRST_DAY": "2024-02-20",
        "DAGSTER_HOME": str(tmp_path_factory.mktemp("home")),
    }


def test_the_commands_of_a_month(command, sealed, environment, tmp_path):
    def run(*arguments):
        return command(*arguments, environment=environment)

    left = run("close", "--month", "2024-03", "--by", "Ann")
    assert (left.returncode, left.stderr.count("\n")) == (1, 1)
    assert "27 of 31 days of 2024-03 are left" in left.stderr
    assert re.search(f"{DIFFERS} +not closed +is not complete .*ecommpay-sync operations --from {DIFFERS}", left.stdout)
    whole = run("close", "--month", "2024-02", "--by", "Ann")
    assert (whole.returncode, whole.stderr) == (0, "")
    assert "10 of 10 days of 2024-02 are closed" in whole.stdout
    for arguments, said in (
        (("close", "--by", "Ann", "--date", "2024-02-01", "--month", "2024-02"), "one of the two"),
        (("close", "--by", "Ann", "--month", "2024-2-1"), "is no month: write YYYY-MM"),
        (("report", "--month", "2024-02", "--evidence"), "--output FILE.zip"),
        (("report", "--month", "2024-02", "--journal", "--output", "x.pdf"), "--output FILE.csv or FILE.xlsx"),
        (("report", "--month", "2024-02", "--journal", "--output", "x.csv"), "--map FILE.toml"),
    ):
        refused = run(*arguments)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert said in refused.stderr
    reported = run("report", "--month", "2024-03", "--output", str(tmp_path))
    assert reported.returncode == 0, reported.stderr
    assert "4 of 31 days are sealed" in reported.stdout
    assert (tmp_path / "monthly-close-default-2024-03.html").is_file()
    pack = run("report", "--month", "2024-03", "--evidence", "--output", str(tmp_path / "pack.zip"))
    assert pack.returncode == 0, pack.stderr
    assert hashlib.sha256((tmp_path / "pack.zip").read_bytes()).hexdigest() in pack.stdout
    (tmp_path / "accounts.toml").write_text(MAP)
    journal = run(
        *("report", "--month", "2024-02", "--journal", "--map", str(tmp_path / "accounts.toml")),
        *("--output", str(tmp_path / "journal.csv")),
    )
    assert journal.returncode == 0, journal.stderr
    assert "EUR: debit = credit = 93.00" in journal.stdout
    (tip,) = fetch_all(
        sealed, "SELECT encode(entry_hash, 'hex') AS head FROM recon.closes ORDER BY close_no DESC LIMIT 1"
    )
    verified = run("verify", "--head", tip["head"])
    assert verified.returncode == 0, verified.stderr
    assert f"rows of closed days, head {tip['head']}" in verified.stdout


# changes what the tests above read: the last ones of the file


def test_a_day_opened_again_is_no_longer_of_the_month_and_the_chain_shows_both(sealed, tmp_path):
    reopen_day(sealed, "default", FEBRUARY[0], by="Bob", reason="late invoice")
    document = gathered(sealed, FEBRUARY)
    assert len(document.sealed) == 9
    assert document.days[0].reason == "can be prepared"
    assert {total.currency for total in document.totals} == {"EUR"}
    write_evidence(sealed, "default", FEBRUARY, "2024-02", tmp_path / "pack.zip")
    with zipfile.ZipFile(tmp_path / "pack.zip") as file:
        file.extractall(tmp_path / "pack")
    assert not (tmp_path / "pack/documents/2024-02-20.json").exists()
    assert '"action": "reopen"' in (tmp_path / "pack/chain.jsonl").read_text()
    done = follow_readme(tmp_path / "pack", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_is_made_of_a_sealed_day_that_was_altered(sealed, accounts, tmp_path):
    execute(
        sealed,
        "ALTER TABLE recon.closes DISABLE TRIGGER keep_sealed;"
        "UPDATE recon.closes SET decided_by = 'Eve' WHERE close_no = 5",
    )
    for make in (
        lambda: gathered(sealed, FEBRUARY),
        lambda: write_evidence(sealed, "default", FEBRUARY, "2024-02", tmp_path / "pack.zip"),
        lambda: write_journal(sealed, "default", FEBRUARY[4:5], accounts, tmp_path / "journal.csv"),
    ):
        with pytest.raises(WarehouseBroken, match="altered"):
            make()
    assert not [*tmp_path.glob("*.zip"), *tmp_path.glob("*.csv")]
