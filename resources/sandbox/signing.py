"""The sandbox's own signing: the plain way for anything, the quick one for pages; nothing of the client's."""

import base64
import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key, lru_cache
from operator import itemgetter
from typing import Any, Final

INDEX: Final = b"\xff"  # stands for a row's index in its cached text: no UTF-8 text contains this byte
_DIGITS: Final = frozenset(b"0123456789")
_SPACES: Final = frozenset(b" \t\n\v\f\r")


def sign(params: Mapping[str, Any], secret: str) -> str:
    """Sign parameters the plain way: flatten, sort, join, HMAC-SHA512, base64."""
    return digest(text_to_sign(params), secret)


def verify(params: Mapping[str, Any], secret: str) -> bool:
    """Return whether `params` carries the signature that its other parameters have under `secret`."""
    given = params.get("signature")
    if not isinstance(given, str):
        return False
    return hmac.compare_digest(given.encode(), sign(params, secret).encode())


def text_to_sign(params: Mapping[str, Any]) -> bytes:
    """Give the text that is signed: every leaf as `path:value`, in the natural order of the paths."""
    leaves = _flatten({key: value for key, value in params.items() if key != "signature"}, "", {})
    return b";".join(_bytes(f"{path}:{leaves[path]}") for path in natural_sorted(leaves))


def digest(text: bytes, secret: str) -> str:
    """Give the signature of a text."""
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha512")).decode()


def row_text(name: str, row: Mapping[str, Any]) -> bytes:
    """Give the sorted text of one row of the list `name`, with INDEX where its index belongs."""
    leaves = _flatten(row, "", {})
    if not leaves:
        return b""
    template, in_order = _row_template(name, tuple(leaves))
    ordered = in_order(tuple(leaves.values()))
    text = template % ordered
    if text.count("\0") == len(ordered):
        return _bytes(text).replace(b"\0", INDEX)
    # A value has a NUL of its own, so the placeholder has to go in piece by piece.
    return b"".join(
        _bytes(piece).replace(b"\0", INDEX) + _bytes(value)
        for piece, value in zip(template.split("%s"), (*ordered, ""), strict=True)
    )


def join_rows(texts: Iterable[bytes]) -> bytes:
    """Join the texts of rows to the text of the whole list: index after index is its natural order."""
    return b";".join(text.replace(INDEX, b"%d" % index) for index, text in enumerate(texts) if text)


def natural_sorted(paths: Iterable[str]) -> list[str]:
    """Sort as PHP's SORT_NATURAL does; equals keep their order."""
    return sorted(paths, key=cmp_to_key(natural_compare))


def natural_compare(left: str, right: str) -> int:
    """Compare as PHP's strnatcmp does: digits as numbers, white space skipped, the rest by byte."""
    a, b = _bytes(left), _bytes(right)
    if not a or not b:
        return (len(a) > len(b)) - (len(a) < len(b))
    i, j = _after_leading_zeros(a), _after_leading_zeros(b)
    while True:
        i, j = _after_spaces(a, i), _after_spaces(b, j)
        if _digit(a, i) and _digit(b, j):
            result, length = _compare_digits(a, i, b, j)
            if result:
                return result
            i, j = i + length, j + length
            if i >= len(a) or j >= len(b):
                return (j >= len(b)) - (i >= len(a))
        x, y = _byte(a, i), _byte(b, j)
        if x != y:
            return 1 if x > y else -1
        i, j = i + 1, j + 1
        if i >= len(a) or j >= len(b):
            return (j >= len(b)) - (i >= len(a))


def _compare_digits(a: bytes, i: int, b: bytes, j: int) -> tuple[int, int]:
    """Compare two runs of digits, and give how long they are if they are equal.

    As numbers: the longer is the greater, else the first difference decides. After a leading zero as decimal
    fractions: the first difference decides at once.
    """
    fraction = a[i] == 48 or b[j] == 48
    bias = length = 0
    while _digit(a, i + length) and _digit(b, j + length):
        bias = bias or (a[i + length] > b[j + length]) - (a[i + length] < b[j + length])
        if bias and fraction:
            return bias, length
        length += 1
    return (_digit(a, i + length) - _digit(b, j + length)) or bias, length


def _after_leading_zeros(text: bytes) -> int:
    """Skip zeros before another digit; PHP does so at the very start only, not in later runs of digits."""
    at = 0
    while _byte(text, at) == 48 and _digit(text, at + 1):
        at += 1
    return at


def _after_spaces(text: bytes, at: int) -> int:
    while _byte(text, at) in _SPACES:
        at += 1
    return at


def _byte(text: bytes, at: int) -> int:
    return text[at] if at < len(text) else 0


def _digit(text: bytes, at: int) -> bool:
    return at < len(text) and text[at] in _DIGITS


def _flatten(value: Mapping[str, Any], prefix: str, leaves: dict[str, str]) -> dict[str, str]:
    """Put every leaf below `value` into `leaves`, by its path."""
    for key, item in value.items():
        path = prefix + key.replace(":", "::")
        if type(item) is str:
            leaves[path] = item
        elif isinstance(item, dict):
            _flatten(item, path + ":", leaves)
        elif isinstance(item, (list, tuple)):
            _flatten({str(index): element for index, element in enumerate(item)}, path + ":", leaves)
        else:
            leaves[path] = _scalar(item)
    return leaves


def _scalar(value: object) -> str:
    if value is None or value is False:
        return "" if value is None else "0"
    if value is True:
        return "1"
    return _php_float(value) if isinstance(value, float) else str(value)


def _php_float(value: float) -> str:
    """Cast as PHP does with `precision=14`: 1.0 is `1`, 1e25 is `1.0E+25`, 1e-7 is `1.0E-7`."""
    text = f"{value:.14G}"
    mantissa, power, exponent = text.partition("E")
    if not power:
        return text
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{exponent[0]}{exponent[1:].lstrip('0')}"


def _bytes(text: str) -> bytes:
    # A lone surrogate can come out of JSON; it must lead to a wrong signature, not to a crash.
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=4096)
def _row_template(name: str, paths: tuple[str, ...]) -> tuple[str, Callable[[tuple[str, ...]], tuple[str, ...]]]:
    """Sort a row's paths once for every set of keys: the text's format, and what puts the values in order."""
    full = {f"{name}:0:{path}": index for index, path in enumerate(paths)}
    order = [full[path] for path in natural_sorted(full)]
    template = ";".join(f"{name}:\0:{paths[index].replace('%', '%%')}:%s" for index in order)
    return template, itemgetter(*order) if len(order) > 1 else tuple
