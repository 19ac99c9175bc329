"""What is told of a walk: its record for the ledger, why it is incomplete, what stopped a run; nothing is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from pipelines.sync.answers import Kept
from pipelines.sync.walk import Restless, Settled
from pipelines.sync.windows import Window
from resources.warehouse.ledger import WalkRecord

MOVED = "the data moved during every walk"
CONTRADICTED = "the platform gave the same first page each time, and pages after it that do not continue it"


def record_of(window: Window, started: datetime, outcome: Settled[Kept] | Restless) -> WalkRecord:
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
        incomplete_because=_why_incomplete(outcome) if isinstance(outcome, Restless) else None,
    )


def what_stopped_it(error: BaseException) -> str:
    """Return what the run's row says of an error that is not ours."""
    return f"unexpected: {type(error).__name__}" if isinstance(error, Exception) else "stopped from outside"


def what_is_incomplete(windows: Sequence[str], reasons: Collection[str]) -> str:
    """Return the message of a run with windows that could not be shown complete."""
    count = len(windows)
    return (
        f"{count} window{'s' if count > 1 else ''} could not be shown complete, the first: {windows[0]} "
        f"({'; '.join(sorted(reasons))}); all others are stored. Run the same command again."
    )


def _why_incomplete(outcome: Restless) -> str:
    return CONTRADICTED if outcome.contradiction else MOVED
