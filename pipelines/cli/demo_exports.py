"""The demo's ledger of a day as six accounting systems would export it: the same entries, six shapes of file."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources.currencies import exponent_of

Row = dict[str, Any]
OUT = frozenset({"refund", "reversal", "payout"})  # types of money that leaves
GERMAN = {"sale": "Zahlung", "capture": "Einzug", "recurring": "Abo", "refund": "Erstattung", "reversal": "Storno"}
GERMAN |= {"payout": "Auszahlung", "success": "Gebucht", "reversed": "Storniert"}
RUSSIAN = {"sale": "Оплата", "capture": "Списание холда", "recurring": "Подписка", "refund": "Возврат"}
RUSSIAN |= {"reversal": "Сторно", "payout": "Выплата", "success": "Проведен", "reversed": "Сторнирован"}
ENGLISH = {"sale": "Payment", "capture": "Capture", "recurring": "Subscription", "refund": "Refund", "payout": "Payout"}
ENGLISH |= {"reversal": "Reversal", "success": "Posted", "reversed": "Reversed"}


@dataclass(frozen=True)
class Posting:
    """An entry of the demo's ledger, with what exports say of it."""

    row: Row

    @property
    def at(self) -> datetime:
        """When it was booked, in UTC."""
        return datetime.fromisoformat(self.row["booked_at"]).astimezone(UTC).replace(tzinfo=None)

    def text(self, name: str) -> str:
        """Return a value as text."""
        return str(self.row.get(name) or "")

    def minor(self, name: str, *, signed: bool) -> int:
        """Return an amount in minor units, negative for money that leaves."""
        return int(self.row[name]) * (-1 if signed and self.row["operation_type"] in OUT else 1)

    def number(self, name: str, decimal: str, thousands: str, *, signed: bool = False) -> str:
        """Return an amount in major units as a system writes it."""
        if self.row.get(name) in (None, ""):
            return ""
        minor, exponent = self.minor(name, signed=signed), exponent_of(self.row["currency"], self.at.date()) or 0
        whole, fraction = divmod(abs(minor), 10**exponent)
        text = f"{whole:,}".replace(",", thousands) + (f"{decimal}{fraction:0{exponent}d}" if exponent else "")
        return f"-{text}" if minor < 0 else text


Columns = dict[str, Callable[[Posting], Any]]


