"""Situations of real nights, each with exactly the alerts that it raises and clears; then the night itself."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
import sqlalchemy
import typer
from conftest import create_database, drop_database, url_of

from fixtures.commands import SETTINGS, execute, fetch_all, sync
from fixtures.receivers import mail_server, watcher, webhook
from pipelines.alerts.conditions import DagsterFacts, FailedJob, FailedStep, evaluate, grouped
from pipelines.cli.commands import app
from pipelines.definitions import defs
from pipelines.nights import night_at
from pipelines.resources import WarehouseResource
from pipelines.sensors import alerts_sensor
from resources.accounts import account_scopes, accounts_of
from resources.documents import DocumentsConfig, Interval
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, SandboxServer, World
from resources.settings import AlertSettings
from resources.warehouse.engine import Warehouse

TODAY = datetime.now(UTC).date()
NOON = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=12)
NIGHT_OF_TODAY = night_at(NOON, SETTINGS)
CHARGEBACKS = DocumentsConfig("chargebacks", "chargeback/list", {}, interval=Interval(1))


@pytest.fixture(scope="module")
def original(server_url, template):
    """The name of a database that has all it should have."""
    name = "ecommpay_test_alerts"
    create_database(server_url, name, template)
    world = World.generate(seed=5, start=TODAY - timedelta(days=6), days=6, operations=50)
    with SandboxServer(world) as sandbox, Warehouse(url_of(server_url, name)) as store:
        sync(sandbox, store, NIGHT_OF_TODAY.first_day.isoformat(), NIGHT_OF_TODAY.last_day.isoformat())
    yield name
    drop_database(server_url, name)


@pytest.fixture
def loaded(server_url, original):
    """A warehouse of the test's own, a copy of it."""
    name = "ecommpay_test_alerts_copy"
    create_database(server_url, name, original)
    with Warehouse(url_of(server_url, name)) as store:
        yield store
    drop_database(server_url, name)


@pytest.fixture
def instance(dagster_home):
    with dg.DagsterInstance.from_config(str(dagster_home)) as opened:
        yield opened


@dataclass(frozen=True)
class Run:
    """A run as the ledger has it: of the night's days, unless `days` names others."""

    stream: str
    state: str
    kind: str | None = None
    days: tuple[int, int] | None = (4, 1)  # days back; None: without an interval
    projects: tuple[int, ...] = ()
    dagster_run: str | None = None

    def write(self, store) -> None:
        first, last = (TODAY - timedelta(days=back) for back in self.days) if self.days else (None, None)
        with store.transaction() as connection:
            connection.execute(
                sqlalchemy.text(
                    "INSERT INTO sync.runs (account, stream, interval_from, interval_to, project_ids, dagster_run_id,"
                    " product_version, state, error_kind, message, started_at, finished_at) VALUES ('default', :stream,"
                    " CAST(:first AS timestamptz), CAST(:last AS timestamptz) + interval '1 day' - interval '1 second',"
                    " :projects, :dagster_run, '0', :state, :kind, :message, now() - interval '1 minute',"
                    " CASE WHEN :state <> 'running' THEN now() END)"
                ),
                {
                    "stream": self.stream,
                    "first": first,
                    "last": last,
                    "projects": list(self.projects),
                    "dagster_run": self.dagster_run,
                    "state": self.state,
                    "kind": self.kind,
                    "message": None if self.state in ("complete", "running") else "words that no decision reads",
                },
            )


@dataclass(frozen=True)
class Situation:
    """What the ledger and Dagster have, which alerts that raises, and what clears them."""

    runs: tuple[Run, ...] = ()
    raises: tuple[str, ...] = ()
    says: str = ""  # in the title of the first
    job: FailedJob | None = None
    settings: dict = field(default_factory=dict)
    then: tuple[Run, ...] = ()
    left: tuple[str, ...] = ()
    then_settings: dict = field(default_factory=dict)


def failed_job(*steps: FailedStep) -> FailedJob:
    return FailedJob("nightly", "night", steps)


