"""The whole way of an amount, to the last minor unit: JSON over HTTP → store → page and workbook of the report."""

from __future__ import annotations

from datetime import date
from html.parser import HTMLParser

import pytest
from openpyxl import load_workbook

from fixtures.commands import fetch_all, sync
from pipelines.reports.publish import publish
from resources.currencies import ExponentOverride
from resources.sandbox import SandboxServer, World
from resources.settings import ReferenceSettings
from resources.warehouse.migrate import migrate

DAY = date(2024, 3, 5)
HUGE = 9_007_199_254_740_993  # one more than a double can hold
# currency: (minor units in the JSON, what a person must read, the workbook's cell and its format)
AMOUNTS = {
    "JPY": (500, "500", 500, "#,##0"),
    "KWD": (1234, "1.234", 1.234, "#,##0.000"),
    "CLF": (12345, "1.2345", 1.2345, "#,##0.0000"),
    "ISK": (12345, "123.45", 123.45, "#,##0.00"),  # which the platform, let us say, counts in hundredths
    "USD": (1, "0.01", 0.01, "#,##0.00"),
    "EUR": (HUGE, "90,071,992,547,409.93", "90,071,992,547,409.93", "General"),
    "KRW": (HUGE, "9,007,199,254,740,993", "9,007,199,254,740,993", "General"),
}


class Cells(HTMLParser):
    """The cells of a page: by row, the texts of its cells by their label."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []
        self._label: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append({})
        elif tag == "td":
            self._label = dict(attrs).get("data-label")

    def handle_data(self, data):
        if self._label is not None and data.strip():
            self.rows[-1].setdefault(self._label, data.strip())

    def handle_endtag(self, tag):
        if tag == "td":
            self._label = None


def world_of(fillers: int) -> World:
    """A sale and a refund of each amount; `fillers` declined ones make the page a large one, read in columns."""
    at = {"operation_created_at": f"{DAY} 10:00:00", "operation_completed_at": f"{DAY} 10:00:05"}
    rows = [
        {"operation_type": kind, "sum_initial": {"amount": minor, "currency": currency}, **at}
        for currency, (minor, *_) in AMOUNTS.items()
        for kind in ("sale", "refund")
    ]
    rows += [{"operation_status": "decline", **at} for _ in range(fillers)]
    return World.of(rows, now="2024-03-20 00:00:00")


@pytest.mark.parametrize("fillers", [0, 400], ids=["read as JSON", "read in columns"])
def test_an_amount_goes_exactly_from_the_json_to_the_page_and_the_workbook(store, tmp_path, fillers):
    migrate(store, ReferenceSettings(currency_exponents=(ExponentOverride("ISK", None, 2),)))
    with SandboxServer(world_of(fillers)) as sandbox:
        sync(sandbox, store, str(DAY), str(DAY))
    stored = fetch_all(
        store,
        "SELECT sum_initial_currency AS currency, sum_initial_amount AS minor FROM core.operations "
        "WHERE operation_type = 'sale' AND operation_status = 'success'",
    )
    assert {row["currency"]: row["minor"] for row in stored} == {key: minor for key, (minor, *_) in AMOUNTS.items()}
    written = publish(store, "default", DAY, "UTC", tmp_path)

    on_page = {row[""]: row for row in Cells(written.page.read_text(encoding="utf-8")).rows if "Volume" in row}
    sheet = load_workbook(written.workbook)["Totals"]
    in_workbook = {row[0].value: row for row in sheet.iter_rows(min_row=2)}
    assert on_page.keys() == in_workbook.keys() == AMOUNTS.keys()
    for currency, (_, text, value, pattern) in AMOUNTS.items():
        assert (on_page[currency]["Volume"], on_page[currency]["Out"]) == (text, text)
        assert set(on_page[currency]["Net"]) <= set("0."), "the sale and its refund are nothing, to the last unit"
        for cell in in_workbook[currency][1:3]:
            assert (cell.value, cell.number_format) == (value, pattern)
