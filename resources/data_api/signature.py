"""The signature of the Data API: signing requests, and opening answers only if the platform signed them.

HMAC-SHA512 over a text made of all parameters (`signature_text`, `signature_columns`), keyed with the secret,
in base64; requests and answers alike. Source: the platform's documentation ("Interaction concepts") and the
vendor's PHP SDK (`SignatureHandler`), whose signatures are in `tests/data/signature_vectors.json`.

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
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from resources.data_api.signature_columns import fast_signature_text
from resources.data_api.signature_text import UNSIGNED, leaves_of, signature_text, text_of_leaves

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "ProvedRows",
    "SignatureMismatch",
    "UndecodableBody",
    "decode",
    "decode_rows",
    "fast_signature_text",
    "parsed",
    "sign",
    "signature_text",
    "verify",
]


class ProvedRows(NamedTuple):
    """The rows of a signed page as a struct array, and the signature that proved them."""

    rows: pa.StructArray
    signature: str


class SignatureMismatch(ValueError):
    """The body has no signature, or one that its content and this secret do not give."""


class UndecodableBody(ValueError):
    """The body is not one JSON object in UTF-8 with every value signed; the message says why, in a line."""


def sign(params: Mapping[str, Any], secret: str) -> str:
    """Return the signature of a request: over all parameters but a top-level `signature`.

    Raises:
        TypeError: A key is not text, or a value is of a type that JSON does not have.
        ValueError: The parameters are nested too deeply, or a text has no UTF-8 form.
    """
    return _signature_of(signature_text(params), secret)


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


def decode_rows(body: bytes, secret: str, name: str) -> ProvedRows | None:
    """Return the rows in the list `name` of a signed body as Arrow columns, once its signature is proved.

    Three times as fast as `decode`, for pages of plain rows. None says nothing of the body: ask `decode`.
    """
    from resources.data_api.signature_arrow import signed_rows

    found = signed_rows(body, name)
    if found is None or not _is_signed(found.text, found.signature, secret):
        return None
    return ProvedRows(found.rows, found.signature)


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

    orjson refuses other encodings, lone surrogates, NaN and infinities.

    Raises:
        UndecodableBody: The body is not one JSON object in UTF-8.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UndecodableBody(f"not JSON in UTF-8 ({error.msg}, at character {error.pos})") from None
    if type(document) is not dict:
        raise UndecodableBody("not a JSON object")
    return document


def _parsed_exactly(body: bytes) -> dict[str, Any]:
    """Parse what `parsed` has accepted, without rounding any number."""
    try:
        document: dict[str, Any] = json.loads(body.decode(), parse_float=Decimal)
    except RecursionError:
        raise UndecodableBody("nested too deeply") from None
    except (ArithmeticError, ValueError):
        raise UndecodableBody("holds a number that cannot be read") from None
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
        expected = _signature_of(text, secret)
    except UnicodeEncodeError:
        raise UndecodableBody("holds text that has no UTF-8 form") from None
    return hmac.compare_digest(expected.encode(), given.encode(errors="surrogatepass"))


def _is_signed(text: bytes | memoryview, given: str, secret: str) -> bool:
    return hmac.compare_digest(_mark_of(text, secret), given.encode())


def _signature_of(text: str, secret: str) -> str:
    return _mark_of(text.encode(), secret).decode()


def _mark_of(text: bytes | memoryview, secret: str) -> bytes:
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha512"))