OPERATIONS = Run("operations", "complete")
FRAUD = Run("fraud", "complete")
BALANCES = Run("balances", "complete", days=None)
REFUSED = {"state": "failed", "kind": "unauthorized"}
NIGHT_FAILED = f"run_failed:operations:{TODAY - timedelta(days=4)}:{TODAY - timedelta(days=1)}"
FRAUD_FAILED = f"run_failed:fraud:{TODAY - timedelta(days=4)}:{TODAY - timedelta(days=1)}"
DOCUMENTS = Run("documents:chargebacks", "complete")
WITH_DOCUMENTS = {"documents": (CHARGEBACKS,)}

SITUATIONS = {
    "nothing happened": Situation(),
    "right never held": Situation((OPERATIONS, Run("fraud", "skipped", "unauthorized"))),
    "right never held, and no operation loaded yet": Situation((Run("fraud", "skipped", "forbidden"),)),
    "right lost": Situation(
        (FRAUD, OPERATIONS, Run("fraud", "failed", "forbidden")),
        ("right_refused:fraud",),
        "the token of account default lost the right to reports of fraud (role Risks or Merchant admin)",
        then=(FRAUD,),
    ),
    "right lost, and operations load every hour since": Situation(
        (FRAUD, replace(FRAUD, **REFUSED), OPERATIONS, BALANCES), ("right_refused:fraud",), then=(FRAUD,)
    ),
    "right lost, and then not wanted any more": Situation(
        (FRAUD, OPERATIONS, replace(FRAUD, **REFUSED)), ("right_refused:fraud",), then_settings={"fraud": "off"}
    ),
    "right demanded that was never held": Situation(
        (OPERATIONS, replace(FRAUD, **REFUSED)),
        ("right_refused:fraud",),
        "does not have the right to reports of fraud",
        settings={"fraud": "on"},
        then=(FRAUD,),
    ),
    "right lost in a night of Dagster's": Situation(
        (FRAUD, replace(OPERATIONS, dagster_run="night"), replace(FRAUD, **REFUSED, dagster_run="night")),
        ("right_refused:fraud",),
        job=failed_job(FailedStep("fraud", "fraud", "refused")),
        then=(FRAUD,),
    ),
    "documents endpoint refused from the start": Situation(
        (OPERATIONS, replace(DOCUMENTS, **REFUSED)),
        ("right_refused:documents:chargebacks",),
        "does not have the right to documents of chargeback/list (chargebacks)",
        settings=WITH_DOCUMENTS,
        then=(DOCUMENTS,),
    ),
    "documents endpoint refused after it was loaded": Situation(
        (DOCUMENTS, OPERATIONS, replace(DOCUMENTS, state="failed", kind="forbidden")),
        ("right_refused:documents:chargebacks",),
        "lost the right to documents of chargeback/list",
        settings=WITH_DOCUMENTS,
        then_settings={"documents": ()},
    ),
    "token replaced": Situation(
        (replace(OPERATIONS, **REFUSED), replace(BALANCES, **REFUSED)),
        ("token_refused:default",),
        "the platform refuses the token of account default",
        then=(BALANCES,),
    ),
    "token replaced, seen by every stream": Situation(
        (FRAUD, replace(OPERATIONS, **REFUSED), replace(FRAUD, **REFUSED), replace(BALANCES, **REFUSED)),
        ("token_refused:default",),
        then=(OPERATIONS,),
    ),
    "token replaced, seen by fraud first": Situation(
        (FRAUD, OPERATIONS, replace(FRAUD, **REFUSED), replace(BALANCES, state="failed", kind="forbidden")),
        ("token_refused:default",),
        then=(BALANCES,),
    ),
    "one project refused": Situation(
        (replace(OPERATIONS, projects=(22,), state="failed", kind="forbidden"),), (NIGHT_FAILED,), then=(OPERATIONS,)
    ),
    "run failed": Situation(
        (replace(OPERATIONS, state="failed", kind="unavailable"),), (NIGHT_FAILED,), "is failed", then=(OPERATIONS,)
    ),
    "run failed, and other days are complete": Situation(
        (replace(FRAUD, state="failed", kind="unavailable"),),
        (FRAUD_FAILED,),
        then=(replace(FRAUD, days=(9, 9)),),
        left=(FRAUD_FAILED,),
    ),
    "run partial": Situation(
        (replace(OPERATIONS, state="incomplete", kind="incomplete"),),
        (NIGHT_FAILED,),
        "is incomplete",
        then=(OPERATIONS,),
    ),
    "spot check failed": Situation(
        (Run("spot check", "failed", "unavailable", days=None),),
        ("run_failed:spot check",),
        then=(Run("spot check", "complete", days=None),),
    ),
    "proof failed": Situation(
        (Run("completeness", "failed", "unavailable", days=None),),
        ("run_failed:completeness",),
        then=(Run("completeness", "complete", days=None),),
    ),
    "run killed": Situation((Run("operations", "running"),), (NIGHT_FAILED,), "is not ended", then=(OPERATIONS,)),
    "run retried": Situation((replace(OPERATIONS, state="failed", kind="rate_limited"), OPERATIONS)),
    "stream failed, and is refused and tolerated since": Situation(
        (replace(FRAUD, state="failed", kind="unavailable", days=(5, 2)),),
        (f"run_failed:fraud:{TODAY - timedelta(days=5)}:{TODAY - timedelta(days=2)}",),
        then=(Run("fraud", "skipped", "unauthorized"),),
    ),
    "stream failed that is not wanted any more": Situation(
        (replace(FRAUD, state="failed", kind="unavailable"),), (FRAUD_FAILED,), then_settings={"fraud": "off"}
    ),
    "a step failed behind a complete load": Situation(
        (replace(OPERATIONS, dagster_run="night"),),
        ("run_failed:job:nightly:marts",),
        "the step marts of the job nightly failed",
        job=failed_job(FailedStep("marts", None, "no space left")),
        left=("run_failed:job:nightly:marts",),
    ),
    "a step failed behind a load that was retried": Situation(
        (
            replace(OPERATIONS, state="failed", kind="unavailable", dagster_run="night"),
            replace(OPERATIONS, dagster_run="night"),
        ),
        ("run_failed:job:nightly:report",),
        job=failed_job(FailedStep("report", None, "no folder")),
        left=("run_failed:job:nightly:report",),
    ),
    "a stream failed in Dagster, once": Situation(
        (replace(OPERATIONS, state="failed", kind="unavailable", dagster_run="night"),),
        (NIGHT_FAILED,),
        job=failed_job(FailedStep("operations", "operations", "away")),
        then=(OPERATIONS,),
    ),
    "a stream failed before the ledger had it": Situation(
        (),
        ("run_failed:job:nightly:operations",),
        job=failed_job(FailedStep("operations", "operations", "other runs load these days")),
        left=("run_failed:job:nightly:operations",),
    ),
    "a job failed before a step began": Situation(
        (),
        ("run_failed:job:nightly",),
        "failed before it could begin",
        job=failed_job(),
        left=("run_failed:job:nightly",),
    ),
}


