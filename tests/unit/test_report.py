"""The daily close report as a person reads it: exact figures, escaped text, no formula, the same bytes again."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from fixtures.reports import AMOUNTS, DAY, HUGE, NOW, bare_document, break_line, document, month_document, week
from pipelines.reports import charts, first_screen
from pipelines.reports.document import (
    BalanceDay,
    BalancePoint,
    BreakGroup,
    BreakLine,
    Close,
    CurrencyTotals,
    DayDocument,
    OwnerQueue,
    amount,
    change,
    digest,
    from_sealed,
    to_json,
)
from pipelines.reports.month import Matches, MonthBreaks, MonthDay
from pipelines.reports.page import month_page, page, sentence
from pipelines.reports.workbook import month_workbook, workbook


def cells(content: bytes) -> dict[str, list[list]]:
    book = load_workbook(io.BytesIO(content))
    return {sheet.title: [list(row) for row in sheet.iter_rows()] for sheet in book}


@pytest.mark.parametrize(("of", "expected"), AMOUNTS.items())
def test_an_amount_is_written_with_its_currencys_own_decimals(of, expected):
    assert amount(expected[0], of[1]) == expected[1]


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
    assert shown.lstrip("-") == amount(abs(minor), exponent)


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
    first, second = document(), from_sealed({"report": json.loads(to_json(document()))})
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
    assert change(now, before) == said


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
                "balances": (
                    BalanceDay("Main", "EUR", 500, -100, 395, -5),
                    BalanceDay("Other", "KWD", 500, 0, 501, 1),
                ),
                "new_breaks": (replace(break_line(7, None), break_type="balance", currency="EUR", reference="Main"),),
            },
            "Not fine yet: 2 things to do.",
            [
                ("finance", "ecommpay-sync reconcile --date 2026-11-23 --leg balances"),
                ("nobody yet", "ecommpay-sync breaks assign 7 --to NAME --by NAME"),
            ],
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
    ids=["to close", "closed", "no books", "not complete", "balance", "balance that is a break", "breaks"],
)
def test_the_first_screen_says_whether_the_day_is_fine_and_who_must_do_what(changes, headline, tasks):
    day = settled_day(**changes)
    first = first_screen.of_day(day)
    assert first.headline == headline
    assert [(task.who, task.command) for task in first.tasks] == tasks
    shown = page(day)
    assert headline in shown
    assert ("What to do" in shown) == bool(tasks)


def balance_break(number: int, name: str, currency: str = "EUR", **changes) -> BreakLine:
    line = replace(break_line(number, "Eve"), break_type="balance", currency=currency, reference=name)
    return replace(line, **changes)


MOVED = tuple(BalanceDay(f"B{number}", "EUR", 0, 0, number, number) for number in range(1, 9))
SAME_NAME = (BalanceDay("Main", "EUR", 0, 0, 5, 5), BalanceDay("Main", "KWD", 0, 0, 5, 5))


@pytest.mark.parametrize(
    ("balances", "new_breaks", "new", "said"),
    [
        (MOVED[:3], (), 0, ["balance B1: 0.01 EUR", "balance B2: 0.02 EUR", "balance B3: 0.03 EUR"]),
        (MOVED[:2], (balance_break(7, "B2"),), 1, ["balance B1: 0.01 EUR", "new break 7"]),
        (MOVED[:2], (balance_break(7, "B2"), balance_break(8, "B1")), 2, ["new break 7", "new break 8"]),
        (SAME_NAME, (balance_break(7, "Main", "KWD"),), 1, ["balance Main: 0.05 EUR", "new break 7"]),
        (MOVED[:1], (balance_break(7, "B1", business_date=DAY - timedelta(days=1)),), 1, ["balance B1", "new break 7"]),
        (MOVED[:1], (replace(balance_break(7, "B1"), break_type="amount"),), 1, ["balance B1", "new break 7"]),
        (
            MOVED[:1],
            (*(break_line(number, "Eve") for number in range(5)), balance_break(7, "B1"), break_line(8, "Eve")),
            9,
            ["balance B1", *(f"new break {number}" for number in range(5)), "3 more new breaks"],
        ),
        (
            MOVED,
            tuple(balance_break(number, f"B{number}") for number in range(1, 9)),
            8,
            [*(f"balance B{number}" for number in (6, 7, 8)), *(f"new break {number}" for number in range(1, 6))],
        ),
        (MOVED[:6], (), 0, [*(f"balance B{number}" for number in range(1, 6)), "1 more balance unexplained"]),
        (MOVED, (), 0, [*(f"balance B{number}" for number in range(1, 6)), "3 more balances unexplained"]),
        ((replace(MOVED[0], is_explained=True), MOVED[1]), (), 0, ["balance B2: 0.02 EUR"]),
    ],
)
def test_each_balance_that_moved_unexplained_is_on_the_first_screen_once(balances, new_breaks, new, said):
    day = settled_day(
        reconciled="no", balances=balances, new_breaks=new_breaks, queue=(OwnerQueue("Eve", new, new, 0, 0),)
    )
    tasks = [task.what for task in first_screen.of_day(day).tasks]
    assert len(tasks) == len(said), tasks
    assert all(task.startswith(begin) for task, begin in zip(tasks, said, strict=True))


def test_each_balance_of_a_month_that_moved_unexplained_is_on_its_first_screen_once():
    (line,) = month_document().balances
    lines = tuple(replace(line, balance_name=f"B{number}") for number in range(8))
    month = settled_month(
        balances=(replace(lines[0], is_explained=True), *lines[1:]),
        breaks=(
            MonthBreaks("balance", "explained", "0–1", "EUR", 1, 5),
            MonthBreaks("balance", "open", "0–1", "EUR", 7, 35),
        ),
    )
    names = [task.what.partition(":")[0] for task in first_screen.of_month(month).tasks]
    assert names == [*(f"balance B{number}" for number in range(1, 6)), "2 more balances unexplained, listed below"]


def test_the_first_screen_says_what_changed():
    assert first_screen.of_day(settled_day()).changes == ("Fewer than 4 Mondays are known: nothing is usual yet.",)
    usual = CurrencyTotals("EUR", 2, week(1000), None, None, (week(1000),) * 8)
    assert first_screen.of_day(settled_day(totals=(usual,))).changes == (
        "Nothing: each currency is as the last 8 Mondays were.",
    )
    changed = settled_day(
        totals=(replace(usual, day=week(5000)),),
        restatements=document().restatements,
        queue=(OwnerQueue("E", 2, 2, 0, 0),),
    )
    assert [text.partition(":")[0] for text in first_screen.of_day(changed).changes] == [
        "EUR volume 50.00",
        "2 new breaks since the day ended",
        "1 operation of earlier days changed since, listed below",
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


@given(st.floats(-1e11, 1e11), st.floats(1e-6, 3))
def test_numbers_of_any_axis_can_be_told_apart(low, width):
    from matplotlib.ticker import AutoLocator

    values = AutoLocator().tick_values(low, low + width * max(1, abs(low)))
    names = [charts.compact(float(value)) for value in values]
    assert len({*names}) == len(values) > 1


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


def settled_month(**changes):
    """A month of two sealed days, a usual and a quiet one, and what a case changes of it."""
    usual = CurrencyTotals("EUR", 2, week(1000), None, None, (week(1000),) * 8)
    sealed = replace(month_document().days[0], totals=(usual,))
    days = (replace(sealed, business_date=DAY - timedelta(days=1)), sealed)
    quiet = {"days": days, "breaks": (), "balances": (), "restatements": (), "queue": ()}
    return replace(month_document(), **quiet | changes)


def left(day: int, reason: str, command: str | None = "ecommpay-sync x", **more) -> MonthDay:
    return MonthDay(date(2026, 11, day), None, reason=reason, command=command, **more)


READY = left(3, "can be prepared", is_ready=True)
CLOSE = "ecommpay-sync close --month 2026-11 --by NAME"


@pytest.mark.parametrize(
    ("changes", "headline", "tasks"),
    [
        ({}, "Fine: each day is sealed.", []),
        ({"days": (*settled_month().days, READY)}, "Fine: 1 day can be closed.", [("finance", CLOSE)]),
        (
            {"days": (*settled_month().days, left(30, "is not over", None))},
            "Fine so far: each day that is over is sealed.",
            [],
        ),
        ({"days": (left(30, "is not over", None),)}, "No day is over yet.", []),
        (
            {"days": (left(1, "is not complete", is_of_data=True), left(2, "has 1 open break"), READY)},
            "Not fine: 1 day is not shown complete.",
            [("on call", "ecommpay-sync x"), ("finance", "ecommpay-sync x"), ("finance", CLOSE)],
        ),
        (
            {"days": tuple(left(day, "has not been reconciled") for day in range(1, 8))},
            "Not fine yet: 6 things to do.",
            [("finance", "ecommpay-sync x")] * 5 + [("finance", CLOSE)],
        ),
        (
            {
                "queue": (
                    OwnerQueue(None, 7, 1, 2, 40),
                    OwnerQueue("Ann", 5, 0, 0, 3),
                    OwnerQueue("Eve O'Neil", 3, 0, 1, 9),
                )
            },
            "Not fine yet: 3 things to do.",
            [
                ("nobody yet", "ecommpay-sync breaks --overdue"),
                ("Eve O'Neil", "ecommpay-sync breaks --owner 'Eve O'\"'\"'Neil' --overdue"),
                ("nobody yet", "ecommpay-sync breaks --to 2026-11-23 --output breaks.xlsx"),
            ],
        ),
        (
            {"balances": month_document().balances},
            "Not fine yet: 1 thing to do.",
            [("finance", "ecommpay-sync breaks --all --type balance --from 2026-11-22 --to 2026-11-23")],
        ),
        (
            {
                "balances": tuple(replace(line, is_explained=True) for line in month_document().balances),
                "breaks": (MonthBreaks("balance", "explained", "0–1", "EUR", 1, 5),),
            },
            "Fine: each day is sealed.",
            [],
        ),
    ],
    ids=["sealed", "to close", "under way", "begins", "not complete", "many days", "queue", "balance", "explained"],
)
def test_the_first_screen_of_a_month_says_whether_it_is_fine_and_who_must_do_what(changes, headline, tasks):
    month = settled_month(**changes)
    first = first_screen.of_month(month)
    assert first.headline == headline
    assert [(task.who, task.command) for task in first.tasks] == tasks
    shown = month_page(month)
    assert headline in shown
    assert ("What to do" in shown) == bool(tasks)


def test_the_first_screen_of_a_month_says_what_changed():
    alone = "The month before is compared when every day of both is sealed."
    assert first_screen.of_month(settled_month()).changes == (
        "Nothing: no sealed day is unusual, and none has changed since.",
        alone,
    )
    (sealed, _) = settled_month().days
    odd = replace(sealed.totals[0], day=week(5000))
    many = settled_month(
        days=tuple(replace(sealed, business_date=date(2026, 11, day), totals=(odd,)) for day in range(1, 8)),
        month_before=(CurrencyTotals("EUR", 2, week(50_000), None, None),),
        restatements=month_document().restatements,
    )
    assert first_screen.of_month(many).changes == (
        "EUR volume 350.00: ▼ 30.0 % since the month before (500.00)",
        *(
            f"{name} {day}: EUR volume 50.00: above all of the last 8 {name}s (highest 10.00)"
            for day, name in enumerate(("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday"), start=1)
        ),
        "2 more unusual figures, at their days below",
        "1 operation changed since the day was sealed, listed below",
    )
    shown = month_page(many)
    assert shown.count("✗ unusual:") == 7, "each day carries its own"
    assert 'aria-label="Volume of EUR, 7 sealed days"' in shown
    assert "▼ 30.0 %" in shown


def test_figures_of_a_month_are_added_by_currency_and_its_decimals():
    (sealed, _) = settled_month().days
    first, second = (CurrencyTotals("JPY", exponent, week(100), None, None) for exponent in (0, 2))
    days = (sealed, sealed, replace(sealed, totals=(first,)), replace(sealed, totals=(second,)))
    rows = cells(month_workbook(settled_month(days=days)))["Currencies"]
    assert [(row[0].value, row[1].value, row[7].value) for row in rows[1:]] == [
        ("EUR", 20, 200),
        ("JPY", 100, 100),
        ("JPY", 1, 100),
    ]
