"""The sandbox as a process of its own: its command line, and what starts, asks and stops it from here."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from resources.sandbox.accounts import DEMO_SECRET, DEMO_TOKEN, Account
from resources.sandbox.faults import Faults
from resources.sandbox.server import SandboxServer

_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox in another process: how to reach it, and what it holds."""

    url: str
    admin_url: str
    token: str = field(repr=False)
    secret: str = field(repr=False)
    projects: tuple[int, ...]
    first_day: str
    last_day: str
    days: int
    operations: int
    pid: int

    def stats(self) -> dict[str, Any]:
        """Give the requests by endpoint and status, and the counts of faults."""
        return dict(self._ask("stats"))

    def totals(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """Give count and sum per type, status and currency of an interval (UTC), as it should be now."""
        return list(self._ask("totals" + _query(start, end)))

    def truth(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """Give the rows of an interval (UTC) as they should be delivered now."""
        return list(self._ask("truth" + _query(start, end)))

    def set_faults(self, **settings: Any) -> dict[str, Any]:
        """Set faults: any of `rates`, `script`, `always`, `next` with `times`, `clear=True`."""
        return dict(self._ask("faults", settings))

    def set_clock(self, now: str | int | None = None, *, advance: int | None = None) -> int:
        """Set the clock to a time (None: the real one), or so many seconds on."""
        return int(self._ask("clock", {"now": now} if advance is None else {"advance": advance})["now"])

    def change_world(self, **change: Any) -> str:
        """Change the world: `add={...}`, `change={"operation_id": ..., ...}` or `remove=id`; see admin.py."""
        return str(self._ask("operations", change)["operation_id"])

    def top_up(self, project: int, currency: str, minor: int, at: str | None = None) -> None:
        """Move a balance by what no operation tells of."""
        self._ask("balances", {"project": project, "currency": currency, "minor": minor, "at": at})

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        import urllib.request  # heavy

        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.admin_url}/{path}", data)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  loopback
            return json.load(answer)


@contextmanager
def sandbox_process(**options: Any) -> Iterator[SandboxProcess]:
    """Run `python -m resources.sandbox`, options as flags; it ends with the block, or with this process.

    `sandbox_process(seed=1, operations=20_000, days=31, faults="http_500=0.05")`.
    """
    flags = [text for name, value in options.items() if value is not None for text in _flag(name, value)]
    command = [sys.executable, "-m", "resources.sandbox", *flags, "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdin is not None  # noqa: S101  it is a pipe
        assert process.stdout is not None  # noqa: S101  it is a pipe
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"The sandbox did not start: exit status {process.wait()}")
            said = json.loads(line)
            yield SandboxProcess(**{**said, "projects": tuple(said["projects"])}, pid=process.pid)
        finally:
            process.stdin.close()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a generated world until told to end; print one line of JSON once it is ready."""
    asked = _parser().parse_args(arguments)
    end = asked.end or datetime.now(UTC).date()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if asked.with_parent:
        threading.Thread(target=_wait_for_parent, args=(ended,), daemon=True).start()
    server = _server(asked, end)
    if asked.warm:
        server.warm()
    gc.freeze()  # the world stays: no use in going over its millions of objects again and again
    with server:
        first = end - timedelta(days=asked.days - 1)
        ready = {
            "url": server.url,
            "admin_url": server.admin_url,
            "token": DEMO_TOKEN,
            "secret": DEMO_SECRET,
            "projects": server.world.projects,
            "first_day": first.isoformat(),
            "last_day": end.isoformat(),
            "days": asked.days,
            "operations": len(server.world),
        }
        print(json.dumps(ready), flush=True)  # noqa: T201  this line is what a caller waits for
        ended.wait()
    return 0


def _server(asked: argparse.Namespace, end: date) -> SandboxServer:
    from resources.sandbox.api import Behaviour
    from resources.sandbox.world import World

    world = World.generate(
        seed=asked.seed,
        start=end - timedelta(days=asked.days - 1),
        days=asked.days,
        operations=asked.operations,
        now=asked.now,
        order=asked.order,
    )
    behaviour = Behaviour(
        prefix=asked.prefix,
        time_format=asked.time_format,
        no_access_status=asked.no_access_status,
        chunked=asked.chunked,
        long_interval_gap=asked.long_interval_gap,
        cached_rows=asked.cached_rows,
    )
    projects = None if asked.project is None else frozenset(asked.project)
    account = Account(projects=projects, time_zone=asked.time_zone)
    faults = Faults.parse(asked.faults, asked.seed)
    return SandboxServer(world, accounts=[account], faults=faults, behaviour=behaviour, port=asked.port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("resources.sandbox", description="A local Data API with made-up data.")
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    add("--seed", type=int, default=1, help="the same seed draws the same world")
    add("--operations", type=int, default=20_000, help="how many operations there are")
    add("--days", type=int, default=31, help="over how many days they are spread")
    add("--end", type=date.fromisoformat, help="the last of these days (default: today, UTC)")
    add("--now", help="a fixed time of the world's clock (default: the real clock)")
    add("--order", choices=["newest", "oldest", "shuffled"], default="newest", help="order of the operations")
    add("--faults", default="", help="name=chance[:number],... such as http_500=0.05,slow=0.1:2.5")
    add("--project", type=int, action="append", help="a project the token sees (default: all)")
    add("--time-zone", default="Asia/Tokyo", help="the account's own zone, for requests without tz")
    add("--time-format", choices=["iso", "plain"], default="iso", help="format of times in answers")
    add("--prefix", default="/v1", help="what the endpoints' paths begin with")
    add("--no-access-status", type=int, choices=[400, 401, 403], default=401, help="for foreign projects")
    add("--long-interval-gap", type=float, default=10.0, help="seconds between requests over 180 days")
    add("--cached-rows", type=int, default=150_000, help="how many encoded rows are kept, 2 kB each")
    add(
        "--warm",
        action="store_true",
        help="encode the rows at the start: so many pages a second from the first",
    )
    add("--chunked", action="store_true", help="answer without a content-length")
    add("--with-parent", action="store_true", help="end when standard input is closed")
    return parser


def _wait_for_parent(ended: threading.Event) -> None:
    # Not sys.stdin: a thread waiting inside its lock would trouble the interpreter's end.
    while os.read(0, 1024):
        pass
    ended.set()


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else []
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in (flag, str(item))]
    return [flag, str(value)]


def _query(start: str | None, end: str | None) -> str:
    from urllib.parse import urlencode

    asked = {name: value for name, value in (("from", start), ("to", end)) if value is not None}
    return "?" + urlencode(asked)
