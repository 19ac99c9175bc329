"""The boards of deploy/superset: each part refers to what is there, and no axis has two currencies."""

from __future__ import annotations

import re

import pytest
import yaml
from sqlalchemy.engine import make_url

import dashboards

FILES = {
    str(path.relative_to(dashboards.TARGET)): yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in dashboards.TARGET.rglob("*.yaml")
}


def documents(kind: str) -> dict[str, dict]:
    """The documents of a kind, by their identifier."""
    return {document["uuid"]: document for path, document in FILES.items() if path.startswith(f"{kind}/")}


DATASETS, CHARTS, BOARDS = documents("datasets"), documents("charts"), documents("dashboards")


def charts_of(board: dict) -> dict[int, dict]:
    """The charts that a board places, by the numbers that it gives them."""
    places = [item["meta"] for item in board["position"].values() if item != "v2" and item["type"] == "CHART"]
    return {place["chartId"]: CHARTS[place["uuid"]] for place in places}


def columns_of(chart: dict) -> set[str]:
    return {column["column_name"] for column in DATASETS[chart["dataset_uuid"]]["columns"]}


def test_there_are_three_boards_and_each_chart_is_on_one():
    assert sorted(board["slug"] for board in BOARDS.values()) == [
        "ecommpay-acceptance",
        "ecommpay-finance",
        "ecommpay-money",
    ]
    placed = [chart["uuid"] for board in BOARDS.values() for chart in charts_of(board).values()]
    assert sorted(placed) == sorted(CHARTS)
    assert len({chart["slice_name"] for chart in CHARTS.values()}) == len(CHARTS)


@pytest.mark.parametrize("chart", CHARTS.values(), ids=lambda chart: chart["slice_name"])
def test_a_chart_names_columns_and_metrics_of_its_dataset(chart):
    params = chart["params"]
    metrics = {item["metric_name"]: item for item in DATASETS[chart["dataset_uuid"]]["metrics"]}
    columns = [*params.get("all_columns", []), *params.get("groupby", []), *filter(None, [params.get("x_axis")])]
    assert {*columns, *params.get("column_config", {})} <= columns_of(chart)
    named = [*params.get("metrics", []), *filter(None, [params.get("metric")])]
    assert columns or named
    assert {*named} <= metrics.keys()
    for name in named:
        assert {*re.findall(r"\b[a-z_]+\b(?!\()", metrics[name]["expression"])} <= columns_of(chart)


def test_every_row_of_a_board_fills_its_width():
    for board in BOARDS.values():
        rows = [item for item in board["position"].values() if item != "v2" and item["type"] == "ROW"]
        widths = [sum(board["position"][child]["meta"]["width"] for child in row["children"]) for row in rows]
        assert {*widths} == {12}


def test_no_axis_and_no_sum_has_two_currencies():
    for board in BOARDS.values():
        (*choices,) = board["metadata"]["native_filter_configuration"]
        outside = {number for choice in choices for number in choice["scope"]["excluded"]}
        for number, chart in charts_of(board).items():
            amounts = {name for name in columns_of(chart) if re.search("amount|closing|_minor|^sold$|^net$", name)}
            if chart["viz_type"] == "table":
                shown = {*chart["params"]["all_columns"]}
                assert "currency" in shown or not shown & amounts, chart["slice_name"]
            elif amounts and "currency" in columns_of(chart):
                expressions = " ".join(item["expression"] for item in DATASETS[chart["dataset_uuid"]]["metrics"])
                if any(re.search(rf"\b{name}\b", expressions) for name in amounts):
                    assert choices, chart["slice_name"]
                    assert number not in outside, chart["slice_name"]


def test_the_choice_of_a_currency_is_of_one_and_reaches_every_chart_that_has_one():
    chosen = [
        (board, choice) for board in BOARDS.values() for choice in board["metadata"]["native_filter_configuration"]
    ]
    assert chosen
    for board, choice in chosen:
        (target,) = choice["targets"]
        assert "currency" in {column["column_name"] for column in DATASETS[target["datasetUuid"]]["columns"]}
        values, metrics = choice["controlValues"], DATASETS[target["datasetUuid"]]["metrics"]
        assert values["sortMetric"] in {item["metric_name"] for item in metrics}
        assert (values["multiSelect"], values["enableEmptyFilter"]) == (False, True), "one, and never none"
        without = [number for number, chart in charts_of(board).items() if "currency" not in columns_of(chart)]
        assert choice["scope"]["excluded"] == without


def test_a_dataset_is_of_its_readers_database_and_every_column_has_a_type_and_a_meaning():
    databases = documents("databases")
    for path, dataset in FILES.items():
        if path.startswith("datasets/"):
            assert path.split("/")[1] == databases[dataset["database_uuid"]]["database_name"]
            assert all(column["type"] and column["description"] for column in dataset["columns"])
            assert ("recon." in dataset["sql"]) == ("finance" in path)


def test_a_database_has_its_readers_name_and_no_password():
    for database in documents("databases").values():
        url = make_url(database["sqlalchemy_uri"])
        assert (url.username, url.password) == (database["database_name"], None)
        assert database["database_name"] in {"ecommpay_bi", "ecommpay_finance"}