def write_exports(rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write the six files, and return where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    postings = [Posting(row) for row in rows]
    return [write(postings, folder) for write in (_datev, _sap, _one_c, _quickbooks, _xero, _netsuite)]


def _ids(entry: str, operation: str, project: str, payment: str) -> Columns:
    names = {entry: "entry_id", operation: "operation_id", project: "project_id", payment: "payment_id"}
    return {name: lambda posting, of=of: posting.text(of) for name, of in names.items()}  # type: ignore[misc]


def _of_words(words: dict[str, str], name: str) -> Callable[[Posting], str]:
    return lambda posting: words.get(posting.text(name), posting.text(name))


ENGLISH_COLUMNS: Columns = {
    "Status": _of_words(ENGLISH, "status"),
    "Currency": lambda posting: posting.text("currency"),
}


def _datev(postings: Sequence[Posting], folder: Path) -> Path:
    columns: Columns = {
        **_ids("Belegnummer", "Belegfeld 1", "Kostenstelle", "Zahlungs-ID"),
        "Buchungsdatum": lambda posting: f"{posting.at:%d.%m.%Y}",
        "Uhrzeit": lambda posting: f"{posting.at:%H:%M:%S}",
        "Buchungsart": _of_words(GERMAN, "operation_type"),
        "Status": _of_words(GERMAN, "status"),
        "WKZ": lambda posting: posting.text("currency"),
        "Betrag": lambda posting: posting.number("amount_minor", ",", "."),
        "Gebühr": lambda posting: posting.number("fee_minor", ",", "."),
    }
    title = ['Buchungsstapel der "Müller Süd GmbH', "Erstellt von: Ecomm Demo", ""]
    return _csv(folder / "datev.csv", columns, postings, ";", "cp1252", title=title)


def _sap(postings: Sequence[Posting], folder: Path) -> Path:
    def trailing(name: str) -> Callable[[Posting], str]:
        def of(posting: Posting) -> str:
            text = posting.number(name, ",", ".", signed=True)
            return f"{text[1:]}-" if text.startswith("-") else f"{text} "

        return of

    columns: Columns = {
        **_ids("Document Number", "Assignment", "Profit Center", "Payment ID"),
        "Posting Date": lambda posting: f"{posting.at:%d.%m.%Y}",
        "Posting Time": lambda posting: f"{posting.at:%H:%M:%S}",
        "Document Type": _of_words(ENGLISH, "operation_type"),
        "Status": _of_words(ENGLISH, "status"),
        "Curr.": lambda posting: posting.text("currency"),
        "Amount in Doc. Curr.": trailing("amount_minor"),
        "Fee": lambda posting: posting.number("fee_minor", ",", "."),
    }
    return _csv(
        folder / "sap-fbl3n.txt", columns, postings, "\t", "utf-8", title=["Line Item Display", ""], end=[["**"]]
    )


def _one_c(postings: Sequence[Posting], folder: Path) -> Path:
    columns: Columns = {
        **_ids("Номер документа", "ID операции", "Проект", "ID платежа"),
        "Дата операции": lambda posting: f"{posting.at:%d.%m.%Y %H:%M:%S}",
        "Вид операции": _of_words(RUSSIAN, "operation_type"),
        "Статус": _of_words(RUSSIAN, "status"),
        "Валюта": lambda posting: posting.text("currency"),
        "Сумма": lambda posting: posting.number("amount_minor", ",", "\u00a0"),
        "Комиссия": lambda posting: posting.number("fee_minor", ",", "\u00a0"),
    }
    title = ["Карточка счёта 57.03", "Магазин «Ромашка»"]
    return _csv(folder / "1c.csv", columns, postings, ";", "cp1251", title=title, end=[["Итого"]])


def _quickbooks(postings: Sequence[Posting], folder: Path) -> Path:
    columns: Columns = {
        "Date": lambda posting: f"{posting.at:%m/%d/%Y %I:%M:%S %p}",
        "Transaction Type": _of_words(ENGLISH, "operation_type"),
        **_ids("Num", "External ID", "Project", "Payment ID"),
        **ENGLISH_COLUMNS,
        "Amount": lambda posting: posting.number("amount_minor", ".", ",", signed=True),
        "Fee": lambda posting: posting.number("fee_minor", ".", ","),
    }
    title = ["Transaction List by Date", "Demo Shop Inc."]
    return _csv(folder / "quickbooks.csv", columns, postings, ",", "utf-8-sig", title=title, end=[["TOTAL"]])


def _netsuite(postings: Sequence[Posting], folder: Path) -> Path:
    columns: Columns = {
        **_ids("Internal ID", "External ID", "Project", "Payment ID"),
        "Date": lambda posting: f"{posting.at:%Y-%m-%d %H:%M:%S}",
        "Type": _of_words(ENGLISH, "operation_type"),
        **ENGLISH_COLUMNS,
        "Amount": lambda posting: posting.number("amount_minor", ".", ""),
        "Fee": lambda posting: posting.number("fee_minor", ".", ""),
    }
    return _csv(folder / "netsuite.csv", columns, postings, ",", "utf-8")


def _csv(
    path: Path,
    columns: Columns,
    postings: Iterable[Posting],
    separator: str,
    encoding: str,
    *,
    title: Sequence[str] = (),
    end: Sequence[Sequence[str]] = (),
) -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        file.writelines(f"{text}\r\n" for text in title)
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows([read(posting) for read in columns.values()] for posting in postings)
        writer.writerows([*row, *[""] * (len(columns) - len(row))] for row in end)
    return path


def _xero(postings: Sequence[Posting], folder: Path) -> Path:
    """Write a workbook as people keep it: a sheet of notes first, cells of dates and numbers, a row of totals."""
    import xlsxwriter

    path = folder / "xero.xlsx"
    columns: Columns = {
        **_ids("Journal No", "External ID", "Project", "Payment ID"),
        "Date": lambda posting: posting.at,
        "Type": _of_words(ENGLISH, "operation_type"),
        **ENGLISH_COLUMNS,
        "Debit": lambda posting: (
            None if posting.row["operation_type"] in OUT else _number_cell(posting, "amount_minor")
        ),
        "Credit": lambda posting: (
            _number_cell(posting, "amount_minor") if posting.row["operation_type"] in OUT else None
        ),
        "Fee": lambda posting: _number_cell(posting, "fee_minor"),
    }
    with xlsxwriter.Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss"}) as book:
        notes, sheet = book.add_worksheet("Report"), book.add_worksheet("Account Transactions")
        notes.write_column(0, 0, ["Demo Shop Ltd", "Account transactions", "Figures are in the second sheet"])
        sheet.write(0, 0, "Account Transactions")
        sheet.write_row(2, 0, columns)
        for line, posting in enumerate(postings, start=3):
            sheet.write_row(line, 0, [read(posting) for read in columns.values()])
        sheet.write(len(postings) + 3, 0, "Total")
    return path


def _number_cell(posting: Posting, name: str) -> float | None:
    """Return an amount as the number that a spreadsheet keeps: of at most 15 digits it shows what was typed."""
    text = posting.number(name, ".", "")
    return float(text) if text else None
