"""One database serves all tests of a module here, emptied before each; an example of a property has its own account."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from fixtures.load import TABLES
from resources.warehouse.engine import Warehouse


@pytest.fixture(scope="module")
def database_url(server_url, template):
    name = Identifier(f"ecommpay_test_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(name, Identifier(template)))
        yield make_conninfo(server_url, dbname=name.as_string().strip('"'))
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def store(database_url):
    with Warehouse(database_url) as warehouse:
        with warehouse.transaction() as connection:
            for table in (*TABLES, "core.fraud_reports", "core.fraud_report_versions", "sync.requests", "sync.runs"):
                connection.exec_driver_sql(f"DELETE FROM {table}")
        yield warehouse
