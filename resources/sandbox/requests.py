"""Values of requests, each read or refused with the platform's clear message; what is done with them is in api.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Any, Final

from resources.sandbox import operations

_STATUS_NAMES: Final = {401: "Authorization Required", 500: "Internal Error"}
Params = Mapping[str, Any]


class Refused(Exception):
    """An answer that is an error, with the platform's status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad_request(message: str) -> Refused:
    """Make the refusal of a request that is wrong in itself."""
    return Refused(400, message)


def error_body(status: int, message: str | None) -> dict[str, Any]:
    """Give the platform's error body: never signed, `code` always 0."""
    name = _STATUS_NAMES.get(status) or HTTPStatus(status).phrase
    text = {} if message is None else {"message": message}
    return {"name": name, **text, "code": 0, "status": status}


def refuse_unknown(params: Params, known: Collection[str], what: str = "parameter") -> None:
    """Refuse a request that has more than the parameters known and those by which it is authenticated."""
    for name in params:
        if name not in known and name not in {"token", "signature"}:
            raise bad_request(f"Unknown {what}: {name}")


def filter_and_pagination(params: Params, filters: Collection[str], *also: str) -> tuple[Params, Params]:
    """Read the two objects of a request that has nothing else, but for what it may have `also`."""
    refuse_unknown(params, {"filter", "pagination", *also})
    found = []
    for name, known in (("filter", filters), ("pagination", ("limit", "offset"))):
        value = params.get(name) or {}
        if not isinstance(value, Mapping):
            raise bad_request(f"{name} must be an object")
        refuse_unknown(value, known, name)
        found.append(value)
    return found[0], found[1]


def page(params: Params, default: int, most: int | None) -> tuple[int, int]:
    """Read `offset` and `limit`."""
    limit = _whole(params, "limit", default, 1, most)
    return _whole(params, "offset", 0, 0, None), limit


def zone(params: Params, default: str) -> tzinfo:
    """Read `tz`."""
    tz = params.get("tz", default)
    if not isinstance(tz, str):
        raise bad_request("tz must be a string")
    try:
        return operations.zone(tz)
    except ValueError as error:
        raise bad_request(f"tz: {error}") from error


def interval(params: Params, tz: tzinfo) -> tuple[int, int] | tuple[None, None]:
    """Read `interval`, whose bounds are in the zone `tz`."""
    if "interval" not in params:
        return None, None
    given = params["interval"]
    if not isinstance(given, Mapping) or set(given) != {"from", "to"}:
        raise bad_request("interval must be an object with from and to")
    start, end = (_moment(given[name], f"interval.{name}", tz) for name in ("from", "to"))
    if start > end:
        raise bad_request("interval.from must not be later than interval.to")
    return start, end


def pair(filters: Params, name: str) -> tuple[int, int]:
    """Read a filter of two dates in UTC."""
    value = filters[name]
    if not isinstance(value, list) or len(value) != 2:
        raise bad_request(f"filter.{name} must be a list of two dates")
    start, end = (_moment(item, f"filter.{name}", UTC) for item in value)
    return start, end


def projects(params: Params, own: Collection[int] | None, no_access: int) -> frozenset[int] | None:
    """Read `project_id`; left out or empty, all of one's `own` are meant. Refuse a foreign one with `no_access`."""
    given = params.get("project_id", [])
    if not isinstance(given, list) or not all(type(project) is int for project in given):
        raise bad_request("project_id must be a list of integers")
    for project in given:
        if own is not None and project not in own:
            raise Refused(no_access, f"You have no access to project_id = {project}")
    return frozenset(given) or (None if own is None else frozenset(own))


def fields(params: Params) -> tuple[str, ...] | None:
    """Read `fields`; none of them means the default ones."""
    names = strings(params.get("fields", []), "fields")
    for name in names:
        if name not in operations.KNOWN:
            raise bad_request(f"Unknown field: {name}")
    return tuple(dict.fromkeys(names)) or None


def one_or_more(params: Params, name: str) -> frozenset[str] | None:
    """Read a condition that is one text or a list of them."""
    if name not in params:
        return None
    value = params[name]
    return frozenset([value] if isinstance(value, str) else strings(value, name, "a string or "))


def strings(value: object, name: str, also: str = "") -> list[str]:
    """Read a list of texts."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise bad_request(f"{name} must be {also}a list of strings")


def text(params: Params, name: str) -> str | None:
    """Read a text, if there is one."""
    value = params.get(name)
    if name in params and not isinstance(value, str):
        raise bad_request(f"{name} must be a string")
    return value


def _moment(value: object, name: str, tz: tzinfo) -> int:
    try:
        return operations.parse(value if isinstance(value, str) else "", tz)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} must be a date as YYYY-MM-DD hh:mm:ss, got {value!r}") from error


def _whole(params: Params, name: str, default: int, least: int, most: int | None) -> int:
    value = params.get(name, default)
    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
    if type(value) is not int or value < least or (most is not None and value > most):
        raise bad_request(f"{name} must be an integer {bounds}, got {value!r}")
    return value
