"""Requests: who asks and what for, or the platform's refusal with a clear message; answers nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Any, Final

from resources.sandbox import operations
from resources.sandbox.operations import DAY, KNOWN, Query, TimeFormat, View

TOKEN_LENGTH: Final = 30
DEMO_TOKEN: Final = "SANDBOXdemoTOKENmadeUp00000001"  # noqa: S105  made up, opens nothing
DEMO_SECRET: Final = "sandbox-demo-secret-made-up-nothing-opens-with-it"  # noqa: S105  made up
MAX_LIMIT: Final = 1000
LONG_INTERVAL: Final = 180 * DAY
_OPERATIONS: Final = frozenset(
    {
        *("project_id", "interval", "tz", "limit", "offset", "operation_type", "operation_status"),
        *("customer_id", "customer_email", "fields"),
    }
)
_FRAUD_FILTERS: Final = ("received_on", "purchase_date", "fraud_report_date")
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


# Who asks


@dataclass(frozen=True, slots=True)
class Account:
    """One Dashboard user and the one token it has. `projects=None` sees every project of the world.

    `risks` and `finance` are roles: without the first it may not list fraud reports, without the other no documents.
    """

    name: str = "demo"
    token: str = field(default=DEMO_TOKEN, repr=False)
    secret: str = field(default=DEMO_SECRET, repr=False)
    projects: Collection[int] | None = None
    time_zone: str = "Asia/Tokyo"
    active: bool = True
    risks: bool = True
    finance: bool = True

    def __post_init__(self) -> None:
        if len(self.token) != TOKEN_LENGTH:
            raise ValueError(f"A token has {TOKEN_LENGTH} characters, this one {len(self.token)}")

    def sees(self, project: int) -> bool:
        """Return whether this account has access to a project."""
        return self.projects is None or project in self.projects


class Accounts:
    """The accounts of one sandbox; replacing a token ends the old one, as in the Dashboard."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_token: dict[str, Account] = {}
        for account in accounts:
            if account.token in self._by_token:
                raise ValueError("Two accounts have the same token")
            self._by_token[account.token] = account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_token.values())

    def by_token(self, token: object) -> Account | None:
        """Give the active account with this token, or None."""
        account = self._by_token.get(token) if isinstance(token, str) else None
        return account if account is not None and account.active else None

    def put(self, account: Account) -> None:
        """Add an account, or replace the one of the same name, whose token then is worth nothing."""
        self.delete(account.name)
        self._by_token = {**self._by_token, account.token: account}

    def change(self, name: str, **settings: Any) -> None:
        """Change an account, for example grant or revoke a role; KeyError: there is none of this name."""
        account = next((one for one in self if one.name == name), None)
        if account is None:
            raise KeyError(f"No account {name}")
        self.put(replace(account, **settings))

    def delete(self, name: str) -> None:
        """Delete an account: its token is refused from now on."""
        self._by_token = {token: one for token, one in self._by_token.items() if one.name != name}


# What for


@dataclass(frozen=True, slots=True)
class OperationsCall:
    """A valid request of `/operations/get`."""

    query: Query
    offset: int
    limit: int
    view: View

    @classmethod
    def read(cls, params: Params, account: Account, style: TimeFormat, no_access: int) -> OperationsCall:
        """Read it from a request's parameters."""
        _refuse_unknown(params, _OPERATIONS, "parameter")
        tz = _zone_name(params, account.time_zone)
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
        return cls(query, *_page(params, MAX_LIMIT, MAX_LIMIT), View(tz, style, _fields(params)))

    @property
    def long(self) -> bool:
        """Return whether its interval is longer than 180 days."""
        query = self.query
        return query.start is not None and query.end is not None and query.end - query.start > LONG_INTERVAL


@dataclass(frozen=True, slots=True)
class FraudCall:
    """A valid request of `/fraud/list`: intervals (UTC) by the name of the time, countries or None."""

    between: Mapping[str, tuple[int, int]]
    countries: frozenset[str] | None
    offset: int
    limit: int

    @classmethod
    def read(cls, params: Params) -> FraudCall:
        """Read it from a request's parameters."""
        wanted, pagination = _filter_and_pagination(params, {*_FRAUD_FILTERS, "issuer_country"})
        between = {name: _pair(wanted[name], f"filter.{name}") for name in _FRAUD_FILTERS if name in wanted}
        countries = None
        if "issuer_country" in wanted:
            countries = frozenset(_strings(wanted["issuer_country"], "filter.issuer_country"))
        return cls(between, countries, *_page(pagination, 20, None))


