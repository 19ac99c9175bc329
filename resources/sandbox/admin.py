"""The sandbox's own routes, for this machine only, without a token: faults, clock, changes, truth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from resources.sandbox.errors import error_body
from resources.sandbox.rows import dumps

if TYPE_CHECKING:
    from resources.sandbox.app import Handler

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


def admin_routes(handler: Handler) -> list[Route]:
    """Make the routes below `/_sandbox`."""
    return [
        _route("/stats", "GET", lambda _request, _body: stats(handler)),
        _route("/totals", "GET", lambda request, _: handler.api.world.totals(*_interval(request))),
        _route("/truth", "GET", lambda request, _: handler.api.world.truth(*_interval(request))),
        _route("/faults", "POST", lambda _, body: _set_faults(handler, body)),
        _route("/clock", "POST", lambda _, body: _set_clock(handler, body)),
        _route("/operations", "POST", lambda _, body: _change_world(handler, body)),
        _route("/balances", "POST", lambda _, body: _top_up(handler, body)),
    ]


def stats(handler: Handler) -> dict[str, Any]:
    """Count the requests by endpoint and status, and the faults that were made."""
    requests: dict[str, dict[str, int]] = {}
    for (endpoint, status), count in sorted(handler.statuses.items()):
        requests.setdefault(endpoint, {})[str(status)] = count
    world = handler.api.world
    return {
        "requests": requests,
        "faults": dict(handler.faults.counts),
        "now": world.now,
        "operations": len(world),
    }


def _route(path: str, method: str, act: Callable[[Request, Any], Any]) -> Route:
    async def answer(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return _json(error_body(403, "For this machine only"), 403)
        try:
            raw = await request.body()
            body = json.loads(raw) if raw else {}
            return _json(await asyncio.to_thread(act, request, body))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            return _json(error_body(400, f"{type(error).__name__}: {error}"), 400)

    return Route(path, answer, methods=[method])


def _json(value: object, status: int = 200) -> Response:
    return Response(dumps(value), status, media_type="application/json")


def _interval(request: Request) -> tuple[list[int] | None, str | None, str | None]:
    asked = request.query_params
    projects = [int(project) for project in asked.getlist("project_id")]
    return projects or None, asked.get("from"), asked.get("to")


def _set_faults(handler: Handler, body: dict[str, Any]) -> dict[str, Any]:
    """Take any of `clear`, `rates`, `script`, `always`, and `next` with `times`."""
    faults = handler.faults
    unknown = body.keys() - {"clear", "rates", "script", "always", "next", "times"}
    if unknown:
        raise ValueError(f"No such setting: {', '.join(sorted(unknown))}")
    if body.get("clear"):
        faults.clear()
    if "rates" in body:
        faults.set_rates(body["rates"])
    if "script" in body:
        faults.set_script(body["script"])
    if "always" in body:
        faults.always(body["always"])
    if "next" in body:
        faults.next(body["next"], body.get("times", 1))
    return stats(handler)


def _set_clock(handler: Handler, body: dict[str, Any]) -> dict[str, Any]:
    """Take `now` (a time, or null for the real clock) or `advance` (seconds)."""
    world = handler.api.world
    if "advance" in body:
        world.advance(int(body["advance"]))
    else:
        world.set_now(body["now"])
    return {"now": world.now}


def _change_world(handler: Handler, body: dict[str, Any]) -> dict[str, Any]:
    """Take `add` or `change` (fields), with `effective` and `visible`, or `remove` (an id)."""
    world = handler.api.world
    effective, visible = body.get("effective"), body.get("visible")
    if "add" in body:
        return {"operation_id": world.add(body["add"], effective, visible)}
    if "change" in body:
        fields = dict(body["change"])
        operation_id = fields.pop("operation_id")
        world.change(operation_id, effective=effective, visible=visible, **fields)
        return {"operation_id": operation_id}
    world.remove(body["remove"])
    return {"operation_id": body["remove"]}


def _top_up(handler: Handler, body: dict[str, Any]) -> dict[str, Any]:
    """Take `project`, `currency`, `minor` (negative: taken away) and `at`: a movement that no operation tells of."""
    handler.api.world.top_up(int(body["project"]), str(body["currency"]), int(body["minor"]), body.get("at"))
    return {"top_ups": len(handler.api.world.top_ups)}
