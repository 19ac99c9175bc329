"""The sandbox as a web application: the endpoints with their faults, and its own routes below `/_sandbox`.

Those are without a token, since it listens to this machine alone: statistics, truth, faults, clock, accounts,
behaviour, changes. What the endpoints answer is in api.py, which faults there are in faults.py.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from resources.sandbox import signing
from resources.sandbox.api import ENDPOINTS, Account, Accounts, Api, Behaviour, Refused, dumps, error_body, parse_body
from resources.sandbox.faults import Faults, RequestFaults
from resources.sandbox.world import World

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_JSON: Final = {"content-type": "application/json; charset=UTF-8"}
_FIXED: Final = frozenset({"prefix", "cached_rows"})  # what of the behaviour counts from the start on
_PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered: never its token or signature."""

    endpoint: str
    params: Mapping[str, Any]
    status: int
    faults: tuple[str, ...]
    at: float = field(default_factory=time.time)


class CutResponse(Response):
    """An answer whose connection ends in the middle of the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of it; uvicorn closes the connection where an application returns before the body is complete."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


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
        self.world = World.generate() if world is None else world
        self.accounts = Accounts([Account()] if accounts is None else accounts)
        self.faults = Faults() if faults is None else faults
        self.api = Api(self.world, self.accounts, behaviour or Behaviour())
        self.requests: list[LoggedRequest] = []  # the log, as they were answered
        self._next_long: dict[str, float] = {}
        self._places = self._make_places()
        self._port = port
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Give the base URL, prefix included: endpoints follow after a slash."""
        return f"http://127.0.0.1:{self._port}{self.api.behaviour.prefix}"

    @property
    def admin_url(self) -> str:
        """Give the URL of the sandbox's own routes."""
        return f"http://127.0.0.1:{self._port}/_sandbox"

    @property
    def request_count(self) -> int:
        """Give how many requests were answered."""
        return len(self.requests)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen: requests are answered from now on."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
        self._port = listener.getsockname()[1]
        config = uvicorn.Config(
            make_app(self),
            log_config=None,
            log_level="critical",  # a connection cut on purpose is no news
            access_log=False,
            lifespan="off",
            timeout_keep_alive=120,
            timeout_graceful_shutdown=1,
            server_header=False,
            date_header=False,  # the handler says what time it is
        )
        self._server = PromptServer(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the server; requests still being answered are given a second."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_PATIENCE)
            self._server = self._thread = None

    async def answer(self, endpoint: str, raw: bytes) -> Response:
        """Answer one request, with the faults it is to meet."""
        faults = RequestFaults(self.faults, endpoint)
        params: dict[str, Any] = {}
        try:
            params = parse_body(raw)
            async with self._places:
                await asyncio.sleep(self.api.behaviour.delay)
                await faults.wait()
                instead = faults.instead()
                response = _response(*instead) if instead else await self._deliver(endpoint, params, faults)
        except Refused as refused:
            response = _response(refused.status, error_body(refused.status, str(refused)))
        behaviour = self.api.behaviour
        if behaviour.date_header != "none":
            now = self.world.now if behaviour.date_header == "world" else time.time()
            response.headers["date"] = formatdate(now + behaviour.date_shift, usegmt=True)
        shown = {name: value for name, value in params.items() if name not in {"token", "signature"}}
        self.requests.append(LoggedRequest(endpoint, shown, response.status_code, tuple(faults.made)))
        return response

    async def _deliver(self, endpoint: str, params: Mapping[str, Any], faults: RequestFaults) -> Response:
        account, listing = self.api.answer(endpoint, params)
        if listing.long:
            await self._take_turn(account.name)
        listing.rows = faults.shorten(listing.rows)
        rows, text = listing.content()
        signature = await asyncio.to_thread(signing.digest, text, account.secret)  # it does not hold the interpreter
        body = b'{"%s":%s,"signature":"%s"}' % (listing.name.encode(), rows, signature.encode())
        body = faults.change_body(listing.name, body)
        faults.move(self.world, listing.query)
        cut = faults.cut()
        response = CutResponse(body, 200, _JSON) if cut else _response(200, body)
        if cut == "cut_chunked" or (self.api.behaviour.chunked and not cut):
            del response.headers["content-length"]
        return response

    def _make_places(self) -> asyncio.Semaphore:
        """Make as many places as requests are answered at once: without a capacity more than are ever needed."""
        return asyncio.Semaphore(self.api.behaviour.capacity or 1_000_000)

    async def _take_turn(self, account: str) -> None:
        """Wait until an account's request for more than 180 days is allowed: one by one, seconds apart."""
        now = time.monotonic()
        turn = max(now, self._next_long.get(account, 0.0))
        self._next_long[account] = turn + self.api.behaviour.long_interval_gap
        await asyncio.sleep(turn - now)

    # What some of the sandbox's own routes do

    def stats(self) -> dict[str, Any]:
        """Count the requests by endpoint and status, and the faults that were made."""
        requests: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for one in self.requests:
            requests[one.endpoint][str(one.status)] += 1
        world, faults = self.world, self.faults.counts
        return {"requests": requests, "faults": faults, "now": world.now, "operations": len(world)}

    def set_faults(self, *, clear: bool = False, times: float = 1, **settings: Any) -> dict[str, Any]:
        """Take any of `clear`, `rates`, `script`, `always`, and `next` with `times`."""
        acts: dict[str, Callable[[Any], None]] = {
            "rates": self.faults.set_rates,
            "script": self.faults.set_script,
            "always": self.faults.always,
            "next": lambda fault: self.faults.next(fault, times),
        }
        if clear:
            self.faults.clear()
        for name, value in settings.items():
            acts[name](value)
        return self.stats()

    def set_clock(self, **to: Any) -> dict[str, Any]:
        """Take `now` (a time, or null for the real clock) or `advance` (seconds)."""
        if "advance" in to:
            self.world.advance(int(to["advance"]))
        else:
            self.world.set_now(to["now"])
        return {"now": self.world.now}

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches of the behaviour from now on."""
        if fixed := _FIXED & switches.keys():
            raise ValueError(f"Cannot be changed after the start: {', '.join(sorted(fixed))}")
        self.api.behaviour = replace(self.api.behaviour, **switches)
        if "capacity" in switches:
            self._places = self._make_places()

    def change_world(
        self, effective: Any = None, visible: Any = None, *, add: Any = None, change: Any = None, remove: Any = None
    ) -> dict[str, Any]:
        """Take `add` or `change` (fields), with `effective` and `visible`, or `remove` (an id)."""
        world = self.world
        if add is not None:
            return {"operation_id": world.add(add, effective, visible)}
        if change is not None:
            world.change(**change, effective=effective, visible=visible)
            return {"operation_id": change["operation_id"]}
        world.remove(remove)
        return {"operation_id": remove}


def make_app(sandbox: SandboxServer) -> Starlette:
    """Make the application of a sandbox: the endpoints, the sandbox's own routes, and error bodies for the rest."""
    own: Mapping[str, Callable[..., Any]] = {
        "stats": sandbox.stats,
        "totals": sandbox.world.totals,
        "truth": sandbox.world.truth,
        "faults": sandbox.set_faults,
        "clock": sandbox.set_clock,
        "accounts": sandbox.accounts.change,
        "behaviour": sandbox.set_behaviour,
        "operations": sandbox.change_world,
        "balances": sandbox.world.top_up,
    }

    async def answer(request: Request) -> Response:
        endpoint = request.path_params["endpoint"]
        if endpoint not in ENDPOINTS:
            raise HTTPException(404)
        return await sandbox.answer(endpoint, await request.body())

    async def answer_own(request: Request) -> Response:
        """Call what the path says with what a query and a JSON body name, and answer what that gives."""
        try:
            named = {**request.query_params, **json.loads(await request.body() or "{}")}
            return _response(200, dumps(await asyncio.to_thread(own[request.path_params["name"]], **named)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _response(400, error_body(400, f"{type(error).__name__}: {error}"))

    async def refuse(_: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        if status == 500:
            traceback.print_exception(error)  # the sandbox's own fault, not one on request: let it be seen
        return _response(status, error_body(status, None if status == 500 else "No such endpoint"))

    routes = [
        Route("/_sandbox/{name}", answer_own, methods=["GET", "POST"]),
        Route(sandbox.api.behaviour.prefix + "/{endpoint:path}", answer, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers=dict.fromkeys((404, 405, 500), refuse))


def _response(status: int, body: bytes, headers: Mapping[str, str] = _JSON) -> Response:
    return Response(body, status, headers)


class PromptServer(uvicorn.Server):
    """A uvicorn server that stops at once: tests start and stop it a hundred times."""

    async def main_loop(self) -> None:
        """Look more often than uvicorn does whether to stop."""
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close without uvicorn's pause when nobody is connected any more."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
