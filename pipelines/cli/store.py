"""The warehouse as a command opens it: the one of the settings, brought to this version of the product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.money import exponents_by
from pipelines.resources import open_warehouse
from resources.settings import ReferenceSettings, database_url
from resources.warehouse.migrate import check_migrated, migrate
from resources.warehouse.reference import exponents_in_force

if TYPE_CHECKING:
    from resources.warehouse.engine import Warehouse


@contextmanager
def migrated_store(reference: ReferenceSettings | None = None) -> Iterator[Warehouse]:
    """Yield the warehouse, migrated, and close it; its settings become `reference`, where that is given.

    Raises:
        ConfigError: a setting of the database is malformed, or differs from the warehouse's.
        WarehouseUnavailable, WarehouseBroken: it cannot be reached or migrated.
    """
    with open_warehouse(database_url()) as store:
        migrate(store, reference)
        with exponents_by(exponents_in_force(store)):
            yield store


@contextmanager
def reading_store() -> Iterator[Warehouse]:
    """Yield the warehouse for a command that only reads: nothing is written, not even by a migration.

    Raises:
        ConfigError: a setting of the database is malformed, or differs from the warehouse's.
        WarehouseUnavailable, WarehouseBroken: it cannot be reached, or is not migrated.
    """
    with open_warehouse(database_url(), read_only=True) as store:
        check_migrated(store)
        with exponents_by(exponents_in_force(store)):
            yield store
