"""Whatever is done to a warehouse, in whatever order: after every step it keeps what design.md promises.

A real PostgreSQL, a real sandbox over HTTP, everything in this process. Longer: STATE_MACHINE_EXAMPLES=50.
"""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from datetime import date, timedelta
from functools import partial

from conftest import create_database, drop_database, url_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from fixtures.commands import client_of, fetch_all, same
from pipelines.audit.replay import Replayer
from pipelines.erasure import erase
from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.privacy import PERSONAL_COLUMNS
from pipelines.reconciliation.close import Sealed, close_day, reopen_day, sealed_document
from pipelines.reconciliation.ledger_import import import_ledger
from pipelines.reconciliation.matching import reconcile_ledger
from pipelines.reconciliation.reconcile import prove_completeness
from resources.currencies import exponent_of
from resources.data_api.endpoints import DataApi
from resources.errors import ConfigError, Incomplete
from resources.sandbox import DEMO_SECRET, SandboxServer, World
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse
from resources.warehouse.reference import apply_settings, settings_in_force

FIRST = date(2024, 3, 4)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
ACCOUNTS = ["default", "second"]
FIELDS = (
    *("operation_id", "payment_id", "operation_type", "operation_status", "operation_completed_at"),
    *("sum_initial.amount", "sum_initial.currency", "customer_id", "customer_email", "customer_ip"),
)
a_day = st.sampled_from(DAYS)
an_account = st.sampled_from(ACCOUNTS)


