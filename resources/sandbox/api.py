"""The Data API itself: who asks, what for, and the rows of the answer; HTTP is in app.py, faults are in faults.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, StrictInt, ValidationError, validate_call

from resources.sandbox import signing
from resources.sandbox.documents import CHARGEBACKS, REPORT, Document, newest, rates
from resources.sandbox.operations import DAY, KNOWN, Projects, Query, State, TimeFormat, View, zone
from resources.sandbox.world import World

DEMO_TOKEN: Final = "SANDBOXdemoTOKENmadeUp00000001"  # noqa: S105  made up, opens nothing
DEMO_SECRET: Final = "sandbox-demo-secret-made-up-nothing-opens-with-it"  # noqa: S105  made up
_LONG_INTERVAL: Final = 180 * DAY
_STATUS_NAMES: Final = {401: "Authorization Required", 500: "Internal Error"}
_MOMENT: Final = re.compile(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}", re.ASCII)
_OF_PAYMENT: Final = ("operation_id", "operation_type", "operation_created_at", "operation_completed_at")

# A row ready to send: its JSON, and its part of the text to sign, without its index. A bare tuple because
# the garbage collector need not look at tuples of bytes, of which there are as many as rows.
EncodedRow = tuple[bytes, bytes]


class Refused(Exception):
    """An answer that is an error, with the platform's status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


# Who asks


@dataclass(frozen=True, slots=True)
class Account:
    """One Dashboard user and the one token it has.

    `risks` and `finance` are roles: without the first it may not list fraud reports, without the other no documents.
    """

    name: str = "demo"
    token: str = field(default=DEMO_TOKEN, repr=False)
    secret: str = field(default=DEMO_SECRET, repr=False)
    projects: Projects = None
    time_zone: str = "Asia/Tokyo"
    active: bool = True
    risks: bool = True
    finance: bool = True

    def __post_init__(self) -> None:
        if len(self.token) != 30:
            raise ValueError(f"A token has 30 characters, this one {len(self.token)}")


class Accounts:
    """The accounts of one sandbox; replacing a token ends the old one, as in the Dashboard."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = {account.name: account for account in accounts}

    def by_token(self, token: object) -> Account | None:
        """Give the active account with this token, or None."""
        return next((one for one in self._accounts.values() if one.active and one.token == token), None)

    def put(self, account: Account) -> None:
        """Add an account, or replace the one of the same name, whose token then is worth nothing."""
        self._accounts[account.name] = account

    def change(self, name: str, **settings: Any) -> None:
        """Change an account, for example grant or revoke a role; KeyError: there is none of this name."""
        if name not in self._accounts:
            raise KeyError(f"No account {name}")
        self.put(replace(self._accounts[name], **settings))

    def delete(self, name: str) -> None:
        """Delete an account: its token is refused from now on."""
        del self._accounts[name]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs between descriptions of the platform, and what tests want otherwise; each is a flag, too."""

    prefix: Annotated[str, "what the endpoints' paths begin with"] = "/v1"
    time_format: Annotated[TimeFormat, "format of times in answers"] = "iso"
    no_access_status: Annotated[Literal[400, 401, 403], "status for a foreign project or a missing role"] = 401
    chunked: Annotated[bool, "answer without a content-length"] = False
    long_interval_gap: Annotated[float, "seconds between an account's requests for more than 180 days"] = 10.0
    cached_rows: Annotated[int, "how many encoded rows are kept, 2 kB each"] = 150_000
    delay: Annotated[float, "seconds that each answer takes"] = 0.0
    capacity: Annotated[int, "how many requests are answered at once; 0: any number"] = 0
    date_header: Annotated[Literal["machine", "world", "none"], "whose clock the Date header shows"] = "machine"
    date_shift: Annotated[float, "seconds by which the Date header is wrong"] = 0.0


# The values of requests