@dataclass(frozen=True, slots=True)
class DocumentsCall:
    """A valid request of an endpoint whose format is made up here: an interval, and a page of it."""

    start: int | None
    end: int | None
    offset: int = 0
    limit: int = MAX_LIMIT

    @classmethod
    def read_report(cls, params: Params) -> DocumentsCall:
        """Read a request of `/financial-reporting/operations`."""
        _refuse_unknown(params, {"interval", "tz", "limit", "offset"}, "parameter")
        start, end = _interval(params, _zone_name(params, "UTC"))
        return cls(start, end, *_page(params, MAX_LIMIT, MAX_LIMIT))

    @classmethod
    def read_chargebacks(cls, params: Params) -> DocumentsCall:
        """Read a request of `/chargeback/list`."""
        wanted, pagination = _filter_and_pagination(params, {"updated_at"}, "tz")
        _zone_name(params, "UTC")
        start, end = _pair(wanted["updated_at"], "filter.updated_at") if "updated_at" in wanted else (None, None)
        return cls(start, end, *_page(pagination, 20, MAX_LIMIT))

    @classmethod
    def read_rates(cls, params: Params) -> DocumentsCall:
        """Read a request of `/currency-rates/get`."""
        wanted, _ = _filter_and_pagination(params, {"merchant", "currency", "interval"}, "tz")
        if "interval" not in wanted:
            raise bad_request("filter.interval is required")
        return cls(*_interval(wanted, _zone_name(params, "UTC")))


def read_payment_id(params: Params) -> str:
    """Read a request of `/operations/get-by-payment`."""
    _refuse_unknown(params, {"payment_id"}, "parameter")
    payment_id = _text(params, "payment_id")
    if not payment_id:
        raise bad_request("payment_id is required")
    return payment_id


def read_chargeback_id(params: Params) -> str:
    """Read a request of `/chargeback/get`."""
    _refuse_unknown(params, {"id"}, "parameter")
    identifier = params.get("id")
    if not isinstance(identifier, str | int) or isinstance(identifier, bool):
        raise bad_request("id is required")
    return str(identifier)


def read_nothing(params: Params) -> None:
    """Read a request of `/balance/get`, which has no parameters of its own."""
    _refuse_unknown(params, (), "parameter")


# Values


def _refuse_unknown(params: Params, known: Collection[str], what: str) -> None:
    for name in params:
        if name not in known and name not in {"token", "signature"}:
            raise bad_request(f"Unknown {what}: {name}")


def _filter_and_pagination(params: Params, filters: Collection[str], *also: str) -> tuple[Params, Params]:
    _refuse_unknown(params, {"filter", "pagination", *also}, "parameter")
    found = []
    for name, known in (("filter", filters), ("pagination", ("limit", "offset"))):
        value = params.get(name) or {}
        if not isinstance(value, Mapping):
            raise bad_request(f"{name} must be an object")
        _refuse_unknown(value, known, name)
        found.append(value)
    return found[0], found[1]


def _interval(params: Params, tz: str) -> tuple[int, int] | tuple[None, None]:
    try:
        zone = operations.zone(tz)
    except ValueError as error:
        raise bad_request(f"tz: {error}") from error
    if "interval" not in params:
        return None, None
    interval = params["interval"]
    if not isinstance(interval, Mapping) or set(interval) != {"from", "to"}:
        raise bad_request("interval must be an object with from and to")
    start, end = (_moment(interval[name], f"interval.{name}", zone) for name in ("from", "to"))
    if start > end:
        raise bad_request("interval.from must not be later than interval.to")
    return start, end


def _zone_name(params: Params, default: str) -> str:
    tz = params.get("tz", default)
    if not isinstance(tz, str):
        raise bad_request("tz must be a string")
    return tz


def _moment(value: object, name: str, zone: tzinfo) -> int:
    try:
        return operations.parse(value if isinstance(value, str) else "", zone)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} must be a date as YYYY-MM-DD hh:mm:ss, got {value!r}") from error


def _pair(value: object, name: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise bad_request(f"{name} must be a list of two dates")
    start, end = (_moment(item, name, UTC) for item in value)
    return start, end


def _projects(params: Params, account: Account, no_access: int) -> frozenset[int] | None:
    own = None if account.projects is None else frozenset(account.projects)
    if "project_id" not in params:
        return own
    given = params["project_id"]
    if not isinstance(given, list) or not all(type(project) is int for project in given):
        raise bad_request("project_id must be a list of integers")
    for project in given:
        if not account.sees(project):
            raise Refused(no_access, f"You have no access to project_id = {project}")
    return frozenset(given) or own


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


def _page(params: Params, default: int, most: int | None) -> tuple[int, int]:
    """Read `offset` and `limit`."""
    limit = _whole(params, "limit", default, 1, most)
    return _whole(params, "offset", 0, 0, None), limit


def _whole(params: Params, name: str, default: int, least: int, most: int | None) -> int:
    value = params.get(name, default)
    bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
    if type(value) is not int or value < least or (most is not None and value > most):
        raise bad_request(f"{name} must be an integer {bounds}, got {value!r}")
    return value
