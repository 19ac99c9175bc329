"""Card numbers in the text that a run wrote: how many rows of which column hold one; never the number itself.

A card number is 12 to 19 digits, in the range and of a length that an issuer has, with the right check digit (Luhn).
Its groups, of four digits at least but for the last, may be apart by a space or a dash. Digits with a letter or a
decimal point beside them are none. Columns of ids and codes (`Schema.codes`), and fields of JSON that are named so, are
left out: digits are what they are made of.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipelines.ingest.streams import Stream
from resources.output import printable
from resources.warehouse.engine import Warehouse

SHORTEST, LONGEST = 12, 19
LEAST_GROUP = 4
CANDIDATE = f"[0-9]([ \u00a0-]?[0-9]){{{SHORTEST - 1}}}"  # for PostgreSQL: what may hold one
GROUPS = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,])[0-9]+(?:[ \u00a0-][0-9]+)*(?![0-9A-Za-z]|[.,][0-9])")
ID_NAME = re.compile(r"(?i:(?:^|_)(?:ids?|uuid|token|arn|rrn|reference)$)|[a-z]I[dD]s?$")
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# first and last prefix of a range, and the lengths of its numbers: ISO/IEC 7812 as the payment systems use it
RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset(range(14, 20))),  # Diners Club
    ("3095", "3095", frozenset(range(14, 20))),
    ("36", "36", frozenset(range(14, 20))),
    ("38", "39", frozenset(range(14, 20))),
    ("3528", "3589", frozenset(range(16, 20))),  # JCB
    ("6011", "6011", frozenset(range(16, 20))),  # Discover
    ("644", "659", frozenset(range(16, 20))),
    ("62", "62", frozenset(range(16, 20))),  # UnionPay
    ("81", "82", frozenset(range(16, 20))),  # UnionPay, RuPay
    ("60", "60", frozenset({16})),  # RuPay, Hipercard
    ("50", "50", frozenset(range(12, 20))),  # Maestro, Verve
    ("56", "58", frozenset(range(12, 20))),
    ("6304", "6304", frozenset(range(12, 20))),
    ("67", "67", frozenset(range(12, 20))),
    ("2200", "2204", frozenset(range(16, 20))),  # Mir
    ("8600", "8600", frozenset({16})),  # Uzcard
    ("9860", "9860", frozenset({16})),  # Humo
    ("9704", "9704", frozenset({16, 19})),  # NAPAS
    ("9112", "9112", frozenset({16})),  # Belkart
    ("9792", "9792", frozenset({16})),  # Troy
)


class ColumnWithCardNumbers(NamedTuple):
    """A column, or the path of a field in its JSON, and how many rows hold a card number there."""

    column: str
    rows: int


def card_numbers(warehouse: Warehouse, stream: Stream, run_ids: list[int]) -> list[ColumnWithCardNumbers]:
    """Return where the rows that these runs wrote hold card numbers, rejected rows included."""
    schema, rows = stream.schema, Counter[str]()
    looked_for = {"run_ids": run_ids, "pattern": CANDIDATE}
    for text in warehouse.query("checks/texts_like", relation=stream.table, left_out=list(schema.codes), **looked_for):
        if schema.columns[text.column_name] == "json":
            rows.update(_fields_with_card_numbers(text.column_name, text.value, schema.codes))
        elif has_card_number(text.value):
            rows[text.column_name] += 1
    for reject in warehouse.query("checks/rejects_like", **looked_for):
        rows.update(_fields_with_card_numbers("core.rejects", reject.raw_json, schema.codes))
    return [ColumnWithCardNumbers(column, count) for column, count in sorted(rows.items())]


def has_card_number(text: str) -> bool:
    """Return whether a text holds a card number."""
    return any(_is_card_number(number) for found in GROUPS.finditer(text) for number in _numbers(found[0]))


def _numbers(text: str) -> Iterator[str]:
    """Yield the digits of each row of neighbouring groups that is long enough, and not too long."""
    groups = re.findall("[0-9]+", text)
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if SHORTEST <= len(digits) <= LONGEST:
                yield digits
            if len(group) < LEAST_GROUP or len(digits) > LONGEST:
                break


def _is_card_number(digits: str) -> bool:
    if not any(len(digits) in lengths and low <= digits[: len(low)] <= high for low, high, lengths in RANGES):
        return False
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(DOUBLED[value] for value in values[1::2])) % 10 == 0


def _fields_with_card_numbers(column: str, text: str, codes: tuple[str, ...]) -> set[str]:
    """Return the paths of the fields of a JSON text that hold one; a name of the data may hold anything itself."""
    return {
        ".".join("…" if has_card_number(name) else printable(name) for name in path)
        for path, value in _values((column,), json.loads(text, parse_int=str), codes)
        if has_card_number(value)
    }


def _values(path: tuple[str, ...], value: Any, codes: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield (*path, name), name
            if name not in codes and not ID_NAME.search(name):
                yield from _values((*path, name), part, codes)
    elif isinstance(value, list):
        for part in value:
            yield from _values(path, part, codes)
    elif isinstance(value, str):  # whole numbers too
        yield path, value
