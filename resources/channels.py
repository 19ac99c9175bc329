"""How an alert leaves: by e-mail, by webhook (Slack-compatible). A channel raises, in one line, or it has delivered."""

import logging
import smtplib
import ssl
from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import make_msgid
from mimetypes import guess_type
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import httpx

from resources.data_api.transport import proxy_for, tls_context
from resources.errors import SyncError
from resources.output import printable, printable_lines
from resources.settings import AlertSettings, Secret, SmtpSettings

TIMEOUT = 15.0


class ChannelFailed(SyncError):
    """A channel did not take the message; it is tried again."""

    kind = "channel"


class Channel(Protocol):
    """Delivers one message."""

    name: str

    def send(self, title: str, text: str) -> None:
        """Deliver the message.

        Raises:
            ChannelFailed: it was not taken.
        """


class EmailChannel:
    """Plain text by SMTP."""

    name = "email"

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings

    def send(self, title: str, text: str) -> None:
        """Send one message to all recipients of alerts."""
        self.send_to(self.settings.recipients, title, text)

    def send_to(self, recipients: Sequence[str], title: str, text: str, files: Sequence[Path] = ()) -> None:
        """Send one message, with files of its own names, to these recipients.

        Raises:
            ChannelFailed: it was not taken.
        """
        settings, message = self.settings, EmailMessage()
        message["Subject"] = f"[ecommpay-sync] {printable(title)}"
        message["From"], message["To"] = settings.sender, ", ".join(recipients)
        message["Message-ID"] = make_msgid(domain=settings.sender.rpartition("@")[2])
        message.set_content(printable_lines(text))
        for file in files:
            kind, _, form = (guess_type(file.name)[0] or "application/octet-stream").partition("/")
            message.add_attachment(file.read_bytes(), maintype=kind, subtype=form, filename=file.name)
        try:
            with self._connection() as connection:
                if settings.server.user and settings.password:
                    connection.login(settings.server.user, settings.password.reveal())
                refused = connection.send_message(message)
        # not the server's own words: after a failed login some repeat what was sent
        except smtplib.SMTPResponseException as error:
            raise ChannelFailed(
                f"the mail server {settings.server.host} answered {error.smtp_code} ({type(error).__name__}): check "
                "ALERT_SMTP_URL, ALERT_SMTP_PASSWORD_FILE and the addresses."
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelFailed(
                f"the mail server {settings.server.host}:{settings.server.port} cannot be used "
                f"({type(error).__name__}): check ALERT_SMTP_URL."
            ) from None
        if refused:
            names = ", ".join(sorted(refused))
            raise ChannelFailed(f"the mail server refused {names}: check ALERT_EMAIL_TO and SYNC_REPORT_MAIL_TO.")

    def _connection(self) -> smtplib.SMTP:
        settings, context = self.settings, tls_context()
        if settings.server.implicit_tls:
            return smtplib.SMTP_SSL(settings.server.host, settings.server.port, timeout=TIMEOUT, context=context)
        connection = smtplib.SMTP(settings.server.host, settings.server.port, timeout=TIMEOUT)
        try:
            if settings.start_tls:
                connection.starttls(context=context)
        except (smtplib.SMTPException, ssl.SSLError, OSError):
            connection.close()
            raise
        return connection


class WebhookChannel:
    """JSON `{"text": …}` by POST, as Slack, Mattermost, Rocket.Chat and others take it."""

    name = "webhook"

    def __init__(self, url: Secret) -> None:
        self._url = url

    def send(self, title: str, text: str) -> None:
        """Post one message."""
        body = {"text": f"*{_plain(printable(title))}*\n{_plain(printable_lines(text))}"}
        _post(self._url.reveal(), "webhook", "ALERT_WEBHOOK_URL", json=body)


class Heartbeat:
    """Says to a watcher elsewhere that all is well, as healthchecks.io takes it: silence is the alarm.

    `run` is the id of the run that a signal is about, by which the watcher pairs start and end.
    """

    def __init__(self, url: Secret) -> None:
        self._url = url

    def start(self, run: str) -> None:
        """Say that a night has begun.

        Raises:
            ChannelFailed: it was not taken; so for the others.
        """
        self._ping("/start", "", run)

    def success(self, text: str, run: str | None = None) -> None:
        """Say that all is well; `text` is kept there, out of reach of who can write to the database."""
        self._ping("", text, run)

    def fail(self, text: str, run: str | None = None) -> None:
        """Say that something is wrong."""
        self._ping("/fail", text, run)

    def _ping(self, signal: str, text: str, run: str | None) -> None:
        parts = urlsplit(self._url.reveal())
        query = "&".join(part for part in (parts.query, f"rid={run}" if run else "") if part)
        url = urlunsplit(parts._replace(path=parts.path.rstrip("/") + signal, query=query))
        _post(url, "heartbeat", "ALERT_HEARTBEAT_URL", content=printable_lines(text).encode())


def _post(url: str, what: str, variable: str, **body: Any) -> None:
    """Post to a URL that is itself the key to what it reaches: no message, no log shows it."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs each URL
    host = urlsplit(url).hostname
    try:
        with httpx.Client(
            verify=tls_context(url), timeout=TIMEOUT, follow_redirects=False, trust_env=False, proxy=proxy_for(url)
        ) as client:
            status = client.post(url, **body).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # the error's own text can hold the URL
        raise ChannelFailed(
            f"the {what} at {host} cannot be reached ({type(error).__name__}): check {variable}."
        ) from None
    if not 200 <= status < 300:
        raise ChannelFailed(f"the {what} at {host} answered {status}: check {variable}.")


def _plain(text: str) -> str:
    """Without Slack's markup: a text of the data mentions nobody (`<!channel>`) and hides no address behind a word."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def channels_of(settings: AlertSettings) -> list[Channel]:
    """Return the channels that are configured.

    Raises:
        ConfigError: the proxies of the environment cannot be used.
    """
    channels: list[Channel] = []
    if settings.smtp:
        channels.append(EmailChannel(settings.smtp))
    if settings.webhook:
        proxy_for(settings.webhook.reveal())  # one that cannot be used is named before anything is sent
        channels.append(WebhookChannel(settings.webhook))
    return channels


def heartbeat_of(settings: AlertSettings) -> Heartbeat | None:
    """Return where it is said that all is well, if that is configured.

    Raises:
        ConfigError: the proxies of the environment cannot be used.
    """
    if not settings.heartbeat:
        return None
    proxy_for(settings.heartbeat.reveal())
    return Heartbeat(settings.heartbeat)
