"""The sandbox's operations over HTTP: intervals, time zones, pages, fields, filters."""

from __future__ import annotations

import threading
import time

import pytest

from fixtures.sandbox import ALL, OTHER_SECRET, OTHER_TOKEN, ask, ids, rows, simple
from resources.sandbox import DEMO_SECRET, Account, Behaviour, SandboxServer, World
from resources.sandbox.operations import DEFAULT, ON_REQUEST
from resources.sandbox.signing import verify

# Intervals and pages


def test_both_ends_of_an_interval_are_included_to_the_second():
    with simple(*[{"operation_completed_at": f"2024-03-01 00:00:0{second}"} for second in range(5)]) as sandbox:
        found = rows(sandbox, interval={"from": "2024-03-01 00:00:01", "to": "2024-03-01T00:00:03"})
        assert [row["operation_completed_at"][-8:-6] for row in found] == ["03", "02", "01"]
        one = "2024-03-01 00:00:02"
        assert len(rows(sandbox, interval={"from": one, "to": one})) == 1


@pytest.mark.parametrize(
    ("tz", "start"),
    [
        ("UTC", "2024-03-10 12:00:00"),
        ("Asia/Tokyo", "2024-03-10 21:00:00"),
        ("-03:30", "2024-03-10 08:30:00"),
    ],
)
def test_tz_governs_the_interval_and_the_times_of_the_answer(tz, start):
    with simple({"operation_completed_at": "2024-03-10 12:00:00"}) as sandbox:
        (row,) = rows(sandbox, tz=tz, interval={"from": start, "to": start})
        offset = {"UTC": "+00:00", "Asia/Tokyo": "+09:00"}.get(tz, tz)
        assert row["operation_completed_at"] == start.replace(" ", "T") + offset


def test_without_tz_the_account_s_zone_governs():
    with simple({"operation_completed_at": "2024-03-10 12:00:00"}) as sandbox:
        at = "2024-03-10 21:00:00"
        (row,) = ask(sandbox, interval={"from": at, "to": at}).json()["operations"]
        assert row["operation_completed_at"] == "2024-03-10T21:00:00+09:00"


def test_times_can_be_of_the_other_format():
    world = World.of([{"operation_completed_at": "2024-03-10 12:00:00"}], now="2024-04-01")
    with SandboxServer(world, behaviour=Behaviour(time_format="plain")) as sandbox:
        assert rows(sandbox)[0]["operation_completed_at"] == "2024-03-10 12:00:00"
        assert rows(sandbox, tz="+10:30")[0]["operation_completed_at"] == "2024-03-10 22:30:00"


def test_pages_put_together_are_the_truth_newest_first(sandbox):
    pages = [rows(sandbox, offset=offset) for offset in (0, 1000, 2000, 3000)]
    assert [len(page) for page in pages[:2]] == [1000, 1000]
    assert pages[3] == []
    assert [row for page in pages for row in page] == sandbox.world.truth(None, ALL["from"], ALL["to"])


@pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
def test_every_order_is_stable_and_complete(order):
    world = World.generate(seed=2, start="2024-03-01", days=3, operations=250, now="2024-05-01", order=order)
    with SandboxServer(world) as sandbox:
        everything = ids(sandbox)
        assert everything == ids(sandbox, limit=120) + ids(sandbox, offset=120)
        assert everything[50:57] == ids(sandbox, offset=50, limit=7)
        true = [row["operation_id"] for row in world.truth()]
        assert sorted(everything) == sorted(true)
        assert (everything == true) is (order == "newest")
        assert (everything == true[::-1]) is (order == "oldest")


def test_the_latest_come_without_an_interval(sandbox):
    answer = ask(sandbox, tz="UTC", limit=3).json()["operations"]
    assert answer == sandbox.world.truth()[:3]


def test_an_empty_page_is_signed_too(sandbox):
    assert rows(sandbox, interval={"from": "2020-01-01 00:00:00", "to": "2020-01-02 00:00:00"}) == []


def test_an_operation_without_final_state_is_found_by_its_latest_action():
    fields = {"operation_created_at": "2024-03-10 12:00:00", "operation_status": "processing"}
    with simple(fields) as sandbox:
        at = "2024-03-10 12:00:00"
        (row,) = rows(sandbox, interval={"from": at, "to": at})
        assert row["operation_completed_at"] == ""