def evaluated(store, situation, changes, now=NOON):
    settings = replace(SETTINGS, **{**situation.settings, **changes})
    facts = DagsterFacts(failed_jobs=(situation.job,) if situation.job else ())
    return evaluate(store, settings, AlertSettings(), now, facts, verify=False)


def assert_is_a_command(words):
    """Fail unless the command takes these words, with every option that it needs."""
    name, *rest = words
    typer.main.get_command(app).commands[name].make_context(name, rest)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_raises_exactly_its_alerts_and_they_are_cleared(loaded, name):
    situation = SITUATIONS[name]
    for run in situation.runs:
        run.write(loaded)
    found = evaluated(loaded, situation, {})
    assert {alert.cause for alert in found.alerts} == set(situation.raises)
    if situation.says:
        assert situation.says in found.alerts[0].title
    for advised in re.findall(r"`ecommpay-sync ([^`]+)`", " ".join(alert.todo for alert in found.alerts)):
        assert_is_a_command(advised.split())
    if situation.then or situation.then_settings or situation.left:
        for run in situation.then:
            run.write(loaded)
        after = evaluated(loaded, situation, situation.then_settings)
        assert {alert.cause for alert in after.alerts} == set(situation.left)
        assert {alert.kind for alert in found.alerts} <= set(after.kinds), "or they would stay open"


