"""What docs/bi.md promises: its queries, in their readers' names, give what independent arithmetic gives."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

import dashboards
from fixtures.commands import ROOT, client_of, execute, sync
from pipelines.cli.demo_data import FIELDS
from pipelines.ingest.balances import sync_balances
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.fraud import sync_fraud
from pipelines.marts import build_marts
from pipelines.reconciliation.reconcile import roll_forward
from resources.data_api.client import Client
from resources.data_api.clock import FixedClock
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Fraud, SandboxServer, World
from resources.sandbox.operations import DECIMALS
from resources.settings import SyncSettings, checked_api_settings
from resources.warehouse.engine import Warehouse

SETTINGS = replace(SyncSettings(), fields=FIELDS)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - timedelta(days=1)
FIRST = TODAY - timedelta(days=40)
TOP_UP = 7_777
MONEY_IN = ["sale", "capture", "recurring"]


def examples(page: str) -> list[str]:
    """The SQL statements of a page of docs, one by one."""
    blocks = re.findall(r"```sql\n(.*?)```", (ROOT / "docs" / page).read_text(encoding="utf-8"), re.DOTALL)
    return [statement.strip() for block in blocks for statement in block.split(";") if statement.strip()]


BI_EXAMPLES = {re.match(r"-- (.*)", statement)[1]: statement for statement in examples("bi.md")}


@pytest.fixture(scope="module")
def world():
    """Forty days up to yesterday; its clock goes from the beginning of yesterday to an hour after its end."""
    return World.generate(seed=11, start=FIRST.date(), days=40, operations=12_000, now=YESTERDAY.isoformat())


@pytest.fixture(scope="module")
def connect(command, server_url, template, world):
    """A warehouse loaded over HTTP, built, rolled forward and granted; how to connect to it as a role."""
    prefix, name = f"a{uuid.uuid4().hex[:8]}", f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        parts = psycopg.conninfo.conninfo_to_dict(server_url)
        uri = f"postgresql://{parts['user']}@/{name}?host={parts['host']}"
        fill(uri, world)
        done = command("grant", environment={"DATABASE_URL": uri, "SYNC_ROLE_PREFIX": prefix})
        assert (done.returncode, done.stderr) == (0, "")
        yield lambda role: psycopg.connect(server_url, dbname=name, user=f"{prefix}_{role}", autocommit=True)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        for role in ("loader", "bi", "finance"):
            connection.execute(SQL("DROP ROLE {}").format(Identifier(f"{prefix}_{role}")))


@pytest.fixture(scope="module")
def readers(connect):
    """How to ask the warehouse as a role."""

    def ask(role: str, statement: str) -> pd.DataFrame:
        with connect(role) as connection:
            found = connection.execute(statement)
            columns = [column.name for column in found.description]
            return pd.DataFrame(found.fetchall(), columns=columns, dtype=object)  # no float where there is a NULL

    return ask


def fill(uri: str, world: World) -> None:
    with SandboxServer(world) as sandbox, Warehouse(uri) as store:
        world.top_up(198, "EUR", TOP_UP, f"{YESTERDAY:%Y-%m-%d} 15:00:00")
        for moment in (YESTERDAY, TODAY):
            world.set_now(f"{moment:%Y-%m-%d %H:%M:%S}")
            settings = checked_api_settings(base_url=sandbox.url, token=DEMO_TOKEN, secret=DEMO_SECRET)
            client = Client(settings, clock=FixedClock(moment))
            sync_balances(DataApi(client), store, "default")
            client.close()
        world.advance(3600)
        sync(sandbox, store, f"{FIRST:%Y-%m-%d}", f"{YESTERDAY:%Y-%m-%d}", settings=SETTINGS)
        world.frauds += [
            report(1, tr_amount="1.234", tr_ccy="KWD"),
            report(2, tr_amount="500", tr_ccy="JPY"),
            report(3, tr_amount="90071992547409.93", tr_ccy="EUR"),
            report(4, tr_amount="7", tr_ccy="XXQ"),
        ]
        with client_of(sandbox.url) as client:
            sync_fraud(DataApi(client), store, SETTINGS, SyncRequest(FIRST.date(), YESTERDAY.date()))
        build_marts(store, SETTINGS)
        roll_forward(store, "default", YESTERDAY.date())


def report(number: int, **fields) -> Fraud:
    """A report of an operation that nobody knows."""
    received = f"{YESTERDAY:%Y-%m-%d} 12:00:00"
    return Fraud.new(operation_id=number, received_on=received, fraud_type="made up", **fields)


@pytest.fixture(scope="module")
def truth(world) -> pd.DataFrame:
    """The sandbox's own operations up to yesterday, amounts as integers of minor units."""
    rows = world.truth(None, f"{FIRST:%Y-%m-%d} 00:00:00", f"{YESTERDAY:%Y-%m-%d} 23:59:59")
    frame = pd.DataFrame(
        {
            "type": row["operation_type"],
            "success": row["operation_status"] == "success",
            "project": row["project_id"],
            "currency": row["sum_initial"]["currency"],
            "minor": row["sum_initial"]["amount"],
            "at": row["operation_completed_at"] or None,
        }
        for row in rows
    )
    frame["at"] = pd.to_datetime(frame["at"], utc=True)
    return frame[frame["success"]]


