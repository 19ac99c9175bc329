"""SYNC_PERSONAL_DATA: with hash and drop no clear value reaches the store, and every proof still holds."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.commands import client_of, execute, fetch_all, sync
from pipelines.audit.replay import Replayer, trace
from pipelines.audit.spot_check import spot_check
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.fraud import sync_fraud
from pipelines.ingest.normalize import concat, normalize
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.privacy import MASKED_COLUMNS, keyed_hash, mask
from pipelines.reconciliation.reconcile import prove_completeness
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Fraud, SandboxServer, World
from resources.settings import PersonalSettings, Secret, SyncSettings, sync_settings
from resources.warehouse.load import body_of

KEY = "a-key-of-the-tests-only"
DAY = "2024-03-02"
FIELDS = (
    *("operation_id", "payment_id", "project_id", "operation_type", "operation_status", "operation_created_at"),
    *("operation_completed_at", "sum_initial.amount", "sum_initial.currency", "customer_id", *MASKED_COLUMNS),
)
MARK = "clear-person"
MODES = ("hash", "drop")


def settings_of(mode: str) -> SyncSettings:
    return SyncSettings(
        fields=FIELDS, spot_check_sample=5, personal=PersonalSettings(mode, Secret(KEY) if mode == "hash" else None)
    )


def row(number: int, status: str = "success", amount=100, **more) -> dict:
    return {
        "operation_id": str(number),
        "payment_id": f"p{number}",
        "operation_type": "sale",
        "operation_status": status,
        "sum_initial": {"amount": amount, "currency": "EUR"},
        "customer_id": f"customer {number % 2}",
        **dict.fromkeys(MASKED_COLUMNS, f"{MARK} {number % 2}"),
        **more,
    }


def world(status: str = "success") -> World:
    """Good rows, a reject for its amount, one for a personal field; a report of fraud with a field too many."""
    rows = [row(1, status), row(2), row(3)]
    rows += [row(4, amount="much"), row(5, card_holder={"name": f"{MARK} object"})]
    made = World.of([(item, f"{DAY} 10:00:00") for item in rows], now="2024-03-05 00:00:00")
    amounts = {"tr_amount": "1.00", "tr_ccy": "EUR", "channel_amount_in_usd": "1.10"}
    personal = {"account_number": f"{MARK} 1", "customer_email": f"{MARK} 1", "customer_ip": f"{MARK} unknown"}
    made.frauds = [Fraud.new(operation_id=1, received_on=f"{DAY} 12:00:00", fraud_type="x", **amounts, **personal)]
    return made


def load(sandbox, store, mode):
    report = sync(sandbox, store, DAY, DAY, settings=settings_of(mode))
    request = SyncRequest(date.fromisoformat(DAY), date.fromisoformat(DAY))
    with client_of(sandbox.url) as client:
        return report, sync_fraud(DataApi(client), store, settings_of(mode), request)


def everything(store) -> str:
    """All tables of the product as text, and the bodies of the raw pages that have one."""
    tables = fetch_all(
        store,
        "SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables "
        "WHERE table_schema IN ('core', 'raw', 'sync', 'recon', 'bi')",
    )
    contents = [str(fetch_all(store, f"SELECT to_jsonb(t) - 'body_zstd' AS row FROM {t['name']} t")) for t in tables]
    pages = fetch_all(store, "SELECT body_bytes, body_zstd FROM raw.pages WHERE body_zstd IS NOT NULL")
    return "\n".join([*contents, *[body_of(type("Page", (), page)).decode() for page in pages]])


@pytest.mark.parametrize("mode", MODES)
def test_no_clear_value_is_anywhere_in_the_store(store, mode):
    with SandboxServer(world("processing")) as sandbox:
        load(sandbox, store, mode)
    with SandboxServer(world()) as sandbox, client_of(sandbox.url) as client:
        report, fraud = load(sandbox, store, mode)
        checked = spot_check(DataApi(client), store, settings_of(mode), date.fromisoformat(DAY))
    assert (report.rows_met, report.rows_changed, report.rows_rejected) == (5, 1, 2)
    assert (fraud.rows_met, checked.of("different")) == (1, [])
    assert checked.payments > 0
    assert MARK not in everything(store)


def test_the_search_would_find_clear_values(store):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "keep")
    assert everything(store).count(MARK) > 20


def test_a_hash_is_the_hmac_of_column_and_value_and_so_differs_by_column(store):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "hash")
    rows = {item["operation_id"]: item for item in fetch_all(store, "SELECT * FROM core.operations")}
    for name in MASKED_COLUMNS:
        message = f"{name}\0{MARK} 1".encode()
        assert rows["1"][name] == rows["3"][name] == hmac.new(KEY.encode(), message, hashlib.sha256).hexdigest()
        assert rows["1"][name] != rows["2"][name]
    assert len({rows["1"][name] for name in MASKED_COLUMNS}) == len(MASKED_COLUMNS)
    (fraud,) = fetch_all(store, "SELECT account_number, customer_email FROM core.fraud_reports")
    assert fraud == {name: rows["1"][name] for name in ("account_number", "customer_email")}


def test_dropped_columns_are_null_and_the_rest_is_there(store):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "drop")
    rows = fetch_all(store, "SELECT * FROM core.operations ORDER BY operation_id")
    assert {item[name] for item in rows for name in MASKED_COLUMNS} == {None}
    assert [(item["customer_id"], item["sum_initial_amount"]) for item in rows] == [
        ("customer 1", 100),
        ("customer 0", 100),
        ("customer 1", 100),
    ]


def test_a_reject_keeps_its_other_values_and_its_reason_quotes_nothing_personal(store):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "hash")
    rejects = {json.loads(item["raw_json"])["operation_id"]: item for item in fetch_all(store, "TABLE core.rejects")}
    assert json.loads(rejects["4"]["raw_json"])["sum_initial"] == {"amount": "much", "currency": "EUR"}
    assert {json.loads(rejects["4"]["raw_json"])[name] for name in MASKED_COLUMNS} == {"****"}
    assert rejects["5"]["reason"] == "card_holder cannot be typed"


@pytest.mark.parametrize("mode", MODES)
def test_a_second_pass_changes_nothing_and_the_day_is_proven_complete(store, mode):
    with SandboxServer(world()) as sandbox, client_of(sandbox.url) as client:
        load(sandbox, store, mode)
        report, fraud = load(sandbox, store, mode)
        proof = prove_completeness(DataApi(client), store, settings_of(mode), date.fromisoformat(DAY))
    assert (report.rows_new, report.rows_changed, report.rows_unchanged) == (0, 0, 3)
    assert (fraud.rows_new, fraud.rows_changed) == (0, 0)
    assert (proof.verdict, proof.rows_differing) == ("complete", 0)
    assert proof.digest_walked == proof.digest_stored


@pytest.mark.parametrize("mode", MODES)
def test_replay_and_trace_say_that_bodies_were_not_kept_and_the_chain_is_intact(command, store, store_url, mode):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, mode)
    environment = {"DATABASE_URL": store_url, "DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET}
    replayed = command("replay", "--from", DAY, "--to", DAY, environment=environment)
    assert replayed.returncode == 1
    assert "cannot be replayed: bodies not kept (SYNC_PERSONAL_DATA" in replayed.stderr
    assert "its body was not kept" in trace(store, "default", "1", DEMO_SECRET)[0].page
    assert command("verify", environment=environment).returncode == 0


def test_a_page_removed_is_noticed_although_no_body_is_kept(store):
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "drop")
    execute(store, "DELETE FROM raw.pages WHERE endpoint = 'operations/get'")
    day = date.fromisoformat(DAY)
    assert Replayer(store, "default", DEMO_SECRET).replay(day, day, print).differences == 1


def test_days_loaded_under_keep_are_hashed_by_the_next_walk_and_still_replayed_as_they_were(store):
    day = date.fromisoformat(DAY)
    with SandboxServer(world()) as sandbox:
        load(sandbox, store, "keep")
        report, _ = load(sandbox, store, "hash")
    assert report.rows_changed == 3
    assert MARK not in str(fetch_all(store, "TABLE core.operations"))
    assert MARK in str(fetch_all(store, "TABLE core.operation_versions"))  # as docs/security.md says
    result = Replayer(store, "default", DEMO_SECRET).replay(day, day, print)
    assert (result.differences, result.rows > 0, result.not_kept > 0) == (0, True, True)


def test_personal_names_in_unknown_fields_and_in_what_is_no_object_are_masked_and_numbers_stay_exact():
    unknown = {
        "customer_email": f"{MARK} deep",
        "n": 9_007_199_254_740_993,
        "rate": Decimal("0.10"),
        "avs_post_code": "",
    }
    rows = [row(1, loyalty=[unknown]), [f"{MARK} in a list"]]
    typed = normalize(OPERATIONS.schema, rows, datetime(2024, 3, 2, tzinfo=UTC))
    masked_rows = mask(concat(OPERATIONS.schema, [typed]), settings_of("drop").personal)
    (extra,) = masked_rows.frame["extra"]
    masked = '{"customer_email":"****","n":9007199254740993,"rate":0.10,"avs_post_code":""}'
    assert extra == f'{{"loyalty":[{masked}]}}'
    assert [reject.raw_json for reject in masked_rows.rejects] == ['"****"']


# The setting


def test_the_default_keeps_and_a_key_is_read_from_value_or_file_and_never_shown(tmp_path):
    assert sync_settings({}).personal == PersonalSettings("keep", None)
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    for given_key in ({"SYNC_PERSONAL_DATA_KEY": KEY}, {"SYNC_PERSONAL_DATA_KEY_FILE": str(tmp_path / "key")}):
        settings = sync_settings({"SYNC_PERSONAL_DATA": "hash", **given_key})
        assert settings.personal.key.reveal() == KEY
        assert KEY not in repr(settings)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SYNC_PERSONAL_DATA": "encrypt"}, "SYNC_PERSONAL_DATA is 'encrypt': write keep, hash or drop."),
        ({"SYNC_PERSONAL_DATA": "hash"}, "SYNC_PERSONAL_DATA_KEY is not set"),
        ({"SYNC_PERSONAL_DATA": "hash", "SYNC_PERSONAL_DATA_KEY": "tooshort"}, "at least 16 printable characters"),
        ({"SYNC_PERSONAL_DATA": "hash", "SYNC_PERSONAL_DATA_KEY": f" {KEY}"}, "no space around them"),
    ],
)
def test_a_wrong_setting_is_one_line_without_the_key(environment, said):
    with pytest.raises(ConfigError) as error:
        sync_settings(environment)
    message = str(error.value)
    assert said in message
    assert "\n" not in message
    assert "tooshort" not in message
    assert KEY not in message


def test_doctor_tells_the_setting(command, store_url):
    told = command("doctor", environment={"DATABASE_URL": store_url, "SYNC_PERSONAL_DATA": "drop"})
    assert "personal data: drop" in told.stdout


@given(st.text(), st.sampled_from(MASKED_COLUMNS), st.sampled_from(MASKED_COLUMNS))
def test_equal_values_of_two_columns_never_join(value, one, other):
    assert (keyed_hash(KEY, one, value) == keyed_hash(KEY, other, value)) == (one == other)
