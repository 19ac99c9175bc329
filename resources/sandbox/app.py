"""The sandbox as a web application: the endpoints with their faults, and its own routes below `/_sandbox`.

Those are for this machine only and without a token: statistics, truth, faults, clock, accounts, behaviour, changes.
What the endpoints answer is in api.py.
"""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from socket import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from resources.sandbox import faults, signing
from resources.sandbox.api import ENDPOINTS, Api, Listing, dumps, parse_body
from resources.sandbox.faults import Fault, Faults, only
from resources.sandbox.requests import Refused, error_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

JSON: Final = "application/json; charset=UTF-8"
_LARGE: Final = 100_000  # bytes from which signing is worth a thread: it does not hold the interpreter
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_FIXED: Final = frozenset({"prefix", "cached_rows"})  # what of the behaviour counts from the start on


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request that was answered: never its token or signature."""

    endpoint: str
    params: Mapping[str, Any]
    status: int
    faults: tuple[str, ...] = ()
    at: float = field(default_factory=time.time)


@dataclass(slots=True)
class Delivery:
    """An ASGI answer; `cut` ends the connection in the middle of the body."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON})
    chunked: bool = False
    cut: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        del scope, receive
        if not self.chunked:
            self.headers["content-length"] = str(len(self.body))
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        if self.cut or self.chunked:
            await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        if self.cut:
            return  # before the body is complete: that makes the server close the connection
        await send({"type": "http.response.body", "body": self.body[len(self.body) // 2 if self.chunked else 0 :]})


class Handler:
    """Answers the endpoints, makes the faults, and keeps the log."""

    def __init__(self, api: Api, faults: Faults) -> None:
        self.api = api
        self.faults = faults
        self.requests: list[LoggedRequest] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._next_long: dict[str, float] = {}
        self._places: tuple[int, asyncio.Semaphore] = (0, asyncio.Semaphore())

    def set_behaviour(self, **switches: Any) -> None:
        """Change switches from now on."""
        if fixed := _FIXED & switches.keys():
            raise ValueError(f"Cannot be changed after the start: {', '.join(sorted(fixed))}")
        self.api.behaviour = replace(self.api.behaviour, **switches)

    async def answer(self, endpoint: str, raw: bytes) -> Delivery:
        """Answer one request, with the faults it is to meet."""
        drawn = self.faults.draw(endpoint)
        made: list[str] = []
        params: dict[str, Any] = {}
        try:
            async with self._place():
                for fault in only(drawn, faults.DELAYS):
                    self._made(fault, made)
                    await asyncio.sleep(fault.value)
                if instead := only(drawn, faults.INSTEAD):
                    self._made(instead[0], made)
                    with suppress(Refused):
                        params = parse_body(raw)
                    delivery = Delivery(*faults.instead(instead[0]))
                else:
                    params = parse_body(raw)
                    delivery = await self._deliver(endpoint, params, drawn, made)
        except Refused as refused:
            delivery = Delivery(refused.status, dumps(error_body(refused.status, refused.message)))
        self._date(delivery)
        shown = {name: value for name, value in params.items() if name not in {"token", "signature"}}
        self.requests.append(LoggedRequest(endpoint, shown, delivery.status, tuple(made)))
        self.statuses[endpoint, delivery.status] += 1
        return delivery

    async def _deliver(self, endpoint: str, params: Mapping[str, Any], drawn: list[Fault], made: list[str]) -> Delivery:
        account = self.api.authenticate(params)
        call = self.api.read(endpoint, account, params)
        if call.long:
            await self._take_turn(account.name)
        listing = call.answer()
        for fault in only(drawn, faults.PAGES) if not listing.single else ():
            rows = faults.shorten(fault, listing.rows)
            if len(rows) < len(listing.rows):
                listing.rows = rows
                self._made(fault, made)
        body = await _signed_body(listing)
        for fault in only(drawn, faults.BODIES):
            # Once the JSON is broken it cannot be changed further, so this comes last by its place in BODIES.
            changed = faults.change_body(fault, listing.name, body)
            if changed is not None:
                body = changed
                self._made(fault, made)
        for fault in only(drawn, faults.MOVES):
            if self._move(endpoint, listing, fault):
                self._made(fault, made)
        delivery = Delivery(200, body, chunked=self.api.behaviour.chunked)
        for fault in only(drawn, faults.CUTS):
            self._made(fault, made)
            delivery.cut, delivery.chunked = True, fault.name == "cut_chunked"
        return delivery

    def _move(self, endpoint: str, listing: Listing, fault: Fault) -> int:
        world, chance = self.api.world, self.faults.chance
        if listing.query is not None:
            return faults.move(fault, world, listing.query, chance)
        if listing.within is None:
            return 0
        with world.lock:
            return world.documents.move(endpoint, fault.name, int(fault.value), listing.within, world.now, chance)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        """Take one of the places that the server has, if it has not any number, and as long as each answer takes."""
        behaviour = self.api.behaviour
        if behaviour.capacity != self._places[0]:
            self._places = behaviour.capacity, asyncio.Semaphore(behaviour.capacity)
        capacity, places = self._places
        if capacity:
            await places.acquire()
        try:
            if behaviour.delay:
                await asyncio.sleep(behaviour.delay)
            yield
        finally:
            if capacity:
                places.release()

    async def _take_turn(self, account: str) -> None:
        """Wait until an account's request for more than 180 days is allowed: one by one, seconds apart."""
        now = time.monotonic()
        turn = max(now, self._next_long.get(account, 0.0))
        self._next_long[account] = turn + self.api.behaviour.long_interval_gap
        await asyncio.sleep(turn - now)

    def _date(self, delivery: Delivery) -> None:
        behaviour = self.api.behaviour
        if behaviour.date_header != "none":
            now = self.api.world.now if behaviour.date_header == "world" else time.time()
            delivery.headers["date"] = formatdate(now + behaviour.date_shift, usegmt=True)

    def _made(self, fault: Fault, made: list[str]) -> None:
        self.faults.happened(fault)
        made.append(fault.name)

    # What the sandbox's own routes do

    def stats(self) -> dict[str, Any]:
        """Count the requests by endpoint and status, and the faults that were made."""
        requests: dict[str, dict[str, int]] = {}
        for (endpoint, status), count in sorted(self.statuses.items()):
            requests.setdefault(endpoint, {})[str(status)] = count
        world = self.api.world
        return {"requests": requests, "faults": dict(self.faults.counts), "now": world.now, "operations": len(world)}

    def set_faults(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take any of `clear`, `rates`, `script`, `always`, and `next` with `times`."""
        if unknown := body.keys() - {"clear", "rates", "script", "always", "next", "times"}:
            raise ValueError(f"No such setting: {', '.join(sorted(unknown))}")
        if body.get("clear"):
            self.faults.clear()
        if "rates" in body:
            self.faults.set_rates(body["rates"])
        if "script" in body:
            self.faults.set_script(body["script"])
        if "always" in body:
            self.faults.always(body["always"])
        if "next" in body:
            self.faults.next(body["next"], body.get("times", 1))
        return self.stats()

    def set_clock(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take `now` (a time, or null for the real clock) or `advance` (seconds)."""
        world = self.api.world
        if "advance" in body:
            world.advance(int(body["advance"]))
        else:
            world.set_now(body["now"])
        return {"now": world.now}

    def change_account(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take the `name` of an account and what of it is to change, for example the role `risks`, `finance`."""
        settings = dict(body)
        self.api.accounts.change(settings.pop("name"), **settings)
        return {"name": body["name"]}

    def change_behaviour(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take switches of the behaviour by name."""
        self.set_behaviour(**body)
        return dict(body)

    def change_world(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take `add` or `change` (fields), with `effective` and `visible`, or `remove` (an id)."""
        world, (effective, visible) = self.api.world, (body.get("effective"), body.get("visible"))
        if "add" in body:
            return {"operation_id": world.add(body["add"], effective, visible)}
        if "change" in body:
            fields = dict(body["change"])
            operation_id = fields.pop("operation_id")
            world.change(operation_id, effective=effective, visible=visible, **fields)
            return {"operation_id": operation_id}
        world.remove(body["remove"])
        return {"operation_id": body["remove"]}

    def top_up(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take `project`, `currency`, `minor` (negative: taken away) and `at`: a movement without an operation."""
        self.api.world.top_up(int(body["project"]), str(body["currency"]), int(body["minor"]), body.get("at"))
        return {"top_ups": len(self.api.world.top_ups)}


async def _signed_body(listing: Listing) -> bytes:
    rows, text = listing.content()
    secret = listing.account.secret
    if len(text) > _LARGE:
        return listing.body(rows, await asyncio.to_thread(signing.digest, text, secret))
    return listing.body(rows, signing.digest(text, secret))


def make_app(handler: Handler) -> Starlette:
    """Make the application of a handler: the endpoints, the sandbox's own routes, and error bodies for the rest."""
    prefix, world = handler.api.behaviour.prefix, handler.api.world

    def endpoint_route(endpoint: str) -> Route:
        async def answer(request: Request) -> Delivery:
            return await handler.answer(endpoint, await request.body())

        return Route(f"{prefix}/{endpoint}", answer, methods=["POST"])

    async def refuse(_: Request, error: Exception) -> Delivery:
        status = getattr(error, "status_code", 500)
        if status == 500:
            traceback.print_exception(error)  # the sandbox's own fault, not one on request: let it be seen
        return Delivery(status, dumps(error_body(status, None if status == 500 else "No such endpoint")))

    own = [
        _own_route("/stats", "GET", lambda _request, _body: handler.stats()),
        _own_route("/totals", "GET", lambda request, _: world.totals(*_period(request))),
        _own_route("/truth", "GET", lambda request, _: world.truth(*_period(request))),
        _own_route("/faults", "POST", lambda _, body: handler.set_faults(body)),
        _own_route("/clock", "POST", lambda _, body: handler.set_clock(body)),
        _own_route("/accounts", "POST", lambda _, body: handler.change_account(body)),
        _own_route("/behaviour", "POST", lambda _, body: handler.change_behaviour(body)),
        _own_route("/operations", "POST", lambda _, body: handler.change_world(body)),
        _own_route("/balances", "POST", lambda _, body: handler.top_up(body)),
    ]
    handlers: dict[Any, Any] = dict.fromkeys((404, 405, 500), refuse)
    return Starlette(
        routes=[*map(endpoint_route, ENDPOINTS), Mount("/_sandbox", routes=own)], exception_handlers=handlers
    )


def _own_route(path: str, method: str, act: Callable[[Request, Any], Any]) -> Route:
    async def answer(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return _json(error_body(403, "For this machine only"), 403)
        try:
            raw = await request.body()
            return _json(await asyncio.to_thread(act, request, json.loads(raw) if raw else {}))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _json(error_body(400, f"{type(error).__name__}: {error}"), 400)

    return Route(path, answer, methods=[method])


def _json(value: object, status: int = 200) -> Response:
    return Response(dumps(value), status, media_type="application/json")


def _period(request: Request) -> tuple[list[int] | None, str | None, str | None]:
    query = request.query_params
    return [int(project) for project in query.getlist("project_id")] or None, query.get("from"), query.get("to")


class PromptServer(uvicorn.Server):
    """A uvicorn server that stops at once, from any thread: tests start and stop it a hundred times."""

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
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Wait for the signal to stop, without uvicorn's ticks."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ended.wait()

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Close without uvicorn's pause when nobody is connected any more."""
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()

    def stop(self) -> None:
        """Make it stop, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ended.set)
