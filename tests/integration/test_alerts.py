"""Alerts as they arrive: each cause once, and once that it is over, over real SMTP and HTTP."""

from __future__ import annotations

import logging
import re
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from aiosmtpd.smtp import AuthResult

from fixtures.commands import ROOT, SETTINGS, execute, fetch_all, sync
from fixtures.receivers import mail_server, watcher, webhook
from fixtures.reconciliation import CUTOFF, DAY, add_entries, add_operations, breaks_of, reconcile
from pipelines.alerts.conditions import KINDS, Alert, DagsterFacts, Evaluation, FailedCheck, FailedJob, evaluate
from pipelines.alerts.notifications import ALERTS_FAILED, CAUSES, notify
from pipelines.definitions import defs
from pipelines.reconciliation.matching import reconcile_ledger
from pipelines.resources import WarehouseResource
from pipelines.sensors import alerts_sensor
from resources.accounts import account_scopes, accounts_of
from resources.channels import ChannelFailed, EmailChannel, WebhookChannel, channels_of
from resources.data_api.pace import RequestCounts
from resources.errors import SyncError
from resources.sandbox import Account, SandboxServer, World
from resources.settings import AlertSettings, Secret, alert_settings
from resources.warehouse import ledger

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
NOON = datetime.combine(TODAY, datetime.min.time(), UTC) + timedelta(hours=12)
RUNBOOK = "docs/runbook.md"


@pytest.fixture
def hook():
    with webhook() as (received, url):
        received.url = url
        yield received


def tick(store, hook, now=NOON, facts=None, alerting=None):
    """One round over the webhook."""
    found = evaluate(store, SETTINGS, alerting or AlertSettings(), now, facts or DagsterFacts())
    return notify(store, SETTINGS.account, found, [WebhookChannel(Secret(hook.url))], now, RUNBOOK)


def days_back(first: int, last: int = 1) -> tuple[str, str]:
    return (TODAY - timedelta(days=first)).isoformat(), (TODAY - timedelta(days=last)).isoformat()


@pytest.fixture
def sandbox():
    with SandboxServer(World.generate(seed=5, start=TODAY - timedelta(days=6), days=6, operations=300)) as server:
        yield server


@pytest.fixture
def loaded(store, sandbox):
    """A warehouse that has all it should have: nothing to tell of."""
    sync(sandbox, store, *days_back(4))
    return store


def test_a_complete_warehouse_has_nothing_to_tell(loaded, hook):
    assert tick(loaded, hook).sent == 0
    assert hook.posts == []


def test_a_day_missing_at_its_deadline_is_told_once_and_once_that_it_is_over(store, sandbox, hook):
    sync(sandbox, store, *days_back(4, 2))
    tick(store, hook, NOON - timedelta(hours=7))
    assert hook.posts == [], "the deadline is not over at five"
    for _ in range(3):
        tick(store, hook)
    (text,) = hook.texts
    assert f"{YESTERDAY} is not complete at its deadline" in text
    assert f"`ecommpay-sync operations --from {YESTERDAY} --to {YESTERDAY}`" in text
    sync(sandbox, store, *days_back(1))
    for _ in range(3):
        tick(store, hook, NOON + timedelta(hours=1))
    assert len(hook.posts) == 2
    assert hook.texts[1].startswith(f"*default: over: {YESTERDAY} is not complete")


def test_what_is_told_of_missing_days_is_how_it_stands_when_it_is_told(loaded, hook):
    """No channel takes the first day's alarm; by the third, three nights were missed."""
    days = [TODAY + timedelta(days=number) for number in range(3)]
    hook.status = 500
    tick(loaded, hook, NOON + timedelta(days=1))
    hook.status = 200
    tick(loaded, hook, NOON + timedelta(days=3))
    (text,) = hook.texts
    assert f"{days[0]} to {days[2]} are not complete at their deadline" in text
    assert f"`ecommpay-sync operations --from {days[0]} --to {days[2]}`" in text
    (row,) = fetch_all(loaded, "SELECT cause, title FROM sync.alerts")
    assert row["cause"] == f"nightly_late:{days[0]}", "it stays the same alert"
    tick(loaded, hook)  # as if they were there
    assert hook.texts[1].startswith(f"*default: over: {row['title']}")


