"""`doctor`: is everything in place for a night? One line for each check, with what to do where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pipelines.cli import account, show
from pipelines.marts.projects import shared_projects
from pipelines.resources import open_warehouse
from resources.accounts import accounts_of
from resources.data_api.client import Answer, Client
from resources.data_api.clock import TOLERANCE, PlatformClock
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import ConfigError, SyncError
from resources.settings import ApiSettings, database_url, unknown_names, what_was_meant
from resources.warehouse.migrate import migrate

ONE_TRY = RetryPolicy(attempts=2, deadline=30.0, never_answered_deadline=5.0)
SAMPLE = timedelta(days=30)


@dataclass
class Examination:
    """The checks so far; the worst of them decides the exit code."""

    exit_code: int = 0
    api: ApiSettings | None = None
    answer: Answer | None = None
    clock: PlatformClock = field(default_factory=PlatformClock)
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

    def connection() -> str:
        with Client(settings(), ONE_TRY) as client:
            return client.probe()

    def signature() -> str:
        with Client(settings(), ONE_TRY) as client:
            examination.clock = client.clock
            examination.answer = DataApi(client).balances()
        return "our signature was accepted, the platform's verified"

    def answer() -> Answer:
        assert examination.answer is not None  # noqa: S101 - `signature` came first, or this is not run
        return examination.answer

    check("settings", _settings)
    check("credentials", credentials)
    check("connection", connection, needs="credentials")
    check("signature", signature, needs="connection")
    check("clock", lambda: _clock(examination.clock), needs="signature")
    check("balances", lambda: f"{len(answer().document['balance'])} visible", needs="signature")
    check("projects", lambda: _projects(settings()), needs="signature")


def _settings() -> str:
    settings = account.settings()
    unknown = "".join(f" — {what_was_meant(*name)}" for name in unknown_names())
    return (
        f"account {settings.account}, first day {settings.first_day}, look-back {settings.look_back_days} days, "
        f"personal data: {settings.personal.mode}{unknown}"
    )


def _clock(clock: PlatformClock) -> str:
    clock.assert_near()
    if not clock.is_known:
        return "the platform's answer tells no time"
    return f"within {TOLERANCE:.0f} s of the platform's"


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
    with open_warehouse(url) as store:
        (row,) = store.query("cli/admin/server")
        if not row.may_create:
            raise ConfigError(
                f"role {row.role} may not create schemas in {store.place()}: grant CREATE on the database."
            )
        kind = "embedded PostgreSQL" if url is None else "PostgreSQL"
        return f"{kind} {row.version}, {store.place()}, role {row.role}"


def _migrations() -> str:
    with open_warehouse(database_url()) as store:
        applied = migrate(store)
        return f"applied now: {', '.join(applied)}" if applied else "up to date"


def _shared_projects() -> str:
    with open_warehouse(database_url()) as store:
        found = shared_projects(store)
    return "; ".join(map(str, found)) or "no project is seen by several accounts"
