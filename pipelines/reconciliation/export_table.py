"""Where the table of an export is: kind, encoding, separator, sheet, header, and which column is called as which field.

What the columns hold is looked at in `guess_mapping`.
"""

import codecs
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.reconciliation.ledger_files import (
    SEPARATORS,
    FileKind,
    Layout,
    check_file,
    read_ledger_file,
    sheet_names,
    start_of,
)
from pipelines.reconciliation.mapping import undecided

ROWS_LOOKED_AT = 20_000
KINDS: dict[str, FileKind] = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}
NAMES = {  # what columns are called, the surest first
    "entry_id": "entry_id, entry id, entry no, belegnummer, buchungsnummer, belegnr, document number, documentno, "
    "номер документа, номер, transaction id, journal id, journal no, num, no., internal id, id, document, beleg, "
    "ref no, number, n° pièce, numéro, numero, número, numer dokumentu, numer, boekstuknummer, nr, nr.",
    "booked_at": "booked_at, booking date, booking_date, buchungsdatum, belegdatum, posting date, date and time, "
    "timestamp, created at, дата операции, дата проводки, transaction date, datum, дата, date, date comptable, "
    "date d'écriture, fecha, fecha contable, data contabile, data operazione, data księgowania, boekdatum, data",
    "time": "uhrzeit, buchungszeit, posting time, время, time, zeit",
    "operation_type": "operation_type, operation type, transaction type, document type, buchungsart, vorgang, "
    "вид операции, операция, umsatzart, type, art, вид, тип, type d'opération, tipo, soort, typ, rodzaj",
    "status": "status, state, статус, zustand, statut, estado, stato",
    "currency": "currency, currency code, währung, wkz, waers, curr., валюта, ccy, curr, whg, whg., devise, moneda, "
    "divisa, valuta, moeda, waluta",
    "amount_minor": "amount_minor, amount minor, amount in cents",
    "amount": "amount, betrag, umsatz, amount in doc. curr., amount in document currency, сумма, gross, gross amount, "
    "total amount, montant, importe, importo, valor, bedrag, kwota, value, total",
    "fee_minor": "fee_minor, fee minor",
    "fee": "fee, fees, gebühr, gebühren, commission, комиссия, charges, frais, comisión, commissione",
    "debit": "debit, soll, дебет, debit amount, débit, debe, dare, débito, debet, winien",
    "credit": "credit, haben, кредит, credit amount, crédit, haber, avere, crédito, ma",
    "mark": "s/h, soll/haben, soll/haben-kennzeichen, d/c, dc, debit/credit, mark",
    "operation_id": "operation_id, operation id, platform operation, belegfeld 1, gateway id, external id, "
    "id операции, assignment, zuordnung",
    "project_id": "project_id, project id, project, projekt, проект, kostenstelle, profit center",
    "payment_id": "payment_id, payment id, zahlungs-id, zahlung, id платежа, платёж, order, order id, end_to_end_id, "
    "customer_reference, bestellnr, bestellnummer, заказ, commande, n° commande, pedido, ordine, zamówienie",
    "reference": "reference, arn, rrn, referenz, référence, referencia, riferimento",
}
HIGH_LETTERS = re.compile("[À-ÿ]")


@dataclass(frozen=True)
class Line:
    """A line of the mapping: a key with its value or the head of a table, and what is said above it."""

    key: str = ""
    value: Any = None
    note: str = ""

    @property
    def is_doubt(self) -> bool:
        """Whether a person must decide what the value is."""
        return any(undecided(self.value))

    @property
    def text(self) -> str:
        """The line as TOML has it."""
        return self.key if self.value is None else f"{self.key} = {_toml(self.value)}"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(part)}' for key, part in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return quoted(value) if isinstance(value, str) else json.dumps(value)


@dataclass
class Table:
    """A table of the file: its layout, the names of its columns, its rows, and which column gives which field."""

    layout: Layout
    names: list[str]
    rows: list[list[Any]]
    places: dict[str, int]
    notes: list[Line] = field(default_factory=list)  # what a mapping says of the layout

    def column(self, name: str) -> str:
        """What the column of a field is called."""
        return self.names[self.places[name]]

    def values(self, name: str) -> list[Any]:
        """The values of a field's column that are not empty; none, where no column gives the field."""
        place = self.places.get(name, len(self.names))
        return [row[place] for row in self.rows if place < len(row) and row[place] not in (None, "")]

    def texts(self, name: str) -> list[str]:
        """The same as text, without spaces around it."""
        return [text for value in self.values(name) if (text := str(value).strip())]


