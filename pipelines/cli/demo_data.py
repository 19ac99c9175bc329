"""The made-up data of the demo: snapshots of past balances, and a merchant's ledger with one break of each type.

The ledger is the store's own operations of a day with the breaks worked in. What only the platform can get wrong (a
double charge, refunds without a payment, a late change) is asked of the sandbox's own route `/_sandbox/operations`,
before the day is loaded: `platform_faults`, and later `late_change`. `write_exports` writes the ledger as six
accounting systems would: the same entries, six shapes of file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipelines.cli.accounts import migrated_warehouse
from resources.currencies import exponent_of, with_decimals
from resources.errors import ConfigError
from resources.sandbox.operations import DEFAULT
from resources.settings import api_settings, sync_settings
from resources.warehouse.engine import Warehouse

if TYPE_CHECKING:
    from resources.sandbox import SandboxProcess

Row = dict[str, Any]

TOP_UP = (198, "EUR", 250_000)  # project, currency, minor units: which is in no operation of the Data API
# by the project's name payouts are told from those of the currency's other balances; approval is shown by the country
FIELDS = (*DEFAULT, "project_name", "country_by_bin")
COLUMNS = (
    *("entry_id", "booked_at", "operation_type", "status", "currency", "amount_minor", "fee_minor"),
    *("operation_id", "project_id", "payment_id"),
)
OFF_BY = 250  # minor units of the amount break
ELIGIBLE = 6  # successful operations that get a fault of the ledger each
TOO_FEW = "a day has too few operations to make a fault of each kind: ask for more with --rows, or for fewer --days."
OUT = frozenset({"refund", "reversal", "payout"})  # types of money that leaves
GERMAN = {"sale": "Zahlung", "capture": "Einzug", "recurring": "Abo", "refund": "Erstattung", "reversal": "Storno"}
GERMAN |= {"payout": "Auszahlung", "success": "Gebucht", "reversed": "Storniert"}
RUSSIAN = {"sale": "Оплата", "capture": "Списание холда", "recurring": "Подписка", "refund": "Возврат"}
RUSSIAN |= {"reversal": "Сторно", "payout": "Выплата", "success": "Проведен", "reversed": "Сторнирован"}
ENGLISH = {"sale": "Payment", "capture": "Capture", "recurring": "Subscription", "refund": "Refund", "payout": "Payout"}
ENGLISH |= {"reversal": "Reversal", "success": "Posted", "reversed": "Reversed"}


def snapshots_at(sandbox: SandboxProcess, moments: Iterable[datetime]) -> int:
    """Take a snapshot of the balances at each of these moments, and return how many balances there are.

    Nothing is written but what the sandbox answers. The client's clock stamps a snapshot, so both clocks are set to
    the moment: the sandbox's and the client's.
    """
    from pipelines.ingest.balances import sync_balances
    from resources.data_api.client import Client
    from resources.data_api.clock import FixedClock
    from resources.data_api.endpoints import DataApi

    count = 0
    with migrated_warehouse() as store:
        for moment in moments:
            sandbox.set_clock(f"{moment:%Y-%m-%d %H:%M:%S}")
            with Client(api_settings(), clock=FixedClock(moment)) as client:
                count = len(sync_balances(DataApi(client), store, sync_settings().account).balances)
    return count


def platform_faults(day: date) -> list[Row]:
    """Return what to POST to the sandbox's `/_sandbox/operations`, one body each, before the day is loaded."""
    return [
        {"add": _operation(day, payment, kind, amount, clock), "effective": f"{day} {clock}"}
        for payment, kind, amount, clock in (
            ("demo-twice", "sale", 4_200, "10:00:00"),
            ("demo-twice", "sale", 4_200, "10:00:20"),
            ("demo-orphan", "refund", 1_300, "11:00:00"),
            ("demo-refunded", "sale", 5_000, "12:00:00"),
            ("demo-refunded", "refund", 5_900, "13:00:00"),
        )
    ]


def late_change(operation_id: str, days_later: date) -> Row:
    """Return what to POST after the operation's day was closed: on a later day it was reversed."""
    return {
        "change": {"operation_id": operation_id, "operation_status": "reversed"},
        "effective": f"{days_later} 12:00:00",
    }


def write_demo_ledger(
    warehouse: Warehouse, account: str, day: date, path: Path, corrected: Row | None = None
) -> dict[str, str]:
    """Write the CSV and return which operation or entry has which break, by type; `corrected` is of another day.

    The same entries, as accounting systems export them, go into the folder `exports` beside it.
    """
    rows, broken = ledger_rows(_operations(warehouse, account, day), day)
    rows = [*rows, corrected] if corrected else rows
    _write(path, rows)
    write_exports(rows, path.parent / "exports")
    return broken


def write_faultless_ledger(warehouse: Warehouse, account: str, day: date, path: Path) -> None:
    """Write the CSV of a day that is booked as the platform has it."""
    _write(path, [_entry(row) for row in _operations(warehouse, account, day) if row["is_required"]])


