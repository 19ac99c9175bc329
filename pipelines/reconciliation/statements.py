"""Statements of a bank, camt.053 and MT940, to rows under names of our own; what a row means is said by a mapping.

Amounts are exact and signed: what the account receives is positive. A row is a booked entry, or one transaction of an
entry that the bank booked as a batch. Its `entry_id` is the same whenever the statement is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.reconciliation.ledger_entries import NUMBER
from pipelines.reconciliation.ledger_files import Layout, Rows, Spoiled, whole_file
from resources.errors import ConfigError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

CAMT_COLUMNS = (
    *("entry_id", "account", "statement", "booking_date", "value_date", "amount", "currency", "mark", "status"),
    *("reversal", "code", "end_to_end_id", "transaction_id", "instruction_id", "counterparty", "remittance"),
)
MT940_COLUMNS = (
    *("entry_id", "account", "statement", "booking_date", "value_date", "amount", "currency", "mark"),
    *("transaction_type", "customer_reference", "bank_reference", "details", "purpose"),
)
DEBIT = "DBIT"
NOT_BOOKED = ("PDNG", "INFO")
NO_REFERENCE = ("", "NONREF", "NOTPROVIDED")
NO_CAMT = "camt.053 file that can be read: export the statement again"
NO_MT940 = "MT940 file that can be read: export the statement again"
BATCH = Spoiled("is of a batch whose transactions do not add up to it", "ask the bank for a statement with all of them")
NO_AMOUNT = Spoiled("is no amount", "export the statement again")


def read_camt(path: Path, _: Layout) -> tuple[list[str], Rows]:
    """Return the columns of a camt.053 statement, and its entries, numbered in their order."""
    return list(CAMT_COLUMNS), _camt_rows(path)


@dataclass
class _Statement:
    """What is read of a statement before its end."""

    identity: str = ""
    account: str = ""
    entries: int = 0
    moved: Decimal = Decimal(0)  # by all booked entries
    balances: dict[str, Any] = field(default_factory=dict)

    def read(self, name: str, element: Element) -> None:
        """Keep what an element says of the whole statement."""
        if name == "Id":
            self.identity = self.identity or (element.text or "").strip()
        elif name == "Acct":
            self.account = _text(element, "Id/IBAN") or _text(element, "Id/Othr/Id")
        elif name == "Bal":
            self.balances.setdefault(_text(element, "Tp/CdOrPrtry/Cd"), _amount(element))

    def count(self, entry: Element) -> None:
        """Count an entry, and what it moves."""
        self.entries += 1
        amount = _amount(entry)
        self.moved += amount if isinstance(amount, Decimal) and _status(entry) not in NOT_BOOKED else 0


def _camt_rows(path: Path) -> Rows:
    from defusedxml.ElementTree import iterparse

    number, statement = 0, None
    with whole_file(path, NO_CAMT):
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                name = _name(element)
                if event == "start":
                    statement = _Statement() if name == "Stmt" else statement
                elif statement is None:
                    continue
                elif name == "Ntry":
                    statement.count(element)
                    for row in _camt_entry(element, statement):
                        number += 1
                        yield number, row
                    element.clear()
                elif name == "Stmt":
                    known = statement.balances
                    opening, closing = known.get("OPBD", known.get("PRCD")), known.get("CLBD")
                    _check_balances(path, statement.identity, opening, statement.moved, closing)
                else:
                    statement.read(name, element)
        if statement is None:
            raise ValueError


def _camt_entry(entry: Element, statement: _Statement) -> Iterator[list[Any]]:
    """Yield an entry, or the transactions of a batch that add up to it."""
    transactions = entry.findall(".//{*}TxDtls")
    amount, mark = _amount(entry), _text(entry, "CdtDbtInd")
    parts = [_amount(part, mark) for part in transactions]
    known = [
        part
        for part, each in zip(parts, transactions, strict=True)
        if isinstance(part, Decimal) and _currency(each) in ("", _currency(entry))
    ]
    identity, number = (_text(entry, name) for name in ("AcctSvcrRef", "NtryRef"))
    if identity in NO_REFERENCE:  # the other one may be unique within its statement alone
        number = f"#{statement.entries}" if number in NO_REFERENCE else number
        identity = f"{statement.account}-{statement.identity}-{number}"
    if len(transactions) < 2:
        yield _camt_row(entry, transactions[0] if transactions else entry, statement, identity, amount)
    elif len(known) == len(parts) and isinstance(amount, Decimal) and sum(known) == amount:
        for count, (part, each) in enumerate(zip(transactions, known, strict=True), start=1):
            yield _camt_row(entry, part, statement, f"{identity}/{count}", each)
    else:
        yield _camt_row(entry, entry, statement, identity, BATCH)


def _camt_row(entry: Element, part: Element, statement: _Statement, identity: str, amount: Any) -> list[Any]:
    mark = _text(entry, "CdtDbtInd")
    if isinstance(amount, Decimal) and amount:
        mark = DEBIT if amount < 0 else "CRDT"
    code = _text(entry, "BkTxCd/Prtry/Cd") or "-".join(
        filter(None, (_text(entry, f"BkTxCd/Domn/{way}") for way in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")))
    )
    party = "Cdtr" if mark == DEBIT else "Dbtr"
    name = _text(part, f"RltdPties/{party}/Nm") or _text(part, f"RltdPties/{party}/Pty/Nm")
    remittance = " ".join((line.text or "").strip() for line in _all(part, "RmtInf/Ustrd"))
    values = (
        *(identity, statement.account, statement.identity, _moment(entry, "BookgDt"), _moment(entry, "ValDt")),
        *(amount, _currency(entry), mark, _status(entry), _text(entry, "RvslInd"), code),
        *(_text(part, "Refs/EndToEndId"), _text(part, "Refs/TxId"), _text(part, "Refs/InstrId"), name, remittance),
    )
    return [value if value != "" else None for value in values]


def _amount(element: Element, mark: str = "") -> Any:
    """Return the signed amount of an entry or a balance, or of a transaction: without a mark, its entry's counts."""
    money = _money(element)
    text = ((money.text if money is not None else "") or "").strip()
    if not NUMBER.fullmatch(text):
        return NO_AMOUNT
    return -Decimal(text) if (_text(element, "CdtDbtInd") or mark) == DEBIT else Decimal(text)


