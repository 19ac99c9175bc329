"""Hostile text in every field that somebody else fills in, along the whole way: data to the store and to all readers.

The platform's data, a ledger file, its name and the names that users give hold SQL, HTML, templates, formulas,
terminal sequences and line breaks. Each must arrive as the text that it is, and do nothing.
"""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy
from conftest import create_database, drop_database, url_of
from openpyxl import load_workbook

from fixtures.commands import execute, fetch_all, same
from fixtures.receivers import mail_server, webhook
from pipelines.alerts.conditions import Alert, Evaluation
from pipelines.alerts.notifications import notify
from pipelines.reports.page import page
from pipelines.reports.publish import document_of
from resources.channels import EmailChannel, WebhookChannel
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.sandbox.operations import DEFAULT
from resources.settings import Secret, alert_settings
from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

DAY = "2024-03-05"
AT = f"{DAY} 12:00:00"
NEXT = "2024-03-06"
FIELDS = (*DEFAULT, "project_name", "customer_id", "legal_entity_name")
ESCAPE, CSI = "\x1b", "\x9b"
SQL = "'; DROP TABLE core.operations; --"
HTML = "</script><img src=x onerror=alert(1)>"
SVG = "</text></svg><script>alert(1)</script>"
TEMPLATE = "{{ 7*7 }}{% raw %}${7*7}"
FORMULA = "=cmd|'/C calc'!A0"
TERMINAL = f"{ESCAPE}[2J{ESCAPE}]0;owned\x07{CSI}31m\r\nrows: 0"
TURNED = "\u202egpj.exe\u2028x"
COPY = "\\.\n\\N\tx"
FORMAT = "%s %(x)s {0} :name $1 $\\frac"
TEXTS = [SQL, HTML, SVG, TEMPLATE, FORMULA, TERMINAL, TURNED, COPY, FORMAT, "[red]markup[/red]", '"quoted", and more']
LONG = "x" * 40_000 + HTML


@dataclass
class Journey:
    """What one journey through every command printed and wrote."""

    store: Warehouse
    world: World
    folder: Path
    said: dict[str, object]


@pytest.fixture(scope="module")
def journey(command, server_url, tmp_path_factory):
    name, folder = f"ecommpay_hostile_{os.getpid()}", tmp_path_factory.mktemp("hostile")
    create_database(server_url, name)
    world = hostile_world()
    with SandboxServer(world) as sandbox, Warehouse(url_of(server_url, name)) as store:
        migrate(store)
        environment = {
            "DATABASE_URL": store.url,
            "DATA_API_BASE_URL": sandbox.url,
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "DAGSTER_HOME": str(command.dagster_home(folder / "home")),
            "SYNC_FIELDS": ",".join(FIELDS),
            "SYNC_REPORT_DIR": str(folder / "reports"),
        }
        yield Journey(store, world, folder, dict(travel(command, store, folder, environment)))
    drop_database(server_url, name)


def hostile_world() -> World:
    world = World.of(now="2024-03-08T00:00:00")
    for number, text in enumerate(TEXTS):
        world.add(
            {"operation_id": str(2000 + number), "operation_completed_at": f"{NEXT} 12:00:00", text: {text: text}}
        )
        world.add(
            {
                "operation_id": str(1000 + number),
                "operation_completed_at": AT,
                "operation_status": "success" if number % 2 else text,
                "operation_type": "sale" if number % 3 else text,
                "project_id": str(198 + number),
                "project_name": text,
                "payment_description": text,
                "payment_id": text,
                "customer_id": text,
                "legal_entity_name": text,
                "sum_initial": {"amount": 100 + number, "currency": "EUR" if number % 2 else text},
            }
        )
    world.balances = [{"name": text, "EUR": str(number)} for number, text in enumerate(TEXTS)]
    world.balances += [{"name": LONG, "EUR": "7"}, {"name": f"of {TERMINAL}", SVG: "8"}]
    return world


def ledger_file(folder: Path) -> Path:
    """Entries whose free columns are hostile; what cannot be printed is refused by the contract, and left out."""
    file = folder / f"=cmd {ESCAPE}[31m' \" $(id) `id` <b>\nx.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("entry_id", "booked_at", "operation_type", "currency", "amount", "status", "reference"))
        for number, text in enumerate(text for text in TEXTS if text.isprintable()):
            writer.writerow((f"{text}{number}", AT + "+00:00", text, "EUR", f"{number + 1}.00", "success", text))
    return file


