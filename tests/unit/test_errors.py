"""The kinds of errors, which the ledger keeps and alerts go by: names that other programs rely on."""

from __future__ import annotations

import pytest
import sqlalchemy
from sqlalchemy.exc import OperationalError

from pipelines.cli.accounts import explained
from resources.data_api import errors as api_errors
from resources.errors import ConfigError, Failed, Incomplete, Stopped, WarehouseBroken, WarehouseUnavailable, kind_of

KINDS = {
    ConfigError: "config",
    Incomplete: "incomplete",
    Stopped: "interrupted",
    WarehouseUnavailable: "warehouse_unavailable",
    WarehouseBroken: "warehouse_broken",
    api_errors.Unreachable: "unavailable",
    api_errors.ServerError: "unavailable",
    api_errors.RateLimited: "rate_limited",
    api_errors.BrokenBody: "broken_body",
    api_errors.BadSignature: "bad_signature",
    api_errors.Unauthorized: "unauthorized",
    api_errors.Forbidden: "forbidden",
    api_errors.BadRequest: "bad_request",
    api_errors.UnexpectedShape: "unexpected_shape",
    api_errors.Aborted: "interrupted",
    api_errors.BodyTooLarge: "body_too_large",
    api_errors.Untrusted: "untrusted",
    api_errors.ClocksApart: "clocks_apart",
    api_errors.Redirected: "redirected",
    KeyboardInterrupt: "interrupted",
    SystemExit: "interrupted",
    ValueError: "unexpected",
    OSError: "unexpected",
}


@pytest.mark.parametrize("error", KINDS, ids=lambda error: error.__name__)
def test_an_error_keeps_its_kind(error):
    assert kind_of(error("anything")) == KINDS[error]


def test_work_of_several_parts_that_failed_is_of_no_kind_of_theirs():
    assert kind_of(Failed("two of three", 2)) == "failed"


SQLITE = {
    "no space left on device: make room there": (
        "?uri=true",
        "PRAGMA max_page_count = 2",
        "INSERT INTO t VALUES (zeroblob(99999))",
    ),
    "permission denied: let this user write there": ("?mode=ro&uri=true", "SELECT 1", "INSERT INTO t VALUES ('x')"),
    "unexpected: OperationalError": ("?uri=true", "SELECT 1", "SELECT 'no space left on device' FROM nowhere"),
}


@pytest.mark.parametrize("said", SQLITE)
def test_what_the_machine_refuses_dagsters_sqlite_files_is_known_by_its_code(tmp_path, monkeypatch, said):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with sqlalchemy.create_engine(f"sqlite:///{tmp_path}/runs.db").begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (c)")
    options, setting, statement = SQLITE[said]
    engine = sqlalchemy.create_engine(f"sqlite:///file:{tmp_path}/runs.db{options}")
    with engine.connect() as connection:
        connection.exec_driver_sql(setting)
        with pytest.raises(OperationalError) as error:
            connection.exec_driver_sql(statement)
    message, exit_code = explained(error.value)
    assert said in message
    assert (str(tmp_path) in message, exit_code) == (not said.startswith("unexpected"), 1)
