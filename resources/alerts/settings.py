"""Environment to the settings of the alert channels and thresholds, secrets masked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from resources.errors import ConfigError
from resources.settings import Environment, Secret, is_loopback, value_or_file

RUNBOOK = "docs/runbook.md"
ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")


@dataclass(frozen=True)
class SmtpSettings:
    """A mail server: implicit TLS (`smtps`), or STARTTLS, which is left out on this machine only."""

    host: str
    port: int
    implicit_tls: bool
    start_tls: bool
    user: str | None
    password: Secret | None
    sender: str
    recipients: tuple[str, ...]


@dataclass(frozen=True)
class AlertSettings:
    """Where alerts go, and above which open breaks (minor units, by currency) they are told of."""

    smtp: SmtpSettings | None = None
    webhook: Secret | None = None
    runbook: str = RUNBOOK
    breaks_above: tuple[tuple[str, int], ...] = field(default=())


def alert_settings(environment: Environment = os.environ) -> AlertSettings:
    """Read the `ALERT_…` variables; without any of them there is no channel.

    Raises:
        ConfigError: one is malformed, or only a part of a channel is given.
    """
    return AlertSettings(
        smtp=_smtp(environment),
        webhook=_webhook(value_or_file("ALERT_WEBHOOK_URL", environment)),
        runbook=environment.get("ALERT_RUNBOOK_URL") or RUNBOOK,
        breaks_above=_limits(environment.get("ALERT_BREAKS_ABOVE", "")),
    )


def _smtp(environment: Environment) -> SmtpSettings | None:
    names = ("ALERT_SMTP_URL", "ALERT_EMAIL_FROM", "ALERT_EMAIL_TO")
    url, sender, recipients = (environment.get(name) or "" for name in names)
    if not (url or sender or recipients):
        return None
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise ConfigError(f"{missing[0]} is not set: alerts by e-mail need {', '.join(names)}.")
    password = value_or_file("ALERT_SMTP_PASSWORD", environment)
    to = tuple(re.split(r"[,\s]+", recipients.strip()))
    for name, address in [("ALERT_EMAIL_FROM", sender), *(("ALERT_EMAIL_TO", address) for address in to)]:
        if not ADDRESS.fullmatch(address):
            raise ConfigError(f"{name} holds {address!r}, which is no e-mail address.")
    host, port, user, implicit = _server(url)
    if user and not password:
        raise ConfigError("ALERT_SMTP_URL names a user: set ALERT_SMTP_PASSWORD_FILE (or ALERT_SMTP_PASSWORD).")
    return SmtpSettings(
        host,
        port,
        implicit,
        start_tls=not implicit and not is_loopback(host),
        user=user,
        password=Secret(password) if password else None,
        sender=sender,
        recipients=to,
    )


def _server(url: str) -> tuple[str, int, str | None, bool]:
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        port = host = None
        parts = urlsplit("")
    if parts.password is not None:
        raise ConfigError("ALERT_SMTP_URL must not hold a password: put it into ALERT_SMTP_PASSWORD_FILE.")
    if parts.scheme not in {"smtp", "smtps"} or not host or parts.path not in {"", "/"} or parts.query:
        raise ConfigError(
            "ALERT_SMTP_URL is no mail server: write smtp://user@host:587 (STARTTLS) or smtps://user@host."
        )
    implicit = parts.scheme == "smtps"
    return host, port or (465 if implicit else 587), unquote(parts.username) if parts.username else None, implicit


def _webhook(url: str | None) -> Secret | None:
    if not url:
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    # the URL of a webhook is itself the key to it: no message shows it
    if parts.scheme not in {"http", "https"} or not host or not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ConfigError("ALERT_WEBHOOK_URL is no URL: write https://… as the chat's settings show it.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError("ALERT_WEBHOOK_URL is plain http: write https:// (http:// is allowed to a loopback address).")
    return Secret(url)


def _limits(text: str) -> tuple[tuple[str, int], ...]:
    found = []
    for part in filter(None, re.split(r"[,\s]+", text)):
        matched = re.fullmatch(r"([A-Z]{3})=(\d{1,18})", part)
        if not matched:
            raise ConfigError(
                f"ALERT_BREAKS_ABOVE holds {part!r}: write minor units by currency, EUR=100000,JPY=50000."
            )
        found.append((matched[1], int(matched[2])))
    return tuple(found)