def bad_ledger_file(folder: Path) -> Path:
    file = folder / f"bad {ESCAPE}[2J\n.csv"
    header = ["entry_id", "booked_at", "operation_type", "currency", "amount", FORMULA, TERMINAL, f"\t{FORMULA}"]
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([header, ["a"] * 8])
    return file


def travel(command, store: Warehouse, folder: Path, environment: dict[str, str]):
    def run(*arguments: str, **more: str):
        return " ".join(arguments[:2]), command(*arguments, environment=environment | more)

    yield run("operations", "--from", DAY, "--to", DAY)
    yield "next", run("operations", "--from", NEXT, "--to", "2024-03-07", SYNC_FIELDS="")[1]
    yield run("balances")
    execute(store, f"UPDATE core.balance_snapshots SET captured_at = '{AT}+00:00'")  # as if it had been taken that day
    yield run("marts", "--full")
    yield "bad", run("ledger", "import", str(bad_ledger_file(folder)), "--rejects", str(folder / "rejects.csv"))[1]
    yield run("ledger", "import", str(ledger_file(folder)))
    yield run("reconcile", "--date", DAY)
    ids = [str(row["break_id"]) for row in fetch_all(store, "SELECT break_id FROM recon.breaks ORDER BY 1")]
    yield "explain", run("explain", ids[0], "--by", TERMINAL, "--note", TERMINAL)[1]
    for number, text in zip(ids[1:], [LONG, *TEXTS], strict=False):
        annotate(store, int(number), text)
    yield "close refused", run("close", "--date", DAY, "--by", TERMINAL)[1]
    yield "prepare", run("close", "--date", DAY, "--by", f"{SQL}{FORMULA}", "--with-open-breaks")[1]
    yield run("close", "--date", DAY, "--by", f"{HTML}{TEMPLATE}", "--with-open-breaks")
    yield run("breaks", "--all")
    yield run("report", "--date", DAY)
    yield run("status")
    yield run("trace", "1005")
    yield run("trace", TERMINAL)


def annotate(store: Warehouse, break_id: int, text: str) -> None:
    """As a person of finance does by SQL (docs/bi.md): owner and note of an open break are theirs to write."""
    with store.transaction() as connection:
        connection.execute(
            sqlalchemy.text("UPDATE recon.breaks SET owner = :text, note = :text WHERE break_id = :break_id"),
            {"text": text, "break_id": break_id},
        )


def test_every_command_does_its_work(journey):
    expected = {"balances": 1, "bad": 2, "close refused": 2, f"trace {TERMINAL}": 2}  # two balances cannot be typed
    codes = {name: done.returncode for name, done in journey.said.items()}
    wrong = {name: journey.said[name].stderr for name, code in codes.items() if code != expected.get(name, 0)}
    assert wrong == {}


def test_no_command_sends_the_terminal_anything_but_text(journey):
    for name, done in journey.said.items():
        text = done.stdout + done.stderr
        assert {character for character in text if not character.isprintable()} <= {"\n"}, name
        assert "\nrows: 0" not in text, f"{name}: a text of the data began a line of its own"


def test_the_terminal_shows_what_it_does_not_obey(journey):
    assert r"\x1b[2J" in journey.said["status"].stdout
    assert "[red]markup[/red]" in journey.said["status"].stdout


def test_a_failure_is_one_line_whatever_it_is_about(journey):
    for name in ("bad", "close refused", f"trace {TERMINAL}"):
        assert journey.said[name].stderr.count("\n") == 1, name
        assert "Traceback" not in journey.said[name].stderr


def test_the_store_holds_every_text_to_the_byte(journey):
    first, last = f"{DAY} 00:00:00", f"{DAY} 23:59:59"
    truth = {row["operation_id"]: row for row in journey.world.truth(None, first, last, fields=FIELDS)}
    stored = {row["operation_id"]: row for row in fetch_all(journey.store, "SELECT * FROM core.operations")}
    assert len(stored) == 2 * len(truth) == 2 * len(TEXTS)
    assert [key for key, row in truth.items() if not same(row, stored[key])] == []
    assert {row["project_name"] for row in stored.values()} == {*TEXTS, None}
    extras = {key: row["extra"] for key, row in stored.items() if row["extra"]}
    assert extras == {str(2000 + number): {text: {text: text}} for number, text in enumerate(TEXTS)}
    marts = fetch_all(journey.store, "SELECT project_name FROM bi.dim_project")
    assert {row["project_name"] for row in marts} >= set(TEXTS)
    balances = fetch_all(journey.store, "SELECT balance_name, currency FROM core.balance_snapshots")
    assert {row["balance_name"] for row in balances} == set(TEXTS)
    rejects = fetch_all(journey.store, "SELECT reason, raw_json FROM core.rejects ORDER BY reason")
    assert [row["reason"] for row in rejects] == [
        "beside its name, the entry has a key that is no currency, or none at all",
        "the name is too long for an index",
    ]
    assert SVG in rejects[0]["raw_json"]
    (explained,) = fetch_all(journey.store, "SELECT owner, note FROM recon.breaks WHERE state = 'explained'")
    assert explained == {"owner": TERMINAL, "note": TERMINAL}
    imported = fetch_all(journey.store, "SELECT entry_id FROM recon.ledger_entries")
    assert len(imported) == sum(text.isprintable() for text in TEXTS)
    (file,) = fetch_all(journey.store, "SELECT file_name FROM recon.ledger_imports")
    assert file["file_name"] == r"""=cmd \x1b[31m' " $(id) `id` <b>\nx.csv"""


