"""Makes the site of the documentation: its generated pages, a navigation by who reads, and the HTML, by Zensical.

`make docs` runs it. `docs/marts.md`, `docs/questions.md`, `docs/options.md` and `docs/alerts.md` are written from what
they describe, and committed; the HTML goes to `dist/docs`. It loads nothing from elsewhere when it is read.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NAVIGATION = {
    "Start": ("index", "commands", "settings"),
    "Finance": ("reconciliation",),
    "Analyst": ("bi", "questions", "marts", "tables", "data-dictionary"),
    "On call": ("runbook", "alerts", "security"),
    "Developer": ("architecture", "adding-a-stream", "testing", "options", "json", "benchmarks", "decisions"),
}
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?\)")
RELATION = re.compile(r"^### `bi\.(\w+)` \((\w+)\)\n\n(.*?)\n\n", re.MULTILINE | re.DOTALL)
ALERT = re.compile(r"^### (Alert ([^\n]+))\n\n(.+?\.)(?=\s)", re.MULTILINE | re.DOTALL)
EXAMPLES = 2
QUESTIONS = """# Questions

Made from `sql/bi/questions` by `make docs`. Each is answered by one query, as the role `ecommpay_bi`; where it says so,
as `ecommpay_finance`. The tests run each of them in its reader's name.
"""
MARTS = """# Marts

Made from the comments of the database and `sql/bi/questions` by `make docs`. What is true of all of them is in
[bi.md](bi.md).
"""
ALERTS = """# Alerts

