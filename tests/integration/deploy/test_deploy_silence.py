"""Whoever dies is noticed: daemon, code server, databases and network, each by a message or by a missing heartbeat."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from fixtures.commands import ROOT, fetch_all, sync
from fixtures.deploy import Processes, free_port, gate_to
from fixtures.receivers import watcher, webhook
from pipelines.nights import night_at
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer, World
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse

MISSING = 8.0  # seconds; the daemon looks at its sensors every five
CODE = ("dagster", "code-server", "start", "-m", "fixtures.quick_alerts", "-h", "127.0.0.1", "-p")


def a_heartbeat_is_missing(signals: list) -> None:
    """Wait until none came for longer than they are apart."""
    give_up_at, count, since = time.monotonic() + 60, len(signals), time.monotonic()
    while time.monotonic() - since < MISSING:
        assert time.monotonic() < give_up_at, "heartbeats go on"
        if len(signals) != count:
            count, since = len(signals), time.monotonic()
        time.sleep(0.2)


def test_daemon_code_server_databases_and_network_do_not_die_unnoticed(  # noqa: PLR0915 - one set of processes
    command, dagster_home, dagster_storage, storage_gate, own_server, tmp_path
):
    today = datetime.now(UTC).date()
    night = night_at(datetime.now(UTC), SyncSettings())
    days = (night.first_day.isoformat(), night.last_day.isoformat())
    world = World.generate(seed=2, start=today - timedelta(days=6), days=6, operations=100)
    with ExitStack() as stack:
        sandbox = stack.enter_context(SandboxServer(world))
        hook, hook_url = stack.enter_context(webhook())
        signals, watcher_url = stack.enter_context(watcher())
        store_url = stack.enter_context(own_server.database())
        with Warehouse(store_url) as store:
            sync(sandbox, store, *days)
            (*_, tip) = fetch_all(
                store, "SELECT entry_no, encode(entry_hash, 'hex') AS head FROM sync.windows ORDER BY entry_no"
            )
        network = []

        def by_network(url: str) -> str:
            """The same URL, which leads there only while the network is whole."""
            parts = urlsplit(url)
            network.append(stack.enter_context(gate_to(("127.0.0.1", parts.port))))
            return parts._replace(netloc=f"127.0.0.1:{network[-1].port}").geturl()

        def told(*words: str) -> list[str]:
            return [text for text in hook.texts if all(word in text for word in words)]

        def all_is_well() -> str:
            """Wait for the next heartbeat of success; return its body."""
            count = len(signals)
            processes.wait_for("a heartbeat", lambda: [path for path, _, _ in signals[count:] if not path])
            return next(text for path, _, text in signals[count:] if not path)

        platform = {
            "DATA_API_BASE_URL": by_network(sandbox.url),
            "DATA_API_TOKEN": DEMO_TOKEN,
            "DATA_API_SECRET": DEMO_SECRET,
            "DATABASE_URL": store_url,
            "SYNC_RETRY_SECONDS": "1",
            "SYNC_DATA_DIR": str(dagster_home.parent),
        }
        code = {
            **platform,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
            "ALERT_WEBHOOK_URL": by_network(hook_url),
            "ALERT_HEARTBEAT_URL": by_network(watcher_url),
            "SYNC_NIGHTLY_CRON": "0 0 1 1 *",
            "SYNC_BALANCES_CRON": "0 0 1 1 *",
        }
        port = free_port()
        common = {
            **dagster_storage,
            "DAGSTER_HOME": str(tmp_path / "home"),
            "CODE_SERVER_HOST": "127.0.0.1",
            "CODE_SERVER_PORT": str(port),
        }
        processes = Processes(tmp_path, common, stack)
        processes.start("code-server", code, arguments=(*CODE, str(port)))
        processes.start("daemon")
        body = all_is_well()
        assert tip["head"] in body
        assert hook.texts == []

        for gate in network:
            gate.cut()
        a_heartbeat_is_missing(signals)
        load = command("operations", "--from", days[0], "--to", days[1], environment=platform)
        assert load.returncode == 1, load.stderr
        for gate in network:
            gate.open()
        processes.wait_for("the message that the platform was away", lambda: told("operations", "is failed"))
        all_is_well()

        own_server.crash()
        try:
            processes.wait_for("the message that the warehouse is away", lambda: told("the warehouse is away"))
            processes.wait_for(
                "the same at the watcher", lambda: [path for path, _, text in signals if "database_away" in text]
            )
            assert [path for path, _, text in signals if "database_away" in text] == ["/fail"]
            a_heartbeat_is_missing(signals)
        finally:
            own_server.start_again()
        processes.wait_for("the message that it is back", lambda: told("over: the warehouse is away"))
        all_is_well()

        processes.kill("code-server")
        a_heartbeat_is_missing(signals)
        processes.start("code-server", code, arguments=(*CODE, str(port)))
        all_is_well()

        processes.kill("daemon")
        a_heartbeat_is_missing(signals)
        processes.start("daemon")
        all_is_well()

        storage_gate.cut()
        a_heartbeat_is_missing(signals)

        verified = command("verify", "--head", body, environment=platform)
        assert verified.returncode == 0, verified.stderr
        assert f"contained: account default, entry {tip['entry_no']:,}, head {tip['head']}" in verified.stdout
