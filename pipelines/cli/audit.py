"""`verify`, `trace`, `replay`: is the record intact, and where does a figure come from? Nothing is written."""

from __future__ import annotations

from datetime import date

from pipelines.cli import show
from pipelines.sync.audit import replay, trace
from pipelines.sync.normalize import json_text
from resources.configured import open_warehouse
from resources.errors import ConfigError, SyncError, WarehouseBroken
from resources.settings import api_settings, database_url, sync_settings
from resources.warehouse.migrate import migrate


def verify_ledger(head: str | None) -> None:
    """Check every entry of the chain; with `head`, also that an entry noted earlier is still in it."""
    with open_warehouse(database_url()) as store:
        migrate(store)
        broken = store.query("ledger/verify")
        if broken:
            first = broken[0]
            raise WarehouseBroken(
                f"the ledger of account {first.account} is broken at entry {first.entry_no} (window {first.window_id}, "
                f"{first.interval_from:%Y-%m-%d %H:%M:%S} to {first.interval_to:%Y-%m-%d %H:%M:%S} UTC): "
                f"{first.reason}; "
                "compare with a backup, and walk these days again."
            )
        if head and not store.query("ledger/entry_with_hash", hash=head.lower()):
            raise WarehouseBroken(f"no entry of the ledger has the hash {head}: entries at its end were removed.")
        closes = store.query("reconciliation/verify_closes")
        if closes:
            first = closes[0]
            raise WarehouseBroken(
                f"the closed days of account {first.account} are broken at row {first.close_no} "
                f"({first.business_date}): {first.reason}; compare with a backup."
            )
        heads = store.query("ledger/heads")
        for entry in heads:
            show.line(f"intact: account {entry.account}, {entry.entry_no:,} entries, head {entry.head}")
        if not heads:
            show.line("the ledger is empty: no window has been walked yet")


def trace_operation(operation_id: str) -> None:
    """Print each state of an operation and the signed page that it came from, verified again."""
    secret = api_settings().secret.reveal()
    with open_warehouse(database_url()) as store:
        migrate(store)
        sightings = trace(store, operation_id, secret)
    if not sightings:
        raise ConfigError(f"operation {operation_id} is not in core.operations: load its day first.")
    for sighting in sightings:
        until = f" until {sighting.known_to:%Y-%m-%d %H:%M:%S}" if sighting.known_to else ", still"
        show.line(f"{sighting.stored}: known from {sighting.observed_at:%Y-%m-%d %H:%M:%S} UTC{until}")
        show.line(f"  window {sighting.window_id} of account {sighting.account}")
        show.line(f"  {sighting.page or 'its raw page is no longer kept'}")
        if sighting.row is not None:
            show.line(f"  {'signature verified' if sighting.signed else 'SIGNATURE DOES NOT VERIFY'}")
            show.line(f"  {json_text(sighting.row)}")
    if any(sighting.row is not None and not sighting.signed for sighting in sightings):
        raise SyncError("a page does not carry the platform's signature (or was signed with another secret).")


def replay_days(first: date, last: date) -> None:
    """Rebuild the days from raw pages and prove that the store holds the same."""
    settings = sync_settings()
    secret = api_settings().secret.reveal()
    with open_warehouse(database_url()) as store:
        migrate(store)
        result = replay(store, settings.account, secret, first, last, show.line)
    if not result.windows:
        raise SyncError(f"no complete window touches {first} to {last}: load the days first.")
    if result.problems:
        raise WarehouseBroken(f"{len(result.problems)} differences, the first: {result.problems[0]}.")
    show.line(
        f"equal: {result.rows:,} rows of {result.windows} windows, rebuilt from {result.pages} signed pages, "
        "are in the store as they were observed"
    )
