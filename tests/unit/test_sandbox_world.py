"""The world behind the sandbox: seeded, realistic, changing with its clock; and worlds made by hand."""

import subprocess
import sys
import time
from collections import Counter, defaultdict

import pytest

from resources.sandbox import Query, World
from resources.sandbox.operations import ON_REQUEST, major_units

DAY = 86_400
LAST = "2024-06-30"
TYPES = {
    *("sale", "auth", "capture", "cancel", "recurring"),
    *("refund", "reversal", "payout", "account verification"),
}
FINAL_STATUSES = {"success", "decline", "error"}
STATUSES = {
    *("processing", "awaiting 3ds result", "awaiting redirect result"),
    *("awaiting clarification", "awaiting customer action", *FINAL_STATUSES),
}


@pytest.fixture(scope="module")
def world():
    return World.generate(seed=11, start="2024-03-01", days=31, operations=12_000, now=LAST)


@pytest.fixture(scope="module")
def everything(world):
    return world.truth()


def test_the_same_seed_draws_the_same_world():
    def draw(seed, operations=300):
        return World.generate(seed=seed, start="2024-03-01", days=5, operations=operations, now=LAST).truth()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert [len(draw(1, count)) for count in (0, 1, 2, 77)] == [0, 1, 2, 77]


def test_there_is_everything_of_the_readme(everything):
    assert {row["operation_type"] for row in everything} == TYPES
    assert {row["operation_status"] for row in everything} == STATUSES
    assert {row["project_id"] for row in everything} == {"198", "1042", "3055", "6411"}
    currencies = {row["sum_initial"]["currency"] for row in everything}
    assert currencies >= {"JPY", "EUR", "USD", "GBP", "KWD", "CLF"}


def test_ids_are_unique_digits_and_payment_ids_within_a_project_only(everything):
    numbers = [row["operation_id"] for row in everything]
    assert len(set(numbers)) == len(numbers)
    assert all(number.isdecimal() and int(number) >= 6435212160000 for number in numbers)
    projects = defaultdict(set)
    for row in everything:
        projects[row["payment_id"]].add(row["project_id"])
    assert {"1042", "3055"} in projects.values()


def test_what_follows_on_a_payment_is_in_it(everything):
    first = {
        (row["project_id"], row["payment_id"]): row
        for row in everything
        if row["operation_type"] in {"sale", "auth", "recurring"}
    }
    follow = [row for row in everything if row["operation_type"] in {"refund", "capture", "cancel", "reversal"}]
    assert len(follow) > 500
    for row in follow:
        payment = first[row["project_id"], row["payment_id"]]
        assert row["operation_created_at"] > payment["operation_created_at"]
        assert row["sum_initial"]["currency"] == payment["sum_initial"]["currency"]
        assert row["sum_initial"]["amount"] <= payment["sum_initial"]["amount"]
        assert row["account_number"] == payment["account_number"]


def test_amounts_are_integers_and_the_converted_may_be_missing(everything):
    assert all(type(row["sum_initial"]["amount"]) is int for row in everything)
    converted = [row["sum_converted"] for row in everything]
    assert None in converted
    assert {} in converted
    assert {"amount": None, "currency": None} in converted
    assert any(
        c and c["currency"] and c["currency"] != r["sum_initial"]["currency"]
        for c, r in zip(converted, everything, strict=True)
    )


def test_texts_are_what_a_loader_has_to_survive(everything):
    def values(name):
        return {row[name] for row in everything}

    assert any(value and value.startswith("0") for value in values("rrn"))
    assert any(value and value.startswith("0") for value in values("arn"))
    assert any(value.startswith("0") for value in values("payment_provider_code"))
    for odd in ("=cmd", "<script>", "\n", '"', "注文", "№"):
        assert any(odd in value for value in values("payment_description") | values("payment_provider_message"))
    for name in ("account_number", "customer_ip", "arn", "rrn", "shipment_date"):
        assert {"", None} <= values(name), name


def test_only_final_operations_are_completed(everything):
    for row in everything:
        assert (row["operation_completed_at"] != "") is (row["operation_status"] in FINAL_STATUSES)


def test_days_and_weeks_have_their_rhythm(everything):
    created = [row["operation_created_at"] for row in everything]
    hours = Counter(int(text[11:13]) for text in created)
    assert hours[19] > 4 * hours[3]
    assert min(created) >= "2024-03-01T00:00:00"
    assert max(created) <= "2024-03-31T23:59:59"


def test_operations_change_and_show_up_late(world):
    operations = world.operations
    assert sum(len(operation.states) > 1 for operation in operations) > 2000
    assert sum(len(operation.states) > 2 for operation in operations) > 100
    late = [s for operation in operations for s in operation.states if s.visible > s.effective]
    assert len(late) > 100
    assert all(s.visible >= s.effective for operation in operations for s in operation.states)


