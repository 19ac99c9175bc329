"""What the asset of every stream tells Dagster of a run: its counts, a preview, control totals; nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg

from pipelines.ingest.engine import SyncReport
from resources.warehouse.ledger import ControlTotal

COUNTS = ("rows_met", "rows_new", "rows_changed", "rows_unchanged", "rows_rejected", "windows", "requests")


def of_report(report: SyncReport, changed: Sequence[Any], what: str = "row") -> dict[str, dg.MetadataValue]:
    """Return what was walked, the counts, and a preview of the rows `changed`; `what` is one of them."""
    return {
        "walked": dg.MetadataValue.text(str(report.window)),
        **{name: dg.MetadataValue.int(getattr(report, name)) for name in COUNTS},
        "sync_run_id": dg.MetadataValue.int(report.run_id),
        "preview": _preview(changed) if changed else dg.MetadataValue.text(f"this run changed no {what}"),
    }


def _preview(rows: Sequence[Any]) -> dg.MetadataValue:
    records = [dg.TableRecord({name: str(value) for name, value in row._asdict().items()}) for row in rows]
    return dg.MetadataValue.table(records, schema=dg.TableSchema([dg.TableColumn(name) for name in rows[0]._asdict()]))


def totals_table(totals: Sequence[ControlTotal]) -> dg.MetadataValue:
    """Return control totals as a table: count and Σ minor units for each currency, type and status."""
    records = [
        dg.TableRecord(
            {
                "currency": total.currency or "—",
                "type": total.type or "—",
                "status": total.status or "—",
                "count": total.count,
                # as text: a table of the UI would round large integers
                "minor_units": "—" if total.minor is None else str(total.minor),
            }
        )
        for total in totals
    ]
    columns = [
        dg.TableColumn("currency"),
        dg.TableColumn("type"),
        dg.TableColumn("status"),
        dg.TableColumn("count", "int"),
        dg.TableColumn("minor_units"),
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
