"""The Data API itself: who asks, what for, and the signed answer; HTTP is in app.py, faults in faults.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from resources.sandbox import documents, frauds, signing
from resources.sandbox.accounts import Account, Accounts
from resources.sandbox.errors import Refused, bad_request
from resources.sandbox.parameters import (
    DocumentsCall,
    FraudCall,
    OperationsCall,
    balance_call,
    documents_call,
    fraud_call,
    operations_call,
    payment_call,
)
from resources.sandbox.queries import Query
from resources.sandbox.rows import EncodedRow, RowCache, View, dumps, encode_row, row_of
from resources.sandbox.times import TimeFormat, text, zone
from resources.sandbox.world import World

ENDPOINTS: Final = (
    *("balance/get", "operations/get", "operations/get-by-payment", "fraud/list"),
    *documents.ENDPOINTS,
)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What differs between descriptions of the platform, and what tests want otherwise.

    `long_interval_gap` is how many seconds lie between two requests of one account for more than 180 days.
    """

    prefix: str = "/v1"
    time_format: TimeFormat = "iso"
    no_access_status: int = 401
    chunked: bool = False
    long_interval_gap: float = 10.0
    cached_rows: int = 150_000


@dataclass(slots=True)
class Listing:
    """The rows of an answer before it is signed; `call` only for operations, `within` only for pages of documents.

    `single`: the answer is the one row itself, not a list.
    """

    account: Account
    name: str
    rows: list[EncodedRow]
    call: OperationsCall | None = None
    within: tuple[int, int] | None = None
    single: bool = False


@dataclass(slots=True)
class Api:
    """Answers requests from a world, for accounts."""

    world: World
    accounts: Accounts
    behaviour: Behaviour = field(default_factory=Behaviour)
    cache: RowCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = RowCache(self.behaviour.cached_rows)

    def warm(self) -> None:
        """Encode all rows now known that the cache holds, as a request with `tz: UTC` gets them."""
        states = self.world.page(Query(), 0, self.behaviour.cached_rows - 1)
        self.cache.rows(states, View(style=self.behaviour.time_format))

    def authenticate(self, params: Mapping[str, Any]) -> Account:
        """Find who asks; the token has to be valid and the signature right."""
        account = self.accounts.by_token(params.get("token"))
        if account is None:
            raise Refused(401, "Token is wrong, deactivated or replaced")
        if not signing.verify(params, account.secret):
            raise Refused(401, "Signature is wrong")
        return account

    def read(self, endpoint: str, account: Account, params: Mapping[str, Any]) -> Callable[[], Listing]:
        """Check a request, and give what answers it."""
        if endpoint == "operations/get":
            behaviour = self.behaviour
            call = operations_call(params, account, behaviour.time_format, behaviour.no_access_status)
            return _OperationsAnswer(self, account, call)
        if endpoint == "operations/get-by-payment":
            payment_id = payment_call(params)
            return lambda: self.by_payment(account, payment_id)
        if endpoint == "fraud/list":
            reports = fraud_call(params)
            return lambda: self.frauds(account, reports)
        if endpoint in documents.ENDPOINTS:
            wanted = documents_call(endpoint, params)
            return lambda: self.documents(endpoint, account, wanted)
        balance_call(params)
        return lambda: self.balances(account)

    def operations(self, account: Account, call: OperationsCall) -> Listing:
        """Answer `/operations/get`."""
        states = self.world.page(call.query, call.offset, call.limit)
        return Listing(account, "operations", self.cache.rows(states, call.view), call)

    def by_payment(self, account: Account, payment_id: str) -> Listing:
        """Answer `/operations/get-by-payment`."""
        view = View(account.time_zone, self.behaviour.time_format)
        rows = [row_of(state, view) for state in self.world.by_payment(payment_id, account)]
        return Listing(account, "operations", [encode_row(_payment_row(row)) for row in rows])

    def balances(self, account: Account) -> Listing:
        """Answer `/balance/get`."""
        return Listing(account, "balance", [encode_row(row, "balance") for row in self.world.balance_rows(account)])

    def frauds(self, account: Account, call: FraudCall) -> Listing:
        """Answer `/fraud/list`: newest received first."""
        if not account.risks:
            status = self.behaviour.no_access_status
            raise Refused(status, "You have no access to the list of fraudulent operations")
        now, utc = self.world.now, zone("UTC")
        found = [
            report
            for report in self.world.frauds
            if report.received_on <= now and account.sees(report.project) and _meets(report, call)
        ]
        found.sort(key=lambda report: report.received_on, reverse=True)
        rows: list[EncodedRow] = []
        for report in found[call.offset : call.offset + call.limit]:
            shown = {name: text(report.fields[name], utc, "plain") for name in frauds.TIMES}
            rows.append(encode_row({**report.fields, **shown}))
        return Listing(account, "operations", rows)

    def documents(self, endpoint: str, account: Account, call: DocumentsCall) -> Listing:
        """Answer the endpoints whose formats are made up here."""
        now, world = self.world.now, self.world
        if endpoint == documents.RATES:
            rates = documents.rates(call.start or 0, min(call.end or 0, now))
            return Listing(account, "rates", [encode_row(row, "rates") for row in rates])
        with world.lock:
            if not world.documents.drawn:
                world.documents.draw(state for _, state in world.true_states())
            if endpoint == documents.ONE_CHARGEBACK:
                return self._chargeback(account, call.identifier or "")
            end = now if call.end is None else min(call.end, now)
            found = [item for item in world.documents.between(endpoint, call.start, end) if account.sees(item.project)]
        name = documents.LISTS[endpoint]
        page = found[call.offset : call.offset + (call.limit or len(found))]
        rows = [encode_row(item.shown(), name) for item in page]
        within = (call.start, call.end) if call.start is not None and call.end is not None else None
        return Listing(account, name, rows, within=within)

    def _chargeback(self, account: Account, identifier: str) -> Listing:
        for item in self.world.documents.lists["chargeback/list"]:
            if str(item.fields.get("id")) == identifier and account.sees(item.project) and item.at <= self.world.now:
                shown = item.shown()
                signed = signing.text_to_sign({"chargeback": shown})
                return Listing(account, "chargeback", [(dumps(shown), signed)], single=True)
        raise bad_request(f"There is no chargeback {identifier}")


