"""Erasing a person: gone from every table and page, while keys, totals, the ledger and everyone else stay."""

from __future__ import annotations

import json
import uuid
from contextlib import nullcontext
from datetime import UTC, date, datetime

import psycopg
import pytest
from conftest import drop_database, url_of

from fixtures.commands import client_of, fetch_all, sync
from fixtures.debian_server import debian_server
from pipelines.audit.replay import Replayer, trace
from pipelines.erasure import erase
from pipelines.ingest.documents import sync_documents
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.fraud import sync_fraud
from pipelines.marts import build_marts, differences_from_core
from resources.data_api.endpoints import DataApi
from resources.documents import DocumentsConfig
from resources.sandbox import DEMO_SECRET, Fraud, SandboxServer, World
from resources.sandbox.documents import Document
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.load import body_of
from resources.warehouse.migrate import migrate

FIELDS = (
    *("operation_id", "payment_id", "project_id", "operation_type", "operation_status", "operation_created_at"),
    *("operation_completed_at", "sum_initial.amount", "sum_initial.currency", "customer_id", "customer_email"),
    *("account_number", "customer_ip", "card_holder", "avs_post_code", "avs_street_address"),
)
MARK = "secret-person"


def row(number, customer, email, status="success", amount=100, **more):
    return {
        "operation_id": str(number),
        "payment_id": f"p{number}",
        "operation_type": "sale",
        "operation_status": status,
        "sum_initial": {"amount": amount, "currency": "EUR"},
        "customer_id": customer,
        "customer_email": email,
        "account_number": f"4111 {customer}",
        "customer_ip": f"ip {customer}",
        "card_holder": f"holder {customer}",
        "avs_street_address": f"street {customer}",
        "loyalty": {"card": customer},
        **more,
    }


@pytest.fixture
def loaded(store):
    """Two people, one of them under two addresses, with a former state, a reject, and signed pages of two walks."""
    rows = [row(1, MARK, f"{MARK}@a.example"), row(2, "other", "other@a.example"), row(3, MARK, f"{MARK}@B.example")]
    rows.append(row(4, MARK, f"{MARK}@a.example", amount="much"))
    rows.append(row(5, "other", "other@a.example", amount="more"))
    for state in ("processing", "success"):
        rows[0] = rows[0] | {"operation_status": state}
        world = World.of([(dict(item), "2024-03-02 10:00:00") for item in rows], now="2024-03-05 00:00:00")
        with SandboxServer(world) as sandbox:
            sync(sandbox, store, "2024-03-02", "2024-03-02", settings=SyncSettings(fields=FIELDS))
    build_marts(store, SyncSettings())
    return store


def everything(store) -> str:
    tables = fetch_all(
        store,
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables "
        "WHERE table_schema IN ('core', 'raw', 'sync', 'bi')",
    )
    contents = [
        str(fetch_all(store, f"SELECT to_jsonb(t) - 'body_zstd' AS row FROM {table['name']} t")) for table in tables
    ]
    pages = fetch_all(store, "SELECT body_bytes, body_zstd FROM raw.pages")
    bodies = [body_of(type("Page", (), page)).decode() for page in pages]
    return "\n".join([*contents, *bodies])


def totals(store) -> list:
    return [
        fetch_all(
            store,
            "SELECT operation_type, operation_status, count(*) AS n, sum(sum_initial_amount) AS minor "
            "FROM core.operations GROUP BY 1, 2",
        ),
        fetch_all(store, "SELECT account, operation_id, window_id FROM core.operations ORDER BY 2"),
        fetch_all(store, "SELECT * FROM sync.windows ORDER BY window_id"),
        fetch_all(store, "SELECT * FROM bi.daily_overview ORDER BY 1, 2, 3, 4, 5, 6"),
        fetch_all(store, "SELECT * FROM bi.fct_payments ORDER BY 1, 2, 3, 4"),
    ]


