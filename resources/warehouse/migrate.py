"""Applies the numbered files of sql/migrations, each once, in order, notices an edited one; then the reference data.

Safe to run again, and by two processes at once: an advisory lock lets one wait for the other.
"""

import hashlib

from sqlalchemy import Connection, text

import sql
from resources.errors import WarehouseBroken
from resources.settings import ReferenceSettings
from resources.warehouse.engine import Warehouse, run
from resources.warehouse.reference import check_settings, fill_reference, settle_settings

Migration = tuple[int, str, str]


class NotMigrated(WarehouseBroken):
    """The database waits for migrations, and the command only reads; `is_empty`: it never had any."""

    exit_code = 2

    def __init__(self, message: str, *, is_empty: bool) -> None:
        super().__init__(message)
        self.is_empty = is_empty


def migrate(
    warehouse: Warehouse,
    reference: ReferenceSettings | None = None,
    *,
    loads: bool = False,
    changes_settings: bool = False,
) -> list[str]:
    """Bring the database to this version of the product; return the names of the files applied now.

    Settings that belong to the warehouse are compared with the environment's in the same transaction, more of them
    where the process `loads`, none where it `changes_settings`; or they are made `reference`, where that is given.

    Raises:
        ConfigError: a setting is malformed, unknown to the server, or differs from the warehouse's.
        WarehouseBroken: an applied file was edited, the database is newer than this product, or the server
            is older than PostgreSQL 14. Nothing has been applied then.
        WarehouseUnavailable: no connection.
    """
    with warehouse.transaction() as connection:
        applied = _apply(connection)
        if changes_settings:
            pass  # by `apply_settings`, next
        elif reference is None:
            settle_settings(connection, warehouse.place(), loads=loads)
        else:
            fill_reference(connection, reference)
    return applied


def check_migrated(warehouse: Warehouse) -> None:
    """Only look whether the database fits this version of the product, and its settings this process.

    Raises:
        ConfigError: a setting differs from the warehouse's.
        NotMigrated: migrations are pending.
        WarehouseBroken: an applied file was edited, or the database is newer than this product.
    """
    with warehouse.transaction() as connection:
        pending = pending_migrations(connection)
        if pending:
            raise NotMigrated(
                f"{len(pending)} migrations are pending in {warehouse.place()}, the first {pending[0][0]:04} "
                f"{pending[0][1]}: run `ecommpay-sync marts`, or load days, which applies them.",
                is_empty=len(pending) == len(sql.migrations()),
            )
        check_settings(connection, warehouse.place())


def is_migrated(warehouse: Warehouse) -> bool:
    """Whether no migration is pending; only looks.

    Raises:
        WarehouseBroken: an applied file was edited, or the database is newer than this product.
    """
    with warehouse.transaction() as connection:
        return not pending_migrations(connection)


def pending_migrations(connection: Connection) -> list[Migration]:
    """Return the files that the database does not have yet; only looks.

    Raises:
        WarehouseBroken: an applied file was edited, or the database is newer than this product.
    """
    files, applied = sql.migrations(), {}
    if run(connection, "warehouse/migrate/table"):
        applied = {row.version: (row.name, row.sha256) for row in run(connection, "warehouse/migrate/applied")}
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
