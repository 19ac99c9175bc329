"""The signature of the Data API: signing requests, and opening answers only if the platform signed them.

HMAC-SHA512 over a text made of all parameters, keyed with the secret, in base64; requests and answers alike.
Source: the platform's documentation ("Interaction concepts") and the vendor's PHP SDK (`SignatureHandler`), whose
signatures are in `tests/data/signature_vectors.json`.

The text is made in one of two ways: exactly, one value at a time (`signature_text`), or fast, a page of rows column by
column (`fast_signature_text`), which declines what it cannot make byte for byte as the first. Pages of plain rows
are read faster still in `signature_arrow`.

What the scheme itself cannot see, since both documents give the same text:

- null and `""`; `true`, `1` and `"1"`; `false`, `0` and `"0"`; any number and the string of its digits;
- floats that agree in 14 significant digits;
- empty lists and objects, there or not, alone or within one another;
- a list and an object with the keys `"0"`, `"1"`, …; the order of keys in an object;
- text that spells further parameters: `"b;c:d"` under `a` is `a:b;c:d`, and so is `"b"` under `a` with `"d"`
  under `c`; likewise `"b:c"` under `a` and `{"b": "c"}` under `a`.

A key that stands twice in one JSON object counts once, with its last value, here as for every reader of the
returned document. Two values that flatten to one path are refused, since one of them would be unsigned.

Oddities of the SDK that are not followed, so that such a document is refused: it leaves out every key named
`frame_mode` (a payment page's affair), and loses the first part of a path when that is empty or `0`. Likewise
a float of 1e14 or more that PHP writes into JSON as plain digits, but signs as `1.0E+14`: digits are read as
an integer, and all of them must be signed.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import orjson

from resources.data_api.php_values import natural_key, php_text

UNSIGNED = "signature"
"""The only parameter that is not signed, and only at the top: a nested key of that name is signed."""

DEEPEST = 64
"""Levels of nesting that are read; the deepest known document has four."""

DEEPEST_ROW = 8
"""Levels of objects inside a row that are handled; rows known today have one."""

_EXACT = frozenset({str, int, bool, type(None), Decimal})
"""Types that hold what the body said. No float: orjson also makes floats of integers it cannot hold."""

_TEXT = frozenset({str})
_NULLABLE = _TEXT | {type(None)}


class SignatureMismatch(ValueError):
    """The body has no signature, or one that its content and this secret do not give."""


class UndecodableBody(ValueError):
    """The body is not one JSON object in UTF-8 with every value signed; the message says why, in a line."""


class UnreadableNumber(UndecodableBody):
    """A number of the body has more digits, or a larger exponent, than Python reads."""


def sign(params: Mapping[str, Any], secret: str) -> str:
    """Return the signature of a request: over all parameters but a top-level `signature`.

    Raises:
        TypeError: A key is not text, or a value is of a type that JSON does not have.
        ValueError: The parameters are nested too deeply, or a text has no UTF-8 form.
    """
    return digest_of(signature_text(params).encode(), secret).decode()


def decode(body: bytes, secret: str) -> dict[str, Any]:
    """Return the document in a signed body, once its signature is proved.

    No number in it is rounded: integers are exact at any size, and what is written as a float is a `Decimal`.

    Raises:
        UndecodableBody: The body cannot be read, or holds a value that the signature does not cover.
        SignatureMismatch: The signature is missing or wrong.
    """
    # the quick parse makes floats, also of large integers; the fast text declines whatever holds one
    for parse in (parsed, _parsed_exactly):
        document = parse(body)
        text = fast_signature_text(document)
        if text is not None and _matches(document, text, secret):
            return document
    if not _matches(document, _unambiguous_text(document), secret):
        raise SignatureMismatch("the body's signature is missing, or does not match its content")
    return document


def verify(body: bytes | Mapping[str, Any], secret: str) -> bool:
    """Return whether the top-level `signature` is the one that the rest of the body and this secret give.

    Raises:
        UndecodableBody: The body cannot be read, or holds a value that the signature does not cover.
        TypeError: A mapping holds something that JSON does not have.
    """
    if isinstance(body, bytes):
        try:
            decode(body, secret)
        except SignatureMismatch:
            return False
        return True
    text = fast_signature_text(body)
    return _matches(body, _unambiguous_text(body) if text is None else text, secret)


def parsed(body: bytes) -> dict[str, Any]:
    """Parse quickly and strictly, proving nothing; a float, or an integer beyond 64 bits, may be rounded.

    What orjson refuses is read exactly: a number that no double holds, such as `1e400`, is no fault of the document.

    Raises:
        UndecodableBody: The body is not one JSON object in UTF-8.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = _parsed_exactly(body)
    if type(document) is not dict:
        raise UndecodableBody("not a JSON object")
    return document


