"""Documents that mislead: nothing is lost, nothing unproved is stored, and what cannot be a document is told of."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import pytest

from fixtures.commands import QUICK, fetch_all
from fixtures.documents import CHARGEBACKS, FIRST, LAST, NOW, chargeback, config, counts, load, stored, told
from resources.data_api.errors import BadSignature, BrokenBody, UnexpectedShape
from resources.documents import Paging
from resources.errors import ConfigError, Incomplete
from resources.sandbox import SandboxServer, World
from resources.sandbox.documents import Document
from resources.sandbox.operations import seconds
from resources.settings import PersonalSettings, Secret

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
        Document.new("2024-03-05 12:00:00", amount=1),
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


# A key that tells nothing apart


def test_two_documents_under_one_key_on_two_pages_are_told_of_and_not_stored(store):
    twins = [chargeback(7, "2024-03-05 12:00:05", note="x"), chargeback(7, "2024-03-05 12:00:59", note="y")]
    between = [chargeback(number, f"2024-03-05 12:00:{number - 70:02}") for number in range(100, 125)]
    small = config("chargebacks", paging=replace(config("chargebacks").paging, size=10))
    with SandboxServer(told(*twins, *between)) as sandbox, pytest.raises(Incomplete):
        load(sandbox, store, small, "2024-03-05", "2024-03-05")
    assert "7" not in stored(store)


def test_two_documents_under_one_key_in_two_windows_turn_a_check_yellow(store):
    twins = [chargeback(7, "2024-03-05 12:00:05", note="x"), chargeback(7, "2024-03-31 12:00:00", note="y")]
    with SandboxServer(told(*twins, chargeback(8))) as sandbox:
        done = load(sandbox, store, "chargebacks")
    found = store.query("checks/documents_keys_tell", run_ids=[done.run_id])
    assert [tuple(row) for row in found] == [("documents:chargebacks", 1)]
    assert len(fetch_all(store, "SELECT * FROM core.document_versions")) == 1, "both are kept"
