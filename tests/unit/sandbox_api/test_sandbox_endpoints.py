"""The sandbox's other endpoints over HTTP: balances, the operations of a payment, reports of fraud."""

from __future__ import annotations

from collections import Counter

from fixtures.sandbox import OTHER_SECRET, OTHER_TOKEN, ask
from resources.sandbox import DEMO_SECRET, Account, Fraud, SandboxServer, World
from resources.sandbox.signing import verify


def test_balances_are_decimal_strings_under_their_currency(sandbox):
    answer = ask(sandbox, "balance/get").json()
    assert verify(answer, DEMO_SECRET)
    balances = answer["balance"]
    assert balances[0] == {"name": "Project_Cosmo1_balance_USD", "SGD": "310099"}
    assert len(balances) > 10
    amounts = [value for balance in balances for key, value in balance.items() if key != "name"]
    assert len(amounts) == len(balances)
    assert all(str(int(amount)) == amount for amount in amounts)
    assert any(amount.startswith("-") for amount in amounts)
    assert len(ask(sandbox, "balance/get", token=OTHER_TOKEN, secret=OTHER_SECRET).json()["balance"]) < len(balances)
    assert ask(sandbox, "balance/get", limit=1).status_code == 400


def test_balances_are_drained_by_payouts_filled_by_top_ups_and_are_the_same_at_the_same_time():
    world = World.generate(seed=1, start="2024-03-01", days=3, operations=3000, now="2024-03-02")

    def shown():
        return {(row["name"], currency): int(row[currency]) for row in balances() for currency in row.keys() - {"name"}}

    with SandboxServer(world) as sandbox:

        def balances():
            return ask(sandbox, "balance/get").json()["balance"]

        before, opening = ask(sandbox, "balance/get").json(), shown()
        world.top_up(198, "EUR", 12_345, "2024-03-02 15:00:00")
        world.advance(86_400)
        paid_out = Counter()
        for row in world.truth():
            is_paid = (row["operation_type"], row["operation_status"]) == ("payout", "success")
            if is_paid and "2024-03-02T00:00:00" < row["operation_completed_at"] <= "2024-03-03T00:00:00+00:00":
                paid_out[row["project_id"], row["sum_initial"]["currency"]] += row["sum_initial"]["amount"]
        moved = {key: after - opening[key] for key, after in shown().items() if after != opening[key]}
        named = {"Cosmo1": "198", "東京ストア": "1042", "Nordwind Spiele GmbH": "3055", "Łódź & Søn — каса": "6411"}
        expected = {
            (f"{name} balance {currency}", currency): -paid_out[project, currency]
            for name, project in named.items()
            for currency in {currency for owner, currency in paid_out if owner == project}
        }
        expected["Cosmo1 balance EUR", "EUR"] += 12_345
        assert moved == expected
        assert len(moved) > 5
        world.set_now("2024-03-02")
        assert ask(sandbox, "balance/get").json() == before
        world.balances = [{"name": "by hand", "EUR": "9223372036854775807"}]
        assert ask(sandbox, "balance/get").json()["balance"] == world.balances


def test_the_operations_of_a_payment_come_in_short(sandbox):
    refund = next(row for row in sandbox.world.truth([198]) if row["operation_type"] == "refund")
    answer = ask(sandbox, "operations/get-by-payment", payment_id=refund["payment_id"]).json()
    assert verify(answer, DEMO_SECRET)
    first, *rest = answer["operations"]
    assert first["operation_type"] in {"sale", "recurring"}
    (short,) = [row for row in rest if row["operation_id"] == refund["operation_id"]]
    names = ["operation_id", "operation_type", "operation_created_at", "operation_completed_at"]
    assert list(short) == [*names, "amount", "currency", "arn", "rrn"]
    assert {"amount": short["amount"], "currency": short["currency"]} == refund["sum_initial"]
    assert ask(sandbox, "operations/get-by-payment", payment_id="none").json()["operations"] == []
    assert ask(sandbox, "operations/get-by-payment").json()["message"].startswith("payment_id: Missing required")


def test_fraud_reports_refer_to_operations(sandbox):
    answer = ask(sandbox, "fraud/list", pagination={"limit": 5000}).json()
    assert verify(answer, DEMO_SECRET)
    operations = {row["operation_id"]: row for row in sandbox.world.truth()}
    assert len(answer["operations"]) > 2
    for report in answer["operations"]:
        assert type(report["operation_id"]) is int
        assert type(report["report_and_purchase_date_difference"]) is int
        operation = operations[str(report["operation_id"])]
        money = operation["sum_initial"]
        assert report["payment_id"] == operation["payment_id"]
        assert report["tr_ccy"] == money["currency"]
        assert int(report["tr_amount"].replace(".", "")) == money["amount"]


def test_fraud_reports_have_major_units_filters_and_pages():
    def report(number, country, **times):
        money = {"tr_amount": "180.00", "tr_ccy": "EUR"}
        return Fraud.new(operation_id=number, issuer_country=country, **money, **times)

    world = World(now="2024-04-01")
    days = [f"2024-03-{day:02d} 10:00:00" for day in range(1, 26)]
    world.frauds = [
        report(n, "DE" if n % 2 else "JP", received_on=day, purchase_date=day) for n, day in enumerate(days)
    ]
    world.frauds.append(report(99, "DE", received_on="2024-05-01 00:00:00"))
    with SandboxServer(world, accounts=[Account(), Account("o", OTHER_TOKEN, OTHER_SECRET, risks=False)]) as sandbox:

        def found(**params):
            answer = ask(sandbox, "fraud/list", **params)
            assert answer.status_code == 200, answer.text
            return [row["operation_id"] for row in answer.json()["operations"]]

        assert found() == list(range(24, 4, -1))
        assert found(pagination={"limit": 10_000}) == list(range(24, -1, -1))
        assert found(pagination={"limit": 2, "offset": 3}) == [21, 20]
        assert found(filter={"received_on": [days[4], days[6]]}) == [6, 5, 4]
        assert found(filter={"purchase_date": [days[4], days[6]], "issuer_country": ["JP", "US"]}) == [6, 4]
        for wrong in (
            {"filter": {"colour": []}},
            {"filter": {"received_on": [days[0]]}},
            {"pagination": {"limit": 0}},
        ):
            assert ask(sandbox, "fraud/list", **wrong).status_code == 400
        assert ask(sandbox, "fraud/list", token=OTHER_TOKEN, secret=OTHER_SECRET).status_code == 401
