"""`marts`: build schema bi now, from what is in the core; the nightly job does the same after its load."""

from __future__ import annotations

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from pipelines.marts.build import build_marts, currencies_missing_from_grain, differences_from_core
from resources.errors import WarehouseBroken


def build(*, full: bool) -> None:
    """Build what is new, or everything, and hold it against the core."""
    settings = account.settings_of_all()
    with migrated_store() as store:
        report = build_marts(store, *settings, full=full)
        how = "everything" if report.is_full else f"{report.windows:,} ledger entries that were new"
        show.line(f"built: {how}: {report.days:,} business days, {report.payments:,} payments")
        missing = currencies_missing_from_grain(store)
        if missing:
            raise WarehouseBroken(f"a mart could mix currencies: {missing[0]}.")
        different = differences_from_core(store)
        if different:
            raise WarehouseBroken(
                f"the marts differ from the core in {len(different)} totals, the first: {different[0]}: "
                "run `ecommpay-sync marts --full`."
            )
        show.line("equal to the core: count and Σ minor units of every currency, type and status")
