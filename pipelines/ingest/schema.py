"""What the rows of a stream are: their columns and kinds, and how a column of JSON values becomes one of a kind.

A fast path types clean columns, an exact one the rest. Both give the same result; the exact one also says which values
cannot be typed, and why. How rows become a frame, and what becomes of a bad row, is in `normalize`.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

# id: text that names something; text: a boolean too, as JSON prints it; amount: minor units, 64 bits;
# decimal: exact, any size, as text; integer: 32 bits; json: as JSON text
Kind = Literal["id", "text", "time", "amount", "decimal", "integer", "json"]

EXTRA = "extra"  # the column of the fields that a schema does not know
SUM_PARTS = ("amount", "currency")
TIME = pa.timestamp("us", tz="UTC")
ARROW_TYPES: dict[Kind, pa.DataType] = {
    **dict.fromkeys(("id", "text", "decimal", "json"), pa.string()),
    **dict.fromkeys(("amount", "integer"), pa.int64()),
    "time": TIME,
}
DAY, CLOCK, OFFSET = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}:[0-9]{2}", "[+-][0-9]{2}:?[0-9]{2}"
TIME_PATTERN = rf"^{DAY}[T ]{CLOCK}(?:\.[0-9]{{1,6}})?(?:Z|{OFFSET})?$"
# beside that, one by one: nanoseconds, of which PostgreSQL keeps micro, and a space before the offset
WIDER_TIME = re.compile(rf"({DAY}[T ]{CLOCK}(?:\.[0-9]{{1,9}})?) ?(Z|{OFFSET}|)")
NO_TIME = re.compile("(0000-00-00|-0001-11-30)[T ]00:00:00.*")  # MySQL's zero date, and what PHP makes of it
DECIMAL_PATTERN = r"[+-]?[0-9]{1,24}(\.[0-9]{1,24})?"  # a float of PHP has up to 17 digits behind its zeros
NO_BYTES = pa.scalar(0, pa.int32())
LARGEST = 2**63 - 1
LARGEST_INTEGER = 2**31 - 1
MOST_DIGITS = 100_000  # before the decimal point; numeric, and so jsonb, holds 131,072
MOST_DECIMALS = 16_000  # after it; 16,383
FIRST_TIME = pa.scalar(datetime.min.replace(tzinfo=UTC), TIME).value
LAST_TIME = pa.scalar(datetime.max.replace(tzinfo=UTC), TIME).value

Reasons = dict[int, str]  # row number → why its value cannot be typed


class Fault(NamedTuple):
    """Why a row is rejected, and the column whose value is the reason."""

    reason: str
    field: str | None = None


@dataclass
class Rows:
    """The rows of one answer on their way to a frame: as they came, as columns, and what is wrong with which."""

    objects: list[dict[str, Any]]
    columns: dict[str, pa.Array] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)

    def reject(self, number: int, reason: str, column: str | None = None) -> None:
        """Reject a row; the first reason counts."""
        self.faults.setdefault(number, Fault(reason, column))


@dataclass(frozen=True)
class Schema:
    """The columns of a table between `account` and `observed_at`, in its order, and where their values come from."""

    key: str  # the column that, with the account, identifies a row
    columns: Mapping[str, Kind]
    sums: tuple[str, ...] = ()  # objects of `amount` and `currency`, which become two columns each
    derived: tuple[str, ...] = ()  # columns that no field of the API has: `derive` makes them
    derive: Callable[[Rows], Mapping[str, pa.Array]] | None = None
    required: tuple[str, ...] = ()  # a row without a value there is rejected
    indexed: tuple[str, ...] = ()  # columns of an index, which holds no long text
    codes: tuple[str, ...] = ()  # columns of ids, reference numbers, codes: no card number is looked for in them
    prepare: Callable[[Any], Any] | None = None  # what a row becomes before anything else, rejects included

    @cached_property
    def frame_columns(self) -> tuple[str, ...]:
        """The columns of a frame, in order."""
        return (*self.columns, "observed_at")

    @cached_property
    def parts(self) -> frozenset[str]:
        """The columns that are parts of sums: a field of the API that is spelled like one is another."""
        return frozenset(f"{name}_{part}" for name in self.sums for part in SUM_PARTS)

    @cached_property
    def typed(self) -> dict[str, Kind]:
        """The columns that hold values of the API, each typed by itself."""
        return {name: kind for name, kind in self.columns.items() if name not in {*self.derived, EXTRA}}

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of the API that are known."""
        return frozenset(self.typed.keys() - self.parts) | frozenset(self.sums)