def _parsed_exactly(body: bytes) -> Any:
    """Parse without rounding any number."""
    try:
        document = json.loads(body.decode(), parse_float=Decimal, parse_constant=orjson.loads)  # which refuses NaN
        if re.search(rb"\\u[dD]", body):  # it may be half of a character, which has no UTF-8
            json.dumps(document, ensure_ascii=False, default=str).encode()
    except RecursionError:
        raise UndecodableBody("nested too deeply") from None
    except (json.JSONDecodeError, UnicodeError) as error:
        raise UndecodableBody(f"not JSON in UTF-8 ({error})") from None
    except (ArithmeticError, ValueError):
        raise UnreadableNumber("holds a number that cannot be read") from None
    return document


def _unambiguous_text(document: Mapping[str, Any]) -> str:
    try:
        leaves = leaves_of(document)
    except ValueError as error:
        raise UndecodableBody(str(error)) from None
    if len(dict(leaves)) < len(leaves):
        raise UndecodableBody("two values flatten to one path, so that one of them is not signed")
    return text_of_leaves(leaves)


def _matches(document: Mapping[str, Any], text: str, secret: str) -> bool:
    given = document.get(UNSIGNED)
    if not isinstance(given, str):
        return False
    try:
        expected = digest_of(text.encode(), secret)
    except UnicodeEncodeError:
        raise UndecodableBody("holds text that has no UTF-8 form") from None
    return hmac.compare_digest(expected, given.encode(errors="surrogatepass"))


def digest_of(text: bytes | memoryview, secret: str) -> bytes:
    """Return the signature over a signed text."""
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha512"))


def signature_text(params: Mapping[str, Any]) -> str:
    """Return the text that the HMAC is taken over: `path:value` joined by `;`, in natural order of the paths.

    Where two values have one path, the later wins, as in the PHP array of the vendor's SDK.
    """
    return text_of_leaves(leaves_of(params))


def leaves_of(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return (path, value) of each scalar, in the document's order; empty lists and objects leave none."""
    found: list[tuple[str, Any]] = []
    for key, value in params.items():
        if key != UNSIGNED:
            _collect(escaped(key), value, 1, found)
    return found


def text_of_leaves(leaves: Iterable[tuple[str, Any]]) -> str:
    """Return the signed text of flattened values."""
    texts = {path: f"{path}:{php_text(value)}" for path, value in leaves}
    return ";".join(texts[path] for path in sorted(texts, key=natural_key))


def escaped(key: str) -> str:
    """Return a key as a part of a path: `:` inside it is doubled (vendor's PHP SDK, `SignatureHandler`)."""
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__} cannot be signed: JSON has text keys only.")
    return key.replace(":", "::")


def _collect(path: str, value: Any, level: int, found: list[tuple[str, Any]]) -> None:
    children: Iterable[tuple[str, Any]]
    if isinstance(value, Mapping):
        children = ((escaped(key), child) for key, child in value.items())
    elif isinstance(value, list | tuple):
        children = ((str(index), child) for index, child in enumerate(value))
    else:
        found.append((path, value))
        return
    if level == DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    for part, child in children:
        _collect(f"{path}:{part}", child, level + 1, found)


class _Declined(Exception):
    """Something in the document is left to the exact way."""


class _Column(NamedTuple):
    path: tuple[str, ...]
    values: list[Any]
    types: frozenset[type]


class Layout(NamedTuple):
    """How the columns of a row stand in the signed text."""

    order: tuple[int, ...]  # positions of the columns, in natural order of their paths
    blank: list[str]  # the pieces of one row: head, label, value for each column, with only the labels filled


def fast_signature_text(document: Any) -> str | None:
    """Return the signed text of a document that has a list of objects, or None: ask `signature_text`.

    A page may be put together by rows: after the list's own name every path goes on with the row's number and a
    colon, so natural order keeps the rows in order, and orders the paths of a row by what follows that colon.
    """
    try:
        return _text(document)
    except _Declined:
        return None


def _text(document: Any) -> str:
    name = _name_of_rows(document)
    rows: list[dict[str, Any]] = document[name]
    prefix = f"{escaped(name)}:"
    before, after = _around(prefix, {key: value for key, value in document.items() if key != name})
    return ";".join(filter(None, (before, _rows_text(prefix, rows), after)))


def _name_of_rows(document: Any) -> str:
    """Return the key of the longest list of objects."""
    if type(document) is not dict or set(map(type, document)) != {str}:
        raise _Declined
    lengths: dict[str, int] = {
        key: len(value)
        for key, value in document.items()
        if type(value) is list and key != UNSIGNED and set(map(type, value)) == {dict}
    }
    if not lengths:
        raise _Declined
    return max(lengths, key=lengths.__getitem__)


