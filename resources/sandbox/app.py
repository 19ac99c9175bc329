"""The sandbox as a web application: routes, faults, the log; what it answers is in api.py."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from resources.sandbox import breakage, faults, signing
from resources.sandbox.api import ENDPOINTS, Api, Listing, body_of, is_long, parse_body
from resources.sandbox.errors import Refused, error_body
from resources.sandbox.faults import Fault, Faults
from resources.sandbox.moves import move
from resources.sandbox.rows import EncodedPage, dumps, encode_page

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

JSON: Final = "application/json; charset=UTF-8"
_LARGE: Final = 100_000  # bytes from which signing is worth a thread: it does not hold the interpreter


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
        headers = dict(self.headers)
        if not self.chunked:
            headers["content-length"] = str(len(self.body))
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        if self.cut:
            # Returning before the body is complete makes the server close the connection.
            await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        elif self.chunked:
            middle = len(self.body) // 2
            await send({"type": "http.response.body", "body": self.body[:middle], "more_body": True})
            await send({"type": "http.response.body", "body": self.body[middle:]})
        else:
            await send({"type": "http.response.body", "body": self.body})


class Handler:
    """Answers the endpoints, makes the faults, and keeps the log."""

    def __init__(self, api: Api, faults: Faults) -> None:
        self.api = api
        self.faults = faults
        self.requests: list[LoggedRequest] = []
        self.statuses: Counter[tuple[str, int]] = Counter()
        self._next_long: dict[str, float] = {}

    async def answer(self, endpoint: str, raw: bytes) -> Delivery:
        """Answer one request, with the faults it is to meet."""
        met = self.faults.draw(endpoint)
        made: list[str] = []
        params: dict[str, Any] = {}
        try:
            for fault in _only(met, faults.DELAYS):
                self._made(fault, made)
                await asyncio.sleep(fault.value)
            for fault in _only(met, faults.INSTEAD):
                self._made(fault, made)
                params = _shown(raw)
                delivery = Delivery(*breakage.instead(fault))
                break
            else:
                params = parse_body(raw)
                delivery = await self._deliver(endpoint, params, met, made)
        except Refused as refused:
            delivery = Delivery(refused.status, dumps(error_body(refused.status, refused.message)))
        shown = {name: value for name, value in params.items() if name not in {"token", "signature"}}
        self.requests.append(LoggedRequest(endpoint, shown, delivery.status, tuple(made)))
        self.statuses[endpoint, delivery.status] += 1
        return delivery

    async def _deliver(self, endpoint: str, params: Mapping[str, Any], met: list[Fault], made: list[str]) -> Delivery:
        account = self.api.authenticate(params)
        answer = self.api.read(endpoint, account, params)
        if is_long(answer):
            await self._take_turn(account.name)
        listing = answer()
        for fault in _only(met, faults.PAGES) if not listing.single else ():
            rows = breakage.shorten(fault, listing.rows)
            if len(rows) < len(listing.rows):
                listing.rows = rows
                self._made(fault, made)
        body = await _signed(listing)
        for fault in _only(met, faults.BODIES):
            # Once the JSON is broken it cannot be changed further, so this comes last by its place in BODIES.
            changed = breakage.change_body(fault, listing.name, body)
            if changed is not None:
                body = changed
                self._made(fault, made)
        self._move(endpoint, listing, met, made)
        delivery = Delivery(200, body, chunked=self.api.behaviour.chunked)
        for fault in _only(met, faults.CUTS):
            self._made(fault, made)
            delivery.cut, delivery.chunked = True, fault.name == "cut_chunked"
        return delivery

    def _move(self, endpoint: str, listing: Listing, met: list[Fault], made: list[str]) -> None:
        world, chance = self.api.world, self.faults.chance
        if listing.within is not None:
            with world.lock:
                for fault in _only(met, faults.MOVES):
                    if world.documents.move(endpoint, fault.name, int(fault.value), listing.within, world.now, chance):
                        self._made(fault, made)
        if listing.call is not None:
            for fault in _only(met, faults.MOVES):
                if move(fault, self.api.world, listing.call.query, self.faults.chance):
                    self._made(fault, made)

    async def _take_turn(self, account: str) -> None:
        """Wait until an account's request for more than 180 days is allowed: one by one, seconds apart."""
        now = time.monotonic()
        turn = max(now, self._next_long.get(account, 0.0))
        self._next_long[account] = turn + self.api.behaviour.long_interval_gap
        await asyncio.sleep(turn - now)

    def _made(self, fault: Fault, made: list[str]) -> None:
        self.faults.happened(fault)
        made.append(fault.name)


def make_app(handler: Handler) -> Starlette:
    """Make the application of a handler: the endpoints, the admin routes, and error bodies for the rest."""
    from starlette.applications import Starlette
    from starlette.routing import Mount, Route

    from resources.sandbox.admin import admin_routes

    def endpoint_route(endpoint: str) -> Route:
        async def answer(request: Request) -> Delivery:
            return await handler.answer(endpoint, await request.body())

        return Route(f"{handler.api.behaviour.prefix}/{endpoint}", answer, methods=["POST"])

    async def refuse(_: Request, error: Exception) -> Delivery:
        status = getattr(error, "status_code", 500)
        if status == 500:
            traceback.print_exception(error)  # the sandbox's own fault, not one on request: let it be seen
        return Delivery(status, dumps(error_body(status, None if status == 500 else "No such endpoint")))

    routes: list[Route | Mount] = [endpoint_route(endpoint) for endpoint in ENDPOINTS]
    routes.append(Mount("/_sandbox", routes=admin_routes(handler)))
    handlers: dict[Any, Any] = dict.fromkeys((404, 405, 500), refuse)
    return Starlette(routes=routes, exception_handlers=handlers)


async def _signed(listing: Listing) -> bytes:
    page = EncodedPage(*listing.rows[0]) if listing.single else encode_page(listing.rows)
    if len(page.text) > _LARGE:
        signature = await asyncio.to_thread(signing.digest, page.text, listing.account.secret)
    else:
        signature = signing.digest(page.text, listing.account.secret)
    return body_of(listing, page.rows, signature)


def _only(met: list[Fault], names: tuple[str, ...]) -> list[Fault]:
    return sorted((fault for fault in met if fault.name in names), key=lambda fault: names.index(fault.name))


def _shown(raw: bytes) -> dict[str, Any]:
    try:
        return parse_body(raw)
    except Refused:
        return {}