def _moment(value: object) -> datetime:
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("must be a date as YYYY-MM-DD hh:mm:ss")
    return datetime.fromisoformat(value)


def _second(moment: datetime, tz: tzinfo = UTC) -> int:
    return int(moment.replace(tzinfo=tz).timestamp())


Moment = Annotated[datetime, PlainValidator(_moment)]
UtcSecond = Annotated[int, PlainValidator(lambda value: _second(_moment(value)))]
Period = tuple[UtcSecond, UtcSecond]
Zone = Annotated[tzinfo, PlainValidator(lambda value: zone(value if isinstance(value, str) else repr(value)))]
Names = Annotated[frozenset[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
Limit = Annotated[StrictInt, Field(ge=1, le=1000)]
Offset = Annotated[StrictInt, Field(ge=0)]
UpdatedIn = dict[Literal["updated_at"], Period]
Interval = Annotated[dict[Literal["from", "to"], Moment], Field(min_length=2)]


@dataclass(frozen=True)
class Pagination:
    """Which part of the rows."""

    limit: Annotated[StrictInt, Field(ge=1)] = 20
    offset: Offset = 0


@dataclass(frozen=True)
class FraudFilter:
    """Which fraud reports."""

    received_on: Period | None = None
    purchase_date: Period | None = None
    fraud_report_date: Period | None = None
    issuer_country: list[str] | None = None

    def takes(self, report: Document) -> bool:
        """Return whether a report fulfils all conditions."""
        periods = {name: wanted for name, wanted in vars(self).items() if isinstance(wanted, tuple)}
        in_periods = all(start <= report.fields[name] <= end for name, (start, end) in periods.items())
        return in_periods and (self.issuer_country is None or report.fields["issuer_country"] in self.issuer_country)


@dataclass(frozen=True)
class RatesFilter:
    """Which rates; only the interval is looked at."""

    interval: Interval
    merchant: Any = None
    currency: Any = None


_FIRST_PAGE: Final = Pagination()


# What is answered


@dataclass(slots=True)
class Listing:
    """The rows of an answer before it is signed, and what was asked for, which a fault may move rows out of or into.

    `single`: the answer is the one row itself, not a list. `long`: such requests of an account are answered one by one.
    """

    name: str
    rows: list[EncodedRow]
    query: Query = field(default_factory=Query)
    single: bool = False
    long: bool = False

    def content(self) -> tuple[bytes, bytes]:
        """Give the JSON of the rows and the text to sign."""
        if self.single:
            return self.rows[0]
        shown = b"[" + b",".join([row for row, _ in self.rows]) + b"]"
        return shown, signing.join_rows([text for _, text in self.rows])


class Api:
    """Answers requests from a world, for accounts."""

    def __init__(self, world: World, accounts: Accounts, behaviour: Behaviour) -> None:
        self.world = world
        self.accounts = accounts
        self.behaviour = behaviour

        @lru_cache(maxsize=3)
        def encoder(view: View) -> Callable[[State], EncodedRow]:
            return lru_cache(maxsize=behaviour.cached_rows)(lambda state: encode_row(state.row(view)))

        self._encoder = encoder

    def warm(self) -> None:
        """Encode what is known before it is asked for with `tz: UTC`, as many rows as the cache holds: 30 µs each."""
        self._rows(Query(), View(style=self.behaviour.time_format), 0, self.behaviour.cached_rows)

    def answer(self, endpoint: str, params: Mapping[str, Any]) -> tuple[Account, Listing]:
        """Find who asks, and list what for: token and signature are checked, then the role, then the parameters."""
        account = self.accounts.by_token(params.get("token"))
        if account is None:
            raise Refused(401, "Token is wrong, deactivated or replaced")
        if not signing.verify(params, account.secret):
            raise Refused(401, "Signature is wrong")
        act, role = ENDPOINTS[endpoint]
        if role is not None and not getattr(account, role):
            message = f"You have no access to /{endpoint}: it needs the role {role.title()} or Merchant admin"
            raise Refused(self.behaviour.no_access_status, message)
        own = {name: value for name, value in params.items() if name not in {"token", "signature"}}
        if empty := [name for name, value in own.items() if value is None]:
            raise Refused(400, f"{empty[0]}: must not be null")
        try:
            return account, act(self, account, **own)
        except ValidationError as error:
            wrong = error.errors()[0]
            name, message = ".".join(map(str, wrong["loc"])), wrong["msg"].removeprefix("Value error, ")
            raise Refused(400, f"{name}: {message}") from error

    # The endpoints: each a method whose keywords are the parameters, checked by their types before it is called

    def operations(  # noqa: PLR0913  as many as the endpoint has
        self,
        account: Account,
        *,
        project_id: tuple[StrictInt, ...] = (),
        interval: Interval | None = None,
        tz: Zone | None = None,
        limit: Limit = 1000,
        offset: Offset = 0,
        operation_type: Names | None = None,
        operation_status: Names | None = None,
        customer_id: Names | None = None,
        customer_email: str | None = None,
        fields: tuple[str, ...] = (),
    ) -> Listing:
        """Answer `/operations/get`."""
        for project in project_id:
            if account.projects is not None and project not in account.projects:
                raise Refused(self.behaviour.no_access_status, f"You have no access to project_id = {project}")
        for name in fields:
            if name not in KNOWN:
                raise Refused(400, f"Unknown field: {name}")
        projects = project_id or account.projects
        tz = tz or zone(account.time_zone)
        conditions = {
            "operation_type": operation_type,
            "operation_status": operation_status,
            "customer_id": customer_id,
            "customer_email": None if customer_email is None else frozenset([customer_email]),
        }
        start, end = _bounds(interval, tz) if interval else (None, None)
        query = Query(
            start,
            end,
            None if projects is None else frozenset(projects),
            tuple((name, values) for name, values in conditions.items() if values is not None),
        )
        view = View(tz, self.behaviour.time_format, tuple(dict.fromkeys(fields)) or None)
        long = start is not None and end is not None and end - start > _LONG_INTERVAL
        return Listing("operations", self._rows(query, view, offset, limit), query, long=long)

    def by_payment(self, account: Account, *, payment_id: Annotated[str, Field(min_length=1)]) -> Listing:
        """Answer `/operations/get-by-payment`."""
        view = View(zone(account.time_zone), self.behaviour.time_format)
        rows = [state.row(view) for state in self.world.by_payment(payment_id, account.projects)]
        return Listing("operations", [encode_row(_payment_row(row)) for row in rows])

    def balances(self, account: Account) -> Listing:
        """Answer `/balance/get`."""
        return Listing("balance", [encode_row(row, "balance") for row in self.world.balance_rows(account.projects)])

    def frauds(
        self, account: Account, *, filter: FraudFilter | None = None, pagination: Pagination = _FIRST_PAGE
    ) -> Listing:
        """Answer `/fraud/list`: newest received first."""
        known = newest(self.world.frauds, None, self.world.now, account.projects)
        found = [report for report in known if filter is None or filter.takes(report)]
        return _page_of("operations", found, pagination)

    def chargebacks(
        self, account: Account, *, filter: UpdatedIn | None = None, pagination: Pagination = _FIRST_PAGE, tz: Zone = UTC
    ) -> Listing:
        """Answer `/chargeback/list`: newest first."""
        query = Query(*(filter or {}).get("updated_at", ()))
        found = self.world.documents_of(CHARGEBACKS, query, account.projects)
        return _page_of("chargebacks", found, pagination, query)

    def chargeback(self, account: Account, *, id: StrictInt | str) -> Listing:
        """Answer `/chargeback/get`."""
        for item in self.world.documents_of(CHARGEBACKS, Query(), account.projects):
            if str(item.fields.get("id")) == str(id):
                row = item.shown()
                return Listing("chargeback", [(dumps(row), signing.text_to_sign({"chargeback": row}))], single=True)
        raise Refused(400, f"There is no chargeback {id}")

    def report(
        self,
        account: Account,
        *,
        interval: Interval | None = None,
        tz: Zone = UTC,
        limit: Limit = 1000,
        offset: Offset = 0,
    ) -> Listing:
        """Answer `/financial-reporting/operations`: newest first."""
        query = Query(*(_bounds(interval, tz) if interval else ()))
        found = self.world.documents_of(REPORT, query, account.projects)
        return _page_of("operations", found, Pagination(limit, offset), query)

    def rates(self, _: Account, *, filter: RatesFilter, tz: Zone = UTC) -> Listing:
        """Answer `/currency-rates/get`."""
        start, end = _bounds(filter.interval, tz)
        return Listing("rates", [encode_row(row, "rates") for row in rates(start, min(end, self.world.now))])

    def _rows(self, query: Query, view: View, offset: int, limit: int) -> list[EncodedRow]:
        return list(map(self._encoder(view), self.world.page(query, offset, limit)))


# What answers each endpoint, and the role that this needs
_checked: Final = validate_call(config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
ENDPOINTS: Final[Mapping[str, tuple[Callable[..., Listing], str | None]]] = {
    "balance/get": (_checked(Api.balances), None),
    "operations/get": (_checked(Api.operations), None),
    "operations/get-by-payment": (_checked(Api.by_payment), None),
    "fraud/list": (_checked(Api.frauds), "risks"),
    CHARGEBACKS: (_checked(Api.chargebacks), "finance"),
    "chargeback/get": (_checked(Api.chargeback), "finance"),
    REPORT: (_checked(Api.report), "finance"),
    "currency-rates/get": (_checked(Api.rates), "finance"),
}


def _bounds(interval: Interval, tz: tzinfo) -> tuple[int, int]:
    """Give the ends of an interval, which are in the zone `tz` and belong to it, as seconds."""
    start, end = _second(interval["from"], tz), _second(interval["to"], tz)
    if start > end:
        raise Refused(400, "interval.from must not be later than interval.to")
    return start, end


def _page_of(name: str, found: Sequence[Document], page: Pagination, query: Query | None = None) -> Listing:
    shown = found[page.offset : page.offset + page.limit]
    return Listing(name, [encode_row(item.shown(), name) for item in shown], query or Query())


# What goes over the wire


def encode_row(row: Mapping[str, Any], name: str = "operations") -> EncodedRow:
    """Encode one row of the list `name`."""
    # Copied because orjson leaves its bytes on a buffer of 8 kB, ten times what a row needs.
    return bytes(memoryview(dumps(row))), signing.row_text(name, row)


def dumps(value: object) -> bytes:
    """Write JSON; what orjson refuses (integers over 64 bits, lone surrogates) the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def error_body(status: int, message: str | None = None) -> bytes:
    """Give the platform's error body: never signed, `code` always 0."""
    name = _STATUS_NAMES.get(status) or HTTPStatus(status).phrase
    text = {} if message is None else {"message": message}
    return dumps({"name": name, **text, "code": 0, "status": status})


def parse_body(raw: bytes) -> dict[str, Any]:
    """Read a request's body: one JSON object."""
    try:
        params = orjson.loads(raw)
    except ValueError as error:
        raise Refused(400, "The body is not valid JSON") from error
    if not isinstance(params, dict):
        raise Refused(400, "The body must be a JSON object")
    return params


def _payment_row(row: Mapping[str, Any]) -> dict[str, Any]:
    money = row.get("sum_initial") or {}
    short = {name: row.get(name, "") for name in _OF_PAYMENT}
    short |= {"amount": money.get("amount"), "currency": money.get("currency")}
    return short | {"arn": row.get("arn"), "rrn": row.get("rrn")}
