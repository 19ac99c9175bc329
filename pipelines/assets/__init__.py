"""Dagster assets, one module a group, thin over the work of `pipelines`; here is what all of them have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from pipelines.accounts import AccountScope
from resources.data_api.errors import Permanent
from resources.errors import ConfigError, SyncError, WarehouseBroken
from resources.warehouse.engine import Warehouse

EXIT_CODE = "exit_code"


def asset_spec(
    scope: AccountScope,
    *path: str,
    group: str,
    description: str,
    table: str | None = None,
    deps: Iterable[tuple[str, ...]] = (),
    kinds: Iterable[str] = ("postgres",),
    **others: Any,
) -> dg.AssetSpec:
    """Return the spec of an account's asset; `deps` are paths of the account's other assets."""
    return dg.AssetSpec(
        scope.key(*path),
        group_name=scope.group(group),
        description=description,
        deps=[dg.AssetKey(scope.key(*dep)) for dep in deps],
        kinds=set(kinds),
        tags={"account": scope.account},
        metadata={"dagster/table_name": table} if table else None,
        **others,
    )


def column_schema(store: Warehouse, table: str) -> dict[str, dg.TableSchema]:
    """Return the columns of a table with their types and comments, as Dagster shows them."""
    columns = [
        dg.TableColumn(row.name, row.type, row.comment, dg.TableColumnConstraints(nullable=not row.is_required))
        for row in store.query("metadata/columns", table=table)
    ]
    return {"dagster/column_schema": dg.TableSchema(columns)}


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Let a `SyncError` end the step as a `Failure`: one line, its kind, whether a retry can help, the exit code."""
    try:
        yield
    except SyncError as error:
        raise dg.Failure(
            description=str(error),
            metadata={EXIT_CODE: error.exit_code, "kind": error.kind},
            allow_retries=not isinstance(error, Permanent | ConfigError | WarehouseBroken),
        ) from None
