"""Nothing is bent on the way into the store, and the totals show it."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.commands import fetch_all
from fixtures.load import (
    HOSTILE,
    PROPERTY,
    STATES,
    accounts,
    ledger_is_sound,
    load_rows,
    page_of,
    row,
    stored,
    typed,
    versions,
)
from pipelines.ingest.operations import OPERATIONS
from resources.warehouse.ledger import ControlTotal
from resources.warehouse.load import control_totals, rows_digest

# Nothing is bent on the way

hostile = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20),
    st.text(st.sampled_from('",\\.\r\n\t =Nn'), max_size=12),
)


@PROPERTY
@example(texts=list(itertools.pairwise([*HOSTILE, *reversed(HOSTILE)])))
@given(texts=st.lists(st.tuples(hostile, hostile), min_size=1, max_size=20))
def test_every_text_arrives_to_the_byte(store, texts):
    account = next(accounts)
    rows = [row(number, payment_description=a, arn=b, later={a: [b]}) for number, (a, b) in enumerate(texts)]
    report = load_rows(store, *rows, account=account)
    assert report.rows_new == len(texts)
    found = {operation["operation_id"]: operation for operation in stored(store, account)}
    for number, (a, b) in enumerate(texts):
        operation = found[str(number)]
        assert (operation["payment_description"], operation["arn"]) == (a or None, b or None)
        assert operation["extra"] == {"later": {a: [b]}}
    assert load_rows(store, *rows, second=1, account=account).rows_unchanged == len(texts), "and compares as equal"


@PROPERTY
@example(ids=HOSTILE)
@given(ids=st.lists(hostile.filter(bool), min_size=1, max_size=20, unique=True))
def test_whatever_an_id_is_made_of_it_is_its_own(store, ids):
    account = next(accounts)
    for second in range(2):
        load_rows(store, *(row(name, STATES[second]) for name in ids), second=second, account=account)
    assert [operation["operation_id"] for operation in stored(store, account)] == sorted(ids, key=str.encode)
    assert len(versions(store, account)) == len(ids)


@pytest.mark.parametrize("account", ["default", "it's", 'a"b', "a,b", "ü", "%s", ":x"])
def test_whatever_an_account_is_called_it_is_its_own(store, account):
    load_rows(store, row(1, "processing"), {"arn": "no id"}, account=account, pages=[page_of()])
    load_rows(store, row(1, "success"), second=1, account=account)
    assert [operation["account"] for operation in stored(store, account)] == [account]
    assert len(versions(store, account)) == 1
    assert ledger_is_sound(store, account)


def test_times_arrive_exactly_from_the_first_to_the_last(store):
    times = [
        "0001-01-01 00:00:00",
        "1969-12-31T23:59:59.999999Z",
        "2024-03-31T02:30:00.000001+01:00",
        "9999-12-31 23:59:59",
    ]
    load_rows(store, *(row(number, provider_date=time) for number, time in enumerate(times)))
    found = [operation["t"] for operation in stored(store, what="provider_date AT TIME ZONE 'UTC' AS t")]
    assert found == [
        datetime(1, 1, 1),
        datetime(1969, 12, 31, 23, 59, 59, 999_999),
        datetime(2024, 3, 31, 1, 30, 0, 1),
        datetime(9999, 12, 31, 23, 59, 59),
    ]


def test_a_number_in_extra_arrives_digit_by_digit(store):
    digits = {"a": 2**80, "b": Decimal("0.10"), "c": Decimal("12345678901234567890.123456789012345678901")}
    load_rows(store, row(1, **digits))
    found = stored(store, what="extra ->> 'a' AS a, extra ->> 'b' AS b, extra ->> 'c' AS c")
    assert found == [{name: str(number) for name, number in digits.items()}]


# Control totals


def test_sums_beyond_64_bits_are_exact_in_the_report_and_in_the_ledger(store):
    largest = 2**63 - 1
    report = load_rows(store, *(row(number, amount=largest) for number in range(3)))
    assert report.totals == (ControlTotal("EUR", None, "success", 3, 3 * largest),)
    (entry,) = fetch_all(store, "SELECT totals_met, totals_written FROM sync.windows")
    assert entry["totals_met"] == entry["totals_written"]
    assert entry["totals_met"] == [
        {"currency": "EUR", "type": None, "status": "success", "count": 3, "minor": str(3 * largest)}
    ]


@PROPERTY
@given(
    rows=st.lists(
        st.builds(
            lambda status, kind, currency, amount: {
                "operation_status": status,
                "operation_type": kind,
                "sum_initial": {"currency": currency, "amount": amount},
            },
            st.sampled_from(["success", "decline", None]),
            st.sampled_from(["sale", "é", None]),
            st.sampled_from(["EUR", "JPY", "XXQ", None]),
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        ),
        max_size=12,
    )
)
def test_totals_never_mix_currencies_types_or_states_and_are_those_of_the_rows(store, rows):
    counts: Counter = Counter()
    sums: dict = {}
    for each in rows:
        money = each["sum_initial"]
        key = (money["currency"], each["operation_type"], each["operation_status"])
        counts[key] += 1
        if money["amount"] is not None:
            sums[key] = sums.get(key, 0) + money["amount"]
    account = next(accounts)
    report = load_rows(
        store, *(each | {"operation_id": str(number)} for number, each in enumerate(rows)), account=account
    )
    assert {(t.currency, t.type, t.status): (t.count, t.minor) for t in report.totals} == {
        key: (count, sums.get(key)) for key, count in counts.items()
    }
    assert len(report.totals) == len(counts)
    (entry,) = fetch_all(store, "SELECT * FROM sync.windows WHERE account = :account", account=account)
    assert entry["totals_met"] == entry["totals_written"], "the same totals in the same order, made by two programs"


def test_what_a_walk_wrote_adds_up_for_ever_whatever_replaces_it_later(store):
    first = load_rows(store, row(1, "processing"), row(2, "processing", 7))
    load_rows(store, row(1, "success"), row(2, "decline", 9), second=5)
    load_rows(store, row(1, "decline"), second=9)
    (written,) = fetch_all(store, "SELECT sync.written_totals(:id) AS totals", id=first.window_id)
    assert written["totals"] == [{"currency": "EUR", "type": None, "status": "processing", "count": 2, "minor": "107"}]
    assert ledger_is_sound(store)


def digest(*rows, second=0) -> str:
    return rows_digest(typed({second: rows}).frame)


def test_the_same_rows_have_the_same_digest_whenever_they_were_observed(store):
    assert digest(row(1), row(2)) == digest(row(2), row(1), second=9)


@pytest.mark.parametrize(
    "other",
    [
        [row(1)],
        [row(1), row(2), row(3)],
        [row(1), row(2, "decline")],
        [row(1), row(2, amount=101)],
        [row(1), row(2, unknown=None, known=0)],
        [row(1), row(2, provider_date="2024-03-01 00:00:00.000001")],
        [row(1), row(2, arn=" ")],
        [row(1, arn="a"), row(2)],
    ],
)
def test_other_rows_have_another_digest(other):
    assert digest(*other) != digest(row(1), row(2))


def test_no_rows_have_no_totals():
    assert control_totals(OPERATIONS, typed({}).frame) == []
