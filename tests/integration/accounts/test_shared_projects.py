"""A project that the tokens of two accounts see: reported, and counted once in every mart."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg

from fixtures.accounts import FIRST, LAST, SETTINGS, TOKEN, load, truth
from fixtures.commands import execute, fetch_all
from pipelines.checks import asset_checks
from pipelines.marts import build_marts, differences_from_core, shared_projects
from pipelines.resources import WarehouseResource
from resources.accounts import AccountScope
from resources.settings import ProjectOwner


def totals(store):
    """Count and Σ minor units of the marts by type, status and currency, over all accounts."""
    rows = fetch_all(
        store,
        "SELECT operation_type, operation_status, currency, sum(operations)::bigint AS count, "
        "sum(amount_minor)::bigint AS minor FROM bi.daily_overview "
        "GROUP BY 1, 2, 3",
    )
    return sorted(tuple(row.values()) for row in rows)


def true_totals(world, projects):
    found: dict[tuple[str, str, str], list[int]] = {}
    for row in truth(world, projects):
        key = (row["operation_type"], row["operation_status"], row["sum_initial"]["currency"])
        count = found.setdefault(key, [0, 0])
        count[0] += 1
        count[1] += row["sum_initial"]["amount"]
    return sorted((*key, *value) for key, value in found.items())


def counted_for(store, project):
    rows = fetch_all(
        store,
        "SELECT account, sum(operations)::bigint AS n FROM bi.daily_overview WHERE project_id = :p GROUP BY 1",
        p=str(project),
    )
    return {row["account"]: row["n"] for row in rows}


def test_a_shared_project_is_counted_once_for_the_account_that_saw_it_first(world, sandbox, store, seen, shared):
    load(sandbox, store, "globex")
    load(sandbox, store, "acme")
    build_marts(store, SETTINGS["acme"], full=True)
    everything = {*seen["acme"], *seen["globex"]}
    assert counted_for(store, shared) == {"globex": len(truth(world, [shared]))}
    assert totals(store) == true_totals(world, everything)
    assert differences_from_core(store) == []
    facts = fetch_all(store, "SELECT operation_id FROM bi.fct_operations")
    assert sorted(row["operation_id"] for row in facts) == sorted(r["operation_id"] for r in truth(world, everything))
    payments = fetch_all(store, "SELECT DISTINCT account FROM bi.fct_payments WHERE project_id = :p", p=str(shared))
    assert payments == [{"account": "globex"}]
    in_core = fetch_all(store, "SELECT count(*) FROM core.operations")[0]["count"]
    assert in_core == sum(len(truth(world, seen[name])) for name in TOKEN), "the core keeps what each token saw"


def test_the_order_of_loading_decides_only_whose_it_is_and_continuing_gives_what_building_anew_gives(
    world, sandbox, store, shared
):
    load(sandbox, store, "acme")
    build_marts(store, SETTINGS["acme"])
    load(sandbox, store, "globex", FIRST, "2024-03-01")
    build_marts(store, SETTINGS["globex"])
    load(sandbox, store, "globex")
    build_marts(store, SETTINGS["globex"])
    continued = totals(store), fetch_all(store, "SELECT * FROM core.account_projects ORDER BY 1, 2")
    assert counted_for(store, shared) == {"acme": len(truth(world, [shared]))}
    assert differences_from_core(store) == []
    build_marts(store, SETTINGS["acme"], full=True)
    assert (totals(store), fetch_all(store, "SELECT * FROM core.account_projects ORDER BY 1, 2")) == continued


def test_another_owner_by_the_settings_takes_days_and_payments_over_without_a_full_build(
    world, sandbox, store, seen, shared
):
    load(sandbox, store, "acme")
    load(sandbox, store, "globex")
    build_marts(store, SETTINGS["acme"])
    before = totals(store)
    payments = fetch_all(store, "SELECT count(*) FROM bi.fct_payments")
    to_globex = replace(SETTINGS["acme"], project_owners=(ProjectOwner(str(shared), "globex"),))
    assert not build_marts(store, to_globex).is_full
    assert counted_for(store, shared) == {"globex": len(truth(world, [shared]))}
    assert (totals(store), differences_from_core(store)) == (before, [])
    assert fetch_all(store, "SELECT count(*) FROM bi.fct_payments") == payments
    assert build_marts(store, to_globex).days == 0, "nothing has changed since"
    build_marts(store, SETTINGS["acme"])  # the setting is gone: whoever saw it first
    assert counted_for(store, shared) == {"acme": len(truth(world, [shared]))}
    assert (totals(store), differences_from_core(store)) == (before, [])


def test_an_owner_whose_token_has_not_shown_the_project_does_not_make_it_vanish(world, sandbox, store, shared):
    load(sandbox, store, "acme")
    build_marts(store, replace(SETTINGS["acme"], project_owners=(ProjectOwner(str(shared), "globex"),)))
    assert counted_for(store, shared) == {"acme": len(truth(world, [shared]))}


def test_who_sees_a_shared_project_is_told_with_what_is_counted_nowhere(world, sandbox, store, shared):
    load(sandbox, store, "acme", FIRST, FIRST)
    load(sandbox, store, "globex", "2024-03-02", LAST)
    assert [sight.is_counted for item in shared_projects(store) for sight in item.sights] == [None, None]
    build_marts(store, SETTINGS["acme"])
    first, rest = len(truth(world, [shared], FIRST, FIRST)), len(truth(world, [shared], "2024-03-02", LAST))
    ((project, sights),) = [(item.project_id, item.sights) for item in shared_projects(store)]
    assert project == str(shared)
    assert [(s.account, s.operations, s.is_counted, s.only_here) for s in sights] == [
        ("acme", first, True, 0),
        ("globex", rest, False, rest),
    ]
    assert str(shared_projects(store)[0]) == (
        f"project {shared} is seen by acme ({first:,} operations, counted) and globex ({rest:,} operations, "
        f"not counted, {rest:,} of them nowhere): load the counted account's missing days, or name another owner "
        "(SYNC_PROJECT_OWNERS, [projects])"
    )


def run_check(store_url, account, name):
    """The asset check of an account's marts, run as Dagster runs it."""
    checks = list(asset_checks(AccountScope(SETTINGS[account], (account,)), "bi"))
    with dg.DagsterInstance.ephemeral() as instance:
        job = dg.Definitions(
            asset_checks=checks, resources={"warehouse": WarehouseResource(url=store_url)}
        ).resolve_implicit_global_asset_job_def()
        evaluations = job.execute_in_process(instance=instance).get_asset_check_evaluations()
        (evaluation,) = (item for item in evaluations if item.check_name == name)
        return evaluation


