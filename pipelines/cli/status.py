"""Commands that look at the installation: `status`, `doctor` and `database`. None changes what is stored."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from pipelines.cli import console
from pipelines.cli.accounts import explained, migrated_warehouse, reading_warehouse
from pipelines.cli.console import AllAccounts, AsJson
from pipelines.cli.dagster_runs import dagster_home
from resources.accounts import Accounts, accounts_of
from resources.config_file import unknown_names, what_was_meant
from resources.errors import ConfigError
from resources.output import Column
from resources.settings import (
    ApiSettings,
    alert_settings,
    database_url,
    ledger_mappings,
    report_dir,
    report_settings,
    role_prefix,
)
from resources.warehouse.engine import Warehouse, open_warehouse
from resources.warehouse.migrate import NotMigrated, check_migrated, is_migrated
from resources.warehouse.reference import check_account, examine_zone

if TYPE_CHECKING:
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
    name = accounts.named(account).name if account is not None else None
    only = name if accounts.several else None
    try:
        with reading_warehouse() as store:
            found = {"warehouse": store.place(), **_state_of(store, only)}
    except NotMigrated as error:
        if not error.is_empty:
            raise
        if as_json:
            console.document({"warehouse": None})
        else:
            console.line(EMPTY)
        return
    if as_json:
        console.document(found)
        return
    _print_state(found, several=accounts.several)


def _state_of(store: Warehouse, only: str | None) -> dict[str, Any]:
    """Return the rows of each part of the state; of one account, where it is named."""
    from pipelines.marts import shared_projects

    def of_account(rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if only is None or row.account == only]

    unnamed = None
    try:
        with store.transaction() as connection:
            check_account(connection)
    except ConfigError as error:  # the warehouse is another account's than the one that is set
        unnamed = str(error)
    stored = store.query("cli/status/store")
    shared = shared_projects(store) if len(stored) > 1 else ()
    return {
        "store": of_account(stored),
        "unnamed_account": unnamed,
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
                threading.Event().wait()


def _print_state(found: Mapping[str, Any], *, several: bool) -> None:
    """Print a table of each part of the state that has rows."""
    table = partial(console.table, none="—")
    console.line(f"Warehouse: {found['warehouse']}")
    console.line()
    if not found["store"]:
        console.line(EMPTY)
        console.line()
    table(
        "Store (times in UTC)",
        found["store"],
        {"account": "account", ">operations": console.count("operations"), "first completed": "first_completed"},
        {"last completed": "last_completed", "last change seen": "last_observed"},
    )
    table(
        "PROJECTS SEEN BY SEVERAL ACCOUNTS",
        [(project, sight) for project in found["shared_projects"] for sight in project.sights],
        {
            "project": lambda seen: seen[0].project_id,
            "account": lambda seen: seen[1].account,
            ">operations": lambda seen: f"{seen[1].operations:,}",
            "in the marts": lambda seen: seen[1].verdict,
            "what to do": lambda seen: seen[0].advice,
        },
    )
    if found["unnamed_account"]:
        console.line(found["unnamed_account"])
        console.line()
    table(
        "Documents (core.documents)",
        found["documents"],
        {"account": "account", "stream": lambda row: row.stream.removeprefix("documents:")},
        {">documents": console.count("documents"), "last change seen": "last_changed", "last walked": "last_walked"},
    )
    covered = {"account": "account", "from": "covered_from", "to": "covered_to"}
    table("Shown complete, without a hole", found["coverage"], covered)
    holes = {"account": "account", "what": "stream", "from": "hole_from", "to": "hole_to"}
    table("HOLES: not walked, or not shown complete", found["holes"], holes)
    moments = {row.captured_at for row in found["balances"]}
    differ = len(moments) > 1  # each account has a snapshot of its own moment
    at = " (times in UTC)" if differ else "".join(f" at {moment:%Y-%m-%d %H:%M:%S} UTC" for moment in moments)
    amounts: dict[str, Column] = {"account": "account", "balance": "balance_name", "currency": "currency"}
    amounts |= {">amount": console.money()} | ({"at": "captured_at"} if differ else {})
    table(f"Balances{at}", found["balances"], amounts)
    rejects = {"stream": "stream", "reason": "reason", ">rows": console.count("rows"), "last seen": "last_seen_at"}
    table("Not typed: core.rejects", found["rejects"], rejects)
    table(
        "Requests in flight, as found",
        found["requests_in_flight"],
        {"account": "account", ">at once": "in_flight_limit"},
        {"process": lambda row: "at work" if row.is_at_work else "ended", "last seen": "seen_at"},
    )
    table(
        "Last runs",
        found["runs"],
        {">run": "run_id"} | ({"account": "account"} if several else {}) | {"what": "stream"},
        {
            "days": lambda row: (
                f"{row.interval_from:%Y-%m-%d} to {row.interval_to:%Y-%m-%d}" if row.interval_from else ""
            )
        },
        {"started": "started_at", "state": "state", "why": lambda row: row.message or ""},
    )


@dataclass
class Examination:
    """The checks so far; the worst of them decides the exit code."""

    prints: bool = True
    exit_code: int = 0
    account: str | None = None  # None: the check is about all accounts
    checks: list[dict[str, str | None]] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)
    # what a check found, for those that need it
    api: ApiSettings = field(init=False)
    answer: Answer = field(init=False)
    clock: PlatformClock = field(init=False)

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
        except Exception as error:  # noqa: BLE001 - whatever it was, the other checks are of use
            text, exit_code = explained(error)
            self._failed.add(name)
            self.exit_code = max(self.exit_code, exit_code)
            self._add(name, "FAIL", "failed", text)

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
    for name in accounts.names if account is None else (accounts.named(account).name,):
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
        for read in (alert_settings, role_prefix, report_dir, report_settings, ledger_mappings, dagster_home):
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

    def signature() -> str:
        from resources.data_api.endpoints import DataApi

        with _client(examination.api) as client:
            examination.clock = client.clock
            examination.answer = DataApi(client).balances()
        return "our signature was accepted, the platform's verified"

    check("settings", settings)
    check("credentials", credentials)
    check("connection", lambda: _connection(examination.api), needs="credentials")
    check("signature", signature, needs="connection")
    check("clock", lambda: _clock(examination.clock), needs="signature")
    check("balances", lambda: f"{len(examination.answer.document['balance'])} visible", needs="signature")
    check("projects", lambda: _projects(examination.api), needs="signature")


def _client(settings: ApiSettings) -> Client:
    from resources.data_api.client import Client
    from resources.data_api.retry import RetryPolicy

    return Client(settings, RetryPolicy(attempts=2, deadline=30.0, never_answered_deadline=5.0))


def _connection(settings: ApiSettings) -> str:
    with _client(settings) as client:
        return client.probe()


def _clock(clock: PlatformClock) -> str:
    from resources.data_api.clock import TOLERANCE

    if not clock.is_known:
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
    with open_warehouse(url) as store:  # as a load does: what is read-only is refused
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