def a_sale(warehouse: Warehouse, account: str, day: date) -> Row:
    """Return the largest sale of a day in euros, to be reversed later.

    Raises:
        ConfigError: there is none.
    """
    sales = (
        row
        for row in _operations(warehouse, account, day)
        if row["is_required"] and (row["operation_type"], row["currency"]) == ("sale", "EUR")
    )
    sale = max(sales, key=lambda row: int(row["minor"]), default=None)
    if sale is None:
        raise ConfigError(TOO_FEW)
    return sale


def reversed_entry(sale: Row) -> Row:
    """Return the sale's entry, corrected: the merchant heard of the reversal and booked it."""
    return {**_entry(sale), "status": "reversed"}


def _operations(warehouse: Warehouse, account: str, day: date) -> list[Row]:
    return [row._asdict() for row in warehouse.query("cli/demo_data/operations", account=account, day=day)]


def _write(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def ledger_rows(operations: Sequence[Row], day: date) -> tuple[list[Row], dict[str, str]]:
    """Book the operations, but for one fault of each type; the rest of the platform's own faults is booked as it is."""
    money = [row for row in operations if row["is_required"]]
    plain = [row for row in money if not row["payment_id"].startswith("demo-") and row["minor"] > OFF_BY]
    declined = next((row for row in operations if row["operation_status"] == "decline" and row["minor"]), None)
    if len(plain) < ELIGIBLE or declined is None:
        raise ConfigError(TOO_FEW)
    missing, amount, currency, fee, twice, rounding = plain[:ELIGIBLE]
    changes: dict[str, Row] = {
        amount["operation_id"]: {"amount_minor": amount["minor"] - OFF_BY},
        currency["operation_id"]: {"currency": "GBP" if currency["currency"] != "GBP" else "EUR"},
        fee["operation_id"]: {"amount_minor": fee["minor"] - 35, "fee_minor": 35},
        rounding["operation_id"]: {"amount_minor": rounding["minor"] + 1},
    }
    doubled = [row["operation_id"] for row in money if row["payment_id"] == "demo-twice"][1:]
    left_out = {missing["operation_id"], *doubled}
    rows = [
        {**_entry(row), **changes.get(row["operation_id"], {})} for row in money if row["operation_id"] not in left_out
    ]
    rows.append({**_entry(twice), "entry_id": f"{_entry(twice)['entry_id']}-again"})
    rows.append({**_entry(declined), "status": "success"})
    rows += [
        {
            "entry_id": entry_id,
            "booked_at": f"{day}T{clock}:00+00:00",
            "operation_type": "sale",
            "status": "success",
            "currency": "EUR",
            "amount_minor": 7_700,
            "operation_id": f"999{len(entry_id)}",
        }
        for entry_id, clock in (("L-nobody", "09:30"), ("L-late", "23:59"))
    ]
    return rows, {
        "missing_in_ledger": missing["operation_id"],
        "amount": amount["operation_id"],
        "currency": currency["operation_id"],
        "fee": fee["operation_id"],
        "duplicate_in_ledger": f"{_entry(twice)['entry_id']}-again",
        "rounding": rounding["operation_id"],
        "status": declined["operation_id"],
        "missing_at_platform": "L-nobody",
        "timing": "L-late",
    }


def _entry(row: Row) -> Row:
    return {
        "entry_id": f"L{row['operation_id']}",
        "booked_at": row["at"].isoformat(),
        "operation_type": row["operation_type"],
        "status": row["operation_status"],
        "currency": row["currency"],
        "amount_minor": row["minor"],
        "operation_id": row["operation_id"],
        "project_id": row["project_id"],
        "payment_id": row["payment_id"],
    }


def _operation(day: date, payment: str, kind: str, amount: int, clock: str) -> Row:
    return {
        "project_id": "198",
        "payment_id": payment,
        "operation_type": kind,
        "operation_status": "success",
        "sum_initial": {"amount": amount, "currency": "EUR"},
        "sum_converted": {"amount": amount, "currency": "EUR"},
        "operation_created_at": f"{day} {clock}",
        "operation_completed_at": f"{day} {clock}",
    }


IDS = ("entry_id", "operation_id", "project_id", "payment_id")
LAST = ("status", "currency", "amount_minor", "fee_minor")


@dataclass(frozen=True)
class Export:
    """How an accounting system exports entries: what stands in which column, in which words, and how it is written."""

    file: str
    titles: str  # of the columns, with | between them; an empty one leaves its column out
    columns: tuple[str, ...] = (*IDS, "date", "time", "operation_type", *LAST)
    words: Mapping[str, str] = field(default_factory=lambda: ENGLISH)
    encoding: str = "utf-8"
    separator: str = ","
    date: str = "%Y-%m-%d %H:%M:%S"
    decimal: str = "."
    thousands: str = ""
    sign: Literal["none", "before", "behind"] = "none"  # of an amount that leaves
    head: tuple[str, ...] = ()
    foot: tuple[str, ...] = ()

    def write(self, rows: Sequence[Row], folder: Path) -> None:
        """Write the file."""
        columns = {name: title for name, title in zip(self.columns, self.titles.split("|"), strict=True) if title}
        with (folder / self.file).open("w", encoding=self.encoding, newline="") as file:
            file.writelines(f"{text}\r\n" for text in self.head)
            writer = csv.writer(file, delimiter=self.separator)
            writer.writerow(columns.values())
            writer.writerows([self._cell(row, name) for name in columns] for row in rows)
            writer.writerows([text, *[""] * (len(columns) - 1)] for text in self.foot)

    def _cell(self, row: Row, name: str) -> str:
        if name in ("date", "time"):
            return _booked(row).strftime(self.date if name == "date" else "%H:%M:%S")
        if name == "fee_minor":
            return _major(row, name, self.decimal, self.thousands)
        if name == "amount_minor":
            text = _major(row, name, self.decimal, self.thousands)
            leaves = row["operation_type"] in OUT
            if self.sign == "behind":
                return f"{text}{'-' if leaves else ' '}"
            return f"-{text}" if leaves and self.sign == "before" else text
        return _word(self.words, row, name)


EXPORTS = (
    Export(
        "datev.csv",
        "Belegnummer|Belegfeld 1|Kostenstelle|Zahlungs-ID|Buchungsdatum|Uhrzeit|Buchungsart|Status|WKZ|Betrag|Gebühr",
        date="%d.%m.%Y",
        decimal=",",
        thousands=".",
        head=('Buchungsstapel der "Müller Süd GmbH', "Erstellt von: Ecomm Demo", ""),
        words=GERMAN,
        encoding="cp1252",
        separator=";",
    ),
    Export(
        "sap-fbl3n.txt",
        "Document Number|Assignment|Profit Center|Payment ID|Posting Date|Posting Time|Document Type|Status|Curr."
        "|Amount in Doc. Curr.|Fee",
        date="%d.%m.%Y",
        decimal=",",
        thousands=".",
        sign="behind",
        head=("Line Item Display", ""),
        foot=("**",),
        separator="\t",
    ),
    Export(
        "1c.csv",
        "Номер документа|ID операции|Проект|ID платежа|Дата операции||Вид операции|Статус|Валюта|Сумма|Комиссия",
        date="%d.%m.%Y %H:%M:%S",
        decimal=",",
        thousands="\u00a0",
        head=("Карточка счёта 57.03", "Магазин «Ромашка»"),
        foot=("Итого",),
        words=RUSSIAN,
        encoding="cp1251",
        separator=";",
    ),
    Export(
        "quickbooks.csv",
        "Date|Transaction Type|Num|External ID|Project|Payment ID|Status|Currency|Amount|Fee",
        columns=("date", "operation_type", *IDS, *LAST),
        date="%m/%d/%Y %I:%M:%S %p",
        thousands=",",
        sign="before",
        head=("Transaction List by Date", "Demo Shop Inc."),
        foot=("TOTAL",),
        encoding="utf-8-sig",
    ),
    Export("netsuite.csv", "Internal ID|External ID|Project|Payment ID|Date||Type|Status|Currency|Amount|Fee"),
)


def write_exports(rows: Sequence[Row], folder: Path) -> None:
    """Write the six files."""
    folder.mkdir(parents=True, exist_ok=True)
    for export in EXPORTS:
        export.write(rows, folder)
    _write_xero(rows, folder / "xero.xlsx")


def _booked(row: Row) -> datetime:
    return datetime.fromisoformat(row["booked_at"]).astimezone(UTC).replace(tzinfo=None)


def _word(words: Mapping[str, str], row: Row, name: str) -> str:
    text = str(row.get(name) or "")
    return words.get(text, text)


def _major(row: Row, name: str, decimal: str = ".", thousands: str = "") -> str:
    """Return an amount in major units as a system writes it."""
    if row.get(name) in (None, ""):
        return ""
    exponent = exponent_of(row["currency"], _booked(row).date()) or 0
    return with_decimals(int(row[name]), exponent).translate({ord(","): thousands, ord("."): decimal})


def _write_xero(rows: Sequence[Row], path: Path) -> None:
    """Write a workbook as people keep it: a sheet of notes first, cells of dates and numbers, a row of totals."""
    import xlsxwriter

    titles = ("Journal No", "External ID", "Project", "Payment ID", "Date", "Type", "Status", "Currency")
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        notes, sheet = book.add_worksheet("Report"), book.add_worksheet("Account Transactions")
        notes.write_column(0, 0, ["Demo Shop Ltd", "Account transactions", "Figures are in the second sheet"])
        sheet.write(0, 0, "Account Transactions")
        sheet.write_row(2, 0, [*titles, "Debit", "Credit", "Fee"])
        for line, row in enumerate(rows, start=3):
            words = (_word(ENGLISH, row, name) for name in ("operation_type", "status", "currency"))
            # as the number that a spreadsheet keeps: of at most 15 digits it shows what was typed
            amount, fee = (
                float(text) if (text := _major(row, name)) else None for name in ("amount_minor", "fee_minor")
            )
            sides = (None, amount) if row["operation_type"] in OUT else (amount, None)
            sheet.write_row(line, 0, [*(_word({}, row, name) for name in IDS), _booked(row), *words, *sides, fee])
        sheet.write(len(rows) + 3, 0, "Total")
