"""Dagster assets, thin over the work of `pipelines`; here is what all of them have in common."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import dagster as dg

from resources.accounts import AccountScope
from resources.data_api.errors import Permanent
from resources.errors import ConfigError, SyncError, WarehouseBroken
from resources.values import next_due
from resources.warehouse.engine import Warehouse

EXIT_CODE = "exit_code"
PLATFORM = ("data_api",)  # the platform itself, upstream of all that is asked of it


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
        tags={**dict(scope.settings.asset_tags), "account": scope.account},
        owners=scope.settings.asset_owners,
        metadata={"dagster/table_name": table} if table else None,
        **others,
    )


def platform_asset(scope: AccountScope) -> dg.AssetSpec:
    """Return the external asset that stands for the platform's Data API, as the account's token sees it."""
    return asset_spec(
        scope,
        *PLATFORM,
        group="platform",
        description="The platform's Data API as this account's token sees it; nothing here materializes it.",
        kinds=("api",),
    )


def nightly_freshness(scope: AccountScope) -> dg.FreshnessPolicy:
    """Return the policy of what every night makes."""
    return fresh_within(scope, scope.settings.nightly_cron, timedelta(hours=6))


def fresh_within(scope: AccountScope, cron: str, grace: timedelta) -> dg.FreshnessPolicy:
    """Return the policy of an asset that a schedule makes: it fails `grace` after the longest wait between two ticks.

    It warns after half of the grace.
    """
    longest = _longest_wait(cron, scope.settings.schedule_time_zone)
    return dg.FreshnessPolicy.time_window(fail_window=longest + grace, warn_window=longest + grace / 2)


@cache
def _longest_wait(cron: str, zone: str) -> timedelta:
    """Return the longest wait of twenty ticks from the beginning of 2026 on, which does not change from day to day."""
    ticks = [datetime(2026, 1, 1, tzinfo=UTC)]
    while len(ticks) <= 20 and (tick := next_due(cron, zone, ticks[-1])):
        ticks.append(tick)
    return max((after - before for before, after in pairwise(ticks[1:])), default=timedelta(days=366))


def column_schema(store: Warehouse, table: str) -> dict[str, dg.TableSchema]:
    """Return the columns of a table with their types and comments, as Dagster shows them."""
    columns = [
        dg.TableColumn(row.name, row.type, row.comment, dg.TableColumnConstraints(nullable=not row.is_required))
        for row in store.query("metadata/columns", table=table)
    ]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def materialized(spec: dg.AssetSpec, store: Warehouse, **metadata: Any) -> dg.MaterializeResult[None]:
    """Return the result of an asset: what it says of this run, and the columns of its table."""
    columns = column_schema(store, spec.metadata["dagster/table_name"])
    return dg.MaterializeResult(asset_key=spec.key, metadata={**metadata, **columns})


def table(rows: Iterable[Iterable[Any]], /, **types: str) -> dg.MetadataValue:
    """Return rows as Dagster shows a table; `types` are those of its columns, in order, by name."""
    records = [dg.TableRecord(dict(zip(types, row, strict=True))) for row in rows]
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in types.items()])
    return dg.MetadataValue.table(records, schema=schema)


class StepInterrupted(dg.DagsterError, dg.DagsterExecutionInterruptedError):
    """Somebody ends the run. Of an interruption alone a policy of retries makes another attempt, minutes later."""


@contextmanager
def as_dagster_failure() -> Iterator[None]:
    """Let a `SyncError` end the step as a `Failure`: one line, its kind, whether a retry can help, the exit code.

    Raises:
        StepInterrupted: the run is to end.
    """
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise StepInterrupted("the run was ended from outside") from None
    except SyncError as error:
        raise dg.Failure(
            description=str(error),
            metadata={EXIT_CODE: error.exit_code, "kind": error.kind},
            allow_retries=not isinstance(error, Permanent | ConfigError | WarehouseBroken),
        ) from None


def is_failed_by_check(event: dg.DagsterEvent) -> bool:
    """Whether a step failed by a blocking check, whose evaluation says what it found, and not by itself."""
    error = event.step_failure_data.error if event.is_step_failure else None
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"
