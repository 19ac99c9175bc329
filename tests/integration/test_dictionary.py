"""The data dictionary: the committed file says what the database says."""

from __future__ import annotations

from fixtures.commands import ROOT, execute
from pipelines.cli.admin import dictionary_text
from pipelines.marts.build import MARTS, build_marts
from resources.settings import SyncSettings

FILE = ROOT / "docs" / "data-dictionary.md"


def test_the_committed_dictionary_is_what_the_database_says(store):
    build_marts(store, SyncSettings())
    assert FILE.read_text(encoding="utf-8") == dictionary_text(store), "it is stale: run `make dictionary`"


def test_every_mart_and_every_schema_is_in_it(store):
    build_marts(store, SyncSettings())
    text = dictionary_text(store)
    assert all(f"### `bi.{mart}`" in text for mart in MARTS)
    assert all(f"### `{table}` (table)" in text for table in ("core.operations", "raw.pages", "sync.windows"))


def test_a_changed_comment_changes_it_and_cannot_break_its_table(store):
    build_marts(store, SyncSettings())
    execute(store, "COMMENT ON COLUMN core.operations.arn IS 'one | two\nthree'")
    assert "| `arn` | text | yes | one \\| two three |" in dictionary_text(store)
