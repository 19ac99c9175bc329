"""The data dictionary: the committed file says what the database says."""

from __future__ import annotations

import pytest
import yaml

from fixtures.commands import ROOT, execute, fetch_all
from pipelines.cli.admin import dictionary_text
from pipelines.marts import MARTS, build_marts
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


def test_the_sources_of_dbt_have_every_table_column_and_comment_of_bi_and_recon(store):
    build_marts(store, SyncSettings())
    odd = 'one: "two" {{ three }} {% four %} #5\nsix é'
    execute(store, f"COMMENT ON COLUMN bi.fct_payments.currency IS '{odd.replace('%', '%%')}'")
    document = yaml.safe_load(dictionary_text(store, "dbt"))
    assert document.keys() == {"version", "sources"}
    assert [(source["name"], source["schema"]) for source in document["sources"]] == [
        ("ecommpay_bi", "bi"),
        ("ecommpay_recon", "recon"),
    ]
    found = {
        (source["schema"], table["name"], column["name"]): column
        for source in document["sources"]
        for table in source["tables"]
        for column in table["columns"]
    }
    expected = fetch_all(
        store,
        "SELECT table_schema AS schema, table_name AS relation, column_name AS name, is_nullable = 'NO' AS needed, "
        "(SELECT relkind FROM pg_class WHERE oid = format('%I.%I', table_schema, table_name)::regclass) AS kind "
        "FROM information_schema.columns WHERE table_schema IN ('bi', 'recon')",
    )
    assert found.keys() == {(row["schema"], row["relation"], row["name"]) for row in expected}
    assert all(column["description"] and column["data_type"] for column in found.values())
    assert {key for key, column in found.items() if column.get("data_tests") == ["not_null"]} == {
        (row["schema"], row["relation"], row["name"]) for row in expected if row["needed"]
    }
    comment = found["bi", "fct_payments", "currency"]["description"]
    assert comment == odd.replace("{{", "{ {").replace("{%", "{ %"), "dbt takes braces for Jinja"


@pytest.mark.parametrize("form", ["markdown", "dbt"])
def test_the_command_writes_either_format(command, store_url, tmp_path, form):
    output = tmp_path / "out"
    done = command("dictionary", "--format", form, "--output", str(output), environment={"DATABASE_URL": store_url})
    assert done.returncode == 0, done.stderr
    assert output.read_text().startswith({"markdown": "# Data dictionary", "dbt": "version: 2"}[form])
