"""The Data API itself: who asks, what for, and the rows of the answer; HTTP is in app.py, faults are in faults.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

import orjson

from resources.sandbox import documents, requests, signing
from resources.sandbox.operations import DAY, Query, State, TimeFormat, View, zone
from resources.sandbox.requests import Params, Refused, bad_request
from resources.sandbox.world import World

DEMO_TOKEN: Final = "SANDBOXdemoTOKENmadeUp00000001"  # noqa: S105  made up, opens nothing
DEMO_SECRET: Final = "sandbox-demo-secret-made-up-nothing-opens-with-it"  # noqa: S105  made up
_TOKEN_LENGTH: Final = 30
_MAX_LIMIT: Final = 1000
_LONG_INTERVAL: Final = 180 * DAY
_OPERATIONS_PARAMETERS: Final = frozenset(
    {
        *("project_id", "interval", "tz", "limit", "offset", "operation_type", "operation_status"),
        *("customer_id", "customer_email", "fields"),
    }
)
_FRAUD_FILTERS: Final = ("received_on", "purchase_date", "fraud_report_date")

# A row ready to send: its JSON, and its part of the text to sign, without its index. A bare tuple because
# the garbage collector need not look at tuples of bytes, of which there are as many as rows.
EncodedRow = tuple[bytes, bytes]


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
        if len(self.token) != _TOKEN_LENGTH:
            raise ValueError(f"A token has {_TOKEN_LENGTH} characters, this one {len(self.token)}")

    def sees(self, project: int) -> bool:
        """Return whether this account has access to a project."""
        return self.projects is None or project in self.projects


class Accounts:
    """The accounts of one sandbox; replacing a token ends the old one, as in the Dashboard."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts = list(accounts)

    def by_token(self, token: object) -> Account | None:
        """Give the active account with this token, or None."""
        return next((one for one in self._accounts if one.active and one.token == token), None)

    def put(self, account: Account) -> None:
        """Add an account, or replace the one of the same name, whose token then is worth nothing."""
        self.delete(account.name)
        self._accounts.append(account)

    def change(self, name: str, **settings: Any) -> None:
        """Change an account, for example grant or revoke a role; KeyError: there is none of this name."""
        account = next((one for one in self._accounts if one.name == name), None)
        if account is None:
            raise KeyError(f"No account {name}")
        self.put(replace(account, **settings))

    def delete(self, name: str) -> None:
        """Delete an account: its token is refused from now on."""
        self._accounts = [one for one in self._accounts if one.name != name]


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
        states = self.world.page(Query(), 0, self.behaviour.cached_rows)
        self._rows(states, View(style=self.behaviour.time_format))

    def answer(self, endpoint: str, params: Params) -> tuple[Account, Listing]:
        """Find who asks, and list what for: token and signature are checked, then the role, then the parameters."""
        account = self.accounts.by_token(params.get("token"))
        if account is None:
            raise Refused(401, "Token is wrong, deactivated or replaced")
        if not signing.verify(params, account.secret):
            raise Refused(401, "Signature is wrong")
        act, role = ENDPOINTS[endpoint]
        if role is not None and not getattr(account, role):
            what = "the list of fraudulent operations" if role == "risks" else f"/{endpoint}"
            message = f"You have no access to {what}: it needs the role {role.title()} or Merchant admin"
            raise Refused(self.behaviour.no_access_status, message)
        return account, act(self, account, params)

    # The endpoints: each checks its parameters, and lists what was asked for

    def operations(self, account: Account, params: Params) -> Listing:
        """Answer `/operations/get`."""
        requests.refuse_unknown(params, _OPERATIONS_PARAMETERS)
        tz = requests.zone(params, account.time_zone)
        start, end = requests.interval(params, tz)
        query = Query(
            start,
            end,
            projects=requests.projects(params, account.projects, self.behaviour.no_access_status),
            types=requests.one_or_more(params, "operation_type"),
            statuses=requests.one_or_more(params, "operation_status"),
            customers=requests.one_or_more(params, "customer_id"),
            email=requests.text(params, "customer_email"),
        )
        offset, limit = requests.page(params, _MAX_LIMIT, _MAX_LIMIT)
        view = View(tz, self.behaviour.time_format, requests.fields(params))
        long = start is not None and end is not None and end - start > _LONG_INTERVAL
        return Listing("operations", self._rows(self.world.page(query, offset, limit), view), query, long=long)

    def by_payment(self, account: Account, params: Params) -> Listing:
        """Answer `/operations/get-by-payment`."""
        requests.refuse_unknown(params, {"payment_id"})
        payment_id = requests.text(params, "payment_id")
        if not payment_id:
            raise bad_request("payment_id is required")
        view = View(zone(account.time_zone), self.behaviour.time_format)
        rows = [state.row(view) for state in self.world.by_payment(payment_id, account.projects)]
        return Listing("operations", [encode_row(_payment_row(row)) for row in rows])

    def balances(self, account: Account, params: Params) -> Listing:
        """Answer `/balance/get`."""
        requests.refuse_unknown(params, ())
        rows = self.world.balance_rows(account.projects)
        return Listing("balance", [encode_row(row, "balance") for row in rows])

    def frauds(self, account: Account, params: Params) -> Listing:
        """Answer `/fraud/list`: newest received first."""
        wanted, pagination = requests.filter_and_pagination(params, {*_FRAUD_FILTERS, "issuer_country"})
        between = {name: requests.pair(wanted, name) for name in _FRAUD_FILTERS if name in wanted}
        countries = wanted.get("issuer_country")
        if "issuer_country" in wanted:
            requests.strings(countries, "filter.issuer_country")
        offset, limit = requests.page(pagination, 20, None)
        found = [
            report
            for report in self.world.frauds
            if report.at <= self.world.now
            and account.sees(report.project)
            and (countries is None or report.fields["issuer_country"] in countries)
            and all(start <= report.fields[name] <= end for name, (start, end) in between.items())
        ]
        found.sort(key=lambda report: report.at, reverse=True)
        return Listing("operations", [encode_row(report.shown()) for report in found[offset : offset + limit]])

    def chargebacks(self, account: Account, params: Params) -> Listing:
        """Answer `/chargeback/list`."""
        wanted, pagination = requests.filter_and_pagination(params, {"updated_at"}, "tz")
        requests.zone(params, "UTC")
        query = Query(*(requests.pair(wanted, "updated_at") if "updated_at" in wanted else ()))
        return self._documents(account, documents.CHARGEBACKS, query, requests.page(pagination, 20, _MAX_LIMIT))

    def report(self, account: Account, params: Params) -> Listing:
        """Answer `/financial-reporting/operations`."""
        requests.refuse_unknown(params, {"interval", "tz", "limit", "offset"})
        query = Query(*requests.interval(params, requests.zone(params, "UTC")))
        return self._documents(account, documents.REPORT, query, requests.page(params, _MAX_LIMIT, _MAX_LIMIT))

    def chargeback(self, account: Account, params: Params) -> Listing:
        """Answer `/chargeback/get`."""
        requests.refuse_unknown(params, {"id"})
        identifier = params.get("id")
        if not isinstance(identifier, str | int) or isinstance(identifier, bool):
            raise bad_request("id is required")
        for item in self.world.documents_between(documents.CHARGEBACKS, None, self.world.now, account.projects):
            if str(item.fields.get("id")) == str(identifier):
                row = item.shown()
                encoded = dumps(row), signing.text_to_sign({"chargeback": row})
                return Listing("chargeback", [encoded], single=True)
        raise bad_request(f"There is no chargeback {identifier}")

    def rates(self, _: Account, params: Params) -> Listing:
        """Answer `/currency-rates/get`."""
        wanted = requests.filter_and_pagination(params, {"merchant", "currency", "interval"}, "tz")[0]
        if "interval" not in wanted:
            raise bad_request("filter.interval is required")
        start, end = requests.interval(wanted, requests.zone(params, "UTC"))
        rows = documents.rates(start or 0, min(end or 0, self.world.now))
        return Listing("rates", [encode_row(row, "rates") for row in rows])

    def _documents(self, account: Account, endpoint: str, query: Query, page: tuple[int, int]) -> Listing:
        """Answer the lists whose formats are made up here: newest first."""
        now, name, (offset, limit) = self.world.now, documents.LISTS[endpoint], page
        end = now if query.end is None else min(query.end, now)
        found = self.world.documents_between(endpoint, query.start, end, account.projects)
        return Listing(name, [encode_row(item.shown(), name) for item in found[offset : offset + limit]], query)

    def _rows(self, states: Iterable[State], view: View) -> list[EncodedRow]:
        return list(map(self._encoder(view), states))


# What answers each endpoint, and the role that this needs
ENDPOINTS: Final[Mapping[str, tuple[Callable[[Api, Account, Params], Listing], str | None]]] = {
    "balance/get": (Api.balances, None),
    "operations/get": (Api.operations, None),
    "operations/get-by-payment": (Api.by_payment, None),
    "fraud/list": (Api.frauds, "risks"),
    documents.CHARGEBACKS: (Api.chargebacks, "finance"),
    documents.ONE_CHARGEBACK: (Api.chargeback, "finance"),
    documents.REPORT: (Api.report, "finance"),
    documents.RATES: (Api.rates, "finance"),
}


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


def parse_body(raw: bytes) -> dict[str, Any]:
    """Read a request's body: one JSON object."""
    try:
        params = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is not valid JSON") from error
    if not isinstance(params, dict):
        raise bad_request("The body must be a JSON object")
    return params


def _payment_row(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("operation_id", "operation_type", "operation_created_at", "operation_completed_at")
    money = row.get("sum_initial") or {}
    short = {name: row.get(name, "") for name in names}
    short |= {"amount": money.get("amount"), "currency": money.get("currency")}
    return short | {"arn": row.get("arn"), "rrn": row.get("rrn")}
