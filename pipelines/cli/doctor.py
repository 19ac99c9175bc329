"""`doctor`: is everything in place for a night? One line for each check, with what to do where it is not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pipelines.cli import account, show
from pipelines.marts.projects import shared_projects
from pipelines.resources import open_warehouse
from resources.accounts import accounts_of
from resources.data_api.client import Answer, Client
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.data_api.transport import CONNECT_TIMEOUT, tls_context
from resources.errors import ConfigError, SyncError
from resources.settings import ApiSettings, database_url
from resources.warehouse.migrate import NotMigrated, check_migrated

ONE_TRY = RetryPolicy(attempts=2, deadline=30.0, never_answered_deadline=5.0)
CLOCK_TOLERANCE = timedelta(seconds=60)
SAMPLE = timedelta(days=30)


@dataclass
class Examination:
    """The checks so far; the worst of them decides the exit code."""

    exit_code: int = 0
    api: ApiSettings | None = None
    answer: Answer | None = None
    _failed: set[str] = field(default_factory=set)

    def begin(self) -> None:
        """Forget what the account before failed in, but for the exit code."""
        self._failed.clear()

    def fail(self, name: str, error: SyncError) -> None:
        """Print the line of a check that failed."""
        self._failed.add(name)
        self.exit_code = max(self.exit_code, error.exit_code)
        show.line(f"FAIL  {name:<14} {error}")

    def check(self, name: str, examine: Callable[[], str], *, needs: str | None = None) -> None:
        """Run one check and print its line; skip it when what it needs has failed."""
        if needs in self._failed:
            self._failed.add(name)
            show.line(f"–     {name:<14} not checked: {needs} first")
            return
        try:
            show.line(f"ok    {name:<14} {examine()}")
        except SyncError as error:
            self.fail(name, error)


def examine() -> int:
    """Run all checks, of each account or of the one named; return the exit code: 0, 2 for the configuration, else 1."""
    show.warnings_to_stderr()
    examination = Examination()
    try:
        accounts = accounts_of()
        names = account.chosen(accounts)
    except ConfigError as error:
        accounts, names = None, ()
        examination.fail("settings", error)
    for name in names:
        if accounts and accounts.several:
            show.line(f"account {name}")
        with account.acting_for(name):
            _examine_account(examination)
    if accounts and accounts.several:
        show.line("all accounts")
    examination.check("database", _database)
    examination.check("migrations", _migrations, needs="database")
    if accounts and accounts.several:
        examination.check("shared", _shared_projects, needs="migrations")
    return examination.exit_code


def _examine_account(examination: Examination) -> None:
    examination.begin()
    check = examination.check

    def credentials() -> str:
        examination.api = account.api_settings()
        exposed = accounts_of().open_secret_files()
        warning = f" — every user of this machine may read {', '.join(exposed)}: chmod 600" if exposed else ""
        return f"token of 30 characters and secret are set, for {examination.api.base_url}{warning}"

    def settings() -> ApiSettings:
        assert examination.api is not None  # noqa: S101 - `credentials` came first, or this is not run
        return examination.api

    def signature() -> str:
        with Client(settings(), ONE_TRY) as client:
            examination.answer = DataApi(client).balances()
        return "our signature was accepted, the platform's verified"

    def answer() -> Answer:
        assert examination.answer is not None  # noqa: S101 - `signature` came first, or this is not run
        return examination.answer

    check("settings", _settings)
    check("credentials", credentials)
    check("connection", lambda: _connection(settings()), needs="credentials")
    check("signature", signature, needs="connection")
    check("clock", lambda: _clock(answer()), needs="signature")
    check("balances", lambda: f"{len(answer().document['balance'])} visible", needs="signature")
    check("projects", lambda: _projects(settings()), needs="signature")


def _settings() -> str:
    settings = account.settings()
    return (
        f"account {settings.account}, first day {settings.first_day}, look-back {settings.look_back_days} days, "
        f"personal data: {settings.personal.mode}"
    )


def _connection(settings: ApiSettings) -> str:
    parts = urlsplit(settings.base_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT) as plain:
            if parts.scheme == "http":
                return f"{host}:{port} answers, without TLS (a loopback address)"
            with tls_context().wrap_socket(plain, server_hostname=host) as secure:
                return f"{host}:{port} answers, {secure.version()}, certificate verified"
    except ssl.SSLError as error:
        raise SyncError(
            f"{host}:{port}: TLS failed: {error.reason} — a proxy that opens TLS, or a wrong host?"
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SyncError(f"{host}:{port}: {reason} — check DATA_API_BASE_URL, DNS, firewall and proxy.") from None


def _clock(answer: Answer) -> str:
    if answer.server_time is None:
        return "the platform's answer tells no time"
    apart = abs(answer.received_at - answer.server_time)
    if apart > CLOCK_TOLERANCE:
        raise SyncError(f"this machine's clock is {apart.total_seconds():.0f} s off the platform's: set up time sync.")
    return f"within {max(1, round(apart.total_seconds()))} s of the platform's"


def _projects(settings: ApiSettings) -> str:
    last = datetime.now(UTC).replace(microsecond=0)
    with Client(settings, ONE_TRY) as client:
        rows = DataApi(client).operations(last - SAMPLE, last, offset=0).document["operations"]
    projects = sorted({str(row.get("project_id")) for row in rows if isinstance(row, dict)})
    if not projects:
        return f"no operation in the last {SAMPLE.days} days: nothing to tell the visible projects from"
    return f"{', '.join(projects)} (in the first {len(rows)} operations of the last {SAMPLE.days} days)"


def _database() -> str:
    url = database_url()
    with open_warehouse(url, read_only=True) as store:
        (row,) = store.query("cli/admin/server")
        kind = "embedded PostgreSQL" if url is None else "PostgreSQL"
        return f"{kind} {row.version}, {store.place()}, role {row.role}"


def _migrations() -> str:
    with open_warehouse(database_url(), read_only=True) as store:
        try:
            check_migrated(store)
        except NotMigrated as error:
            (row,) = store.query("cli/admin/server")
            if not row.may_create:
                raise ConfigError(
                    f"role {row.role} may not create schemas in {store.place()}: grant CREATE on the database."
                ) from None
            if not error.is_empty:
                raise
            return "not yet made: the first load makes the tables"
        return "up to date"


def _shared_projects() -> str:
    with open_warehouse(database_url(), read_only=True) as store:
        found = shared_projects(store)
    return "; ".join(map(str, found)) or "no project is seen by several accounts"
