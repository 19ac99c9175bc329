"""How PHP orders strings and prints values; the signed text made with it is in `signature_text`.

PHP 8.2's own answers are in `tests/data/php_natural_order.json` and `tests/data/php_floats.json`.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

PRECISION = 14
"""Significant digits of a float cast to string: PHP's `precision`, whose built-in default is 14."""

_RUN = re.compile("[0-9]+")
_SPACE = frozenset(" \t\n\v\f\r")
_LEADING_ZEROS = re.compile(r"\A0+(?=[0-9])")
# One step of strnatcmp: whitespace is passed over, then a run of digits together with the character after
# it (which is compared as it stands, even if it is whitespace), or any one character; or whitespace at the end.
_STEP = re.compile("[ \t\n\v\f\r]*(?:([0-9]+)([^0-9]?)|([^ \t\n\v\f\r]))|[ \t\n\v\f\r]+", re.DOTALL)


def natural_key(text: str) -> str:
    """Return a string that sorts, plainly, where PHP's `SORT_NATURAL` (`strnatcmp`) puts `text`.

    php-src, ext/standard/strnatcmp.c: runs of ASCII digits compare as numbers, the longer being the greater;
    a run that starts with 0 compares digit by digit ("fractional"); zeros before a digit are skipped at the
    very start of the string only; whitespace is skipped, except right after a run; the rest compares by byte.
    Code points sort as their UTF-8 bytes do, so characters stand for bytes here. Two strings that PHP calls
    equal ("a b" and "ab") get one key, and a stable sort, which PHP's is since 8.0, keeps their order.
    """
    text = _LEADING_ZEROS.sub("", text)
    if _SPACE.isdisjoint(text):
        return _RUN.sub(_weighed_match, text)
    return _STEP.sub(_step_key, text)


def php_text(value: Any) -> str:
    """Return what the vendor's SDK puts into the signed text for a scalar.

    True is 1, False is 0, null is empty, floats are cast as PHP casts them (`Decimal` stands for the float of
    that literal). Integers are their digits, however many: PHP would have made a float of one beyond 64 bits,
    but a text of 14 digits does not protect the others, so such a signature is not accepted.
    """
    match value:
        case str():
            return str.__str__(value)
        case None:
            return ""
        case bool():
            return "1" if value else "0"
        case int():
            return int.__repr__(value)
        case float() | Decimal():
            return php_float(float(value))
    raise TypeError(f"a value of type {type(value).__name__} cannot be signed: JSON has no such type.")


def php_float(value: float) -> str:
    """Return PHP's `(string) $value`: 14 digits, `1.0E+25`, `1.5E-7`, `-0` (php-src, `zend_gcvt`)."""
    if math.isnan(value):
        return "NAN"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    if math.isinf(value):
        return f"{sign}INF"
    if value == 0:
        return f"{sign}0"
    mantissa, _, exponent = format(abs(value), f".{PRECISION - 1}e").partition("e")
    digits = mantissa.replace(".", "")
    if not _keeps_zeros(abs(value)):
        digits = digits.rstrip("0")
    point = int(exponent) + 1
    if point > PRECISION or point < -3:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    whole, fraction = digits[:point].ljust(point, "0"), digits[point:]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _keeps_zeros(value: float) -> bool:
    """Return whether PHP leaves the zeros at the end of the digits: `1.0000000000000E+14`.

    zend_dtoa does so in its branch for small integers, which it reaches with 14 digits only where the 15th is
    exactly half a unit and is dropped after a 0.
    """
    return 1e14 <= value < 1e15 and value % 100 == 5


def _step_key(step: re.Match[str]) -> str:
    run, after, character = step.groups()
    if run is not None:
        return _weighed(run) + after
    # whitespace that ends the string: strnatcmp reads the NUL behind it
    return "\0" if character is None else character


def _weighed_match(match: re.Match[str]) -> str:
    return _weighed(match[0])


def _weighed(run: str) -> str:
    """Return a run of digits with its length before it; a fractional one has length 0 and an end mark."""
    return f"000000000{run}\0" if run[0] == "0" else f"0{len(run):08x}{run}"
