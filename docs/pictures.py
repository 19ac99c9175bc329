"""Makes the pictures of docs/pictures from the demo: the report, Dagster's graph and an asset's page, in Chromium.

`make pictures` runs it with Playwright in an environment of its own, so that nothing else needs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "pictures"
BIN = ROOT / ".venv" / "bin"
PORT = 3987
GRAPH = f"http://127.0.0.1:{PORT}/assets/report?view=lineage&lineageScope=upstream&lineageDepth=5"
ASSET = f"http://127.0.0.1:{PORT}/assets/bi/daily_overview"


def main() -> None:
    """Run the demo and take the pictures.

    Raises:
        SystemExit: there is no Chromium.
    """
    browser_path = chromium("pictures")
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        data = Path(folder) / "demo"
        _command("demo", SYNC_DATA_DIR=folder)
        _build_marts(data)
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        (report,) = (data / "reports").glob("*.html")
        _report(browser, report.as_uri())
        with _dagster(data):
            _dagster_pages(browser)
        browser.close()


def _command(name: str, **environment: str) -> None:
    subprocess.run([BIN / "ecommpay-sync", name], env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)


def _build_marts(data: Path) -> None:
    """Run the job that shows in Dagster."""
    command = [BIN / "dagster", "job", "execute", "-m", "pipelines.definitions", "-j", "build_marts"]
    environment = os.environ | {"DAGSTER_HOME": str(data / "dagster"), "SYNC_DATA_DIR": str(data)}
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _report(browser: Browser, url: str) -> None:
    for name, width, media in (("1280", 1280, "screen"), ("390", 390, "screen"), ("print", 794, "print")):
        page = browser.new_page(viewport={"width": width, "height": 1000 if media == "screen" else 1123})
        page.emulate_media(media=media)
        page.goto(url)
        page.screenshot(path=OUT / f"report-{name}.png")


def _dagster_pages(browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 600})
    page.add_init_script("localStorage.setItem('communityNux', '1')")  # its invitation to a newsletter
    page.goto(GRAPH)
    page.get_by_text("reconciliation").first.wait_for()
    page.wait_for_timeout(5000)  # the graph is laid out, and moves to its place
    page.screenshot(path=OUT / "graph.png")
    page.set_viewport_size({"width": 1400, "height": 1600})
    page.goto(ASSET)
    page.get_by_text("volume").first.wait_for()
    page.wait_for_timeout(3000)
    page.screenshot(path=OUT / "asset.png")


@contextmanager
def _dagster(data: Path) -> Iterator[None]:
    """Serve Dagster's UI on what the demo left."""
    environment = os.environ | {"DAGSTER_HOME": str(data / "dagster"), "SYNC_DATA_DIR": str(data)}
    command = [BIN / "dagster-webserver", "-m", "pipelines.definitions", "-h", "127.0.0.1", "-p", str(PORT)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(f"http://127.0.0.1:{PORT}/server_info")
            yield
        finally:
            server.terminate()


def chromium(target: str) -> str:
    """Return the path of Chromium; `target` is what make was asked for.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        sys.exit(f"no Chromium here: install Debian's package chromium, then run make {target} again")
    return found


def wait_for(url: str) -> None:
    """Wait until a server that was just started answers.

    Raises:
        SystemExit: it does not within three minutes.
    """
    for _ in range(180):
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(1)
    sys.exit(f"{url} does not answer")


if __name__ == "__main__":
    main()