def _around(prefix: str, others: dict[str, Any]) -> tuple[str, str]:
    """Return the text of everything but the rows: what sorts before them, and what sorts after."""
    try:
        leaves = leaves_of(others)
    except (TypeError, ValueError):
        raise _Declined from None
    if not _EXACT.issuperset(type(value) for _, value in leaves) or len(dict(leaves)) < len(leaves):
        raise _Declined
    mark = natural_key(prefix)
    before: list[tuple[str, Any]] = []
    after: list[tuple[str, Any]] = []
    for leaf in leaves:
        key = natural_key(leaf[0])
        if key.startswith(mark):
            raise _Declined
        (before if key < mark else after).append(leaf)
    return text_of_leaves(before), text_of_leaves(after)


def _rows_text(prefix: str, rows: list[dict[str, Any]]) -> str:
    heads = [f";{prefix}{number}:" for number in range(len(rows))]
    columns = _columns(rows, ())
    if columns is not None:
        return "".join(_pieces(heads, columns))[1:]
    groups: dict[Any, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(_shape(row), []).append(number)
    texts = [""] * len(rows)
    for numbers in groups.values():
        pieces = _pieces([heads[number] for number in numbers], _columns([rows[number] for number in numbers], ()))
        width = len(pieces) // len(numbers)
        for place, number in enumerate(numbers):
            texts[number] = "".join(pieces[place * width : (place + 1) * width])
    return "".join(texts)[1:]


def _columns(rows: Sequence[dict[str, Any]], path: tuple[str, ...]) -> list[_Column] | None:
    """Return the columns of rows of one shape; None: they, or objects inside them, differ in their keys."""
    if len(path) > DEEPEST_ROW:
        raise _Declined
    # one comparison for all is enough: no row holds a key twice, so none can lend another its keys
    if list(chain.from_iterable(rows)) != list(rows[0]) * len(rows):
        return None
    columns: list[_Column] = []
    # row by row first, as they lie in memory: half the time of zip over the rows
    cells = list(chain.from_iterable(map(dict.values, rows)))
    for place, key in enumerate(rows[0]):
        values = cells[place :: len(rows[0])]
        types = _TEXT if _all_text(values) else frozenset(map(type, values))
        if dict not in types:
            columns.append(_Column((*path, key), values, types))
        elif len(types) == 1 and (inner := _columns(values, (*path, key))) is not None:
            columns += inner
        else:
            return None
    return columns


def _shape(row: dict[str, Any], level: int = 0) -> tuple[Any, ...]:
    """Return what rows have in common whose keys, and those of the objects inside them, are the same."""
    if level > DEEPEST_ROW:
        raise _Declined
    if dict not in set(map(type, row.values())):
        return tuple(row)
    return tuple((key, _shape(value, level + 1)) if type(value) is dict else key for key, value in row.items())


def _all_text(values: list[Any]) -> bool:
    """Return whether every value is a string: three times faster than to look at each one's type."""
    try:
        "".join(values)
    except TypeError:
        return False
    return True


def _pieces(heads: list[str], columns: list[_Column] | None) -> list[str]:
    """Return the rows' text in pieces, ready to be joined, as many of each row."""
    found = layout(tuple(column.path for column in columns or ()))
    if columns is None or found is None:
        raise _Declined
    width = len(found.blank)
    pieces = found.blank * len(heads)
    for place, position in enumerate(found.order):
        pieces[3 * place :: width] = heads
        pieces[3 * place + 2 :: width] = _column_text(columns[position])
    return pieces


@lru_cache(maxsize=256)
def layout(paths: tuple[tuple[str, ...], ...]) -> Layout | None:
    """Return the order of a row's columns, or None if two of them have one path or a key is not text."""
    if any(type(key) is not str for path in paths for key in path):
        return None
    names = [":".join(map(escaped, path)) for path in paths]
    if len(set(names)) < len(names):
        return None
    # the colon before it: zeros are skipped at the start of a whole path only
    order = sorted(range(len(names)), key=lambda position: natural_key(f":{names[position]}"))
    return Layout(tuple(order), [piece for position in order for piece in ("", f"{names[position]}:", "")])


def _column_text(column: _Column) -> list[str]:
    if column.types == _TEXT:
        return column.values
    if column.types == {int}:
        return list(map(str, column.values))
    if column.types <= _NULLABLE:
        return [value or "" for value in column.values]
    if column.types <= _EXACT:
        return [value if type(value) is str else php_text(value) for value in column.values]
    raise _Declined
