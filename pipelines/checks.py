"""Asset checks, one table: what must hold in the store after a load, as it must before each commit."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from pipelines.accounts import AccountScope
from pipelines.assets import as_dagster_failure
from pipelines.audit.card_numbers import card_numbers
from pipelines.audit.spot_check import STREAM as SPOT_CHECK
from pipelines.ingest import fraud, operations
from pipelines.ingest.documents import document_stream
from pipelines.ingest.streams import Stream
from pipelines.marts import currencies_missing_from_grain, differences_from_core, shared_projects
from pipelines.reconciliation.ledger_import import refused_files
from pipelines.resources import WarehouseResource
from resources.currencies import iso_codes
from resources.warehouse.engine import Warehouse

SHOWN = 10

WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
Find = Callable[[Warehouse, AccountScope, list[int]], Sequence[Any]]


@dataclass(frozen=True)
class Check:
    """What must not be found: rows of a statement, or sentences; `text` is the description."""

    name: str
    text: str
    find: Find
    severity: dg.AssetCheckSeverity = ERROR
    blocking: bool = False  # marts, reconciliation and report of the run do not run on what fails it
    todo: str = ""  # what to do when it fails, where the description does not say it


@dataclass(frozen=True)
class AssetChecks:
    """The checks of an asset; `stream` is the one in the ledger whose runs they look at."""

    path: tuple[str, ...]
    checks: tuple[Check, ...]
    stream: str | None = None


def _of_runs(statement: str) -> Find:
    return lambda store, _, run_ids: store.query(statement, run_ids=run_ids)


def _of_account(statement: str) -> Find:
    return lambda store, scope, _: store.query(statement, account=scope.account)


def _unknown_currencies(store: Warehouse, _: AccountScope, run_ids: list[int]) -> list[str]:
    seen = {row.currency for row in store.query("checks/currencies", run_ids=run_ids)}
    return [f"{currency} is not in ISO 4217" for currency in sorted(seen - iso_codes())]


def _differences_from_core(store: Warehouse, scope: AccountScope, _: list[int]) -> list[Any]:
    return [row for row in differences_from_core(store) if scope.is_only or row.account == scope.account]


def _shared_projects(store: Warehouse, scope: AccountScope, _: list[int]) -> list[str]:
    return [str(project) for project in shared_projects(store) if scope.account in project.accounts]


def _refused_files(scope: AccountScope) -> list[str]:
    inbox = scope.settings.ledger_inbox
    return [f"{path} was refused" for path in refused_files(inbox, scope.account)] if inbox else []


def _no_card_numbers(stream: Stream) -> Check:
    return Check(
        "no_card_numbers",
        "No text that the run wrote holds a card number: right check digit, an issuer's range; ids are not looked at.",
        lambda store, _scope, run_ids: card_numbers(store, stream, run_ids),
        WARN,  # the platform masks card numbers; what a merchant or a customer writes it does not
        todo="Stop whoever writes them there, and see docs/runbook.md, Card numbers in text",
    )


NO_REJECTS = Check(
    "no_rejects",
    "Every row could be typed; the others wait in core.rejects with their reason.",
    _of_runs("checks/no_rejects"),
)
TOTALS_EQUAL_LEDGER = Check(
    "totals_equal_ledger",
    "What each walk wrote is in the store, by count and Σ minor units, as the ledger says.",
    _of_runs("checks/totals_equal_ledger"),
)
WINDOWS_COMPLETE = Check(
    "windows_complete", "Every window of the run was shown complete.", _of_runs("checks/windows_complete")
)
OF_EVERY_STREAM = (TOTALS_EQUAL_LEDGER, WINDOWS_COMPLETE, NO_REJECTS)
CURRENCY_KNOWN = Check(
    "currency_known",
    "Every currency is in ISO 4217; another one is loaded all the same.",
    _unknown_currencies,
    WARN,  # data, not an error
)
OPERATIONS = (
    Check(
        "keys_unique",
        "core.operations holds each operation once: its primary key stands, and no version is newer.",
        _of_runs("checks/keys_unique"),
        blocking=True,
    ),
    replace(TOTALS_EQUAL_LEDGER, blocking=True),
    WINDOWS_COMPLETE,
    NO_REJECTS,
    CURRENCY_KNOWN,
    _no_card_numbers(operations.OPERATIONS),
)
FRAUD = (
    *OF_EVERY_STREAM,
    Check(
        "units_agree",
        "tr_amount in minor units is the operation's amount in the same currency, initial or converted.",
        _of_runs("checks/fraud_units_agree"),
    ),
    Check(
        "operation_known",
        "Every report is about an operation of the store; load the days of the others.",
        _of_runs("checks/fraud_operation_known"),
        WARN,  # says what was loaded so far
    ),
    Check(
        "received_in_window",
        "Every report was received in the interval asked for: the platform counts in UTC here.",
        _of_runs("checks/fraud_received_in_window"),
        WARN,  # a fact of the data
    ),
    CURRENCY_KNOWN,
    _no_card_numbers(fraud.FRAUD),
)
DOCUMENTS = (
    *OF_EVERY_STREAM,
    Check(
        "documents_keys_tell",
        "No two windows of the run brought different documents under one key.",
        _of_runs("checks/documents_keys_tell"),
        WARN,  # a document may have changed between two windows
    ),
)
SPOT_CHECKS = (
    Check(
        "no_difference",
        "What the platform answers about a payment is what the store holds, or has changed since the walk.",
        _of_runs("checks/spot_differences"),
    ),
)
RECONCILIATION = (
    Check(
        "complete",
        "The last fresh walk of every day found the store complete.",
        _of_account("checks/recon_complete"),
    ),
    # for people
    Check("no_open_breaks", "No break is open, of whatever day.", _of_account("checks/recon_open_breaks"), WARN),
)
LEDGER_ENTRIES = (
    Check(
        "no_file_refused",
        "No refused file waits in SYNC_LEDGER_INBOX: correct it by the report beside it, or delete it.",
        lambda _store, scope, _runs: _refused_files(scope),
    ),
)
MARTS = (
    Check(
        "currency_in_grain",
        "Every mart with amounts has the currency beside them, and in its key: no sum can mix currencies.",
        lambda store, _scope, _runs: currencies_missing_from_grain(store),
    ),
    Check(
        "marts_equal_core",
        "Count and Σ minor units by currency, type and status are those of core.operations.",
        _differences_from_core,
    ),
)
PROJECTS_SEEN_ONCE = Check(
    "projects_seen_once",
    "No project of this account is seen by another account's token too; the marts count it for one.",
    _shared_projects,
    WARN,  # the marts count it once all the same
)


def table_of_checks(scope: AccountScope) -> tuple[AssetChecks, ...]:
    """Return the checks of all assets of an account."""
    return (
        AssetChecks(("operations",), OPERATIONS, "operations"),
        AssetChecks(("balances",), (NO_REJECTS,), "balances"),
        AssetChecks(("fraud",), FRAUD, "fraud"),
        *(
            AssetChecks(("documents", item.name), (*DOCUMENTS, _no_card_numbers(document_stream(item))), item.stream)
            for item in scope.settings.documents
        ),
        AssetChecks(("spot_check",), SPOT_CHECKS, SPOT_CHECK),
        AssetChecks(("reconciliation",), RECONCILIATION),
        *([AssetChecks(("ledger_entries",), LEDGER_ENTRIES)] if scope.settings.ledger_inbox else []),
        AssetChecks(("bi", "daily_overview"), MARTS if scope.is_only else (*MARTS, PROJECTS_SEEN_ONCE)),
    )


def asset_checks(scope: AccountScope, *group: str) -> Iterator[dg.AssetChecksDefinition]:
    """Yield the checks of an account's assets, or only of those whose path begins with `group`."""
    for item in table_of_checks(scope):
        if item.path[: len(group)] == group:
            yield _definition(item, scope)


