"""The signature against the vendor's and PHP's own answers, and every way a body can be refused."""

from __future__ import annotations

import copy
import json
import math
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from resources.data_api import signature
from resources.data_api.php_values import natural_key, php_float, php_text
from resources.data_api.signature import SignatureMismatch, UndecodableBody, decode, sign, verify

DATA = Path(__file__).parents[1] / "data"
SECRET = "made-up-secret"
VECTORS = json.loads((DATA / "signature_vectors.json").read_text("utf-8"), parse_float=Decimal)
ORDER = json.loads((DATA / "php_natural_order.json").read_text("utf-8"))
FLOATS = json.loads((DATA / "php_floats.json").read_text("utf-8"))["floats"]
PAGE = {
    "operations": [
        {
            "operation_id": str(number),
            "sum_initial": {"amount": 9007199254740993 + number, "currency": "EUR"},
            "sum_converted": None if number == 3 else {"amount": number, "currency": "USD"},
            "arn": "007",
            "signature": "a nested one is signed",
        }
        for number in range(12)
    ],
    "meta": {"page": 1},
}


def signed(params, secret=SECRET) -> bytes:
    return json.dumps({**params, "signature": sign(params, secret)}).encode()


def resigned(text: str) -> bytes:
    """Sign a body as it is written, to reach what no Python object could spell."""
    document = json.loads(text, parse_float=Decimal)
    return f'{text[:-1]}, "signature": "{sign(document, SECRET)}"}}'.encode()


@pytest.fixture(params=VECTORS, ids=[vector["name"] for vector in VECTORS])
def vector(request):
    return request.param


def test_the_vendors_signature_comes_out(vector):
    assert sign(vector["params"], vector["secret"]) == vector["signature"]
    assert sign({"signature": "left out", **vector["params"]}, vector["secret"]) == vector["signature"]


def test_the_vendors_signature_is_accepted_as_mapping_and_as_body(vector):
    document = {**vector["params"], "signature": vector["signature"]}
    body = json.dumps(document, default=float).encode()
    assert verify(document, vector["secret"])
    assert verify(body, vector["secret"])
    assert decode(body, vector["secret"]) == document
    assert not verify(document, "another")
    assert not verify(body, "another")


def test_the_fast_text_is_the_exact_one_and_pages_are_not_declined(vector):
    fast = signature.fast_signature_text(vector["params"])
    if vector["name"].startswith(("operations-page", "balance-response")):
        assert fast is not None
    assert fast in {None, signature.signature_text(vector["params"])}


@pytest.mark.parametrize(("left", "right", "expected"), ORDER["pairs"])
def test_two_strings_compare_as_in_php(left, right, expected):
    one, other = natural_key(left), natural_key(right)
    assert (one > other) - (one < other) == expected


@pytest.mark.parametrize("case", ORDER["lists"])
def test_keys_sort_as_in_php_and_equal_ones_keep_their_order(case):
    assert sorted(case["given"], key=natural_key) == case["sorted"]


@pytest.mark.parametrize(("literal", "expected"), FLOATS)
def test_a_float_prints_as_in_php(literal, expected):
    assert php_float(float(literal)) == expected
    assert php_text(Decimal(literal)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(math.inf, "INF"), (-math.inf, "-INF"), (math.nan, "NAN"), (2**70, str(2**70))]
)
def test_a_number_json_cannot_carry_still_prints(value, expected):
    assert php_text(value) == expected


@pytest.mark.parametrize("params", [{"a": object()}, {"a": b"x"}, {1: "x"}, {"a": {None: 1}}])
def test_what_is_not_json_cannot_be_signed(params):
    with pytest.raises(TypeError):
        sign(params, SECRET)
    assert signature.fast_signature_text({"rows": [params]}) is None


def test_a_later_value_of_one_path_wins_when_signing_but_is_refused_when_reading():
    crafted = {"a:": {"b": "1"}, "a": {":b": "2"}}
    assert signature.signature_text(crafted) == "a:::b:2"
    for body in (signed(crafted), {**crafted, "signature": sign(crafted, SECRET)}):
        with pytest.raises(UndecodableBody, match="one path"):
            verify(body, SECRET)


