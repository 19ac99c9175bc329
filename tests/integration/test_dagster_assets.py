"""What Dagster shows of an asset: its owners, tags and upstream, its freshness, pictures, and days as they finish."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from datetime import date, timedelta

import dagster as dg
import pytest

from fixtures.commands import SETTINGS
from pipelines.assets import fresh_within, streams
from pipelines.definitions import definitions
from pipelines.jobs import range_tags
from pipelines.resources import DataApiResource, WarehouseResource
from resources.accounts import AccountScope, accounts_of
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 3)
KEY = dg.AssetKey("operations")


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in definitions(accounts_of()).resolve_all_asset_specs()}


def test_owners_and_tags_of_every_asset_are_those_of_the_settings(monkeypatch):
    monkeypatch.setenv("SYNC_ASSET_OWNERS", "team:finance_data, jane@example.com")
    monkeypatch.setenv("SYNC_ASSET_TAGS", "domain=finance,tier=1")
    for spec in specs().values():
        assert list(spec.owners) == ["team:finance_data", "jane@example.com"]
        assert {"domain": "finance", "tier": "1", "account": "default"}.items() <= spec.tags.items()


def test_every_asset_and_check_has_a_description_of_its_own_and_a_kind():
    graph = definitions(accounts_of()).get_repository_def().asset_graph
    checks = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert all(spec.kinds for spec in specs().values())
    assert len({spec.description for spec in specs().values()}) == len(specs())
    assert all(check.description for check in checks)


def test_the_platform_is_upstream_of_all_that_asks_it_and_is_never_materialized():
    defs = definitions(accounts_of())
    graph = defs.get_repository_def().asset_graph
    platform = graph.get(dg.AssetKey("data_api"))
    assert platform.is_external
    assert {key.to_user_string() for key in platform.child_keys} == {
        *("operations", "balances", "fraud", "spot_check", "reconciliation")
    }


@pytest.mark.parametrize(
    ("cron", "zone", "warns", "fails"),
    [
        ("30 3 * * *", "UTC", 27, 30),
        ("30 3 * * *", "America/New_York", 27, 30),
        ("0 * * * *", "UTC", 4, 7),
        ("0 2 * * 1", "UTC", 7 * 24 + 3, 7 * 24 + 6),
        ("0 2 * * 1-5", "UTC", 3 * 24 + 3, 3 * 24 + 6),
    ],
)
def test_an_asset_is_stale_some_hours_after_the_longest_wait_between_two_ticks(cron, zone, warns, fails):
    scope = AccountScope(replace(SETTINGS, schedule_time_zone=zone))
    expected = dg.FreshnessPolicy.time_window(timedelta(hours=fails), warn_window=timedelta(hours=warns))
    assert fresh_within(scope, cron, timedelta(hours=6)) == expected


def test_balances_marts_and_report_have_a_deadline_and_operations_have_their_own_check_of_coverage():
    marts = {name for name in specs() if name.startswith("bi/")}
    assert {name for name, spec in specs().items() if spec.freshness_policy} == {"balances", "report", *marts}


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(World.generate(seed=5, start=FIRST, days=3, operations=300)) as server:
        yield server


def run(store_url, sandbox, job: str, ops=None, **tags: str) -> dg.ExecuteInProcessResult:
    defs = definitions(accounts_of())
    resources = {
        "data_api": DataApiResource(base_url=sandbox.url, token=DEMO_TOKEN, secret=DEMO_SECRET),
        "warehouse": WarehouseResource(url=store_url),
        "progress": streams.LogProgress(),
    }
    return defs.resolve_job_def(job).execute_in_process(resources=resources, tags=tags, run_config={"ops": ops or {}})


def days_of(result: dg.ExecuteInProcessResult) -> list[str]:
    return [event.partition for event in result.all_events if event.is_step_materialization and event.asset_key == KEY]


def test_what_is_not_to_be_loaded_is_not_whatever_a_run_says_of_a_refusal(store_url, sandbox, monkeypatch):
    monkeypatch.setenv("SYNC_FRAUD", "off")
    asked, strict = sandbox.request_count, {"fraud": {"config": {"refusal_is_failure": True}}}
    done = run(store_url, sandbox, "load_fraud", strict, **range_tags(FIRST, FIRST))
    assert done.success
    assert done.get_asset_materialization_events() == []
    assert sandbox.request_count == asked


DAYS = ["2024-03-01", "2024-03-02", "2024-03-03"]


def test_a_short_load_reports_each_day_once(store_url, sandbox):
    assert days_of(run(store_url, sandbox, "load_operations", **range_tags(FIRST, LAST))) == DAYS


def test_a_long_load_reports_days_while_others_are_still_to_be_loaded(store_url, sandbox, monkeypatch):
    monkeypatch.setattr(streams, "REPORT_SECONDS", 0)
    reported = days_of(run(store_url, sandbox, "load_operations", **range_tags(FIRST, LAST)))
    assert sorted(reported) == sorted([*DAYS, *DAYS]), "once when it was finished, once with the result"


def test_several_days_in_one_run_are_reported_once_each_then_observed_and_checked_as_the_asset_is(store_url, sandbox):
    days = {"backfill": {"config": {"first_day": str(FIRST), "last_day": str(LAST)}}}
    result = run(store_url, sandbox, "backfill_operations", days)
    assert sorted(days_of(result)) == DAYS
    (observed,) = (event.asset_observation_data.asset_observation for event in result.get_asset_observation_events())
    assert observed.metadata.keys() >= {"run_rows_new", "preview", "control_totals", "lateness"}
    evaluated = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    of_the_asset = definitions(accounts_of()).get_repository_def().asset_graph.get_check_keys_for_assets({KEY})
    assert evaluated.keys() == {check.name for check in of_the_asset}
    assert all(evaluated.values())


def test_marts_show_pictures_of_volume_and_lateness(store_url, sandbox):
    run(store_url, sandbox, "load_operations", **range_tags(FIRST, LAST))
    result = run(store_url, sandbox, "build_marts")
    pictures = {
        (event.asset_key.path[-1], name): value.md_str
        for event in result.all_events
        if event.is_step_materialization
        for name, value in event.step_materialization_data.materialization.metadata.items()
        if isinstance(value, dg.MarkdownMetadataValue)
    }
    assert pictures.keys() == {("daily_overview", "volume"), ("ops_lateness", "lateness")}
    for (_, name), text in pictures.items():
        matched = re.fullmatch(rf"!\[{name}\]\(data:image/png;base64,(.+)\)", text or "")
        assert matched
        assert base64.b64decode(matched[1]).startswith(b"\x89PNG")


def test_every_asset_that_is_a_table_shows_its_columns_with_their_comments(store_url, sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("SYNC_LEDGER_INBOX", str(tmp_path / "inbox"))
    monkeypatch.setenv("SYNC_REPORT_DIR", str(tmp_path / "reports"))
    (tmp_path / "inbox").mkdir()
    result = run(store_url, sandbox, "nightly", **range_tags(FIRST, LAST))
    assert result.success
    run_balances = run(store_url, sandbox, "snapshot_balances")
    shown = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in (*result.all_events, *run_balances.all_events)
        if event.is_step_materialization
        and "dagster/column_schema" in event.step_materialization_data.materialization.metadata
    }
    tables = {name for name, spec in specs().items() if "dagster/table_name" in spec.metadata}
    assert shown.keys() == tables
    for metadata in shown.values():
        columns = metadata["dagster/column_schema"].schema.columns
        assert columns
        assert all(column.description and column.type for column in columns)
