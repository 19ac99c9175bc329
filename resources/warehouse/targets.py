"""The tables that windows are merged into: the names of their statements and what their control totals count.

How they are executed is in `load`; the statements themselves are in sql/load.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One table of `core` with its versions: statements by name, and the columns of its control totals."""

    stream: str  # as in the ledger
    key: str  # the column that, after the account, tells a row
    any_stored: str  # of these keys
    copy_new: str  # straight into the table
    stage: str
    copy: str
    totals: str
    retire: str
    insert: str
    differences: str
    unfounded: str
    orphans: str
    states: str
    forget: str
    unstage: str
    currency: str | None
    type: str
    status: str | None
    minor: str | None


OPERATIONS = Target(
    stream="operations",
    key="operation_id",
    any_stored="load/any_operation_stored",
    copy_new="load/copy_new_operations",
    stage="load/stage_operations",
    copy="load/copy_operations",
    totals="load/staged_totals",
    retire="load/retire_operations",
    insert="load/insert_operations",
    differences="load/staged_differences",
    unfounded="replay/unfounded_operations",
    orphans="replay/orphans_operations",
    states="replay/states_of_operations",
    forget="replay/forget_operations",
    unstage="replay/unstage_operations",
    currency="sum_initial_currency",
    type="operation_type",
    status="operation_status",
    minor="sum_initial_amount",
)
FRAUD = Target(
    stream="fraud",
    key="report_key",
    any_stored="load/any_fraud_report_stored",
    copy_new="load/copy_new_fraud_reports",
    stage="load/stage_fraud_reports",
    copy="load/copy_fraud_reports",
    totals="load/totals_fraud_reports",
    retire="load/retire_fraud_reports",
    insert="load/insert_fraud_reports",
    differences="load/differences_fraud_reports",
    unfounded="replay/unfounded_fraud_reports",
    orphans="replay/orphans_fraud_reports",
    states="replay/states_of_fraud_reports",
    forget="replay/forget_fraud_reports",
    unstage="replay/unstage_fraud_reports",
    currency="tr_ccy",
    type="fraud_type",
    status=None,
    minor="tr_amount_minor",
)


def documents(stream: str) -> Target:
    """Return core.documents as the target of one stream of them; an amount in one is not known to be one."""
    return Target(
        stream=stream,
        key="document_key",
        any_stored="load/any_document_stored",
        copy_new="load/copy_new_documents",
        stage="load/stage_documents",
        copy="load/copy_documents",
        totals="load/totals_documents",
        retire="load/retire_documents",
        insert="load/insert_documents",
        differences="load/differences_documents",
        unfounded="replay/unfounded_documents",
        orphans="replay/orphans_documents",
        states="replay/states_of_documents",
        forget="replay/forget_documents",
        unstage="replay/unstage_documents",
        currency=None,
        type="stream",
        status=None,
        minor=None,
    )
