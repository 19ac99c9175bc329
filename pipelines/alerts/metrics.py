"""Figures of the warehouse in Prometheus' text format; how they are served is in `pipelines.cli.admin`.

All come from the database when they are asked for, so that it does not matter which process did the work.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from resources.errors import SyncError
from resources.warehouse.engine import Warehouse

PREFIX = "ecommpay_"
COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily


@dataclass(frozen=True)
class Figure:
    """A figure as Prometheus shows it; its labels and its value are columns of a statement's rows."""

    family: type[CounterMetricFamily | GaugeMetricFamily]
    name: str
    text: str
    labels: tuple[str, ...]
    value: str


ACCOUNT, STREAM = ("account",), ("account", "stream")
REQUEST, RUN = ("account", "endpoint", "status"), (*STREAM, "state")
FIGURES = {  # by their statement
    "alerts/metrics/requests": (
        Figure(COUNTER, "requests", "HTTP requests to the Data API; status 0: no whole answer", REQUEST, "requests"),
        Figure(COUNTER, "request_retries", "Requests that repeated a failed one", REQUEST, "retries"),
    ),
    "alerts/metrics/requests_in_flight": (
        Figure(GAUGE, "requests_in_flight_limit", "Requests of the token in flight that go well", ACCOUNT, "most"),
    ),
    "alerts/metrics/windows": (
        Figure(COUNTER, "windows", "Windows walked, by verdict", (*STREAM, "verdict"), "windows"),
    ),
    "alerts/metrics/rows": (Figure(COUNTER, "rows", "Rows met, by what became of them", (*STREAM, "outcome"), "rows"),),
    "alerts/metrics/runs": (
        Figure(COUNTER, "runs", "Runs, by how they ended", RUN, "runs"),
        Figure(GAUGE, "run_finished_timestamp_seconds", "When the last run of this kind ended", RUN, "finished_at"),
    ),
    "alerts/metrics/coverage": (
        Figure(
            GAUGE,
            "covered_to_timestamp_seconds",
            "The newest second shown complete: now minus this is the freshness",
            STREAM,
            "covered_to",
        ),
    ),
    "alerts/metrics/nights": (
        Figure(GAUGE, "night_rows_new", "Operations the last night met first", ACCOUNT, "rows_new"),
        Figure(GAUGE, "night_rows_late", "Of these, completed more than 48 hours before", ACCOUNT, "rows_late"),
    ),
    "alerts/metrics/rejects": (
        Figure(GAUGE, "rejects", "Rows that could not be typed: core.rejects", STREAM, "rejects"),
    ),
    "alerts/metrics/alerts": (Figure(GAUGE, "alerts_open", "Alerts whose cause stands", (*ACCOUNT, "kind"), "open"),),
}


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
            rows = {statement: self.warehouse.query(statement) for statement in FIGURES}
        except SyncError:
            rows = {}
        yield GAUGE(f"{PREFIX}up", "1: the warehouse answers", value=int(bool(rows)))
        for statement, found in rows.items():
            for figure in FIGURES[statement]:
                metric = figure.family(PREFIX + figure.name, figure.text, labels=figure.labels)
                for row in found:
                    value = getattr(row, figure.value)
                    if value is not None:
                        labels = [str(getattr(row, name)) for name in figure.labels]
                        metric.add_metric(labels, value.timestamp() if isinstance(value, datetime) else value)
                yield metric


def registry_of(warehouse: Warehouse) -> CollectorRegistry:
    """Return a registry that holds the warehouse's figures and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WarehouseCollector(warehouse))
    return registry


def text_of(warehouse: Warehouse) -> str:
    """Return the figures in Prometheus' text format."""
    return generate_latest(registry_of(warehouse)).decode()
