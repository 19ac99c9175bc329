"""From a state to the row the API delivers, its cached JSON and text to sign, and pages of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from resources.sandbox import signing
from resources.sandbox.fields import DEFAULT, TIMES, cut_row, default_row
from resources.sandbox.states import DrawnState, State
from resources.sandbox.times import TimeFormat, text, zone

_KEPT_VIEWS: Final = 3


@dataclass(frozen=True, slots=True)
class View:
    """How rows are shown: the zone and format of their times, and which fields (None: the default ones)."""

    tz: str = "UTC"
    style: TimeFormat = "iso"
    fields: tuple[str, ...] | None = None


# A row ready to send: its JSON, and its part of the text to sign, without its index. A bare tuple because
# the garbage collector need not look at tuples of bytes, of which there are as many as rows.
EncodedRow = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page ready to send but for its signature, and the text to sign."""

    rows: bytes
    text: bytes


def row_of(state: State, view: View) -> dict[str, Any]:
    """Give the row of a state as the API delivers it."""
    facts = state.facts(all_fields=view.fields is not None)
    if view.fields is not None:
        row = cut_row(facts, view.fields)
    else:
        row = facts if isinstance(state, DrawnState) else default_row(facts)
    tz = zone(view.tz)
    for name in TIMES & row.keys() if view.fields is not None else _DEFAULT_TIMES:
        value = row.get(name)
        if type(value) is int:
            row[name] = text(value, tz, view.style)
    return row


def encode_page(rows: Sequence[EncodedRow]) -> EncodedPage:
    """Put a page of operations together from its encoded rows."""
    return EncodedPage(
        b"[" + b",".join([json_text for json_text, _ in rows]) + b"]",
        signing.join_rows([text for _, text in rows]),
    )


def encode_row(row: Mapping[str, Any], name: str = "operations") -> EncodedRow:
    """Encode one row of the list `name`."""
    # Copied because orjson leaves its bytes on a buffer of 8 kB, ten times what a row needs.
    return bytes(memoryview(dumps(row))), signing.row_text(name, row)


def dumps(value: object) -> bytes:
    """Write JSON; what orjson refuses (integers over 64 bits, lone surrogates) the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


class RowCache:
    """Encoded rows by state, `limit` of a view at most: when it is full, the half that came first goes."""

    def __init__(self, limit: int = 150_000) -> None:
        self._limit = max(2, limit)
        self._views: dict[View, dict[State, EncodedRow]] = {}

    def rows(self, states: Sequence[State], view: View) -> list[EncodedRow]:
        """Give the encoded rows of states, encoding only those not seen lately."""
        known = self._of(view)
        rows: list[EncodedRow] = []
        for state in states:
            row = known.get(state)
            if row is None:
                row = known[state] = encode_row(row_of(state, view))
            rows.append(row)
        if len(known) >= self._limit:
            for state in list(islice(known, len(known) // 2)):
                del known[state]
        return rows

    def _of(self, view: View) -> dict[State, EncodedRow]:
        known = self._views.get(view)
        if known is None:
            while len(self._views) >= _KEPT_VIEWS:
                del self._views[next(iter(self._views))]
            known = self._views[view] = {}
        return known


_DEFAULT_TIMES: Final = tuple(name for name in DEFAULT if name in TIMES)
