"""The jobs of an account, by hand, from the command or nightly; when they run is in `schedules`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from pipelines.accounts import Owner

# job → the only asset it makes, and what it is for
OF_ONE_ASSET: Mapping[str, tuple[str, str]] = {
    "load_operations": ("operations", "Load days of operations by hand, or from the command."),
    "load_fraud": ("fraud", "Load days of reports of fraud by hand, or from the command."),
    "spot_check_payments": (
        "spot_check",
        "Ask for a sample of payments by id and compare them with the store.",
    ),
    "snapshot_balances": ("balances", "Take a snapshot of the balances."),
}
OF_THE_NIGHT = ("operations", "fraud", "spot_check", "reconciliation", "report", "raw_pages")
NAMES = (
    *OF_ONE_ASSET,
    "nightly",
    "build_marts",
    "check_operations",
    "reconcile",
    "backfill_operations",
)


def job_names(owner: Owner) -> frozenset[str]:
    """Return the names of all jobs of the account."""
    names = (*NAMES, "load_documents") if owner.settings.documents else NAMES
    return frozenset(owner.job(name) for name in names)


def jobs_of(owner: Owner) -> Iterator[Any]:
    """Yield the account's jobs, but for `backfill_operations`, which is not made of assets."""
    marts = dg.AssetSelection.groups(owner.group("bi"))
    documents = document_selection(owner)
    for job, (asset, description) in OF_ONE_ASSET.items():
        yield dg.define_asset_job(owner.job(job), selection=_assets(owner, asset), description=description)
    yield dg.define_asset_job(
        owner.job("nightly"),
        selection=_assets(owner, *OF_THE_NIGHT) | marts | documents,
        description="Load yesterday and the look-back days before it, reconcile, build the marts, write the report.",
        # an outage of the platform or of the database is worth another try; a refusal is not, and says so
        op_retry_policy=dg.RetryPolicy(max_retries=3, delay=300, backoff=dg.Backoff.EXPONENTIAL),
        tags={"dagster/max_runtime": "21600"},
    )
    yield dg.define_asset_job(
        owner.job("build_marts"),
        selection=marts,
        description="Build the marts of schema bi from what is in the core now.",
    )
    yield dg.define_asset_job(
        owner.job("check_operations"),
        selection=dg.AssetSelection.checks_for_assets(_key(owner, "operations")),
        description="Check the last load, or the one that a tag names; a backfill ends with it.",
    )
    yield dg.define_asset_job(
        owner.job("reconcile"),
        # the command tells what it found itself
        selection=_assets(owner, "reconciliation").without_checks(),
        description="Reconcile a business day by hand, or from the command.",
    )
    if owner.settings.documents:
        yield documents_job(owner)


def documents_job(owner: Owner) -> Any:
    """Return the job that loads the account's configured streams of documents."""
    return dg.define_asset_job(
        owner.job("load_documents"),
        selection=document_selection(owner),
        description="Load the streams of DOCUMENTS_FILE by hand, or from the command.",
    )


def document_selection(owner: Owner) -> dg.AssetSelection:
    """Return the assets of the configured streams of documents; none without DOCUMENTS_FILE."""
    keys = (owner.key("documents", config.name) for config in owner.settings.documents)
    return dg.AssetSelection.assets(*map(dg.AssetKey, keys))


def _assets(owner: Owner, *names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*(_key(owner, name) for name in names))


def _key(owner: Owner, name: str) -> dg.AssetKey:
    return dg.AssetKey(owner.key(name))