def test_the_list_of_rejected_rows_holds_no_formula(journey):
    rows = list(csv.reader(io.StringIO((journey.folder / "rejects.csv").read_text(encoding="utf-8"))))
    columns = {row[1] for row in rows[1:]}
    assert f"'{FORMULA}" in columns
    assert f"'\t{FORMULA}" in columns
    assert not [cell for row in rows for cell in row if cell[:1] in "=+-@\t\r\n" and cell]


class Page(HTMLParser):
    """The elements, attributes and texts that a browser would see."""

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.texts = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_the_texts_and_is_not_changed_by_them(journey):
    (file,) = (journey.folder / "reports").rglob("*.html")
    seen = Page(file.read_text(encoding="utf-8"))
    assert seen.elements & {"script", "img", "iframe", "object", "embed", "a", "form", "b", "link"} <= {"b"}
    assert not [one for one in seen.attributes if one[1].startswith("on")]
    outside = [one for one in seen.attributes if one[1] in {"src", "href", "xlink:href"} and not one[2].startswith("#")]
    assert outside == []
    shown = " ".join("".join(seen.texts).split())
    for text in (SQL, HTML, SVG, TEMPLATE, FORMULA, FORMAT):
        assert " ".join(text.split()) in shown, text
    assert "49" not in "".join(text for text in seen.texts if "7*7" in text)


def test_no_cell_of_the_workbook_is_a_formula_or_a_link_and_none_is_lost(journey):
    (file,) = (journey.folder / "reports").rglob("*.xlsx")
    book = load_workbook(file)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    names = [row[0].value for row in book["Balances"].iter_rows(min_row=2)]
    assert FORMULA in names
    assert None not in names
    notes = [row[9].value for row in book["Largest breaks"].iter_rows(min_row=2)]
    assert [note for note in notes if note and note.startswith("xxxx") and note.endswith("…")], "cut, and not left out"


def test_the_page_of_the_sealed_day_is_the_same_again(journey):
    (file,) = (journey.folder / "reports").rglob("*.html")
    document = document_of(journey.store, "default", date.fromisoformat(DAY), "UTC")
    assert document.close is not None
    assert document.close.closed_by == f"{HTML}{TEMPLATE}"
    assert page(document).encode() == file.read_bytes()


@pytest.mark.parametrize("text", [*TEXTS, "<!channel> <https://evil.example|the runbook>"])
def test_an_alert_about_hostile_text_is_delivered_as_plain_text(store, text):
    now = datetime(2024, 3, 6, tzinfo=UTC)
    alert = Alert("run_failed", f"run_failed:{text}", f"failed: {text}", text, "where", "todo")
    judgement = Evaluation((alert,), ("run_failed",))
    with mail_server() as (mailbox, mail_url), webhook() as (hook, hook_url):
        mail = alert_settings(
            {"ALERT_SMTP_URL": mail_url, "ALERT_EMAIL_FROM": "a@a.example", "ALERT_EMAIL_TO": "b@b.example"}
        )
        channels = [EmailChannel(mail.smtp), WebhookChannel(Secret(hook_url))]
        assert notify(store, "default", judgement, channels, now, "docs/runbook.md").sent == 2
        assert notify(store, "default", judgement, channels, now + timedelta(minutes=1), "docs/runbook.md").sent == 0
    ((subject, body, recipients),) = mailbox.messages
    assert recipients == ("b@b.example",)
    for said in (subject, *body.splitlines(), *hook.texts[0].splitlines()):
        assert said.isprintable()
    assert body.count("\nWhat to do: ") == hook.texts[0].count("\nWhat to do: ") == 1
    assert len(body.splitlines()) == len(hook.texts[0].splitlines()) - 1 == 4
    assert "<" not in hook.texts[0], "Slack reads <…> as a mention or a link"
