"""Pages read straight into Arrow columns: the same rows and verdict as the exact way, or none at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.data_api import signature
from resources.data_api.signature import SignatureMismatch, UndecodableBody
from resources.data_api.signature_arrow import decode_rows
from tests.unit.test_signature_properties import (
    QUICK,
    SECRET,
    SOME,
    body_of,
    changed_pages,
    pages,
    texts,
)

ROW = {"operation_id": "1", "arn": "007", "sum": {"amount": 5, "currency": "EUR"}, "note": None, "number": -3}


def signed(*rows: dict, **others) -> bytes:
    document = {"operations": list(rows), **others}
    return body_of(document | {"signature": signature.sign(document, SECRET)})


def rows_of(body: bytes) -> list | None:
    proved = decode_rows(body, SECRET, "operations")
    return None if proved is None else proved.rows.to_pylist()


def filled(row: dict) -> dict:
    """An empty object, or PHP's empty list, stands in a column as an object of nulls."""
    return row if row.get("sum") not in ({}, []) else row | {"sum": {"amount": None, "currency": None}}


def test_a_plain_page_is_read_with_its_signature():
    body = signed(ROW, ROW | {"operation_id": "2", "note": "é;:"})
    proved = decode_rows(body, SECRET, "operations")
    assert proved.rows.to_pylist() == [ROW, ROW | {"operation_id": "2", "note": "é;:"}]
    assert proved.signature == json.loads(body)["signature"]


@pytest.mark.parametrize("odd", [None, {}, [], {"amount": None, "currency": "EUR"}], ids=str)
def test_a_sum_that_is_null_or_empty_here_and_there_is_signed_as_it_is(odd):
    rows = [ROW, ROW | {"sum": odd}, ROW, ROW | {"sum": odd}]
    assert rows_of(signed(*rows)) == [filled(row) for row in rows]


def test_null_empty_and_filled_sums_may_stand_in_one_page():
    rows = [ROW | {"sum": value} for value in (ROW["sum"], None, {}, [], ROW["sum"])]
    assert rows_of(signed(*rows)) == [filled(row) for row in rows]


plain_rows = st.lists(
    st.fixed_dictionaries(
        {
            "x10": st.none() | texts,
            "a:b": texts,
            "x9": st.none() | st.integers(-(2**63), 2**63 - 1),
            "sum": st.none() | st.just({}) | st.fixed_dictionaries({"amount": st.integers(0, 9), "currency": texts}),
        }
    ),
    max_size=30,
)


@QUICK
@given(plain_rows)
def test_pages_of_plain_rows_are_not_declined(rows):
    first = {"x10": "t", "a:b": "t", "x9": 1, "sum": {"amount": 1, "currency": "EUR"}}
    body = signed(first, *rows)
    if b'\\":' not in body and b':":' not in body:  # such a text looks like the end of a name
        assert rows_of(body) == [filled(row) for row in (first, *rows)]


@QUICK
@given(pages(largest=60))
def test_what_is_read_is_what_the_exact_way_reads(document):
    body = body_of({**document, "signature": signature.sign(document, SECRET)})
    for name, rows in document.items():
        proved = decode_rows(body, SECRET, name)
        if proved is not None:
            exact = signature.decode(body, SECRET)[name]
            assert [*map(_without_empty, proved.rows.to_pylist())] == [*map(_without_empty, exact)]
            assert len(proved.rows) == len(rows)


def _without_empty(value):
    if not isinstance(value, dict):
        return None if value in ({}, []) else value
    inner = {key: _without_empty(child) for key, child in value.items()}
    return inner if any(child is not None for child in inner.values()) else None


@SOME
@given(changed_pages())
def test_what_the_exact_way_refuses_is_never_read(pair):
    before, after = pair
    changed = body_of({**after, "signature": signature.sign(before, SECRET)})
    for name in after:
        try:
            signature.decode(changed, SECRET)
        except (SignatureMismatch, UndecodableBody):
            assert decode_rows(changed, SECRET, name) is None


CHANGES = {
    "a value": (b'"007"', b'"008"'),
    "a number": (b":5,", b":6,"),
    "a null that is taken out": (b',"note":null', b""),
    "a null that is taken out, while a text looks like a key": (b',"note":null,"number":-3', b',"number":"x\\":y"'),
    "a null that makes room for a key that stands twice": (b'"note":null', b'"arn":"007"'),
    "a sum that is emptied": (b'{"amount":5,"currency":"EUR"}', b"{}"),
    "a sum that is made null": (b'{"amount":5,"currency":"EUR"}', b"null"),
    "a key": (b'"arn"', b'"rrn"'),
    "a row that is taken out": (b"},{", b"}],[{"),
    "something behind the end": (b'"}', b'"}{}'),
    "bytes that are no UTF-8": (b'"007"', b'"00\xff"'),
    "the signature": (b'"signature":"', b'"signature":"A'),
    "the signature taken out": (b'"signature"', b'"other"'),
    "a row that is null": (b"},{", b"},null,{"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_page_is_not_read(change):
    body = signed(ROW, ROW)
    old, new = CHANGES[change]
    assert rows_of(body) == [ROW, ROW]
    assert body.count(old)
    assert rows_of(body.replace(old, new, 1)) is None


LEFT = {
    "a float": ROW | {"number": 1.5},
    "a boolean": ROW | {"number": True},
    "a large integer": ROW | {"number": 2**63},
    "a key too few": {key: value for key, value in ROW.items() if key != "note"},
    "a key too many": ROW | {"more": "x"},
    "a list": ROW | {"note": ["x"]},
    "an object where others have text": ROW | {"arn": {"x": "y"}},
    "a number where others have text": ROW | {"arn": 7},
    "a text that looks like a key": ROW | {"note": 'a":b'},
}


@pytest.mark.parametrize("left", LEFT)
def test_what_is_not_plain_is_left_to_the_exact_way(left):
    body = signed(ROW, LEFT[left])
    assert rows_of(body) is None
    assert signature.decode(body, SECRET)["operations"][0]["arn"] == "007"


def test_a_page_whose_signature_is_null_is_left_to_the_exact_way():
    assert rows_of(body_of(json.loads(signed(ROW)) | {"signature": None})) is None


def test_further_keys_beside_the_rows_are_left_to_the_exact_way():
    assert rows_of(signed(ROW, total=1)) is None


@SOME
@given(st.binary(max_size=60))
def test_any_bytes_are_declined(body):
    assert rows_of(body) is None
    assert rows_of(b'{"operations":[' + body) is None
