"""The warehouse as a command opens it: the one of the settings, brought to this version of the product."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.resources import open_warehouse
from resources.settings import ReferenceSettings, database_url
from resources.warehouse.migrate import migrate

if TYPE_CHECKING:
    from resources.warehouse.engine import Warehouse


@contextmanager
def migrated_store(reference: ReferenceSettings | None = None) -> Iterator[Warehouse]:
    """Yield the warehouse, migrated, and close it; its reference data follows `reference` (None: the environment).

    Raises:
        ConfigError: a setting of the database, or of the reference data, is malformed.
        WarehouseUnavailable, WarehouseBroken: it cannot be reached or migrated.
    """
    with open_warehouse(database_url()) as store:
        migrate(store, reference)
        yield store
