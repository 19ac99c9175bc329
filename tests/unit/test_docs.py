"""The pages for people name only what is there: files, functions, statements, commands, pages and their headings."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
import typer

import sql
from fixtures.commands import ROOT
from pipelines.cli.commands import app
from pipelines.marts import MARTS

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
MADE_UP = "disputes"  # the stream that docs/adding-a-stream.md adds
CODE = ("pipelines", "resources", "sql", "tests", "deploy")
FILE = re.compile(r"(?<![\w./:-])((?:[\w-]+/)*[\w-]+\.(?:py|sql))\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"ecommpay-sync ([a-z]+(?:-[a-z]+)*)\b")
WAY = re.compile(r"^\| *\d+ \| `([^`]+)` \| (.*) \|$", re.MULTILINE)
OURS = [path for folder in CODE for path in (ROOT / folder).rglob("*.*")]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def way_of_one_operation() -> list[tuple[str, list[str]]]:
    """The files of the section, each with the names that it is said to hold."""
    section = text_of(ROOT / "docs/architecture.md").split("## The way of one operation")[1].split("\n## ")[0]
    return [(file, re.findall(r"`([A-Za-z_]+)`", names)) for file, names in WAY.findall(section)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_exists(page):
    names = {name for name in FILE.findall(text_of(page)) if MADE_UP not in name}
    known = {path.name for path in OURS}
    missing = {name for name in names if not ((ROOT / name).is_file() if "/" in name else name in known)}
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_resolves(page):
    broken = []
    for link in LINK.findall(text_of(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page):
    commands = set(typer.main.get_command(app).commands)
    assert set(COMMAND.findall(text_of(page))) <= commands


def test_every_command_is_described():
    page = text_of(ROOT / "docs/commands.md")
    assert [name for name in typer.main.get_command(app).commands if f"`ecommpay-sync {name}" not in page] == []


def test_the_way_of_one_operation_names_what_its_files_hold():
    way = way_of_one_operation()
    python, statements = ([item for item in way if item[0].endswith(ending)] for ending in (".py", ".sql"))
    assert 10 < len(python) <= 20
    assert 1 < len(statements) <= 4
    everything = "\n".join(text_of(path) for path in OURS if path.suffix == ".py")
    for file, names in python:
        source = text_of(ROOT / file)
        own = [name for name in names if re.search(rf"(?:def|class) {name}\b|^{name}\b", source, re.MULTILINE)]
        assert own, file
        assert [name for name in names if not re.search(rf"\b{name}\b", everything)] == [], file
    for file, names in statements:
        assert set(names) <= sql.statements(file.removeprefix("sql/").removesuffix(".sql")).keys(), file


# The generated pages, and the site


@pytest.fixture(scope="module")
def pages():
    """The module docs/pages.py, which is run by its path."""
    spec = importlib.util.spec_from_file_location("documentation_pages", ROOT / "docs/pages.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["questions", "marts", "alerts", "options"])
def test_a_generated_page_is_what_it_is_made_from(pages, name):
    assert text_of(ROOT / f"docs/{name}.md") == pages.PAGES[name](), "it is stale: run `make docs`"


def test_every_mart_has_two_questions_and_there_are_twenty_at_least(pages):
    assert len(pages.questions()) >= 20
    assert len({question.title for question in pages.questions()}) == len(pages.questions())
    assert {mart: len(pages.examples_of(mart)) for mart in pages.marts()} == dict.fromkeys(MARTS, 2)


def test_a_question_is_short(pages):
    assert [question.title for question in pages.questions() if len(question.query.splitlines()) > 16] == []


def test_every_page_stands_once_in_the_navigation_and_the_site_has_all_that_a_page_links_to(pages, tmp_path):
    pages.assemble(tmp_path)
    listed = []
    for part in pages.navigation():
        for page in [page for group in part.values() for page in group]:
            listed += page["Decisions"] if isinstance(page, dict) else [page]
    assert sorted(listed) == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.md"))
    broken = [
        (path.name, link)
        for path in tmp_path.rglob("*.md")
        for link in LINK.findall(text_of(path))
        if "://" not in link and not (path.parent / (link.partition("#")[0] or path.name)).is_file()
    ]
    assert broken == []


def test_decisions_are_numbered_in_a_row_and_headed_alike():
    pages = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [page.name[:3] for page in pages] == [f"{number:03}" for number in range(1, len(pages) + 1)]
    assert [page.name for page in pages if not text_of(page).startswith(f"# {page.name[:3]}: ")] == []
