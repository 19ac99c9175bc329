"""Sends each cause once, and once that it is over; what a channel did not take is sent again. Causes: `conditions`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.alerts.conditions import Evaluation
from resources.channels import Channel, ChannelFailed, Heartbeat
from resources.warehouse.engine import Warehouse, run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """What one round did: messages that were taken, and what the channels that took none said."""

    sent: int
    failures: tuple[str, ...]

    def __add__(self, other: Delivery) -> Delivery:
        """Return what both rounds did."""
        return Delivery(self.sent + other.sent, tuple(dict.fromkeys((*self.failures, *other.failures))))


def notify(
    warehouse: Warehouse,
    account: str,
    evaluation: Evaluation,
    channels: Sequence[Channel],
    now: datetime,
    runbook: str,
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
            run(
                connection,
                "alerts/notifications/see",
                account=account,
                cause=alert.cause,
                now=now,
                kind=alert.kind,
                title=alert.title,
                message=alert.message(runbook),
            )
        causes = [alert.cause for alert in evaluation.alerts]
        run(
            connection,
            "alerts/notifications/resolve",
            account=account,
            now=now,
            kinds=list(evaluation.kinds),
            causes=causes,
        )


def _send(warehouse: Warehouse, account: str, channels: Sequence[Channel], now: datetime) -> Delivery:
    sent, failures, names = 0, dict[str, str](), [channel.name for channel in channels]
    for row in warehouse.query("alerts/notifications/to_send", account=account):
        over = row.resolved_at is not None
        for channel in channels:
            # that it is over goes only to the channels that took the cause
            done = set(row.over_sent_to) | (set(names) - set(row.sent_to)) if over else set(row.sent_to)
            if channel.name in done or channel.name in failures:
                continue
            try:
                channel.send(*_text(account, row, over=over))
            except ChannelFailed as error:
                failures[channel.name] = str(error)
                logger.warning("alert not delivered, tried again at the next tick: %s", error)
                continue
            sent += 1
            audience = [name for name in names if not over or name in row.sent_to]
            warehouse.query(
                "alerts/notifications/sent_over" if over else "alerts/notifications/sent",
                account=account,
                cause=row.cause,
                first_seen_at=row.first_seen_at,
                channel=channel.name,
                channels=audience,
                now=now,
            )
    return Delivery(sent, tuple(failures.values()))


def _text(account: str, row: Any, *, over: bool) -> tuple[str, str]:
    title = f"{account}: {'over: ' if over else ''}{row.title}"
    if over:
        since = f"{row.first_seen_at:%Y-%m-%d %H:%M} to {row.resolved_at:%Y-%m-%d %H:%M} UTC"
        return title, f"The cause is gone; it stood from {since}. Nothing is left to do."
    return title, row.message
