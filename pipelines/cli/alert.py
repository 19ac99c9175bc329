"""`alert`: tries the channels, or looks for causes and tells of them at once, without waiting for the sensor."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.cli import show
from resources.alerts.channels import ChannelFailed, channels_of
from resources.alerts.settings import alert_settings
from resources.configured import open_warehouse
from resources.errors import ConfigError
from resources.settings import database_url, sync_settings


def run_alert(*, test: bool) -> None:
    """Send the test message, or judge and tell."""
    settings, alerting = sync_settings(), alert_settings()
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
                    f"{settings.account}: test",
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


def _judge_and_tell() -> None:
    from pipelines.alerts.book import tell
    from pipelines.alerts.conditions import judge
    from resources.warehouse.migrate import migrate

    settings, alerting, now = sync_settings(), alert_settings(), datetime.now(UTC)
    channels = channels_of(alerting)
    with open_warehouse(database_url()) as store:
        migrate(store)
        judgement = judge(store, settings, alerting, now)
        for item in judgement.alerts:
            show.line(item.title)
            show.lines(f"{item.message(alerting.runbook)}\n")
        told = tell(store, settings.account, judgement, channels, now, alerting.runbook)
    show.line(f"{len(judgement.alerts)} causes stand; {told.sent} messages were sent")
    if told.failures:
        raise ChannelFailed(told.failures[0])