def of_kind(kind: Kind, *names: str) -> dict[str, Kind]:
    """Return columns of one kind, as `Schema.columns` takes them."""
    return dict.fromkeys(names, kind)


def typed(values: Sequence[Any], kind: Kind) -> tuple[pa.Array, Reasons]:
    """Return the column (null where a value is null, `""` or cannot be typed) and the reasons for the latter."""
    fast = _typed_fast(values, kind)
    return (fast, {}) if fast is not None else _typed_one_by_one(values, kind)


def _typed_fast(values: Sequence[Any], kind: Kind) -> pa.Array | None:
    clean, column_type = _CLEAN.get(kind, (None, None))
    if clean is None or not set(map(type, values)) <= {clean, type(None)}:
        return None
    try:
        return typed_column(pa.array(values, column_type), kind, len(values))
    except (pa.ArrowInvalid, OverflowError):  # a number that 64 bits do not hold
        return None


def _typed_one_by_one(values: Sequence[Any], kind: Kind) -> tuple[pa.Array, Reasons]:
    convert = _EXACT[kind]
    out: list[Any] = []
    reasons: Reasons = {}
    for number, value in enumerate(values):
        try:
            out.append(None if value is None or value == "" else convert(value))
        except ValueError as error:
            out.append(None)
            reasons[number] = str(error)
    return pa.array(out, ARROW_TYPES[kind]), reasons


def typed_column(column: pa.Array | None, kind: Kind, count: int) -> pa.Array | None:
    """Return the column of values that are Arrow's already, `count` nulls for no column; None: a case for `typed`."""
    if column is None or column.null_count == count:
        return pa.nulls(count, ARROW_TYPES[kind])
    if kind not in _CLEAN or column.type != _CLEAN[kind][1]:
        return None
    if kind == "amount":
        return column
    empty = pc.equal(pc.binary_length(column), NO_BYTES)
    texts = pc.if_else(empty, pa.scalar(None, pa.string()), column) if empty.true_count else column
    if kind == "time":
        return _clean_time(texts)
    return None if pc.match_substring(texts, "\x00").true_count else texts


def _clean_time(texts: pa.Array) -> pa.Array | None:
    if pc.match_substring_regex(texts, TIME_PATTERN).false_count:
        return None
    try:
        times = _times(texts)
    except pa.ArrowInvalid:
        return None
    # Arrow has a year 0 and a year 10000, where the exact path, and PostgreSQL, have no such time
    bounds = pc.min_max(pc.cast(times, pa.int64())).as_py()
    exist = bounds["min"] is None or FIRST_TIME <= bounds["min"] <= bounds["max"] <= LAST_TIME
    return times if exist else None


def _times(texts: pa.Array) -> pa.Array:
    try:
        return pc.cast(texts, TIME)
    except pa.ArrowInvalid:  # no zone, so the one we asked for: UTC
        return pc.assume_timezone(pc.cast(texts, pa.timestamp("us")), "UTC")


def _exact_text(value: Any) -> str:
    return json_text(value) if isinstance(value, bool) else _exact_id(value)


