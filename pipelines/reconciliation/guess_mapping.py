"""A first mapping for a file: what its columns look like, as a TOML text with each guess and each doubt marked.

What several readings fit is a doubt: its value begins with a question mark, and `ledger import` refuses the mapping
until a person has edited that line. Nothing here is used while a file is imported.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from pipelines.reconciliation.export_table import Line, Table, cell_text, find_table, quoted
from pipelines.reconciliation.ledger_entries import WrongCell
from pipelines.reconciliation.mapped_rows import Numbers, parsed_date
from pipelines.reconciliation.mapping import ISO, LedgerMapping, has_hours
from resources.currencies import iso_codes
from resources.errors import ConfigError

WORDS = {  # their words, by ours
    "operation_type": {
        "sale": "sale, payment, charge, receive payment, customer payment, zahlung, verkauf, оплата, продажа, vente, "
        "paiement, venta, pago, vendita, pagamento, venda, verkoop, sprzedaż",
        "capture": "capture, einzug, списание холда",
        "recurring": "recurring, subscription, abo, abonnement, подписка, recurring payment",
        "refund": "refund, refund receipt, customer refund, erstattung, rückerstattung, возврат, remboursement, "
        "reembolso, devolución, rimborso, terugbetaling, zwrot",
        "reversal": "reversal, void, storno, сторно, отмена",
        "payout": "payout, bill payment, vendor payment, auszahlung, выплата",
    },
    "status": {
        "success": "success, succeeded, posted, paid, completed, gebucht, bezahlt, проведен, book, ok",
        "reversed": "reversed, storniert, сторнирован",
        "withdrawn": "withdrawn, voided, deleted, gelöscht, удален",
        "cancelled": "cancelled, canceled, abgebrochen",
        "decline": "decline, declined, abgelehnt, отклонен",
    },
}
TOTALS = re.compile(r"(?i)^\W*(total|totals|grand total|sum|summe|gesamt|gesamtsumme|итого|всего|saldo)\b.*|^\*+$")
UNIT = re.compile(r"[^\W\d_]+\.?|[^\w\s.,'’+\-\u2212\u2013()]+")  # a code, or a symbol, beside a number
MARKS = {"cr", "dr", "db", "c", "d", "s", "h"}  # beside a number, they say which way the money went
DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d")
CLOCKS = ("", " %H:%M:%S", " %H:%M", "T%H:%M:%S", " %I:%M:%S %p", " %I:%M %p", " %H:%M:%S%z", " %H:%M:%S %z")


@dataclass
class Guess:
    """The lines of a mapping: those above its tables, the fields, and the other tables."""

    top: list[Line] = field(default_factory=list)
    fields: list[Line] = field(default_factory=list)
    tables: list[Line] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """All lines, in the order of the file."""
        return [*self.top, Line(), Line("[fields]"), *self.fields, *self.tables]

    @property
    def doubts(self) -> list[str]:
        """What a person must decide."""
        return [line.note for line in self.lines if line.is_doubt]

    def toml(self, file_name: str) -> str:
        """Return the mapping as a file."""
        parts = [
            f"# How {file_name} is read; made by `ecommpay-sync ledger map`. Guesses are marked, and to be looked at.",
            "# A value that begins with ? is a doubt: decide it, or nothing is imported. See docs/reconciliation.md.",
            "",
        ]
        for line in self.lines:
            if line.note:
                parts.append(f"# {'DOUBT' if line.is_doubt else 'guess'}: {line.note}")
            parts.append(line.text)
        return "\n".join(parts) + "\n"


def guess_mapping(path: Path) -> Guess:
    """Return a first mapping for a file.

    Raises:
        ConfigError: the file cannot be read, or has no table with a date and an amount.
    """
    guess = Guess()
    table = find_table(path)
    guess.top += table.notes
    if "booked_at" not in table.places or not {"amount", "amount_minor", "debit"} & table.places.keys():
        raise ConfigError(
            f"{path.name}: no header with a date and an amount is recognised: write a mapping, from a ready one "
            "(docs/reconciliation.md)."
        )
    _guess_rows(table, guess)
    if not table.rows:
        raise ConfigError(f"{path.name} has no row with a date: export some days, and try again.")
    _guess_numbers(table, guess)
    _guess_dates(table, guess)
    if any(text != text.strip() for row in table.rows for text in row if isinstance(text, str)):
        guess.top.append(Line("trim", value=True, note="values have spaces around them"))
    if any(cell_text(row, place) for row in table.rows for place, column in enumerate(table.names) if not column):
        note = "columns without a name have values; they are not read"
        guess.top.append(Line("ignore_unnamed", value=True, note=note))
    for name in ("entry_id", "operation_id", "project_id", "payment_id", "reference"):
        _guess_text(table, guess, name)
    _guess_currency(table, guess)
    for name in ("operation_type", "status"):
        _guess_words(table, guess, name)
    return guess


def _guess_rows(table: Table, guess: Guess) -> None:
    """Tell totals and balances apart: they have no date, or are called so."""
    booked = table.places["booked_at"]
    others = [row for row in table.rows if not re.search(r"\d", cell_text(row, booked))]
    table.rows = [row for row in table.rows if re.search(r"\d", cell_text(row, booked))]
    rules: dict[tuple[int, str], None] = {}
    for row in others:
        cells = [(place, text) for place in range(len(row)) if TOTALS.match(text := cell_text(row, place))]
        rules |= dict.fromkeys(cells[:1])
    for place, word in rules:
        guess.tables += [Line(), Line("[[totals]]", note=f"{word!r} is no entry: a row without a date")]
        guess.tables += [Line("column", table.names[place]), Line("equals", [word])]
    if len(others) > len(rules):
        rest = f"{len(others)} rows have no date; those that no rule names are refused by the import"
        guess.tables.insert(0, Line(note=rest))


def _guess_numbers(table: Table, guess: Guess) -> None:
    names = ("amount", "debit", "credit", "fee", "amount_minor", "fee_minor")
    values = [value for name in names for value in table.values(name)]
    texts = [value.strip() for value in values if isinstance(value, str)]
    marks = _marks_of(texts)
    if marks is None:
        sample = next(text for text in texts if "." in text or "," in text)
        note = f"{sample} has one mark, and three digits behind it: is it the decimal mark?"
        guess.top.append(Line("decimal", "? . or ,", f"{note} If not, the other one is, and thousands = it"))
        marks = (".", "")
    elif texts:
        decimal, thousands = marks
        guess.top.append(Line("decimal", decimal, f"numbers look like {max(texts, key=len)}"))
        if thousands:
            guess.top.append(Line("thousands", thousands))
    if any(isinstance(value, float) and not value.is_integer() for value in values):
        note = "cells are numbers with a fraction: true takes them as shown, if they have at most 15 digits; else: text"
        guess.top.append(Line("fraction_cells", "? true or false", note))
    beside = sorted({unit for text in texts for unit in UNIT.findall(text)})
    has_sides = "debit" in table.places  # columns that say it as well: then the marks are no more than units
    marks_beside = [unit for unit in beside if unit.strip(".").lower() in MARKS and not has_sides]
    units = [unit for unit in beside if unit not in marks_beside]
    if units:
        is_doubt = len(units) > 1 and "currency" not in table.places
        note = f"{' and '.join(units)} stand beside the numbers"
        note += ": in which currency is a row, if no column has it" if is_doubt else ""
        guess.top.append(Line("units", ["?"] * is_doubt + units, note))
    layout = LedgerMapping(decimal=marks[0], thousands=marks[1], units=tuple(units), fraction_cells=True)
    _guess_direction(table, guess, Numbers(layout), marks_beside)
    for name in ("amount", "amount_minor", "fee", "fee_minor"):
        if name not in table.places or (name.startswith("amount") and "debit" in table.places):
            continue
        if name.startswith("fee") and any(text.startswith(("-", "\u2212", "(")) for text in table.texts(name)):
            source = {"column": table.column(name), "negate": True}
            guess.fields.append(Line(name, source, "fees are booked as negative amounts"))
        else:
            guess.fields.append(Line(name, table.column(name)))


def _marks_of(texts: Sequence[str]) -> tuple[str, str] | None:
    """Return the decimal and the thousands mark that all the numbers have; None: more than one reading fits."""
    numbers = [re.sub(r"[^\d.,'’ \u00a0\u202f]", "", text).strip() for text in texts]
    spaced = " " if any(re.search(r"\d[ \u00a0\u202f]\d", text) for text in numbers) else ""
    quoted = next((mark for mark in "'’" if any(mark in text for text in numbers)), "")
    for decimal, other in ((".", ","), (",", ".")):
        both = [text for text in numbers if decimal in text and other in text]
        if both and all(text.rindex(decimal) > text.rindex(other) for text in both):
            return decimal, other
    for decimal, other in ((".", ","), (",", ".")):
        with_mark = [text for text in numbers if decimal in text]
        if with_mark and not any(other in text for text in numbers):
            if any(not re.search(rf"{re.escape(decimal)}\d{{3}}$", text) for text in with_mark):
                return decimal, spaced or quoted
            if any(text.count(decimal) > 1 for text in with_mark):
                return other, decimal
            return (decimal, spaced or quoted) if spaced or quoted else None
    return ".", spaced or quoted


def _guess_direction(table: Table, guess: Guess, numbers: Numbers, marks_beside: list[str]) -> None:
    """Say which way the money went, where amounts have signs or stand in two columns, or no column has the type."""
    places = table.places
    words = _words_of(table, "operation_type")
    by_columns = "debit" in places and "credit" in places
    column = places["debit"] if by_columns else places.get("amount", places.get("amount_minor", 0))
    kinds: dict[str, set[str | None]] = {"positive": set(), "negative": set()}
    for row in table.rows:
        with suppress(WrongCell, IndexError):  # whatever is no number says nothing about the sign
            number = numbers.summand(row[column])
            is_negative = not number if by_columns else number < 0
            theirs = cell_text(row, places["operation_type"]) if words else ""
            kinds["negative" if is_negative else "positive"].add(words.get(theirs))
    has_negative = bool(kinds["negative"])
    if not (by_columns or has_negative or marks_beside or "operation_type" not in places):
        return
    lines = [Line(), Line("[direction]")]
    by_marks = not by_columns and bool(marks_beside or ("mark" in places and not has_negative))
    if by_columns:
        lines += [Line(side, table.column(side)) for side in ("debit", "credit")]
    elif by_marks:
        marks = f"? some of {' '.join(marks_beside or sorted({*table.texts('mark')}))}"
        lines += [] if marks_beside else [Line("mark", table.column("mark"))]
        lines.append(Line("positive_marks", marks, "which marks are of money that came in"))
        lines.append(Line("negative_marks", marks, "which marks are of money that went out"))
    for side in ("positive", "negative"):
        if "operation_type" not in places:
            lines.append(Line(side, "? sale, refund or payout", f"no column has the type: what is a {side} amount"))
        elif by_marks:
            types = sorted(filter(None, {*words.values()}))
            lines.append(Line(side, f"? some of {' '.join(types)}", f"which types have marks of {side} amounts"))
        elif types := sorted(filter(None, kinds[side])):
            lines.append(Line(side, types, f"the types that have {side} amounts in this file"))
    guess.tables[:0] = lines


def _guess_dates(table: Table, guess: Guess) -> None:
    booked, clock = table.places["booked_at"], table.places.get("time")
    column = table.column("booked_at")
    guess.fields.append(Line("booked_at", column if clock is None else {"column": column, "time": table.names[clock]}))
    cells = [value for value in table.values("booked_at") if isinstance(value, datetime) and value.tzinfo is None]
    has_times = any(value.time() != time() for value in cells)
    if has_times:
        guess.top.append(Line("date_cells", "time", "cells hold a time of the day"))
    texts = [
        f"{value.strip()} {cell_text(row, clock)}".strip() if clock is not None else value.strip()
        for row in table.rows
        if isinstance(value := row[booked] if booked < len(row) else None, str) and value.strip()
    ]
    if texts:
        forms = _date_forms(texts)
        if not forms:
            note = f"{texts[0]!r} is no date that is known here: write its format, such as %d.%m.%Y %H:%M"
            guess.top.append(Line("dates", "? a format", note))
        elif len(forms) > 1:
            either = " or ".join(forms)
            guess.top.append(Line("dates", f"? {either}", f"{texts[0]} can be read as {either}"))
        else:
            guess.top.append(Line("dates", forms[0], f"dates look like {texts[0]}"))
        has_times = has_times or any(has_hours(form) and "%z" not in form for form in forms)
    if has_times or (clock is not None and any(isinstance(value, time) for value in table.values("time"))):
        note = "the file has times and no zone: in which zone are they, UTC or for example Europe/Berlin"
        guess.top.append(Line("zone", "? which zone", note))


def _date_forms(texts: Sequence[str]) -> list[str]:
    """Return the formats that all the dates fit, and that do not all mean the same."""
    forms = [ISO, *(f"{day}{clock}" for day in DAYS for clock in CLOCKS)]
    samples = list(dict.fromkeys(texts))
    for text in samples:
        forms = [form for form in forms if _fits(text, form)]
    meanings: dict[tuple[date | datetime | None, ...], str] = {}
    for form in forms:
        meanings.setdefault(tuple(parsed_date(text, form) for text in samples), form)
    return list(meanings.values())


def _fits(text: str, form: str) -> bool:
    value = parsed_date(text, form)
    if form == ISO and isinstance(value, datetime):
        return value.tzinfo is not None
    return value is not None and 1990 <= value.year <= 2200


def _guess_text(table: Table, guess: Guess, name: str) -> None:
    if name not in table.places:
        if name == "entry_id":
            hint = '? no column is called as an id: a column, or { template = "{A}-{B}" } of several'
            guess.fields.append(Line(name, hint, "each entry needs an id that stays"))
        return
    texts, column = table.texts(name), table.column(name)
    if name == "entry_id" and not len(table.rows) == len(texts) == len(set(texts)):
        hint = f"{column} is not one id for each row"
        guess.fields.append(Line(name, f"? {hint}", f"{hint}: name another, or a template"))
    elif any(type(value) in (int, Decimal) for value in table.values(name)):
        note = f"for example {texts[0]}, a number cell: leading zeros, if it had some, are lost"
        guess.fields.append(Line(name, {"column": column, "number": True}, note))
    elif texts:
        guess.fields.append(Line(name, column, f"for example {texts[0]}"))


def _guess_currency(table: Table, guess: Guess) -> None:
    if "currency" not in table.places:
        note = "no column has the currency: which is it, for all rows"
        guess.fields.append(Line("currency", {"value": "? EUR"}, note))
        return
    column, words = table.column("currency"), sorted({*table.texts("currency")})
    unknown = [word for word in words if word not in iso_codes()]
    if unknown:
        codes = {quoted(word): f"? {word}" if word in unknown else word for word in words}
        note = f"no ISO 4217 code: {', '.join(unknown)}"
        guess.fields.append(Line("currency", {"column": column, "words": codes}, note))
    else:
        guess.fields.append(Line("currency", column, f"for example {', '.join(words[:5])}"))


def _words_of(table: Table, name: str) -> dict[str, str | None]:
    ours = {word: mine for mine, words in WORDS[name].items() for word in words.split(", ")}
    return {text: ours.get(text.lower()) for text in sorted({*table.texts(name)})}


def _guess_words(table: Table, guess: Guess, name: str) -> None:
    if name not in table.places:
        return
    words = _words_of(table, name)
    if all(theirs == mine for theirs, mine in words.items()):
        guess.fields.append(Line(name, table.column(name)))
        return
    unknown = [theirs for theirs, mine in words.items() if mine is None]
    note = f"what is {', '.join(unknown)}: one of {', '.join(WORDS[name])}" if unknown else "their words, and ours"
    pairs = {quoted(theirs): mine or "?" for theirs, mine in words.items()}
    guess.fields.append(Line(name, {"column": table.column(name), "words": pairs}, note))
