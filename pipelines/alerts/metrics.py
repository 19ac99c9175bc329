"""Figures of the warehouse in Prometheus' text format; how they are served is in `pipelines.cli.admin`.

All come from the database when they are asked for, so that it does not matter which process did the work.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from resources.errors import SyncError
from resources.warehouse.engine import Warehouse

PREFIX = "ecommpay_"
WRITTEN = ("new", "changed", "unchanged", "rejected")


class WarehouseCollector:
    """Reads the figures at each scrape; a database that is away shows as `ecommpay_up 0`."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every figure, or that there are none."""
        try:
            found = [*self._requests(), *self._windows(), *self._runs(), *self._freshness(), *self._states()]
        except SyncError:
            yield GaugeMetricFamily(f"{PREFIX}up", "1: the warehouse answers", value=0)
            return
        yield GaugeMetricFamily(f"{PREFIX}up", "1: the warehouse answers", value=1)
        yield from found

    def _requests(self) -> Iterator[Metric]:
        labels = ["account", "endpoint", "status"]
        sent = CounterMetricFamily(
            f"{PREFIX}requests", "HTTP requests to the Data API; status 0: no whole answer", labels=labels
        )
        repeated = CounterMetricFamily(f"{PREFIX}request_retries", "Requests that repeated a failed one", labels=labels)
        for row in self.warehouse.query("alerts/metrics/requests"):
            values = [row.account, row.endpoint, str(row.status)]
            sent.add_metric(values, row.requests)
            repeated.add_metric(values, row.retries)
        yield sent
        yield repeated
        found = GaugeMetricFamily(
            f"{PREFIX}requests_in_flight_limit", "Requests of the token in flight that go well", labels=["account"]
        )
        for row in self.warehouse.query("alerts/metrics/requests_in_flight"):
            found.add_metric([row.account], row.in_flight_limit)
        yield found

    def _windows(self) -> Iterator[Metric]:
        verdicts = CounterMetricFamily(
            f"{PREFIX}windows", "Windows walked, by verdict", labels=["account", "stream", "verdict"]
        )
        rows = CounterMetricFamily(
            f"{PREFIX}rows", "Rows met, by what became of them", labels=["account", "stream", "outcome"]
        )
        for row in self.warehouse.query("alerts/metrics/windows"):
            verdicts.add_metric([row.account, row.stream, row.verdict], row.windows)
            if row.verdict == "complete":  # of an incomplete window no row is loaded
                for outcome in WRITTEN:
                    rows.add_metric([row.account, row.stream, outcome], getattr(row, f"rows_{outcome}"))
        yield verdicts
        yield rows

    def _runs(self) -> Iterator[Metric]:
        labels = ["account", "stream", "state"]
        runs = CounterMetricFamily(f"{PREFIX}runs", "Runs, by how they ended", labels=labels)
        last = GaugeMetricFamily(
            f"{PREFIX}run_finished_timestamp_seconds", "When the last run of this kind ended", labels=labels
        )
        for row in self.warehouse.query("alerts/metrics/runs"):
            runs.add_metric([row.account, row.stream, row.state], row.runs)
            if row.last_finished_at:
                last.add_metric([row.account, row.stream, row.state], row.last_finished_at.timestamp())
        yield runs
        yield last

    def _freshness(self) -> Iterator[Metric]:
        covered = GaugeMetricFamily(
            f"{PREFIX}covered_to_timestamp_seconds",
            "The newest second shown complete: now minus this is the freshness",
            labels=["account", "stream"],
        )
        for row in self.warehouse.query("alerts/metrics/coverage"):
            covered.add_metric([row.account, row.stream], row.covered_to.timestamp())
        yield covered
        new = GaugeMetricFamily(f"{PREFIX}night_rows_new", "Operations the last night met first", labels=["account"])
        late = GaugeMetricFamily(
            f"{PREFIX}night_rows_late", "Of these, completed more than 48 hours before", labels=["account"]
        )
        for row in self.warehouse.query("alerts/metrics/nights"):
            new.add_metric([row.account], row.rows_new)
            late.add_metric([row.account], row.rows_late)
        yield new
        yield late

    def _states(self) -> Iterator[Metric]:
        rejects = GaugeMetricFamily(
            f"{PREFIX}rejects", "Rows that could not be typed: core.rejects", labels=["account", "stream"]
        )
        for row in self.warehouse.query("alerts/metrics/rejects"):
            rejects.add_metric([row.account, row.stream], row.rejects)
        yield rejects
        alerts = GaugeMetricFamily(f"{PREFIX}alerts_open", "Alerts whose cause stands", labels=["account", "kind"])
        for row in self.warehouse.query("alerts/metrics/alerts"):
            alerts.add_metric([row.account, row.kind], row.open)
        yield alerts


def registry_of(warehouse: Warehouse) -> CollectorRegistry:
    """Return a registry that holds the warehouse's figures and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WarehouseCollector(warehouse))
    return registry


def text_of(warehouse: Warehouse) -> str:
    """Return the figures in Prometheus' text format."""
    return generate_latest(registry_of(warehouse)).decode()
