"""`metrics`: the warehouse's figures for Prometheus, on a port, in a file for node_exporter, or printed."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from pipelines.alerts.metrics import registry_of, text_of
from pipelines.cli import show
from pipelines.resources import open_warehouse
from resources.errors import ConfigError
from resources.settings import database_url
from resources.warehouse.migrate import check_migrated


def show_metrics(host: str, port: int | None, textfile: Path | None) -> None:
    """Serve the figures until Ctrl-C, write them into a file at once, or print them."""
    if port is not None and textfile is not None:
        raise ConfigError("--port and --textfile exclude each other: give one of them.")
    with open_warehouse(database_url(), read_only=True) as store:
        if port is None:
            check_migrated(store)
            _write(text_of(store), textfile)
            return
        # the server starts with a database that is away too, and says so by ecommpay_up
        from prometheus_client import start_http_server

        try:
            server, thread = start_http_server(port, addr=host, registry=registry_of(store))
        except OSError as error:
            raise ConfigError(f"--port {port} of {host} cannot be listened on: {error.strerror}.") from None
        show.line(f"metrics: http://{host}:{server.server_port}/metrics — stop with Ctrl-C")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.shutdown()
            thread.join()


def _write(text: str, path: Path | None) -> None:
    if path is None:
        show.out.out(text, end="", highlight=False)
        return
    beside = path.with_name(f"{path.name}.{os.getpid()}")  # a reader never meets half a file
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"--textfile {path} cannot be written: {error.strerror}.") from None