def test_index_and_truth_agree_however_the_clock_moves():
    world = World.generate(seed=5, start="2024-03-01", days=10, operations=900)
    low = 1_709_251_200
    sizes = []
    for now in [low + DAY * 3, low + DAY * 3 + 900, low + DAY * 4, low + DAY * 2, low + DAY * 60, low]:
        world.set_now(now)
        for start, end in [
            (low, low + DAY),
            (low + DAY, low + 3 * DAY - 1),
            (None, None),
            (low + 5 * DAY, None),
        ]:
            true = [row["operation_id"] for row in world.truth(None, start, end)]
            assert world.ids(Query(start, end)) == true
        sizes.append(len(world.truth()))
    assert sizes[0] < sizes[1] < sizes[2] > sizes[3]
    assert sizes[4] == 900


def test_an_operation_leaves_its_old_interval_when_it_changes():
    world = World.of([({"operation_id": "5"}, "2024-03-01 10:00:00")], now="2024-03-10")
    world.change(5, operation_status="decline")
    assert world.truth(None, "2024-03-01", "2024-03-02") == []
    assert world.truth(None, "2024-03-10", "2024-03-10")[0]["operation_status"] == "decline"


def test_a_state_counts_from_when_it_is_visible_and_is_found_where_it_is_effective():
    world = World(now="2024-03-10")
    world.add({"operation_id": "1"}, "2024-03-01 10:00:00", "2024-03-11")
    world.add({"operation_id": "2"}, "2024-03-01 10:00:00")
    world.change("2", effective="2024-03-12", visible="2024-03-12", arn="01")
    interval = Query(1_709_287_200, 1_709_287_200)
    assert world.ids(interval) == ["2"]
    world.set_now("2024-03-11")
    assert world.ids(interval) == ["2", "1"]
    world.set_now("2024-03-12")
    assert world.ids(interval) == ["1"]
    assert world.ids(Query()) == ["2", "1"]
    world.remove("1")
    assert world.ids(Query()) == [row["operation_id"] for row in world.truth()] == ["2"]


def test_changes_between_requests_keep_index_and_truth_together():
    world = World.generate(seed=5, start="2024-03-01", days=4, operations=120, now="2024-03-03")
    for step in range(60):
        number = world.ids(Query())[step % 7]
        world.change(number, effective=world.now - step * 1000)
        world.add({}, world.now - step * 500, world.now + step * 100)
        if step % 5 == 0:
            world.remove(world.ids(Query())[-1])
        world.advance(step * 77)
        assert world.ids(Query()) == [row["operation_id"] for row in world.truth()]
    assert len(world) == 168


def test_ties_are_by_id_and_odd_ids_are_possible():
    world = World.of([({"operation_id": i}, 1000) for i in ("10", "9", "0012", "abc", "9" * 19)], now=2000)
    assert world.ids(Query())[-3:] == ["9" * 19, "10", "9"]
    assert set(world.ids(Query())) == {"10", "9", "0012", "abc", "9" * 19}
    with pytest.raises(ValueError, match="There is an operation abc already"):
        world.add({"operation_id": "abc"})
    world.change("abc", arn="1")
    assert world.ids(Query())[0] == "abc"
    with pytest.raises(KeyError, match="No operation 77"):
        world.remove(77)


def test_the_real_clock_is_the_default():
    world = World.generate(operations=50, days=2)
    assert abs(world.now - time.time()) < 60
    later = World.of([({}, int(time.time()) + 3600)])
    assert later.truth() == []


def test_totals_add_up_the_truth(world, everything):
    totals = world.totals(None, "2024-03-01", LAST)
    assert sum(total["count"] for total in totals) == len(everything)
    jpy = [row["sum_initial"]["amount"] for row in everything if row["sum_initial"]["currency"] == "JPY"]
    assert sum(total["amount"] for total in totals if total["currency"] == "JPY") == sum(jpy)


def test_truth_can_be_asked_with_zone_and_fields(world):
    (row,) = world.truth({198}, tz="+09:00", fields=["operation_created_at", "sum_initial.currency"])[:1]
    assert row["operation_created_at"].endswith("+09:00")
    assert list(row["sum_initial"]) == ["currency"]
    full = world.truth(fields=ON_REQUEST)[0]
    assert tuple(full) == ON_REQUEST


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (18000, "USD", "180.00"),
        (180, "JPY", "180"),
        (5, "KWD", "0.005"),
        (12345, "CLF", "1.2345"),
        (-7, "EUR", "-0.07"),
    ],
)
def test_major_units_have_the_currency_s_own_decimals(amount, currency, text):
    assert major_units(amount, currency) == text


def test_import_is_cheap_and_shares_nothing_with_the_client():
    code = (
        "import sys, resources.sandbox; "
        "print([name for name in ('starlette', 'uvicorn', 'pandas', 'pyarrow', 'dagster', 'psycopg',"
        " 'resources.data_api', 'pipelines') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_new_ids_are_greater_than_all_there_are():
    world = World.generate(seed=1, start="2024-03-01", days=2, operations=30, now=LAST)
    greatest = max(int(row["operation_id"]) for row in world.truth())
    world.add({"operation_id": "7"}, exact=True)
    assert int(world.new_id()) > greatest
    world.add({"operation_id": str(greatest + 1000)})
    assert int(world.new_id()) > greatest + 1000