# ticks in order: how many nights were missed by then, and which channels are down
OUTAGES = {
    "none is down": [(1, ""), (1, ""), (2, ""), (2, ""), (3, "")],
    "one misses the second night, and takes it later": [(1, ""), (2, "mail"), (2, ""), (2, "")],
    "one misses the second night for ever": [(1, ""), (2, "mail"), (3, "")],
    "one takes the first night alone": [(1, ""), (2, "webhook"), (3, "webhook")],
    "one takes the third night alone": [(1, "mail"), (2, "mail"), (3, ""), (3, "")],
    "one takes nothing": [(1, "webhook"), (2, "webhook")],
    "they take turns": [(1, "mail"), (2, "webhook"), (3, "mail"), (3, "webhook"), (4, "mail"), (4, "")],
    "nights that no tick saw": [(1, ""), (4, "mail"), (4, "")],
}


@pytest.mark.parametrize("name", OUTAGES)
def test_each_further_missed_night_is_told_once_to_each_channel_and_the_end_to_those_that_took_one(loaded, hook, name):
    with mail_server() as (mailbox, url):
        settings = alert_settings(
            {"ALERT_SMTP_URL": url, "ALERT_EMAIL_FROM": "a@a.example", "ALERT_EMAIL_TO": "b@b.example"}
        )
        channels = [EmailChannel(settings.smtp), WebhookChannel(Secret(hook.url))]

        def titles():
            mails = [subject.removeprefix("[ecommpay-sync] ") for subject, _, _ in mailbox.messages]
            return {"mail": mails, "webhook": [text.split("*")[1] for text in hook.texts]}

        def look(missed, down):
            mailbox.refuse, hook.status = down == "mail", 500 if down == "webhook" else 200
            now = NOON + timedelta(days=missed)
            found = evaluate(loaded, SETTINGS, settings, now, DagsterFacts())
            notify(loaded, "default", found, channels, now, RUNBOOK)

        def title(missed):
            last = TODAY + timedelta(days=missed - 1)
            return f"default: {TODAY} is not" if missed == 1 else f"default: {TODAY} to {last} are not"

        expected = {"mail": [], "webhook": []}
        for missed, down in OUTAGES[name]:
            look(missed, down)
            for channel, sent in expected.items():
                if channel != down and title(missed) not in sent:
                    sent.append(title(missed))
            assert {channel: [text.split(" complete")[0] for text in sent] for channel, sent in titles().items()} == (
                expected
            )
        look(0, "")
        look(0, "")
        for channel, sent in titles().items():
            assert len(sent) == len(expected[channel]) + bool(expected[channel])
            assert not sent or sent[-1].startswith("default: over: ")


def test_of_any_cause_only_a_later_last_day_is_news(store, hook):
    def seen(text, day):
        alert = Alert("breaks", "breaks:EUR", text, "what", "where", "todo", day and date(2026, 3, day))
        channels = [WebhookChannel(Secret(hook.url))]
        return notify(store, "default", Evaluation((alert,), ("breaks",)), channels, NOON, RUNBOOK).sent

    sent = [
        seen("a", 1),
        seen("other words", 1),
        seen("c", 3),
        seen("d", 2),
        seen("e", 3),
        seen("f", None),
        seen("g", 4),
    ]
    assert sent == [1, 0, 1, 0, 0, 0, 1]
    assert [text.split("*")[1] for text in hook.texts] == ["default: a", "default: c", "default: g"]
    (row,) = fetch_all(store, "SELECT last_day, title FROM sync.alerts")
    assert row == {"last_day": date(2026, 3, 4), "title": "g"}