def test_one_path_twice_within_a_row_is_refused():
    crafted = {"operations": [{"a:": {"b": "1"}, "a": {":b": "2"}}]}
    assert signature.fast_signature_text(crafted) is None
    with pytest.raises(UndecodableBody, match="one path"):
        decode(signed(crafted), SECRET)


def test_one_path_twice_beside_the_rows_is_refused():
    crafted = {"operations": [{"x": "1"}], "a:": {"b": "1"}, "a": {":b": "2"}}
    assert signature.fast_signature_text(crafted) is None
    with pytest.raises(UndecodableBody, match="one path"):
        decode(signed(crafted), SECRET)


def test_zeros_at_the_start_of_a_rows_key_are_not_at_the_start_of_its_path():
    rows = [{"2": "a", "1": "b", "01": "c", "002": "d", "0a": "e", "00a": "f", "10": "g"}] * 12
    text = signature.fast_signature_text({"operations": rows})
    assert text == signature.signature_text({"operations": rows})
    assert text.startswith("operations:0:0a:e;operations:0:00a:f;operations:0:002:d;operations:0:01:c;operations:0:1:b")


def test_a_list_named_signature_is_left_out_at_the_top_alone():
    document = {"signature": [{"a": "1"}, {"a": "2"}], "operations": [{"signature": "b"}]}
    assert signature.fast_signature_text(document) == "operations:0:signature:b"
    assert signature.signature_text(document) == "operations:0:signature:b"


def test_what_shares_the_lists_place_in_the_order_is_left_to_the_exact_way():
    crafted = {"operations": [{"a": "1"}], "oper ations": {"0": "x"}, "operations:": {"k": "2"}}
    assert signature.fast_signature_text(crafted) is None
    assert decode(signed(crafted), SECRET)["oper ations"] == {"0": "x"}


@pytest.mark.parametrize(
    "literal", ["18446744073709551616", "-9223372036854775809", "9007199254740993", str(10**60), str(10**400), "-0"]
)
def test_no_integer_is_rounded(literal):
    for text in (f'{{"amount": {literal}}}', f'{{"operations": [{{"amount": {literal}}}]}}'):
        document = decode(resigned(text), SECRET)
        value = document.get("amount", document.get("operations", [{}])[0].get("amount"))
        assert type(value) is int
        assert value == int(literal)


def test_an_integer_that_orjson_rounds_is_told_from_the_one_it_is_rounded_to():
    body = resigned('{"operations": [{"amount": 18446744073709551617}]}')
    with pytest.raises(SignatureMismatch):
        decode(body.replace(b"18446744073709551617", b"18446744073709551616"), SECRET)


@pytest.mark.parametrize(
    "literal", ["0.1", "1.0", "1e2", "234.58", "0.12345678901234567890", "1e-400", "-0.0", "1e400", "-1.5E+9999"]
)
def test_a_float_comes_back_as_it_was_written(literal):
    document = decode(resigned(f'{{"operations": [{{"rate": {literal}}}]}}'), SECRET)
    value = document["operations"][0]["rate"]
    assert type(value) is Decimal
    assert str(value) == str(Decimal(literal))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{} {}",
        b"<html>",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1e-99999999999999999999}',
        b'{"a": 1e99999999999999999999}',
        b'{"a": 1e400, "b": NaN}',
        b'{"a": 1e400, "b": "\xff"}',
        b'{"a": 1e400, "\\uD800": []}',
        b'{"a": 1e400',
        b"[1e400]",
        b'{"a": "\\ud800"}',
        b'{"\\udfff": []}',
        b'{"a": "\xff"}',
        '{"a": "b"}'.encode("utf-16"),
        b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        b'{"a": ' + b"[" * 65 + b"1" + b"]" * 65 + b"}",
        b'{"a": ' + b"[" * 1000 + b"]" * 1000 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda body: repr(body[:24]).replace("\\", ""),  # so that each can be named on a command line
)
def test_a_body_that_cannot_be_read_is_refused_in_one_line(body):
    for read in (decode, verify):
        with pytest.raises(UndecodableBody) as caught:
            read(body, SECRET)
        assert "\n" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_deep_rows_are_read_the_exact_way_or_refused():
    row: dict = {"a": "1"}
    for _ in range(60):
        row = {"a": row}
    for rows in ([row], [{"b": "1"}, row]):
        assert signature.fast_signature_text({"operations": rows}) is None
    assert decode(signed({"operations": [row]}), SECRET)["operations"] == [row]


