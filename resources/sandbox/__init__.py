"""A local Data API: signed, seeded, faults on request; no code in common with the client it is there to test.

with SandboxServer(World.of([{"operation_id": "1"}], now="2024-03-01")) as sandbox:
    ...  # sandbox.url, DEMO_TOKEN, DEMO_SECRET

It runs as a server in a thread of this process, or as a process of its own, asked from here.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from resources.sandbox.api import DEMO_SECRET, DEMO_TOKEN, Account, Accounts, Api, Behaviour
from resources.sandbox.documents import Balance, Document, Fraud
from resources.sandbox.faults import Fault, Faults
from resources.sandbox.operations import Query
from resources.sandbox.world import World

if TYPE_CHECKING:
    from resources.sandbox.app import LoggedRequest, PromptServer

__all__ = [
    "DEMO_SECRET",
    "DEMO_TOKEN",
    "Account",
    "Balance",
    "Behaviour",
    "Document",
    "Fault",
    "Faults",
    "Fraud",
    "Query",
    "SandboxProcess",
    "SandboxServer",
    "World",
    "sandbox_process",
]

_PATIENCE: Final = 30.0


class SandboxServer:
    """A Data API on a free port of 127.0.0.1, while in the `with` block.

    `world` left out is a small generated one, `accounts` left out the demo account, which sees all projects.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        accounts: Iterable[Account] | None = None,
        faults: Faults | None = None,
        behaviour: Behaviour | None = None,
        port: int = 0,
    ) -> None:
        from resources.sandbox.app import Handler

        self.world = World.generate() if world is None else world
        self.accounts = Accounts([Account()] if accounts is None else accounts)
        self.faults = Faults() if faults is None else faults
        self._handler = Handler(Api(self.world, self.accounts, behaviour or Behaviour()), self.faults)
        self._port = port
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Give the base URL, prefix included: endpoints follow after a slash."""
        return f"http://127.0.0.1:{self._port}{self.behaviour.prefix}"

    @property
    def admin_url(self) -> str:
        """Give the URL of the sandbox's own routes."""
        return f"http://127.0.0.1:{self._port}/_sandbox"

    @property
    def behaviour(self) -> Behaviour:
        """Give how it behaves now."""
        return self._handler.api.behaviour

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches of the behaviour from now on, for example `delay=0.3, capacity=16`."""
        self._handler.set_behaviour(**switches)

    @property
    def requests(self) -> list[LoggedRequest]:
        """Give the log of requests, as they were answered."""
        return self._handler.requests

    @property
    def request_count(self) -> int:
        """Give how many requests were answered."""
        return len(self._handler.requests)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def warm(self) -> None:
        """Encode rows before they are asked for, as many as the cache holds: 2 kB and 30 µs each."""
        self._handler.api.warm()

    def start(self) -> None:
        """Listen, and return once requests are answered."""
        from resources.sandbox.app import PromptServer, make_app

        listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
        self._port = listener.getsockname()[1]
        self._server = PromptServer(make_app(self._handler))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="sandbox", daemon=True)
        self._thread.start()
        until = time.monotonic() + _PATIENCE
        while not self._server.started:
            if time.monotonic() > until or not self._thread.is_alive():
                raise RuntimeError("The sandbox did not start")
            time.sleep(0.002)

    def stop(self) -> None:
        """End the server; requests still being answered are given a second."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_PATIENCE)
            self._server = self._thread = None


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
        """Give count and sum per type, status and currency of a period (UTC), as it should be now."""
        return list(self._ask("totals" + _query(start, end)))

    def truth(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """Give the rows of a period (UTC) as they should be delivered now."""
        return list(self._ask("truth" + _query(start, end)))

    def set_faults(self, **settings: Any) -> dict[str, Any]:
        """Set faults: any of `rates`, `script`, `always`, `next` with `times`, `clear=True`."""
        return dict(self._ask("faults", settings))

    def set_clock(self, now: str | int | None = None, *, advance: int | None = None) -> int:
        """Set the clock to a time (None: the real one), or so many seconds on."""
        return int(self._ask("clock", {"now": now} if advance is None else {"advance": advance})["now"])

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches of the behaviour from now on, for example `delay=0.3, capacity=16`."""
        self._ask("behaviour", switches)

    def change_account(self, name: str = "demo", **settings: Any) -> None:
        """Change an account: `risks=False` revokes the right to list fraud reports, `finance=False` to documents."""
        self._ask("accounts", {"name": name, **settings})

    def change_world(self, **change: Any) -> str:
        """Change the world: `add={...}`, `change={"operation_id": ..., ...}` or `remove=id`; see app.py."""
        return str(self._ask("operations", change)["operation_id"])

    def top_up(self, project: int, currency: str, minor: int, at: str | None = None) -> None:
        """Move a balance by what is in no operation."""
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
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _flag(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if isinstance(value, bool):
        return [flag] if value else []
    if isinstance(value, (list, tuple)):
        return [text for item in value for text in (flag, str(item))]
    return [flag, str(value)]


def _query(start: str | None, end: str | None) -> str:
    from urllib.parse import urlencode

    return "?" + urlencode({name: value for name, value in (("from", start), ("to", end)) if value is not None})