def test_a_further_day_that_is_recorded_while_a_message_is_sent_is_told_too(store):
    def seen(day, channel):
        alert = Alert("nightly_late", "nightly_late:x", f"up to {day}", "what", "where", "todo", date(2026, 3, day))
        return notify(store, "default", Evaluation((alert,), ("nightly_late",)), [channel], NOON, RUNBOOK).sent

    class Slow:
        """A channel that takes so long that another process sees the next day."""

        name, titles = "slow", []

        def send(self, title, text):
            self.titles.append(title)
            if len(self.titles) == 1:
                assert seen(2, self) == 0, "two never send at once"

    slow = Slow()
    assert [seen(1, slow), seen(2, slow), seen(2, slow)] == [1, 1, 0]
    assert slow.titles == ["default: up to 1", "default: up to 2"]


def test_a_cause_that_comes_back_is_told_again(loaded, hook):
    failed = DagsterFacts(failed_checks=(FailedCheck("operations", "no_rejects", "3 found"),))
    for minute, facts in enumerate((failed, DagsterFacts(), failed)):
        tick(loaded, hook, NOON + timedelta(minutes=minute), facts)
    assert len(hook.posts) == 3
    assert "check no_rejects of operations failed" in hook.texts[0]
    assert fetch_all(loaded, "SELECT count(*) FROM sync.alerts WHERE kind = 'check_failed'") == [{"count": 2}]


def test_a_failed_run_is_told_until_a_later_one_is_complete(loaded, sandbox, hook):
    sandbox.faults.always("broken_json", "operations/get")
    with pytest.raises(SyncError):
        sync(sandbox, loaded, *days_back(2), policy=_impatient())
    for _ in range(2):
        tick(loaded, hook)
    (text,) = hook.texts
    assert re.search(r"the run \d+ of operations of \S+ to \S+ is failed", text)
    assert "cannot be read" in text
    sandbox.faults.clear()
    sync(sandbox, loaded, *days_back(3))
    tick(loaded, hook)
    assert "over: the run" in hook.texts[1]


def test_a_refused_token_is_one_cause_and_not_also_a_failed_run(loaded, sandbox, hook):
    sandbox.accounts.put(Account(token="AnotherTokenMadeUpForTests0001"))
    for _ in range(2):
        with pytest.raises(SyncError):
            sync(sandbox, loaded, *days_back(2))
        tick(loaded, hook)
    (text,) = hook.texts
    assert "refuses the token of account default" in text
    sandbox.accounts.put(Account())
    sync(sandbox, loaded, *days_back(2))
    tick(loaded, hook)
    assert hook.texts[1].startswith("*default: over: the platform refuses the token")


def test_a_run_whose_process_died_is_told_and_one_that_is_under_way_is_not(loaded, hook):
    with ledger.run(loaded, RequestCounts(), account="default", stream="balances") as run:
        execute(loaded, "UPDATE sync.runs SET started_at = now() - interval '1 hour' WHERE state = 'running'")
        tick(loaded, hook)
        assert hook.posts == [], "it is still running"
    held = (
        "SELECT FROM pg_locks JOIN pg_database ON oid = database AND datname = current_database() WHERE classid = 20090"
    )
    while fetch_all(loaded, held):  # the server sees a moment later that the connection was closed
        execute(loaded, "SELECT pg_sleep(0.01)")
    execute(loaded, f"UPDATE sync.runs SET state = 'running', finished_at = NULL WHERE run_id = {run.run_id}")
    tick(loaded, hook)
    assert "its process was killed" in hook.texts[0]


def test_a_job_that_failed_before_the_ledger_knew_of_it_is_told(loaded, hook):
    tick(loaded, hook, facts=DagsterFacts(failed_jobs=(FailedJob("nightly", "unknown-run"),)))
    assert "the job nightly failed before it could begin" in hook.texts[0]


