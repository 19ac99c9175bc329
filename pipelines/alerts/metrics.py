"""Figures of the warehouse in Prometheus' text format; how they are served is in `pipelines.cli.admin`.

All come from the database when they are asked for, so that it does not matter which process did the work.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from resources.errors import SyncError
from resources.warehouse.engine import Warehouse

PREFIX = "ecommpay_"
COUNTER, GAUGE = CounterMetricFamily, GaugeMetricFamily
# by statement and column; the other columns of a statement are the labels
FIGURES: dict[str, dict[str, tuple[type[CounterMetricFamily | GaugeMetricFamily], str]]] = {
    "alerts/metrics/requests": {
        "requests": (COUNTER, "HTTP requests to the Data API; status 0: no whole answer"),
        "request_retries": (COUNTER, "Requests that repeated a failed one"),
    },
    "alerts/metrics/requests_in_flight": {
        "requests_in_flight_limit": (GAUGE, "Requests of the token in flight that go well"),
    },
    "alerts/metrics/windows": {"windows": (COUNTER, "Windows walked, by verdict")},
    "alerts/metrics/rows": {"rows": (COUNTER, "Rows met, by what became of them")},
    "alerts/metrics/runs": {
        "runs": (COUNTER, "Runs, by how they ended"),
        "run_finished_timestamp_seconds": (GAUGE, "When the last run of this kind ended"),
    },
    "alerts/metrics/coverage": {
        "covered_to_timestamp_seconds": (GAUGE, "The newest second shown complete: now minus this is the freshness"),
    },
    "alerts/metrics/nights": {
        "night_rows_new": (GAUGE, "Operations the last night met first"),
        "night_rows_late": (GAUGE, "Of these, completed more than 48 hours before"),
    },
    "alerts/metrics/rejects": {"rejects": (GAUGE, "Rows that could not be typed: core.rejects")},
    "alerts/metrics/alerts": {"alerts_open": (GAUGE, "Alerts whose cause stands")},
}


class WarehouseCollector:
    """Reads the figures at each scrape; a database that is away shows as `ecommpay_up 0`."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def collect(self) -> Iterator[Metric]:
        """Yield every figure, or that there are none."""
        try:
            rows = {statement: self.warehouse.query(statement) for statement in FIGURES}
        except SyncError:
            rows = {}
        yield GAUGE(f"{PREFIX}up", "1: the warehouse answers", value=int(bool(rows)))
        for statement, found in rows.items():
            figures = FIGURES[statement]
            labels = [name for name in found[0]._fields if name not in figures] if found else []
            for name, (family, text) in figures.items():
                metric = family(PREFIX + name, text, labels=labels)
                for row in found:
                    value = getattr(row, name)
                    if value is not None:
                        named = [str(getattr(row, label)) for label in labels]
                        metric.add_metric(named, value.timestamp() if isinstance(value, datetime) else value)
                yield metric


def registry_of(warehouse: Warehouse) -> CollectorRegistry:
    """Return a registry that holds the warehouse's figures and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WarehouseCollector(warehouse))
    return registry


def text_of(warehouse: Warehouse) -> str:
    """Return the figures in Prometheus' text format."""
    return generate_latest(registry_of(warehouse)).decode()
