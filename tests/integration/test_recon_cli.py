"""The commands of the reconciliation, as a user runs them: from a ledger file to a closed day."""

from __future__ import annotations

import json

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
def environment(store_url, sandbox, tmp_path):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_BASE_URL": sandbox.url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "DAGSTER_HOME": str(tmp_path),
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
    assert f"prepared: {DAY} by Ann" in prepared.stdout
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reconcile", "--date", "2999-01-01"), "is not over"),
        (("reconcile", "--date", "2024-03-05", "--leg", "all"), "is no leg"),
        (("reconcile", "--date", "soon"), "is no day"),
        (("ledger", "import", "/nowhere.csv"), "there is no file"),
        (("explain", "7", "--by", "Ann", "--note", "x"), "no unresolved break 7"),
        (("reopen", "--date", "2024-03-05", "--by", "Ann", "--reason", "x"), "is not closed"),
    ],
)
def test_wrong_input_is_told_in_one_line(command, environment, arguments, message):
    done = command(*arguments, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert message in done.stderr


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