def test_an_altered_ledger_is_told(loaded, hook):
    execute(loaded, "UPDATE sync.windows SET rows_met = rows_met + 1 WHERE entry_no = 1")
    tick(loaded, hook)
    assert "chain is broken at entry 1" in hook.texts[0]
    tick(loaded, hook)
    assert len(hook.posts) == 1


def test_breaks_that_a_reconciliation_found_are_told_above_their_limit_and_only_in_their_currency(
    command, loaded, store_url, hook
):
    add_operations(
        loaded,
        {"operation_id": "e1", "sum_initial_amount": 1000},
        {"operation_id": "e2", "sum_initial_amount": 500},
        {"operation_id": "u1", "sum_initial_amount": 9000, "sum_initial_currency": "USD"},
        {"operation_id": "x1", "sum_initial_amount": 9000, "account": "other"},
    )
    add_entries(
        loaded,
        {"entry_id": "1", "operation_id": "e1", "amount_minor": 1700},
        {"entry_id": "2", "operation_id": "e2", "amount_minor": 500},
        {"entry_id": "3", "operation_id": "nowhere", "amount_minor": 400},
    )
    reconcile(loaded)
    reconcile_ledger(loaded, "other", DAY, CUTOFF)
    found = [(row["break_type"], row["currency"], abs(row["amount_minor"])) for row in breaks_of(loaded)]
    assert sorted(found) == [
        ("amount", "EUR", 700),
        ("missing_at_platform", "EUR", 400),
        ("missing_in_ledger", "USD", 9000),
    ]

    tick(loaded, hook, alerting=AlertSettings(breaks_above=(("EUR", 1100), ("JPY", 0))))
    assert hook.posts == [], "at the limit is not above it"
    above = AlertSettings(breaks_above=(("EUR", 1099),))
    for _ in range(2):
        tick(loaded, hook, alerting=above)
    (text,) = hook.texts
    assert text.startswith("*default: open breaks in EUR exceed 1,099 minor units*")
    assert "2 open breaks add up to 1,100 minor units of EUR" in text

    (small,) = fetch_all(loaded, "SELECT break_id FROM recon.breaks WHERE break_type = 'missing_at_platform'")
    done = command(
        *("explain", str(small["break_id"]), "--by", "Ann", "--note", "a voucher"),
        environment={"DATABASE_URL": store_url},
    )
    assert done.returncode == 0, done.stderr
    tick(loaded, hook, alerting=above)
    assert hook.texts[1].startswith("*default: over: open breaks in EUR exceed")


def test_an_unusual_night_is_measured_once_and_told(loaded, hook):
    tick(loaded, hook)
    (night,) = fetch_all(loaded, "SELECT last_day, rows_new FROM sync.nights")
    assert night["last_day"] == YESTERDAY
    assert night["rows_new"] > 0
    execute(
        loaded,
        "INSERT INTO sync.runs (account, stream, product_version, state) "
        "SELECT 'default', 'old', '0', 'complete' FROM generate_series(1, 10); "
        "INSERT INTO sync.nights (account, run_id, last_day, rows_new, rows_late) "
        "SELECT 'default', run_id, current_date - 2 - (row_number() OVER ())::int, 1000000, 0 "
        "FROM sync.runs WHERE stream = 'old'",
    )
    tick(loaded, hook)
    assert f"{night['rows_new']:,} new operations in the night of {YESTERDAY}" in "".join(hook.texts)


