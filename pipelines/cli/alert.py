"""`alert`: tries the channels, or looks for causes and tells of them at once, without waiting for the sensor."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from resources.alerts.settings import alert_settings
from resources.channels import ChannelFailed, channels_of
from resources.errors import ConfigError
from resources.warehouse.reference import settings_in_force


def run_alert(*, test: bool) -> None:
    """Send the test message, or judge and tell."""
    alerting = alert_settings()
    channels = channels_of(alerting)
    if test:
        if not channels:
            raise ConfigError(
                "no channel is set: ALERT_WEBHOOK_URL_FILE, or ALERT_SMTP_URL, ALERT_EMAIL_FROM and ALERT_EMAIL_TO."
            )
        failures = []
        for channel in channels:
            try:
                channel.send(
                    f"{everybody()}: test",
                    "What happened: nothing, somebody ran `ecommpay-sync alert --test`.\n"
                    f"What to do: nothing. Runbook: {alerting.runbook}",
                )
                show.line(f"ok    {channel.name}: a test message was taken")
            except ChannelFailed as error:
                failures.append(str(error))
                show.line(f"FAIL  {channel.name}: {error}")
        if failures:
            raise ChannelFailed(failures[0])
        return
    _judge_and_tell()


def everybody() -> str:
    """Return the names of all accounts."""
    return ", ".join(settings.account for settings in account.settings_of_all())


def _judge_and_tell() -> None:
    from pipelines.accounts import owners_of
    from pipelines.alerts.conditions import judge
    from pipelines.alerts.notifications import Told, tell
    from resources.accounts import accounts_of

    alerting, now = alert_settings(), datetime.now(UTC)
    channels = channels_of(alerting)
    causes, told = 0, Told(0, ())
    with migrated_store() as store:
        for owner in owners_of(accounts_of()):
            judgement = judge(store, settings_in_force(store, owner.settings), alerting, now, option=owner.option)
            for item in judgement.alerts:
                show.line(item.title)
                show.lines(f"{item.message(alerting.runbook)}\n")
            causes += len(judgement.alerts)
            told += tell(store, owner.account, judgement, channels, now, alerting.runbook)
    show.line(f"{causes} causes stand; {told.sent} messages were sent")
    if told.failures:
        raise ChannelFailed(told.failures[0])