def test_the_check_of_shared_projects_warns_each_account_that_sees_one(sandbox, store, store_url, shared, monkeypatch):
    monkeypatch.setenv("ACCOUNTS", "acme,globex")
    load(sandbox, store, "acme")
    build_marts(store, SETTINGS["acme"])
    assert run_check(store_url, "acme", "projects_seen_once").passed
    load(sandbox, store, "globex")
    build_marts(store, SETTINGS["acme"])
    for account in TOKEN:
        found = run_check(store_url, account, "projects_seen_once")
        assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert found.description.startswith(f"project {shared} is seen by acme (")


def test_a_difference_between_marts_and_core_fails_the_account_it_is_of(sandbox, store, store_url, seen, monkeypatch):
    monkeypatch.setenv("ACCOUNTS", "acme,globex")
    load(sandbox, store, "acme")
    load(sandbox, store, "globex")
    build_marts(store, SETTINGS["acme"])
    assert run_check(store_url, "acme", "marts_equal_core").passed
    execute(store, "UPDATE bi.daily_overview SET operations = operations + 1 WHERE account = 'globex'")
    assert run_check(store_url, "acme", "marts_equal_core").passed
    assert not run_check(store_url, "globex", "marts_equal_core").passed


def test_a_report_of_fraud_of_a_shared_project_is_counted_once_too(store, shared):
    """Two accounts hold the same report; the first to have shown the project is the one that counts it."""
    for number, account in enumerate(("globex", "acme"), 1):
        execute(
            store,
            f"INSERT INTO sync.runs (account, stream, product_version) VALUES ('{account}', 'fraud', '0');"
            "INSERT INTO sync.windows (window_id, account, entry_no, run_id, stream, project_ids, interval_from,"
            " interval_to, verdict, walk_started_at, walk_ended_at, walks, drifts, pages, requests, rows_met, rows_new,"
            " rows_changed, rows_unchanged, rows_rejected, totals_met, totals_written, previous_hash, entry_hash)"
            f" VALUES ({number}, '{account}', 1, (SELECT max(run_id) FROM sync.runs), 'fraud', '{{}}', now(), now(),"
            " 'complete', now(), now(), 1, 0, 1, 1, 1, 1, 0, 0, 0, '[]', '[]', '', '');"
            "INSERT INTO core.fraud_reports (account, report_key, project_id, observed_at, first_seen_at, window_id)"
            f" VALUES ('{account}', 'r1', '{shared}', now(), now(), {number})",
        )
    build_marts(store, SETTINGS["acme"])
    assert fetch_all(store, "SELECT account, report_key FROM bi.fct_fraud") == [
        {"account": "globex", "report_key": "r1"}
    ]
