"""Documents as rows: none is lost, keys do not collide, numbers stay exact, personal paths are covered."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.erasure import Named
from pipelines.ingest.documents import document_stream
from pipelines.ingest.normalize import Batch, Frame, concat, normalize
from pipelines.ingest.privacy import mask_document
from pipelines.ingest.schema import canonical
from resources.data_api.errors import UnexpectedShape
from resources.documents import DocumentsConfig
from resources.settings import PersonalSettings, Secret

AT = datetime(2024, 3, 1, tzinfo=UTC)
LATER = datetime(2024, 3, 2, tzinfo=UTC)
KEEP = PersonalSettings()
KEYED = document_stream(DocumentsConfig("x", "a/b", {}, key=(("id",),)))
UNKEYED = document_stream(DocumentsConfig("x", "a/b", {}))
PAIR = document_stream(DocumentsConfig("x", "a/b", {}, key=(("a",), ("b",))))

numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def answer(stream, rows, at=AT) -> Batch:
    return normalize(stream.schema, rows, at)


def united(stream, *answers) -> Frame:
    return concat(stream.schema, answers)


def rows_of(rows: Frame) -> dict[str, str]:
    return dict(zip(rows.frame["document_key"], rows.frame["document"], strict=True))


@given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 3)}, optional={"note": values}) | values, max_size=6))
def test_every_row_is_a_document_or_a_reject_and_the_same_again(rows):
    for stream in (KEYED, UNKEYED):
        once = united(stream, answer(stream, rows))
        kept = set(rows_of(once).values()) | {canonical(_read(reject.raw_json)) for reject in once.rejects}
        assert kept == {canonical(row) for row in rows}
        again = united(stream, answer(stream, rows), answer(stream, rows))
        assert rows_of(again) == rows_of(once)


def _read(text: str):
    return json.loads(text, parse_float=Decimal)


@given(values)
def test_the_canonical_text_is_the_value_to_the_digit_and_knows_no_order_of_keys(value):
    text = canonical(value)
    assert canonical(_read(text)) == text
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == text


@given(st.tuples(st.text(min_size=1), st.text(min_size=1)), st.tuples(st.text(min_size=1), st.text(min_size=1)))
def test_two_pairs_of_values_have_one_key_only_when_they_are_equal(left, right):
    keys = {PAIR.identity({"a": a, "b": b}) for a, b in (left, right)}
    assert len(keys) == len({left, right})


def test_of_a_document_met_twice_the_later_state_stands():
    answers = [answer(KEYED, [{"id": 1, "stage": stage}], at) for stage, at in (("b", LATER), ("a", AT))]
    assert rows_of(united(KEYED, *answers)) == {"1": '{"id":1,"stage":"b"}'}


@pytest.mark.parametrize("number", ["1E+200000", "1E-17000"])
def test_a_number_beyond_what_the_database_holds_is_a_reject(number):
    batch = answer(KEYED, [{"id": 1, "n": [Decimal(number)]}])
    assert [reject.reason for reject in batch.rejects] == [
        "the document contains a number that is too long for PostgreSQL"
    ]


def test_the_list_is_where_it_is_configured_or_the_only_one_or_the_answer_is_the_document():
    body = {"data": {"items": [1, 2]}, "signature": "s"}
    assert document_stream(DocumentsConfig("s", "e", {}, rows=("data", "items"))).rows(body) == [1, 2]
    assert UNKEYED.rows({"rows": [1], "total": 1, "signature": "s"}) == [1]
    assert UNKEYED.rows(body) == [{"data": {"items": [1, 2]}}]
    with pytest.raises(UnexpectedShape, match=r"several lists: name one .* it has a \(a list\), b \(a list\)"):
        UNKEYED.rows({"a": [], "b": [], "signature": "s"})


def test_personal_paths_reach_through_lists_and_hash_as_columns_of_that_name_do():
    personal = PersonalSettings("hash", Secret("a-key-of-the-tests-only"))
    row = {"people": [{"mail": "x"}, {"mail": 7}, {"other": "x"}], "deep": {"customer_email": "x"}, "x": None}
    hidden = mask_document(row, personal, [("people", "mail"), ("x",), ("not", "there")])
    assert hidden["people"][2] == {"other": "x"}
    assert len(hidden["people"][0]["mail"]) == len(hidden["people"][1]["mail"]) == 64
    assert hidden["deep"]["customer_email"] != hidden["people"][0]["mail"]
    assert mask_document(row, PersonalSettings("drop"), [("people",)])["people"] is None
    assert mask_document(row, KEEP, [("people",)]) == row


def test_a_document_is_the_persons_by_a_whole_value_and_not_by_a_part_of_one():
    named = Named(frozenset({"anna"}), frozenset({"77"}))
    assert named.is_in({"a": [{"b": "ANNA"}]})
    assert named.is_in({"operation_id": 77})
    assert named.is_in({"operation": {"id": "77"}})
    assert not named.is_in({"a": "joanna", "amount": 77, "id": "77"})
    assert named.key_without('["anna","1"]').startswith("erased-")
    assert named.key_without("joanna") == "joanna"
