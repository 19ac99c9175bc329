"""Every table and column of 1.0.0 is still there, of the same type: other programs rely on them."""

from fixtures.commands import ROOT, SETTINGS, fetch_all
from pipelines.marts import build_marts

PUBLISHED = ROOT / "tests" / "data" / "columns_of_1.0.0.txt"
COLUMNS = """
    SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type AS line
    FROM information_schema.columns WHERE table_schema IN ('core', 'bi', 'sync', 'raw', 'recon') ORDER BY 1
"""


def test_no_column_of_1_0_0_is_gone_or_of_another_type(store):
    build_marts(store, SETTINGS)
    published = set(PUBLISHED.read_text(encoding="utf-8").splitlines())
    assert len(published) > 600
    assert published - {row["line"] for row in fetch_all(store, COLUMNS)} == set()
