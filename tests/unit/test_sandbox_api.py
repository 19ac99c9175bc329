"""The sandbox's Data API over HTTP: who may ask, what is refused, intervals, pages, fields, filters."""

import json
import ssl
import threading
import time
from collections import Counter

import httpx
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, Behaviour, Fraud, SandboxServer, World
from resources.sandbox.fields import DEFAULT, ON_REQUEST
from resources.sandbox.signing import digest, join_rows, row_text, sign, verify

ALL = {"from": "2024-01-01 00:00:00", "to": "2024-05-31 23:59:59"}
OTHER_TOKEN, OTHER_SECRET = "x" * 30, "ключ"


def ask(sandbox, endpoint="operations/get", /, token=DEMO_TOKEN, secret=DEMO_SECRET, **params):
    body = {"token": token, **params}
    body["signature"] = sign(body, secret)
    return post(f"{sandbox.url}/{endpoint}", json=body)


def post(url, **content):
    # A bare context of its own: by default each call reads all certificates of the machine.
    return httpx.post(url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), **content)


def rows(sandbox, /, **params):
    answer = ask(sandbox, **{"interval": ALL, "tz": "UTC", **params})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert list(body) == ["operations", "signature"]
    text = join_rows(row_text("operations", row) for row in body["operations"])
    assert body["signature"] == digest(text, params.get("secret", DEMO_SECRET))
    return body["operations"]


def ids(sandbox, /, **params):
    return [row["operation_id"] for row in rows(sandbox, **params)]


@pytest.fixture(scope="module")
def sandbox():
    world = World.generate(seed=7, start="2024-03-01", days=31, operations=2500, now="2024-05-20")
    other = Account("other", OTHER_TOKEN, OTHER_SECRET, projects={198, 3055}, time_zone="UTC", risks=False)
    with SandboxServer(world, accounts=[Account(), other]) as server:
        yield server


def simple(*operations, now="2024-04-01", **options):
    return SandboxServer(World.of(operations, now=now), **options)


# Who asks


def check_refused(answer, status, message, name):
    assert (answer.status_code, answer.json()) == (
        status,
        {"name": name, "message": message, "code": 0, "status": status},
    )


@pytest.mark.parametrize("token", ["y" * 30, "", None, 5])
def test_a_wrong_token_is_refused_with_the_platform_s_unsigned_error(sandbox, token):
    answer = ask(sandbox, token=token)
    check_refused(answer, 401, "Token is wrong, deactivated or replaced", "Authorization Required")


def test_a_missing_token_or_signature_is_401_and_not_400(sandbox):
    assert post(f"{sandbox.url}/balance/get", json={}).status_code == 401
    answer = post(f"{sandbox.url}/balance/get", json={"token": DEMO_TOKEN})
    check_refused(answer, 401, "Signature is wrong", "Authorization Required")


def test_a_signature_under_another_secret_or_of_other_parameters_is_refused(sandbox):
    assert ask(sandbox, secret="wrong").status_code == 401
    body = {"token": DEMO_TOKEN, "limit": 1}
    body |= {"signature": sign(body, DEMO_SECRET), "offset": 1}
    assert post(f"{sandbox.url}/operations/get", json=body).status_code == 401


def test_a_replaced_deactivated_or_deleted_token_is_refused():
    with simple(accounts=[Account("a"), Account("b", OTHER_TOKEN, OTHER_SECRET)]) as sandbox:
        assert ask(sandbox).status_code == 200
        sandbox.accounts.put(Account("a", "n" * 30, "new"))
        assert ask(sandbox).status_code == 401
        assert ask(sandbox, token="n" * 30, secret="new").status_code == 200
        sandbox.accounts.put(Account("a", "n" * 30, "new", active=False))
        assert ask(sandbox, token="n" * 30, secret="new").status_code == 401
        sandbox.accounts.delete("b")
        assert ask(sandbox, token=OTHER_TOKEN, secret=OTHER_SECRET).status_code == 401


def test_a_token_has_thirty_characters():
    assert len(DEMO_TOKEN) == 30
    with pytest.raises(ValueError, match="30 characters"):
        Account(token="short")
    assert DEMO_SECRET not in repr(Account())


def test_an_account_sees_its_projects_only(sandbox):
    other = {"token": OTHER_TOKEN, "secret": OTHER_SECRET}
    assert {row["project_id"] for row in rows(sandbox)} == {"198", "1042", "3055", "6411"}
    assert {row["project_id"] for row in rows(sandbox, **other)} == {"198", "3055"}
    assert {row["project_id"] for row in rows(sandbox, project_id=[3055], **other)} == {"3055"}
    answer = ask(sandbox, project_id=[198, 22], **other)
    check_refused(answer, 401, "You have no access to project_id = 22", "Authorization Required")