def evaluations(
    scope: AccountScope, *path: str, store: Warehouse, dagster_run_id: str
) -> Iterator[dg.AssetCheckEvaluation]:
    """Yield how the checks of an asset end on what a Dagster run loaded that is not the asset's own."""
    (checks,) = (item for item in table_of_checks(scope) if item.path == path)
    for result in _results(checks, scope, store, dagster_run_id):
        yield dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(scope.key(*path)),
            check_name=str(result.check_name),
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )


def _definition(item: AssetChecks, scope: AccountScope) -> dg.AssetChecksDefinition:
    key = dg.AssetKey(scope.key(*item.path))

    @dg.multi_asset_check(
        name=f"{scope.op(*item.path)}_checks",
        specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.text, blocking=check.blocking)
            for check in item.checks
        ],
    )
    def checks(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> Iterator[dg.AssetCheckResult]:
        """Check what this Dagster run loaded, or the last load when it loaded nothing."""
        with as_dagster_failure():
            yield from _results(item, scope, warehouse.warehouse(), context.run.run_id)

    return checks


def _results(
    item: AssetChecks, scope: AccountScope, store: Warehouse, dagster_run_id: str
) -> Iterator[dg.AssetCheckResult]:
    run_ids = _runs_to_check(store, scope.account, item.stream, dagster_run_id) if item.stream else []
    for check in item.checks:
        yield _result(check, dg.AssetKey(scope.key(*item.path)), check.find(store, scope, run_ids))


def _runs_to_check(store: Warehouse, account: str, stream: str, dagster_run_id: str) -> list[int]:
    """Return the account's runs of a stream that a Dagster run made; without any, the last one."""
    runs = store.query("checks/runs_of_stream", stream=stream, account=account, dagster_run_id=dagster_run_id)
    return [row.run_id for row in runs]


def _result(check: Check, key: dg.AssetKey, found: Sequence[Any]) -> dg.AssetCheckResult:
    sentences = [item for item in found if isinstance(item, str)]
    rows = [{name: str(value) for name, value in item._asdict().items()} for item in found if not isinstance(item, str)]
    count = len(sentences) + sum(int(row.get("rows", 1)) for row in rows)
    return dg.AssetCheckResult(
        check_name=check.name,
        asset_key=key,
        passed=not found,
        severity=check.severity,
        description=_description(check, sentences, count),
        metadata={"found": count, "first": dg.MetadataValue.json([*sentences, *rows][:SHOWN])},
    )


def _description(check: Check, sentences: Sequence[str], count: int) -> str:
    if not count:
        return "none found"
    return ". ".join(filter(None, ["; ".join(sentences[:SHOWN]) or f"{count} found", check.todo]))
