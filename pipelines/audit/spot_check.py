"""The spot check: payments of a sample, requested by id, are compared with the store; another way than the walk's.

What is compared is what `operations/get-by-payment` gives; comparing is pure, asking and storing stand at the end.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from pipelines.ingest.engine import SyncRequest, sync
from pipelines.ingest.operations import OPERATIONS, SUMS
from pipelines.ingest.privacy import without_body
from pipelines.ingest.schema import SUM_PARTS
from pipelines.ingest.streams import raw_page
from resources.data_api.endpoints import DataApi
from resources.errors import Incomplete
from resources.settings import SyncSettings
from resources.warehouse import ledger
from resources.warehouse.engine import Warehouse, run_many
from resources.warehouse.ledger import Scope
from resources.warehouse.load import add_pages
from resources.warehouse.locks import TokenBudget

STREAM = "spot check"
TEXTS = ("operation_type", "arn", "rrn")
TIMES = ("operation_created_at", "operation_completed_at")
MONEY = frozenset(f"{name}_{part}" for name in SUMS for part in SUM_PARTS)
ROWS_TO_DRAW_FROM = 200_000
QUARTER = timedelta(minutes=15)
WIDEST_ZONE = timedelta(hours=14)
LONGEST_CATCH_UP = timedelta(days=7)
MOST_TEXT = 200  # characters of a value that are kept

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One field of one operation, or (field `""`) a whole operation that is equal."""

    payment_id: str
    operation_id: str
    field: str
    outcome: str
    asked_at: datetime
    stored: str | None = None
    answered: str | None = None

    def __str__(self) -> str:
        return f"operation {self.operation_id}: {self.field} is {self.stored} here and {self.answered} there"


@dataclass
class SpotCheckReport:
    """What the spot check of one night found."""

    run_id: int
    day: date
    payments: int = 0
    comparisons: list[Comparison] = field(default_factory=list)

    def of(self, outcome: str) -> list[Comparison]:
        """Return the comparisons with that outcome."""
        return [item for item in self.comparisons if item.outcome == outcome]


def compare(
    payment_id: str, stored: Sequence[Row], answered: Sequence[Any], asked_at: datetime, fields: Sequence[str] = ()
) -> list[Comparison]:
    """Compare the operations of one payment, stored and as answered, field by field.

    What is not asked for is unknown, not empty: a field counts that both `fields` and the request that brought the
    stored state (`requested_fields` of a row; None: the default block) name.
    """
    unknown = frozenset(_unrequested(fields))
    ours = {row["operation_id"]: row for row in stored}
    theirs = {str(row.get("operation_id")): row for row in answered if isinstance(row, dict)}
    found: list[Comparison] = []
    for operation_id in sorted(ours.keys() | theirs.keys()):
        equal = Comparison(payment_id, operation_id, "", "equal", asked_at)
        different = [
            replace(equal, field=name, outcome="different", stored=here, answered=there)
            for name, here, there in _differences(ours.get(operation_id), theirs.get(operation_id), unknown)
        ]
        found += different or [equal]
    return found


def _unrequested(fields: Sequence[str] | None) -> Sequence[str]:
    return OPERATIONS.unrequested({"fields": fields})


def _differences(
    ours: Row | None, theirs: Row | None, unknown: frozenset[str]
) -> Iterator[tuple[str, str | None, str | None]]:
    if ours is None or theirs is None:
        yield "operation", "stored" if ours else None, "answered" if theirs else None
        return
    unknown |= {*_unrequested(ours.get("requested_fields"))}
    for name in TEXTS:
        if name in theirs and name not in unknown and (ours[name] or "") != _text(theirs[name]):
            yield name, ours[name], _text(theirs[name])
    for name in TIMES:
        if name in theirs and name not in unknown and not same_time(ours[name], theirs[name]):
            yield name, str(ours[name]), _text(theirs[name])
    if "amount" in theirs and not unknown & MONEY and not _same_money(ours, theirs):
        initial = f"{ours['sum_initial_amount']} {ours['sum_initial_currency']}"
        yield "amount", initial, f"{_text(theirs['amount'])} {_text(theirs.get('currency'))}"


def same_time(stored: datetime | None, answered: Any) -> bool:
    """Return whether both are the same moment; without an offset, in whichever time zone the platform may mean.

    `get-by-payment` has no `tz`: without an offset its times are in the zone of the Dashboard user, which a program
    cannot know. Zones lie whole quarter hours from UTC, 14 hours at most.
    """
    if stored is None or answered in (None, ""):
        return stored is None and answered in (None, "")
    try:
        moment = datetime.fromisoformat(str(answered))
    except ValueError:
        return False
    if moment.tzinfo:
        return moment == stored
    apart = moment.replace(tzinfo=UTC) - stored
    return abs(apart) <= WIDEST_ZONE and apart % QUARTER == timedelta(0)


def _same_money(ours: Row, theirs: Row) -> bool:
    """The description does not say which of the two sums it is, so either will do."""
    try:
        amount = None if theirs["amount"] in (None, "") else Decimal(_text(theirs["amount"]))
    except InvalidOperation:
        return False
    money = (amount, theirs.get("currency") or None)
    return money in (
        (ours["sum_initial_amount"], ours["sum_initial_currency"]),
        (ours["sum_converted_amount"], ours["sum_converted_currency"]),
    )


