"""The endpoints whose formats the sandbox makes up: signed like all others, filtered, and cut into pages."""

from __future__ import annotations

import ssl

import httpx
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Account, SandboxServer, World
from resources.sandbox.documents import Document
from resources.sandbox.signing import sign

NOW = "2024-06-15 00:00:00"
MARCH = ["2024-03-01 00:00:00", "2024-03-31 23:59:59"]
INTERVAL = {"from": MARCH[0], "to": MARCH[1]}
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ask(sandbox, endpoint, **params):
    body = {"token": DEMO_TOKEN, **params}
    body["signature"] = sign(body, DEMO_SECRET)
    return httpx.post(f"{sandbox.url}/{endpoint}", json=body, verify=PLAIN)


@pytest.fixture(scope="module")
def sandbox():
    with SandboxServer(World.generate(seed=7, start="2024-03-01", days=31, operations=8_000, now=NOW)) as server:
        yield server


@pytest.mark.parametrize(
    ("endpoint", "params", "name"),
    [
        ("chargeback/list", {"filter": {"updated_at": MARCH}, "pagination": {"limit": 50}}, "chargebacks"),
        ("financial-reporting/operations", {"interval": INTERVAL, "tz": "UTC"}, "operations"),
        ("currency-rates/get", {"filter": {"interval": INTERVAL, "currency": "EUR"}, "tz": "UTC"}, "rates"),
    ],
)
def test_each_list_is_signed_and_has_rows(sandbox, endpoint, params, name):
    answer = ask(sandbox, endpoint, **params).json()
    assert list(answer) == [name, "signature"]
    assert len(answer[name]) > 10
    assert sign(answer, DEMO_SECRET) == answer["signature"]


def test_one_chargeback_is_one_signed_object(sandbox):
    listed = ask(sandbox, "chargeback/list", filter={"updated_at": MARCH}).json()["chargebacks"][0]
    answer = ask(sandbox, "chargeback/get", id=listed["id"]).json()
    assert answer["chargeback"] == listed
    assert sign(answer, DEMO_SECRET) == answer["signature"]
    assert "no chargeback nothing" in ask(sandbox, "chargeback/get", id="nothing").json()["message"]


def test_pages_are_cut_from_the_newest_on_and_a_project_that_is_not_seen_is_not_there():
    world = World.of(now=NOW)
    told = [Document.new(f"2024-03-05 12:00:0{number}", id=number) for number in range(5)]
    world.documents.tell("chargeback/list", [*told, Document.new("2024-03-05 13:00:00", 1042, id=99)])
    with SandboxServer(world, accounts=[Account(projects={198})]) as sandbox:
        page = ask(sandbox, "chargeback/list", pagination={"limit": 2, "offset": 1}).json()["chargebacks"]
    assert [row["id"] for row in page] == [3, 2]


@pytest.mark.parametrize(
    ("endpoint", "params"),
    [
        ("chargeback/list", {"limit": 1}),
        ("chargeback/list", {"filter": {"updated_at": "2024"}}),
        ("chargeback/list", {"pagination": {"page": 1}}),
        ("chargeback/get", {}),
        ("chargeback/get", {"id": True}),
        ("financial-reporting/operations", {"interval": {"from": "x", "to": "y"}}),
        ("financial-reporting/operations", {"limit": 1001}),
        ("currency-rates/get", {}),
        ("currency-rates/get", {"filter": {"interval": INTERVAL}, "tz": "nowhere"}),
    ],
)
def test_a_wrong_parameter_is_400(sandbox, endpoint, params):
    assert ask(sandbox, endpoint, **params).status_code == 400
