"""Each fault of the sandbox over HTTP: what a client gets to see, when it comes, and that it is counted."""

import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, Fault, Faults, SandboxServer, World
from resources.sandbox.faults import NAMES
from resources.sandbox.signing import sign, verify

DAY = {"from": "2024-03-01 00:00:00", "to": "2024-03-01 23:59:59"}


def ask(sandbox, endpoint="operations/get", /, **params):
    if endpoint == "operations/get":
        params = {"interval": DAY, "tz": "UTC", **params}
    body = {"token": DEMO_TOKEN, **params}
    body["signature"] = sign(body, DEMO_SECRET)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # a bare one: by default all certificates are read
    return httpx.post(f"{sandbox.url}/{endpoint}", json=body, verify=context)


def ids(sandbox, **params):
    body = ask(sandbox, **params).json()
    assert verify(body, DEMO_SECRET)
    return [row["operation_id"] for row in body["operations"]]


def true_ids(world, start=DAY["from"], end=DAY["to"]):
    return [row["operation_id"] for row in world.truth(None, start, end)]


@pytest.fixture
def sandbox():
    inside = [{"operation_completed_at": f"2024-03-01 10:00:{second:02d}"} for second in range(40)]
    outside = [{"operation_completed_at": f"2024-02-01 10:00:{second:02d}"} for second in range(5)]
    with SandboxServer(World.of(outside + inside, now="2024-04-01")) as server:
        yield server


def test_without_faults_nothing_happens(sandbox):
    assert len(ids(sandbox)) == 40
    assert not sandbox.faults.counts


def test_http_500(sandbox):
    sandbox.faults.next("http_500")
    answer = ask(sandbox)
    assert answer.status_code == 500
    assert answer.json() == {
        "name": "Internal Error",
        "message": "Internal error, please try again later",
        "code": 0,
        "status": 500,
    }
    assert sandbox.faults.counts == {"http_500": 1}
    assert ask(sandbox).status_code == 200


def test_http_429_says_when_to_come_back_in_seconds_as_a_date_or_not(sandbox):
    sandbox.faults.next(("http_429", 7))
    assert (answer := ask(sandbox)).status_code == 429
    assert answer.headers["retry-after"] == "7"
    sandbox.faults.next(Fault("http_429_date", 5))
    wait = parsedate_to_datetime(ask(sandbox).headers["retry-after"]) - datetime.now(UTC)
    assert 4 < wait.total_seconds() <= 6
    sandbox.faults.next("http_429_bare")
    assert "retry-after" not in (answer := ask(sandbox)).headers
    assert answer.json()["status"] == 429


def test_html_502(sandbox):
    sandbox.faults.next("html_502")
    answer = ask(sandbox)
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert "<html>" in answer.text


def test_slow(sandbox):
    sandbox.faults.next(("slow", 0.2))
    start = time.monotonic()
    assert len(ids(sandbox)) == 40
    assert time.monotonic() - start >= 0.2


@pytest.mark.parametrize("name", ["cut", "cut_chunked"])
def test_the_connection_is_cut_in_the_middle_of_the_body(sandbox, name):
    sandbox.faults.next(name)
    with pytest.raises(httpx.RemoteProtocolError, match="closed connection"):
        ask(sandbox)
    assert sandbox.faults.counts == {name: 1}
    assert len(ids(sandbox)) == 40


def test_broken_json(sandbox):
    sandbox.faults.next("broken_json")
    with pytest.raises(ValueError, match=r"."):
        ask(sandbox).json()


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("tampered", "wrong", "missing"))])
def test_a_body_somebody_was_at_does_not_verify(sandbox, name):
    true = ask(sandbox).json()
    sandbox.faults.next(name)
    answer = ask(sandbox)
    body = answer.json()
    assert answer.status_code == 200
    assert not verify(body, DEMO_SECRET)
    assert sandbox.faults.counts == {name: 1}
    before, after = true["operations"], body["operations"]
    if name == "tampered_drop":
        assert len(after) == len(before) - 1
    elif name == "tampered_swap":
        assert (after[0], after[-1]) == (before[-1], before[0])
    elif name == "tampered_key":
        assert after[0].keys() - before[0].keys() == {"unsigned_note"}
    elif name == "tampered_value":
        assert sum(a != b for a, b in zip(after, before, strict=True)) == 1
    else:
        assert after == before


def test_bodies_of_the_other_endpoints_can_be_tampered_with(sandbox):
    sandbox.world.balances = [{"name": "one", "EUR": "100"}]
    sandbox.faults.next("tampered_value")
    body = ask(sandbox, "balance/get").json()
    assert body["balance"] == [{"name": "one", "EUR": "1001"}]
    assert not verify(body, DEMO_SECRET)


def test_what_cannot_happen_is_not_counted(sandbox):
    sandbox.faults.always(["tampered_drop", "tampered_swap", "short_page", "rows_leave"])
    empty = {"from": "2023-01-01 00:00:00", "to": "2023-01-01 00:00:00"}
    assert ids(sandbox, interval=empty) == []
    assert not sandbox.faults.counts


