"""Commands that look at the installation: `status`, `doctor` and `database`. None changes what is stored."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import typer

from pipelines.cli import console
from pipelines.cli.accounts import AllAccounts, chosen_names, migrated_warehouse, reading_warehouse
from pipelines.cli.console import AsJson
from resources.accounts import Accounts, accounts_of
from resources.config_file import unknown_names, what_was_meant
from resources.errors import ConfigError, SyncError
from resources.settings import ApiSettings, alert_settings, database_url, report_dir, report_settings, role_prefix
from resources.warehouse.engine import Warehouse, open_warehouse
from resources.warehouse.migrate import NotMigrated, check_migrated, is_migrated
from resources.warehouse.reference import check_account, examine_zone

if TYPE_CHECKING:
    from pipelines.marts import SharedProject
    from resources.data_api.client import Answer, Client
    from resources.data_api.clock import PlatformClock

app = typer.Typer()

LAST_RUNS = 8
EMPTY = "The store is empty: load days with `ecommpay-sync operations --from DAY --to DAY`."
SAMPLE = timedelta(days=30)


@app.command()
def status(account: AllAccounts = None, *, as_json: AsJson = False) -> None:
    """Show what is in the store, how complete it is, and the last runs."""
    accounts = accounts_of()
    names = chosen_names(accounts, account)
    only = names[0] if accounts.several and len(names) == 1 else None
    try:
        with reading_warehouse() as store:
            place, found = store.place(), _state_of(store, only)
    except NotMigrated as error:
        if not error.is_empty:
            raise
        if as_json:
            console.document({"warehouse": None})
        else:
            console.line(EMPTY)
        return
    if as_json:
        console.document({"warehouse": place, **found})
        return
    console.line(f"Warehouse: {place}")
    console.line()
    _print_store(found["store"])
    _print_shared_projects(found["shared_projects"])
    if found["unnamed_account"]:
        console.line(found["unnamed_account"])
        console.line()
    _print_documents(found["documents"])
    _print_coverage(found["coverage"], found["holes"])
    _print_balances(found["balances"])
    _print_rejects(found["rejects"])
    _print_requests_in_flight(found["requests_in_flight"])
    _print_runs(found["runs"], several=accounts.several)


def _state_of(store: Warehouse, only: str | None) -> dict[str, Any]:
    """Return the rows of each part of the state; of one account, where it is named."""
    from pipelines.marts import shared_projects

    def of_account(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if only is None or row.account == only]

    stored = store.query("cli/status/store")
    shared = shared_projects(store) if len(stored) > 1 else ()
    return {
        "store": of_account(stored),
        "unnamed_account": _unnamed_account(store),
        "shared_projects": [project for project in shared if only is None or only in project.accounts],
        "documents": of_account(store.query("cli/status/documents")),
        "coverage": of_account(store.query("cli/status/coverage")),
        "holes": of_account(store.query("cli/status/holes")),
        "balances": of_account(store.query("cli/status/last_balances")),
        "rejects": of_account(store.query("cli/status/rejects")),
        "requests_in_flight": of_account(store.query("cli/status/requests_in_flight")),
        "runs": store.query("cli/status/runs", most=LAST_RUNS, account=only),
    }


@app.command()
def database() -> None:
    """Say where the warehouse is; keep the embedded PostgreSQL running until Ctrl-C, and print its URL."""
    url = database_url()
    with migrated_warehouse() as store:
        console.line(store.url if url is None else f"{store.place()} (the whole URL is in DATABASE_URL)")
        if url is None:
            console.line("the embedded PostgreSQL runs until Ctrl-C")
            with suppress(KeyboardInterrupt):
                while True:
                    time.sleep(3600)


def _print_store(stored: Sequence[Any]) -> None:
    columns = ("account", "operations", "first completed", "last completed", "last change seen")
    rows = _cells(stored, "account", "operations", "first_completed", "last_completed", "last_observed")
    if rows:
        console.table("Store (times in UTC)", columns, rows, ("operations",))
    else:
        console.line(EMPTY)
        console.line()


def _cells(rows: Sequence[Any], *names: str) -> list[tuple[str, ...]]:
    """Return these columns of rows as a person reads them: a number by its thousands, a time to the second."""

    def cell(value: Any) -> str:
        if value is None or isinstance(value, datetime):
            return _time(value)
        return f"{value:,}" if isinstance(value, int) else str(value)

    return [tuple(cell(getattr(row, name)) for name in names) for row in rows]


def _unnamed_account(store: Warehouse) -> str | None:
    """Return what to do where the warehouse is another account's than the one that is set; None: it is not."""
    try:
        with store.transaction() as connection:
            check_account(connection)
    except ConfigError as error:
        return str(error)
    return None


