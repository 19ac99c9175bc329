"""`alert`: tries the channels, or looks for causes and tells of them at once, without waiting for the sensor."""

from __future__ import annotations

from datetime import UTC, datetime

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from resources.channels import ChannelFailed, channels_of
from resources.errors import ConfigError
from resources.settings import alert_settings


def run_alert(*, test: bool) -> None:
    """Send the test message, or look for causes and report them."""
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
    _evaluate_and_notify()


def everybody() -> str:
    """Return the names of all accounts."""
    return ", ".join(settings.account for settings in account.settings_of_all())


def _evaluate_and_notify() -> None:
    from pipelines.accounts import account_scopes
    from pipelines.alerts.conditions import evaluate
    from pipelines.alerts.notifications import Delivery, notify
    from resources.accounts import accounts_of

    alerting, now = alert_settings(), datetime.now(UTC)
    channels = channels_of(alerting)
    causes, delivery = 0, Delivery(0, ())
    with migrated_store() as store:
        for scope in account_scopes(accounts_of()):
            found = evaluate(store, scope.settings, alerting, now, option=scope.option)
            for item in found.alerts:
                show.line(item.title)
                show.lines(f"{item.message(alerting.runbook)}\n")
            causes += len(found.alerts)
            delivery += notify(store, scope.account, found, channels, now, alerting.runbook)
    show.line(f"{causes} causes stand; {delivery.sent} messages were sent")
    if delivery.failures:
        raise ChannelFailed(delivery.failures[0])