def major(minor: int, currency: str) -> Decimal:
    return Decimal(int(minor)).scaleb(-DECIMALS.get(currency, 2))


def test_the_examples_of_the_page_are_three_and_each_has_a_title():
    assert list(BI_EXAMPLES) == [
        "approved volume per currency last week",
        "refund rate by project, last 30 days",
        "unexplained balance movement yesterday (as ecommpay_finance)",
    ]
    assert all(len(statement.splitlines()) <= 6 for statement in BI_EXAMPLES.values()), "short ones"


def test_every_example_of_the_page_runs_in_its_readers_name(readers):
    for title, statement in BI_EXAMPLES.items():
        assert len(readers("finance" if "recon." in statement else "bi", statement)), title


def test_approved_volume_per_currency_last_week_is_what_the_platform_says(readers, truth):
    monday = TODAY - timedelta(days=TODAY.weekday() + 7)
    week = truth[truth["type"].isin(MONEY_IN) & (truth["at"] >= monday) & (truth["at"] < monday + timedelta(days=7))]
    expected = {key: major(minor, key) for key, minor in week.groupby("currency")["minor"].sum().items()}
    assert len(expected) > 10
    found = readers("bi", BI_EXAMPLES["approved volume per currency last week"])
    assert dict(found.itertuples(index=False)) == expected
    starter = readers("bi", question("01"))
    assert dict(zip(starter["currency"], starter["approved_amount"], strict=True)) == expected


def test_refund_rate_by_project_is_what_the_platform_says(readers, truth):
    month = truth[(truth["at"] >= TODAY - timedelta(days=30)) & (truth["at"] < TODAY)]
    key = ["project", "currency"]
    sold = month[month["type"].isin(MONEY_IN)].groupby(key)["minor"].sum()
    back = month[month["type"].isin(["refund", "reversal"])].groupby(key)["minor"].sum()
    expected = {name: Decimal(int(back[name])) / Decimal(int(sold[name])) for name in sold.index if name in back.index}
    assert len(expected) > 10
    found = readers("bi", BI_EXAMPLES["refund rate by project, last 30 days"])
    rates = {(row.project_id, row.currency): row.refund_rate for row in found.itertuples() if row.refund_rate}
    assert rates.keys() == expected.keys()
    assert all(abs(rates[name] - expected[name]) < Decimal("1e-12") for name in expected)
    starter = readers("bi", question("02"))
    assert {
        (row.project_id, row.currency): row.refund_rate for row in starter.itertuples() if row.refund_rate is not None
    } == {name: round(rate, 4) for name, rate in expected.items()}


def test_unexplained_balance_movement_yesterday_is_what_no_payout_explains(readers, world, truth):
    found = readers("finance", BI_EXAMPLES["unexplained balance movement yesterday (as ecommpay_finance)"])
    assert [tuple(row) for row in found.itertuples(index=False)] == [("Cosmo1 balance EUR", "EUR", TOP_UP)]
    (row,) = readers("finance", question("03")).itertuples()
    paid = truth[(truth["type"] == "payout") & (truth["project"] == "198") & (truth["currency"] == "EUR")]
    paid = int(paid[(paid["at"] > YESTERDAY) & (paid["at"] <= TODAY)]["minor"].sum())
    before = truth[(truth["type"] == "payout") & (truth["project"] == "198") & (truth["currency"] == "EUR")]
    before = int(before[before["at"] <= YESTERDAY]["minor"].sum())
    drawn = next(item.amount for item in world.balances if getattr(item, "name", "") == "Cosmo1 balance EUR")
    assert (row.opening_minor, row.movements_minor) == (drawn - before, -paid)
    assert row.closing_minor == drawn - before - paid + TOP_UP
    assert row.unexplained_minor == row.closing_minor - row.opening_minor + paid == TOP_UP


def question(number: str) -> str:
    (file,) = (ROOT / "sql/bi/questions").glob(f"{number}_*.sql")
    return file.read_text(encoding="utf-8")