def test_a_person_known_by_id_is_nowhere_any_more_and_all_totals_stay(loaded):
    assert everything(loaded).lower().count(MARK) > 10
    others = everything(loaded).count("other@a.example")
    before = totals(loaded)
    done = erase(loaded, "default", MARK)
    assert MARK not in everything(loaded).lower()
    assert everything(loaded).count("other@a.example") == others, "nobody else has lost anything"
    assert totals(loaded) == before
    assert (done.operations, done.operation_versions, done.rejects, done.pages) == (2, 1, 1, 2)
    assert differences_from_core(loaded) == []
    assert fetch_all(loaded, "SELECT * FROM sync.windows WHERE entry_hash <> sync.entry_hash(windows)") == []


def test_a_person_known_by_one_address_is_found_under_the_others_too(loaded):
    done = erase(loaded, "default", f"{MARK.upper()}@b.example")
    assert done.operations == 2
    assert MARK not in everything(loaded).lower()


def test_erasing_again_finds_nothing_and_records_nothing(loaded):
    erase(loaded, "default", MARK)
    assert not erase(loaded, "default", MARK).found
    (record,) = fetch_all(loaded, "SELECT * FROM sync.erasures")
    assert MARK not in str(record)


def test_replay_and_trace_say_erased_and_not_tampered(loaded):
    erase(loaded, "default", MARK)
    day = date(2024, 3, 2)
    result = Replayer(loaded, "default", DEMO_SECRET).replay(day, day, print)
    assert (result.problems, result.erased) == ([], 2)
    sightings = trace(loaded, "default", "1", DEMO_SECRET)
    assert all("a person's data was erased from it on" in sighting.page for sighting in sightings)
    assert [sighting.row for sighting in sightings] == [None] * len(sightings)


def test_the_command_erases_without_naming_the_person_and_says_when_there_is_none(command, loaded, store_url):
    done = command("erase", "--customer", MARK, environment={"DATABASE_URL": store_url})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("erased: 2 operations, 1 former states, 0 fraud reports, 1 rejects, 2 raw pages")
    assert MARK not in done.stdout
    again = command("erase", "--customer", MARK, environment={"DATABASE_URL": store_url})
    assert again.returncode == 2
    assert MARK not in again.stderr


# Documents: a person may be named anywhere in one


CUSTOMER = {"id": MARK, "email": f"{MARK}@A.example", "note": f"calls as {MARK}"}
DOCUMENTS = [
    {"id": 1, "amount": 100, "currency": "EUR", "stage": "first chargeback", "customer": CUSTOMER, "card": "4111"},
    {"id": 2, "operation_id": 1, "amount": 250, "holder": "a holder's name", "at": "2024-03-02 10:00:00"},
    {"id": 3, "deep": [[{"mails": ["x", f"{MARK}@a.EXAMPLE"]}]], "fee": "1.25"},
    {"id": MARK, "amount": 5},
    {"id": 5, "customer": {"id": "other", "email": "other@a.example"}, "card": "4222"},
    {"amount": 9, "customer": CUSTOMER},  # without the key: a reject
]
STREAM = DocumentsConfig("some", "chargeback/list", {}, key=(("id",),))


@pytest.fixture
def documented(loaded):
    """The same with documents, their versions, a reject and a snapshot's signed pages."""
    for stage in ("first chargeback", "arbitration"):
        world = World.of(now="2024-03-05 00:00:00")
        told = [{**fields, "stage": stage} for fields in DOCUMENTS]
        world.documents.tell("chargeback/list", [Document.new("2024-03-02 10:00:00", **fields) for fields in told])
        with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
            request = SyncRequest(date(2024, 3, 2), date(2024, 3, 2))
            sync_documents(STREAM, DataApi(client), loaded, SyncSettings(), request)
    return loaded


