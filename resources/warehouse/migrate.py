"""Applies the numbered files of sql/migrations, each once, in order, notices an edited one; then the reference data.

Safe to run again, and by two processes at once: an advisory lock lets one wait for the other.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, text

import sql
from resources.errors import WarehouseBroken
from resources.settings import ReferenceSettings, reference_settings
from resources.warehouse.engine import Warehouse, run
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
        applied = _apply(connection)
        fill_reference(connection, reference)
    return applied


def pending_migrations(connection: Connection) -> list[Migration]:
    """Return the files that the database does not have yet; only looks.

    Raises:
        WarehouseBroken: an applied file was edited, or the database is newer than this product.
    """
    files, applied = sql.migrations(), {}
    if run(connection, "warehouse/migrate/table"):
        applied = {row.version: row.sha256 for row in run(connection, "warehouse/migrate/applied")}
    _check_history(files, applied)
    return [file for file in files if file[0] not in applied]


def _apply(connection: Connection) -> list[str]:
    if not pending_migrations(connection):
        return []  # without a lock, and without a right to create anything
    run(connection, "warehouse/migrate/lock")
    if not run(connection, "warehouse/migrate/table"):
        run(connection, "warehouse/migrate/create_table")
    pending = pending_migrations(connection)  # another process may have been faster
    for version, name, statements in pending:
        connection.exec_driver_sql(statements)
        connection.execute(
            text(sql.text("warehouse/migrate/record")),
            {"version": version, "name": name, "sha256": fingerprint(statements)},
        )
    return [f"{version:04} {name}" for version, name, _ in pending]


def fingerprint(statements: str) -> str:
    """Return the SHA-256 of a migration, the same whatever line endings a checkout gave it."""
    return hashlib.sha256(statements.replace("\r\n", "\n").encode()).hexdigest()


def _check_history(files: list[Migration], applied: dict[int, str]) -> None:
    known = {version: (name, fingerprint(statements)) for version, name, statements in files}
    for version, digest in sorted(applied.items()):
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