@pytest.mark.parametrize(("status", "name"), [(400, "Bad Request"), (403, "Forbidden")])
def test_the_status_for_a_foreign_project_can_be_another(status, name):
    account = Account(projects=[198])
    with simple(accounts=[account], behaviour=Behaviour(no_access_status=status)) as sandbox:
        check_refused(ask(sandbox, project_id=[22]), status, "You have no access to project_id = 22", name)


# What is refused


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_400(sandbox, body):
    answer = post(f"{sandbox.url}/operations/get", content=body)
    assert (answer.status_code, answer.json()["name"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"limit": 0}, "limit must be an integer from 1 to 1000, got 0"),
        ({"limit": 1001}, "limit must be an integer from 1 to 1000, got 1001"),
        ({"limit": "10"}, "limit must be an integer from 1 to 1000, got '10'"),
        ({"limit": True}, "limit must be an integer"),
        ({"offset": -1}, "offset must be an integer of at least 0, got -1"),
        ({"offset": None}, "offset must be an integer"),
        ({"interval": "2024"}, "interval must be an object with from and to"),
        ({"interval": {"from": ALL["from"]}}, "interval must be an object with from and to"),
        ({"interval": {**ALL, "to": "2024-02-30 00:00:00"}}, "interval.to must be a date"),
        ({"interval": {**ALL, "to": "2024-02-01"}}, "interval.to must be a date"),
        ({"interval": {**ALL, "from": "2024-02-01 00:00:00+00:00"}}, "interval.from must be a date"),
        ({"interval": {**ALL, "from": 1}}, "interval.from must be a date"),
        ({"interval": {**ALL, "from": "2025-01-01 00:00:00"}}, "interval.from must not be later"),
        ({"tz": "Mars/Olympus"}, "tz: Unknown time zone: Mars/Olympus"),
        ({"tz": "+25:00"}, "tz: Unknown time zone"),
        ({"tz": "../UTC"}, "tz: Unknown time zone"),
        ({"tz": 0}, "tz must be a string"),
        ({"fields": ["operation_id", "colour"]}, "Unknown field: colour"),
        ({"fields": ["sum_initial.colour"]}, "Unknown field: sum_initial.colour"),
        ({"fields": "operation_id"}, "fields must be a list of strings"),
        ({"operation_type": 5}, "operation_type must be a string or a list of strings"),
        ({"customer_email": ["a"]}, "customer_email must be a string"),
        ({"project_id": 198}, "project_id must be a list of integers"),
        ({"project_id": ["198"]}, "project_id must be a list of integers"),
        ({"page": 2}, "Unknown parameter: page"),
    ],
)
def test_a_wrong_parameter_is_400_and_the_message_names_it(sandbox, params, message):
    answer = ask(sandbox, **params)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert set(answer.json()) == {"name", "message", "code", "status"}


def test_other_paths_and_methods_are_errors_in_the_platform_s_form(sandbox):
    assert post(f"{sandbox.url}/chargeback/unknown").json()["status"] == 404
    assert httpx.get(f"{sandbox.url}/operations/get").json()["status"] == 405


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
    with simple(accounts=accounts, behaviour=Behaviour(long_interval_gap=0.25)) as sandbox:
        start = time.monotonic()
        rows(sandbox, interval=long)
        rows(sandbox, interval=short)
        rows(sandbox, interval=long, token=OTHER_TOKEN, secret=OTHER_SECRET)
        assert time.monotonic() - start < 0.25
        threads = [threading.Thread(target=rows, args=[sandbox], kwargs={"interval": long}) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0.5 < time.monotonic() - start < 1.5


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


# The other endpoints


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
    assert ask(sandbox, "operations/get-by-payment").json()["message"] == "payment_id is required"


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
        return Fraud.told(operation_id=number, issuer_country=country, **money, **times)

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


# The log


def test_requests_are_logged_without_token_and_signature():
    with simple({}) as sandbox:
        ask(sandbox, limit=5)
        ask(sandbox, "balance/get", secret="wrong")
        assert [(one.endpoint, one.params, one.status) for one in sandbox.requests] == [
            ("operations/get", {"limit": 5}, 200),
            ("balance/get", {}, 401),
        ]
        assert sandbox.request_count == 2
        assert DEMO_TOKEN not in json.dumps([str(one) for one in sandbox.requests])
