"""No row is ever dropped: unknown fields are kept, rejects too, and answers are united by id."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.normalize import (
    NOW,
    QUICK,
    SOME,
    exactly,
    normalized,
    numbers,
    only,
    reason_of,
    records,
    texts,
    told,
    united,
    values,
    written_times,
)
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.schema import json_text

# Unknown fields


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2**80, str(2**80)),
        (Decimal("0.10"), "0.10"),
        (Decimal("1234567890.123456789012345678901234567890"), "1234567890.123456789012345678901234567890"),
        ({"points": [1, None, True, "é"]}, '{"points":[1,null,true,"é"]}'),
        ("", '""'),
        ('quotes " and \\', '"quotes \\" and \\\\"'),
        (False, "false"),
        ([], "[]"),
    ],
)
def test_an_unknown_field_is_kept_in_extra_as_it_came(value, text):
    assert only({"loyalty": value})["extra"] == f'{{"loyalty":{text}}}'


def test_an_unknown_field_that_is_null_says_nothing():
    assert only({"loyalty": None})["extra"] is None


def test_a_field_named_like_a_column_of_ours_does_not_reach_that_column():
    ours = {"extra": 1, "observed_at": "x", "account": "y", "window_id": 2, "sum_initial_amount": 7, "": "?"}
    record = only(ours | {"sum_initial": {"amount": 1, "currency": "EUR"}})
    assert exactly(record.pop("extra")) == ours
    assert record["observed_at"] == NOW
    assert record["sum_initial_amount"] == 1


@SOME
@given(text=st.lists(st.sampled_from(["\\", "\\u0000", "u0000", "\x00", '"', "a"]), max_size=5).map("".join))
def test_an_unknown_field_is_refused_for_the_character_u0000_and_not_for_text_that_looks_like_its_escape(text):
    rows = ({"loyalty": text}, {"loyalty": [{"a": text}]}, {f"l{text}": 1}, {"sum_initial": {f"x{text}": 1}})
    batch = normalized(*({"operation_id": str(number)} | row for number, row in enumerate(rows)))
    if "\x00" in text:
        assert {reject.reason for reject in batch.rejects} == {
            "an unknown field contains U+0000, which PostgreSQL cannot store"
        }
        assert len(batch.rejects) == len(rows)
    else:
        assert [exactly(record["extra"]) for record in records(batch)] == [*rows]


@pytest.mark.parametrize(
    ("number", "beyond"),
    [
        (Decimal("1E+100000"), Decimal("1E+100001")),
        (Decimal("1E-16000"), Decimal("1E-16001")),
    ],
)
def test_an_unknown_number_beyond_what_the_database_holds_is_refused(number, beyond):
    reason = "an unknown field contains a number that is too long for PostgreSQL"
    assert reason_of({"loyalty": [beyond]}) == reason
    assert told(only({"loyalty": number})).keys() == {"operation_id", "extra"}


# Rejects


@pytest.mark.parametrize("row", [None, "row", 7, True, [], [{"operation_id": "1"}], Decimal("1.5")])
def test_a_row_that_is_no_object_is_kept_among_the_rejects(row):
    assert reason_of(row) == "the row is not an object"
    (reject,) = normalized({"operation_id": "1"}, row).rejects
    assert exactly(reject.raw_json) == row


@pytest.mark.parametrize("row", [{}, {"operation_id": None}, {"operation_id": ""}, {"payment_id": "1"}])
def test_a_row_without_an_id_is_kept_among_the_rejects(row):
    batch = normalized(row, {"operation_id": "2"})
    assert [record["operation_id"] for record in records(batch)] == ["2"]
    (reject,) = batch.rejects
    assert (reject.reason, exactly(reject.raw_json), reject.observed_at) == ("operation_id is missing", row, NOW)


@pytest.mark.parametrize("value", [True, {"a": 1}, [1]])
def test_an_id_that_is_no_text_is_refused(value):
    assert reason_of({"operation_id": value}).startswith("operation_id is a")


def test_a_row_with_many_faults_is_one_reject():
    row = {"operation_id": "1", "sum_initial": "?", "arn": True, "provider_date": "?", "x": "\x00"}
    assert reason_of(row) == 'sum_initial is "?", not an object of amount and currency'


def test_a_reject_keeps_every_number_as_it_came():
    row = {"arn": [], "a": Decimal("1.10"), "b": 2**90, "c": [Decimal("-0.0")], "d": "é"}
    (reject,) = normalized({"operation_id": "1"} | row).rejects
    assert reject.raw_json == f'{{"operation_id":"1","arn":[],"a":1.10,"b":{2**90},"c":[-0.0],"d":"é"}}'


JSON_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
DOCUMENTS = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False), JSON_TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(JSON_TEXTS, inner, max_size=3)),
    max_leaves=8,
)


@QUICK
@given(document=DOCUMENTS)
def test_json_text_keeps_every_value(document):
    assert exactly(json_text(document)) == document


# Whole answers


@st.composite
def rows(draw):
    """Draw a row: mostly of known fields with a likely value, of any set of keys, now and then something else."""
    likely = {
        "operation_id": st.one_of(st.sampled_from(["1", "2", "3"]), values),
        "payment_id": texts,
        "operation_status": st.sampled_from(["success", "decline", "", None]),
        "provider_date": st.one_of(written_times().map(lambda written: written[0]), values),
        "sum_initial": st.one_of(
            st.fixed_dictionaries({"amount": st.one_of(st.none(), numbers), "currency": st.just("EUR")}), values
        ),
        "completed_refund": st.one_of(st.integers(0, 100), values),
        "loyalty": st.one_of(values, st.dictionaries(JSON_TEXTS, values, max_size=2)),
    }
    return draw(
        st.one_of(st.fixed_dictionaries({}, optional=likely), st.fixed_dictionaries({}, optional=likely), values)
    )


@SOME
@given(answer=st.lists(rows(), max_size=6))
def test_no_row_is_ever_dropped(answer):
    batch = normalized(*answer)
    assert batch.table.num_rows + len(batch.rejects) == len(answer)
    left = list(answer)
    for reject in batch.rejects:
        left.remove(exactly(reject.raw_json))  # the row itself, number by number
    assert [record["operation_id"] for record in records(batch)] == [str(row["operation_id"]) for row in left]


@SOME
@given(answer=st.lists(rows(), max_size=5))
def test_a_row_is_typed_the_same_whatever_rows_and_keys_stand_beside_it(answer):
    together = normalized(*answer)
    alone = [normalized(row) for row in answer]
    assert records(together) == [record for batch in alone for record in records(batch)]
    assert sorted(map(repr, together.rejects)) == sorted(repr(reject) for batch in alone for reject in batch.rejects)


@pytest.mark.parametrize(
    ("row", "name"),
    [({"operation_id": "7"}, "7"), ({"operation_id": 7}, "7"), ({"arn": "1"}, '{"arn":"1"}'), ([1], "[1]")],
)
def test_rows_are_told_apart_by_their_id_and_without_one_by_all_they_say(row, name):
    assert OPERATIONS.identity(row) == name


# Several answers of one window


def test_of_an_operation_met_twice_the_later_observation_stays():
    first = normalized({"operation_id": "1", "arn": "old"}, {"operation_id": "2"}, at=NOW)
    later = NOW + timedelta(seconds=1)
    second = normalized({"operation_id": "1", "arn": "new"}, {"operation_id": "3"}, at=later)
    for batches in ((first, second), (second, first)):
        rows = united(*batches)
        found = [(record["operation_id"], record["arn"], record["observed_at"]) for record in records(rows)]
        assert found == [("1", "new", later), ("2", None, NOW), ("3", None, later)]


@pytest.mark.parametrize(
    "other", [{"operation_id": "1", "arn": "b"}, {"operation_id": 1}, {"operation_id": "1", "arn": "a", "new": 1}]
)
def test_of_two_different_rows_with_one_id_in_one_answer_the_last_stays_and_the_other_is_a_reject(other):
    rows = united(normalized(other, {"operation_id": "1", "arn": "a"}, {"operation_id": "1", "arn": "a"}))
    assert [record["arn"] for record in records(rows)] == ["a"]
    assert [(exactly(reject.raw_json), reject.reason, reject.field) for reject in rows.rejects] == [
        (other, "another row of the same answer has this operation_id, and differs", "operation_id")
    ]


def test_a_row_that_stands_twice_in_one_answer_is_one():
    rows = united(normalized({"operation_id": "1", "arn": "a"}, {"operation_id": 1, "arn": "a"}))
    assert ([record["arn"] for record in records(rows)], rows.rejects) == (["a"], ())


def test_united_rows_are_sorted_by_byte():
    ids = ["10", "9", "09", "1", "a", "B", "é", "e", "\uffff", "\U00010000", " ", "日", "~"]
    rows = united(normalized(*({"operation_id": number} for number in ids)))
    assert [record["operation_id"] for record in records(rows)] == sorted(ids, key=str.encode)


def test_a_reject_met_twice_is_one_reject_the_later():
    later = NOW + timedelta(seconds=1)
    batches = normalized(["x"], {"arn": "1"}), normalized({"arn": "1"}, ["y"], at=later)
    for rows in (united(*batches), united(*reversed(batches))):
        assert [(reject.raw_json, reject.observed_at) for reject in rows.rejects] == [
            ('["x"]', NOW),
            ('{"arn":"1"}', later),
            ('["y"]', later),
        ]


def test_a_row_rejected_once_and_typed_later_stands_on_both_sides():
    rows = united(normalized({"operation_id": "1", "arn": []}), normalized({"operation_id": "1", "arn": "a"}))
    assert [record["arn"] for record in records(rows)] == ["a"]
    assert len(rows.rejects) == 1


def test_nothing_united_is_an_empty_frame_with_all_columns():
    for rows in (united(), united(normalized()), united(normalized(), normalized())):
        assert (len(rows.frame), rows.rejects) == (0, ())


def test_an_answer_without_a_column_does_not_change_its_type():
    rows = united(normalized({"operation_id": "1"}), normalized({"operation_id": "2", "completed_refund": 2**53 + 1}))
    assert [record["completed_refund"] for record in records(rows)] == [None, 2**53 + 1]


@SOME
@given(answers=st.lists(st.lists(st.sampled_from("abcdé"), max_size=4), max_size=4))
def test_united_answers_hold_each_operation_met_as_it_was_met_last(answers):
    batches, last = [], {}
    for second, ids in enumerate(answers):
        at = NOW + timedelta(seconds=second)
        batches.append(normalized(*({"operation_id": name, "arn": str(second)} for name in ids), at=at))
        last |= dict.fromkeys(ids, (str(second), at))
    rows = united(*batches)
    assert [(record["operation_id"], (record["arn"], record["observed_at"])) for record in records(rows)] == sorted(
        last.items(), key=lambda item: item[0].encode()
    )
