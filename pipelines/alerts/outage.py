"""What keeps alerts from being evaluated at all, sent once each; the warehouse cannot record it, so the caller does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.alerts.conditions import Alert
from resources.channels import Channel
from resources.errors import kind_of

# kind of the error → kind and title of the alert, where to look, what to do
DATABASE_AWAY = (
    "database_away",
    "the warehouse is away",
    "PostgreSQL's own log and disk; `ecommpay-sync doctor`.",
    "bring it back; runs that failed meanwhile are reported then. Nothing is half-written.",
)
DATABASE_BROKEN = (
    "database_broken",
    "the warehouse is not what its migrations say",
    "`ecommpay-sync doctor`; the version of the product that the sensor's process runs.",
    "remove what the message names. Alerts are not evaluated until then.",
)
SETTINGS_REFUSED = (
    "settings_refused",
    "a setting is refused, and alerts are not evaluated",
    "the environment of the code server; `ecommpay-sync doctor` in the same environment.",
    "correct what the message names and restart the code server.",
)
ALERTS_FAILED = (
    "alerts_failed",
    "alerts cannot be evaluated",
    "the sensor `alerts` in Dagster's UI: its last tick has the stack trace in its log.",
    "run `ecommpay-sync alert`, and report the line that it ends with.",
)
CAUSES = {
    "warehouse_unavailable": DATABASE_AWAY,
    "warehouse_broken": DATABASE_BROKEN,
    "config": SETTINGS_REFUSED,
}


@dataclass(frozen=True)
class Outage:
    """Kind of the alert, since when (ISO 8601, UTC), which channels took it; `since` None: nothing is in the way."""

    since: str | None = None
    notified: tuple[str, ...] = ()
    kind: str = DATABASE_AWAY[0]


def begin(
    state: Outage, channels: Sequence[Channel], error: Exception, now: datetime, account: str, runbook: str
) -> Outage:
    """Send this cause to the channels that have not taken it yet; return the new state."""
    alert = _alert(error)
    if not state.since or state.kind != alert.kind:
        state = Outage(now.isoformat(timespec="seconds"), (), alert.kind)
    for channel in channels:
        if channel.name not in state.notified and _sent(channel, f"{account}: {alert.title}", alert.message(runbook)):
            state = replace(state, notified=(*state.notified, channel.name))
    return state


def end(state: Outage, channels: Sequence[Channel], now: datetime, account: str) -> Outage:
    """Send to the channels that took the cause that it is over; return the new state."""
    if not state.since:
        return state
    title = next(title for kind, title, _, _ in (*CAUSES.values(), ALERTS_FAILED) if kind == state.kind)
    text = f"Alerts are evaluated again; that stood from {state.since} to {now:%Y-%m-%dT%H:%M:%S+00:00}."
    remaining = set(state.notified)
    for channel in channels:
        if channel.name in remaining and _sent(channel, f"{account}: over: {title}", text):
            remaining.discard(channel.name)
    names = {channel.name for channel in channels}
    left = tuple(name for name in state.notified if name in remaining & names)
    return Outage(state.since, left, state.kind) if left else Outage()


def _alert(error: Exception) -> Alert:
    error_kind = kind_of(error)
    kind, title, where, todo = CAUSES.get(error_kind, ALERTS_FAILED)
    # the text of an error that is not ours may hold anything
    what = str(error) if kind != ALERTS_FAILED[0] else f"{type(error).__name__} while causes were looked for."
    return Alert(kind, kind, title, what, where, todo)


def _sent(channel: Channel, title: str, text: str) -> bool:
    try:
        channel.send(title, text)
    except Exception:  # noqa: BLE001 - one channel, however it fails, keeps no other from being used
        return False
    return True
