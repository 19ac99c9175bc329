"""What the rows of a stream are: their columns and kinds, and what is made of them beside that.

How a value becomes one of a kind is in `typing_values`, how rows become a frame in `normalize`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

# amount: minor units, 64 bits; decimal: exact, any size, as text; integer: 32 bits; json: as JSON text
Kind = Literal["text", "time", "amount", "decimal", "integer", "json"]

EXTRA = "extra"  # the column of the fields that a schema does not know
SUM_PARTS = ("amount", "currency")


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
