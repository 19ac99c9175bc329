"""What an operator can see: request ids from log to ledger to page, counts by endpoint, metrics, JSON logs."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import threading
import urllib.request
from datetime import date
from pathlib import Path

import pytest

from fixtures.commands import client_of, execute, fetch_all, sync
from pipelines.alerts.metrics import text_of
from pipelines.audit.spot_check import spot_check
from pipelines.ingest.balances import sync_balances
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from pipelines.marts import build_marts
from pipelines.reconciliation.reconcile import prove_completeness
from resources import output
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Faults, SandboxServer, World
from resources.settings import SyncSettings

FIRST, LAST = "2024-03-01", "2024-03-03"


@pytest.fixture
def world():
    return World.generate(seed=3, start=FIRST, days=3, operations=600, now="2024-04-01T00:00:00")


class Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(json.loads(output.json_line(record)))


@pytest.fixture
def lines():
    handler = Lines()
    loggers = [logging.getLogger(name) for name in output.LOGGERS]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    yield handler.lines
    for logger, level in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_every_stored_page_carries_the_request_id_of_its_log_line_and_of_its_window(world, store, lines):
    with SandboxServer(world) as sandbox:
        sync(sandbox, store, FIRST, LAST)
    pages = fetch_all(store, "SELECT request_id, window_id, run_id FROM raw.pages")
    committed = {line["window_id"]: line for line in lines if line["logger"] == "ecommpay.windows"}
    sent = {line["request_id"]: line for line in lines if line["logger"] == "ecommpay.requests"}
    assert len({page["request_id"] for page in pages}) == len(pages) > 0
    for page in pages:
        line = sent[page["request_id"]]
        assert line["endpoint"] == "operations/get"
        assert line["status"] == 200
        assert line["run_id"] == page["run_id"]
        assert line["window"] == committed[page["window_id"]]["window"]


def test_requests_are_counted_in_the_database_by_endpoint_and_status_retries_apart(world, store):
    with SandboxServer(world, faults=Faults.script({1: "http_500", 2: "cut"})) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        answered = sandbox.request_count
    counts = fetch_all(store, "SELECT status, requests, retries FROM sync.requests ORDER BY status")
    assert [(row["status"], row["requests"]) for row in counts] == [(0, 1), (200, answered - 2), (500, 1)]
    assert sum(row["retries"] for row in counts) == 2
    (run,) = fetch_all(store, "SELECT requests FROM sync.runs")
    assert run["requests"] == sum(row["requests"] for row in counts)


def test_each_run_counts_its_own_requests_with_one_client_for_all(world, store):
    """A load, a snapshot, a spot check and a fresh walk, one after the other: each has its own, and all add up."""
    with SandboxServer(world) as sandbox, client_of(sandbox.url) as client:
        api, settings = DataApi(client), SyncSettings()
        days = SyncRequest(date.fromisoformat(FIRST), date.fromisoformat(LAST))
        sent, asked = [], 0
        for work in (
            lambda: load_stream(OPERATIONS, days, api, store, settings),
            lambda: load_stream(OPERATIONS, days, api, store, settings),
            lambda: sync_balances(api, store, "default"),
            lambda: spot_check(api, store, settings, date.fromisoformat(FIRST), sample=3),
            lambda: prove_completeness(api, store, settings, date.fromisoformat(FIRST)),
        ):
            work()
            sent.append(sandbox.request_count - asked)
            asked = sandbox.request_count
    runs = fetch_all(store, "SELECT stream, requests, run_id FROM sync.runs ORDER BY run_id")
    assert [run["stream"] for run in runs] == ["operations", "operations", "balances", "spot check", "completeness"]
    assert [run["requests"] for run in runs] == sent
    by_run = fetch_all(store, "SELECT sum(requests)::bigint AS n FROM sync.requests GROUP BY run_id ORDER BY run_id")
    assert [row["n"] for row in by_run] == sent
    build_marts(store, settings)
    assert fetch_all(store, "SELECT DISTINCT requests_retried FROM bi.ops_runs") == [{"requests_retried": 0}]
    shown = fetch_all(store, "SELECT stream FROM bi.data_freshness ORDER BY 1")
    assert shown == [{"stream": "balances"}, {"stream": "operations"}], "what writes no windows is not late"


def test_requests_of_a_run_that_failed_are_counted_too(world, store):
    with SandboxServer(world) as sandbox:
        sandbox.accounts.delete("demo")
        with pytest.raises(ConfigError, match=r"401|403"):
            sync(sandbox, store, FIRST, LAST)
    assert [row["status"] in {401, 403} for row in fetch_all(store, "SELECT status FROM sync.requests")] == [True]


def test_the_request_id_of_a_failure_is_in_the_log_line_of_its_retry(world, store, lines):
    with SandboxServer(world, faults=Faults.script({1: "http_500"})) as sandbox:
        sync(sandbox, store, FIRST, LAST)
    (failed,) = [line for line in lines if line["logger"] == "ecommpay.requests" and line.get("error")]
    (retried,) = [line for line in lines if line["level"] == "warning"]
    assert failed["error"] == "ServerError"
    assert retried["request_id"] == failed["request_id"]


def metric(text: str, name: str, **labels: str) -> float:
    wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    found = re.search(rf"^{name}(?:\{{{re.escape(wanted)}\}})? (\S+)$", text, re.MULTILINE)
    assert found, f"{name}{labels} is not in:\n{text}"
    return float(found[1])


def test_the_metrics_tell_requests_rows_verdicts_freshness_and_rejects(world, store):
    with SandboxServer(world, faults=Faults.script({1: "http_500"})) as sandbox:
        sync(sandbox, store, FIRST, LAST)
        answered = sandbox.request_count
    text = text_of(store)
    account = {"account": "default"}
    get = {**account, "endpoint": "operations/get"}
    assert metric(text, "ecommpay_up") == 1
    assert metric(text, "ecommpay_requests_total", **get, status="200") == answered - 1
    assert metric(text, "ecommpay_requests_total", **get, status="500") == 1
    assert metric(text, "ecommpay_request_retries_total", **get, status="200") == 1
    assert metric(text, "ecommpay_requests_in_flight_limit", account=get["account"]) >= 1
    rows = len(world.truth(None, FIRST, f"{LAST} 23:59:59"))
    assert metric(text, "ecommpay_rows_total", **account, stream="operations", outcome="new") == rows
    assert metric(text, "ecommpay_windows_total", **account, stream="operations", verdict="complete") >= 1
    (covered,) = fetch_all(store, "SELECT max(covered_to) AS moment FROM sync.coverage")
    assert (
        metric(text, "ecommpay_covered_to_timestamp_seconds", **account, stream="operations")
        == covered["moment"].timestamp()
    )
    execute(
        store,
        "INSERT INTO core.rejects (account, stream, row_sha256, reason, raw_json, run_id, first_seen_at, last_seen_at) "
        "SELECT 'default', 'operations', 'x', 'no', '{}', max(run_id), now(), now() FROM sync.runs",
    )
    assert metric(text_of(store), "ecommpay_rejects", **account, stream="operations") == 1


def test_the_exporter_serves_prometheus_over_http_and_says_when_the_database_is_away(store_url, store):
    environment = {"DATABASE_URL": store_url, "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(
        [str(Path(sys.executable).parent / "ecommpay-sync"), "metrics", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as exporter:
        killer = threading.Timer(60, exporter.kill)
        killer.start()
        try:
            url = re.search(r"http://\S+", exporter.stdout.readline())[0]
            with urllib.request.urlopen(url) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                assert metric(answer.read().decode(), "ecommpay_up") == 1
            execute(store, "ALTER TABLE sync.requests RENAME TO gone")
            with urllib.request.urlopen(url) as answer:
                assert metric(answer.read().decode(), "ecommpay_up") == 0
        finally:
            exporter.terminate()
            killer.cancel()


def test_the_textfile_is_written_whole_and_a_wrong_path_is_told_in_one_line(command, store_url, tmp_path):
    target = tmp_path / "ecommpay.prom"
    assert command("metrics", "--textfile", str(target), environment={"DATABASE_URL": store_url}).returncode == 0
    assert metric(target.read_text(), "ecommpay_up") == 1
    (tmp_path / "taken").mkdir()
    for wrong in (tmp_path / "no" / "file", tmp_path / "taken"):
        done = command("metrics", "--textfile", str(wrong), environment={"DATABASE_URL": store_url})
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ecommpay.prom", "taken"], "nothing is left beside them"


def test_the_command_logs_json_on_request_with_ids_and_without_a_secret(command, world, store_url, store, tmp_path):
    (tmp_path / "home").mkdir()
    with SandboxServer(world) as sandbox:
        done = command(
            "operations",
            *("--from", FIRST, "--to", LAST),
            environment={
                "DATA_API_BASE_URL": sandbox.url,
                "DATA_API_TOKEN": DEMO_TOKEN,
                "DATA_API_SECRET": DEMO_SECRET,
                "DATABASE_URL": store_url,
                "DAGSTER_HOME": str(tmp_path / "home"),
                "SYNC_LOG_FORMAT": "json",
            },
        )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stderr.splitlines()]
    stored = {row["request_id"] for row in fetch_all(store, "SELECT request_id FROM raw.pages")}
    assert stored <= {line.get("request_id") for line in told}
    assert {"window_id", "run_id", "window"} <= set().union(*told)
    assert DEMO_TOKEN not in done.stderr
    assert DEMO_SECRET not in done.stderr


def test_another_log_format_is_refused():
    with pytest.raises(ConfigError, match="write text or json"):
        output.logs_json({"SYNC_LOG_FORMAT": "xml"})


def test_a_line_holds_no_field_that_is_not_meant_for_it():
    record = logging.LogRecord("resources", logging.INFO, "x.py", 1, "said %s", ("it",), None)
    record.token = "T" * 30
    line = json.loads(output.json_line(record))
    assert line["message"] == "said it"
    assert "token" not in line
    assert line["time"].endswith("+00:00")
