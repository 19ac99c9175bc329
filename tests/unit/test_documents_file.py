"""DOCUMENTS_FILE: what may stand in it, and one clear line with file and key for what may not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fixtures.commands import ROOT
from pipelines.ingest.documents import parameters
from pipelines.ingest.streams import PageRequest
from pipelines.ingest.windows import Window
from resources.documents import read_documents_file
from resources.errors import ConfigError
from resources.settings import sync_settings

EXAMPLE = ROOT / "deploy" / "documents.example.toml"
WINDOW = Window(datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 1, 23, 59, 59, tzinfo=UTC))
WINDOWED = 'params = { interval = { from = "{from}", to = "{to}" } }\ninterval = { days = 1 }\n'


def read(tmp_path, text: str):
    file = tmp_path / "documents.toml"
    file.write_text(text, encoding="utf-8")
    return read_documents_file(str(file))


def test_the_shipped_example_configures_the_four_endpoints():
    streams = sync_settings({"DOCUMENTS_FILE": str(EXAMPLE)}).documents
    assert {stream.endpoint for stream in streams} == {
        *("chargeback/list", "chargeback/get", "financial-reporting/operations", "currency-rates/get"),
    }


def test_the_example_says_that_the_formats_are_not_described_and_marks_every_assumption():
    text = EXAMPLE.read_text(encoding="utf-8")
    assert "does\n# not describe their responses" in text
    assert text.count("ASSUMPTION:") == 4


def test_without_the_variable_nothing_is_configured():
    assert sync_settings({}).documents == ()


def test_the_ends_of_the_window_the_page_and_the_time_zone_stand_where_the_file_says():
    streams = {stream.name: stream for stream in read_documents_file(str(EXAMPLE))}
    page = PageRequest(WINDOW, (), 99, 1000)
    assert parameters(streams["chargebacks"], page) == {
        "filter": {"updated_at": ["2024-03-01 00:00:00", "2024-03-01 23:59:59"]},
        "pagination": {"limit": 100, "offset": 99},
        "tz": "UTC",
    }
    assert parameters(streams["one_chargeback"], page) == {"id": "1"}
    assert parameters(streams["financial_report"], PageRequest(WINDOW, (), 0, 1))["limit"] == 1
    assert streams["chargebacks"].params == {"filter": {"updated_at": ["{from}", "{to}"]}}, "left as it is"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            'params = { note = "from {from} on" }',
            'params.note is \'from {from} on\': a placeholder is "{from}" or "{to}"',
        ),
        ('params = { note = "{offset}" }', "params.note is '{offset}'"),
        ('params = { token = "x" }', "params.token is set by the program"),
        ("params = { day = 2024-01-01 }", "params.day is neither text"),
        ("params = { rate = 1.5 }", "params.rate is neither text"),
        ('params = { a = ["{from}", "{to}"] }', "set interval too"),
        ("interval = { days = 1 }", 'interval needs "{from}" and "{to}" among the params'),
        ("interval = { hours = 1 }", "interval.hours is unknown: there are days"),
        ("interval = { days = 181 }", "interval.days is 181: write a whole number from 1 to 180"),
        ("interval = { days = true }", "interval.days is True"),
        ("look_back_days = 3", "look_back_days makes no sense without an interval"),
        (WINDOWED + "look_back_days = -1", "look_back_days is -1"),
        (WINDOWED.replace("params = {", 'params = { tz = "Asia/Tokyo",'), "params.tz is not UTC"),
        ('paging = { limit = "a", offset = "b", size = 1 }', "paging.size is 1: write a whole number from 2 to 1000"),
        ('paging = { limit = "a", offset = "a" }', "paging.offset is where limit is"),
        ('paging = { limit = "a" }', "paging.offset is missing"),
        ('paging = { limit = "a", offset = "b", page = 1 }', "paging.page is unknown"),
        (
            'params = { a = 1 }\npaging = { limit = "a.b", offset = "c" }',
            "paging.limit stands where params has a value",
        ),
        ('rows = "a..b"', "rows is 'a..b': write a dotted path"),
        ("rows = 1", "rows is 1: write a dotted path"),
        ('name = "other"', "name is unknown: there are endpoint, params"),
        ("look_bck_days = 3", "look_bck_days is unknown: did you mean look_back_days?"),
        ('endpint = "a/b"', "endpint is unknown: did you mean endpoint?"),
        ('paging = { limit = "a", ofset = "b" }', "paging.ofset is unknown: did you mean offset?"),
        ("paging = 1", "paging is no table"),
        ('key = "id"', "key is no list of paths"),
        ('key = ["id", "id"]', "key names a path twice"),
        ('keys = ["id"]', "keys is unknown: did you mean key? There are endpoint, params"),
        ("params = 1", "params is no table"),
    ],
)
def test_a_wrong_value_is_one_line_with_file_and_key(tmp_path, lines, said):
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, f'[documents.some]\nendpoint = "a/b"\n{lines}\n')
    message = str(refused.value)
    assert message.startswith(f"DOCUMENTS_FILE ({tmp_path}/documents.toml): documents.some.")
    assert said in message
    assert "\n" not in message


@pytest.mark.parametrize("endpoint", ["/a", "a/", "a//b", "../a", "A/b", "a b", "https://x/y", "", "a/é"])
def test_an_endpoint_is_a_relative_path_and_nothing_else(tmp_path, endpoint):
    with pytest.raises(ConfigError, match=r"documents\.some\.endpoint is"):
        read(tmp_path, f'[documents.some]\nendpoint = "{endpoint}"\n')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("endpoint = 'a/b'", "endpoint is unknown: there are documents"),
        (
            "[documents.Some]\nendpoint = 'a/b'",
            "documents.Some is 'Some': write a–z, 0–9 and _, at most 40, beginning with a letter",
        ),
        ("[documents.some]", "documents.some.endpoint is missing"),
        ("documents = 1", "documents is no table"),
        ("[documents.some", "is not TOML: look at "),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path, text, said):
    with pytest.raises(ConfigError, match="DOCUMENTS_FILE") as refused:
        read(tmp_path, text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_b18_a_byte_order_mark_and_the_line_ends_of_another_system_are_taken_off(tmp_path, change):
    file = tmp_path / "documents.toml"
    file.write_bytes(change(EXAMPLE.read_text(encoding="utf-8")).encode())
    assert read_documents_file(str(file)) == read_documents_file(str(EXAMPLE))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be read: .*missing\.toml: No such file"):
        sync_settings({"DOCUMENTS_FILE": str(tmp_path / "missing.toml")})
