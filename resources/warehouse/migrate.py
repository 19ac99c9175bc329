"""Applies the numbered files of sql/migrations, each once, in order, notices an edited one; then the reference data.

Safe to run again, and by two processes at once: an advisory lock lets one wait for the other.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, text

import sql
from resources.errors import WarehouseBroken
from resources.settings import ReferenceSettings, reference_settings
from resources.warehouse.engine import OLDEST_SERVER, Warehouse, run
from resources.warehouse.reference import fill_reference

Migration = tuple[int, str, str]


def migrate(warehouse: Warehouse, reference: ReferenceSettings | None = None) -> list[str]:
    """Bring the database to this version of the product; return the names of the files applied now.

    Currencies and settings of the database follow `reference` (None: the environment) in the same transaction.

    Raises:
        ConfigError: a setting of the reference data is malformed, or unknown to the server.
        WarehouseBroken: an applied file was edited, the database is newer than this product, or the server
            is older than PostgreSQL 14. Nothing has been applied then.
        WarehouseUnavailable: no connection.
    """
    reference = reference_settings() if reference is None else reference
    with warehouse.transaction() as connection:
        _check_server(connection)
        run(connection, "warehouse/migrate/lock")
        run(connection, "warehouse/migrate/create_table")
        applied = {row.version: (row.name, row.sha256) for row in run(connection, "warehouse/migrate/applied")}
        files = sql.migrations()
        _check_history(files, applied)
        pending = [file for file in files if file[0] not in applied]
        for version, name, statements in pending:
            connection.exec_driver_sql(statements)
            connection.execute(
                text(sql.text("warehouse/migrate/record")),
                {"version": version, "name": name, "sha256": fingerprint(statements)},
            )
        fill_reference(connection, reference)
        return [f"{version:04} {name}" for version, name, _ in pending]


def fingerprint(statements: str) -> str:
    """Return the SHA-256 of a migration, the same whatever line endings a checkout gave it."""
    return hashlib.sha256(statements.replace("\r\n", "\n").encode()).hexdigest()


def _check_server(connection: Connection) -> None:
    version = int(connection.exec_driver_sql("SHOW server_version_num").scalar_one())
    if version < OLDEST_SERVER:
        raise WarehouseBroken(f"this server is PostgreSQL {version // 10000}; 14 or newer is needed.")


def _check_history(files: list[Migration], applied: dict[int, tuple[str, str]]) -> None:
    known = {version: (name, fingerprint(statements)) for version, name, statements in files}
    for version, (applied_name, digest) in sorted(applied.items()):
        if version in known and applied_name != known[version][0]:
            raise WarehouseBroken(
                f"the database was made before the first release (migration {version:04} {applied_name}): load into an "
                "empty database; raw pages of the old one are not carried over."
            )
        if version not in known:
            raise WarehouseBroken(
                f"the database has migration {version:04}, which this version of ecommpay-sync does not know: "
                "install the version that made it, or a newer one."
            )
        name, expected = known[version]
        if digest != expected:
            raise WarehouseBroken(
                f"sql/migrations/{version:04}_{name}.sql was edited after it was applied: restore the file and "
                "put the change into a new migration."
            )
