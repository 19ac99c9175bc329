"""Statements of a bank, camt.053 and MT940, to rows under names of our own; what a row means is said by a mapping.

Amounts are exact and signed: what the account receives is positive. A row is a booked entry, or one transaction of an
entry that the bank booked as a batch. Its `entry_id` is the same whenever the statement is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
NO_CAMT = "camt.053 file that can be read: export the statement again"
NO_MT940 = "MT940 file that can be read: export the statement again"
BATCH = Spoiled("is of a batch whose transactions do not add up to it", "ask the bank for a statement with all of them")
NO_AMOUNT = Spoiled("is no amount", "export the statement again")


def read_camt(path: Path, _: Layout) -> tuple[list[str], Rows]:
    """Return the columns of a camt.053 statement, and its entries, numbered in their order."""
    return list(CAMT_COLUMNS), _camt_rows(path)


def _camt_rows(path: Path) -> Rows:
    from defusedxml.ElementTree import iterparse

    number, found = 0, False
    statement = account = ""
    with whole_file(path, NO_CAMT):
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                name = _name(element)
                if event == "start":
                    if name == "Stmt":
                        statement, account, entry, found = "", "", 0, True
                    continue
                if name == "Id" and found and not statement:
                    statement = (element.text or "").strip()
                elif name == "Acct":
                    account = _text(element, "Id/IBAN") or _text(element, "Id/Othr/Id")
                elif name == "Ntry":
                    entry += 1
                    for row in _camt_entry(element, account, statement, entry):
                        number += 1
                        yield number, row
                    element.clear()
        if not found:
            raise ValueError


def _camt_entry(entry: Element, account: str, statement: str, place: int) -> Iterator[list[Any]]:
    """Yield an entry, or the transactions of a batch that add up to it."""
    transactions = entry.findall(".//{*}TxDtls")
    amount = _amount(entry)
    parts = [_amount(part) for part in transactions]
    known = [part for part in parts if isinstance(part, Decimal)]
    identity = _text(entry, "AcctSvcrRef") or _text(entry, "NtryRef") or f"{statement}-{place}"
    if len(transactions) < 2:
        yield _camt_row(entry, transactions[0] if transactions else entry, account, statement, identity, amount)
    elif len(known) == len(parts) and isinstance(amount, Decimal) and sum(known) == abs(amount):
        for count, (part, each) in enumerate(zip(transactions, known, strict=True), start=1):
            signed = -each if _is_debit(entry) else each
            yield _camt_row(entry, part, account, statement, f"{identity}/{count}", signed)
    else:
        yield _camt_row(entry, entry, account, statement, identity, BATCH)


def _camt_row(entry: Element, part: Element, account: str, statement: str, identity: str, amount: Any) -> list[Any]:
    money = next(iter(_all(entry, "Amt")), None)
    currency = money.get("Ccy", "") if money is not None else ""
    status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
    code = _text(entry, "BkTxCd/Prtry/Cd") or "-".join(
        filter(None, (_text(entry, f"BkTxCd/Domn/{way}") for way in ("Cd", "Fmly/Cd", "Fmly/SubFmlyCd")))
    )
    party = "Dbtr" if not _is_debit(entry) else "Cdtr"
    name = _text(part, f"RltdPties/{party}/Nm") or _text(part, f"RltdPties/{party}/Pty/Nm")
    remittance = " ".join((line.text or "").strip() for line in _all(part, "RmtInf/Ustrd"))
    values = (
        *(identity, account, statement, _moment(entry, "BookgDt"), _moment(entry, "ValDt"), amount, currency),
        *(_text(entry, "CdtDbtInd"), status, _text(entry, "RvslInd"), code, _text(part, "Refs/EndToEndId")),
        *(_text(part, "Refs/TxId"), _text(part, "Refs/InstrId"), name, remittance),
    )
    return [value if value != "" else None for value in values]


def _amount(element: Element) -> Any:
    """Return the signed amount of an entry; of a transaction its amount in the account's currency, without a sign."""
    is_entry = _name(element) == "Ntry"
    text = _text(element, "Amt") or ("" if is_entry else _text(element, "AmtDtls/TxAmt/Amt"))
    try:
        amount = Decimal(text)
    except InvalidOperation:
        return NO_AMOUNT
    if not amount.is_finite() or amount < 0:
        return NO_AMOUNT
    return -amount if is_entry and _is_debit(element) else amount


def _is_debit(entry: Element) -> bool:
    return _text(entry, "CdtDbtInd") == "DBIT"


def _moment(element: Element, name: str) -> str:
    return _text(element, f"{name}/DtTm") or _text(element, f"{name}/Dt")


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
        _check_balances(path, statement)
    return list(MT940_COLUMNS), iter(enumerate(rows, start=1))


def _check_balances(path: Path, statement: Any) -> None:
    """Refuse a statement whose entries do not lead from its opening balance to its closing balance."""
    opening, closing = statement.data.get("final_opening_balance"), statement.data.get("final_closing_balance")
    moved = sum(entry.data["amount"].amount for entry in statement)
    if opening and closing and opening.amount.amount + moved != closing.amount.amount:
        raise ConfigError(
            f"{path.name}: the entries of statement {statement.data.get('statement_number')} do not lead from its "
            "opening to its closing balance: export it again, whole."
        )


def _mt940_rows(statement: Any) -> Iterator[list[Any]]:
    of_all = statement.data
    account = of_all.get("account_identification") or ""
    number = "/".join(filter(None, (of_all.get("statement_number"), of_all.get("sequence_number"))))
    for place, entry in enumerate(statement, start=1):
        data = entry.data
        amount, booked = data.get("amount"), data.get("entry_date") or data.get("date")
        year = f"{booked:%Y}" if booked else ""
        values = (
            *(f"{account}-{year}-{number}-{place}", account, number),
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
