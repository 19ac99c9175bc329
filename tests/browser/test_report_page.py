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
# a window has loaded after all of its frames have
COLLECT = """<script>addEventListener("load", () => {
  const found = [...document.querySelectorAll("iframe")].map(e => [e.id,
    JSON.parse(e.contentDocument.getElementById("measured").textContent)]);
  document.getElementById("all").textContent = JSON.stringify(Object.fromEntries(found)); });</script>"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; CI installs Debian's")


def chromium(profile: Path, *arguments: str) -> str:
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", *arguments],
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


WIDTHS = (1280, 390)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    """The browser's profile, which takes as long to make as a page to show."""
    return tmp_path_factory.mktemp("profile")


@pytest.fixture(scope="module")
def measured(tmp_path_factory, profile):
    """What each page measures at each width, by one start of the browser.

    Each is a copy that may run a script and is framed at the very width: headless windows have a smallest one.
    """
    folder = tmp_path_factory.mktemp("framed")
    for name, source in PAGES.items():
        inner = source.replace("<meta http-equiv", "<meta data-was").replace("</body>", MEASURE)
        (folder / f"{name}.html").write_text(inner, encoding="utf-8")
    frames = "".join(
        f'<iframe id="{name}-{width}" src="{name}.html" style="width:{width}px;height:3600px;border:0"></iframe>'
        for name in PAGES
        for width in WIDTHS
    )
    all_frames = folder / "frames.html"
    all_frames.write_text(f'{frames}<pre id="all"></pre>{COLLECT}', encoding="utf-8")
    dom = chromium(
        profile, "--allow-file-access-from-files", "--window-size=1400,3700", "--dump-dom", all_frames.as_uri()
    )
    return json.loads(dom.split('<pre id="all">')[1].split("</pre>")[0])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_the_page_fits_its_width_and_reads_well(tmp_path, profile, measured, name, width):
    shown = tmp_path / "report.html"
    shown.write_text(PAGES[name], encoding="utf-8")
    OUT.mkdir(exist_ok=True)
    picture = OUT / f"{name}-{width}.png"
    picture.unlink(missing_ok=True)
    chromium(profile, f"--window-size={width},3600", f"--screenshot={picture}", shown.as_uri())
    assert picture.stat().st_size > 20_000
    found = measured[f"{name}-{width}"]
    assert found["inner"] == width
    assert found["width"] <= width, "nothing is wider than the screen"
    assert found["small"] == 0, "no text smaller than 11 pixels"
    assert found["right"], "money is right-aligned"
    assert bool(found["charts"]) == ("<figure>" in PAGES[name]), "the charts are drawn"
    assert all(100 < chart <= width for chart in found["charts"])
