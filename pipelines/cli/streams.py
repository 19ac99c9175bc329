"""`fraud`, `spot-check`: the commands of the streams beside operations; each runs the product's own Dagster job."""

from __future__ import annotations

from datetime import date

from pipelines.cli import account, show
from pipelines.cli.run import RunFailed, check_days, check_settings, execute
from pipelines.resources import open_warehouse
from resources.currencies import major_units
from resources.errors import ConfigError
from resources.settings import database_url


def run_fraud(first: date, last: date) -> None:
    """Load the days through the job `load_fraud` and print a summary."""
    settings = account.settings()
    if settings.fraud == "off":
        raise ConfigError("reports of fraud are not asked for: SYNC_FRAUD=off; unset it, or set it to on.")
    check_days(first, last)
    check_settings()
    from pipelines.jobs import range_tags

    # whoever asks by name wants to know of a refusal
    config = {"ops": {account.owner().op("fraud"): {"config": {"refusal_is_failure": True}}}}
    run_id = execute("load_fraud", tags=range_tags(first, last), config=config, progress=show.progress())
    with open_warehouse(database_url()) as store:
        (run,) = store.query("cli/load/run_of_dagster", dagster_run_id=run_id, stream="fraud")
        show.completed(run, "reports of fraud")
        show.line()
        rows = [
            (row.currency or "(none)", row.type or "(none)", f"{row.row_count:,}", major_units(row.minor, row.currency))
            for row in store.query("cli/load/fraud_totals_of_run", run_id=run.run_id)
        ]
        if rows:
            columns = ("currency", "type", "reports", "amount")
            show.table("Reports met, by currency and type", columns, rows, columns[2:])


def run_spot_check(sample: int | None) -> None:
    """Compare a sample through the job `spot_check_payments` and print what was found."""
    check_settings()
    config = {"ops": {account.owner().op("spot_check"): {"config": {"sample": sample}}}} if sample else {}
    try:
        run_id = execute("spot_check_payments", config=config)
    except RunFailed:
        _show_differences()
        raise
    with open_warehouse(database_url()) as store:
        counts = {
            row.outcome: row.operations for row in store.query("cli/load/spot_check_of_dagster", dagster_run_id=run_id)
        }
    counted = ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in sorted(counts))
    show.line(f"no difference: {counted or 'no payment in the store to ask for'} (operations)")


def _show_differences() -> None:
    with open_warehouse(database_url()) as store:
        found = store.query("cli/load/spot_differences", account=account.settings().account)
        rows = [(row.payment_id, row.operation_id, row.field, row.stored, row.answered) for row in found]
    if rows:
        show.table("Differences of the last spot check", ("payment", "operation", "field", "stored", "answered"), rows)
