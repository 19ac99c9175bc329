"""Asset checks, one table: what must hold in the store after a load, as it must before each commit.

The one that is no statement, which finds card numbers in text, stands below the table.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from pipelines.assets import as_dagster_failure
from pipelines.audit.spot_check import STREAM as SPOT_CHECK
from pipelines.ingest import fraud, operations
from pipelines.ingest.documents import document_stream
from pipelines.ingest.streams import Stream
from pipelines.marts import currencies_missing_from_grain, differences_from_core, shared_projects
from pipelines.reconciliation.ledger_import import misplaced_files, refused_files
from pipelines.resources import WarehouseResource
from resources.accounts import AccountScope, accounts_of
from resources.currencies import iso_codes
from resources.output import printable
from resources.warehouse.engine import Warehouse

SHOWN = 10
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


class Load(NamedTuple):
    """What checks look at: the store of an account, and the runs of the ledger that loaded the asset."""

    store: Warehouse
    scope: AccountScope
    run_ids: list[int]


@dataclass(frozen=True)
class Check:
    """What must not be found: rows of a statement, or sentences or rows of a function; `text` is the description."""

    name: str
    text: str
    find: str | Callable[[Load], Sequence[Any]]
    severity: dg.AssetCheckSeverity = ERROR
    blocking: bool = False  # marts, reconciliation and report of the run do not run on what fails it
    todo: str = ""  # what to do when it fails, where the description does not say it

    def found(self, load: Load) -> Sequence[Any]:
        """Return what is found."""
        if isinstance(self.find, str):
            return load.store.query(self.find, account=load.scope.account, run_ids=load.run_ids)
        return self.find(load)


@dataclass(frozen=True)
class AssetChecks:
    """The checks of an asset; `stream` is the one in the ledger whose runs they look at."""

    path: tuple[str, ...]
    checks: tuple[Check, ...]
    stream: str | None = None


def _unknown_currencies(load: Load) -> list[str]:
    seen = {row.currency for row in load.store.query("checks/currencies", run_ids=load.run_ids)}
    return [f"{currency} is not in ISO 4217" for currency in sorted(seen - iso_codes())]


def _differences_from_core(load: Load) -> list[Any]:
    return [row for row in differences_from_core(load.store) if load.scope.is_only or row.account == load.scope.account]


def _shared_projects(load: Load) -> list[str]:
    return [str(project) for project in shared_projects(load.store) if load.scope.account in project.accounts]


def _no_card_numbers(stream: Stream) -> Check:
    return Check(
        "no_card_numbers",
        "No text that the run wrote holds a card number: right check digit, an issuer's range; ids are not looked at.",
        lambda load: card_numbers(load.store, stream, load.run_ids),
        WARN,  # the platform masks card numbers; what a merchant or a customer writes it does not
        todo="Stop whoever writes them there, and see docs/runbook.md, Card numbers in text",
    )


NO_REJECTS = Check(
    "no_rejects",
    "Every row could be typed; the others wait in core.rejects with their reason.",
    "checks/no_rejects",
)
TOTALS_EQUAL_LEDGER = Check(
    "totals_equal_ledger",
    "What each walk wrote is in the store, by count and Σ minor units, as the ledger says.",
    "checks/totals_equal_ledger",
)
WINDOWS_COMPLETE = Check("windows_complete", "Every window of the run was shown complete.", "checks/windows_complete")
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
        "checks/keys_unique",
        blocking=True,
    ),
    replace(TOTALS_EQUAL_LEDGER, blocking=True),
    WINDOWS_COMPLETE,
    NO_REJECTS,
    Check(
        "operations_keys_tell",
        "No two windows of the run brought one operation in different states.",
        "checks/operations_keys_tell",
        WARN,  # one that showed up late may have changed between two windows
        todo="Every night? Then the platform gives one id to several: show it to its support",
    ),
    CURRENCY_KNOWN,
    _no_card_numbers(operations.OPERATIONS),
)
FRAUD = (
    *OF_EVERY_STREAM,
    Check(
        "units_agree",
        "tr_amount in minor units is the operation's amount in the same currency, initial or converted.",
        "checks/fraud_units_agree",
    ),
    Check(
        "operation_known",
        "Every report is about an operation of the store; load the days of the others.",
        "checks/fraud_operation_known",
        WARN,  # says what was loaded so far
    ),
    Check(
        "received_in_window",
        "Every report was received in the interval asked for: the platform counts in UTC here.",
        "checks/fraud_received_in_window",
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
        "checks/documents_keys_tell",
        WARN,  # a document may have changed between two windows
    ),
)
SPOT_CHECKS = (
    Check(
        "no_difference",
        "What the platform answers about a payment is what the store holds, or has changed since the walk.",
        "checks/spot_differences",
    ),
)
RECONCILIATION = (
    Check("complete", "The last fresh walk of every day found the store complete.", "checks/recon_complete"),
    Check("no_open_breaks", "No break is open, of whatever day.", "checks/recon_open_breaks", WARN),  # for people
)
MARTS = (
    Check(
        "currency_in_grain",
        "Every mart with amounts has the currency beside them, and in its key: no sum can mix currencies.",
        lambda load: currencies_missing_from_grain(load.store),
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


def _of_inbox(inbox: Path) -> tuple[Check, ...]:
    return (
        Check(
            "no_file_refused",
            "No refused file waits in SYNC_LEDGER_INBOX: correct it by the report beside it, or delete it.",
            lambda load: [f"{path} was refused" for path in refused_files(inbox, load.scope.account)],
        ),
        Check(
            "no_file_misplaced",
            "No file lies in SYNC_LEDGER_INBOX where nothing reads it, such as in the folder of a misspelt account.",
            lambda load: misplaced_files(inbox, load.scope.account, accounts_of().names),
        ),
    )


def table_of_checks(scope: AccountScope) -> tuple[AssetChecks, ...]:
    """Return the checks of all assets of an account."""
    inbox = scope.settings.ledger_inbox
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
        *([AssetChecks(("ledger_entries",), _of_inbox(inbox))] if inbox else []),
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
    for outcome in _outcomes(checks, scope, store, dagster_run_id):
        yield dg.AssetCheckEvaluation(**outcome)


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
            for outcome in _outcomes(item, scope, warehouse.warehouse(), context.run.run_id):
                yield dg.AssetCheckResult(**outcome)

    return checks


def _outcomes(
    item: AssetChecks, scope: AccountScope, store: Warehouse, dagster_run_id: str
) -> Iterator[dict[str, Any]]:
    """Yield how each check ends on what a Dagster run loaded, or on the last load when it loaded nothing."""
    of_run = {"account": scope.account, "stream": item.stream, "dagster_run_id": dagster_run_id}
    run_ids = [row.run_id for row in store.query("checks/runs_of_stream", **of_run)] if item.stream else []
    for check in item.checks:
        found = check.found(Load(store, scope, run_ids))
        count = sum(int(getattr(one, "rows", 1)) for one in found)
        first = [
            one if isinstance(one, str) else {name: str(value) for name, value in one._asdict().items()}
            for one in found[:SHOWN]
        ]
        said = "; ".join(one for one in first if isinstance(one, str)) or f"{count} found"
        yield {
            "check_name": check.name,
            "asset_key": dg.AssetKey(scope.key(*item.path)),
            "passed": not found,
            "severity": check.severity,
            "description": ". ".join(filter(None, [said, check.todo])) if count else "none found",
            "metadata": {"found": count, "first": dg.MetadataValue.json(first)},
        }


# A card number is 12 to 19 digits, in the range and of a length that an issuer has, with the right check digit (Luhn).
# Its groups, of four digits at least but for the last, may be apart by a space or a dash. Digits with a letter or a
# decimal point beside them are none. Columns of ids and codes (`Schema.codes`), and fields of JSON that are named so,
# are left out: digits are what they are made of.
SHORTEST, LONGEST = 12, 19
LEAST_GROUP = 4
CANDIDATE = f"[0-9]([ \u00a0-]?[0-9]){{{SHORTEST - 1}}}"  # for PostgreSQL: what may hold one
GROUPS = re.compile(r"(?<![0-9A-Za-z])(?<![0-9][.,])[0-9]+(?:[ \u00a0-][0-9]+)*(?![0-9A-Za-z]|[.,][0-9])")
ID_NAME = re.compile(r"(?i:(?:^|_)(?:ids?|uuid|token|arn|rrn|reference)$)|[a-z]I[dD]s?$")
DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)

# first and last prefix of a range, and the lengths of its numbers: ISO/IEC 7812 as the payment systems use it
RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),  # Visa
    ("51", "55", frozenset({16})),  # Mastercard
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),  # American Express
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset(range(14, 20))),  # Diners Club
    ("3095", "3095", frozenset(range(14, 20))),
    ("36", "36", frozenset(range(14, 20))),
    ("38", "39", frozenset(range(14, 20))),
    ("3528", "3589", frozenset(range(16, 20))),  # JCB
    ("6011", "6011", frozenset(range(16, 20))),  # Discover
    ("644", "659", frozenset(range(16, 20))),
    ("62", "62", frozenset(range(16, 20))),  # UnionPay
    ("81", "82", frozenset(range(16, 20))),  # UnionPay, RuPay
    ("60", "60", frozenset({16})),  # RuPay, Hipercard
    ("50", "50", frozenset(range(12, 20))),  # Maestro, Verve
    ("56", "58", frozenset(range(12, 20))),
    ("6304", "6304", frozenset(range(12, 20))),
    ("67", "67", frozenset(range(12, 20))),
    ("2200", "2204", frozenset(range(16, 20))),  # Mir
    ("8600", "8600", frozenset({16})),  # Uzcard
    ("9860", "9860", frozenset({16})),  # Humo
    ("9704", "9704", frozenset({16, 19})),  # NAPAS
    ("9112", "9112", frozenset({16})),  # Belkart
    ("9792", "9792", frozenset({16})),  # Troy
)


class ColumnWithCardNumbers(NamedTuple):
    """A column, or the path of a field in its JSON, and how many rows hold a card number there."""

    column: str
    rows: int


def card_numbers(warehouse: Warehouse, stream: Stream, run_ids: list[int]) -> list[ColumnWithCardNumbers]:
    """Return where the rows that these runs wrote hold card numbers, rejected rows included."""
    schema, rows = stream.schema, Counter[str]()
    looked_for = {"run_ids": run_ids, "pattern": CANDIDATE}
    for text in warehouse.query("checks/texts_like", relation=stream.table, left_out=list(schema.codes), **looked_for):
        if schema.columns[text.column_name] == "json":
            rows.update(_fields_with_card_numbers(text.column_name, text.value, schema.codes))
        elif has_card_number(text.value):
            rows[text.column_name] += 1
    for reject in warehouse.query("checks/rejects_like", **looked_for):
        rows.update(_fields_with_card_numbers("core.rejects", reject.raw_json, schema.codes))
    return [ColumnWithCardNumbers(column, count) for column, count in sorted(rows.items())]


def has_card_number(text: str) -> bool:
    """Return whether a text holds a card number."""
    return any(_is_card_number(number) for found in GROUPS.finditer(text) for number in _numbers(found[0]))


def _numbers(text: str) -> Iterator[str]:
    """Yield the digits of each row of neighbouring groups that is long enough, and not too long."""
    groups = re.findall("[0-9]+", text)
    for first in range(len(groups)):
        digits = ""
        for group in groups[first:]:
            digits += group
            if SHORTEST <= len(digits) <= LONGEST:
                yield digits
            if len(group) < LEAST_GROUP or len(digits) > LONGEST:
                break


def _is_card_number(digits: str) -> bool:
    if not any(len(digits) in lengths and low <= digits[: len(low)] <= high for low, high, lengths in RANGES):
        return False
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(DOUBLED[value] for value in values[1::2])) % 10 == 0


def _fields_with_card_numbers(column: str, text: str, codes: tuple[str, ...]) -> set[str]:
    """Return the paths of the fields of a JSON text that hold one; a name of the data may hold anything itself."""
    return {
        ".".join("…" if has_card_number(name) else printable(name) for name in path)
        for path, value in _values((column,), json.loads(text, parse_int=str), codes)
        if has_card_number(value)
    }


def _values(path: tuple[str, ...], value: Any, codes: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield (*path, name), name
            if name not in codes and not ID_NAME.search(name):
                yield from _values((*path, name), part, codes)
    elif isinstance(value, list):
        for part in value:
            yield from _values(path, part, codes)
    elif isinstance(value, str):  # whole numbers too
        yield path, value