def _text(value: Any) -> str:
    return "" if value is None else str(value).replace("\x00", "\\u0000")[:MOST_TEXT]


def spot_check(
    api: DataApi,
    warehouse: Warehouse,
    settings: SyncSettings,
    day: date,
    sample: int | None = None,
    dagster_run_id: str | None = None,
) -> SpotCheckReport:
    """Request the payments of the day's sample by id, and store how they compare with the store.

    Where something differs it may have changed since it was loaded: then what was finalised after the last walk is
    loaded, and the payment is asked for once more. What may lie in days that were never loaded is no difference.

    Raises:
        Retryable, Permanent: the platform did not answer, or refused.
        WarehouseUnavailable: the database failed.
    """
    account = settings.account
    with (
        api.run(TokenBudget(warehouse, account), settings.requests_in_flight) as run_api,
        ledger.run(warehouse, run_api.counts, account=account, stream=STREAM, dagster_run_id=dagster_run_id) as this,
    ):
        report = SpotCheckReport(this.run_id, day)
        check = _SpotCheck(run_api, warehouse, settings, this.scope)
        check.run(report, settings.spot_check_sample if sample is None else sample)
        different = report.of("different")
        if different:
            this.message = f"{len(different)} differences, the first: {different[0]}"
        return report


@dataclass(frozen=True)
class _SpotCheck:
    api: DataApi
    warehouse: Warehouse
    settings: SyncSettings
    scope: Scope

    def run(self, report: SpotCheckReport, sample: int) -> None:
        """Compare, request again where something differs, and store the outcome."""
        payments = self._sample(report.day, sample)
        report.payments = len(payments)
        found = {payment: self._compare(payment) for payment in payments}
        doubtful = [payment for payment, items in found.items() if any(i.outcome == "different" for i in items)]
        if doubtful:
            with suppress(Incomplete):  # reported by the run of operations itself
                self._load_what_changed()
            for payment in doubtful:
                found[payment] = _explained(found[payment], self._compare(payment))
        report.comparisons = [item for items in found.values() for item in items]
        rows = [
            vars(item) | {"account": self.scope.account, "run_id": self.scope.run_id} for item in report.comparisons
        ]
        with self.warehouse.transaction() as connection:
            run_many(connection, "audit/spot_check/add", rows)

    def _sample(self, day: date, sample: int) -> list[str]:
        (size,) = self.warehouse.query("audit/spot_check/size")
        rows = self.warehouse.query(
            "audit/spot_check/sample",
            account=self.scope.account,
            day=day.isoformat(),
            seed=day.toordinal(),
            percent=100.0 * min(1.0, ROWS_TO_DRAW_FROM / max(1, size.row_count)),
            sample=sample,
        )
        return [row.payment_id for row in rows]

    def _compare(self, payment_id: str) -> list[Comparison]:
        answer = self.api.operations_by_payment(payment_id)
        operations = answer.document["operations"]
        with self.warehouse.transaction() as connection:
            page = without_body(raw_page(answer, len(operations)), self.settings.personal)
            add_pages(connection, self.scope, None, [page])
        rows = self.warehouse.query("audit/spot_check/stored", account=self.scope.account, payment_id=payment_id)
        stored = [row._asdict() for row in rows]
        found = compare(payment_id, stored, operations, answer.requested_at, self.settings.fields)
        times = {str(row.get("operation_id")): row.get("operation_completed_at") for row in operations}
        return [
            replace(item, outcome="not loaded") if self._is_elsewhere(item, times.get(item.operation_id)) else item
            for item in found
        ]

    def _is_elsewhere(self, item: Comparison, completed_at: Any) -> bool:
        """Whether the platform's operation may lie in days that nobody has walked: what changes later moves there."""
        if item.outcome == "equal":
            return False
        is_covered = self._covered(completed_at)
        if item.field == "operation" and item.stored is None:  # one that is not final need not be there
            return not is_covered or not all(is_covered)
        return bool(is_covered) and not any(is_covered)

    def _covered(self, completed_at: Any) -> list[bool]:
        """Return whether all was walked from that moment on, in each zone that may be meant; nothing if not final."""
        try:
            moment = datetime.fromisoformat(str(completed_at))
        except ValueError:
            return []
        shifts = (timedelta(0),) if moment.tzinfo else (-WIDEST_ZONE, timedelta(0), WIDEST_ZONE)
        known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return [
            bool(self.warehouse.query("audit/spot_check/covered", account=self.scope.account, moment=known + shift))
            for shift in shifts
        ]

    def _load_what_changed(self) -> None:
        """Load what was finalised after the last walk, and nothing before: that would only mend what is damaged."""
        today = datetime.now(UTC).date()
        (last,) = self.warehouse.query("audit/spot_check/covered_to", account=self.scope.account)
        first = today if last.covered_to is None else last.covered_to.astimezone(UTC).date()
        request = SyncRequest(min(today, max(first, today - LONGEST_CATCH_UP)), today)
        sync(OPERATIONS, request, self.api, self.warehouse, self.settings)


def _explained(before: Sequence[Comparison], after: Sequence[Comparison]) -> list[Comparison]:
    """Return the second comparison; what differed in the first and is equal now has changed since."""
    differed = {item.operation_id for item in before if item.outcome == "different"}
    return [
        replace(item, outcome="changed since") if item.outcome == "equal" and item.operation_id in differed else item
        for item in after
    ]
