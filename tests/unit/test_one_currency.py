"""A report's total in one currency: exact rates, rounded once a currency and day, nothing left out silently."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from fixtures.reports import DAY, document, month_document
from pipelines.reports import one_currency
from pipelines.reports.document import CurrencyDay, CurrencyTotals, digest
from pipelines.reports.month import MonthDay
from pipelines.reports.page import month_page, page
from pipelines.reports.workbook import workbook
from resources.currencies import read_rates_file
from resources.errors import ConfigError
from resources.settings import ReportSettings, report_settings

HEAD = "day,from,to,rate,source\n"


@pytest.fixture
def settings_of(tmp_path):
    """Make the settings of a reporting currency and the lines of a file of rates."""

    def make(currency: str, *lines: str, **more: str) -> ReportSettings:
        file = tmp_path / "rates.csv"
        file.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
        return report_settings({"SYNC_REPORTING_CURRENCY": currency, "SYNC_RATES_FILE": str(file)} | more)

    return make


def figures(currency: str, exponent: int | None, credit: int, debit: int = 0) -> CurrencyTotals:
    return CurrencyTotals(currency, exponent, CurrencyDay(currency, 1, 1, 1, credit, debit), None, None)


def day_of(*totals: CurrencyTotals):
    return replace(document(), totals=totals)


@pytest.mark.parametrize(
    ("currency", "rate", "given_line", "minors"),
    [
        ("EUR", "2026-11-23,USD,EUR,0.5,ECB", figures("USD", 2, 101, 3), (51, 2)),  # half away from zero
        ("EUR", "2026-11-23,EUR,USD,3,ECB", figures("USD", 2, 100, 200), (33, 67)),  # the other way round: divided
        ("EUR", "2026-11-23,JPY,EUR,0.00604,ECB", figures("JPY", 0, 500, 83), (302, 50)),
        ("EUR", "2026-11-23,KWD,EUR,2.8125,ECB", figures("KWD", 3, 1_234, 1), (347, 0)),
        ("JPY", "2026-11-23,EUR,JPY,165.5,ECB", figures("EUR", 2, 1_999, 1), (3_308, 2)),
        ("KWD", "2026-11-23,EUR,KWD,0.355,CBK", figures("EUR", 2, 1_999, 0), (7_096, 0)),
        ("EUR", "2026-11-23,USD,EUR,1,ECB", figures("USD", 2, 9_007_199_254_740_993), (9_007_199_254_740_993, 0)),
        ("EUR", "2026-11-23,USD,EUR,1,ECB", figures("EUR", 2, 7, 5), (7, 5)),  # itself needs no rate
        ("EUR", "2026-11-24,USD,EUR,1,ECB", figures("USD", 2, 7), (None, None)),  # of a later day
        ("EUR", "2026-11-23,USD,JPY,1,ECB", figures("USD", 2, 7), (None, None)),  # into another currency
        ("EUR", "2026-11-23,XTS,EUR,1,ECB", figures("XTS", None, 7), (None, None)),  # decimals are not known
    ],
)
def test_a_currency_is_converted_exactly_and_rounded_once(settings_of, currency, rate, given_line, minors):
    found = one_currency.of_day(day_of(given_line), settings_of(currency, rate))
    (line,) = found.days
    assert (line.credit_minor, line.debit_minor) == minors
    assert (found.credit_minor, found.debit_minor) == (minors[0] or 0, minors[1] or 0)
    assert line.exact == given_line.day, "the exact figures stay as they are"


@given(
    st.integers(0, 10**17),
    st.decimals("0.000001", "99999", places=6),
    st.sampled_from([0, 2, 3]),
    st.sampled_from([("EUR", 2), ("JPY", 0), ("KWD", 3)]),
)
def test_a_conversion_is_what_decimals_of_any_length_give(minor, rate, exponent, reporting):
    currency, decimals = reporting
    rates = (one_currency.Rate(DAY, "XTS", currency, f"{rate:f}", "x"),)
    found = one_currency.of_day(day_of(figures("XTS", exponent, minor)), ReportSettings(currency, rates))
    exact = Decimal(minor).scaleb(-exponent) * rate
    assert found.credit_minor == int(exact.scaleb(decimals).quantize(Decimal(1), ROUND_HALF_UP))


def test_the_last_rate_of_the_day_or_before_counts_and_its_day_and_source_are_shown(settings_of):
    settings = settings_of(
        "EUR",
        "2026-11-24,USD,EUR,9,ECB",
        "2026-11-20,USD,EUR,0.92,ECB reference rates",
        "2026-11-13,EUR,USD,2,ECB",
    )
    shown = day_of(figures("USD", 2, 10_000), figures("EUR", 2, 1_000), figures("JPY", 0, 5))
    found = one_currency.of_day(shown, settings)
    assert found.credit_minor == 9_200 + 1_000
    assert found.left_out == (
        "without JPY: no rate for 2026-11-23, nor for the 7 days before (there is no earlier one)"
    )
    text = re.sub(r"<[^>]+>", "", page(shown, found))
    for said in (
        f"All in EUR, by rates of 2026-11-20: volume 102.00, out 0.00 ✗ {found.left_out}",
        "1 USD = 0.92 EUR (ECB reference rates, 2026-11-20)",
        "✗ Not all currencies: without JPY: no rate for 2026-11-23",
    ):
        assert said in text
    rows = [[cell.value for cell in row] for row in load_workbook(io.BytesIO(workbook(shown, found)))["In EUR"]]
    assert rows[1][1:9] == ["USD", 100, 0, 92, 0, "1 USD = 0.92 EUR", "ECB reference rates", rows[1][8]]
    assert rows[1][8].date() == date(2026, 11, 20)
    assert (rows[3][1], rows[3][4], rows[3][9]) == ("JPY", None, "left out")
    assert (rows[4][0], rows[4][4], rows[4][9]) == ("Total", 102, found.left_out)


@pytest.mark.parametrize(
    ("rate_days", "rates_of", "used", "left_out"),
    [
        ({}, ["2026-11-23"], "2026-11-23", ""),
        ({}, ["2026-11-20"], "2026-11-20", ""),  # Friday's on a Monday
        ({}, ["2026-11-16"], "2026-11-16", ""),  # 7 days
        ({}, ["2026-11-15"], "", "no rate for 2026-11-23, nor for the 7 days before (the last is of 2026-11-15)"),
        ({}, ["2019-01-02"], "", "no rate for 2026-11-23, nor for the 7 days before (the last is of 2019-01-02)"),
        (
            {},
            ["2026-11-24", "2026-11-14", "2026-10-01"],  # a later one helps no more than the oldest
            "",
            "no rate for 2026-11-23, nor for the 7 days before (the last is of 2026-11-14)",
        ),
        ({}, ["2026-11-24"], "", "no rate for 2026-11-23, nor for the 7 days before (there is no earlier one)"),
        ({"SYNC_RATE_DAYS": "31"}, ["2026-10-23"], "2026-10-23", ""),
        ({"SYNC_RATE_DAYS": "0"}, ["2026-11-23"], "2026-11-23", ""),
        ({"SYNC_RATE_DAYS": "0"}, ["2026-11-22"], "", "no rate for 2026-11-23 (the last is of 2026-11-22)"),
        (
            {"SYNC_RATE_DAYS": "1"},
            ["2026-11-21"],
            "",
            "no rate for 2026-11-23, nor for the day before (the last is of 2026-11-21)",
        ),
    ],
)
def test_a_rate_beyond_its_age_is_not_used_and_the_first_screen_says_so(
    settings_of, rate_days, rates_of, used, left_out
):
    settings = settings_of("EUR", *(f"{day},USD,EUR,2,ECB" for day in rates_of), **rate_days)
    shown = day_of(figures("USD", 2, 100), figures("EUR", 2, 30))
    found = one_currency.of_day(shown, settings)
    assert found.credit_minor == (230 if used else 30)
    assert found.days_of_rates == used
    assert found.left_out == (f"without USD: {left_out}" if left_out else "")
    first, below = re.sub(r"<[^>]+>", "", page(shown, found)).split("What to do")
    assert "All in EUR" in first
    assert (used or left_out) in first
    assert found.left_out in first
    assert found.left_out in below


def test_a_month_whose_rates_stopped_counts_the_days_that_they_reach(settings_of):
    settings = settings_of("EUR", "2026-11-02,USD,EUR,2,ECB")
    sealed = month_document().days[0]
    days = [date(2026, 11, day) for day in range(1, 13)]  # the 1st has none, the 2nd to the 9th have that of the 2nd
    totals = (figures("USD", 2, 100),)
    month = replace(month_document(), days=tuple(replace(sealed, business_date=day, totals=totals) for day in days))
    found = one_currency.of_month(month, settings)
    assert found.credit_minor == 8 * 200
    assert found.left_out == (
        "without USD: no rate for 2026-11-01 to 2026-11-12 (4 days), nor for the 7 days before "
        "(the last is of 2026-11-02)"
    )
    (dollars,) = found.by_currency()
    assert dollars.rates == "1 USD = 2 EUR (ECB, 2026-11-02); 4 days left out"
    first = month_page(month, found).partition("<h2>Totals")[0]
    assert "by rates of 2026-11-02" in first
    assert found.left_out in first


def test_a_month_converts_each_sealed_day_by_its_own_rate_and_adds_up_to_its_days(settings_of):
    settings = settings_of("EUR", "2026-11-23,USD,EUR,0.333,ECB", "2026-11-24,USD,EUR,0.666,BoE")
    sealed, totals = month_document().days[0], [(figures("USD", 2, 101), figures("JPY", 0, 9))] * 3
    days = [date(2026, 11, 22), date(2026, 11, 23), date(2026, 11, 24)]
    month = replace(
        month_document(),
        days=tuple(replace(sealed, business_date=day, totals=mine) for day, mine in zip(days, totals, strict=True)),
    )
    found = one_currency.of_month(month, settings)
    assert found.credit_minor == 34 + 67
    assert found.left_out == (
        "without USD: no rate for 2026-11-22, nor for the 7 days before (there is no earlier one); without JPY: "
        "no rate for 2026-11-22 to 2026-11-24 (3 days), nor for the 7 days before (there is no earlier one)"
    )
    (dollars, yen) = found.by_currency()
    assert (dollars.exact_credit_minor, dollars.credit_minor) == (303, 101)
    assert dollars.rates == "2 rates of 2026-11-23 to 2026-11-24 (ECB, BoE); 1 day left out"
    assert (yen.credit_minor, yen.rates) == (None, "left out")
    assert "2 rates of 2026-11-23 to 2026-11-24 (ECB, BoE); 1 day left out" in month_page(month, found)
    assert one_currency.of_month(replace(month, days=(MonthDay(DAY, None),)), settings).days == ()


def test_no_reporting_currency_is_no_total_and_none_changes_an_exact_figure(settings_of):
    assert one_currency.of_day(document(), report_settings({})) is None
    settings = settings_of("EUR", "2026-11-23,USD,EUR,0.5,ECB")
    before = digest(document())
    with_total = page(document(), one_currency.of_day(document(), settings))
    assert digest(document()) == before
    assert before in with_total
    exact = re.compile(r'<td class="n" data-label="(?:Out|Net)">[^<]*<')
    assert exact.findall(with_total) == exact.findall(page(document()))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "SYNC_RATES_FILE is empty"),
        (HEAD, "holds no rate: write lines of day,from,to,rate,source."),
        ("day,from,to,rates,source\n", "the column 'rates' is unknown: did you mean rate?"),
        ("day,from,to,rate\n", "the column source is missing: the first line is day,from,to,rate,source."),
        ("day,from,to,rate,source,day\n", "a column is there twice"),
        (f"{HEAD}2026-11-23,USD,EUR,0.9\n", "line 2 has too many values, or too few: there are 5 columns."),
        (f"{HEAD}2026-11-23,USD,EUR,0.9,ECB\n23.11.2026,USD,EUR,0.9,ECB\n", "line 3: day is '23.11.2026'"),
        (f'{HEAD}2026-11-23,USD,EUR,"0,9",ECB\n', "line 2: rate is '0,9': write a decimal above 0 with a point"),
        (f"{HEAD}2026-11-23,USD,EUR,0.00,ECB\n", "line 2: rate is '0.00'"),
        (f"{HEAD}2026-11-23,USD,EUR,-1,ECB\n", "line 2: rate is '-1'"),
        (f"{HEAD}2026-11-23,USD,EUR,1e3,ECB\n", "line 2: rate is '1e3'"),
        (f"{HEAD}2026-11-23,USD,EUR,٣,ECB\n", "line 2: rate is '٣'"),
        (f"{HEAD}2026-11-23,usd,EUR,1,ECB\n", "line 2: from is 'usd': write a code such as EUR."),
        (f"{HEAD}2026-11-23,EUR,EUR,1,ECB\n", "line 2: from and to are both EUR"),
        (f"{HEAD}2026-11-23,USD,EUR,1,\n", "line 2: source is ''"),
        (
            f"{HEAD}2026-11-23,USD,EUR,0.9,ECB\n2026-11-23,EUR,USD,1.1,BoE\n",
            "line 3: EUR and USD have a rate of 2026-11-23 already: keep one of them.",
        ),
        (f'{HEAD}2026-11-23,USD,EUR,0.9,"ECB\n', "quotes do not match"),
    ],
)
def test_a_malformed_file_of_rates_is_refused_in_one_line_that_names_the_place(tmp_path, content, said):
    file = tmp_path / "rates.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        read_rates_file(str(file))
    assert str(refused.value).startswith("SYNC_RATES_FILE")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_of_a_spreadsheet_is_read_with_its_columns_in_any_order(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_bytes("\ufeffsource,rate,to,from,day\r\nECB, 1.0832 ,USD,EUR,2026-11-23\r\n\r\n".encode())
    (rate,) = read_rates_file(str(file))
    assert str(rate) == "1 EUR = 1.0832 USD (ECB, 2026-11-23)"


@pytest.mark.parametrize(
    ("given_settings", "said"),
    [
        ({"SYNC_REPORTING_CURRENCY": "EUR"}, "SYNC_REPORTING_CURRENCY and SYNC_RATES_FILE need each other"),
        ({"SYNC_RATES_FILE": "{file}"}, "SYNC_REPORTING_CURRENCY and SYNC_RATES_FILE need each other"),
        ({"SYNC_REPORTING_CURRENCY": "EURO", "SYNC_RATES_FILE": "{file}"}, "SYNC_REPORTING_CURRENCY is 'EURO'"),
        ({"SYNC_REPORTING_CURRENCY": "DEM", "SYNC_RATES_FILE": "{file}"}, "SYNC_REPORTING_CURRENCY is 'DEM'"),
        ({"SYNC_REPORTING_CURRENCY": "EUR", "SYNC_RATES_FILE": "/no/file"}, "SYNC_RATES_FILE cannot be read"),
    ],
)
def test_reporting_currency_and_rates_are_set_together_and_right(tmp_path, given_settings, said):
    file = tmp_path / "rates.csv"
    file.write_text(f"{HEAD}2026-11-23,USD,EUR,0.9,ECB\n")
    with pytest.raises(ConfigError, match=re.escape(said)):
        report_settings({name: value.format(file=file) for name, value in given_settings.items()})