def test_a_retry_under_way_does_not_end_the_alert_of_the_run_that_failed(loaded):
    replace(OPERATIONS, state="failed", kind="unavailable").write(loaded)
    with loaded.transaction() as connection:
        (run_id,) = connection.exec_driver_sql(
            "INSERT INTO sync.runs (account, stream, interval_from, interval_to, product_version) "
            "SELECT account, stream, interval_from, interval_to, '0' FROM sync.runs ORDER BY run_id DESC LIMIT 1 "
            "RETURNING run_id"
        ).one()
    with loaded.transaction() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock(20090, {run_id})")  # its process lives
        assert [alert.cause for alert in evaluated(loaded, Situation(), {}).alerts] == [NIGHT_FAILED]


# Missing days


def test_b26_days_that_are_missing_in_a_row_are_one_alert_with_the_command_that_loads_them(loaded):
    (alert,) = evaluated(loaded, Situation(), {}, NOON + timedelta(days=6)).alerts
    first, last = TODAY, TODAY + timedelta(days=5)
    assert alert.title == f"{first} to {last} are not complete at their deadline"
    assert f"`ecommpay-sync operations --from {first} --to {last}`" in alert.todo


DAY = date(2026, 3, 1)


def days(text: str) -> list[date]:
    """Days by their letters: `a` is the first, `b` the next."""
    return [DAY + timedelta(days=ord(letter) - ord("a")) for letter in text]


@pytest.mark.parametrize(
    ("missing", "known", "alerts"),
    [
        ("", [], {}),
        ("a", [], {"a": "aa"}),
        ("abc", [], {"a": "ac"}),
        ("abdf", [], {"a": "ab", "d": "dd", "f": "ff"}),
        # loaded in any order, it stays one
        ("bc", ["ac"], {"a": "bc"}),
        ("acg", ["ah"], {"a": "ag"}),
        # it grows
        ("abcd", ["ac"], {"a": "ad"}),
        ("de", ["ac"], {"d": "de"}),
        ("acde", ["ac", "gh"], {"a": "ae"}),
    ],
)
def test_an_alert_of_missing_days_stays_one_while_they_are_loaded_and_while_they_become_more(missing, known, alerts):
    def stretch(text):
        return tuple(days(text))

    found = grouped(days(missing), [stretch(item) for item in known])
    assert found == {days(name)[0]: stretch(span) for name, span in alerts.items()}


# Failures of the sensor itself


def tick(instance, cursor, warehouse):
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, repository_def=defs.get_repository_def(), resources={"warehouse": warehouse}
    ) as context:
        return alerts_sensor(account_scopes(accounts_of({})))(context), context.cursor


class Unexpected(WarehouseResource):
    """A warehouse that fails as no warehouse should."""

    def warehouse(self):
        raise ZeroDivisionError("a secret of somebody's")


SENSOR_FAILURES = {
    "away": (lambda _: WarehouseResource(url="postgresql://postgres@127.0.0.1:9/nobody_listens"), "is away"),
    "no such database": (
        lambda url: WarehouseResource(url=re.sub(r"ecommpay_test_\w+", "no_such_database", url)),
        "a setting is refused",
    ),
    "a URL that cannot be read": (lambda _: WarehouseResource(url="postgresql://a:b@c@d/e"), "a setting is refused"),
    "a file that is not there": (lambda _: WarehouseResource(url_file="/nowhere/url"), "a setting is refused"),
    "an error of no kind": (lambda _: Unexpected(), "alerts cannot be evaluated"),
}


