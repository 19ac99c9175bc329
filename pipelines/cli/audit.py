"""Commands of an audit: `verify`, `trace`, `replay`. None but `replay --repair` changes what is stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli import console
from pipelines.cli.accounts import each_in_turn, migrated_warehouse, only_account, reading_warehouse
from pipelines.cli.console import AsJson, EachAccount, FirstDay, LastDay, OneAccount, read_days
from resources.accounts import AccountScope, accounts_of
from resources.errors import ConfigError, SyncError, WarehouseBroken

if TYPE_CHECKING:
    from pipelines.audit.replay import Replay

app = typer.Typer()


@app.command()
def verify(
    head: Annotated[
        str | None,
        typer.Option(metavar="HASH", help="a head noted earlier, or a heartbeat's text: it must still be there"),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Check the chains of hashes; name the first entry that was altered, removed or reordered."""
    from pipelines.audit.verify import entries_with
    from pipelines.audit.verify import verify as verify_chains

    heads = re.findall(r"\b[0-9a-f]{64}\b", (head or "").lower())
    if head is not None and not heads:
        raise ConfigError(
            f"--head {head!r} is no head: 64 hexadecimal digits, as `verify`, a heartbeat and the daily report show it."
        )
    with reading_warehouse() as store, store.transaction() as connection:
        tips, contained = verify_chains(connection), entries_with(connection, heads)
    if as_json:
        document = {"chain_tips": tips.ledger, "close_tips": tips.closed_days, "contained": contained}
        console.document({"intact": True, **document})
        return
    for tip in tips.ledger:
        console.line(f"intact: account {tip.account}, {tip.entry_no:,} entries, head {tip.head}")
    for closed in tips.closed_days:
        console.line(f"intact: account {closed.account}, {closed.close_no:,} rows of closed days, head {closed.head}")
    for entry in contained:
        console.line(f"contained: account {entry.account}, entry {entry.entry_no:,}, head {entry.head}")
    if not tips.ledger:
        console.line("the ledger is empty: no window has been walked yet")


@app.command()
def trace(operation_id: Annotated[str, typer.Argument(metavar="OPERATION_ID")], account: OneAccount = None) -> None:
    """Show where an operation's figures come from: each state, and the signed page that brought it."""
    from pipelines.audit.replay import trace as sightings_of
    from pipelines.ingest.schema import json_text

    scope = only_account(account)
    secret = accounts_of().api_settings(scope.account).secret.reveal()
    with reading_warehouse(scope) as store:
        sightings = sightings_of(store, scope.account, operation_id, secret)
    if not sightings:
        raise ConfigError(f"operation {operation_id} is not in core.operations: load its day first.")
    for sighting in sightings:
        until = f" until {sighting.known_to:%Y-%m-%d %H:%M:%S}" if sighting.known_to else ", still"
        console.line(f"{sighting.stored}: known from {sighting.observed_at:%Y-%m-%d %H:%M:%S} UTC{until}")
        console.line(f"  window {sighting.window_id} of account {sighting.account}")
        page = sighting.page or "its raw page is gone, though it was not deleted because of its age"
        if sighting.page is None and sighting.deleted_after_days is not None:
            page = f"its raw page was deleted after {sighting.deleted_after_days} days (SYNC_RAW_DAYS)"
        console.line(f"  {page}")
        if sighting.row is not None:
            console.line(f"  {'signature verified' if sighting.signed else 'SIGNATURE DOES NOT VERIFY'}")
            console.line(f"  {json_text(sighting.row)}")
    if any(sighting.page is None and sighting.deleted_after_days is None for sighting in sightings):
        raise SyncError("a raw page is gone that was not deleted because of its age: compare with a backup.")
    if any(sighting.damaged for sighting in sightings):
        raise SyncError("the body of a raw page was altered or damaged: compare with a backup.")
    if any(sighting.row is not None and not sighting.signed for sighting in sightings):
        raise SyncError("a page does not carry the platform's signature (or was signed with another secret).")


@app.command()
def replay(
    first: FirstDay,
    last: LastDay,
    *,
    repair: Annotated[bool, typer.Option("--repair", help="put back rows that were lost or altered")] = False,
    account: EachAccount = None,
    as_json: AsJson = False,
) -> None:
    """Rebuild days from the signed raw pages, and prove that the store holds the same."""
    from pipelines.audit.replay import Replayer

    days = read_days(first, last)

    def rebuild(scope: AccountScope) -> None:
        secret = accounts_of().api_settings(scope.account).secret.reveal()
        with migrated_warehouse(scope) if repair else reading_warehouse(scope, stages=True) as store:
            replayer = Replayer(store, scope.account, secret)
            report = (lambda _: None) if as_json else console.line
            result, repaired = replayer.replay(*days, report), None
            if repair and any(result.damaged.values()):
                repaired = replayer.repair(result.damaged)
                report(
                    f"put back: {repaired.rows:,} rows built again from signed pages, "
                    f"{repaired.states_put_back:,} states written, {repaired.states_removed:,} removed"
                )
                for what in repaired.impossible:
                    report(f"left as it is: {what} has a state whose raw pages cannot be used")
                result = replayer.replay(*days, report)
        if as_json:
            counts = {name: value for name, value in vars(result).items() if name != "damaged"}  # the rows themselves
            console.document({"account": scope.account, "replay": counts, "repaired": repaired})
        _conclude(result, *days, report)

    each_in_turn(account, rebuild, as_json=as_json)


def _conclude(result: Replay, first: date, last: date, report: Callable[[str], object]) -> None:
    """Report the result of a replay; what was found wrong, or could not be replayed, is raised."""
    if not result.windows:
        raise SyncError(f"no complete window touches {first} to {last}: load the days first.")
    if result.erased:
        report(f"erased: {result.erased} windows hold a page from which a person's data was taken; not compared")
    if result.problems:
        raise WarehouseBroken(
            f"{result.differences:,} differences, the first: {result.problems[0]}; `replay --repair` puts back "
            "what can be from the signed pages."
        )
    if result.not_kept:
        raise SyncError(
            f"{result.not_kept} of {result.windows} windows cannot be replayed: bodies not kept "
            "(SYNC_PERSONAL_DATA was hash or drop); the others are equal. `reconcile` compares a day with a fresh walk."
        )
    if result.deleted_windows:
        raise SyncError(
            f"{result.deleted_windows} of {result.windows} windows cannot be replayed, because their raw pages were "
            "deleted for their age (SYNC_RAW_DAYS); the others are equal."
        )
    report(
        f"equal: {result.rows:,} rows of {result.windows} windows, rebuilt from {result.pages} signed pages, "
        "are in the store as they were observed, and nothing else is"
    )
