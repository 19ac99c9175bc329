"""A local Data API: signed, seeded, faults on request; no code in common with the client it is there to test.

with SandboxServer(World.of([{"operation_id": "1"}], now="2024-03-01")) as sandbox:
    ...  # sandbox.url, DEMO_TOKEN, DEMO_SECRET

It runs as a server in a thread of this process, or as a process of its own, asked from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from resources.sandbox.api import DEMO_SECRET, DEMO_TOKEN, Account, Behaviour
from resources.sandbox.documents import Balance, Document, Fraud
from resources.sandbox.faults import Fault, Faults
from resources.sandbox.operations import Query
from resources.sandbox.world import World

if TYPE_CHECKING:
    from resources.sandbox.app import SandboxServer

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


def __getattr__(name: str) -> Any:
    """Import the server when it is first asked for: whoever runs a process of its own needs no starlette."""
    if name != "SandboxServer":
        raise AttributeError(name)
    from resources.sandbox.app import SandboxServer

    return SandboxServer


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
        return list(self._ask("totals", start=start, end=end))

    def truth(self, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """Give the rows of a period (UTC) as they should be delivered now."""
        return list(self._ask("truth", start=start, end=end))

    def set_faults(self, **settings: Any) -> dict[str, Any]:
        """Set faults: any of `rates`, `script`, `always`, `next` with `times`, `clear=True`."""
        return dict(self._ask("faults", **settings))

    def set_clock(self, now: str | int | None = None, *, advance: int | None = None) -> int:
        """Set the clock to a time (None: the real one), or so many seconds on."""
        return int(self._ask("clock", **({"now": now} if advance is None else {"advance": advance}))["now"])

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches of the behaviour from now on, for example `delay=0.3, capacity=16`."""
        self._ask("behaviour", **switches)

    def change_account(self, name: str = "demo", **settings: Any) -> None:
        """Change an account: `risks=False` revokes the right to list fraud reports, `finance=False` to documents."""
        self._ask("accounts", name=name, **settings)

    def change_world(self, **change: Any) -> str:
        """Change the world: `add={...}`, `change={"operation_id": ..., ...}` or `remove=id`; see app.py."""
        return str(self._ask("operations", **change)["operation_id"])

    def top_up(self, project: int, currency: str, minor: int, at: str | None = None) -> None:
        """Move a balance by what is in no operation."""
        self._ask("balances", project=project, currency=currency, minor=minor, at=at)

    def _ask(self, route: str, **named: Any) -> Any:
        import urllib.request  # heavy

        request = urllib.request.Request(f"{self.admin_url}/{route}", json.dumps(named).encode())  # noqa: S310  loopback
        without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with without_proxy.open(request, timeout=120) as answer:
            return json.load(answer)


@contextmanager
def sandbox_process(**options: Any) -> Iterator[SandboxProcess]:
    """Run `python -m resources.sandbox`, options as flags; it ends with the block, or with this process.

    `sandbox_process(seed=1, operations=20_000, days=31, faults="http_500=0.05")`.
    """
    flags = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in options.items()
        if value is not None and value is not False
    ]
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
