"""Sends each cause, each further day of one, and that it is over, until a channel takes it. Causes: `conditions`.

What keeps causes from being evaluated at all is an `Outage`: the warehouse cannot record that one, so the caller does.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pipelines.alerts.conditions import Alert, Evaluation
from resources.channels import Channel, ChannelFailed, Heartbeat
from resources.errors import kind_of
from resources.warehouse.engine import Warehouse, run

logger = logging.getLogger(__name__)
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
CAUSES = {"warehouse_unavailable": DATABASE_AWAY, "warehouse_broken": DATABASE_BROKEN, "config": SETTINGS_REFUSED}


@dataclass(frozen=True)
class Delivery:
    """What one round did: messages that were taken, and what the channels that took none said."""

    sent: int
    failures: tuple[str, ...]

    def __add__(self, other: Delivery) -> Delivery:
        """Return what both rounds did."""
        return Delivery(self.sent + other.sent, tuple(dict.fromkeys((*self.failures, *other.failures))))


def notify(
    warehouse: Warehouse, account: str, evaluation: Evaluation, channels: Sequence[Channel], now: datetime, runbook: str
) -> Delivery:
    """Record the causes, then send what no channel, or not every channel, has taken yet.

    Two processes never send at once; a cause is marked as sent after the channel took it, so that a process killed
    in between sends it again rather than never.

    Raises:
        WarehouseUnavailable: the database is away.
    """
    _record(warehouse, account, evaluation, now, runbook)
    with warehouse.transaction() as connection:
        (lock,) = run(connection, "alerts/notifications/lock", account=account)
        if not lock.mine:
            return Delivery(0, ())
        try:
            return _send(warehouse, account, channels, now)
        finally:
            run(connection, "alerts/notifications/unlock", account=account)


def tips_of_chains(warehouse: Warehouse) -> str:
    """Return a line for each account with the tip of its ledger, as `verify --head` takes it."""
    tips = warehouse.query("warehouse/ledger/chain_tips")
    return "".join(f"account {tip.account}: entry {tip.entry_no}, head {tip.head}\n" for tip in tips)


def say_how_alerts_stand(heartbeat: Heartbeat, tips: str, *, undelivered: bool) -> None:
    """Say that all causes were looked for; as a failure where one stands that no channel took.

    Raises:
        ChannelFailed: the watcher did not take it.
    """
    if undelivered:
        heartbeat.fail(f"causes stand that no channel took\n{tips}")
    else:
        heartbeat.success(f"alerts are sent\n{tips}")


def _record(warehouse: Warehouse, account: str, evaluation: Evaluation, now: datetime, runbook: str) -> None:
    with warehouse.transaction() as connection:
        for alert in evaluation.alerts:
            message = alert.message(runbook)
            seen = {name: getattr(alert, name) for name in ("cause", "kind", "title", "last_day")}
            run(connection, "alerts/notifications/see", account=account, now=now, message=message, **seen)
        stand = {"kinds": list(evaluation.kinds), "causes": [alert.cause for alert in evaluation.alerts]}
        run(connection, "alerts/notifications/resolve", account=account, now=now, **stand)


def _send(warehouse: Warehouse, account: str, channels: Sequence[Channel], now: datetime) -> Delivery:
    sent, failures, names = 0, dict[str, str](), [channel.name for channel in channels]
    for row in warehouse.query("alerts/notifications/to_send", account=account):
        over = row.resolved_at is not None
        # that it is over goes only to the channels that took the cause
        audience = [name for name in names if not over or name in row.sent_to]
        done = row.over_sent_to if over else row.newest_sent_to
        for channel in channels:
            if channel.name not in audience or channel.name in {*done, *failures}:
                continue
            try:
                channel.send(*_text(account, row, over=over))
            except ChannelFailed as error:
                failures[channel.name] = str(error)
                logger.warning("alert not delivered, tried again at the next tick: %s", error)
                continue
            sent += 1
            key = {"account": account, "cause": row.cause, "first_seen_at": row.first_seen_at}
            taken = {"channel": channel.name, "channels": audience, "now": now}
            if over:
                warehouse.query("alerts/notifications/sent_over", **key, **taken)
            else:
                warehouse.query("alerts/notifications/sent", **key, **taken, last_day=row.last_day)
    return Delivery(sent, tuple(failures.values()))


def _text(account: str, row: Any, *, over: bool) -> tuple[str, str]:
    title = f"{account}: {'over: ' if over else ''}{row.title}"
    if over:
        since = f"{row.first_seen_at:%Y-%m-%d %H:%M} to {row.resolved_at:%Y-%m-%d %H:%M} UTC"
        return title, f"The cause is gone; it stood from {since}. Nothing is left to do."
    return title, row.message


@dataclass(frozen=True)
class Outage:
    """Kind of the alert, since when (ISO 8601, UTC), which channels took it; `since` None: nothing is in the way."""

    since: str | None = None
    notified: tuple[str, ...] = ()
    kind: str = DATABASE_AWAY[0]


def begin_outage(
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


def end_outage(state: Outage, channels: Sequence[Channel], now: datetime, account: str) -> Outage:
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
