"""Every statement of sql/ is called by its literal name, and every name that is called is a statement.

Those of a stream are called by convention, as in `stream.sql("retire")`: the file of each stream has the same ones.
"""

import re

import pytest

import sql
from fixtures.commands import ROOT
from pipelines.ingest.documents import document_stream
from pipelines.ingest.registry import TYPED
from resources.documents import DocumentsConfig

FILES = sorted(
    str(path.relative_to(sql.FOLDER).with_suffix(""))
    for path in sql.FOLDER.rglob("*.sql")
    if "-- name: " in path.read_text(encoding="utf-8")
)
SOURCES = "\n".join(
    path.read_text(encoding="utf-8") for folder in ("pipelines", "resources") for path in (ROOT / folder).rglob("*.py")
)
STREAMS = [stream.statements for stream in (*TYPED, document_stream(DocumentsConfig("x", "a/b", {})))]
CONVENTION = {*re.findall(r'stream\.sql\("(\w+)"\)', SOURCES)}
CALLED = re.compile(r'"((?:' + "|".join(map(re.escape, FILES)) + r')/\w+)"')


def test_every_name_that_is_called_is_a_statement():
    for name in CALLED.findall(SOURCES):
        assert sql.text(name)


@pytest.mark.parametrize("file", FILES)
def test_a_file_holds_named_statements_and_nothing_before_the_first(file):
    assert sql.script(file).startswith("-- name: ")
    assert all(sql.statements(file).values())
    assert len(re.findall("^-- name: ", sql.script(file), re.MULTILINE)) == len(sql.statements(file))


@pytest.mark.parametrize("file", STREAMS)
def test_the_statements_of_a_stream_are_those_of_the_convention_in_one_order(file):
    assert {*sql.statements(file)} == CONVENTION
    assert [*sql.statements(file)] == [*sql.statements(STREAMS[0])]


@pytest.mark.parametrize("file", [file for file in FILES if file not in STREAMS])
def test_every_statement_has_a_caller(file):
    called = set(CALLED.findall(SOURCES))
    uncalled = [name for name in sql.statements(file) if f"{file}/{name}" not in called]
    assert not uncalled