def _print_documents(documents: Sequence[Any]) -> None:
    rows = _cells(documents, "account", "stream", "documents", "last_changed", "last_walked")
    if rows:
        columns = ("account", "stream", "documents", "last change seen", "last walked")
        named = [(account, stream.removeprefix("documents:"), *others) for account, stream, *others in rows]
        console.table("Documents (core.documents)", columns, named, ("documents",))


def _print_coverage(coverage: Sequence[Any], holes: Sequence[Any]) -> None:
    if coverage:
        rows = _cells(coverage, "account", "covered_from", "covered_to")
        console.table("Shown complete, without a hole", ("account", "from", "to"), rows)
    if holes:
        missing = _cells(holes, "account", "stream", "hole_from", "hole_to")
        console.table("HOLES: not walked, or not shown complete", ("account", "what", "from", "to"), missing)


def _print_balances(balances: Sequence[Any]) -> None:
    from resources.currencies import major_units

    moments = {row.captured_at for row in balances}
    differ = len(moments) > 1  # each account has a snapshot of its own moment
    rows = [
        (
            row.account,
            row.balance_name,
            row.currency,
            major_units(row.amount_minor, row.currency),
            *([_time(row.captured_at)] if differ else []),
        )
        for row in balances
    ]
    if rows:
        title = "Balances (times in UTC)" if differ else f"Balances at {_time(*moments)} UTC"
        columns = ("account", "balance", "currency", "amount", *(["at"] if differ else []))
        console.table(title, columns, rows, ("amount",))


def _print_rejects(rejects: Sequence[Any]) -> None:
    if rejects:
        rows = _cells(rejects, "stream", "reason", "rows", "last_seen_at")
        console.table("Not typed: core.rejects", ("stream", "reason", "rows", "last seen"), rows, ("rows",))


def _print_requests_in_flight(processes: Sequence[Any]) -> None:
    rows = [
        (row.account, row.in_flight_limit, "at work" if row.is_at_work else "ended", _time(row.seen_at))
        for row in processes
    ]
    if rows:
        columns = ("account", "at once", "process", "last seen")
        console.table("Requests in flight, as found", columns, rows, ("at once",))


def _print_runs(runs: Sequence[Any], *, several: bool) -> None:
    rows = [
        (
            row.run_id,
            *([row.account] if several else []),
            row.stream,
            f"{row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else "",
            _time(row.started_at),
            row.state,
            row.message or "",
        )
        for row in runs
    ]
    if rows:
        columns = ("run", *(["account"] if several else []), "what", "days", "started", "state", "why")
        console.table("Last runs", columns, rows, ("run",))


def _print_shared_projects(projects: Sequence[SharedProject]) -> None:
    rows = [
        (project.project_id, sight.account, f"{sight.operations:,}", sight.verdict, project.advice)
        for project in projects
        for sight in project.sights
    ]
    if rows:
        columns = ("project", "account", "operations", "in the marts", "what to do")
        console.table("PROJECTS SEEN BY SEVERAL ACCOUNTS", columns, rows, ("operations",))


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "—"


@dataclass
class Examination:
    """The checks so far; the worst of them decides the exit code."""

    prints: bool = True
    exit_code: int = 0
    account: str | None = None  # None: the check is about all accounts
    checks: list[dict[str, str | None]] = field(default_factory=list)
    api: ApiSettings | None = None
    answer: Answer | None = None
    clock: PlatformClock | None = None
    _failed: set[str] = field(default_factory=set)

    def begin(self, account: str | None, heading: str | None) -> None:
        """Begin with another account, or with what is about all; the exit code stays."""
        self._failed.clear()
        self.account = account
        if heading and self.prints:
            console.line(heading)

    def check(self, name: str, examine: Callable[[], str], *, needs: str | None = None) -> None:
        """Run one check and print its line; skip it when what it needs has failed."""
        if needs in self._failed:
            self._failed.add(name)
            self._add(name, "–", "skipped", f"not checked: {needs} first")
            return
        try:
            self._add(name, "ok", "ok", examine())
        except SyncError as error:
            self._failed.add(name)
            self.exit_code = max(self.exit_code, error.exit_code)
            self._add(name, "FAIL", "failed", str(error))

    def _add(self, name: str, sign: str, state: str, text: str) -> None:
        self.checks.append({"account": self.account, "check": name, "state": state, "text": text})
        if self.prints:
            console.line(f"{sign:<5} {name:<14} {text}")


@app.command()
def doctor(account: AllAccounts = None, *, as_json: AsJson = False) -> None:
    """Check configuration, platform, signature and database, one line each."""
    sys.exit(examine_installation(account, as_json=as_json))


