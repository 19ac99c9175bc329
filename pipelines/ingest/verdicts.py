"""What is told of a walk: its record for the ledger, why it is incomplete, what stopped a run; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pipelines.ingest.pages import FetchedPage
from pipelines.ingest.walk import Restless, Settled
from pipelines.ingest.windows import Window
from resources.warehouse.ledger import WalkRecord


def record_of(window: Window, started: datetime, outcome: Settled[FetchedPage] | Restless) -> WalkRecord:
    """Return what the ledger keeps of a walk that has just ended."""
    return WalkRecord(
        interval_from=window.first,
        interval_to=window.last,
        walk_started_at=started,
        walk_ended_at=datetime.now(UTC),
        walks=outcome.walks if isinstance(outcome, Settled) else outcome.drifts,
        drifts=outcome.drifts,
        pages=len(outcome.pages) if isinstance(outcome, Settled) else 0,
        requests=outcome.requests,
        incomplete_because=outcome.why if isinstance(outcome, Restless) else None,
    )


def what_stopped_it(error: BaseException) -> str:
    """Return what the run's row says of an error that is not ours."""
    return f"unexpected: {type(error).__name__}" if isinstance(error, Exception) else "stopped from outside"


def what_is_incomplete(windows: Sequence[str], first: Restless | None) -> str:
    """Return the message of a run with windows that could not be shown complete; `first` is what the first met."""
    count = len(windows)
    advice = "Run the same command again."
    if first and first.contradiction:
        advice = "Running again helps only once the platform's paging is right: show its support this interval."
    return (
        f"{count} window{'s' if count > 1 else ''} could not be shown complete, the first: {windows[0]} "
        f"({first.why if first else 'unknown'}); all others are stored. {advice}"
    )
