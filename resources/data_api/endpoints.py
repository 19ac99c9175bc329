"""The endpoints of the Data API and their parameters; facts from the platform's public documentation.

Each method returns the verified `Answer`; its rows are typed in `pipelines.ingest.normalize`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.data_api.client import Answer, Client
from resources.data_api.clock import TOLERANCE
from resources.data_api.errors import ClocksApart
from resources.data_api.pace import MOST, Caller, RequestCounts, SharedRateLimit

LARGEST_LIMIT = 1000
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


class DataApi:
    """The platform's endpoints over one `Client`, for one caller; each run is a caller of its own."""

    def __init__(self, client: Client, caller: Caller | None = None) -> None:
        self.client = client
        self._caller = caller or Caller()

    @contextmanager
    def run(self, shared: SharedRateLimit | None = None, most_in_flight: int = MOST) -> Iterator[DataApi]:
        """Yield the API of a run: with counts of its own, stopped alone, its clock compared with the platform's.

        `shared` is where processes of the same token tell each other to wait, and share `most_in_flight` requests.

        Raises:
            ClocksApart: at the first answer, our clock is more than a minute off.
        """
        caller = Caller(shared=shared, most_in_flight=most_in_flight, is_run=True)
        try:
            yield DataApi(self.client, caller)
        finally:
            self.client.pace.leave(caller)

    @property
    def counts(self) -> RequestCounts:
        """The requests of this caller that have ended."""
        return self._caller.counts

    def stop(self) -> None:
        """End this caller's requests and let none start again: its workers get `Aborted`."""
        self.client.stop(self._caller)

    def last_second_over(self, last: datetime) -> datetime:
        """Return `last`, or the last second that is over at the platform if that is earlier.

        What is long over by our clock needs no request: the first answer refuses a clock that is so far off.
        """
        if last < datetime.now(UTC) - timedelta(seconds=2 * TOLERANCE):
            return last
        return min(last, self.now().replace(microsecond=0) - timedelta(seconds=1))

    def assert_over(self, last: datetime) -> None:
        """Refuse what was believed to be over by a clock of ours that has jumped since.

        Raises:
            ClocksApart: `last` has not happened at the platform.
        """
        clock = self.client.clock
        if clock.is_known and last > clock.at(clock.instant()):
            raise ClocksApart(
                f"{last:%Y-%m-%d %H:%M:%S} UTC is not over at the platform, and was by our clock, which jumped: "
                "keep it by NTP, and run the same command again."
            )

    def now(self) -> datetime:
        """Return the platform's time, never ahead of it; where no answer has told it yet, one operation is asked for.

        Raises:
            Retryable, Permanent: the platform did not answer, or refused.
        """
        if not self.client.clock.is_known:
            yesterday = datetime.now(UTC) - timedelta(days=1)
            self.operations(yesterday, yesterday, offset=0, limit=1)
        return self.client.clock.now()

    def balances(self) -> Answer:
        """`balance/get`: the current state of the OUT balances, under `balance`."""
        return self._call("balance/get", {}, expect="balance")

    def operations(
        self,
        first: datetime,
        last: datetime,
        *,
        offset: int,
        limit: int = LARGEST_LIMIT,
        project_ids: Sequence[int] = (),
        fields: Sequence[str] = (),
    ) -> Answer:
        """`operations/get`: one page of the operations whose latest action lies in `first` … `last`.

        Both ends are included, whole seconds; `tz` is always sent, because without it the interval is read in
        the time zone of the Dashboard user, which a program cannot know. No `project_ids`: every project that
        the token may see. No `fields`: the documentation's default block.
        """
        parameters: dict[str, Any] = {
            "interval": {"from": utc_text(first), "to": utc_text(last)},
            "tz": "UTC",
            "limit": limit,
            "offset": offset,
        }
        if project_ids:
            parameters["project_id"] = list(project_ids)
        if fields:
            parameters["fields"] = list(fields)
        return self._call("operations/get", parameters, expect="operations", offset=offset)

    def operations_by_payment(self, payment_id: str) -> Answer:
        """`operations/get-by-payment`: the operations of one payment; `amount` is in minor units."""
        return self._call("operations/get-by-payment", {"payment_id": payment_id}, expect="operations")

    def fraud(self, first: datetime, last: datetime, *, offset: int, limit: int = LARGEST_LIMIT) -> Answer:
        """`fraud/list`: one page of the reports received in `first` … `last`; amounts are in major units."""
        parameters = {
            "filter": {"received_on": [utc_text(first), utc_text(last)]},
            "pagination": {"limit": limit, "offset": offset},
        }
        return self._call("fraud/list", parameters, expect="operations", offset=offset)

    def documents(self, endpoint: str, parameters: Mapping[str, Any]) -> Answer:
        """Any endpoint, with parameters as configured: the answer is proved, its content is not described to us."""
        return self._call(endpoint, parameters, expect=None)

    def _call(self, endpoint: str, parameters: Mapping[str, Any], expect: str | None, offset: int = 0) -> Answer:
        return self.client.call(endpoint, parameters, expect=expect, caller=self._caller, offset=offset)


def utc_text(moment: datetime) -> str:
    """Return a moment as the API reads it, in UTC."""
    return moment.astimezone(UTC).strftime(TIME_FORMAT)
