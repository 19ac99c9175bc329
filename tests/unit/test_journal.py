"""The journal of sealed days: balanced lines whose sums are the control totals, and one clear line for what is none."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.commands import ROOT
from pipelines.reconciliation.close import Sealed
from pipelines.reports.journal import JournalMap, Rule, journal_csv, journal_of, read_journal_map
from resources.errors import ConfigError

DAY = date(2026, 10, 31)
EXAMPLE = ROOT / "deploy" / "journal.example.toml"
ACCOUNTS = read_journal_map(str(EXAMPLE))
EXPONENTS = {"EUR": 2, "JPY": 0, "KWD": 3, "CLF": 4}
SIGNS = {"sale": 1, "capture": 1, "recurring": 1, "refund": -1, "reversal": -1, "payout": -1, "auth": 0}


def total(kind="sale", status="success", currency="EUR", minor: int | None = 1000, count=1, **more) -> dict:
    return {
        "currency": currency,
        "exponent": EXPONENTS.get(currency),
        "type": kind,
        "status": status,
        "is_success": status == "success",
        "sign": SIGNS.get(kind, 0),
        "count": count,
        "minor": None if minor is None else str(minor),
        **more,
    }


def sealed(*totals: dict, number=1) -> Sealed:
    document = json.dumps({"account": "default", "totals": {"day": totals}})
    return Sealed(number, document, "ab" * 32, "cd" * 32)


totals_of_a_day = st.lists(
    st.builds(
        total,
        st.sampled_from([*SIGNS, "account verification", "cancel"]),
        st.sampled_from(["success", "decline", "awaiting 3ds result"]),
        st.sampled_from([*EXPONENTS]),
        st.one_of(st.none(), st.integers(0, 10**18)),
        st.integers(1, 10**6),
    ),
    unique_by=lambda row: (row["type"], row["status"], row["currency"]),
)


@given(st.lists(totals_of_a_day, max_size=4))
def test_debit_and_credit_are_the_sealed_control_totals_of_any_days(days):
    seals = {DAY + timedelta(days=number): sealed(*rows, number=number) for number, rows in enumerate(days)}
    journal = journal_of(seals, ACCOUNTS)
    booked = Counter()
    for line in journal.lines:
        booked[line.day, line.currency, "debit"] += line.debit_minor or 0
        booked[line.day, line.currency, "credit"] += line.credit_minor or 0
    expected = Counter()
    for day, rows in zip(seals, days, strict=True):
        for row in rows:
            if row["is_success"] and row["sign"]:
                expected[day, row["currency"], "debit"] += int(row["minor"] or 0)
                expected[day, row["currency"], "credit"] += int(row["minor"] or 0)
    assert +booked == +expected
    assert all(line.debit_minor == line.credit_minor for line in journal.totals)
    assert sum(line.debit_minor for line in journal.totals) == sum(
        count for (_, _, side), count in expected.items() if side == "debit"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (total("chargeback", minor=5), "chargeback success EUR (1 operations of 2026-10-31)"),
        (total("account charge", minor=5), "account charge success EUR"),  # that no rule of any type swallows
        (total(currency="XTS"), "XTS, whose decimals are not known (SYNC_CURRENCY_EXPONENTS)"),
        (total(currency=None), "sale success without a currency"),
    ],
)
def test_money_that_cannot_be_booked_refuses_the_whole_journal(row, said):
    with pytest.raises(ConfigError) as refused:
        journal_of({DAY: sealed(total(), row)}, ACCOUNTS)
    assert said in str(refused.value)
    assert str(EXAMPLE) in str(refused.value)


def test_a_day_whose_lines_do_not_balance_is_refused_with_both_sums():
    one_sided = JournalMap((Rule("sale", debit="1360"), Rule("refund", credit="1360")), file="map.toml")
    with pytest.raises(ConfigError, match=r"2026-10-31 EUR: debit 10\.00, credit 3\.00 do not balance by map\.toml"):
        journal_of({DAY: sealed(total(), total("refund", minor=300))}, one_sided)
    assert len(journal_of({DAY: sealed(total(), total("refund"))}, one_sided).lines) == 2, "where they do, it is one"


def test_the_rule_that_says_most_counts():
    lines = journal_of({DAY: sealed(total(), total(currency="USD", exponent=2))}, ACCOUNTS).lines
    assert [(line.currency, line.account) for line in lines] == [
        ("EUR", "1360-EUR"),
        ("EUR", "8400"),
        ("USD", "1361"),
        ("USD", "8401"),
    ]


def test_text_that_a_spreadsheet_would_calculate_is_marked_as_text(tmp_path):
    file = tmp_path / "map.toml"
    file.write_text(
        'text = "{type}"\nseparator = ";"\ndecimal = ","\ndate = "%d.%m.%Y"\n'
        '[[rules]]\ntype = "=1+1"\ndebit = "@1"\ncredit = "-2"\n'
    )
    accounts = read_journal_map(str(file))
    written = journal_csv(journal_of({DAY: sealed(total("=1+1", minor=123456))}, accounts), accounts).decode()
    assert written.splitlines()[1:] == [
        "31.10.2026;EP-20261031-EUR;'@1;1234,56;;EUR;'=1+1;close-1-abababababab",
        "31.10.2026;EP-20261031-EUR;'-2;;1234,56;EUR;'=1+1;close-1-abababababab",
    ]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('typ = "sale"', "rules[1].typ is unknown: did you mean type? There are type, status"),
        ('debit = "1"\ncredit = "2"', "rules[1].type is missing"),
        ('type = "sale"', "rules[1] has no account: write debit and credit, or ignore = true"),
        ('type = "sale"\ndebit = "1"\nignore = true', "rules[1] has both ignore and an account"),
        ('type = "sale"\ndebit = "{konto}"', "rules[1].debit is '{konto}': write a text with {currency}"),
        ('type = "sale"\ndebit = 1360', "rules[1].debit is 1360: write a text"),
        ('type = "sale"\nignore = 1', "rules[1].ignore is 1: write true or false"),
        ('type = "sale"\nstatus = "*"\ndebit = "1"', 'rules[1].status is "*"'),
        ('type = "sale"\ndebit = "1"\n[[rules]]\ntype = "sale"\ncredit = "1"', "rules[2] is about what a rule before"),
    ],
)
def test_a_wrong_rule_is_one_line_with_file_and_key(tmp_path, lines, said):
    assert said in refused_map(tmp_path, f"[[rules]]\n{lines}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('separater = ";"', "separater is unknown: did you mean separator?"),
        ('[[rule]]\ntype = "sale"', "rule is unknown: did you mean rules?"),
        ('file = "x"', "file is unknown: there are rules"),
        ("rules = 1", "rules is no list of tables: write [[rules]]"),
        ('text = "x"', "rules is missing: write tables [[rules]]"),
        ('decimal = "."\nseparator = "-"', "separator is '-': write"),
        ('date = "%d.%m."', "date is '%d.%m.': write year, month and day"),
        ('document = "{number}"', "document is '{number}': write a text with {date}"),
        ("[[rules", "is not TOML"),
    ],
)
def test_a_map_that_is_none_is_one_line(tmp_path, text, said):
    assert said in refused_map(tmp_path, text)


def refused_map(tmp_path, text: str) -> str:
    file = tmp_path / "map.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_journal_map(str(file))
    message = str(refused.value)
    assert message.startswith(f"--map ({file})")
    assert "\n" not in message
    return message
