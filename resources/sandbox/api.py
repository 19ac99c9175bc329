"""The Data API itself: who asks, what for, and the rows of the answer; HTTP is in app.py, faults are in faults.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, Literal

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
DateHeader = Literal["machine", "world", "none"]

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


def _switch(help_text: str, *choices: Any) -> dict[str, Any]:
    return {"help": help_text, "choices": choices or None}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs between descriptions of the platform, and what tests want otherwise; each is a flag, too."""

    prefix: str = field(default="/v1", metadata=_switch("what the endpoints' paths begin with"))
    time_format: TimeFormat = field(default="iso", metadata=_switch("format of times in answers", "iso", "plain"))
    no_access_status: int = field(
        default=401, metadata=_switch("status for a foreign project or a missing role", 400, 401, 403)
    )
    chunked: bool = field(default=False, metadata=_switch("answer without a content-length"))
    long_interval_gap: float = field(
        default=10.0, metadata=_switch("seconds between an account's requests for more than 180 days")
    )
    cached_rows: int = field(default=150_000, metadata=_switch("how many encoded rows are kept, 2 kB each"))
    delay: float = field(default=0.0, metadata=_switch("seconds that each answer takes"))
    capacity: int = field(default=0, metadata=_switch("how many requests are answered at once; 0: any number"))
    date_header: DateHeader = field(
        default="machine", metadata=_switch("whose clock the Date header shows", "machine", "world", "none")
    )
    date_shift: float = field(default=0.0, metadata=_switch("seconds by which the Date header is wrong"))


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
        """Encode all rows now known that the cache holds, as a request with `tz: UTC` gets them."""
        states = self.world.page(Query(), 0, self.behaviour.cached_rows)
        self._rows(states, View(style=self.behaviour.time_format))

    def authenticate(self, params: Params) -> Account:
        """Find who asks; the token has to be valid and the signature right."""
        account = self.accounts.by_token(params.get("token"))
        if account is None:
            raise Refused(401, "Token is wrong, deactivated or replaced")
        if not signing.verify(params, account.secret):
            raise Refused(401, "Signature is wrong")
        return account

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
        self._need(account.risks, "the list of fraudulent operations", "Risks")
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
        self._need(account.finance, f"/{documents.ONE_CHARGEBACK}", "Finance")
        for item in self.world.documents_between(documents.CHARGEBACKS, None, self.world.now, account.projects):
            if str(item.fields.get("id")) == str(identifier):
                row = item.shown()
                encoded = dumps(row), signing.text_to_sign({"chargeback": row})
                return Listing("chargeback", [encoded], single=True)
        raise bad_request(f"There is no chargeback {identifier}")

    def rates(self, account: Account, params: Params) -> Listing:
        """Answer `/currency-rates/get`."""
        wanted, _ = requests.filter_and_pagination(params, {"merchant", "currency", "interval"}, "tz")
        if "interval" not in wanted:
            raise bad_request("filter.interval is required")
        start, end = requests.interval(wanted, requests.zone(params, "UTC"))
        self._need(account.finance, f"/{documents.RATES}", "Finance")
        rows = documents.rates(start or 0, min(end or 0, self.world.now))
        return Listing("rates", [encode_row(row, "rates") for row in rows])

    def _documents(self, account: Account, endpoint: str, query: Query, page: tuple[int, int]) -> Listing:
        """Answer the lists whose formats are made up here: newest first."""
        self._need(account.finance, f"/{endpoint}", "Finance")
        now, name, (offset, limit) = self.world.now, documents.LISTS[endpoint], page
        end = now if query.end is None else min(query.end, now)
        found = self.world.documents_between(endpoint, query.start, end, account.projects)
        return Listing(name, [encode_row(item.shown(), name) for item in found[offset : offset + limit]], query)

    def _need(self, granted: bool, what: str, role: str) -> None:  # noqa: FBT001  a role of an account
        if not granted:
            message = f"You have no access to {what}: it needs the role {role} or Merchant admin"
            raise Refused(self.behaviour.no_access_status, message)

    def _rows(self, states: Iterable[State], view: View) -> list[EncodedRow]:
        return list(map(self._encoder(view), states))


ENDPOINTS: Final[Mapping[str, Callable[[Api, Account, Params], Listing]]] = {
    "balance/get": Api.balances,
    "operations/get": Api.operations,
    "operations/get-by-payment": Api.by_payment,
    "fraud/list": Api.frauds,
    documents.CHARGEBACKS: Api.chargebacks,
    documents.REPORT: Api.report,
    documents.ONE_CHARGEBACK: Api.chargeback,
    documents.RATES: Api.rates,
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