@pytest.mark.parametrize("name", SENSOR_FAILURES)
def test_whatever_keeps_the_sensor_from_its_work_is_told_once_and_once_that_it_is_over(
    loaded, instance, monkeypatch, name
):
    make, title = SENSOR_FAILURES[name]
    with webhook() as (hook, url):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        cursor = None
        for warehouse in (*[make(loaded.url)] * 3, *[WarehouseResource(url=loaded.url)] * 2):
            result, cursor = tick(instance, cursor, warehouse)
            assert isinstance(result, dg.SkipReason)
        assert len(hook.texts) == 2, hook.texts
        assert title in hook.texts[0]
        assert "somebody's" not in hook.texts[0]
        assert "over: " in hook.texts[1]
        assert title in hook.texts[1]


def test_a_broken_warehouse_is_told_after_an_absent_one_as_a_cause_of_its_own(loaded, instance, monkeypatch):
    with webhook() as (hook, url):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        _, cursor = tick(instance, None, SENSOR_FAILURES["away"][0](loaded.url))
        execute(loaded, "UPDATE sync.migrations SET sha256 = 'edited' WHERE version = 1")
        for _ in range(2):
            _, cursor = tick(instance, cursor, WarehouseResource(url=loaded.url))
        assert len(hook.texts) == 2, hook.texts
        assert "is away" in hook.texts[0]
        assert "the warehouse is not what its migrations say" in hook.texts[1]
        assert "was edited after it was applied" in hook.texts[1]


def test_a_setting_of_one_channel_that_is_refused_is_told_through_the_other(loaded, instance, monkeypatch):
    with webhook() as (hook, url):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        monkeypatch.setenv("ALERT_SMTP_URL", "mail.example.com")
        cursor = None
        for _ in range(2):
            _, cursor = tick(instance, cursor, WarehouseResource(url=loaded.url))
        (text,) = hook.texts
        assert "a setting is refused, and alerts are not evaluated" in text
        assert "ALERT_" in text
        monkeypatch.delenv("ALERT_SMTP_URL")
        tick(instance, cursor, WarehouseResource(url=loaded.url))
        assert "over: a setting is refused" in hook.texts[1]


def test_b17_a_proxy_that_cannot_be_used_is_told_through_what_needs_none(loaded, instance, monkeypatch):
    with mail_server() as (mailbox, url):
        monkeypatch.setenv("ALERT_SMTP_URL", url)
        monkeypatch.setenv("ALERT_EMAIL_FROM", "from@a.example")
        monkeypatch.setenv("ALERT_EMAIL_TO", "on-call@b.example")
        monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://hooks.example/services/x")
        monkeypatch.setenv("ALERT_HEARTBEAT_URL", "https://watcher.example/x")
        monkeypatch.setenv("ALL_PROXY", "socks5h://proxy.example:1080")
        cursor = None
        for _ in range(2):
            result, cursor = tick(instance, cursor, WarehouseResource(url=loaded.url))
            assert isinstance(result, dg.SkipReason)
        ((subject, text, _),) = mailbox.messages
        assert "a setting is refused, and alerts are not evaluated" in subject
        assert "ALL_PROXY names a proxy of the kind socks5h" in text


@dg.op
def breaks():
    raise ValueError("no")


@dg.op
def works():
    pass


def test_the_heartbeat_tells_the_tip_every_hour_and_of_each_night_how_it_ended(loaded, monkeypatch):
    def nightly_of(op):
        @dg.job(name="nightly")
        def nightly():
            op()

        return nightly

    for op in (works, breaks):
        with webhook() as (_, hook_url), watcher() as (signals, url), dg.instance_for_test() as instance:
            monkeypatch.setenv("ALERT_WEBHOOK_URL", hook_url)
            monkeypatch.setenv("ALERT_HEARTBEAT_URL", url)
            night = nightly_of(op).execute_in_process(instance=instance, raise_on_error=False)
            cursor = None
            for _ in range(3):
                _, cursor = tick(instance, cursor, WarehouseResource(url=loaded.url))
            head = fetch_all(loaded, "SELECT encode(entry_hash, 'hex') AS h FROM sync.windows ORDER BY entry_no")[-1]
            (of_night, of_hour) = signals
            assert of_night[:2] == ("" if night.success else "/fail", f"rid={night.run_id}")
            assert of_hour[:2] == ("", "")
            assert head["h"] in of_hour[2]
            assert (head["h"] in of_night[2]) == night.success