def test_a_person_named_anywhere_in_a_document_is_nowhere_any_more(documented):
    before = {row["document_key"]: row["document"] for row in fetch_all(documented, "SELECT * FROM core.documents")}
    ledger = fetch_all(documented, "SELECT * FROM sync.windows ORDER BY window_id")
    done = erase(documented, "default", MARK)
    assert MARK not in everything(documented).lower()
    assert "a holder's name" not in everything(documented)
    assert done.documents == 8, "four of them, each with a former state"
    after = {row["document_key"]: row["document"] for row in fetch_all(documented, "SELECT * FROM core.documents")}
    assert after["5"] == before["5"], "nobody else has lost anything"
    assert after["1"] == before["1"] | {"customer": dict.fromkeys(CUSTOMER, "erased"), "card": "erased"}
    assert (after["2"]["amount"], after["2"]["at"], after["3"]["fee"]) == (250, "2024-03-02 10:00:00", "1.25")
    assert [key[:7] for key in after.keys() - before.keys()] == ["erased-"]
    assert fetch_all(documented, "SELECT * FROM sync.windows ORDER BY window_id") == ledger
    kept = fetch_all(
        documented, "SELECT DISTINCT totals_written = sync.written_totals(window_id) AS kept FROM sync.windows"
    )
    assert kept == [{"kept": True}]
    assert not erase(documented, "default", MARK).found
    today = datetime.now(UTC).date()
    result = Replayer(documented, "default", DEMO_SECRET).replay(today, today, print)
    assert (result.problems, result.erased) == ([], 2)


def test_amounts_of_a_report_of_fraud_stay_in_its_page_and_the_person_does_not(store):
    world = World.of(now="2024-03-05 00:00:00")
    reported = {"received_on": "2024-03-02 12:00:00", "fraud_type": "x", "tr_amount": "1.00", "tr_ccy": "EUR"}
    world.frauds = [Fraud.new(operation_id=1, customer_email=f"{MARK}@a.example", customer_id=MARK, **reported)]
    request = SyncRequest(date(2024, 3, 2), date(2024, 3, 2))
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        sync_fraud(DataApi(client), store, SyncSettings(), request)
    assert erase(store, "default", MARK).fraud_reports == 1
    text = everything(store)
    assert MARK not in text
    (page,) = fetch_all(store, "SELECT body_bytes, body_zstd FROM raw.pages WHERE row_count = 1 LIMIT 1")
    (report,) = json.loads(body_of(type("Page", (), page)))["operations"]
    assert (report["tr_amount"], report["tr_ccy"], report["fraud_type"]) == ("1.00", "EUR", "x")


@pytest.mark.parametrize("locale", ["LOCALE_PROVIDER libc", "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR'"])
@pytest.mark.parametrize("asked", ["info.i@éve.example", "INFO.I@ÉVE.EXAMPLE"])
def test_case_is_no_difference_in_a_database_of_any_locale(server_url, locale, asked):
    """In Turkish the small letter of I is no i; in C there is none of É."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    addresses = ("info.i@éve.example", "INFO.I@ÉVE.EXAMPLE", "Info.I@Éve.example", "other@éve.example")
    rows = [row(number, f"c{number}", address) for number, address in enumerate(addresses)]
    world = World.of([(item, "2024-03-02 10:00:00") for item in rows], now="2024-03-05 00:00:00")
    # the tests' own server has no ICU
    with debian_server() if "icu" in locale else nullcontext(server_url) as server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C' {locale}")
        with Warehouse(url_of(server, name)) as store, SandboxServer(world) as sandbox:
            migrate(store)
            sync(sandbox, store, "2024-03-02", "2024-03-02", settings=SyncSettings(fields=FIELDS))
            erase(store, "default", asked)
            left = fetch_all(store, "SELECT customer_email FROM core.operations WHERE customer_email IS NOT NULL")
            withdrawn = fetch_all(store, "SELECT recon.is_withdrawn('WITHDRAWN') AS is_so")
        drop_database(server, name)
    assert (left, withdrawn) == ([{"customer_email": "other@éve.example"}], [{"is_so": True}])
