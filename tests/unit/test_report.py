"""The daily close report as a person reads it: exact figures, escaped text, no formula, the same bytes again."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from pipelines.reports import charts, first_screen, words
from pipelines.reports.document import (
    BalanceDay,
    BalancePoint,
    BreakGroup,
    BreakLine,
    Close,
    Completeness,
    CurrencyDay,
    CurrencyTotals,
    DayDocument,
    HistoryPoint,
    Lateness,
    OwnerQueue,
    Restatement,
    digest,
    from_json,
    to_json,
)
from pipelines.reports.month import (
    Matches,
    MonthBalance,
    MonthBreaks,
    MonthDay,
    MonthDocument,
    MonthRestatement,
    Seal,
    Total,
)
from pipelines.reports.page import month_page, page, sentence
from pipelines.reports.workbook import month_workbook, workbook

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>=cmd|'/C calc'!A0"
HUGE = 9_007_199_254_740_993  # one more than a double can hold
AMOUNTS = {
    ("JPY", 0): (500, "500"),
    ("KWD", 3): (1_234, "1.234"),
    ("CLF", 4): (12_345, "1.2345"),
    ("USD", 2): (1, "0.01"),
    ("EUR", 2): (HUGE, "90,071,992,547,409.93"),
    ("XTS", None): (7, "7 minor units"),
}


def day_of(currency: str, minor: int) -> CurrencyDay:
    return CurrencyDay(currency, operations=3, attempts=2, approved=1, credit_minor=minor, debit_minor=0)


def document(text: str = HOSTILE) -> DayDocument:
    totals = tuple(
        CurrencyTotals(currency, exponent, day_of(currency, minor), None, None)
        for (currency, exponent), (minor, _) in AMOUNTS.items()
    )
    days = [DAY - timedelta(days=back) for back in range(27, -1, -1)]
    return DayDocument(
        format=1,
        account="default",
        business_date=DAY,
        reporting_zone="Europe/Berlin",
        known_at=NOW,
        totals=totals,
        history=tuple(HistoryPoint(day, "EUR", 10, 9, 1000 * number) for number, day in enumerate(days)),
        balances=(BalanceDay(text, "EUR", 500, -100, 395, -5),),
        balance_history=tuple(BalancePoint(day, text, "EUR", 400) for day in days),
        reconciled="no",
        breaks=(BreakGroup("amount", "0–1", "KWD", 1, 1_234),),
        largest_breaks=(BreakLine("7", "amount", "open", DAY, "0–1", "KWD", 1_234, "100", text, text, text),),
        restatements=(
            Restatement("55", "changed", NOW - timedelta(days=5), NOW, "success", "reversed", "EUR", 500, 0),
        ),
        completeness=Completeness("yes", 2, 0, 9, 3, 0, NOW, "yes", 12, "ab" * 32),
        lateness=(Lateness("under 1 hour", 3),),
        late_because=None,
    )


def month_document(text: str = HOSTILE) -> MonthDocument:
    """A month of one sealed day and one that is not, with every amount and free text."""
    seal = Seal(7, "ab" * 32, "cd" * 32, text, text, NOW, with_open_breaks=True)
    return MonthDocument(
        account="default",
        month=DAY.replace(day=1),
        reporting_zone="Europe/Berlin",
        days=(
            MonthDay(DAY, seal, operations=3),
            MonthDay(DAY + timedelta(days=1), None, reason=text, command="ecommpay-sync reconcile --date 2026-11-24"),
        ),
        totals=tuple(
            Total(currency, exponent, text, text, is_success=True, sign=1, count=3, minor=minor)
            for (currency, exponent), (minor, _) in AMOUNTS.items()
        ),
        balances=(MonthBalance(text, "EUR", 2, DAY, 500, -100, -5, DAY, 395),),
        breaks=(MonthBreaks("amount", "resolved", "2–3", "KWD", 1, 1_234),),
        restatements=(MonthRestatement(DAY, "changed", "JPY", "KWD", 1, 500, 1_234, NOW),),
        matches=Matches(1, 12, 11, 13, (("operation_id", 11),)),
        decimals={"JPY": 0, "KWD": 3, "EUR": 2},
    )


def cells(content: bytes) -> dict[str, list[list]]:
    book = load_workbook(io.BytesIO(content))
    return {sheet.title: [list(row) for row in sheet.iter_rows()] for sheet in book}


@pytest.mark.parametrize(("of", "expected"), AMOUNTS.items())
def test_an_amount_is_written_with_its_currencys_own_decimals(of, expected):
    assert words.amount(expected[0], of[1]) == expected[1]


def test_every_amount_is_on_the_page_to_the_last_minor_unit():
    text = page(document())
    for _, written in AMOUNTS.values():
        assert f">{written}<" in text


def test_every_amount_is_in_the_workbook_to_the_last_minor_unit():
    rows = {row[0].value: row[1] for row in cells(workbook(document()))["Totals"][1:]}
    assert (rows["JPY"].value, rows["JPY"].number_format) == (500, "#,##0")
    assert (rows["KWD"].value, rows["KWD"].number_format) == (1.234, "#,##0.000")
    assert (rows["CLF"].value, rows["CLF"].number_format) == (1.2345, "#,##0.0000")
    assert (rows["USD"].value, rows["USD"].number_format) == (0.01, "#,##0.00")
    assert (rows["EUR"].value, rows["EUR"].data_type) == ("90,071,992,547,409.93", "s"), (
        "text: a number would be rounded"
    )
    assert rows["XTS"].value == "7 minor units"


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.sampled_from([0, 2, 3, 4]))
def test_a_number_of_the_workbook_shows_exactly_the_amount(minor, exponent):
    shown = f"{minor / 10**exponent:,.{exponent}f}"  # what a spreadsheet does with the cell's number and its format
    assert shown.lstrip("-") == words.amount(abs(minor), exponent)


def test_free_text_is_escaped_on_the_page_and_in_its_charts():
    text = page(document())
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


def test_the_page_needs_no_network_and_runs_no_script():
    text = page(document())
    assert "default-src 'none'" in text
    outside = re.findall(r'(?:src|href|action|poster)="(?!#)[^"]*"|@import|url\((?!#)[^)]*\)', text)
    assert outside == []
    assert not re.search(r"<(?:script|iframe|object|embed|form|link)\b| on\w+=", text)


def test_no_cell_of_the_workbook_is_a_formula_or_a_link():
    content = workbook(document("=1+1"))
    for rows in cells(content).values():
        assert all(cell.data_type != "f" and cell.hyperlink is None for row in rows for cell in row)


def test_text_that_begins_like_a_formula_is_marked_as_text():
    rows = cells(workbook(document("=1+1")))["Largest breaks"]
    (note,) = [cell for cell in rows[1] if cell.column_letter == "J"]
    assert (note.value, note.data_type, note.quotePrefix) == ("=1+1", "s", True)


def test_the_same_document_gives_the_same_bytes_again():
    first, second = document(), from_json(to_json(document()))
    assert first == second
    assert to_json(first) == to_json(second)
    assert page(first) == page(second)
    assert workbook(first) == workbook(second)


def test_another_figure_gives_another_digest():
    assert digest(document()) != digest(replace(document(), reconciled="yes"))


def test_ids_of_the_charts_do_not_meet_on_one_page():
    ids = re.findall(r'\bid="([^"]+)"', page(document()))
    assert len(ids) == len(set(ids)) > 0


def test_the_sentence_says_complete_reconciled_closed():
    assert sentence(document()) == "The day is complete, not reconciled: 1 open break, and not closed."
    closed = replace(document(), reconciled="yes", breaks=(), close=Close("Ann", "Bo", NOW))
    assert sentence(closed) == "The day is complete, reconciled, and closed by Bo."
    empty = replace(document(), completeness=replace(document().completeness, complete="unknown"))
    assert sentence(empty).startswith("The day is not loaded yet")


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [(110, 100, "▲ 10.0 %"), (90, 100, "▼ 10.0 %"), (100, 100, "same"), (5, 0, "▲ from 0"), (5, None, "no figure")],
)
def test_a_change_says_its_direction_in_words_not_in_colour(now, before, said):
    assert words.change(now, before) == said


def bare_document() -> DayDocument:
    nothing = dict.fromkeys(("totals", "history", "balances", "balance_history", "breaks", "largest_breaks"), ())
    return replace(document(), **nothing, restatements=(), lateness=(), reconciled="unknown")


def test_a_day_without_anything_is_a_page_too():
    bare = bare_document()
    text = page(bare)
    assert "No operation was completed on this day." in text
    assert "No balance snapshot was taken on this day." in text
    assert "ecommpay-sync ledger import FILE" in re.sub(r"<[^>]+>", "", text)
    assert "Nothing to draw" in text
    assert workbook(bare)


def test_figures_of_a_day_that_is_not_complete_are_called_not_final():
    proof = document().completeness
    for answer in ("no", "unknown"):
        text = page(replace(document(), completeness=replace(proof, complete=answer)))
        assert "Not final" in text
        assert "ecommpay-sync operations --from 2026-11-23 --to 2026-11-23" in re.sub(r"<[^>]+>", "", text)
    assert "Not final" not in page(document())


def test_a_balance_or_break_in_a_currency_without_operations_has_its_decimals_too():
    bare = replace(
        document(),
        totals=(),
        balances=(BalanceDay("Main", "SGD", 310_099, 0, 310_099, 0),),
        breaks=(BreakGroup("balance", "0–1", "SGD", 1, 1_234),),
        decimals={"EUR": 2, "KWD": 3, "SGD": 2},
    )
    text = page(bare)
    assert ">3,100.99<" in text
    assert ">12.34<" in text
    assert "minor units" not in text
    assert cells(workbook(bare))["Balances"][1][2].value == 3100.99


def test_a_balance_that_moved_unexplained_stands_first_and_is_marked_by_more_than_colour():
    lines = (BalanceDay("Quiet", "EUR", 5, 0, 5, 0), BalanceDay("Odd", "EUR", 5, 0, 9, 4))
    text = page(replace(document(), balances=lines))
    assert text.index(">Odd<") < text.index(">Quiet<")
    assert "✗ 0.04" in text


def week(volume: int, operations: int = 100) -> CurrencyDay:
    return CurrencyDay("EUR", operations, operations, operations, volume, 0)


@pytest.mark.parametrize(
    ("today", "weeks", "said"),
    [
        (week(1000), [week(900), week(1100), week(1000), week(950)], []),
        (week(1251), [week(1000)] * 4, ["EUR volume 12.51: above all of the last 4 Mondays (highest 10.00)"]),
        (week(1250), [week(1000)] * 8, []),
        (week(749), [week(1000)] * 8, ["EUR volume 7.49: below all of the last 8 Mondays (lowest 10.00)"]),
        (week(0, 0), [week(5, 80)] * 4, ["EUR volume 0.00: below", "EUR operations 0: below all"]),
        (week(9000, 130), [week(1000)] * 4, ["EUR volume 90.00: above", "EUR operations 130: above all"]),
        (week(9000), [week(1000)] * 3, []),
        (week(HUGE * 2), [week(HUGE)] * 4, ["EUR volume 180,143,985,094,819.86: above"]),
    ],
)
def test_a_day_is_unusual_when_it_is_a_quarter_beyond_every_same_weekday_before(today, weeks, said):
    found = first_screen.unusual(CurrencyTotals("EUR", 2, today, None, None, tuple(weeks)), "Monday")
    assert len(found) == len(said)
    assert all(text.startswith(begin) for text, begin in zip(found, said, strict=True))


def break_line(number: int, owner: str | None) -> BreakLine:
    return BreakLine(str(number), "amount", "open", DAY, "0–1", "KWD", 1_234, "100", None, owner, None, is_new=True)


def settled_day(**changes) -> DayDocument:
    """A complete, reconciled day without a break, and what a case changes of it."""
    quiet = {"reconciled": "yes", "breaks": (), "largest_breaks": (), "balances": (), "restatements": ()}
    return replace(document(), decimals={"EUR": 2, "KWD": 3}, **quiet | changes)


@pytest.mark.parametrize(
    ("changes", "headline", "tasks"),
    [
        ({}, "Fine: it can be closed.", [("finance", "ecommpay-sync close --date 2026-11-23 --by NAME")]),
        ({"close": Close("Ann", "Bob", NOW), "reconciled": "unknown"}, "Closed: these figures are sealed.", []),
        ({"reconciled": "unknown"}, "Not fine yet: 1 thing to do.", [("finance", "ecommpay-sync ledger import FILE")]),
        (
            {"completeness": replace(document().completeness, complete="no", rewalked="no", rejects=3)},
            "Not fine: the day is not shown complete.",
            [
                ("on call", "ecommpay-sync operations --from 2026-11-23 --to 2026-11-23"),
                ("on call", "ecommpay-sync reconcile --date 2026-11-23 --leg completeness"),
                ("on call", "ecommpay-sync status"),
            ],
        ),
        (
            {"reconciled": "no", "balances": (BalanceDay("Main", "EUR", 500, -100, 395, -5),)},
            "Not fine yet: 1 thing to do.",
            [("finance", "ecommpay-sync reconcile --date 2026-11-23 --leg balances")],
        ),
        (
            {
                "reconciled": "no",
                "queue": (OwnerQueue(None, 30, 14, 0, 1), OwnerQueue("Eve O'Neil", 3, 1, 2, 9)),
                "new_breaks": (break_line(7, None), break_line(8, "Eve O'Neil")),
            },
            "Not fine yet: 4 things to do.",
            [
                ("Eve O'Neil", "ecommpay-sync breaks --owner 'Eve O'\"'\"'Neil' --overdue"),
                ("nobody yet", "ecommpay-sync breaks assign 7 --to NAME --by NAME"),
                ("Eve O'Neil", "ecommpay-sync explain 8 --by 'Eve O'\"'\"'Neil' --note TEXT"),
                ("finance", "ecommpay-sync breaks --output breaks.xlsx"),
            ],
        ),
    ],
    ids=["to close", "closed", "no books", "not complete", "balance", "breaks"],
)
def test_the_first_screen_says_whether_the_day_is_fine_and_who_must_do_what(changes, headline, tasks):
    day = settled_day(**changes)
    assert first_screen.headline(day) == headline
    assert [(task.who, task.command) for task in first_screen.tasks(day)] == tasks
    shown = page(day)
    assert headline in shown
    assert ("What to do" in shown) == bool(tasks)


def test_the_first_screen_says_what_changed():
    assert first_screen.changes(settled_day()) == ["Fewer than 4 Mondays are known: nothing is usual yet."]
    usual = CurrencyTotals("EUR", 2, week(1000), None, None, (week(1000),) * 8)
    assert first_screen.changes(settled_day(totals=(usual,))) == [
        "Nothing: each currency is as the last 8 Mondays were."
    ]
    changed = settled_day(
        totals=(replace(usual, day=week(5000)),),
        restatements=document().restatements,
        queue=(OwnerQueue("E", 2, 2, 0, 0),),
    )
    assert [text.partition(":")[0] for text in first_screen.changes(changed)] == [
        "EUR volume 50.00",
        "2 new breaks since the day ended",
        "1 operation of earlier days known otherwise, listed below",
    ]
    assert "✗ unusual" in page(changed)


def test_a_total_has_a_small_line_of_its_last_days_that_is_named_and_stays_in_its_frame():
    shown = page(document())
    assert shown.count('aria-label="Volume of EUR, last 28 days"') == 1
    for values in ([0], [0, 0], [HUGE, 0, HUGE]):
        heights = re.findall(r"[\d.-]+,([\d.-]+)", charts.sparkline(values, "x"))
        assert len(heights) == len(values)
        assert all(0 <= float(height) <= 20 for height in heights)


def test_balances_are_drawn_where_there_is_a_line_and_for_few_currencies():
    days = [DAY - timedelta(days=1), DAY]
    many = tuple(BalancePoint(day, f"b{n}", f"AA{chr(65 + n)}", n) for n in range(9) for day in days)
    assert len(charts.balances(many, {})) == charts.MOST_LINES
    assert charts.balances(many[::2], {}) == {}, "one day is no line"


@pytest.mark.parametrize("values", [[17_210_000.0, 17_212_000.0, 17_214_000.0], [0.0, 2.5, 5.0], [-1500.0, 1500.0]])
def test_numbers_of_an_axis_can_be_told_apart(values):
    assert len({words.compact(value, words.digits_to_tell_apart(values)) for value in values}) == len(values)


def test_every_amount_of_a_month_is_on_its_page_and_in_its_workbook_to_the_last_minor_unit():
    text, rows = month_page(month_document()), cells(month_workbook(month_document()))
    for _, written in AMOUNTS.values():
        assert f">{written}<" in text
    shown = {row[0].value: (row[4].value, row[4].number_format) for row in rows["Totals"][1:]}
    assert (shown["KWD"], shown["JPY"]) == ((1.234, "#,##0.000"), (500, "#,##0"))
    assert shown["EUR"][0] == "90,071,992,547,409.93", "text: a number would be rounded"
    restated = [cell.value for cell in rows["Restatements"][1]]
    assert restated[3:7] == ["JPY", 500, "KWD", 1.234], "each side in its own currency's decimals"


def test_free_text_of_a_month_is_escaped_on_the_page_and_no_formula_in_the_workbook():
    text = month_page(month_document())
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    for rows in cells(month_workbook(month_document("=1+1"))).values():
        assert all(cell.data_type != "f" and cell.hyperlink is None for row in rows for cell in row)


def test_a_month_without_a_sealed_day_says_so_and_has_no_figure():
    document = month_document()
    empty = replace(
        document,
        days=document.days[1:],
        totals=(),
        balances=(),
        breaks=(),
        restatements=(),
        matches=Matches(0, 0, 0, 0, ()),
    )
    text = month_page(empty)
    for said in (
        "0 of 1 days are sealed",
        "No sealed day has an operation",
        "Not matched",
        "No sealed day has a balance",
    ):
        assert said in text
    assert month_workbook(empty) == month_workbook(empty)
