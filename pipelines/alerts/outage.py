"""The one cause that the warehouse cannot record: that it is away. Its record is a small state, kept elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.alerts.conditions import Alert
from resources.channels import Channel, ChannelFailed


@dataclass(frozen=True)
class Outage:
    """Since when the database is away (ISO 8601, UTC), and which channels were told; `since` None: it is there."""

    since: str | None = None
    told: tuple[str, ...] = ()


def begun(state: Outage, channels: Sequence[Channel], reason: str, now: datetime, account: str, runbook: str) -> Outage:
    """Tell the channels that have not taken it yet; return the new state."""
    alert = Alert(
        "database_away",
        "database_away",
        "the warehouse is away",
        reason,
        "PostgreSQL's own log and disk; `ecommpay-sync doctor`.",
        "bring it back; runs that failed meanwhile are told of then. Nothing is half-written.",
    )
    state = state if state.since else Outage(now.isoformat(timespec="seconds"))
    for channel in channels:
        if channel.name not in state.told and _sent(channel, f"{account}: {alert.title}", alert.message(runbook)):
            state = replace(state, told=(*state.told, channel.name))
    return state


def ended(state: Outage, channels: Sequence[Channel], now: datetime, account: str) -> Outage:
    """Tell those who were told that it is over; return the new state."""
    if not state.since:
        return state
    text = f"The database answers again; it was away from {state.since} to {now:%Y-%m-%dT%H:%M:%S+00:00}."
    told = set(state.told)
    for channel in channels:
        if channel.name in told and _sent(channel, f"{account}: over: the warehouse is away", text):
            told.discard(channel.name)
    left = tuple(name for name in state.told if name in told and name in {channel.name for channel in channels})
    return Outage(state.since, left) if left else Outage()


def _sent(channel: Channel, title: str, text: str) -> bool:
    try:
        channel.send(title, text)
    except ChannelFailed:
        return False
    return True
