"""The storage that deploy/dagster.yaml names: a database of its own, reached over TCP."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, contextmanager, suppress

import pytest
from psycopg.conninfo import conninfo_to_dict


@pytest.fixture
def dagster_storage(empty_url):
    """The environment that deploy/dagster.yaml reads, for a database of its own."""
    parts = conninfo_to_dict(empty_url)
    with ExitStack() as stack:
        host, port = parts.get("host", "127.0.0.1"), int(parts.get("port", 5432))
        if host.startswith("/"):  # Dagster speaks TCP only
            host, port = "127.0.0.1", stack.enter_context(forwarded(f"{host}/.s.PGSQL.{port}"))
        yield {
            "DAGSTER_PG_HOST": host,
            "DAGSTER_PG_PORT": str(port),
            "DAGSTER_PG_USER": parts.get("user") or "postgres",
            "DAGSTER_PG_PASSWORD": parts.get("password") or "unused",
            "DAGSTER_PG_DB": parts["dbname"],
        }


@contextmanager
def forwarded(path: str):
    """Yield a port of 127.0.0.1 that leads to a Unix socket."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def pump(source, target):
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()

    def accept():
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
