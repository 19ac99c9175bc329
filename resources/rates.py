"""The file of exchange rates that SYNC_RATES_FILE names, read exactly; a report applies them to show one currency.

It is a CSV file with the columns `day,from,to,rate,source`: on that day one unit of `from` was `rate` units of `to`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from resources.errors import ConfigError
from resources.values import DAY, Kind, Wrong, matching, nearest, text_of_file

COLUMNS = ("day", "from", "to", "rate", "source")
LONGEST_SOURCE = 80
CODE = matching(r"[A-Z0-9]{3,8}", "a code such as EUR")


@dataclass(frozen=True)
class Rate:
    """On a day one unit of `base` was `rate` units of `quote`, as `source` says; `rate` is the text of the file."""

    day: date
    base: str
    quote: str
    rate: str
    source: str

    def units_of(self, currency: str) -> Fraction:
        """Return how many units of a currency of the pair one unit of the other was, exactly."""
        found = Fraction(self.rate)
        return found if currency == self.quote else 1 / found

    def __str__(self) -> str:
        return f"1 {self.base} = {self.rate} {self.quote} ({self.source}, {self.day})"


def _rate(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?", value) or not Fraction(value):
        raise ValueError
    return value


def _source(value: str) -> str:
    if not 0 < len(value) <= LONGEST_SOURCE or not value.isprintable():
        raise ValueError
    return value


KINDS = {
    "day": DAY,
    "from": CODE,
    "to": CODE,
    "rate": Kind(_rate, "a decimal above 0 with a point, such as 1.0832"),
    "source": Kind(_source, f"who published the rate, in 1 to {LONGEST_SOURCE} characters"),
}


def read_rates_file(path: str) -> tuple[Rate, ...]:
    """Return the rates of a file, in its order.

    Raises:
        ConfigError: the file cannot be read, or a column or value in it is none; with file and line.
    """
    where = f"SYNC_RATES_FILE ({path})"
    rows = csv.reader(io.StringIO(text_of_file("SYNC_RATES_FILE", path)), strict=True)
    found: dict[tuple[date, frozenset[str]], Rate] = {}
    columns: Sequence[str] = ()
    try:
        for row in rows:
            if not columns:
                columns = _columns(where, row)
            elif row:
                rate = _read(f"{where}, line {rows.line_num}", columns, row)
                pair = rate.day, frozenset((rate.base, rate.quote))
                if pair in found:
                    raise ConfigError(
                        f"{where}, line {rows.line_num}: {rate.base} and {rate.quote} have a rate of {rate.day} "
                        "already: keep one of them."
                    )
                found[pair] = rate
    except csv.Error as error:
        raise ConfigError(f"{where}, line {rows.line_num}: {error}: quotes do not match.") from None
    if not found:
        raise ConfigError(f"{where} holds no rate: write lines of {','.join(COLUMNS)}.")
    return tuple(found.values())


def _columns(where: str, row: Sequence[str]) -> Sequence[str]:
    for name in row:
        if name not in COLUMNS:
            near = nearest(name, COLUMNS)
            meant = f"did you mean {near}? " if near else ""
            raise ConfigError(f"{where}: the column {name!r} is unknown: {meant}there are {', '.join(COLUMNS)}.")
    missing = [name for name in COLUMNS if name not in row]
    if missing or len(row) != len(COLUMNS):
        said = f"the column {missing[0]} is missing" if missing else "a column is there twice"
        raise ConfigError(f"{where}: {said}: the first line is {','.join(COLUMNS)}.")
    return row


def _read(where: str, columns: Sequence[str], row: Sequence[str]) -> Rate:
    if len(row) != len(columns):
        raise ConfigError(f"{where} has {len(row)} values: there are {len(columns)} columns.")
    given = dict(zip(columns, row, strict=True))
    read = {}
    for name, kind in KINDS.items():
        try:
            read[name] = kind.checked(given[name].strip())
        except Wrong as error:
            raise ConfigError(f"{where}: {name} {error}") from None
    if read["from"] == read["to"]:
        raise ConfigError(f"{where}: from and to are both {read['to']}: a rate is between two currencies.")
    return Rate(read["day"], read["from"], read["to"], read["rate"], read["source"])
