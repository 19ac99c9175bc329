"""`documents`: loads configured streams of documents through the product's own Dagster job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from pipelines.accounts import AccountScope
from pipelines.cli import account, show
from pipelines.cli.run import check_days, check_settings, execute
from pipelines.resources import open_warehouse
from resources.documents import DocumentsConfig
from resources.errors import ConfigError
from resources.settings import database_url


def run_documents(names: Sequence[str], days: tuple[date, date] | None) -> None:
    """Load some streams, or all; without days yesterday and each stream's own look-back, as every night does."""
    owner = account.owner()
    chosen = _chosen(owner.settings.documents, names)
    by_days = any(config.interval_days for config in chosen)
    if days and not by_days:
        raise ConfigError("none of these streams has an interval: leave --from and --to out.")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    first, last = days or (yesterday, yesterday)
    check_days(first, last)
    check_settings()
    from pipelines.assets.streams import documents_definitions
    from pipelines.jobs import range_tags

    config = {"ops": {owner.op("documents", stream.name): {"config": {"look_back": days is None}} for stream in chosen}}
    run_id = execute(
        "load_documents",
        tags=range_tags(first, last) if by_days else {},
        config=config,
        progress=show.progress(),
        definitions=documents_definitions(_only(owner, chosen)),
    )
    with open_warehouse(database_url()) as store:
        for stream in chosen:
            (run,) = store.query("cli/load/run_of_dagster", dagster_run_id=run_id, stream=stream.stream)
            show.completed(run, f"documents of {stream.name}")


def _only(owner: AccountScope, chosen: Sequence[DocumentsConfig]) -> AccountScope:
    return replace(owner, settings=replace(owner.settings, documents=tuple(chosen)))


def _chosen(configured: Sequence[DocumentsConfig], names: Sequence[str]) -> list[DocumentsConfig]:
    if not configured:
        raise ConfigError(
            "no stream of documents is configured: point DOCUMENTS_FILE at a copy of deploy/documents.example.toml."
        )
    known = {config.name: config for config in configured}
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} is no table of DOCUMENTS_FILE: there are {', '.join(known)}.")
    return [known[name] for name in dict.fromkeys(names)] or list(configured)