class Life(RuleBasedStateMachine):
    """One warehouse of two accounts, and what must be in it."""

    def __init__(self, server_url: str, template: str, folder) -> None:
        super().__init__()
        self.folder = folder
        self.stack = ExitStack()
        name = f"ecommpay_life_{os.urandom(6).hex()}"
        create_database(server_url, name, template)
        self.stack.callback(drop_database, server_url, name)
        self.store = self.stack.enter_context(Warehouse(url_of(server_url, name)))
        self.known: dict[tuple[str, str], dict] = {}  # by account and operation: as the platform had it
        self.erased: dict[tuple[str, str], str] = {}  # whose operations hold nothing of them
        self.sealed: dict[tuple[str, date], str] = {}
        self.entries = 0

    def teardown(self) -> None:
        with self.stack:
            for account in ACCOUNTS:
                self.replay(account)

    @initialize(seed=st.integers(0, 3))
    def begin(self, seed) -> None:
        self.worlds = {
            account: World.generate(
                seed=seed + 10 * number, start=str(FIRST), days=4, operations=40, now="2024-03-20T00:00:00"
            )
            for number, account in enumerate(ACCOUNTS)
        }
        self.sandboxes = {name: self.stack.enter_context(SandboxServer(world)) for name, world in self.worlds.items()}
        self.load("default", DAYS[0], 4)

    def settings(self, account: str) -> SyncSettings:
        return settings_in_force(self.store, SyncSettings(account=account, fields=FIELDS))

    @rule(account=an_account, first=a_day, days=st.integers(1, 4))
    def load(self, account, first, days) -> None:
        last = min(first + timedelta(days=days - 1), DAYS[-1])
        with client_of(self.sandboxes[account].url) as client:
            sync(OPERATIONS, SyncRequest(first, last), DataApi(client), self.store, self.settings(account))
        end = last + timedelta(days=1)
        for row in self.worlds[account].truth(None, f"{first} 00:00:00", f"{end} 00:00:00"):
            self.known[account, row["operation_id"]] = row
            self.erased.pop((account, row["operation_id"]), None)  # what the platform still holds comes back

    @rule(account=an_account, seconds=st.sampled_from([60, 3_600, 86_400]))
    def time_passes(self, account, seconds) -> None:
        self.worlds[account].advance(seconds)

    @rule(account=an_account)
    def repair(self, account) -> None:
        """A row is altered behind our back; replay finds it and puts it back, if its pages are untouched."""
        keys = sorted(key for name, key in self.known if name == account)
        if not keys or self.erased:
            return
        fetch_all(
            self.store,
            "UPDATE core.operations SET operation_status = 'forged' WHERE account = :account AND operation_id = :key "
            "RETURNING 1",
            account=account,
            key=keys[0],
        )
        replayer = Replayer(self.store, account, DEMO_SECRET)
        found = replayer.replay(DAYS[0], DAYS[-1], lambda _: None)
        assert found.damaged == {"operations": {keys[0]}}
        assert replayer.repair(found.damaged).impossible == ()

    @rule(account=an_account, number=st.integers(0, 30))
    def erase(self, account, number) -> None:
        people = fetch_all(
            self.store,
            "SELECT DISTINCT customer_id FROM core.operations "
            "WHERE account = :account AND customer_id <> '' ORDER BY customer_id",
            account=account,
        )
        if people:
            person = people[number % len(people)]["customer_id"]
            of_person = fetch_all(
                self.store,
                "SELECT operation_id FROM core.operations WHERE account = :account AND customer_id = :person",
                account=account,
                person=person,
            )
            erase(self.store, account, person)
            self.erased |= {(account, row["operation_id"]): person for row in of_person}

    @rule(day=a_day, amount=st.integers(1, 10_000))
    def import_books(self, day, amount) -> None:
        self.entries += 1
        path = self.folder / f"books{self.entries}.csv"
        entry = f"e{self.entries},{day}T12:00:00Z,sale,EUR,{amount}"
        path.write_text(f"entry_id,booked_at,operation_type,currency,amount_minor\n{entry}\n")
        for new in (1, 0):
            assert import_ledger(self.store, "default", path, "UTC", exponent_of).rows_new == new

    @rule(account=an_account, day=a_day)
    def reconcile(self, account, day) -> None:
        with client_of(self.sandboxes[account].url) as client, suppress(Incomplete, ConfigError):
            prove_completeness(DataApi(client), self.store, self.settings(account), day)
            reconcile_ledger(self.store, account, day, 120)

    @rule(day=a_day)
    def close(self, day) -> None:
        if ("default", day) in self.sealed:
            return
        self.reconcile("default", day)
        with suppress(Incomplete, ConfigError):
            for person in ("Ann", "Bob"):
                done = close_day(self.store, "default", day, by=person, with_open_breaks=True)
            if isinstance(done, Sealed):
                self.sealed["default", day] = done.document

    @rule(number=st.integers(0, 3))
    def reopen(self, number) -> None:
        if self.sealed:
            account, day = sorted(self.sealed)[number % len(self.sealed)]
            reopen_day(self.store, account, day, by="Ann", reason="a late invoice")
            del self.sealed[account, day]

    @rule(zone=st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]))
    def change_zone(self, zone) -> None:
        apply_settings(self.store, {"SYNC_REPORTING_ZONE": zone})

    # after every step

    @invariant()
    def the_chain_is_whole(self) -> None:
        assert self.store.query("warehouse/ledger/verify", account=None) == []

    @invariant()
    def totals_equal_the_ledger(self) -> None:
        wrong = fetch_all(
            self.store,
            "SELECT window_id FROM sync.windows WHERE totals_written <> sync.written_totals(window_id)",
        )
        assert wrong == []

    @invariant()
    def the_core_is_what_the_platform_had(self) -> None:
        stored = {
            (row["account"], row["operation_id"]): row for row in fetch_all(self.store, "SELECT * FROM core.operations")
        }
        assert stored.keys() == self.known.keys()
        requested = {name.partition(".")[0] for name in FIELDS}
        for key, truth in self.known.items():
            hidden = PERSONAL_COLUMNS if key in self.erased else frozenset()
            row = {name: value for name, value in truth.items() if name in requested - hidden}
            row.setdefault("sum_initial", truth.get("sum_initial"))
            assert same(row | {"sum_converted": {}}, stored[key])

    @invariant()
    def nothing_of_an_erased_person_is_left(self) -> None:
        for (account, key), person in self.erased.items():
            rows = fetch_all(
                self.store,
                "SELECT to_jsonb(o) AS row FROM core.operations o WHERE account = :account AND operation_id = :key "
                "UNION ALL SELECT to_jsonb(v) FROM core.operation_versions v "
                "WHERE account = :account AND operation_id = :key",
                account=account,
                key=key,
            )
            assert all(json.dumps(person) not in json.dumps(row["row"]) for row in rows)

    @invariant()
    def a_sealed_day_stays_the_same_to_the_byte(self) -> None:
        for (account, day), document in self.sealed.items():
            sealed = sealed_document(self.store, account, day)
            assert sealed is not None
            assert sealed.document == document

    @rule(account=an_account)
    def replay(self, account) -> None:
        result = Replayer(self.store, account, DEMO_SECRET).replay(DAYS[0], DAYS[-1], lambda _: None)
        assert result.problems == []


def test_whatever_is_done_to_a_warehouse_every_promise_holds_after_every_step(server_url, template, tmp_path):
    examples = int(os.environ.get("STATE_MACHINE_EXAMPLES", "3"))
    run_state_machine_as_test(
        partial(Life, server_url, template, tmp_path),
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            derandomize=examples == 3,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
