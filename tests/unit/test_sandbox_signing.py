"""The sandbox signs as the vendor does, and its quick way for pages gives what the plain way gives."""

import json
import random
from pathlib import Path

import pytest

from resources.sandbox import Query, World, signing
from resources.sandbox.api import Listing, encode_row
from resources.sandbox.operations import View, zone

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "signature_vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_signs_as_the_vendor_does(vector):
    assert signing.sign(vector["params"], vector["secret"]) == vector["signature"]
    assert signing.verify({**vector["params"], "signature": vector["signature"]}, vector["secret"])


@pytest.mark.parametrize("signature", [None, "", "é", 7, VECTORS[1]["signature"]])
def test_a_wrong_signature_is_no_signature(signature):
    params = {**VECTORS[0]["params"], "signature": signature}
    assert not signing.verify(params, VECTORS[0]["secret"])


@pytest.mark.parametrize(
    ("left", "right", "expected"),  # the expectations are PHP 8.2's strnatcmp
    [
        ("operations:2:arn", "operations:10:arn", -1),
        ("K", "k", -1),
        ("", "a", -1),
        ("", "", 0),
        ("007", "7", 0),
        ("00", "0", 0),
        ("a007", "a7", -1),
        ("a01", "a002", 1),
        (":22_b", ":020122", 1),
        ("a 10", "a9", 1),
        (" a", "a", 0),
        ("a1", "a1b", -1),
        ("secure_3ds", "secure_ds", -1),
        ("é", "z", 1),
        ("9007199254740993", "9007199254740992", 1),
    ],
)
def test_natural_order_is_php_s(left, right, expected):
    assert signing.natural_compare(left, right) == expected
    assert signing.natural_compare(right, left) == -expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (1e25, "1.0E+25"),
        (1.5e-7, "1.5E-7"),
        (1 / 3, "0.33333333333333"),
        (-0.0, "-0"),
    ],
)
def test_floats_are_cast_as_php_does(value, text):
    assert signing.text_to_sign({"x": value}) == f"x:{text}".encode()


def test_quick_page_text_is_the_plain_one():
    world = World.generate(seed=3, start="2024-03-01", days=20, operations=400, now="2024-05-01")
    check_page(world, View())
    check_page(world, View(zone("Asia/Tokyo"), "plain", ("arn", "sum_initial.amount", "customer_email")))


def test_quick_page_text_is_the_plain_one_for_hostile_rows():
    hostile = [
        "%s %d %%",
        "\0",
        "a\0b\0",
        "\x01;operations:0:arn:x",
        "",
        None,
        "日本 é",
        9007199254740993,
        1.5,
        True,
    ]
    hostile += [[], {}, ["a", {"b": "c"}], {"a:b": 1, "k10": 2, "k9": 3}, 10**30, "\ud800"]
    rows = [{"a:b": "c", "operation_id": "1", "n": value, "A": value} for value in hostile]
    rows += [{"x": value} for value in hostile] + [{"%s": "x", "a::": "y"}, {}]
    world = World()
    for number, row in enumerate(rows):
        world.add({**row, "operation_id": str(number)}, "2024-01-01", exact=True)
    world.set_now("2024-02-01")
    check_page(world, View())


def test_quick_row_text_for_rows_of_every_shape():
    chance = random.Random(5)
    values = [
        "",
        "x:y",
        None,
        0,
        -5,
        True,
        False,
        {"amount": 5, "currency": "EUR"},
        {},
        {"n": {"m": 1}},
        [1, 2],
    ]
    for _ in range(300):
        names = chance.sample(["a", "B", "b10", "b9", "b_2", "a:x", "001", "1", " s", "é"], chance.randint(1, 9))
        rows = [{name: chance.choice(values) for name in names} for _ in range(chance.randint(1, 12))]
        quick = signing.join_rows(signing.row_text("rows", row) for row in rows)
        assert quick == signing.text_to_sign({"rows": rows})


def check_page(world, view):
    states = world.page(Query(), 0, len(world))
    assert len(states) == len(world)
    rows = [state.row(view) for state in states]
    shown, text = Listing("operations", list(map(encode_row, rows))).content()
    assert text == signing.text_to_sign({"operations": rows})
    assert json.loads(shown) == rows