def find_table(path: Path) -> Table:
    """Return the table of a file: below the row in which the most columns are called as we know them.

    Raises:
        ConfigError: the file cannot be read.
    """
    check_file(path)
    start = start_of(path, 4096)
    kind = KINDS.get(path.suffix.lower(), "csv")
    if b"camt.053" in start:
        kind = "camt.053"
    elif re.search(rb"^:20:.*^:25:", start, re.MULTILINE | re.DOTALL):
        kind = "mt940"
    notes = [Line("kind", kind)]
    if kind == "csv":
        return _csv_table(path, notes)
    if kind == "xlsx":
        return _xlsx_table(path, notes)
    layout = Layout(kind=kind)
    names, rows = read_ledger_file(path, layout)
    return Table(layout, names, [row for _, row in rows][:ROWS_LOOKED_AT], _places(names), notes)


def _csv_table(path: Path, notes: list[Line]) -> Table:
    encoding = _encoding_of(path, notes)
    lines = path.read_text(encoding=encoding, errors="replace").splitlines()[:200]

    # the mark that cuts most lines into as many columns, the most of them
    def regularity(mark: str) -> tuple[int, int]:
        counts = Counter(line.count(mark) for line in lines if mark in line)
        ((columns, often),) = counts.most_common(1) or [(0, 0)]
        return often if columns else 0, columns

    separator = max(SEPARATORS, key=regularity)
    notes.append(Line("separator", separator))
    layout = Layout(kind="csv", separator=separator, encoding="utf-8" if encoding == "utf-8-sig" else encoding)
    return _with_header(path, replace(layout, header=0), notes)


def _encoding_of(path: Path, notes: list[Line]) -> str:
    content = start_of(path, 2**20)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        notes.append(Line("encoding", "utf-16"))
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)  # which may end within a letter
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
        letters = [letter for letter in text if letter.isalpha()]
        share = sum(bool(HIGH_LETTERS.match(letter)) for letter in letters) / max(len(letters), 1)
        encoding = "cp1251" if share > 0.3 else "cp1252"
        sample = next((line for line in content.decode(encoding, "replace").splitlines() if not line.isascii()), "")
        notes.append(Line("encoding", encoding, f"it is not UTF-8; in {encoding} a line is {sample[:60]!r}"))
        return encoding
    return "utf-8-sig"


def _xlsx_table(path: Path, notes: list[Line]) -> Table:
    sheets = sheet_names(path)
    if len(sheets) == 1:
        return _with_header(path, Layout(kind="xlsx", header=0), notes)
    tables = {name: _with_header(path, Layout(kind="xlsx", header=0, sheet=name), []) for name in sheets}
    best = max(sheets, key=lambda name: len(tables[name].places))
    with_dates = [name for name in sheets if "booked_at" in tables[name].places]
    others = f"of {', '.join(map(repr, sheets))}"
    if len(with_dates) > 1:
        notes.append(Line("sheet", f"? {best}", f"which sheet has the entries {others}"))
    else:
        notes.append(Line("sheet", best, f"the one with dates and amounts {others}"))
    notes.append(Line("header", tables[best].layout.header))
    return replace(tables[best], notes=notes)


def _with_header(path: Path, layout: Layout, notes: list[Line]) -> Table:
    """Return the table below the row in which the most columns are called as we know them."""
    _, rows = read_ledger_file(path, layout)
    found = list(islice(rows, ROWS_LOOKED_AT))
    headers = [(len(_places([str(cell or "") for cell in row])), -line) for line, row in found[:50]]
    if not headers or not max(headers)[0]:
        return Table(layout, [], [], {}, notes)
    header = -max(headers)[1]
    notes.append(Line("header", header))
    names = [" ".join(str(cell or "").split()) for cell in next(row for line, row in found if line == header)]
    body = [row for line, row in found if line > header]
    return Table(replace(layout, header=header), names, body, _places(names), notes)


def _places(names: Sequence[str]) -> dict[str, int]:
    """Return which column gives which field, by what it is called; each column gives one."""
    plain = [" ".join(name.lower().split()) for name in names]
    found: dict[str, int] = {}
    for wanted, known in NAMES.items():
        for word in known.split(", "):
            places = [place for place, name in enumerate(plain) if name == word and place not in found.values()]
            if len(places) == 1:
                found[wanted] = places[0]
                break
    return found


def cell_text(row: Sequence[Any], place: int) -> str:
    """Return a cell of a row as text, without spaces around it."""
    return "" if place >= len(row) or row[place] is None else str(row[place]).strip()


def quoted(text: str) -> str:
    """Return a text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
