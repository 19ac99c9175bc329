"""The sandbox as a server in a thread of this process; as a process of its own it is in process.py."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from resources.sandbox.accounts import Account, Accounts
from resources.sandbox.faults import Faults

if TYPE_CHECKING:
    from resources.sandbox.api import Behaviour
    from resources.sandbox.app import LoggedRequest
    from resources.sandbox.serving import PromptServer
    from resources.sandbox.world import World

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
        from resources.sandbox.api import Api, Behaviour
        from resources.sandbox.app import Handler
        from resources.sandbox.world import World

        self.world = World.generate() if world is None else world
        self.accounts = Accounts([Account()] if accounts is None else accounts)
        self.faults = Faults() if faults is None else faults
        self.behaviour = behaviour or Behaviour()
        self._handler = Handler(Api(self.world, self.accounts, self.behaviour), self.faults)
        self._port = port
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Give the base URL, prefix included: endpoints follow after a slash."""
        return f"http://127.0.0.1:{self._port}{self.behaviour.prefix}"

    @property
    def admin_url(self) -> str:
        """Give the URL of the admin routes."""
        return f"http://127.0.0.1:{self._port}/_sandbox"

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
        from resources.sandbox.app import make_app
        from resources.sandbox.serving import PromptServer

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
            self._server.stop()
            self._thread.join(_PATIENCE)
            self._server = self._thread = None