def examine_installation(account: str | None, *, as_json: bool = False) -> int:
    """Run and print the checks of `doctor`; the exit code is the worst of theirs."""
    from pipelines.marts import shared_projects

    console.warnings_to_stderr()
    accounts = accounts_of()
    examination = Examination(prints=not as_json)
    for name in chosen_names(accounts, account):
        examination.begin(name, f"account {name}" if accounts.several else None)
        _examine_account(examination, accounts, name)
    examination.begin(None, "all accounts" if accounts.several else None)
    examination.check("database", _database)
    examination.check("migrations", _migrations, needs="database")
    examination.check("zone", _zone, needs="migrations")

    def shared() -> str:
        with open_warehouse(database_url(), read_only=True) as store:
            return "; ".join(map(str, shared_projects(store))) or "no project is seen by several accounts"

    if accounts.several:
        examination.check("shared", shared, needs="migrations")
    if as_json:
        console.document({"checks": examination.checks, "exit_code": examination.exit_code})
    return examination.exit_code


def _examine_account(examination: Examination, accounts: Accounts, name: str) -> None:
    check = examination.check

    def settings() -> str:
        from pipelines.reconciliation.ledger_import import files_at_rest

        found = accounts.settings(name)
        # else only a night or an alert would meet what is wrong
        for read in (alert_settings, role_prefix, report_dir, report_settings):
            read()
        if found.ledger_inbox:
            files_at_rest(found.ledger_inbox, found.account)
        unknown = "".join(f" — {what_was_meant(*name)}" for name in unknown_names())
        return (
            f"account {found.account}, first day {found.first_day}, look-back {found.look_back_days} days, "
            f"personal data: {found.personal.mode}{unknown}"
        )

    def credentials() -> str:
        examination.api = accounts.api_settings(name)
        exposed = accounts.open_secret_files()
        warning = f" — every user of this machine may read {', '.join(exposed)}: chmod 600" if exposed else ""
        return f"token of 30 characters and secret are set, for {examination.api.base_url}{warning}"

    def api() -> ApiSettings:
        assert examination.api is not None  # noqa: S101 - `credentials` came first, or this is not run
        return examination.api

    def signature() -> str:
        from resources.data_api.endpoints import DataApi

        with _client(api()) as client:
            examination.clock = client.clock
            examination.answer = DataApi(client).balances()
        return "our signature was accepted, the platform's verified"

    def answer() -> Answer:
        assert examination.answer is not None  # noqa: S101 - `signature` came first, or this is not run
        return examination.answer

    check("settings", settings)
    check("credentials", credentials)
    check("connection", lambda: _connection(api()), needs="credentials")
    check("signature", signature, needs="connection")
    check("clock", lambda: _clock(examination.clock), needs="signature")
    check("balances", lambda: f"{len(answer().document['balance'])} visible", needs="signature")
    check("projects", lambda: _projects(api()), needs="signature")


def _client(settings: ApiSettings) -> Client:
    from resources.data_api.client import Client
    from resources.data_api.retry import RetryPolicy

    return Client(settings, RetryPolicy(attempts=2, deadline=30.0, never_answered_deadline=5.0))


def _connection(settings: ApiSettings) -> str:
    with _client(settings) as client:
        return client.probe()


def _clock(clock: PlatformClock | None) -> str:
    from resources.data_api.clock import TOLERANCE

    if clock is None or not clock.is_known:
        return "the platform's answer tells no time"
    clock.assert_near()
    return f"within {TOLERANCE:.0f} s of the platform's"


def _projects(settings: ApiSettings) -> str:
    from resources.data_api.endpoints import DataApi

    last = datetime.now(UTC).replace(microsecond=0)
    with _client(settings) as client:
        rows = DataApi(client).operations(last - SAMPLE, last, offset=0).document["operations"]
    projects = sorted({str(row.get("project_id")) for row in rows if isinstance(row, dict)})
    if not projects:
        return f"no operation in the last {SAMPLE.days} days: nothing to tell the visible projects from"
    return f"{', '.join(projects)} (in the first {len(rows)} operations of the last {SAMPLE.days} days)"


def _database() -> str:
    url = database_url()
    with open_warehouse(url, read_only=True) as store:
        (row,) = store.query("cli/status/server")
        kind = "embedded PostgreSQL" if url is None else "PostgreSQL"
        return f"{kind} {row.version}, {store.place()}, role {row.role}"


def _migrations() -> str:
    with open_warehouse(database_url(), read_only=True) as store:
        try:
            check_migrated(store)
        except NotMigrated as error:
            (row,) = store.query("cli/status/server")
            if not row.may_create:
                raise ConfigError(
                    f"role {row.role} may not create schemas in {store.place()}: grant CREATE on the database."
                ) from None
            if not error.is_empty:
                raise
            return "not yet made: the first load makes the tables"
        return "up to date"


def _zone() -> str:
    with open_warehouse(database_url(), read_only=True) as store:
        ready = is_migrated(store)
        with store.transaction() as connection:
            return examine_zone(connection, is_migrated=ready)
