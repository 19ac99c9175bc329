"""The commands of the reconciliation, as a user runs them: from a ledger file to a closed day."""

from __future__ import annotations

import json
import re

import openpyxl
import pytest

from fixtures.commands import execute, fetch_all, sync
from fixtures.reconciliation import DAY, NEXT
from pipelines.cli.demo_data import late_change, platform_faults, write_demo_ledger
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World


@pytest.fixture
def world():
    world = World.generate(seed=5, start=DAY, days=1, operations=900, now="2024-03-20T00:00:00")
    for body in platform_faults(DAY):
        world.add(body["add"], body["effective"])
    return world


@pytest.fixture
def sandbox(world):
    with SandboxServer(world) as server:
        yield server


@pytest.fixture
def environment(store_url, sandbox, dagster_home):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "DAGSTER_HOME": str(dagster_home),
    }


def test_from_a_ledger_with_one_break_of_each_type_to_a_closed_day(
    command, store, sandbox, world, environment, tmp_path
):
    sync(sandbox, store, str(DAY), str(DAY))
    ledger = tmp_path / "ledger.csv"
    broken = write_demo_ledger(store, "default", DAY, ledger)

    imported = command("ledger", "import", str(ledger), environment=environment)
    assert imported.returncode == 0, imported.stderr
    done = command("reconcile", "--date", str(DAY), environment=environment)
    assert done.returncode == 0, done.stderr
    assert "completeness: complete" in done.stdout
    found = fetch_all(
        store,
        # the sandbox's own world has refunds of payments from before its first day
        "SELECT break_type, b.operation_id, entry_id FROM recon.breaks b LEFT JOIN core.operations o "
        "USING (account, operation_id) "
        "WHERE state = 'open' AND (break_type <> 'orphan_refund' OR payment_id LIKE 'demo-%')",
    )
    (count,) = fetch_all(store, "SELECT count(*) AS all FROM recon.breaks")
    of_type = {row["break_type"]: row for row in found}
    expected = {*broken, "duplicate_at_platform", "orphan_refund", "refund_above_capture"}
    assert sorted(row["break_type"] for row in found) == sorted(expected), "each type once"
    assert all(key in (of_type[name]["operation_id"], of_type[name]["entry_id"]) for name, key in broken.items())

    again = command("reconcile", "--date", str(DAY), "--leg", "books", environment=environment)
    assert again.returncode == 0, again.stderr
    events = fetch_all(store, "SELECT event, count(*) FROM recon.break_events GROUP BY event")
    assert events == [{"event": "opened", "count": count["all"]}]

    listed = command("breaks", environment=environment)
    assert (listed.returncode, listed.stdout.count("refund_above_capture")) == (0, 1)
    (first,) = fetch_all(store, "SELECT min(break_id) AS id FROM recon.breaks")
    explained = command("explain", str(first["id"]), "--by", "Ann", "--note", "a voucher", environment=environment)
    assert explained.returncode == 0, explained.stderr

    of_day = ("close", "--date", str(DAY))
    refused = command(*of_day, "--by", "Ann", environment=environment)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"{count['all'] - 1} open breaks" in refused.stderr
    prepared = command(*of_day, "--by", "Ann", "--with-open-breaks", environment=environment)
    assert (prepared.returncode, prepared.stderr) == (0, "")
    assert re.search(f"prepared: {DAY} by Ann(?s:.*)close --date {DAY} --by NAME --with-open-breaks`", prepared.stdout)
    alone = command(*of_day, "--by", "ann", "--with-open-breaks", environment=environment)
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)
    execute(store, f"UPDATE recon.breaks SET note = 'a refund' WHERE break_id = {first['id']}")
    changed = command(*of_day, "--by", "Bob", "--with-open-breaks", environment=environment)
    assert (changed.returncode, changed.stderr.count("\n")) == (1, 1)
    assert "figures changed since Ann prepared them" in changed.stderr
    closed = command(*of_day, "--by", "Ann", "--with-open-breaks", environment=environment)
    assert closed.returncode == 0, closed.stderr
    assert f"closed: {DAY}" in closed.stdout

    change = late_change(broken["amount"], NEXT)["change"]
    world.change(effective=f"{NEXT} 12:00:00", **change)
    sync(sandbox, store, str(NEXT), str(NEXT))
    command("reconcile", "--date", str(DAY), "--leg", "books", environment=environment)
    # the next day also brings what the sandbox's own world changed then: each is late, and each once
    late = fetch_all(store, "SELECT operation_id FROM recon.breaks WHERE break_type = 'late_change' ORDER BY 1")
    assert {"operation_id": broken["amount"]} in late
    assert late == fetch_all(store, "SELECT operation_id FROM recon.restatements ORDER BY 1")
    (sealed,) = fetch_all(store, "SELECT document FROM recon.closes")
    assert json.loads(sealed["document"])["closed_by"] == "Ann"
    opened = command("reopen", "--date", str(DAY), "--by", "Bob", "--reason", "a correction", environment=environment)
    assert opened.returncode == 0, opened.stderr


