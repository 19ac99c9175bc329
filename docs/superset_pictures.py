"""Tries deploy/superset in a real Apache Superset and takes the pictures of its boards, in Chromium.

`make superset` runs it in an environment of its own, in .data/superset. Superset, its settings and the demo's database
are in a temporary folder, and are gone afterwards. It fails when a board is not shown whole.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pictures import BIN, OUT, ROOT, chromium, wait_for
from playwright.sync_api import Page, Response, sync_playwright
from sqlalchemy.engine import make_url

BUNDLE = ROOT / "deploy" / "superset"
SUPERSET = Path(sys.executable).with_name("superset")
PORT = 3988
WIDTH, TALL = 1400, 2400  # pixels: higher than any board
URL = f"http://127.0.0.1:{PORT}"
SHOWN = """holders => holders.map(holder => ({
    name: holder.querySelector("[data-test-chart-name]")?.dataset.testChartName ?? "",
    error: [...holder.querySelectorAll("[role=alert]")].map(alert => alert.innerText).join(" ").replace(/\\s+/g, " "),
    bottom: holder.getBoundingClientRect().bottom,
}))"""
CONFIG = """
SECRET_KEY = {secret!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
TALISMAN_ENABLED = False  # it asks for HTTPS
FEATURE_FLAGS = {{"DASHBOARD_VIRTUALIZATION": False}}  # charts below the window are shown too
"""


@dataclass(frozen=True)
class Shown:
    """A chart as the browser shows it: its name, its error if it has one, and where it ends."""

    name: str
    error: str
    bottom: float


def main() -> None:
    """Load the demo, import the bundle, and take a picture of each board.

    Raises:
        SystemExit: there is no Chromium, or a board does not show each of its charts.
    """
    browser_path = chromium("superset")
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder, password = Path(place), secrets.token_urlsafe()
        _ours("demo", folder)
        data = folder / "demo"
        _ours("marts", data)
        _ours("grant", data)
        with _database(data) as warehouse:
            _set_up(folder, password, warehouse)
            with _served(folder):
                browser = playwright.chromium.launch(
                    executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport={"width": WIDTH, "height": TALL})
                _log_in(page, password)
                for file in sorted((BUNDLE / "dashboards").glob("*.yaml")):
                    _picture(page, file)
                browser.close()


def _ours(command: str, data: Path) -> None:
    subprocess.run([BIN / "ecommpay-sync", command], env=_environment(data), check=True, stdout=subprocess.DEVNULL)


def _environment(data: Path) -> dict[str, str]:
    """Return the environment, without a database of the user's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "SYNC_"))}
    return own | {"SYNC_DATA_DIR": str(data)}


@contextmanager
def _database(data: Path) -> Iterator[str]:
    """Keep the demo's PostgreSQL running, and give its URL."""
    command = [BIN / "ecommpay-sync", "database"]
    with subprocess.Popen(command, env=_environment(data), stdout=subprocess.PIPE, text=True) as server:
        try:
            yield next(line.strip() for line in server.stdout or () if "://" in line)
        finally:
            server.terminate()


def _set_up(folder: Path, password: str, warehouse: str) -> None:
    """Make a Superset with an administrator, the bundle, and its databases led to the demo's."""
    config = CONFIG.format(secret=secrets.token_urlsafe(42), folder=folder)
    (folder / "superset_config.py").write_text(config, encoding="utf-8")
    _superset(folder, "db", "upgrade")
    person = ("--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "admin@example.com")
    _superset(folder, "fab", "create-admin", *person, "--password", password)
    _superset(folder, "init")
    with zipfile.ZipFile(folder / "boards.zip", "w") as archive:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            archive.write(path, path.relative_to(BUNDLE.parent))
    _superset(folder, "import-dashboards", "--path", str(folder / "boards.zip"), "--username", "admin")
    for path in sorted((BUNDLE / "databases").glob("*.yaml")):
        name = _read(path)["database_name"]
        own = make_url(warehouse).set(drivername="postgresql+psycopg2", username=name)
        uri = own.render_as_string(hide_password=False)
        _superset(folder, "set-database-uri", "--database_name", name, "--uri", uri)


def _superset(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [SUPERSET, *arguments], env=_superset_environment(folder), check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"superset {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def _superset_environment(folder: Path) -> dict[str, str]:
    return os.environ | {
        "SUPERSET_CONFIG_PATH": str(folder / "superset_config.py"),
        "SUPERSET_HOME": str(folder),
        "FLASK_APP": "superset.app:create_app()",
    }


@contextmanager
def _served(folder: Path) -> Iterator[None]:
    command = [SUPERSET.with_name("gunicorn"), "--bind", f"127.0.0.1:{PORT}", "--threads", "8", "--timeout", "120"]
    with (folder / "server.log").open("w", encoding="utf-8") as log:
        server = subprocess.Popen(
            [*command, "superset.app:create_app()"], env=_superset_environment(folder), stdout=log, stderr=log
        )
        try:
            wait_for(f"{URL}/health")
            yield
        finally:
            server.terminate()
            server.wait()


def _log_in(page: Page, password: str) -> None:
    page.goto(f"{URL}/login/")
    page.locator("[name=username], #username").first.fill("admin")
    page.locator("[name=password], #password").first.fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login" not in url)


def _picture(page: Page, file: Path) -> None:
    """Open a board at its whole height, wait for each of its charts, and save the picture.

    Raises:
        SystemExit: a chart is not there or shows an error, which one line names, or the board is not shown whole.
    """
    board = _read(file)
    items = [item for item in board["position"].values() if isinstance(item, dict)]
    names = [item["meta"]["sliceName"] for item in items if item["type"] == "CHART"]
    refused: list[Response] = []
    page.on("response", lambda answer: None if answer.ok or "/chart/data" not in answer.url else refused.append(answer))
    page.goto(f"{URL}/superset/dashboard/{board['slug']}/")
    holders = page.locator(".dashboard-component-chart-holder")
    holders.nth(len(names) - 1).wait_for(timeout=120_000)
    page.wait_for_load_state("networkidle", timeout=120_000)
    page.locator("[data-test=loading-indicator], .loading").last.wait_for(state="detached", timeout=120_000)
    page.wait_for_timeout(3000)  # axes and numbers move to their places
    shown = [Shown(**chart) for chart in holders.evaluate_all(SHOWN)]
    wrong = [f"the chart {name!r} is not there" for name in names if name not in {chart.name for chart in shown}]
    wrong += [f"the chart {chart.name!r} shows: {chart.error}" for chart in shown if chart.error]
    if not wrong:  # what no chart shows: a filter's answer, or a message of the page
        wrong = [answer.text() for answer in refused] + page.locator("[role=alert]").all_inner_texts()
    if wrong:
        sys.exit(f"the board {file.stem}: {' '.join('; '.join(wrong).split())}")
    height = max(chart.bottom for chart in shown) + 20
    if height > TALL:
        sys.exit(f"the board {file.stem} is {height:.0f} pixels high: set TALL in {Path(__file__).name} above that")
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}
    page.screenshot(path=OUT / f"superset-{file.stem}.png", clip=clip)


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
