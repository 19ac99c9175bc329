"""The sandbox as a process of its own: one line when ready, the admin routes, a clean end."""

import json
import signal
import ssl
import subprocess
import sys

import httpx
import pytest

from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, World, sandbox_process
from resources.sandbox.signing import sign

COMMAND = [sys.executable, "-m", "resources.sandbox", "--operations", "50", "--days", "3"]
OPTIONS = {"operations": 600, "days": 7, "end": "2024-03-31", "now": "2024-05-01", "seed": 4}


def ask(url, endpoint="operations/get", /, **params):
    body = {"token": DEMO_TOKEN, **params}
    body["signature"] = sign(body, DEMO_SECRET)
    return httpx.post(f"{url}/{endpoint}", json=body, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.fixture(scope="module")
def sandbox():
    with sandbox_process(**OPTIONS) as process:
        yield process


def test_it_tells_where_it_is_and_what_it_holds(sandbox):
    assert sandbox.url.startswith("http://127.0.0.1:")
    assert sandbox.url.endswith("/v1")
    assert (sandbox.token, sandbox.secret) == (DEMO_TOKEN, DEMO_SECRET)
    assert (sandbox.operations, sandbox.days) == (600, 7)
    assert (sandbox.first_day, sandbox.last_day) == ("2024-03-25", "2024-03-31")
    assert sandbox.projects == (198, 1042, 3055, 6411)
    assert DEMO_SECRET not in repr(sandbox)


def test_it_serves_the_world_of_its_seed(sandbox):
    world = World.generate(seed=4, start="2024-03-25", days=7, operations=600, now="2024-05-01")
    assert ask(sandbox.url, tz="UTC").json()["operations"] == world.truth()
    assert sandbox.truth() == world.truth()
    day = ("2024-03-28 00:00:00", "2024-03-28 23:59:59")
    assert sandbox.totals(*day) == world.totals(None, *day)
    assert sandbox.totals(*day)


def test_requests_and_faults_are_counted(sandbox):
    before = sandbox.stats()["requests"].get("balance/get", {})
    sandbox.set_faults(rates={"http_500": 1.0})
    assert ask(sandbox.url, "balance/get").status_code == 500
    sandbox.set_faults(clear=True, next=["html_502"], times=2)
    assert [ask(sandbox.url, "balance/get").status_code for _ in range(3)] == [502, 502, 200]
    sandbox.set_faults(script=[None, ["http_429:3"]])
    assert [ask(sandbox.url, "balance/get").status_code for _ in range(3)] == [200, 429, 200]
    stats = sandbox.stats()
    assert stats["requests"]["balance/get"]["200"] - before.get("200", 0) == 3
    assert stats["faults"] == {"http_500": 1, "html_502": 2, "http_429": 1}


def test_the_clock_can_be_set(sandbox):
    assert sandbox.set_clock("2024-03-26") == 1711411200
    some = len(sandbox.truth())
    assert 0 < some < 600
    assert sandbox.set_clock(advance=86_400) == 1711411200 + 86_400
    assert len(sandbox.truth()) > some
    assert sandbox.set_clock() > 1711411200
    assert sandbox.set_clock("2024-05-01") == 1714521600


def test_the_world_can_be_changed(sandbox):
    number = sandbox.change_world(add={"arn": "007"}, effective="2023-01-01")
    sandbox.change_world(change={"operation_id": number, "rrn": "008"}, effective="2023-01-02")
    (row,) = sandbox.truth("2023-01-01", "2023-12-31")
    assert (row["operation_id"], row["arn"], row["rrn"]) == (number, "007", "008")
    sandbox.change_world(remove=number)
    assert sandbox.truth("2023-01-01", "2023-12-31") == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_stands_in_nobodys_way_to_it(sandbox, monkeypatch, name):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert "requests" in sandbox.stats()


def test_a_wrong_setting_is_400_with_a_message(sandbox):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path, body in [
        ("faults", {"rate": 1}),
        ("faults", {"rates": {"x": 1}}),
        ("clock", {}),
        ("operations", {}),
    ]:
        answer = httpx.post(f"{sandbox.admin_url}/{path}", json=body, verify=context)
        assert (answer.status_code, answer.json()["status"]) == (400, 400)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_it_says_one_line_only(number):
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        ready = json.loads(process.stdout.readline())
        assert {"url", "token", "secret", "projects", "days", "operations"} <= ready.keys()
        assert ask(ready["url"]).status_code == 200
        assert ask(ready["url"], limit=0).status_code == 400
        process.send_signal(number)
        assert process.communicate(timeout=10) == (b"", b"")
        assert process.returncode == 0


def test_it_ends_with_its_parent():
    command = [*COMMAND, "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_wrong_option_is_said_at_once(capfd):
    with pytest.raises(RuntimeError, match="exit status 2"), sandbox_process(order="random"):
        pass
    assert "invalid choice: 'random'" in capfd.readouterr().err