@dataclass(frozen=True, slots=True)
class _OperationsAnswer:
    """The answer to a request of operations; whoever holds it can see that its interval is long."""

    api: Api
    account: Account
    call: OperationsCall

    def __call__(self) -> Listing:
        return self.api.operations(self.account, self.call)


def is_long(answer: Callable[[], Listing]) -> bool:
    """Tell whether a request is one of those that are answered one by one."""
    return isinstance(answer, _OperationsAnswer) and answer.call.long


def parse_body(raw: bytes) -> dict[str, Any]:
    """Read a request's body: one JSON object."""
    try:
        params = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            params = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise bad_request("The body is not valid JSON") from error
    if not isinstance(params, dict):
        raise bad_request("The body must be a JSON object")
    return params


def body_of(listing: Listing, rows: bytes, signature: str) -> bytes:
    """Give the body of an answer."""
    return b'{"%s":%s,"signature":"%s"}' % (listing.name.encode(), rows, signature.encode())


def _payment_row(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("operation_id", "operation_type", "operation_created_at", "operation_completed_at")
    money = row.get("sum_initial") or {}
    short = {name: row.get(name, "") for name in names}
    short |= {"amount": money.get("amount"), "currency": money.get("currency")}
    return short | {"arn": row.get("arn"), "rrn": row.get("rrn")}


def _meets(report: frauds.Fraud, call: FraudCall) -> bool:
    if call.countries is not None and report.fields["issuer_country"] not in call.countries:
        return False
    return all(start <= report.fields[name] <= end for name, (start, end) in call.between.items())
