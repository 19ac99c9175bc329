"""Whatever a server of offset pages does, ours loses and doubles nothing; `make bench` shows what others lose."""

from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from bench.scenarios import BEHAVIOURS, FIRST, LAST, Handed, Outcome, outcome_of
from fixtures.commands import client_of, fetch_all, sync
from pipelines.ingest.engine import SyncReport
from resources.data_api.endpoints import DataApi
from resources.sandbox import SandboxServer


def handed_on(report: SyncReport, store) -> Handed:
    ids = [row["operation_id"] for row in fetch_all(store, "SELECT operation_id FROM core.operations")]
    return Handed(frozenset(ids), report.rows_met, green=True)  # it raises where anything is incomplete


@pytest.mark.parametrize("behaviour", BEHAVIOURS, ids=lambda behaviour: behaviour.name)
def test_ours_loses_and_doubles_no_row(store, behaviour):
    def read(sandbox: SandboxServer) -> Handed:
        report = sync(sandbox, store, str(FIRST), str(LAST))
        assert behaviour.name == "stable" or sandbox.faults.counts, "the server did not behave as told"
        return handed_on(report, store)

    assert outcome_of(behaviour, read) == Outcome(lost=0, doubled=0, green=True)


@pytest.mark.parametrize(
    ("name", "lost", "doubled"),
    [("stable", 0, 0), ("leaving", 18, 0), ("capped", 4_500, 0), ("short", 3_001, 0), ("empty", 3_000, 0)],
)
def test_the_harness_sees_what_a_plain_offset_loop_loses(name, lost, doubled):
    """Or a table of zeros would mean nothing."""
    behaviour = next(behaviour for behaviour in BEHAVIOURS if behaviour.name == name)
    assert outcome_of(behaviour, _plain_loop) == Outcome(lost, doubled, green=True)


def test_the_harness_sees_what_a_plain_offset_loop_doubles():
    arriving = next(behaviour for behaviour in BEHAVIOURS if behaviour.name == "arriving")
    found = outcome_of(arriving, _plain_loop)
    assert found.lost == 0
    assert found.doubled > 0


def _plain_loop(sandbox: SandboxServer) -> Handed:
    ids: list[str] = []
    start, end = datetime.combine(FIRST, time.min, UTC), datetime.combine(LAST, time(23, 59, 59), UTC)
    with client_of(sandbox.url) as client:
        while True:
            answer = DataApi(client).operations(start, end, offset=len(ids) // 1000 * 1000, limit=1000)
            page = [row["operation_id"] for row in answer.document["operations"]]
            ids += page
            if len(page) < 1000:
                return Handed.of(ids, green=True)