def test_a_mapping_with_a_lone_surrogate_is_refused():
    with pytest.raises(UndecodableBody):
        verify({"a": "\ud800", "signature": "x"}, SECRET)
    assert not verify({"a": "b", "signature": "\ud800"}, SECRET)


@pytest.mark.parametrize("mark", [None, 5, True, "", "ключ", ["x"], {"a": "b"}])
def test_no_signature_or_one_that_is_not_text_is_no_signature(mark):
    assert not verify({**PAGE, "signature": mark}, SECRET)
    assert not verify(json.dumps({**PAGE, "signature": mark}).encode(), SECRET)
    assert not verify(PAGE, SECRET)
    with pytest.raises(SignatureMismatch):
        decode(json.dumps(PAGE).encode(), SECRET)


def test_a_refusal_tells_neither_secret_nor_content():
    with pytest.raises(SignatureMismatch) as caught:
        decode(b'{"card": "4242424242424242", "signature": "zzzz"}', SECRET)
    assert not any(hidden in str(caught.value) for hidden in (SECRET, "4242", "zzzz"))


def test_a_signed_page_comes_back_whole_without_the_exact_parse(monkeypatch):
    monkeypatch.setattr(signature, "_parsed_exactly", None)
    assert decode(signed(PAGE), SECRET) == orjson.loads(signed(PAGE))


def places(value, path=()):
    """Yield the path to every value in a document, containers included."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def changes(document):
    """Yield the document with each single change there is: values, keys and rows, at every level."""
    for path in places(document):
        for change in (change_value, drop, rename, add, swap):
            changed = copy.deepcopy(document)
            if change(changed, path):
                yield f"{change.__name__} {path}", changed


def change_value(document, path):
    if not path or isinstance(at(document, path), dict | list):
        return False
    at(document, path[:-1])[path[-1]] = f"{at(document, path)}0"
    return True


def drop(document, path):
    if not path:
        return False
    del at(document, path[:-1])[path[-1]]
    return True


def rename(document, path):
    if not path or isinstance(path[-1], int):
        return False
    parent = at(document, path[:-1])
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return True


def add(document, path):
    place = at(document, path)
    if isinstance(place, dict):
        place["extra"] = ""
    elif isinstance(place, list):
        place.append(copy.deepcopy(place[0]))
    return isinstance(place, dict | list)


def swap(document, path):
    if not path or not isinstance(path[-1], int) or path[-1] == 0:
        return False
    rows = at(document, path[:-1])
    rows[0], rows[path[-1]] = rows[path[-1]], rows[0]
    return True


def test_every_single_change_to_a_signed_page_is_refused():
    mark = sign(PAGE, SECRET)
    seen = 0
    for what, changed in changes(PAGE):
        assert not verify(json.dumps({**changed, "signature": mark}).encode(), SECRET), what
        assert not verify({**changed, "signature": mark}, SECRET), what
        seen += 1
    assert seen > 300


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": None}, {"a": ""}),
        ({"a": True}, {"a": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": False}, {"a": 0}),
        ({"a": 0}, {"a": "0"}),
        ({"a": Decimal("1.5")}, {"a": "1.5"}),
        ({"a": Decimal("0.1")}, {"a": Decimal("0.100000000000000004")}),
        ({"a": Decimal("1.0")}, {"a": 1}),
        ({"a": "1"}, {"a": "1", "b": [], "c": {}, "d": [[], {}]}),
        ({"a": ["x", "y"]}, {"a": {"0": "x", "1": "y"}}),
        ({"a": ["x", "y"]}, {"a": {"1": "y", "0": "x"}}),
        ({"a": "b;c:d"}, {"a": "b", "c": "d"}),
        ({"a": "b:c"}, {"a": {"b": "c"}}),
    ],
)
def test_what_the_scheme_cannot_see_is_known(one, other):
    assert sign(one, SECRET) == sign(other, SECRET)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": {"b": "c"}}, {"a:b": "c"}),
        ({"a": None}, {}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": {"signature": "x"}}, {"a": {}}),
        ({"a": "007"}, {"a": "7"}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"a": "x "}, {"a": "x"}),
    ],
)
def test_what_the_scheme_does_see(one, other):
    assert sign(one, SECRET) != sign(other, SECRET)