WRONG = {  # a command line, and what it is told: one line of what was wrong, where, and what to do
    "reconcile --date 2999-01-01": "is not over",
    "reconcile --date 2024-03-05 --leg all": "is no leg",
    "reconcile --date soon": "is no day",
    "ledger import /nowhere.csv": "there is no file",
    "ledger import empty.csv": "empty.csv has nothing in it: export it again",
    "ledger import other.csv": "its columns are not those of the contract (docs/reconciliation.md): name a mapping",
    "ledger import other.csv --map netsuite": "its columns are not those of mapping netsuite",
    "ledger import book.csv": "book.csv is a workbook: name a mapping of kind xlsx",
    "ledger import book.xlsx --map datev": "book.xlsx is a workbook: name a mapping of kind xlsx",
    "ledger import other.csv --dry-run --replace-day": "--dry-run shows what is in the file: leave out",
    "ledger map empty.csv": "no header with a date and an amount",
    "breaks --from 2024-03-06 --to 2024-03-05": "--to 2024-03-05 is before --from 2024-03-06: swap them",
    "breaks --type fees": "--type 'fees' is no type of a break: did you mean fee?",
    "breaks --type weather": "there are missing_in_ledger, ",
    "breaks --currency EUR --min-amount 5 --max-amount 4": "is less than --min-amount 5: swap them",
    "breaks apply /nowhere.csv --by Ann": "there is no file /nowhere.csv",
    "breaks apply book.xlsx --by Ann": "has no column id and version",
    "breaks assign 7 --type fee --to Bob --by Ann": "no unresolved break 7 that fits the other options",
    "breaks deadlines --type weather --days 3 --by Ann": "--type 'weather' is no type of a break",
    "breaks deadlines --days 3": "--type, --days and --by go together",
    "breaks reasons --description x": "name it with --add REASON",
    "explain 7 --by Ann --note x": "no unresolved break 7: `ecommpay-sync breaks --all` lists them",
    "match --operation 1 --entry 2 --by Ann --note x": "there is no operation 1 in this account",
    "close --month 2999-01 --by Ann": "--month 2999-01 has not begun",
    "report --month 2999-01": "--month 2999-01 has not begun",
    "report --month 2024-03 --output empty.csv": "File exists: name another folder (--output",
    "reopen --date 2024-03-05 --by Ann --reason x": "is not closed",
}


def test_wrong_input_is_told_in_one_line(command, environment, tmp_path):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "other.csv").write_text("Date,Sum\n2024-03-05,1\n")
    book = openpyxl.Workbook()
    book.active.append(["a", "b"])
    book.save(tmp_path / "book.xlsx")
    (tmp_path / "book.csv").write_bytes((tmp_path / "book.xlsx").read_bytes())
    for line, message in WRONG.items():
        words = (str(tmp_path / word) if (tmp_path / word).is_file() else word for word in line.split(" "))
        done = command(*words, environment=environment)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (line, done.stderr)
        assert message in done.stderr, line


def test_a_rejected_file_is_told_row_by_row_and_nothing_is_imported(command, environment, store, tmp_path):
    path = tmp_path / "ledger.csv"
    path.write_text(
        "entry_id,booked_at,operation_type,currency,amount\na,2024-03-05,sale,EUR,1\nb,2024-03-05,sale,EUR,x\n"
    )
    done = command("ledger", "import", str(path), "--rejects", str(tmp_path / "out.csv"), environment=environment)
    assert done.returncode == 2
    assert "nothing of ledger.csv was imported" in done.stderr
    assert "is no number" in done.stdout
    assert (tmp_path / "out.csv").read_text().splitlines()[1].startswith("3,amount,is no number,")
    partial = command("ledger", "import", str(path), "--accept-partial", environment=environment)
    assert partial.returncode == 1
    assert fetch_all(store, "SELECT entry_id FROM recon.ledger_entries") == [{"entry_id": "a"}]


def test_where_the_faults_cannot_be_written_nothing_is_imported_and_the_file_itself_is_left(
    command, environment, store, tmp_path
):
    path = tmp_path / "ledger.csv"
    text = "entry_id,booked_at,operation_type,currency,amount\na,2024-03-05,sale,EUR,1\nb,2024-03-05,sale,EUR,x\n"
    path.write_text(text)
    for rejects, message in (
        (tmp_path, "cannot be written"),
        (tmp_path / "none" / "out.csv", "cannot be written"),
        (path, "is the file to import"),
    ):
        asked = ("ledger", "import", str(path), "--accept-partial", "--rejects", str(rejects))
        done = command(*asked, environment=environment)
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
    assert fetch_all(store, "SELECT count(*) FROM recon.ledger_imports") == [{"count": 0}]
    assert path.read_text() == text