def _exact_id(value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise ValueError(f"is {_json_name(value)}, not text")  # noqa: TRY004 - a value, not a caller, is wrong
    text = str(value)
    if "\x00" in text:
        raise ValueError("contains the character U+0000, which PostgreSQL cannot store")
    return text


def _exact_amount(value: Any, what: str = "whole number of minor units") -> int:
    if isinstance(value, bool | dict | list):
        raise ValueError(f"is {_json_name(value)}, not an amount")  # noqa: TRY004
    if isinstance(value, str) and not re.fullmatch("-?[0-9]{1,40}", value):
        raise ValueError(f"is {value[:60]!r}, not a {what}")
    amount = Decimal(value)
    if not (amount.is_finite() and -LARGEST - 1 <= amount <= LARGEST):
        raise ValueError(f"is {str(value)[:60]}, larger than a bigint holds")
    if isinstance(value, float) or amount != int(amount):
        raise ValueError(f"is {str(value)[:60]}, not a {what}")
    return int(amount)


def _exact_integer(value: Any) -> int:
    number = _exact_amount(value, "whole number")
    if abs(number) > LARGEST_INTEGER:
        raise ValueError(f"is {number}, larger than an integer holds")
    return number


def _exact_decimal(value: Any) -> str:
    # a float would have been rounded already; a Decimal is the literal of the JSON
    is_short = isinstance(value, Decimal) and abs(value.adjusted()) < MOST_DECIMALS
    text = f"{value:f}" if is_short else str(value)  # 1e2 is 100
    if isinstance(value, bool | float | dict | list) or not re.fullmatch(DECIMAL_PATTERN, text):
        raise ValueError(f"is {text[:60]!r}, not a decimal number of major units")
    return text


def _exact_json(value: Any) -> str:
    text = json_text(value)
    if (why := why_not_storable(value, text)) is not None:
        raise ValueError(why)
    return text


def _exact_time(value: Any) -> datetime | None:
    text = value.strip() if isinstance(value, str) else ""
    if NO_TIME.fullmatch(text):
        return None
    parts = WIDER_TIME.fullmatch(text)
    if parts is None:
        raise ValueError(f"is {str(value)[:60]!r}, not a time (YYYY-MM-DD hh:mm:ss)")
    try:
        moment = datetime.fromisoformat("".join(parts.groups()))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"is {value!r}, a time that does not exist") from None


def _json_name(value: Any) -> str:
    return {bool: "a boolean", dict: "an object", list: "a list"}[type(value)]


def json_text(value: Any, *, sort_keys: bool = False) -> str:
    """Return `value` as JSON with every number as exact as it came (decimal.Decimal included)."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_mark_number, sort_keys=sort_keys)
    return _MARKED.sub(r"\1", text) if _MARK in text else text


def canonical(value: Any) -> str:
    """Return the JSON that a digest is taken over: keys sorted, no spaces, numbers as they came."""
    return json_text(value, sort_keys=True)


def why_not_storable(value: Any, text: str) -> str | None:
    """Return why PostgreSQL's jsonb cannot hold a value, whose JSON is `text`; None: it can."""
    if _NUL.search(text):
        return "contains U+0000, which PostgreSQL cannot store"
    if any(map(_is_too_long, _decimals_in(value))):
        return "contains a number that is too long for PostgreSQL"
    return None


def _mark_number(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{_MARK}{value}"
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _decimals_in(value: Any) -> Iterator[Decimal]:
    """Yield the numbers that may be too long: of an int, Python reads no more than 4,300 digits."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _decimals_in(part)
    elif isinstance(value, Decimal):
        yield value


def _is_too_long(number: Decimal) -> bool:
    exponent = number.as_tuple().exponent
    return number.adjusted() > MOST_DIGITS or (isinstance(exponent, int) and -exponent > MOST_DECIMALS)


_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash that stands before "u0000"
_MARK = secrets.token_hex(8)  # cannot be foreseen, so no text of a merchant can look like a marked number
_MARKED = re.compile(rf'"{_MARK}([^"]*)"')
# of which a clean column is, as JSON and as Arrow's
_CLEAN: dict[Kind, tuple[type, pa.DataType]] = {
    **dict.fromkeys(("id", "text", "time"), (str, pa.string())),
    "amount": (int, pa.int64()),
}
_EXACT: dict[Kind, Callable[[Any], Any]] = {
    "id": _exact_id,
    "text": _exact_text,
    "time": _exact_time,
    "amount": _exact_amount,
    "integer": _exact_integer,
    "decimal": _exact_decimal,
    "json": _exact_json,
}
