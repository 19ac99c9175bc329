"""The Data API itself: who asks, what for, and the signed answer; HTTP is in app.py, faults in faults.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal

import orjson

from resources.sandbox import documents, signing
from resources.sandbox.documents import Document, Fraud
from resources.sandbox.operations import Query, State, TimeFormat, View
from resources.sandbox.requests import (
    Account,
    Accounts,
    DocumentsCall,
    FraudCall,
    OperationsCall,
    Refused,
    bad_request,
    read_chargeback_id,
    read_nothing,
    read_payment_id,
)
from resources.sandbox.world import World

ENDPOINTS: Final = (*("balance/get", "operations/get", "operations/get-by-payment", "fraud/list"), *documents.ENDPOINTS)
_KEPT_VIEWS: Final = 3
DateHeader = Literal["machine", "world", "none"]

# A row ready to send: its JSON, and its part of the text to sign, without its index. A bare tuple because
# the garbage collector need not look at tuples of bytes, of which there are as many as rows.
EncodedRow = tuple[bytes, bytes]


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
    """The rows of an answer before it is signed; `query` and `within` say what faults may move after it was made.

    `single`: the answer is the one row itself, not a list.
    """

    account: Account
    name: str
    rows: list[EncodedRow]
    query: Query | None = None
    within: tuple[int, int] | None = None
    single: bool = False

    def content(self) -> tuple[bytes, bytes]:
        """Give the JSON of the rows and the text to sign."""
        if self.single:
            return self.rows[0]
        return encode_page(self.rows)

    def body(self, rows: bytes, signature: str) -> bytes:
        """Give the body of the answer."""
        return b'{"%s":%s,"signature":"%s"}' % (self.name.encode(), rows, signature.encode())


@dataclass(frozen=True, slots=True)
class Call:
    """A valid request: `answer` lists what it asks for; those for long intervals are answered one by one."""

    answer: Callable[[], Listing]
    long: bool = False


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

    def read(self, endpoint: str, account: Account, params: Mapping[str, Any]) -> Call:
        """Check a request, and give what answers it."""
        behaviour = self.behaviour
        if endpoint == "operations/get":
            call = OperationsCall.read(params, account, behaviour.time_format, behaviour.no_access_status)
            return Call(lambda: self.operations(account, call), call.long)
        if endpoint == "operations/get-by-payment":
            payment_id = read_payment_id(params)
            return Call(lambda: self.by_payment(account, payment_id))
        if endpoint == "balance/get":
            read_nothing(params)
            return Call(lambda: self.balances(account))
        if endpoint == "fraud/list":
            reports = FraudCall.read(params)
            self._need(account.risks, "the list of fraudulent operations", "Risks")
            return Call(lambda: self.frauds(account, reports))
        return self._read_documents(endpoint, account, params)

    def operations(self, account: Account, call: OperationsCall) -> Listing:
        """Answer `/operations/get`."""
        states = self.world.page(call.query, call.offset, call.limit)
        return Listing(account, "operations", self.cache.rows(states, call.view), call.query)

    def by_payment(self, account: Account, payment_id: str) -> Listing:
        """Answer `/operations/get-by-payment`."""
        view = View(account.time_zone, self.behaviour.time_format)
        rows = [state.row(view) for state in self.world.by_payment(payment_id, account)]
        return Listing(account, "operations", [encode_row(_payment_row(row)) for row in rows])

    def balances(self, account: Account) -> Listing:
        """Answer `/balance/get`."""
        return Listing(account, "balance", [encode_row(row, "balance") for row in self.world.balance_rows(account)])

    def frauds(self, account: Account, call: FraudCall) -> Listing:
        """Answer `/fraud/list`: newest received first."""
        now = self.world.now

        def fulfils(report: Fraud) -> bool:
            if call.countries is not None and report.fields["issuer_country"] not in call.countries:
                return False
            return all(start <= report.fields[name] <= end for name, (start, end) in call.between.items())

        seen = (one for one in self.world.frauds if one.received_on <= now and account.sees(one.project))
        found = sorted(filter(fulfils, seen), key=lambda report: report.received_on, reverse=True)
        page = found[call.offset : call.offset + call.limit]
        return Listing(account, "operations", [encode_row(report.shown()) for report in page])

    def documents(self, endpoint: str, account: Account, call: DocumentsCall) -> Listing:
        """Answer the lists whose formats are made up here: newest first."""
        end = self.world.now if call.end is None else min(call.end, self.world.now)
        found = self._documents(endpoint, account, call.start, end)
        name = documents.LISTS[endpoint]
        rows = [encode_row(item.shown(), name) for item in found[call.offset : call.offset + call.limit]]
        within = (call.start, call.end) if call.start is not None and call.end is not None else None
        return Listing(account, name, rows, within=within)

    def rates(self, account: Account, call: DocumentsCall) -> Listing:
        """Answer `/currency-rates/get`."""
        rows = documents.rates(call.start or 0, min(call.end or 0, self.world.now))
        return Listing(account, "rates", [encode_row(row, "rates") for row in rows])

    def chargeback(self, account: Account, identifier: str) -> Listing:
        """Answer `/chargeback/get`."""
        for item in self._documents(documents.CHARGEBACKS, account, None, self.world.now):
            if str(item.fields.get("id")) == identifier:
                row = item.shown()
                encoded = dumps(row), signing.text_to_sign({"chargeback": row})
                return Listing(account, "chargeback", [encoded], single=True)
        raise bad_request(f"There is no chargeback {identifier}")

    def _read_documents(self, endpoint: str, account: Account, params: Mapping[str, Any]) -> Call:
        if endpoint == documents.ONE_CHARGEBACK:
            identifier = read_chargeback_id(params)
            call = Call(lambda: self.chargeback(account, identifier))
        elif endpoint == documents.RATES:
            period = DocumentsCall.read_rates(params)
            call = Call(lambda: self.rates(account, period))
        else:
            is_report = endpoint == documents.REPORT
            page = DocumentsCall.read_report(params) if is_report else DocumentsCall.read_chargebacks(params)
            call = Call(lambda: self.documents(endpoint, account, page))
        self._need(account.finance, f"/{endpoint}", "Finance")
        return call

    def _need(self, granted: bool, what: str, role: str) -> None:  # noqa: FBT001  a role of an account
        if not granted:
            message = f"You have no access to {what}: it needs the role {role} or Merchant admin"
            raise Refused(self.behaviour.no_access_status, message)

    def _documents(self, endpoint: str, account: Account, start: int | None, end: int) -> list[Document]:
        with self.world.lock:
            if not self.world.documents.drawn:
                self.world.documents.draw(state for _, state in self.world.true_states())
            return [item for item in self.world.documents.between(endpoint, start, end) if account.sees(item.project)]


class RowCache:
    """Encoded rows by view and state, `limit` of a view at most: when it is full, the half that came first goes."""

    def __init__(self, limit: int = 150_000) -> None:
        self._limit = max(2, limit)
        self._views: dict[View, dict[State, EncodedRow]] = {}

    def rows(self, states: Sequence[State], view: View) -> list[EncodedRow]:
        """Give the encoded rows of states, encoding only those not seen lately."""
        if view not in self._views and len(self._views) >= _KEPT_VIEWS:
            del self._views[next(iter(self._views))]
        known = self._views.setdefault(view, {})
        for state in states:
            if state not in known:
                known[state] = encode_row(state.row(view))
        rows = [known[state] for state in states]
        if len(known) >= self._limit:
            for state in list(islice(known, len(known) // 2)):
                del known[state]
        return rows


def encode_row(row: Mapping[str, Any], name: str = "operations") -> EncodedRow:
    """Encode one row of the list `name`."""
    # Copied because orjson leaves its bytes on a buffer of 8 kB, ten times what a row needs.
    return bytes(memoryview(dumps(row))), signing.row_text(name, row)


def encode_page(rows: Sequence[EncodedRow]) -> tuple[bytes, bytes]:
    """Give the JSON of a list of rows and its text to sign."""
    return b"[" + b",".join([row for row, _ in rows]) + b"]", signing.join_rows([text for _, text in rows])


def dumps(value: object) -> bytes:
    """Write JSON; what orjson refuses (integers over 64 bits, lone surrogates) the slow way."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


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


def _payment_row(row: Mapping[str, Any]) -> dict[str, Any]:
    names = ("operation_id", "operation_type", "operation_created_at", "operation_completed_at")
    money = row.get("sum_initial") or {}
    short = {name: row.get(name, "") for name in names}
    short |= {"amount": money.get("amount"), "currency": money.get("currency")}
    return short | {"arn": row.get("arn"), "rrn": row.get("rrn")}
