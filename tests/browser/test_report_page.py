"""The report in a real browser, at a desk and on a phone; the screenshots are the test's output (tests/browser/out)."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.reports import NOW, bare_document, break_line, document, month_document, week
from pipelines.reports.document import Close
from pipelines.reports.page import month_page, page

OUT = Path(__file__).parent / "out"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
MEASURE = """<script>addEventListener("load", () => {
  const out = document.createElement("pre"); out.id = "measured";
  const small = [...document.querySelectorAll("td, p, span, dd")].filter(e => e.offsetParent &&
    parseFloat(getComputedStyle(e).fontSize) < 11).length;
  out.textContent = JSON.stringify({width: document.documentElement.scrollWidth, inner: innerWidth, small,
    right: [...document.querySelectorAll("td.n")].every(e => getComputedStyle(e).textAlign === "right"),
    charts: [...document.querySelectorAll("figure svg")].map(e => e.getBoundingClientRect().width)});
  document.body.append(out); });</script></body>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; CI installs Debian's")


def chromium(tmp_path: Path, *arguments: str) -> str:
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


DAY = document("A merchant's note, long enough to be wrapped on a phone: refund agreed with the customer")
OPEN = replace(DAY.completeness, complete="no", incomplete_windows=1)
DAYS = {
    "daily-close": DAY,
    "long-names": document(f"Internationale Unterhaltungsgesellschaft mit beschränkter Haftung {'0123456789' * 12}"),
    "nothing": bare_document(),
    "not-complete": replace(DAY, completeness=OPEN, late_because="The last run over this day ended failed: HTTP 503"),
    "closed": replace(DAY, reconciled="yes", breaks=(), largest_breaks=(), close=Close("Ann", "Bob", NOW)),
    "much-to-do": replace(
        DAY,
        totals=(replace(DAY.totals[-2], day=week(5 * 10**15), weekdays=(week(10**15),) * 8), *DAY.totals),
        new_breaks=tuple(break_line(number, owner) for number, owner in enumerate([None, "Eve O'Neil"] * 6)),
    ),
    "many-currencies": replace(
        DAY,
        totals=tuple(replace(total, currency=f"{total.currency[:2]}{n}") for total in DAY.totals for n in range(8)),
        largest_breaks=DAY.largest_breaks * 12,
    ),
}

PAGES = {name: page(shown) for name, shown in DAYS.items()} | {
    "month": month_page(month_document("A merchant's name of a balance, long enough to be wrapped on a phone")),
    "month-long-names": month_page(month_document(f"Unterhaltungsgesellschaft {'0123456789' * 12}")),
}


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_its_width_and_reads_well(tmp_path, name, width):
    source = PAGES[name]
    shown = tmp_path / "report.html"
    shown.write_text(source, encoding="utf-8")
    OUT.mkdir(exist_ok=True)
    picture = OUT / f"{name}-{width}.png"
    chromium(tmp_path, f"--window-size={width},3600", f"--screenshot={picture}", shown.as_uri())
    assert picture.stat().st_size > 20_000
    # measured in a copy that may run a script and is framed at the very width: headless windows have a smallest one
    inner = tmp_path / "inner.html"
    inner.write_text(source.replace("<meta http-equiv", "<meta data-was").replace("</body>", MEASURE), encoding="utf-8")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="inner.html" style="width:{width}px;height:3600px;border:0"></iframe><pre id="r"></pre>'
        "<script>setTimeout(() => "
        'r.textContent = f.contentDocument.getElementById("measured").textContent, 1500)</script>',
        encoding="utf-8",
    )
    dom = chromium(
        tmp_path,
        "--allow-file-access-from-files",
        "--window-size=1400,3700",
        "--virtual-time-budget=4000",
        "--dump-dom",
        frame.as_uri(),
    )
    measured = json.loads(dom.split('<pre id="r">')[1].split("</pre>")[0])
    assert measured["inner"] == width
    assert measured["width"] <= width, "nothing is wider than the screen"
    assert measured["small"] == 0, "no text smaller than 11 pixels"
    assert measured["right"], "money is right-aligned"
    assert bool(measured["charts"]) == ("<figure>" in source), "the charts are drawn"
    assert all(100 < chart <= width for chart in measured["charts"])
