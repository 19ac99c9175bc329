"""The sandbox as a web application: the endpoints with their faults, and its own routes below `/_sandbox`.

Those are without a token, since it listens to this machine alone: statistics, truth, faults, clock, accounts,
behaviour, changes. What the endpoints answer is in api.py, which faults there are in faults.py.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from socket import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from resources.sandbox import signing
from resources.sandbox.api import ENDPOINTS, Api, dumps, parse_body
from resources.sandbox.faults import Faults, RequestFaults
from resources.sandbox.requests import Refused, error_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

_JSON: Final = {"content-type": "application/json; charset=UTF-8"}
_FIXED: Final = frozenset({"prefix", "cached_rows"})  # what of the behaviour counts from the start on


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered: never its token or signature."""

    endpoint: str
    params: Mapping[str, Any]
    status: int
    faults: tuple[str, ...] = ()
    at: float = field(default_factory=time.time)


class CutResponse(Response):
    """An answer whose connection ends in the middle of the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of it; uvicorn closes the connection where an application returns before the body is complete."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})


class Handler:
    """Answers the endpoints, lets the faults happen, and keeps the log."""

    def __init__(self, api: Api, faults: Faults) -> None:
        self.api = api
        self.faults = faults
        self.requests: list[LoggedRequest] = []
        self._next_long: dict[str, float] = {}
        self._places: tuple[int, asyncio.Semaphore] = (0, asyncio.Semaphore())

    async def answer(self, endpoint: str, raw: bytes) -> Response:
        """Answer one request, with the faults it is to meet."""
        faults = RequestFaults(self.faults, endpoint)
        params: dict[str, Any] = {}
        try:
            async with self._place():
                await faults.wait()
                instead = faults.instead()
                with suppress(Refused) if instead else nullcontext():
                    params = parse_body(raw)
                response = _response(*instead) if instead else await self._deliver(endpoint, params, faults)
        except Refused as refused:
            response = _response(refused.status, dumps(error_body(refused.status, refused.message)))
        behaviour = self.api.behaviour
        if behaviour.date_header != "none":
            now = self.api.world.now if behaviour.date_header == "world" else time.time()
            response.headers["date"] = formatdate(now + behaviour.date_shift, usegmt=True)
        shown = {name: value for name, value in params.items() if name not in {"token", "signature"}}
        self.requests.append(LoggedRequest(endpoint, shown, response.status_code, tuple(faults.made)))
        return response

    async def _deliver(self, endpoint: str, params: Mapping[str, Any], faults: RequestFaults) -> Response:
        account = self.api.authenticate(params)
        listing = ENDPOINTS[endpoint](self.api, account, params)
        if listing.long:
            await self._take_turn(account.name)
        listing.rows = faults.shorten(listing.rows)
        rows, text = listing.content()
        signature = await asyncio.to_thread(signing.digest, text, account.secret)  # it does not hold the interpreter
        body = b'{"%s":%s,"signature":"%s"}' % (listing.name.encode(), rows, signature.encode())
        body = faults.change_body(listing.name, body)
        faults.move(self.api.world, listing.query)
        cut = faults.cut()
        response = CutResponse(body, 200, _JSON) if cut else _response(200, body)
        if cut == "cut_chunked" or (self.api.behaviour.chunked and not cut):
            del response.headers["content-length"]
        return response

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Take one of the places that the server has, if it has not any number, and as long as each answer takes."""
        behaviour = self.api.behaviour
        if behaviour.capacity != self._places[0]:
            self._places = behaviour.capacity, asyncio.Semaphore(behaviour.capacity)
        async with self._places[1] if behaviour.capacity else nullcontext():
            await asyncio.sleep(behaviour.delay)
            yield

    async def _take_turn(self, account: str) -> None:
        """Wait until an account's request for more than 180 days is allowed: one by one, seconds apart."""
        now = time.monotonic()
        turn = max(now, self._next_long.get(account, 0.0))
        self._next_long[account] = turn + self.api.behaviour.long_interval_gap
        await asyncio.sleep(turn - now)

    # What the sandbox's own routes do: each takes the fields of the request's body by name

    def stats(self) -> dict[str, Any]:
        """Count the requests by endpoint and status, and the faults that were made."""
        requests: dict[str, dict[str, int]] = {}
        for one in sorted(self.requests, key=lambda one: (one.endpoint, one.status)):
            counts = requests.setdefault(one.endpoint, {})
            counts[str(one.status)] = counts.get(str(one.status), 0) + 1
        world = self.api.world
        return {"requests": requests, "faults": dict(self.faults.counts), "now": world.now, "operations": len(world)}

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

    def set_clock(self, now: Any = ..., advance: int | None = None) -> dict[str, Any]:
        """Take `now` (a time, or null for the real clock) or `advance` (seconds)."""
        world = self.api.world
        if advance is not None:
            world.advance(int(advance))
        else:
            world.set_now(now)
        return {"now": world.now}

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches of the behaviour from now on."""
        if fixed := _FIXED & switches.keys():
            raise ValueError(f"Cannot be changed after the start: {', '.join(sorted(fixed))}")
        self.api.behaviour = replace(self.api.behaviour, **switches)

    def change_world(
        self, effective: Any = None, visible: Any = None, *, add: Any = None, change: Any = None, remove: Any = None
    ) -> dict[str, Any]:
        """Take `add` or `change` (fields), with `effective` and `visible`, or `remove` (an id)."""
        world = self.api.world
        if add is not None:
            return {"operation_id": world.add(add, effective, visible)}
        if change is not None:
            world.change(**change, effective=effective, visible=visible)
            return {"operation_id": change["operation_id"]}
        world.remove(remove)
        return {"operation_id": remove}


def make_app(handler: Handler) -> Starlette:
    """Make the application of a handler: the endpoints, the sandbox's own routes, and error bodies for the rest."""
    prefix, world = handler.api.behaviour.prefix, handler.api.world

    def endpoint_route(endpoint: str) -> Route:
        async def answer(request: Request) -> Response:
            return await handler.answer(endpoint, await request.body())

        return Route(f"{prefix}/{endpoint}", answer, methods=["POST"])

    async def refuse(_: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 500)
        if status == 500:
            traceback.print_exception(error)  # the sandbox's own fault, not one on request: let it be seen
        return _response(status, dumps(error_body(status, None if status == 500 else "No such endpoint")))

    own = [
        _own_route("stats", "GET", handler.stats),
        _own_route("totals", "GET", lambda **period: world.totals(None, period.get("from"), period.get("to"))),
        _own_route("truth", "GET", lambda **period: world.truth(None, period.get("from"), period.get("to"))),
        _own_route("faults", "POST", handler.set_faults),
        _own_route("clock", "POST", handler.set_clock),
        _own_route("accounts", "POST", handler.api.accounts.change),
        _own_route("behaviour", "POST", handler.set_behaviour),
        _own_route("operations", "POST", handler.change_world),
        _own_route("balances", "POST", world.top_up),
    ]
    handlers: dict[Any, Any] = dict.fromkeys((404, 405, 500), refuse)
    return Starlette(
        routes=[*map(endpoint_route, ENDPOINTS), Mount("/_sandbox", routes=own)], exception_handlers=handlers
    )


def _own_route(name: str, method: str, act: Callable[..., Any]) -> Route:
    """Make a route that calls `act` with the fields of a query or of a JSON body, and answers what that gives."""

    async def answer(request: Request) -> Response:
        try:
            named = await request.json() if method == "POST" else request.query_params
            return _response(200, dumps(await asyncio.to_thread(act, **named)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _response(400, dumps(error_body(400, f"{type(error).__name__}: {error}")))

    return Route(f"/{name}", answer, methods=[method])


def _response(status: int, body: bytes, headers: Mapping[str, str] = _JSON) -> Response:
    return Response(body, status, headers)


class PromptServer(uvicorn.Server):
    """A uvicorn server that stops at once: tests start and stop it a hundred times."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="critical",  # a connection cut on purpose is no news
                access_log=False,
                lifespan="off",
                timeout_keep_alive=120,
                timeout_graceful_shutdown=1,
                server_header=False,
                date_header=False,  # the handler says what time it is
            )
        )

    async def main_loop(self) -> None:
        """Look more often than uvicorn does whether to stop."""
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Close without uvicorn's pause when nobody is connected any more."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
