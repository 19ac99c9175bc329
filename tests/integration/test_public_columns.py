"""Every table and column of 1.0.0 is still there, of the same type: other programs rely on them.

But for sums and differences of amounts, which 64 bits need not hold.
"""

from fixtures.commands import ROOT, SETTINGS, fetch_all
from pipelines.marts import build_marts

PUBLISHED = ROOT / "tests" / "data" / "columns_of_1.0.0.txt"
COLUMNS = """
    SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type AS line
    FROM information_schema.columns WHERE table_schema IN ('core', 'bi', 'sync', 'raw', 'recon') ORDER BY 1
"""
WIDER = {
    "bi.approval_rate_daily": ("approved_minor", "attempted_minor"),
    "bi.control_totals": ("amount_minor",),
    "bi.daily_overview": ("amount_minor",),
    "bi.fct_balances_daily": ("closing_minor", "highest_minor", "lowest_minor", "opening_minor"),
    "bi.fct_operations": ("net_minor",),
    "bi.fct_payments": (
        *("authorised_minor", "captured_minor", "net_minor", "paid_out_minor"),
        *("refunded_minor", "reversed_minor", "sold_minor"),
    ),
    "recon.aged_breaks": ("amount_minor", "ledger_minor", "platform_minor"),
    "recon.balance_rollforward": ("closing_minor", "movements_minor", "opening_minor", "unexplained_minor"),
    "recon.break_events": ("amount_minor",),
    "recon.breaks": ("amount_minor", "ledger_minor", "platform_minor"),
}


def test_no_column_of_1_0_0_is_gone_or_of_another_type(store):
    build_marts(store, SETTINGS)
    published = set(PUBLISHED.read_text(encoding="utf-8").splitlines())
    assert len(published) > 600
    columns = {row["line"] for row in fetch_all(store, COLUMNS)}
    wider = [f"{table}.{name}" for table, names in WIDER.items() for name in names]
    assert published - columns == {f"{name} bigint" for name in wider}
    assert {f"{name} numeric" for name in wider} <= columns
