"""The Grafana dashboard: every panel's SQL runs in the name of the read-only role's schema."""

from __future__ import annotations

import json

import psycopg
import pytest

from fixtures.commands import ROOT
from pipelines.marts import build_marts
from resources.settings import SyncSettings

PANELS = json.loads((ROOT / "deploy/grafana/operations.json").read_text(encoding="utf-8"))["panels"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_runs_and_reads_schema_bi_alone(store, store_url, panel):
    build_marts(store, SyncSettings())
    (target,) = panel["targets"]
    statement = target["rawSql"].replace("$__timeFrom()", "(now() - interval '7 days')").replace("$__timeTo()", "now()")
    assert "$__" not in statement
    for schema in ("core.", "sync.", "raw."):
        assert schema not in statement
    with psycopg.connect(store_url) as connection:
        connection.execute("SET default_transaction_read_only = on")
        cursor = connection.execute(statement)
        cursor.fetchall()
        if target["format"] == "time_series":
            assert cursor.description[0].name == "time"
