"""What the tests of typing share: rows made frames, what is in them, and values of any kind.

Each frame made here is checked for its types: 64-bit integers, UTC times, text; never a float.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pandas as pd
import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st

from pipelines.sync.fields import COLUMNS, KINDS
from pipelines.sync.normalize import (
    Batch,
    normalize_operations,
)
from pipelines.sync.typing_values import ARROW_TYPES, TIME

QUICK = settings(max_examples=60, deadline=None, derandomize=True, database=None)
SOME = settings(QUICK, max_examples=20)  # a frame of all columns takes some milliseconds
NOW = datetime(2024, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC)
TYPES = {name: ARROW_TYPES[kind] for name, kind in KINDS.items()} | {"extra": pa.string(), "observed_at": TIME}
BIGINT_EDGES = [-(2**63), -(2**63) + 1, -1, 0, 1, 2**53 + 1, 2**63 - 2, 2**63 - 1]


def normalized(*rows, at=NOW) -> Batch:
    batch = normalize_operations(rows, at)
    check_types(batch.frame)
    return batch


def check_types(frame: pd.DataFrame) -> None:
    assert all(isinstance(dtype, pd.ArrowDtype) for dtype in frame.dtypes)
    assert {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()} == TYPES
    assert tuple(frame.columns) == COLUMNS
    assert frame.index.equals(pd.RangeIndex(len(frame)))


def records(batch: Batch) -> list[dict]:
    return pa.Table.from_pandas(batch.frame, preserve_index=False).to_pylist()


def told(record: dict) -> dict:
    """What a record holds beside nulls and the time of its observation."""
    return {name: value for name, value in record.items() if value is not None and name != "observed_at"}


def only(row: dict) -> dict:
    """The one typed row that `row` gives, with an id when it has none."""
    batch = normalized({"operation_id": "1"} | row)
    assert batch.rejects == ()
    (record,) = records(batch)
    return record


def reason_of(row) -> str:
    batch = normalized({"operation_id": "1"} | row if isinstance(row, dict) else row)
    assert batch.frame.empty
    (reject,) = batch.rejects
    return reject.reason


def exactly(text: str):
    return json.loads(text, parse_float=Decimal)


@st.composite
def written_times(draw) -> tuple[str, datetime]:
    """Draw a time as the API could write it, and the moment it means."""
    moment = draw(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))).replace(microsecond=0)
    digits = draw(st.text("0123456789", max_size=6))
    offset = timedelta(minutes=draw(st.integers(-(24 * 60) + 1, 24 * 60 - 1)))
    style = draw(st.sampled_from(["", "Z", "+hh:mm", "+hhmm"]))
    zone = f"{moment.replace(tzinfo=timezone(offset)):%z}" if style.startswith("+") else style
    if style == "+hh:mm":
        zone = f"{zone[:3]}:{zone[3:]}"
    text = moment.isoformat(draw(st.sampled_from("T ")), "seconds") + (f".{digits}" if digits else "") + zone
    utc = moment.replace(microsecond=int(digits.ljust(6, "0")), tzinfo=UTC)
    return text, utc - offset if style.startswith("+") else utc


texts = st.one_of(
    st.sampled_from(["", "0", "007", "-5", "1.5", "5 ", "2024-03-01 10:00:00", "2024-02-30T00:00:00Z", "a\x00", "é"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    written_times().map(lambda written: written[0]),
)


numbers = st.one_of(
    st.sampled_from(BIGINT_EDGES),
    st.integers(-(2**64), 2**64),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.integers().map(Decimal),
)


others = st.sampled_from([True, False, {}, {"a": "b"}, [], [1]])


values = st.one_of(st.none(), texts, numbers, others)


kinds = st.sampled_from(["text", "time", "amount"])
