"""A day is proved complete: walked anew, held against the store by totals, digest and row."""

from __future__ import annotations

import pytest

from fixtures.commands import execute, fetch_all, sync
from fixtures.reconciliation import DAY, NEXT, four_days, load_all, prove
from resources.errors import ConfigError
from resources.sandbox import SandboxServer


@pytest.fixture
def world():
    return four_days()


@pytest.fixture
def sandbox(world):
    with SandboxServer(world) as server:
        yield server


def test_a_loaded_day_is_complete_by_totals_and_digest_and_nothing_is_written_to_it(sandbox, store):
    load_all(sandbox, store)
    before = fetch_all(
        store,
        "SELECT (SELECT count(*) FROM sync.windows) AS w, (SELECT sum(hashtext(o::text)) FROM core.operations o) AS o",
    )
    report = prove(sandbox, store)
    assert (report.verdict, report.reason) == ("complete", None)
    assert report.rows_walked > 500
    assert report.totals_walked == report.totals_stored
    assert report.digest_walked == report.digest_stored
    assert before == fetch_all(
        store,
        "SELECT (SELECT count(*) FROM sync.windows) AS w, (SELECT sum(hashtext(o::text)) FROM core.operations o) AS o",
    )
    (row,) = fetch_all(store, "SELECT verdict, rows_walked FROM recon.completeness")
    assert row == {"verdict": "complete", "rows_walked": report.rows_walked}


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("DELETE FROM core.operations WHERE operation_id = '{id}'", "rows_missing"),
        ("UPDATE core.operations SET sum_initial_amount = 7 WHERE operation_id = '{id}'", "rows_differing"),
        ("UPDATE core.operations SET arn = '7' WHERE operation_id = '{id}'", "rows_differing"),
    ],
)
def test_a_store_that_is_not_what_the_platform_says_is_found_by_row(sandbox, store, world, statement, field):
    load_all(sandbox, store)
    victim = world.truth(None, f"{DAY} 00:00:00", f"{DAY} 23:59:59")[3]["operation_id"]
    execute(store, statement.format(id=victim))
    report = prove(sandbox, store)
    assert (report.verdict, getattr(report, field)) == ("differs", 1)
    assert victim in report.reason


def test_an_operation_that_changed_later_is_gone_until_its_change_is_loaded_and_then_it_has_moved(
    sandbox, store, world
):
    load_all(sandbox, store)
    victim = world.truth(None, f"{DAY} 00:00:00", f"{DAY} 23:59:59")[3]["operation_id"]
    world.change(victim, effective=f"{NEXT} 12:00:00", arn="123")
    report = prove(sandbox, store)
    assert (report.verdict, report.rows_gone) == ("differs", 1)
    sync(sandbox, store, str(NEXT), str(NEXT))
    report = prove(sandbox, store)
    assert (report.verdict, report.rows_gone) == ("complete", 0)
    assert report.rows_moved >= 1


def test_a_day_that_is_not_over_is_not_proved(sandbox, store):
    (today,) = fetch_all(store, "SELECT core.business_date(now()) AS day")
    with pytest.raises(ConfigError, match="is not over"):
        prove(sandbox, store, today["day"])