def test_the_heartbeat_fails_once_when_alerts_cannot_be_evaluated_and_is_back_at_once(loaded, instance, monkeypatch):
    with watcher() as (signals, url):
        monkeypatch.setenv("ALERT_HEARTBEAT_URL", url)
        cursor = "no cursor that was ever written"
        whole, away = WarehouseResource(url=loaded.url), SENSOR_FAILURES["away"][0](loaded.url)
        for warehouse in (whole, away, away, away, whole, whole):
            _, cursor = tick(instance, cursor, warehouse)
        assert [path for path, _, _ in signals] == ["", "/fail", ""]
        assert "database_away" in signals[1][2]


def test_a_heartbeat_that_the_watcher_did_not_take_is_given_again_at_the_next_tick(loaded, instance, monkeypatch):
    with watcher() as (signals, url):
        monkeypatch.setenv("ALERT_HEARTBEAT_URL", "http://127.0.0.1:9/ping/SECRETPATH")
        result, cursor = tick(instance, None, WarehouseResource(url=loaded.url))
        assert "no heartbeat: the heartbeat at 127.0.0.1 cannot be reached" in result.skip_message
        monkeypatch.setenv("ALERT_HEARTBEAT_URL", url)
        for _ in range(2):
            _, cursor = tick(instance, cursor, WarehouseResource(url=loaded.url))
        assert [path for path, _, _ in signals] == [""]


def test_a_cause_that_no_channel_takes_makes_the_heartbeat_fail(loaded, instance, monkeypatch):
    execute(loaded, "UPDATE sync.windows SET rows_met = rows_met + 1 WHERE entry_no = 1")
    with watcher() as (signals, url):
        monkeypatch.setenv("ALERT_HEARTBEAT_URL", url)
        tick(instance, None, WarehouseResource(url=loaded.url))
        ((path, _, text),) = signals
        assert path == "/fail"
        assert "no channel took" in text


def test_a_failed_night_stays_in_view_behind_any_number_of_short_runs(loaded, instance, monkeypatch):
    @dg.job(name="nightly")
    def nightly():
        breaks()

    @dg.job(name="snapshot_balances")
    def snapshot_balances():
        works()

    with webhook() as (hook, url):
        monkeypatch.setenv("ALERT_WEBHOOK_URL", url)
        nightly.execute_in_process(instance=instance, raise_on_error=False)
        for _ in range(201):
            instance.create_run_for_job(snapshot_balances, status=dg.DagsterRunStatus.SUCCESS)
        result, _ = tick(instance, None, WarehouseResource(url=loaded.url))
        assert "1 causes stand" in result.skip_message
        assert "the step breaks of the job nightly failed" in hook.texts[0]


# The real night


@pytest.fixture
def night_environment(store_url, tmp_path, dagster_home):
    return {
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": DEMO_TOKEN,
        "DATA_API_SECRET": DEMO_SECRET,
        "SYNC_DATA_DIR": str(tmp_path),
        "DAGSTER_HOME": str(dagster_home),
        "HOME": str(tmp_path),
        "SYNC_SPOT_CHECK_SAMPLE": "3",
    }


def open_causes(store, store_url, environment) -> set[str]:
    """What a tick of the real sensor leaves open in the warehouse."""
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        tick(instance, None, WarehouseResource(url=store_url))
    return {row["cause"] for row in fetch_all(store, "SELECT cause FROM sync.alerts WHERE resolved_at IS NULL")}


# what happens to the store between load and checks, and which checks see it
LOSE_A_ROW = "DELETE FROM core.operations WHERE operation_id = (SELECT min(operation_id) FROM core.operations)"
LOSE_THE_KEY = "ALTER TABLE core.operations DROP CONSTRAINT operations_pkey"
DOUBLE_A_ROW = "INSERT INTO core.operations SELECT * FROM core.operations ORDER BY operation_id LIMIT 1"
DAMAGED_STORES = {
    "a row is gone": (LOSE_A_ROW, {"totals_equal_ledger"}),
    "keys need not be unique": (LOSE_THE_KEY, {"keys_unique"}),
    "a row stands twice": (f"{LOSE_THE_KEY}; {DOUBLE_A_ROW}", {"keys_unique", "totals_equal_ledger"}),
}