def _money(element: Element) -> Element | None:
    ways = ("Amt", "AmtDtls/TxAmt/Amt") if _name(element) == "TxDtls" else ("Amt",)
    return next((money for way in ways for money in _all(element, way)), None)


def _currency(element: Element) -> str:
    money = _money(element)
    return money.get("Ccy", "") if money is not None else ""


def _status(entry: Element) -> str:
    return _text(entry, "Sts/Cd") or _text(entry, "Sts")


def _moment(element: Element, name: str) -> str:
    return _text(element, f"{name}/DtTm") or _text(element, f"{name}/Dt")[: len("2026-01-31")]  # a zone may follow


def _text(element: Element, way: str) -> str:
    return next(((found.text or "").strip() for found in _all(element, way)), "")


def _all(element: Element, way: str) -> list[Element]:
    """Return the elements on a way of local names: each version of the schema has a name space of its own."""
    return element.findall("{*}" + way.replace("/", "/{*}"))


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def read_mt940(path: Path, layout: Layout) -> tuple[list[str], Rows]:
    """Return the columns of an MT940 statement, and its entries, numbered in their order."""
    import mt940

    logging.getLogger("mt940").setLevel(logging.CRITICAL)  # it logs the lines that it cannot read
    with whole_file(path, NO_MT940):
        text = path.read_bytes().decode("utf-8-sig" if layout.encoding == "utf-8" else layout.encoding)
        marks = sum(line.startswith(":61:") for line in text.splitlines())
        statements = mt940.parse_statements(text, options=mt940.Options.all())
        rows = [row for statement in statements for row in _mt940_rows(statement)]
        if not statements or len(rows) != marks:
            raise ValueError
    for statement in statements:
        balances = (statement.data.get(f"final_{end}_balance") for end in ("opening", "closing"))
        opening, closing = (balance and balance.amount.amount for balance in balances)
        moved = sum((entry.data["amount"].amount for entry in statement), Decimal(0))
        _check_balances(path, statement.data.get("statement_number"), opening, moved, closing)
    return list(MT940_COLUMNS), iter(enumerate(rows, start=1))


def _check_balances(path: Path, statement: str | None, opening: Any, moved: Decimal, closing: Any) -> None:
    """Refuse a statement whose entries do not lead from its opening balance to its closing balance, if it has both."""
    if isinstance(opening, Decimal) and isinstance(closing, Decimal) and opening + moved != closing:
        raise ConfigError(
            f"{path.name}: the entries of statement {statement} do not lead from its "
            "opening to its closing balance: export it again, whole."
        )


def _mt940_rows(statement: Any) -> Iterator[list[Any]]:
    of_all = statement.data
    account = of_all.get("account_identification") or ""
    number = "/".join(filter(None, (of_all.get("statement_number"), of_all.get("sequence_number"))))
    kinds = ("final_closing", "intermediate_closing", "final_opening", "intermediate_opening")
    dated = next((balance.date for kind in kinds if (balance := of_all.get(f"{kind}_balance"))), None)
    # numbers begin anew each year; a bank that does not number its statements writes 0
    period = "%Y" if (of_all.get("statement_number") or "").strip("0") else "%Y-%m-%d"
    for place, entry in enumerate(statement, start=1):
        data = entry.data
        amount, booked = data.get("amount"), data.get("entry_date") or data.get("date")
        day = dated or booked
        values = (
            *(f"{account}-{day.strftime(period) if day else ''}-{number}-{place}", account, number),
            *(_plain_date(booked), _plain_date(data.get("date"))),
            *(amount.amount if amount else NO_AMOUNT, amount.currency if amount else None, data.get("status")),
            *(data.get("id"), data.get("customer_reference"), data.get("bank_reference")),
            *(_one_line(data.get("transaction_details")), _one_line(data.get("purpose"))),
        )
        yield [value if value != "" else None for value in values]


def _plain_date(value: Any) -> str | None:
    return f"{value:%Y-%m-%d}" if value else None


def _one_line(value: str | None) -> str | None:
    return " ".join(value.split()) if value else None