def test_a_channel_that_fails_loses_nothing_and_the_other_is_not_told_twice(loaded, hook):
    facts = DagsterFacts(failed_checks=(FailedCheck("operations", "no_rejects", "3 found"),))
    with mail_server() as (mailbox, url):
        settings = alert_settings(
            {
                "ALERT_SMTP_URL": url,
                "ALERT_EMAIL_FROM": "from@a.example",
                "ALERT_EMAIL_TO": "one@b.example two@b.example",
            }
        )
        channels = [EmailChannel(settings.smtp), WebhookChannel(Secret(hook.url))]

        def round_(now):
            return notify(loaded, "default", evaluate(loaded, SETTINGS, settings, now, facts), channels, now, RUNBOOK)

        mailbox.refuse = True
        told = round_(NOON)
        assert told.sent == 1
        assert "answered 451" in told.failures[0]
        assert (len(mailbox.messages), len(hook.posts)) == (0, 1)
        mailbox.refuse = False
        hook.status = 500
        assert round_(NOON).sent == 1
        ((subject, text, recipients),) = mailbox.messages
        assert subject == "[ecommpay-sync] default: the check no_rejects of operations failed"
        assert "What happened: 3 found." in text
        assert f"Runbook: {RUNBOOK}#alert-check-failed" in text
        assert recipients == ("one@b.example", "two@b.example")
        assert round_(NOON).sent == 0
        facts = DagsterFacts()
        assert "answered 500" in round_(NOON).failures[0]
        hook.status = 200
        round_(NOON)
        round_(NOON)
    assert [len(mailbox.messages), len(hook.posts)] == [2, 2]


def test_a_message_holds_no_secret_and_neither_does_the_failure_of_its_channel(hook, caplog):
    caplog.set_level(logging.DEBUG)
    hook.status = 403
    with pytest.raises(ChannelFailed, match="answered 403") as told:
        WebhookChannel(Secret(hook.url)).send("t", "x")
    with pytest.raises(ChannelFailed, match="cannot be reached") as away:
        WebhookChannel(Secret("http://127.0.0.1:1/services/SECRETPATH")).send("t", "x")
    said = [str(told.value), str(away.value), repr(WebhookChannel(Secret(hook.url)))]
    assert not [text for text in [*said, caplog.text] if "SECRETPATH" in text]


def test_mail_logs_in_with_the_password_of_a_file_and_a_refused_one_is_not_shown(command, tmp_path):
    seen = []

    def authenticate(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        # not handled: the server answers by itself, or the client would wait for an answer until its time is out
        return AuthResult(success=data.password == b"right-password", handled=False)

    options = {"authenticator": authenticate, "auth_require_tls": False}
    password = tmp_path / "password"
    with mail_server(**options) as (mailbox, url):
        environment = {
            "ALERT_SMTP_URL": url.replace("smtp://", "smtp://robot@"),
            "ALERT_SMTP_PASSWORD_FILE": str(password),
            "ALERT_EMAIL_FROM": "from@a.example",
            "ALERT_EMAIL_TO": "to@b.example",
        }
        password.write_text("wrong-password\n")
        done = command("alert", "--test", environment=environment)
        assert done.returncode == 1
        assert "wrong-password" not in done.stdout + done.stderr
        password.write_text("right-password\n")
        done = command("alert", "--test", environment=environment)
        assert done.returncode == 0, done.stderr
    assert seen[-1] == (b"robot", b"right-password")
    assert mailbox.messages[0][0] == "[ecommpay-sync] default: test"


def test_the_test_command_without_a_channel_says_what_to_set(command):
    done = command("alert", "--test")
    assert done.returncode == 2
    assert "ALERT_WEBHOOK_URL_FILE" in done.stderr


HIDDEN = "made-up-and-never-shown"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", f"socks5h://user:{HIDDEN}@proxy.example:1080"),
        ("HTTPS_PROXY", f"http://user:{HIDDEN}@proxy.example:3128\r\n"),
    ],
)
def test_b17_a_proxy_that_cannot_be_used_is_named_and_not_the_webhook(command, store_url, variable, value):
    channel = {"ALERT_WEBHOOK_URL": "https://hooks.example/services/T000/SECRETPATH"}
    for arguments in (["alert", "--test"], ["alert"]):
        done = command(*arguments, environment={"DATABASE_URL": store_url, variable: value} | channel)
        assert done.returncode == 2
        assert done.stderr.startswith(f"ecommpay-sync: {variable} ")
        assert not [text for text in ("webhook", "SECRETPATH", HIDDEN) if text in done.stdout + done.stderr]


