"""The text that is signed, made the fast way: a page of rows column by column, or a refusal to try.

It answers only for what it can do byte for byte as `signature_text` does; the tests hold the two together.

Why a page may be put together by rows: after the list's own name every path goes on with the row's number and
a colon; so natural order keeps the rows in order, and orders a row's paths by what follows that colon.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from resources.data_api.php_values import natural_key, php_text
from resources.data_api.signature_text import UNSIGNED, escaped, leaves_of, text_of_leaves

DEEPEST_ROW = 8
"""Levels of objects inside a row that are handled; rows known today have one."""

_EXACT = frozenset({str, int, bool, type(None), Decimal})
"""Types that hold what the body said. No float: orjson also makes floats of integers it cannot hold."""

_TEXT = frozenset({str})
_NULLABLE = _TEXT | {type(None)}


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
    """Return the signed text of a document that has a list of objects, or None: ask `signature_text`."""
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
    texts = [""] * len(rows)
    numbers = list(range(len(rows)))
    todo = [numbers] if _alike(rows) else _split(numbers, list(map(tuple, rows)))
    while todo:
        numbers = todo.pop()
        columns: list[_Column] = []
        kinds: list[list[tuple[str, ...] | None]] = []
        _expand([rows[number] for number in numbers], (), columns, kinds)
        if kinds:
            todo.extend(_split(numbers, list(zip(*kinds, strict=True))))
            continue
        pieces, width = _pieces([heads[number] for number in numbers], columns)
        if len(numbers) == len(rows):
            pieces[:1] = [piece[1:] for piece in pieces[:1]]
            return "".join(pieces)
        for place, number in enumerate(numbers):
            texts[number] = "".join(pieces[place * width : (place + 1) * width])[1:]
    return ";".join(filter(None, texts))


def _alike(rows: Sequence[dict[str, Any]]) -> bool:
    """Return whether all rows have the first one's keys, in its order."""
    # one comparison for all is enough: no row holds a key twice, so none can lend another its keys
    return list(chain.from_iterable(rows)) == list(rows[0]) * len(rows)


def _all_text(values: list[Any]) -> bool:
    """Return whether every value is a string: three times faster than to look at each one's type."""
    try:
        "".join(values)
    except TypeError:
        return False
    return True


def _split(numbers: list[int], shapes: list[Any]) -> list[list[int]]:
    """Return the rows' numbers grouped by shape."""
    groups: dict[Any, list[int]] = {}
    for number, shape in zip(numbers, shapes, strict=True):
        groups.setdefault(shape, []).append(number)
    return list(groups.values())


def _expand(
    rows: Sequence[dict[str, Any]],
    path: tuple[str, ...],
    columns: list[_Column],
    kinds: list[list[tuple[str, ...] | None]],
) -> None:
    """Add the columns of rows that share their keys; where an inner object differs, add its kind by row."""
    if len(path) > DEEPEST_ROW:
        raise _Declined
    # row by row first, as they lie in memory: half the time of zip over the rows
    cells = list(chain.from_iterable(map(dict.values, rows)))
    for place, key in enumerate(rows[0]):
        values = cells[place :: len(rows[0])]
        types = _TEXT if _all_text(values) else frozenset(map(type, values))
        if dict not in types:
            columns.append(_Column((*path, key), values, types))
        elif len(types) == 1 and _alike(values):
            _expand(values, (*path, key), columns, kinds)
        else:
            kinds.append([tuple(value) if type(value) is dict else None for value in values])


def _pieces(heads: list[str], columns: list[_Column]) -> tuple[list[str], int]:
    """Return the rows' text in pieces, ready to be joined, and how many of them make a row."""
    found = layout(tuple(column.path for column in columns))
    if found is None:
        raise _Declined
    width = len(found.blank)
    pieces = found.blank * len(heads)
    for place, position in enumerate(found.order):
        pieces[3 * place :: width] = heads
        pieces[3 * place + 2 :: width] = _column_text(columns[position])
    return pieces, width


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
