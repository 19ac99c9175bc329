"""Properties of the signature on made-up pages: the two ways agree, and nothing signed can be changed."""

from __future__ import annotations

import copy
import json
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from resources.data_api import signature

SECRET = "made-up-secret öß"
QUICK = settings(
    max_examples=examples(100),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
SOME = settings(QUICK, max_examples=examples(20))

ODD_KEYS = [
    "",
    ":",
    "a:",
    ":b",
    "a:b",
    "%s",
    "%",
    "a b",
    "ab",
    "01",
    "1",
    "10",
    "2",
    "k9",
    "k10",
    "K",
    "я",
    "\t0",
    "signature",
]
plain_keys = st.sampled_from(["arn", "rrn", "sum_initial", "x9", "x10", "100%", "ключ", "a:b", "secure_3ds_check"])
keys = st.one_of(plain_keys, st.sampled_from(ODD_KEYS), st.text(max_size=3))
texts = st.one_of(st.sampled_from(["", "a:b;c", "%s", "007", "naïve 日本"]), st.text(max_size=6))
decimals = st.floats(allow_nan=False, allow_infinity=False).map(repr).map(Decimal)
integers = st.one_of(st.integers(-5, 5), st.integers(-(2**70), 2**70))
scalars = st.one_of(texts, st.none(), st.booleans(), integers, decimals)
anything = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def pages(draw, row_keys=keys, values=anything, others=anything, largest=1000):
    """Draw a page of few shapes, repeated to as many rows as a page may have, half of them numbered."""
    shapes = draw(st.lists(st.dictionaries(row_keys, values, max_size=5), min_size=1, max_size=3))
    size = draw(st.one_of(st.integers(0, 13), st.integers(0, largest)))
    rows = [copy.deepcopy(shapes[number % len(shapes)]) for number in range(size)]
    for number, row in enumerate(rows):
        if row and number % 2:
            row[next(iter(row))] = str(number)
    document = draw(st.dictionaries(keys, others, max_size=2))
    document[draw(st.sampled_from(["operations", "balance", "1", "a:b", "%s rows"]))] = rows
    document.pop("signature", None)
    return document


def body_of(document) -> bytes:
    """Write JSON with every number exactly as the document holds it."""

    def written(value) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{json.dumps(key)}:{written(child)}" for key, child in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(written, value)) + "]"
        if isinstance(value, Decimal):
            literal = str(value)
            return literal if "." in literal or "E" in literal else f"{literal}E0"
        return json.dumps(value)

    return written(document).encode()


@QUICK
@given(pages())
def test_the_fast_text_is_the_exact_text_or_none(document):
    assert signature.fast_signature_text(document) in {None, signature.signature_text(document)}


@QUICK
@given(
    pages(
        row_keys=plain_keys,
        values=st.one_of(scalars, st.dictionaries(plain_keys, scalars, max_size=2)),
        others=st.just("x"),
    )
)
def test_rows_of_scalars_and_objects_are_not_declined(document):
    rows = max((value for value in document.values() if isinstance(value, list)), key=len)
    text = signature.fast_signature_text(document)
    assert text == signature.signature_text(document) if rows else text is None


@QUICK
@given(pages(largest=60))
def test_a_signed_page_comes_back_exactly(document):
    body = body_of({**document, "signature": signature.sign(document, SECRET)})
    try:
        read = signature.decode(body, SECRET)
    except signature.UndecodableBody as refusal:
        assert "one path" in str(refusal)  # noqa: PT017 - the one refusal that made-up keys may earn
        return
    del read["signature"]
    assert body_of(read) == body_of(document)
    assert signature.verify({**document, "signature": signature.sign(document, SECRET)}, SECRET)


def places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def at(document, path):
    for key in path:
        document = document[key]
    return document


@st.composite
def changed_pages(draw):
    """Draw a page and the same page with one thing changed, anywhere."""
    document = draw(pages(largest=30))
    changed = copy.deepcopy(document)
    path = draw(st.sampled_from(list(places(changed))))
    place = at(changed, path)
    kinds = [kind for kind in ("replace", "drop", "rename", "add", "swap") if path or kind == "add"]
    match draw(st.sampled_from(kinds)):
        case "replace":
            at(changed, path[:-1])[path[-1]] = draw(anything)
        case "drop":
            del at(changed, path[:-1])[path[-1]]
        case "rename" if isinstance(path[-1], str):
            parent = at(changed, path[:-1])
            parent[draw(keys)] = parent.pop(path[-1])
        case "add" if isinstance(place, dict):
            place[draw(keys)] = draw(anything)
        case "add" if isinstance(place, list):
            place.insert(draw(st.integers(0, len(place))), draw(anything))
        case "swap" if isinstance(place, list) and len(place) > 1:
            one, other = draw(st.permutations(range(len(place))))[:2]
            place[one], place[other] = place[other], place[one]
    changed.pop("signature", None)
    return document, changed


@settings(QUICK, max_examples=examples(100))
@given(changed_pages())
def test_a_change_is_refused_unless_the_scheme_itself_cannot_see_it(pair):
    document, changed = pair
    body = body_of({**changed, "signature": signature.sign(document, SECRET)})
    unseen = signature.signature_text(document) == signature.signature_text(changed)
    try:
        assert signature.verify(body, SECRET) == unseen
    except signature.UndecodableBody as refusal:
        assert "one path" in str(refusal)  # noqa: PT017 - refused is refused


@SOME
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_with_one_of_the_two_errors(body):
    try:
        signature.decode(body, SECRET)
    except (signature.UndecodableBody, signature.SignatureMismatch):
        return
    raise AssertionError(body)