def test_the_alert_command_judges_and_tells_without_dagster(command, store, store_url, hook):
    done = command("alert", environment={"DATABASE_URL": store_url, "ALERT_WEBHOOK_URL": hook.url})
    assert done.returncode == 0, done.stderr
    assert "1 causes stand; 1 messages were sent" in done.stdout
    assert "is not complete at its deadline" in hook.texts[0]


def test_the_alert_command_gives_the_heartbeat_of_a_cron_job(command, loaded, store_url):
    head = fetch_all(loaded, "SELECT encode(entry_hash, 'hex') AS h FROM sync.windows ORDER BY entry_no")[-1]["h"]
    with watcher() as (signals, url):
        environment = {"DATABASE_URL": store_url, "ALERT_HEARTBEAT_URL": url}
        assert command("alert", environment=environment).returncode == 0
        execute(loaded, "UPDATE sync.windows SET rows_met = rows_met + 1 WHERE entry_no = 1")
        assert command("alert", environment=environment).returncode == 0
        away = command("alert", environment={**environment, "DATABASE_URL": "postgresql://postgres@127.0.0.1:9/away"})
        assert away.returncode != 0
        said = [(path, text) for path, _, text in signals]
    assert [path for path, _ in said] == ["", "/fail", "/fail"]
    assert head in said[0][1]
    assert "no channel took" in said[1][1]
    assert "alerts could not be evaluated" in said[2][1]


def test_the_sensor_tells_what_dagster_alone_knows(loaded, store_url, hook, monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)

    @dg.op
    def fails():
        raise ValueError("no")

    @dg.job(name="nightly")
    def nightly():
        fails()

    with dg.instance_for_test() as instance:
        nightly.execute_in_process(instance=instance, raise_on_error=False)
        cursor = None
        for _ in range(2):
            result, cursor = sensor_tick(instance, cursor, store_url)
    assert "the step fails of the job nightly failed" in hook.texts[0]
    assert len(hook.posts) == 1
    assert "causes stand" in result.skip_message


def test_a_database_that_is_away_is_told_once_and_once_that_it_is_back(store_url, loaded, hook, monkeypatch):
    monkeypatch.setenv("ALERT_WEBHOOK_URL", hook.url)
    away = re.sub(r"host=[^&]*", "host=/nowhere", store_url)
    with dg.instance_for_test() as instance:
        cursor = None
        for url in (away, away, store_url, store_url):
            _, cursor = sensor_tick(instance, cursor, url)
    assert len(hook.posts) == 2, hook.texts
    assert "the warehouse is away" in hook.texts[0]
    assert "over: the warehouse is away" in hook.texts[1]


def test_every_kind_of_alert_has_its_section_in_the_runbook():
    text = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    source = (ROOT / "pipelines/alerts/conditions.py").read_text(encoding="utf-8")
    assert set(re.findall(r'Alert\(\s+"([a-z_]+)"', source)) == set(KINDS)
    for kind in [*KINDS, *(cause[0] for cause in (*CAUSES.values(), ALERTS_FAILED))]:
        assert f"### Alert {kind.replace('_', ' ')}\n" in text


def test_channels_are_those_that_are_set(hook):
    assert [type(channel) for channel in channels_of(alert_settings({"ALERT_WEBHOOK_URL": hook.url}))] == [
        WebhookChannel
    ]


def sensor_tick(instance, cursor, url):
    """Evaluate the sensor as the daemon does; return what it said and its cursor."""
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=defs.get_repository_def(),
        resources={"warehouse": WarehouseResource(url=url)},
    ) as context:
        return alerts_sensor(account_scopes(accounts_of({})))(context), context.cursor


def _impatient():
    from resources.data_api.retry import RetryPolicy

    return RetryPolicy(attempts=2, first_wait=0.001, longest_wait=0.01)
