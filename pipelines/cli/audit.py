"""`verify`, `trace`, `replay`: is the record intact, where does a figure come from, put back what is damaged."""

from __future__ import annotations

import re
from datetime import date

from pipelines.audit.replay import Replay, Replayer
from pipelines.audit.trace import Sighting, trace
from pipelines.cli import account, show
from pipelines.cli.store import migrated_store, reading_store
from pipelines.ingest.normalize import json_text
from resources.errors import ConfigError, SyncError, WarehouseBroken


def verify_ledger(head: str | None) -> None:
    """Check every entry of the chain; with `head`, also that an entry noted earlier is still in it.

    Raises:
        ConfigError: `head` is no hash, so nothing can be said of it.
        WarehouseBroken: the chain does not hold, or the head is not in it.
    """
    if head is not None and not re.fullmatch("[0-9a-fA-F]{64}", head):
        raise ConfigError(
            f"--head {head!r} is no head: 64 hexadecimal digits, as `verify` and the daily report print it."
        )
    with reading_store() as store:
        broken = store.query("warehouse/ledger/verify", account=None)
        if broken:
            first = broken[0]
            raise WarehouseBroken(
                f"the ledger of account {first.account} is broken at entry {first.entry_no} (window {first.window_id}, "
                f"{first.interval_from:%Y-%m-%d %H:%M:%S} to {first.interval_to:%Y-%m-%d %H:%M:%S} UTC): "
                f"{first.reason}; "
                "compare with a backup, and walk these days again."
            )
        if head is not None and not store.query("warehouse/ledger/entry_with_hash", hash=head.lower()):
            raise WarehouseBroken(f"no entry of the ledger has the hash {head}: entries at its end were removed.")
        closes = store.query("reconciliation/close/verify_closes")
        if closes:
            first = closes[0]
            raise WarehouseBroken(
                f"the closed days of account {first.account} are broken at row {first.close_no} "
                f"({first.business_date}): {first.reason}; compare with a backup."
            )
        heads = store.query("warehouse/ledger/chain_tips")
        for entry in heads:
            show.line(f"intact: account {entry.account}, {entry.entry_no:,} entries, head {entry.head}")
        if not heads:
            show.line("the ledger is empty: no window has been walked yet")


def trace_operation(operation_id: str) -> None:
    """Print each state of an operation and the signed page that it came from, verified again."""
    secret = account.api_settings().secret.reveal()
    with reading_store() as store:
        sightings = trace(store, account.settings().account, operation_id, secret)
    if not sightings:
        raise ConfigError(f"operation {operation_id} is not in core.operations: load its day first.")
    for sighting in sightings:
        until = f" until {sighting.known_to:%Y-%m-%d %H:%M:%S}" if sighting.known_to else ", still"
        show.line(f"{sighting.stored}: known from {sighting.observed_at:%Y-%m-%d %H:%M:%S} UTC{until}")
        show.line(f"  window {sighting.window_id} of account {sighting.account}")
        show.line(f"  {sighting.page or _why_no_page(sighting)}")
        if sighting.row is not None:
            show.line(f"  {'signature verified' if sighting.signed else 'SIGNATURE DOES NOT VERIFY'}")
            show.line(f"  {json_text(sighting.row)}")
    if any(sighting.page is None and sighting.deleted_after_days is None for sighting in sightings):
        raise SyncError("a raw page is gone that was not deleted because of its age: compare with a backup.")
    if any(sighting.damaged for sighting in sightings):
        raise SyncError("the body of a raw page was altered or damaged: compare with a backup.")
    if any(sighting.row is not None and not sighting.signed for sighting in sightings):
        raise SyncError("a page does not carry the platform's signature (or was signed with another secret).")


def replay_days(first: date, last: date, *, repair: bool) -> None:
    """Rebuild the days from raw pages and prove that the store holds the same; with `repair`, put back what differs."""
    settings = account.settings()
    secret = account.api_settings().secret.reveal()
    with migrated_store() as store:
        replayer = Replayer(store, settings.account, secret)
        result = replayer.replay(first, last, show.line)
        if repair and any(result.damaged.values()):
            done = replayer.repair(result.damaged)
            show.line(
                f"put back: {done.rows:,} rows built again from signed pages, {done.states_put_back:,} states written, "
                f"{done.states_removed:,} removed"
            )
            for what in done.impossible:
                show.line(f"left as it is: {what} has a state whose raw pages cannot be used")
            result = replayer.replay(first, last, show.line)
    _conclude(result, first, last)


def _conclude(result: Replay, first: date, last: date) -> None:
    if not result.windows:
        raise SyncError(f"no complete window touches {first} to {last}: load the days first.")
    if result.erased:
        show.line(f"erased: {result.erased} windows hold a page from which a person's data was taken; not compared")
    if result.problems:
        raise WarehouseBroken(
            f"{result.differences:,} differences, the first: {result.problems[0]}; `replay --repair` puts back "
            "what can be from the signed pages."
        )
    if result.not_kept:
        raise SyncError(
            f"{result.not_kept} of {result.windows} windows cannot be replayed: bodies not kept "
            "(SYNC_PERSONAL_DATA was hash or drop); the others are equal. `reconcile` holds a day against a fresh walk."
        )
    if result.deleted_windows:
        raise SyncError(
            f"{result.deleted_windows} of {result.windows} windows cannot be replayed, because their raw pages were "
            "deleted for their age (SYNC_RAW_DAYS); the others are equal."
        )
    show.line(
        f"equal: {result.rows:,} rows of {result.windows} windows, rebuilt from {result.pages} signed pages, "
        "are in the store as they were observed, and nothing else is"
    )


def _why_no_page(sighting: Sighting) -> str:
    if sighting.deleted_after_days is None:
        return "its raw page is gone, though it was not deleted because of its age"
    return f"its raw page was deleted after {sighting.deleted_after_days} days (SYNC_RAW_DAYS)"
