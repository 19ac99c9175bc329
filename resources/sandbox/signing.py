"""The sandbox's own signing: the plain way for anything, the quick one for pages; nothing of the client's."""

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key, lru_cache
from operator import itemgetter
from typing import Any, Final

INDEX: Final = b"\xff"  # stands for a row's index in its cached text: no UTF-8 text contains this byte
_LEADING_ZEROS: Final = re.compile(rb"^0+(?=\d)")
_STEP: Final = re.compile(rb"\s*(\d*)(.?)", re.DOTALL)


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
    return template % in_order([value.encode("utf-8", "surrogatepass") for value in leaves.values()])


def join_rows(texts: Iterable[bytes]) -> bytes:
    """Join the texts of rows to the text of the whole list: index after index is its natural order."""
    return b";".join(text.replace(INDEX, b"%d" % index) for index, text in enumerate(texts) if text)


def natural_sorted(paths: Iterable[str]) -> list[str]:
    """Sort as PHP's SORT_NATURAL does; equals keep their order."""
    return sorted(paths, key=cmp_to_key(natural_compare))


def natural_compare(left: str, right: str) -> int:
    """Compare as PHP's strnatcmp does: digits as numbers, white space before them skipped, the rest by byte.

    Zeros before another digit are skipped at the very start only. Where a later number begins with one, both are
    compared as decimal fractions: the first difference decides.
    """
    a, b = (_STEP.findall(_LEADING_ZEROS.sub(b"", _bytes(text))) for text in (left, right))
    for (digits, byte), (other_digits, other_byte) in zip(a, b, strict=False):
        if digits and other_digits:
            is_fraction = b"0" in {digits[:1], other_digits[:1]}
            one = (0 if is_fraction else len(digits), digits, byte)
            other = (0 if is_fraction else len(other_digits), other_digits, other_byte)
        else:
            one, other = ((0, (some or b"\0")[:1], b"") for some in (digits or byte, other_digits or other_byte))
        if one != other:
            return 1 if one > other else -1
    return (len(a) > len(b)) - (len(a) < len(b))


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
def _row_template(name: str, paths: tuple[str, ...]) -> tuple[bytes, Callable[[list[bytes]], tuple[bytes, ...]]]:
    """Sort a row's paths once for every set of keys: the text's format, and what puts the values in order."""
    full = {f"{name}:0:{path}": index for index, path in enumerate(paths)}
    order = [full[path] for path in natural_sorted(full)]
    parts = (b"%s:%s:%s:%%s" % (_bytes(name), INDEX, _bytes(paths[index]).replace(b"%", b"%%")) for index in order)
    return b";".join(parts), itemgetter(*order) if len(order) > 1 else tuple
