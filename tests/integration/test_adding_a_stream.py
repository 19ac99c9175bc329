"""`docs/adding-a-stream.md`, followed to the letter: a new stream is walked, loaded, versioned, checked, replayed."""

from __future__ import annotations

import re
import runpy
import subprocess
from dataclasses import replace
from datetime import date

import pytest

import sql
from fixtures.commands import ROOT, client_of, execute, fetch_all
from fixtures.documents import CHARGEBACKS, chargeback, told
from pipelines.audit.replay import Replayer
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load
from pipelines.ingest.fraud import FRAUD
from resources.data_api.endpoints import DataApi
from resources.sandbox import DEMO_SECRET, SandboxServer
from resources.settings import SyncSettings
from resources.warehouse.engine import driver_of

PAGE = ROOT / "docs" / "adding-a-stream.md"
BLOCKS = dict(re.findall(r"```(sql|sh|python)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL))
DAY = date(2024, 3, 5)


@pytest.fixture
def disputes(store, tmp_path):
    """The stream that the page declares, with its tables in the store; its files are outside the product's folders."""
    with store.transaction() as connection:
        driver_of(connection).execute(BLOCKS["sql"])
    statements, module = tmp_path / "disputes", tmp_path / "disputes.py"
    command = BLOCKS["sh"].replace("sql/ingest/disputes.sql", f"{statements}.sql")
    subprocess.run(["/bin/sh", "-c", command], cwd=ROOT, check=True)
    module.write_text(BLOCKS["python"], encoding="utf-8")
    return replace(runpy.run_path(str(module))["DISPUTES"], statements=str(statements))


@pytest.fixture
def sandbox():
    rows = [
        chargeback(number, f"{DAY} {number % 24:02}:00:00", updated_at=f"{DAY} 12:00:00") for number in range(2_500)
    ]
    rows.append(chargeback("no amount", f"{DAY} 12:00:00", amount="much"))
    rows.append(chargeback("new field", f"{DAY} 12:00:00", reason="10.4"))
    with SandboxServer(told(*rows)) as server:
        yield server


def sync(sandbox, store, stream):
    with client_of(sandbox.url) as client:
        return load(stream, SyncRequest(DAY, DAY), DataApi(client), store, SyncSettings())


def change(sandbox, number: int, **fields) -> None:
    documents = [document for document in sandbox.world.documents.lists[CHARGEBACKS] if document.fields["id"] != number]
    sandbox.world.documents.tell(CHARGEBACKS, [*documents, chargeback(number, f"{DAY} 12:00:00", **fields)])


def test_its_statements_are_those_of_the_convention(disputes):
    assert [*sql.statements(disputes.statements)] == [*sql.statements(FRAUD.statements)]


def test_it_is_walked_loaded_changed_versioned_checked_and_replayed(store, disputes, sandbox):
    first = sync(sandbox, store, disputes)
    assert (first.rows_met, first.rows_new, first.rows_rejected) == (2_502, 2_501, 1)
    (reject,) = fetch_all(store, "SELECT stream, reason FROM core.rejects")
    assert reject == {"stream": "disputes", "reason": "amount is 'much', not a whole number of minor units"}
    assert fetch_all(store, "SELECT id, extra FROM core.disputes WHERE extra IS NOT NULL") == [
        {"id": "new field", "extra": {"reason": "10.4"}}
    ]
    assert sync(sandbox, store, disputes).rows_unchanged == 2_501

    change(sandbox, 7, amount=250)
    last = sync(sandbox, store, disputes)
    assert (last.rows_new, last.rows_changed) == (0, 1)
    (version,) = fetch_all(store, "SELECT id, amount, observed_at, known_to FROM core.dispute_versions")
    assert (version["id"], version["amount"]) == ("7", 100)
    for moment, amount in ((version["observed_at"], 100), (version["known_to"], 250)):
        known = "SELECT amount FROM core.disputes_as_of(:moment) WHERE id = '7'"
        assert fetch_all(store, known, moment=moment) == [{"amount": amount}]

    for check in ("windows_complete", "totals_equal_ledger"):
        assert store.query(f"checks/{check}", run_ids=[first.run_id, last.run_id]) == []
    replayer = Replayer(store, "default", DEMO_SECRET)
    replayer.streams["disputes"] = disputes  # as the registry does
    replay = replayer.replay(DAY, DAY, print)
    assert (replay.problems, replay.rows) == ([], 3 * 2_501)

    execute(store, "UPDATE core.disputes SET amount = 1 WHERE id = '8'")
    damaged = replayer.replay(DAY, DAY, print)
    assert damaged.damaged["disputes"] == {"8"}
    assert replayer.repair(damaged.damaged).rows == 1
    assert replayer.replay(DAY, DAY, print).problems == []
