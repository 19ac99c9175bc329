"""From a request's parameters to what it asks for, or 400 with a clear message; answers nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from resources.sandbox import documents, frauds, times
from resources.sandbox.accounts import Account
from resources.sandbox.errors import Refused, bad_request
from resources.sandbox.fields import KNOWN
from resources.sandbox.queries import Query
from resources.sandbox.rows import View
from resources.sandbox.times import DAY, TimeFormat

MAX_LIMIT: Final = 1000
LONG_INTERVAL: Final = 180 * DAY
_OPERATIONS: Final = frozenset(
    {
        *("project_id", "interval", "tz", "limit", "offset", "operation_type", "operation_status"),
        *("customer_id", "customer_email", "fields"),
    }
)
Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OperationsCall:
    """A valid request for operations."""

    query: Query
    offset: int
    limit: int
    view: View

    @property
    def long(self) -> bool:
        """Tell whether its interval is longer than 180 days."""
        query = self.query
        return query.start is not None and query.end is not None and query.end - query.start > LONG_INTERVAL


@dataclass(frozen=True, slots=True)
class FraudCall:
    """A valid request for fraud reports: intervals by the name of the time, countries or None."""

    between: Mapping[str, tuple[int, int]]
    countries: frozenset[str] | None
    offset: int
    limit: int


@dataclass(frozen=True, slots=True)
class DocumentsCall:
    """A valid request for documents: an interval, a page of it, or the id of the only one."""

    start: int | None = None
    end: int | None = None
    offset: int = 0
    limit: int | None = None
    identifier: str | None = None


def operations_call(params: Params, account: Account, style: TimeFormat, no_access: int) -> OperationsCall:
    """Read a request of `/operations/get`."""
    _refuse_unknown(params, _OPERATIONS, "parameter")
    tz = params.get("tz", account.time_zone)
    if not isinstance(tz, str):
        raise bad_request("tz must be a string")
    start, end = _interval(params, tz)
    query = Query(
        start=start,
        end=end,
        projects=_projects(params, account, no_access),
        types=_one_or_more(params, "operation_type"),
        statuses=_one_or_more(params, "operation_status"),
        customers=_one_or_more(params, "customer_id"),
        email=_text(params, "customer_email"),
    )
    limit = _whole(params, "limit", MAX_LIMIT, 1, MAX_LIMIT)
    offset = _whole(params, "offset", 0, 0, None)
    return OperationsCall(query, offset, limit, View(tz, style, _fields(params)))


def payment_call(params: Params) -> str:
    """Read a request of `/operations/get-by-payment`."""
    _refuse_unknown(params, {"payment_id"}, "parameter")
    payment_id = _text(params, "payment_id")
    if not payment_id:
        raise bad_request("payment_id is required")
    return payment_id


def balance_call(params: Params) -> None:
    """Read a request of `/balance/get`, which has no parameters of its own."""
    _refuse_unknown(params, (), "parameter")


def fraud_call(params: Params) -> FraudCall:
    """Read a request of `/fraud/list`; its times are UTC."""
    _refuse_unknown(params, {"filter", "pagination"}, "parameter")
    wanted, pagination = _object(params, "filter"), _object(params, "pagination")
    _refuse_unknown(wanted, {*frauds.FILTERS, "issuer_country"}, "filter")
    _refuse_unknown(pagination, {"limit", "offset"}, "pagination")
    between = {name: _pair(wanted[name], f"filter.{name}") for name in frauds.FILTERS if name in wanted}
    countries = None
    if "issuer_country" in wanted:
        countries = frozenset(_strings(wanted["issuer_country"], "filter.issuer_country"))
    return FraudCall(
        between, countries, _whole(pagination, "offset", 0, 0, None), _whole(pagination, "limit", 20, 1, None)
    )


def documents_call(endpoint: str, params: Params) -> DocumentsCall:
    """Read a request of an endpoint whose format is made up here."""
    tz = params.get("tz", "UTC")
    if not isinstance(tz, str):
        raise bad_request("tz must be a string")
    if endpoint == documents.ONE_CHARGEBACK:
        _refuse_unknown(params, {"id"}, "parameter")
        identifier = params.get("id")
        if not isinstance(identifier, str | int) or isinstance(identifier, bool):
            raise bad_request("id is required")
        return DocumentsCall(identifier=str(identifier))
    if endpoint == "financial-reporting/operations":
        _refuse_unknown(params, {"interval", "tz", "limit", "offset"}, "parameter")
        start, end = _interval(params, tz)
        limit = _whole(params, "limit", MAX_LIMIT, 1, MAX_LIMIT)
        return DocumentsCall(start, end, _whole(params, "offset", 0, 0, None), limit)
    _refuse_unknown(params, {"filter", "pagination", "tz"}, "parameter")
    wanted, pagination = _object(params, "filter"), _object(params, "pagination")
    if endpoint == documents.RATES:
        _refuse_unknown(wanted, {"merchant", "currency", "interval"}, "filter")
        start, end = _interval(wanted, tz)
        if start is None:
            raise bad_request("filter.interval is required")
        return DocumentsCall(start, end)
    _refuse_unknown(wanted, {"updated_at"}, "filter")
    _refuse_unknown(pagination, {"limit", "offset"}, "pagination")
    start, end = _pair(wanted["updated_at"], "filter.updated_at") if "updated_at" in wanted else (None, None)
    limit = _whole(pagination, "limit", 20, 1, MAX_LIMIT)
    return DocumentsCall(start, end, _whole(pagination, "offset", 0, 0, None), limit)


def _refuse_unknown(params: Params, known: Collection[str], what: str) -> None:
    for name in params:
        if name not in known and name not in {"token", "signature"}:
            raise bad_request(f"Unknown {what}: {name}")


def _interval(params: Params, tz: str) -> tuple[int | None, int | None]:
    if "interval" not in params:
        _known_zone(tz)
        return None, None
    interval = params["interval"]
    if not isinstance(interval, Mapping) or set(interval) != {"from", "to"}:
        raise bad_request("interval must be an object with from and to")
    zone = _known_zone(tz)
    start, end = (_moment(interval[name], f"interval.{name}", zone) for name in ("from", "to"))
    if start > end:
        raise bad_request("interval.from must not be later than interval.to")
    return start, end


def _known_zone(tz: str) -> Any:
    try:
        return times.zone(tz)
    except ValueError as error:
        raise bad_request(f"tz: {error}") from error


def _moment(value: object, name: str, zone: Any) -> int:
    try:
        return times.parse(value if isinstance(value, str) else "", zone)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} must be a date as YYYY-MM-DD hh:mm:ss, got {value!r}") from error


def _pair(value: object, name: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise bad_request(f"{name} must be a list of two dates")
    start, end = (_moment(item, name, UTC) for item in value)
    return start, end


def _projects(params: Params, account: Account, no_access: int) -> frozenset[int] | None:
    if "project_id" not in params:
        return _frozen(account.projects)
    given = params["project_id"]
    if not isinstance(given, list) or not all(type(project) is int for project in given):
        raise bad_request("project_id must be a list of integers")
    for project in given:
        if not account.sees(project):
            raise Refused(no_access, f"You have no access to project_id = {project}")
    return frozenset(given) or _frozen(account.projects)


def _frozen(projects: Collection[int] | None) -> frozenset[int] | None:
    return None if projects is None else frozenset(projects)


def _fields(params: Params) -> tuple[str, ...] | None:
    if "fields" not in params:
        return None
    names = _strings(params["fields"], "fields")
    for name in names:
        if name not in KNOWN:
            raise bad_request(f"Unknown field: {name}")
    return tuple(dict.fromkeys(names)) or None


def _one_or_more(params: Params, name: str) -> frozenset[str] | None:
    if name not in params:
        return None
    value = params[name]
    return frozenset([value] if isinstance(value, str) else _strings(value, name, "a string or "))


def _strings(value: object, name: str, also: str = "") -> list[str]:
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    raise bad_request(f"{name} must be {also}a list of strings")


def _text(params: Params, name: str) -> str | None:
    value = params.get(name)
    if name in params and not isinstance(value, str):
        raise bad_request(f"{name} must be a string")
    return value


def _object(params: Params, name: str) -> Params:
    value = params.get(name) or {}
    if not isinstance(value, Mapping):
        raise bad_request(f"{name} must be an object")
    return value


def _whole(params: Params, name: str, default: int, least: int, most: int | None) -> int:
    value = params.get(name, default)
    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
    if type(value) is not int or value < least or (most is not None and value > most):
        raise bad_request(f"{name} must be an integer {bounds}, got {value!r}")
    return value
