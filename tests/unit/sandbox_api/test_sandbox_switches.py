"""What the sandbox does otherwise on request: answers that take time, the Date header, fractions of a second, roles."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from fixtures.sandbox import ask, ids, simple
from resources.sandbox import Account, Document, Fraud, Query, SandboxServer, World, sandbox_process

FIVE = "2024-03-10 10:00:05"
SIX = "2024-03-10 10:00:06"
FILTERED = {"filter": {"received_on": ["2024-03-01 00:00:00", SIX]}}


def seconds_of(sandbox, requests):
    start = time.monotonic()
    with ThreadPoolExecutor(requests) as pool:
        statuses = list(pool.map(lambda _: ask(sandbox, "balance/get").status_code, range(requests)))
    assert statuses == [200] * requests
    return time.monotonic() - start


# Answers that take time


def test_answers_that_take_time_do_not_wait_for_each_other():
    with simple() as sandbox:
        sandbox.set_behaviour(delay=0.5)
        assert 0.5 <= seconds_of(sandbox, 24) < 4


def test_what_is_beyond_the_capacity_waits_in_line():
    with simple() as sandbox:
        sandbox.set_behaviour(delay=0.5, capacity=4)
        assert seconds_of(sandbox, 8) >= 1
        sandbox.set_behaviour(delay=0, capacity=0)
        assert seconds_of(sandbox, 8) < 1


# The Date header


@pytest.mark.parametrize(
    ("switches", "date"),
    [
        ({"date_header": "world"}, "Mon, 01 Apr 2024 00:00:00 GMT"),
        ({"date_header": "world", "date_shift": 86_400}, "Tue, 02 Apr 2024 00:00:00 GMT"),
        ({"date_header": "world", "date_shift": -61}, "Sun, 31 Mar 2024 23:58:59 GMT"),
        ({"date_header": "none"}, None),
    ],
)
def test_the_date_header_follows_the_world_s_clock_is_shifted_or_is_left_out(switches, date):
    with simple(now="2024-04-01") as sandbox:
        sandbox.set_behaviour(**switches)
        assert ask(sandbox, "balance/get").headers.get("date") == date
        assert ask(sandbox, "balance/get", limit=1).headers.get("date") == date, "of a refusal, too"


@pytest.mark.parametrize("shift", [0, -86_400, 61])
def test_the_date_header_is_the_machine_s_time_however_the_world_s_clock_stands(shift):
    with simple(now="2024-04-01") as sandbox:
        sandbox.set_behaviour(date_shift=shift)
        date = parsedate_to_datetime(ask(sandbox, "balance/get").headers["date"])
        assert abs((date - datetime.now(UTC)).total_seconds() - shift) < 30


# Fractions of a second


def test_a_fraction_counts_at_the_ends_of_an_interval_and_is_not_shown():
    with simple({"operation_completed_at": f"{FIVE}.250"}, {"operation_completed_at": FIVE}) as sandbox:
        assert len(ids(sandbox, interval={"from": FIVE, "to": SIX})) == 2
        assert len(ids(sandbox, interval={"from": FIVE, "to": FIVE})) == 1
        assert ids(sandbox, interval={"from": SIX, "to": SIX}) == []
        answer = ask(sandbox, interval={"from": FIVE, "to": SIX}, tz="UTC").json()
        assert {row["operation_completed_at"] for row in answer["operations"]} == {"2024-03-10T10:00:05+00:00"}
        assert len(sandbox.world.truth(None, FIVE, FIVE)) == 2, "a period is of seconds as they are shown"


def test_a_drawn_world_keeps_fractions_only_when_asked_to():
    def in_one_second_steps(fractions):
        world = World.generate(
            seed=5, start="2024-03-01", days=1, operations=400, now="2024-05-01", fractions=fractions
        )
        shown = {int(state.effective) for _, state in world.true_states()}
        return len(world), sum(len(world.ids(Query(second, second))) for second in shown)

    total, found = in_one_second_steps(fractions=False)
    assert found == total
    total, found = in_one_second_steps(fractions=True)
    assert found < total / 10


def test_rows_that_move_happen_within_a_second_too():
    world = World.generate(seed=5, start="2024-03-01", days=1, operations=200, now="2024-05-01", fractions=True)
    with SandboxServer(world) as sandbox:
        sandbox.faults.next(("late_rows", 30))
        before = {operation.number for operation in world.operations}
        ids(sandbox, interval={"from": "2024-03-01 00:00:00", "to": "2024-03-01 23:59:59"})
        late = [o.states[-1].effective % 1 for o in world.operations if o.number not in before]
        assert len(late) == 30
        assert any(late)


def test_fraud_reports_and_documents_keep_fractions():
    world = World(now="2024-04-01")
    world.frauds = [Fraud.new(operation_id=1, received_on=f"{SIX}.001"), Fraud.new(operation_id=2, received_on=SIX)]
    world.documents.tell("chargeback/list", [Document.new(f"{SIX}.001", id=1), Document.new(SIX, id=2)])
    with SandboxServer(world) as sandbox:
        reports = ask(sandbox, "fraud/list", **FILTERED).json()["operations"]
        assert [row["operation_id"] for row in reports] == [2]
        reports = ask(sandbox, "fraud/list").json()["operations"]
        assert [(row["operation_id"], row["received_on"]) for row in reports] == [(1, SIX), (2, SIX)]
        listed = ask(sandbox, "chargeback/list", filter={"updated_at": [FIVE, SIX]}).json()["chargebacks"]
        assert [row["id"] for row in listed] == [2]


# Roles


ROLES = [
    ("risks", "fraud/list", {}, "Risks"),
    ("finance", "chargeback/list", {}, "Finance"),
    ("finance", "chargeback/get", {"id": 1}, "Finance"),
    ("finance", "financial-reporting/operations", {}, "Finance"),
    ("finance", "currency-rates/get", {"filter": {"interval": {"from": FIVE, "to": SIX}}}, "Finance"),
]


@pytest.mark.parametrize(("role", "endpoint", "params", "name"), ROLES)
@pytest.mark.parametrize("status", [401, 403])
def test_without_its_role_a_token_is_refused_and_told_which(role, endpoint, params, name, status):
    with simple(accounts=[Account(**{role: False})]) as sandbox:
        sandbox.set_behaviour(no_access_status=status)
        answer = ask(sandbox, endpoint, **params)
        assert answer.status_code == status
        assert answer.json()["message"].endswith(f"it needs the role {name} or Merchant admin")
        assert ask(sandbox).status_code == 200


def test_a_role_is_revoked_and_granted_and_an_answer_delayed_while_the_process_runs():
    with sandbox_process(operations=20, days=2, end="2024-03-31", now="2024-05-01", fractions=True) as sandbox:
        assert ask(sandbox, "fraud/list").status_code == 200
        sandbox.set_behaviour(no_access_status=403, date_header="world", date_shift=3600)
        sandbox.change_account(risks=False, finance=False)
        answer = ask(sandbox, "fraud/list")
        assert (answer.status_code, answer.headers["date"]) == (403, "Wed, 01 May 2024 01:00:00 GMT")
        assert ask(sandbox, "financial-reporting/operations").status_code == 403
        sandbox.change_account(risks=True)
        assert ask(sandbox, "fraud/list").status_code == 200
        assert ask(sandbox, "financial-reporting/operations").status_code == 403


def test_a_switch_that_is_unknown_or_counts_from_the_start_is_refused():
    with simple() as sandbox:
        with pytest.raises(ValueError, match="Cannot be changed after the start: prefix"):
            sandbox.set_behaviour(prefix="/v2")
        with pytest.raises(TypeError, match="colour"):
            sandbox.set_behaviour(colour="red")
        with pytest.raises(KeyError, match="No account nobody"):
            sandbox.accounts.change("nobody", risks=False)
