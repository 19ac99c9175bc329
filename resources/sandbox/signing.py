"""The sandbox's own signing: the plain way for anything, the quick one for pages; nothing of the client's."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    """Tell whether `params` carries the signature that its other parameters have under `secret`."""
    given = params.get("signature")
    if not isinstance(given, str):
        return False
    return hmac.compare_digest(given.encode(), sign(params, secret).encode())


def text_to_sign(params: Mapping[str, Any]) -> bytes:
    """Give the text that is signed: every leaf as `path:value`, in the natural order of the paths."""
    leaves = dict(_flatten({key: value for key, value in params.items() if key != "signature"}, ""))
    return b";".join(_bytes(f"{path}:{leaves[path]}") for path in natural_sorted(leaves))


def digest(text: bytes, secret: str) -> str:
    """Give the signature of a text."""
    return base64.b64encode(hmac.digest(secret.encode(), text, "sha512")).decode()


def row_text(name: str, row: Mapping[str, Any]) -> bytes:
    """Give the sorted text of one row of the list `name`, with INDEX where its index belongs."""
    paths, values = _leaves(row)
    if not paths:
        return b""
    template, permute = _row_template(name, tuple(paths))
    ordered = permute(values)
    text = template % ordered
    if text.count("\0") == len(paths):
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
            compare = _compare_fractions if a[i] == 48 or b[j] == 48 else _compare_numbers
            result, i, j = compare(a, i, b, j)
            if result:
                return result
            if i >= len(a) or j >= len(b):
                return (j >= len(b)) - (i >= len(a))
        x, y = _byte(a, i), _byte(b, j)
        if x != y:
            return 1 if x > y else -1
        i, j = i + 1, j + 1
        if i >= len(a) or j >= len(b):
            return (j >= len(b)) - (i >= len(a))


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


def _compare_numbers(a: bytes, i: int, b: bytes, j: int) -> tuple[int, int, int]:
    """Compare two runs of digits as numbers: the longer is the greater, else the first difference decides."""
    bias = 0
    while _digit(a, i) and _digit(b, j):
        bias = bias or (a[i] > b[j]) - (a[i] < b[j])
        i, j = i + 1, j + 1
    return (_digit(a, i) - _digit(b, j)) or bias, i, j


def _compare_fractions(a: bytes, i: int, b: bytes, j: int) -> tuple[int, int, int]:
    """Compare two runs of digits from the left, as after a decimal point."""
    while _digit(a, i) and _digit(b, j):
        if a[i] != b[j]:
            return (1 if a[i] > b[j] else -1), i, j
        i, j = i + 1, j + 1
    return _digit(a, i) - _digit(b, j), i, j


def _byte(text: bytes, at: int) -> int:
    return text[at] if at < len(text) else 0


def _digit(text: bytes, at: int) -> bool:
    return at < len(text) and text[at] in _DIGITS


def _flatten(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, item in value.items():
        path = prefix + str(key).replace(":", "::")
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, Mapping):
            yield from _flatten(item, path + ":")
        elif isinstance(item, (list, tuple)):
            yield from _flatten({str(index): element for index, element in enumerate(item)}, path + ":")
        else:
            yield path, _scalar(item)


def _leaves(row: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Flatten a row to paths and values: flat and once nested fields directly, because there are millions."""
    paths: list[str] = []
    values: list[str] = []
    for key, value in row.items():
        if type(value) is str:
            paths.append(key)
            values.append(value)
        elif value is None:
            paths.append(key)
            values.append("")
        elif type(value) is dict:
            for part, item in value.items():
                if isinstance(item, (dict, list)) or ":" in part:
                    return _leaves_of_any(row)
                paths.append(f"{key}:{part}")
                values.append(item if type(item) is str else _scalar(item))
        elif isinstance(value, (Mapping, list, tuple)):
            return _leaves_of_any(row)
        else:
            paths.append(key)
            values.append(_scalar(value))
    if ":" in "".join(row):
        return _leaves_of_any(row)
    return paths, values


def _leaves_of_any(row: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    leaves = dict(_flatten(row, ""))
    return list(leaves), list(leaves.values())


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
def _row_template(name: str, paths: tuple[str, ...]) -> tuple[str, Any]:
    """Sort a row's paths once for every set of keys: the text's format, and what puts values in order."""
    full = {f"{name}:0:{path}": index for index, path in enumerate(paths)}
    order = [full[path] for path in natural_sorted(full)]
    escaped = [paths[index].replace("%", "%%") for index in order]
    template = ";".join(f"{name}:\0:{path}:%s" for path in escaped)
    return template, _permutation(order)


def _permutation(order: Sequence[int]) -> Any:
    if len(order) == 1:
        return lambda values: (values[order[0]],)
    return itemgetter(*order)
