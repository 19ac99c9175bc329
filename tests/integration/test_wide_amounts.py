"""Amounts at both ends of 64 bits, whose sums and differences are beyond them: load, marts, books, close, reports.

Each command has to end well and each sum to be exact: one such row must not stop a table, a report or an alert.
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from conftest import database
from openpyxl import load_workbook

from fixtures.commands import ROOT, execute, fetch_all
from fixtures.receivers import webhook
from pipelines.ingest.balances import sync_balances
from pipelines.marts import differences_from_core
from resources.data_api.client import Client
from resources.data_api.clock import FixedClock
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import checked_api_settings
from resources.warehouse.engine import Warehouse

MOST, LEAST = 2**63 - 1, -(2**63)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
DAY, WEEK_BEFORE = TODAY - timedelta(days=1), TODAY - timedelta(days=8)
COUNTS = {MOST: 5, LEAST: 2}  # so that no sum of both is small
TYPES = {"sale": 1, "capture": 1, "recurring": 1, "refund": -1, "reversal": -1, "payout": -1, "auth": 0, "new kind": 0}
JOURNAL = """
[[rules]]
type = "*"
debit = "1"
credit = "2"
[[rules]]
type = "*"
status = "*"
ignore = true
"""


def operations() -> list[dict]:
    """Of each type, on two days, several at each end; each end is a payment, with all that was done to it."""
    rows = []
    for day in (WEEK_BEFORE, DAY):
        for minute, (minor, kind) in enumerate((minor, kind) for minor in COUNTS for kind in TYPES):
            for status in ("success",) * COUNTS[minor] + ("decline",) * (COUNTS[minor] - 1):
                at = f"{day + timedelta(hours=10, minutes=minute, seconds=len(rows)):%Y-%m-%d %H:%M:%S}"
                rows.append(
                    {
                        "operation_id": f"{day:%d}-{minor}-{kind}-{len(rows)}",
                        "payment_id": f"{day:%d}{minor}",
                        "project_id": 22,
                        "operation_type": kind,
                        "operation_status": status,
                        "operation_created_at": at,
                        "operation_completed_at": at,
                        "sum_initial": {"amount": minor, "currency": "EUR"},
                        "sum_converted": {"amount": minor, "currency": "KWD"},
                    }
                )
    return rows


OPERATIONS = operations()


def ids(minor: int, kind: str, day=DAY) -> list[str]:
    """The successful ones of the day."""
    return [
        row["operation_id"]
        for row in OPERATIONS
        if (row["sum_initial"]["amount"], row["operation_type"], row["operation_status"]) == (minor, kind, "success")
        and row["operation_id"].startswith(f"{day:%d}-")
    ]


def total(*kinds: str, status: str = "success", day=None, sign=lambda kind: 1) -> int:
    return sum(
        sign(row["operation_type"]) * row["sum_initial"]["amount"]
        for row in OPERATIONS
        if row["operation_type"] in (kinds or TYPES)
        and row["operation_status"] == status
        and (day is None or row["operation_id"].startswith(f"{day:%d}-"))
    )


def write_books(path) -> None:
    """One operation booked twice and in parts, one the other way round, one net of a fee, two that nobody knows."""
    booked = [
        *((f"twice-{n}", "sale", ids(MOST, "sale")[0], 0) for n in range(3)),
        ("opposite", "sale", ids(MOST, "refund")[0], 0),
        *((f"below-{n}", "sale", ids(LEAST, "sale")[0], MOST) for n in range(2)),
        ("net", "capture", ids(LEAST, "capture")[0], MOST),
        ("fee", "recurring", ids(MOST, "recurring")[0], MOST),
        *((f"unknown-{n}", "sale", "", 0) for n in range(2)),
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["entry_id", "booked_at", "operation_type", "currency", "amount_minor", "fee_minor", "operation_id"]
        )
        for name, kind, operation, fee in booked:
            writer.writerow([name, f"{DAY:%Y-%m-%d}T20:00:00+00:00", kind, "EUR", MOST, fee, operation])


@pytest.fixture(scope="module")
def url(server_url, template):
    with database(server_url, template) as url:
        yield url


@pytest.fixture(scope="module")
def store(url):
    with Warehouse(url) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def world():
    world = World.of(OPERATIONS, now=f"{TODAY:%Y-%m-%d} 01:00:00")
    world.balances = [{"name": "Wide", "EUR": str(LEAST)}, {"name": "Wide", "EUR": str(LEAST)}]
    return world


@pytest.fixture(scope="module")
def run(command, url, store, world, tmp_path_factory):
    """Run a command that has to end with this code, after everything is loaded and booked."""
    folder = tmp_path_factory.mktemp("wide")
    (folder / "map.toml").write_text(JOURNAL, encoding="utf-8")
    write_books(folder / "books.csv")
    with SandboxServer(world) as sandbox, webhook() as (hook, hook_url):
        for moment, minor in ((DAY, LEAST), (TODAY, MOST)):
            world.balances = [{"name": "Wide", "EUR": str(minor)}, {"name": "Wide", "EUR": str(minor)}]
            settings = checked_api_settings(base_url=sandbox.url, token=DEMO_TOKEN, secret=DEMO_SECRET)
            with Client(settings, clock=FixedClock(moment)) as client:
                sync_balances(DataApi(client), store, "default")
        execute(
            store,
            "INSERT INTO recon.tolerances (account, valid_from, absolute_minor, relative_bps, set_by) "
            f"VALUES ('default', '2000-01-01', 1, 1, 'Ann');"
            "INSERT INTO recon.fee_rules (account, currency, operation_type, valid_from, fixed_minor, bps, set_by) "
            f"VALUES ('default', 'EUR', 'recurring', '2000-01-01', {MOST}, 10000, 'Ann');"
            "INSERT INTO recon.balance_rules (account, balance_name, currency, operation_type, sign, valid_from, "
            "set_by) SELECT 'default', 'Wide', 'EUR', kind, sign, '2000-01-01', 'Ann' "
            "FROM (VALUES ('sale', 1), ('sale', 1), "
            "('refund', -1), ('payout', -1)) AS rules (kind, sign)",
        )
        environment = {
            "DATABASE_URL": url,
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "DAGSTER_HOME": str(command.dagster_home(folder / "dagster")),
            "ALERT_WEBHOOK_URL": hook_url,
            "ALERT_BREAKS_ABOVE": "EUR=100000",
            "SYNC_REPORT_DIR": str(folder / "reports"),
        }

        def run(words: str, code: int = 0) -> subprocess.CompletedProcess:
            done = command(*words.format(folder=folder, day=DAY.date()).split(), environment=environment)
            assert done.returncode == code, (words, done.stderr[-3000:])
            return done

        run.folder, run.hook = folder, hook
        run(f"operations --from {WEEK_BEFORE:%Y-%m-%d} --to {{day}}")
        run("ledger import {folder}/books.csv")
        yield run


@pytest.fixture(scope="module")
def built(run):
    run("marts")
    return run


@pytest.fixture(scope="module")
def reconciled(built):
    built("reconcile --date {day}")
    return built


@pytest.fixture(scope="module")
def sealed(reconciled):
    for name in ("Ann", "Bob"):
        reconciled(f"close --date {{day}} --by {name} --with-open-breaks")
    return reconciled


def by(store, statement: str) -> dict:
    return {tuple(row.values())[:-1]: tuple(row.values())[-1] for row in fetch_all(store, statement)}


def test_marts_hold_the_exact_sums(built, store):
    assert differences_from_core(store) == []
    days = by(store, "SELECT business_date, operation_type, operation_status, amount_minor FROM bi.daily_overview")
    assert days == {
        (day.date(), kind, status): total(kind, status=status, day=day)
        for day in (DAY, WEEK_BEFORE)
        for kind in TYPES
        for status in ("success", "decline")
    }
    for row in fetch_all(store, "SELECT * FROM bi.fct_payments"):
        minor = int(row["payment_id"][2:])
        of_type = COUNTS[minor] * minor
        names = ("authorised", "captured", "sold", "refunded", "reversed", "paid_out", "net")
        assert [row[f"{name}_minor"] for name in names] == [count * of_type for count in (1, 1, 2, 1, 1, 1, 0)]
        assert row["payment_status"] == ("partially refunded" if minor == MOST else "paid")
    nets = by(store, "SELECT operation_id, net_minor FROM bi.fct_operations WHERE operation_status = 'success'")
    assert nets == {
        (row["operation_id"],): TYPES[row["operation_type"]] * row["sum_initial"]["amount"]
        for row in OPERATIONS
        if row["operation_status"] == "success"
    }
    (balance,) = fetch_all(store, f"SELECT * FROM bi.fct_balances_daily WHERE business_date = '{DAY:%Y-%m-%d}'")
    assert (balance["opening_minor"], balance["lowest_minor"], balance["closing_minor"]) == (2 * LEAST,) * 3
    (walk,) = fetch_all(
        store, "SELECT sum(amount_minor) AS minor FROM bi.control_totals WHERE operation_status = 'success'"
    )
    assert walk["minor"] == total()
    (approval,) = fetch_all(store, "SELECT sum(approved_minor) AS minor FROM bi.approval_rate_daily")
    assert approval["minor"] == total("sale", "auth", "recurring")
    (cohort,) = fetch_all(store, f"SELECT * FROM bi.refund_cohorts WHERE sold_date = '{DAY:%Y-%m-%d}'")
    assert cohort["sold_minor"] == total("sale", "capture", "recurring", day=DAY)


def test_a_build_that_continues_and_one_of_everything_find_nothing_to_change(built, store):
    before = fetch_all(store, "SELECT ctid::text, * FROM bi.daily_overview ORDER BY ctid")
    built("marts")
    built("marts --full")
    assert fetch_all(store, "SELECT ctid::text, * FROM bi.daily_overview ORDER BY ctid") == before


@pytest.mark.parametrize("file", sorted((ROOT / "sql/bi/questions").glob("*.sql")), ids=lambda file: file.stem)
def test_every_question_has_its_answer(reconciled, url, file):
    with psycopg.connect(url) as connection:
        connection.execute(file.read_text(encoding="utf-8")).fetchall()


def test_the_reconciliation_finds_differences_beyond_64_bits(reconciled, store):
    breaks = by(store, "SELECT break_type, entry_id, operation_id, amount_minor FROM recon.breaks")
    assert breaks["amount", "below-0", ids(LEAST, "sale")[0]] == 2 * MOST - LEAST
    assert breaks["amount", "net", ids(LEAST, "capture")[0]] == MOST - LEAST
    assert breaks["amount", "opposite", ids(MOST, "refund")[0]] == -2 * MOST
    assert breaks["fee", "fee", ids(MOST, "recurring")[0]] == MOST - 2 * MOST
    (rolled,) = fetch_all(store, "SELECT * FROM recon.balance_rollforward")
    moved = 2 * total("sale", day=DAY) - total("refund", "payout", day=DAY)
    assert (rolled["opening_minor"], rolled["closing_minor"]) == (2 * LEAST, 2 * MOST)
    assert (rolled["movements_minor"], rolled["unexplained_minor"]) == (moved, 2 * MOST - 2 * LEAST - moved)
    (open_now,) = fetch_all(store, "SELECT sum(amount_minor) AS minor FROM bi.recon_open_breaks")
    assert open_now["minor"] == sum(
        abs(row["amount_minor"]) for row in fetch_all(store, "SELECT * FROM recon.breaks WHERE state = 'open'")
    )


def test_breaks_are_listed_filtered_written_and_taken_back(reconciled, store):
    listed = json.loads(reconciled("breaks --json").stdout)["breaks"]
    assert max(row["amount_minor"] for row in listed if row["amount_minor"]) > 2**64
    assert all(type(row["amount_minor"]) in (int, type(None)) for row in listed)
    far = json.loads(reconciled("breaks --currency EUR --min-amount 92233720368547758.08 --json").stdout)["breaks"]
    assert far == [row for row in listed if abs(row["amount_minor"] or 0) > MOST]
    assert far
    assert json.loads(reconciled("breaks --currency EUR --max-amount 92233720368547758.07 --json").stdout)["breaks"]
    for suffix in ("xlsx", "csv"):
        reconciled(f"breaks --output {{folder}}/breaks.{suffix}")
        reconciled(f"breaks apply {{folder}}/breaks.{suffix} --by Ann")
    sheet = load_workbook(reconciled.folder / "breaks.xlsx")["Breaks"]
    assert "276701161105643274.22" in {str(cell.value) for row in sheet for cell in row}, "in full, as text"
    first = listed[0]["break_id"]
    reconciled(f"explain {first} --by Ann --note known")


def test_a_match_by_hand_keeps_its_difference(reconciled, store):
    operation = ids(LEAST, "recurring")[0]
    reconciled(f"match --operation {operation} --entry unknown-0 --by Ann --note same --reason other")
    (decided,) = fetch_all(store, "SELECT difference_minor FROM recon.manual_matches")
    assert decided["difference_minor"] == MOST - LEAST
    (explained,) = fetch_all(
        store, f"SELECT * FROM recon.breaks WHERE operation_id = '{operation}' AND break_type = 'amount'"
    )
    assert (explained["state"], explained["amount_minor"]) == ("explained", MOST - LEAST)
    reconciled(f"unmatch --operation {operation} --entry unknown-0 --by Ann --note not")


def test_alerts_add_up_what_is_open(reconciled):
    reconciled("alert")
    assert any("open breaks in EUR exceed" in text for text in reconciled.hook.texts)


@pytest.mark.parametrize(
    "words", ["status", "status --json", "verify", "replay --from {day} --to {day}", "spot-check", "balances"]
)
def test_other_commands_end_well(reconciled, words):
    reconciled(words)


def test_a_sealed_day_is_reported_booked_and_proved(sealed, store):
    (row,) = fetch_all(store, "SELECT document FROM recon.closes")
    document = json.loads(row["document"])
    assert str(total("sale", day=DAY)) in json.dumps(document)
    sealed("report --date {day}")
    sealed(f"report --month {DAY:%Y-%m}")
    sealed("report --evidence --date {day} --output {folder}/pack.zip")
    for suffix in ("csv", "xlsx"):
        sealed(f"report --journal --date {{day}} --map {{folder}}/map.toml --output {{folder}}/journal.{suffix}")
    with zipfile.ZipFile(sealed.folder / "pack.zip") as pack:
        assert pack.testzip() is None
    journal = (sealed.folder / "journal.csv").read_text(encoding="utf-8")
    assert re.search(r"\b276701161105643274\.19\b", journal), "five of the largest and two of the least, in full"
    (page,) = (sealed.folder / "reports").rglob(f"*{DAY:%Y-%m-%d}*.html")
    assert "276,701,161,105,643,274" in page.read_text(encoding="utf-8")


def test_what_changes_behind_the_seal_may_change_by_more_than_64_bits(sealed, store, world):
    for minor, kind in ((LEAST, "sale"), (MOST, "sale")):
        changed = {"sum_initial": {"amount": -minor - 1, "currency": "EUR"}}
        world.change(ids(minor, kind)[1], effective=f"{DAY:%Y-%m-%d} 23:30:00", **changed)
    sealed("operations --from {day} --to {day}")
    sealed("reconcile --date {day} --leg books")
    late = by(store, "SELECT operation_id, amount_minor FROM recon.breaks WHERE break_type = 'late_change'")
    assert late == {(ids(LEAST, "sale")[1],): MOST - LEAST, (ids(MOST, "sale")[1],): LEAST - MOST}
    sealed("marts")
    sealed("report --date {day}")
    sealed(f"report --month {DAY:%Y-%m}")
    sealed("report --evidence --date {day} --output {folder}/again.zip")


def test_what_64_bits_do_not_hold_is_a_reject_of_the_answer_and_one_line_of_a_file(run, store, world):
    at = {"operation_completed_at": f"{DAY:%Y-%m-%d} 23:00:00", "operation_created_at": f"{DAY:%Y-%m-%d} 23:00:00"}
    for minor in (MOST + 1, LEAST - 1, 2**64 + 5, 10**30):
        world.add({"sum_initial": {"amount": minor, "currency": "EUR"}, **at})
    before = fetch_all(store, "SELECT count(*) AS rows FROM core.operations")
    assert "no_rejects of operations failed: 4 found" in run("operations --from {day} --to {day}", 1).stderr
    assert fetch_all(store, "SELECT count(*) AS rows FROM core.operations") == before
    reasons = {row["reason"] for row in fetch_all(store, "SELECT reason FROM core.rejects")}
    assert len(reasons) == 4
    assert all("larger than a bigint holds" in reason for reason in reasons)
    columns = "entry_id,booked_at,operation_type,currency,amount_minor"
    (run.folder / "wide.csv").write_text(f"{columns}\nwide,{DAY:%Y-%m-%d},sale,EUR,{MOST + 1}\n", encoding="utf-8")
    refused = run("ledger import {folder}/wide.csv", 2)
    assert "is larger than 9,223,372,036,854,775,807 minor units" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
