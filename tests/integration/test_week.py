"""A week of nights on a moving clock: faults, late rows, a missed night, a new token, a database outage.

It ends complete and exact, and every alert on the way is explained by what was done to it; nothing else is told.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from fixtures.commands import SETTINGS, client_of, differences, execute, fetch_all
from fixtures.receivers import webhook
from pipelines.alerts.conditions import DagsterFacts, evaluate
from pipelines.alerts.notifications import Outage, begin_outage, end_outage, notify
from pipelines.ingest.engine import SyncRequest
from pipelines.ingest.engine import sync as load_stream
from pipelines.ingest.operations import OPERATIONS
from pipelines.nights import night_at
from resources.channels import WebhookChannel
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import SyncError, WarehouseUnavailable
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, Faults, SandboxServer, World
from resources.settings import AlertSettings, Secret
from resources.warehouse.engine import Warehouse

NIGHTS = 8
TODAY = datetime.now(UTC).date()
FIRST_NIGHT = TODAY - timedelta(days=NIGHTS - 1)  # the last night is today's: the engine's own clock cannot be moved
FIRST_DAY = FIRST_NIGHT - timedelta(days=4)
PATIENT = RetryPolicy(attempts=40, first_wait=0.001, longest_wait=0.01, bad_signature_attempts=20)
NEW_TOKEN = "SANDBOXnewTOKENmadeUp000000002"
FAULTS = {
    **dict.fromkeys(("http_500", "cut", "broken_json", "tampered_value", "short_page", "empty_page", "html_502"), 0.03),
    "http_429": (0.03, 0.01),
}


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


class Week:
    """The sandbox, the warehouse and the webhook of one simulated week."""

    def __init__(self, sandbox, store, url, hook):
        self.sandbox, self.store, self.url, self.hook = sandbox, store, url, hook
        self.token = DEMO_TOKEN
        self.outage = Outage()
        self.seen = 0

    def go_to(self, moment: datetime) -> None:
        self.sandbox.world.set_now(moment.replace(tzinfo=None).isoformat())
        self.now = moment

    def night(self, day: date, store: Warehouse | None = None) -> bool:
        """The nightly run of `day` at 03:30; True when it is complete."""
        self.go_to(at(day, 3, 30))
        night = night_at(self.now, SETTINGS)
        before = self._last_run()
        with client_of(self.sandbox.url, self.token, DEMO_SECRET, PATIENT) as client:
            try:
                load_stream(
                    OPERATIONS,
                    SyncRequest(night.first_day, night.last_day),
                    DataApi(client),
                    store or self.store,
                    SETTINGS,
                )
            except SyncError:
                complete = False
            else:
                complete = True
        # the database's own clock cannot be moved: the run is dated back to the night it stands for
        execute(
            self.store,
            f"UPDATE sync.runs SET started_at = '{self.now}', finished_at = '{self.now + timedelta(minutes=5)}' "
            f"WHERE run_id > {before}",
        )
        return complete

    def _last_run(self) -> int:
        return fetch_all(self.store, "SELECT coalesce(max(run_id), 0) AS last FROM sync.runs")[0]["last"]

    def sensor(self, moment: datetime, store: Warehouse | None = None) -> list[str]:
        """A tick of the alerts; return the titles that arrived."""
        self.go_to(moment)
        channels, target = [WebhookChannel(Secret(self.url))], store or self.store
        try:
            found = evaluate(target, SETTINGS, AlertSettings(), moment, DagsterFacts())
            notify(target, "default", found, channels, moment, "docs/runbook.md")
        except WarehouseUnavailable as error:
            self.outage = begin_outage(self.outage, channels, error, moment, "default", "docs/runbook.md")
        else:
            self.outage = end_outage(self.outage, channels, moment, "default")
        new = self.hook.texts[self.seen :]
        self.seen += len(new)
        return [re.match(r"\*default: (.*)\*", text)[1] for text in new]

    def quiet_day(self, day: date) -> None:
        """A night as it should be, faults and all, with nothing to tell before or after the deadline."""
        assert self.night(day)
        assert self.sensor(at(day, 4)) == []
        assert self.sensor(at(day, 6, 1)) == []


@pytest.fixture
def week(store):
    world = World.generate(
        seed=11,
        start=FIRST_DAY.isoformat(),
        days=(TODAY - FIRST_DAY).days + 1,
        operations=3_000,
        now=at(FIRST_NIGHT, 3).replace(tzinfo=None).isoformat(),
    )
    with SandboxServer(world, faults=Faults(7, FAULTS)) as sandbox, webhook() as (hook, url):
        yield Week(sandbox, store, url, hook)


def test_a_week_with_everything_in_it_ends_complete_and_exact_with_every_alert_explained(week):
    days = [FIRST_NIGHT + timedelta(days=number) for number in range(NIGHTS)]

    week.quiet_day(days[0])

    # an operation of the day before yesterday shows up a day late: the look-back meets it, nobody is woken
    late = week.sandbox.world.add(
        {
            "operation_id": "9999999999901",
            "operation_completed_at": int(at(days[1] - timedelta(days=2), 12).timestamp()),
        },
        visible=at(days[1], 1).replace(tzinfo=None).isoformat(),
    )
    week.quiet_day(days[1])
    assert fetch_all(week.store, f"SELECT count(*) FROM core.operations WHERE operation_id = '{late}'") == [
        {"count": 1}
    ]

    # the night is missed: told after the deadline, over once the next night has walked the day
    missed = days[2]
    assert week.sensor(at(missed, 5, 59)) == []
    assert week.sensor(at(missed, 6, 1)) == [f"{days[1]} is not complete at its deadline"]
    assert week.sensor(at(missed, 12)) == [], "once per cause"
    assert week.night(days[3])
    assert week.sensor(at(days[3], 4)) == [f"over: {days[1]} is not complete at its deadline"]
    assert week.sensor(at(days[3], 6, 1)) == []

    # somebody makes a new token, which ends the old one
    week.sandbox.accounts.put(Account(token=NEW_TOKEN))
    assert not week.night(days[4])
    assert week.sensor(at(days[4], 4)) == ["the platform refuses the token of account default"]
    assert week.sensor(at(days[4], 6, 1)) == [f"{days[3]} is not complete at its deadline"]
    week.token = NEW_TOKEN
    assert week.night(days[4])
    assert sorted(week.sensor(at(days[4], 7))) == [
        f"over: {days[3]} is not complete at its deadline",
        "over: the platform refuses the token of account default",
    ]

    # the database goes away in the night and is back for the morning
    with Warehouse("postgresql://postgres@127.0.0.1:9/nobody_listens") as away:
        assert not week.night(days[5], away)
        assert week.sensor(at(days[5], 4), away) == ["the warehouse is away"]
        assert week.sensor(at(days[5], 4, 1), away) == [], "once per cause"
    assert week.sensor(at(days[5], 5)) == ["over: the warehouse is away"]
    assert week.sensor(at(days[5], 6, 1)) == [f"{days[4]} is not complete at its deadline"]
    assert week.night(days[5])
    assert week.sensor(at(days[5], 8)) == [f"over: {days[4]} is not complete at its deadline"]

    week.quiet_day(days[6])
    week.quiet_day(days[7])

    (hole,) = fetch_all(
        week.store,
        "SELECT count(*) AS stretches, min(covered_from) AS first, max(covered_to) AS last FROM sync.coverage",
    )
    assert hole["stretches"] == 1
    # to the midnight after the last day, which two neighbouring days share
    assert (hole["first"], hole["last"]) == (at(FIRST_DAY, 0), at(TODAY, 0))
    # as it was in the last night: what came or changed since is for the next one
    week.go_to(at(days[7], 3, 30))
    found = differences(week.store, week.sandbox.world, FIRST_DAY.isoformat(), (TODAY - timedelta(days=1)).isoformat())
    # what has left these days since it was loaded is stored as it was then
    assert found.keys() <= {"too_much"}, found
    moved_on = {row["operation_id"] for row in week.sandbox.world.truth(None, TODAY.isoformat())}
    assert set(found.get("too_much", [])) <= moved_on
    assert fetch_all(week.store, "SELECT * FROM sync.alerts WHERE resolved_at IS NULL") == []
    assert fetch_all(week.store, "SELECT count(*) FROM core.rejects") == [{"count": 0}]
    assert sum(week.sandbox.faults.counts.values()) > 5, "the week was no calm one"
