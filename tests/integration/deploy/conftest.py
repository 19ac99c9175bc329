"""The storage that deploy/dagster.yaml names: a database of its own, reached over TCP."""

from __future__ import annotations

import pytest
from psycopg.conninfo import conninfo_to_dict

from fixtures.deploy import gate_to


@pytest.fixture
def storage_gate(empty_url):
    """The way to the server of Dagster's storage: TCP, since Dagster speaks nothing else."""
    parts = conninfo_to_dict(empty_url)
    host, port = parts.get("host", "127.0.0.1"), int(parts.get("port", 5432))
    with gate_to(f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)) as gate:
        yield gate


@pytest.fixture
def dagster_storage(empty_url, storage_gate):
    """The environment that deploy/dagster.yaml reads, for a database of its own."""
    parts = conninfo_to_dict(empty_url)
    return {
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_PORT": str(storage_gate.port),
        "DAGSTER_PG_USER": parts.get("user") or "postgres",
        "DAGSTER_PG_PASSWORD": parts.get("password") or "unused",
        "DAGSTER_PG_DB": parts["dbname"],
    }
