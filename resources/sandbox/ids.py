"""The ids of operations: the number that each is kept by, and new ones; no fields, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from resources.sandbox.states import Operation

_STRANGE: Final = 1 << 72  # numbers from here on are given to ids that are no plain number
_FIRST_NEW: Final = 6_435_212_159_990  # new ones come after it, where there is no plain one


class Ids:
    """What operations of a world are called; `operations` are those of the world, by number."""

    def __init__(self, operations: Mapping[int, Operation]) -> None:
        self._operations = operations
        self._strange: dict[str, int] = {}
        self._greatest = 0

    def new(self) -> str:
        """Give an id that is greater than all plain ones there are and were given."""
        if not self._greatest:
            self._greatest = max((number for number in self._operations if number < _STRANGE), default=_FIRST_NEW)
        self._greatest += 10
        return str(self._greatest)

    def take(self, text: str) -> int:
        """Give the number by which an operation with this id is to be kept; ValueError: there is one already."""
        if self._find(text) is not None:
            raise ValueError(f"There is an operation {text} already")
        number = int(text) if _is_plain(text) else self._strange.setdefault(text, _STRANGE + len(self._strange))
        if 0 < self._greatest < number < _STRANGE:
            self._greatest = number
        return number

    def get(self, operation_id: str | int) -> Operation:
        """Give the operation with this id; KeyError: there is none."""
        operation = self._find(str(operation_id))
        if operation is None:
            raise KeyError(f"No operation {operation_id}")
        return operation

    def _find(self, text: str) -> Operation | None:
        return self._operations.get(int(text) if _is_plain(text) else self._strange.get(text, -1))


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20 and (text == "0" or text[0] != "0")