Made from [the runbook](runbook.md#alerts) by `make docs`: each kind of alert, what it says, and the way to what must be
done.

| alert | what happened |
|---|---|
"""
OPTIONS = """# Options of every command

Made from the commands themselves by `make docs`; `--help` says the same. What they are for is in
[commands.md](commands.md).
"""


@dataclass(frozen=True)
class Question:
    """A question of an analyst: its name, title, explanation and query, and the relations that the query reads."""

    name: str
    title: str
    explanation: str
    query: str

    @property
    def relations(self) -> list[str]:
        """The tables and views, in the order of the query."""
        return list(dict.fromkeys(re.findall(r"\b(?:FROM|JOIN) ((?:bi|recon)\.\w+)\b(?!\()", self.query)))

    @property
    def reader(self) -> str:
        """Whose role may ask it."""
        return "finance" if any(name.startswith("recon.") for name in self.relations) else "bi"

    def markdown(self) -> str:
        """The question as a part of a page."""
        return f"{self.explanation}\n\n```sql\n{self.query}\n```\n"


def questions() -> list[Question]:
    """Return the questions of sql/bi/questions, in their order."""
    found = []
    for file in sorted((ROOT / "sql/bi/questions").glob("*.sql")):
        lines = file.read_text(encoding="utf-8").splitlines()
        comments = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
        query = "\n".join(line for line in lines if not line.startswith("-- "))
        name = file.stem.partition("_")[2]
        found.append(Question(name, comments[0], " ".join(comments[1:]), query.strip()))
    return found


def questions_page() -> str:
    """Return docs/questions.md."""
    parts = [QUESTIONS]
    for question in questions():
        role = "As `ecommpay_finance`. " if question.reader == "finance" else ""
        parts.append(f"## {question.title}\n\n{role}{question.markdown()}")
    return "\n".join(parts)


def marts() -> dict[str, tuple[str, str]]:
    """Return kind and meaning of each mart, as the data dictionary has them from the database's comments."""
    dictionary = (DOCS / "data-dictionary.md").read_text(encoding="utf-8")
    return {name: (kind, meaning) for name, kind, meaning in RELATION.findall(dictionary)}


def examples_of(mart: str) -> list[Question]:
    """Return the questions that show a mart: first those that begin with it."""
    name = f"bi.{mart}"
    reading = [question for question in questions() if name in question.relations]
    return sorted(reading, key=lambda question: question.relations.index(name))[:EXAMPLES]


def marts_page() -> str:
    """Return docs/marts.md."""
    parts = [MARTS]
    for mart, (kind, meaning) in marts().items():
        parts.append(f"## {mart}\n\n{meaning} [Its columns](data-dictionary.md#bi{mart}-{kind}).\n")
        parts += [f"**{question.title}.** {question.markdown()}" for question in examples_of(mart)]
    return "\n".join(parts)


def alerts_page() -> str:
    """Return docs/alerts.md."""
    runbook = (DOCS / "runbook.md").read_text(encoding="utf-8")
    rows = [
        f"| [{kind}](runbook.md#{heading.lower().replace(' ', '-')}) | {' '.join(first.split())} |"
        for heading, kind, first in ALERT.findall(runbook)
    ]
    return ALERTS + "\n".join(rows) + "\n"


def options_page() -> str:
    """Return docs/options.md."""
    from pipelines.cli.commands import app

    group: Any = typer.main.get_command(app)
    parts = [OPTIONS]
    for name, command in group.commands.items():
        parts += _options("ecommpay-sync " + name, command)
    return "\n".join(parts)


def _options(name: str, command: Any) -> Iterator[str]:
    """Yield the section of a command, then those of the commands within it."""
    within = getattr(command, "commands", {})
    if not within or command.invoke_without_command:
        yield f"## {name}\n\n{command.help}\n"
        rows = [_option(option) for option in command.params if option.name != "help" and not option.hidden]
        if rows:
            yield "| option | meaning |\n|---|---|\n" + "\n".join(rows) + "\n"
    for inner, other in within.items():
        yield from _options(f"{name} {inner}", other)


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.param_type_name == "argument":
        names = f"`{option.metavar or option.name.upper()}`"
    elif not option.is_flag and option.metavar:
        names += f" `{option.metavar}`"
    marks = [word for word, holds in (("needed", option.required), ("repeatable", option.multiple)) if holds]
    meaning = (option.help or "").replace("|", "\\|") + (f" ({', '.join(marks)})" if marks else "")
    return f"| {names} | {meaning} |"


PAGES = {"questions": questions_page, "marts": marts_page, "alerts": alerts_page, "options": options_page}


def assemble(folder: Path) -> None:
    """Put the pages into `folder`, with every file that a page links to, so that no link leaves it."""
    sources = {path: path.relative_to(DOCS) for path in sorted(DOCS.rglob("*.md"))}
    sources[ROOT / "README.md"] = Path("index.md")
    sources[ROOT / "CHANGELOG.md"] = Path("changelog.md")
    shutil.copytree(DOCS / "pictures", folder / "pictures")
    for source, page in sources.items():

        def linked(match: re.Match[str], source: Path = source, page: Path = page) -> str:
            begin, path, anchor = match.groups()
            target = (source.parent / path).resolve()
            if "://" in path or not target.exists():
                return match[0]
            if target == DOCS / "decisions":
                target = min(target.glob("*.md"))
            place = sources.get(target)
            if place is None and DOCS in target.parents:
                place = target.relative_to(DOCS)
            elif place is None:
                place = Path("files") / f"{target.name}.txt"
                (folder / "files").mkdir(exist_ok=True)
                shutil.copy(target, folder / place)
            return f"{begin}{os.path.relpath(place, page.parent)}{anchor or ''})"

        destination = folder / page
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_text(LINK.sub(linked, source.read_text(encoding="utf-8")), encoding="utf-8")


def navigation() -> list[dict[str, list[Any]]]:
    """Return the navigation: for each kind of reader the pages, by their paths."""
    found = []
    for reader, names in NAVIGATION.items():
        pages: list[Any] = [f"{name}.md" for name in names if name != "decisions"]
        if "decisions" in names:
            files = sorted(f"decisions/{path.name}" for path in (DOCS / "decisions").glob("*.md"))
            pages += [{"Decisions": files}, "changelog.md"]
        found.append({reader: pages})
    return found


def main() -> None:
    """Write the generated pages, then the site; a broken link ends it."""
    for name, page in PAGES.items():
        (DOCS / f"{name}.md").write_text(page(), encoding="utf-8")
    target = ROOT / "dist" / "docs"
    with tempfile.TemporaryDirectory() as place:
        assemble(Path(place) / "docs")
        # JSON's lists and strings are TOML's; its objects become inline tables
        pages = re.sub(r'("[^"]+"): ', r"\1 = ", json.dumps(navigation()))
        settings = f'[project]\nsite_name = "ecommpay-sync"\nuse_directory_urls = false\nnav = {pages}\n'
        settings += '[project.theme]\nfont = false\nfeatures = ["navigation.tabs", "content.code.copy"]\n'
        (Path(place) / "zensical.toml").write_text(settings, encoding="utf-8")
        uv = ROOT / ".venv" / "bin" / "uv"
        command = [uv, "run", "--quiet", "--no-project", "--with", "zensical", "zensical", "build", "--strict"]
        if subprocess.run(command, cwd=place, check=False).returncode:
            sys.exit("the site is not made: see the links above")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(Path(place) / "site", target)
    print(f"the site: {target / 'index.html'}")  # noqa: T201


if __name__ == "__main__":
    main()