@pytest.mark.parametrize("name", DAMAGED_STORES)
def test_marts_reconciliation_and_report_do_not_run_on_a_store_that_is_not_what_the_ledger_says(
    command, store, store_url, night_environment, name
):
    damage, checks = DAMAGED_STORES[name]
    days = (NIGHT_OF_TODAY.first_day.isoformat(), NIGHT_OF_TODAY.last_day.isoformat())
    execute(
        store,
        f"CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {damage}; RETURN NULL; END $$",
    )
    execute(
        store,
        "CREATE TRIGGER damage AFTER UPDATE ON sync.runs FOR EACH ROW"
        " WHEN (NEW.stream = 'operations' AND NEW.state = 'complete') EXECUTE FUNCTION damage()",
    )
    world = World.generate(seed=5, start=TODAY - timedelta(days=6), days=6, operations=300)
    with SandboxServer(world) as sandbox:
        environment = night_environment | {"DATA_API_BASE_URL": sandbox.url}
        night = command.nightly(*days, environment)
    succeeded, *made = night.stdout.split()
    assert (succeeded, set(made)) == ("False", {"operations"}), night.stderr[-3000:]
    causes = open_causes(store, store_url, environment)
    assert causes == {f"check_failed:operations:{check}" for check in checks}
    for alert in fetch_all(store, "SELECT message FROM sync.alerts"):
        assert "(marts, reconciliation, report) did not run on it" in alert["message"]


def test_b1_b2_the_night_of_a_token_without_the_right_to_fraud_is_quiet_and_losing_the_right_is_told(
    command, store, store_url, night_environment
):
    days = (NIGHT_OF_TODAY.first_day.isoformat(), NIGHT_OF_TODAY.last_day.isoformat())
    world = World.generate(seed=5, start=TODAY - timedelta(days=6), days=6, operations=300)
    account = Account(risks=False)
    with SandboxServer(world, accounts=[account]) as sandbox, ThreadPoolExecutor(1) as beside:
        environment = night_environment | {"DATA_API_BASE_URL": sandbox.url}
        for _ in range(2):  # the second night begins with a refusal of the first behind it
            sandbox.faults.always(("slow", 0.5), "operations/get")
            before = len(fetch_all(store, "SELECT 1 FROM sync.runs WHERE stream = 'operations'"))
            night = beside.submit(command.nightly, *days, environment)
            while len(fetch_all(store, "SELECT 1 FROM sync.runs WHERE stream = 'operations'")) == before:
                assert not night.done(), night.result().stderr[-3000:]
                time.sleep(0.2)
            while not night.done() and fetch_all(store, "SELECT 1 FROM sync.runs WHERE state = 'running'"):
                found = evaluate(store, SETTINGS, AlertSettings(), NOON, verify=False)
                assert [alert.cause for alert in found.alerts if alert.kind != "nightly_late"] == []
                time.sleep(0.05)
            sandbox.faults.clear()
            done = night.result()
            assert done.stdout.startswith("True "), done.stderr[-3000:]
            assert open_causes(store, store_url, environment) == set()

        sandbox.accounts.put(replace(account, risks=True))
        assert command.nightly(*days, environment).stdout.startswith("True ")
        sandbox.accounts.put(account)
        assert command.nightly(*days, environment).stdout.startswith("False ")
        assert open_causes(store, store_url, environment) == {"right_refused:fraud"}
    order = fetch_all(
        store,
        "SELECT stream FROM sync.runs WHERE dagster_run_id = (SELECT dagster_run_id FROM sync.runs LIMIT 1) "
        "AND stream IN ('operations', 'fraud') ORDER BY run_id",
    )
    assert [row["stream"] for row in order] == ["operations", "fraud"]