def test_the_examples_of_the_reconciliations_page_can_be_executed_as_they_stand(store):
    statements = examples("reconciliation.md")
    assert len(statements) == 2
    for statement in statements:
        execute(store, statement)


# all is well, nobody reconciled with books or closed a day, and the sandbox's customers do not try a payment again
NOTHING_TO_SHOW = {
    *("03", "14", "15", "18", "20", "27", "28", "33", "34", "35", "36", "37", "38", "43", "44", "46"),
}
QUESTIONS = sorted((ROOT / "sql/bi/questions").glob("*.sql"))


def test_every_question_has_an_answer_in_its_readers_name(readers):
    silent = set()
    for file in QUESTIONS:
        statement = file.read_text(encoding="utf-8")
        if readers("finance" if "recon." in re.sub("--.*", "", statement) else "bi", statement).empty:
            silent.add(file.name[:2])
    assert silent <= NOTHING_TO_SHOW


# The boards of Superset


def test_the_boards_hold_what_questions_and_database_say(connect):
    with connect("bi") as bi, connect("finance") as finance:
        made = dashboards.bundle({"bi": bi, "finance": finance})
    files = {path.relative_to(dashboards.TARGET): path for path in dashboards.TARGET.rglob("*") if path.is_file()}
    assert {str(name): path.read_text(encoding="utf-8") for name, path in files.items()} == made, (
        "run `make dashboards`"
    )


def test_every_chart_is_calculated_in_its_readers_name(readers):
    asked = {question.name: question for question in dashboards.datasets()}
    for board in dashboards.boards():
        for chart in board.charts:
            question, own = asked[chart.ask], sorted(chart.reads)
            shown = ", ".join([*own, *(f'{how} AS "{name}"' for name, how in chart.metrics.items())])
            groups = f"GROUP BY {', '.join(own)}" if chart.metrics and own else ""
            found = readers(question.reader, f"SELECT {shown} FROM ({question.query}) AS answer {groups}")
            assert [*found.columns] == [*own, *chart.metrics], chart.title


# bi.fct_fraud


def test_a_report_of_fraud_has_both_amounts_the_currency_and_the_operation_it_is_about(readers, world):
    found = readers("bi", "SELECT * FROM bi.fct_fraud WHERE is_operation_known").set_index("operation_id")
    reported = {str(item.fields["operation_id"]): item.fields for item in world.frauds}
    rows = {row["operation_id"]: row for row in world.truth(fields=["operation_id", "operation_type", "sum_initial"])}
    statuses = {row["operation_id"]: row["operation_status"] for row in world.truth()}
    assert len(found) > 5
    for key, row in found.iterrows():
        fields, operation = reported[key], rows[key]
        assert (row["currency"], row["amount_minor"]) == (
            operation["sum_initial"]["currency"],
            operation["sum_initial"]["amount"],
        )
        assert row["amount"] == Decimal(fields["tr_amount"]) == major(row["amount_minor"], row["currency"])
        assert row["amount_in_usd"] == Decimal(fields["channel_amount_in_usd"])
        assert (row["operation_type"], row["operation_status"]) == (operation["operation_type"], statuses[key])
        assert (row["payment_id"], row["project_id"]) == (fields["payment_id"], fields["project_id"])
        assert row["received_at"].timestamp() == fields["received_on"]
        assert row["received_date"] == row["received_at"].astimezone(UTC).date()
        assert row["days_to_report"] == (row["reported_at"] - row["purchased_at"]).days


def test_a_report_of_an_operation_that_is_not_in_the_store_is_there_with_exact_amounts_and_says_so(readers):
    found = readers(
        "bi",
        "SELECT currency, amount_minor, amount::text, operation_type FROM bi.fct_fraud "
        "WHERE NOT is_operation_known AND fraud_type = 'made up' ORDER BY operation_id",
    )
    assert [tuple(row) for row in found.itertuples(index=False)][:3] == [
        ("KWD", 1234, "1.234", None),
        ("JPY", 500, "500", None),
        ("EUR", 9_007_199_254_740_993, "90071992547409.93", None),
    ]


def test_an_unknown_currency_of_a_report_keeps_its_major_units_and_has_no_minor_ones(readers):
    (row,) = readers("bi", "SELECT amount_minor, amount FROM bi.fct_fraud WHERE currency = 'XXQ'").itertuples()
    assert pd.isna(row.amount_minor)
    assert row.amount == 7


def test_a_report_of_fraud_has_no_personal_column(readers):
    columns = set(readers("bi", "SELECT * FROM bi.fct_fraud LIMIT 0").columns)
    personal = {"account_number", "customer_id", "customer_email", "customer_ip", "card_holder", "extra"}
    assert columns.isdisjoint(personal)
    assert "currency" in columns