def test_what_is_odd_arrives_as_it_is():
    odd = {
        "sum_initial": {"amount": 9007199254740993, "currency": "XXX"},
        "sum_converted": None,
        "arn": "0007",
    }
    odd |= {"payment_description": '=cmd()\n"<b>" \u202e 日本', "brand_new_field": {"a:b": [1, None]}}
    odd |= {"provider_date": "0000-00-00 00:00:00", "operation_id": "1234567890123456789"}
    with simple(odd) as sandbox:
        (row,) = rows(sandbox)
        assert {name: row[name] for name in odd} == odd


def test_long_intervals_are_answered_one_by_one():
    long = {"from": "2024-01-01 00:00:00", "to": "2024-06-29 00:00:01"}
    short = {"from": "2024-01-01 00:00:00", "to": "2024-06-29 00:00:00"}
    accounts = [Account("a"), Account("b", OTHER_TOKEN, OTHER_SECRET)]
    with simple(accounts=accounts, behaviour=Behaviour(long_interval_gap=0.6)) as sandbox:
        start = time.monotonic()
        rows(sandbox, interval=long)
        rows(sandbox, interval=short)
        rows(sandbox, interval=long, token=OTHER_TOKEN, secret=OTHER_SECRET)
        assert time.monotonic() - start < 0.6
        threads = [threading.Thread(target=rows, args=[sandbox], kwargs={"interval": long}) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert time.monotonic() - start > 1.2


def test_answers_can_be_chunked():
    with simple({}, behaviour=Behaviour(chunked=True)) as sandbox:
        answer = ask(sandbox)
        assert answer.headers["transfer-encoding"] == "chunked"
        assert verify(answer.json(), DEMO_SECRET)


# Fields and filters


def test_default_fields_come_in_the_platform_s_order(sandbox):
    assert all(tuple(row) == DEFAULT for row in rows(sandbox))


def test_fields_come_as_asked_for_and_nested(sandbox):
    found = rows(sandbox, fields=["customer_email", "sum_initial.amount", "operation_id", "sum_converted"])
    assert all(list(row) == ["operation_id", "sum_initial", "sum_converted", "customer_email"] for row in found)
    assert all(list(row["sum_initial"]) == ["amount"] for row in found)
    (row,) = rows(sandbox, fields=[*DEFAULT, *ON_REQUEST], limit=1)
    assert tuple(row) == (*DEFAULT, *ON_REQUEST)


def test_fields_of_an_operation_told_by_hand_only_come_when_asked_for():
    with simple({"customer_id": "007"}) as sandbox:
        assert "customer_id" not in rows(sandbox)[0]
        assert rows(sandbox, fields=["customer_id", "bin"]) == [{"bin": "", "customer_id": "007"}]


@pytest.mark.parametrize(
    "condition",
    [
        {"operation_type": "refund"},
        {"operation_type": ["sale", "account verification"]},
        {"operation_status": "decline"},
        {
            "operation_status": ["success", "processing"],
            "operation_type": ["payout"],
            "project_id": [198, 1042],
        },
        {"operation_type": "unheard of"},
    ],
)
def test_filters_give_what_fulfils_them_and_nothing_else(sandbox, condition):
    def fulfils(row):
        return all(
            row[name] in (wanted if isinstance(wanted, list) else [wanted])
            for name, wanted in condition.items()
            if name != "project_id"
        ) and int(row["project_id"]) in condition.get("project_id", [int(row["project_id"])])

    expected = [row for row in sandbox.world.truth(None, ALL["from"], ALL["to"]) if fulfils(row)]
    found = rows(sandbox, **condition) + rows(sandbox, offset=1000, **condition)
    assert found == expected
    assert expected or condition == {"operation_type": "unheard of"}


def test_customers_are_found_by_id_and_email(sandbox):
    fields = ["operation_id", "customer_id", "customer_email"]
    some = rows(sandbox, fields=fields, limit=2)
    wanted = [row["customer_id"] for row in some]
    assert {row["customer_id"] for row in rows(sandbox, fields=fields, customer_id=wanted)} == set(wanted)
    by_email = rows(sandbox, fields=fields, customer_email=some[0]["customer_email"])
    assert some[0] in by_email
    assert by_email == rows(sandbox, fields=fields, customer_id=wanted[0])