def test_short_capped_and_empty_pages_are_signed(sandbox):
    true = ids(sandbox)
    sandbox.faults.next("short_page")
    assert ids(sandbox, limit=10) == true[:9]
    sandbox.faults.always(("capped_page", 7))
    assert ids(sandbox) == true[:7]
    assert ids(sandbox, offset=7, limit=9) == true[7:14]
    assert ids(sandbox, limit=5) == true[:5]
    assert sandbox.faults.counts == {"short_page": 1, "capped_page": 2}
    sandbox.faults.clear()
    sandbox.faults.next("empty_page")
    assert (ids(sandbox), ids(sandbox)) == ([], true)


def test_rows_leave_the_interval_after_each_page(sandbox):
    sandbox.faults.always(("rows_leave", 3))
    first = ids(sandbox, limit=10)
    assert len(first) == 10
    assert len(true_ids(sandbox.world)) == 37
    second = ids(sandbox, offset=10, limit=10)
    left = set(true_ids(sandbox.world, "2024-03-02 00:00:00", "2024-04-01 00:00:00"))
    assert len(left) == 6
    assert sandbox.world.truth(None, "2024-03-02", None)[0]["payment_provider_message"] == "moved by the sandbox"
    sandbox.faults.clear()
    assert len(set(ids(sandbox)) | left) == 40
    assert set(second) <= set(ids(sandbox)) | left


def test_rows_enter_the_interval_from_outside_and_new_ones_if_there_are_none(sandbox):
    before = set(ids(sandbox))
    outside = set(true_ids(sandbox.world, None, None)) - before
    sandbox.faults.next(("rows_enter", 5))
    ids(sandbox)
    assert set(ids(sandbox)) == before | outside
    sandbox.faults.next(("rows_enter", 2))
    ids(sandbox)
    assert len(ids(sandbox)) == 47
    assert len(sandbox.world) == 47
    assert sandbox.faults.counts == {"rows_enter": 2}


def test_late_rows_appear_which_were_effective_all_the_time(sandbox):
    sandbox.faults.next(("late_rows", 4))
    before = ids(sandbox)
    after = ids(sandbox)
    assert len(set(after) - set(before)) == 4
    assert after == true_ids(sandbox.world)


def test_rows_move_while_filters_hold(sandbox):
    sandbox.faults.always(["rows_leave:2", "rows_enter:1", "late_rows:1"])
    for _ in range(5):
        ids(sandbox, operation_type="sale", project_id=[198])
    sandbox.faults.clear()
    assert ids(sandbox) == true_ids(sandbox.world)
    assert sandbox.faults.counts == {"rows_leave": 5, "rows_enter": 5, "late_rows": 5}


def test_a_script_says_which_request_meets_what(sandbox):
    sandbox.faults.set_script([None, "http_500", ["slow:0.01", "short_page"], Fault("html_502")])
    seen = [(answer.status_code, len(answer.content) > 1000) for answer in (ask(sandbox) for _ in range(5))]
    assert seen == [(200, True), (500, False), (200, True), (502, False), (200, True)]
    assert [one.faults for one in sandbox.requests] == [
        (),
        ("http_500",),
        ("slow", "short_page"),
        ("html_502",),
        (),
    ]
    sandbox.faults.set_script({2: "http_500"})
    assert [ask(sandbox).status_code for _ in range(3)] == [200, 500, 200]


def test_next_and_always_can_be_for_an_endpoint_alone(sandbox):
    sandbox.faults.next("http_500", times=2, endpoint="balance/get")
    assert ask(sandbox).status_code == 200
    assert [ask(sandbox, "balance/get").status_code for _ in range(3)] == [500, 500, 200]
    sandbox.faults.always("html_502", endpoint="fraud/list")
    assert ask(sandbox).status_code == 200
    assert ask(sandbox, "fraud/list").status_code == 502


def test_a_page_fault_waits_for_a_page(sandbox):
    sandbox.faults.next("empty_page")
    assert ask(sandbox, "balance/get").status_code == 200
    assert ids(sandbox) == []


def test_chance_is_decided_by_the_seed():
    def drawn(seed):
        faults = Faults(seed, {"http_500": 0.3, "slow": (0.1, 0.5)})
        return [faults.draw("operations/get") for _ in range(400)]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    everything = [fault for met in drawn(1) for fault in met]
    assert 90 < everything.count(Fault("http_500")) < 150
    assert 20 < everything.count(Fault("slow", 0.5)) < 60


def test_faults_are_read_from_a_command_line():
    faults = Faults.parse("http_500=1, slow=1:2.5,")
    assert faults.draw("balance/get") == [Fault("http_500"), Fault("slow", 2.5)]
    assert Faults.parse("").draw("balance/get") == []
    with pytest.raises(ValueError, match="No fault is called 'http_5000'"):
        Faults.parse("http_5000=1")


def test_faults_given_to_the_server_are_the_ones_it_makes():
    with SandboxServer(World(), faults=Faults.script(["http_500"])) as sandbox:
        assert [ask(sandbox).status_code for _ in range(2)] == [500, 200]
