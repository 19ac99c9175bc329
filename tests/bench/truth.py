"""What must be in a table after a run, and what is: count, sums of minor units per currency, a digest of the rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg
from psycopg.sql import SQL, Identifier

from resources.sandbox import SandboxProcess

SLICE = timedelta(days=4)  # of the truth that is asked for at once: tens of megabytes

COUNT = SQL("SELECT count(*) FROM {table}")
SUMS = SQL(
    "SELECT {currency}, sum({amount})::bigint FROM {table} "
    "WHERE {currency} IS NOT NULL AND {amount} IS NOT NULL GROUP BY 1"
)
DIGEST = SQL(
    """
    SELECT md5(string_agg(concat_ws(',', operation_id, operation_status, coalesce(rrn, '')), ';'
                          ORDER BY operation_id COLLATE "C"))
    FROM {table}
    """
)


@dataclass(frozen=True)
class Content:
    """Rows, sums of `sum_initial` by currency in minor units, digest over id, status and rrn of each row."""

    rows: int
    sums: Mapping[str, int]
    digest: str

    def difference(self, found: Content) -> str | None:
        """Say in a few words how another content differs; None: it is equal."""
        if found.rows != self.rows:
            return f"{found.rows:,} rows instead of {self.rows:,}"
        if found.sums != self.sums:
            return "the sums differ"
        return None if found.digest == self.digest else "ids, states or reference numbers differ"


@dataclass(frozen=True)
class Place:
    """Where a contender stores operations."""

    schema: str
    amount: str
    currency: str

    def content(self, url: str) -> Content:
        """Read what is there."""
        names = {"table": Identifier(self.schema, "operations")}
        columns = {"amount": Identifier(self.amount), "currency": Identifier(self.currency)}
        with psycopg.connect(url) as connection:
            (rows,) = connection.execute(COUNT.format(**names)).fetchone()
            sums = dict(connection.execute(SUMS.format(**names, **columns)).fetchall())
            (digest,) = connection.execute(DIGEST.format(**names)).fetchone()
        return Content(rows, sums, digest or "")


def truth(sandbox: SandboxProcess, first: date, last: date) -> Content:
    """Ask the sandbox what the days hold."""
    sums: Counter[str] = Counter()
    lines: list[str] = []
    while first <= last:
        end = min(last, first + SLICE - timedelta(days=1))
        for row in sandbox.truth(f"{first} 00:00:00", f"{end} 23:59:59"):
            money = row["sum_initial"]
            if money and money["currency"]:
                sums[money["currency"]] += money["amount"]
            lines.append(f"{row['operation_id']},{row['operation_status']},{row['rrn'] or ''}")
        first = end + timedelta(days=1)
    lines.sort(key=lambda line: line.partition(",")[0])
    digest = hashlib.md5(";".join(lines).encode(), usedforsecurity=False).hexdigest()
    return Content(len(lines), dict(sums), digest)
