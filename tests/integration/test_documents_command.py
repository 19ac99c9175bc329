"""Documents as a user meets them: the command, its refusals, the night, and a run that is killed."""

from __future__ import annotations

import re
import signal
import time

import pytest

from fixtures.commands import fetch_all
from fixtures.documents import CHARGEBACKS, EXAMPLE, FIRST, LAST, chargeback, counts, stored, told
from resources.documents import read_documents_file
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer


@pytest.fixture
def environment(store_url, tmp_path, dagster_home):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path),
        "DOCUMENTS_FILE": str(EXAMPLE),
    }


def test_the_command_loads_what_is_named_and_status_shows_it(command, store, environment):
    with SandboxServer(told(chargeback(1, customer={"id": "c"}), chargeback(2))) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        days = ("--from", FIRST, "--to", LAST)
        done = command("documents", "chargebacks", "one_chargeback", *days, environment=environment)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"^complete: (.*?) unchanged", done.stdout, re.MULTILINE) == [
            "2 documents of chargebacks in 2 windows, 2 new, 0 changed, 0",
            "1 documents of one_chargeback in 1 window, 1 new, 0 changed, 0",
        ]
        assert {request.endpoint for request in sandbox.requests} == {CHARGEBACKS, "chargeback/get"}
        shown = command("status", environment=environment).stdout
        assert re.search(r"default +chargebacks +2 ", shown)
        assert "HOLES" not in shown
        described = command("documents", "chargebacks", "one_chargeback", "--describe", environment=environment).stdout
        assert "chargebacks: the newest 2 documents" in described
        assert re.search(r"^customer\.id +text +50\.0% +1$", described, re.MULTILINE), described
        assert 'key = ["id"]' in described
        assert "key: no single path tells these documents apart" in described, "of one document"
        assert described.count("CREATE OR REPLACE VIEW typed.") == 2
        sandbox.world.documents.tell(CHARGEBACKS, [chargeback(None)])
        done = command("documents", "chargebacks", *days, environment=environment)
    assert done.returncode == 1
    assert "the check no_rejects of documents/chargebacks failed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("charge",), "there are chargebacks, one_chargeback, financial_report, currency_rates"),
        (("one_chargeback", "--from", FIRST, "--to", LAST), "none of these streams has an interval"),
        (("--describe", "--from", FIRST), "--describe loads nothing"),
        (("--from", FIRST), "--from and --to belong together"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(command, environment, arguments, said):
    done = command("documents", *arguments, environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr


def test_without_the_file_there_is_nothing_of_it(command, environment):
    del environment["DOCUMENTS_FILE"]
    done = command("documents", environment=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "deploy/documents.example.toml" in done.stderr


def test_a_night_walks_each_stream_with_its_own_look_back(command, store, environment, tmp_path):
    world = told(chargeback(1, customer={"id": "c"}))
    with SandboxServer(world) as sandbox:
        environment |= {"DATA_API_BASE_URL": sandbox.url}
        made = command.night("2024-03-20", "2024-03-21", environment, tmp_path)
    assert made >= {"operations", *(f"documents/{item.name}" for item in read_documents_file(str(EXAMPLE)))}
    walked = fetch_all(
        store,
        "SELECT stream, interval_from::date::text AS first FROM sync.runs WHERE stream LIKE 'documents:%' ORDER BY 1",
    )
    assert {row["stream"]: row["first"] for row in walked} == {
        "documents:chargebacks": "2024-01-21",
        "documents:currency_rates": "2024-03-20",
        "documents:financial_report": "2024-03-14",
        "documents:one_chargeback": None,
    }


def test_a_run_that_is_killed_between_pages_stores_nothing_of_them_and_the_next_one_everything(
    command, store, environment
):
    documents = [chargeback(number, f"2024-03-05 12:{number // 60:02}:{number % 60:02}") for number in range(500)]
    with SandboxServer(told(*documents)) as sandbox:
        environment["DATA_API_BASE_URL"] = sandbox.url
        sandbox.faults.set_script({3: ("slow", 8.0)})
        arguments = ("documents", "chargebacks", "--from", "2024-03-05", "--to", "2024-03-05")
        with command.started(*arguments, environment=environment) as running:
            until = time.monotonic() + 60
            while sandbox.request_count < 2 and not running.is_over() and time.monotonic() < until:
                time.sleep(0.05)
        assert running.returncode == -signal.SIGKILL
        assert sandbox.request_count >= 2
        assert counts(store) == dict.fromkeys(counts(store), 0)
        sandbox.faults.clear()
        done = command(*arguments, environment=environment)
        assert done.returncode == 0, done.stderr
    assert len(stored(store)) == 500
    assert store.query("warehouse/ledger/verify", account=None) == []
