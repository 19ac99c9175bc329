"""The sandbox's Data API over HTTP: who may ask, what is refused and how, and what of it is logged."""

from __future__ import annotations

import json

import httpx
import pytest

from fixtures.sandbox import ALL, OTHER_SECRET, OTHER_TOKEN, ask, post, rows, simple
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, Behaviour
from resources.sandbox.signing import sign

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


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b"[" * 100_000, b'{"\\ud800": 1}'])
def test_a_body_that_is_no_json_object_is_400(sandbox, body):
    answer = post(f"{sandbox.url}/operations/get", content=body)
    assert (answer.status_code, answer.json()["name"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"limit": 0}, "limit: Input should be greater than or equal to 1"),
        ({"limit": 1001}, "limit: Input should be less than or equal to 1000"),
        ({"limit": "10"}, "limit: Input should be a valid integer"),
        ({"limit": True}, "limit: Input should be a valid integer"),
        ({"offset": -1}, "offset: Input should be greater than or equal to 0"),
        ({"offset": None}, "offset: must not be null"),
        ({"interval": None}, "interval: must not be null"),
        ({"tz": None}, "tz: must not be null"),
        ({"interval": "2024"}, "interval: Input should be a valid dictionary"),
        ({"interval": {"from": ALL["from"]}}, "interval: Dictionary should have at least 2 items"),
        ({"interval": {**ALL, "to": "2024-02-30 00:00:00"}}, "interval.to: day is out of range for month"),
        ({"interval": {**ALL, "to": "2024-02-01"}}, "interval.to: must be a date"),
        ({"interval": {**ALL, "from": "2024-02-01 00:00:00+00:00"}}, "interval.from: must be a date"),
        ({"interval": {**ALL, "from": 1}}, "interval.from: must be a date"),
        ({"interval": {**ALL, "from": "2025-01-01 00:00:00"}}, "interval.from must not be later"),
        ({"tz": "Mars/Olympus"}, "tz: Unknown time zone: Mars/Olympus"),
        ({"tz": "+25:00"}, "tz: Unknown time zone"),
        ({"tz": "../UTC"}, "tz: Unknown time zone"),
        ({"tz": 0}, "tz: Unknown time zone: 0"),
        ({"fields": ["operation_id", "colour"]}, "Unknown field: colour"),
        ({"fields": ["sum_initial.colour"]}, "Unknown field: sum_initial.colour"),
        ({"fields": "operation_id"}, "fields: Input should be a valid tuple"),
        ({"operation_type": 5}, "operation_type: Input should be a valid frozenset"),
        ({"customer_email": ["a"]}, "customer_email: Input should be a valid string"),
        ({"project_id": 198}, "project_id: Input should be a valid tuple"),
        ({"project_id": ["198"]}, "project_id.0: Input should be a valid integer"),
        ({"page": 2}, "page: Unexpected keyword argument"),
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
