"""Makes deploy/superset, boards for Apache Superset, from docs/dashboards.yaml and sql/bi/questions.

`make dashboards` runs it on a fresh database. A dataset is a question's own SQL; its columns, their types and meanings
are the database's. What is written is what `superset import-dashboards` takes. It holds no password, and names are the
same whenever it is made: identifiers come from names.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
import yaml

from pages import DOCS, ROOT, Question, questions

TARGET = ROOT / "deploy" / "superset"
VERSION = "1.0.0"  # of Superset's format
READERS = {"bi": "ecommpay_bi", "finance": "ecommpay_finance"}
KINDS = {
    "number": "big_number_total",
    "table": "table",
    "line": "echarts_timeseries_line",
    "bar": "echarts_timeseries_bar",
}
HEIGHTS = {"number": 16, "table": 34, "line": 44, "bar": 44}  # of a row, by its first chart, in eight pixels
TYPES = {
    "bool": "BOOLEAN",
    "date": "DATE",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "numeric": "NUMERIC",
    "text": "TEXT",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
TIMES = {"DATE": "%Y-%m-%d", "TIMESTAMP WITH TIME ZONE": "%Y-%m-%d %H:%M"}
CURRENCIES, USES = "decimals_of_a_currency", {"Uses": "sum(operations)"}  # what a board offers, most used first
COMMENTS = """SELECT c.oid::bigint, a.attnum, a.attname, col_description(c.oid, a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname IN ('bi', 'recon') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY n.nspname || '.' || c.relname <> ALL (%s), n.nspname, c.relname"""
DECLARED: dict[str, Any] = yaml.safe_load((DOCS / "dashboards.yaml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Column:
    """A column of a dataset, as the database describes it."""

    name: str
    type: str
    meaning: str

    def document(self) -> dict[str, Any]:
        """Return it as Superset reads it."""
        label = self.name.replace("_minor", ", minor units").replace("_", " ")
        return {
            "column_name": self.name,
            "verbose_name": label[0].upper() + label[1:],
            "description": self.meaning,
            "type": self.type,
            "is_dttm": self.type in TIMES,
            "is_active": True,
            "groupby": True,
            "filterable": True,
        }

    def format(self) -> dict[str, str]:
        """Return how a table shows it: a share in percent, another number with all its decimals."""
        if self.type in TIMES:
            return {"d3TimeFormat": TIMES[self.type]}
        if self.type in {"TEXT", "BOOLEAN"}:
            return {}
        return {"d3NumberFormat": ".1%" if re.search("rate|share", self.name) else ","}


@dataclass(frozen=True)
class Chart:
    """A chart over the answer to a question, as docs/dashboards.yaml declares it."""

    title: str
    ask: str
    kind: str
    width: int = 6
    form: str = ",d"
    x: str = ""
    by: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    metrics: dict[str, str] = field(default_factory=dict)

    @property
    def reads(self) -> set[str]:
        """The columns that it names outside its metrics."""
        return {*self.columns, *self.by, *([self.x] if self.x else [])}

    def document(self, question: Question, columns: Mapping[str, Column]) -> dict[str, Any]:
        """Return it as Superset reads it."""
        return {
            "slice_name": self.title,
            "description": question.explanation,
            "viz_type": KINDS[self.kind],
            "params": {"viz_type": KINDS[self.kind], "adhoc_filters": [], "row_limit": 1000} | self._params(columns),
            "uuid": identifier("chart", self.title),
            "version": VERSION,
            "dataset_uuid": identifier("dataset", self.ask),
        }

    def _params(self, columns: Mapping[str, Column]) -> dict[str, Any]:
        if self.kind == "number":
            return {"metric": next(iter(self.metrics)), "y_axis_format": self.form, "header_font_size": 0.4}
        if self.kind == "table":
            formats = {name: columns[name].format() for name in self.columns if columns[name].format()}
            return {"query_mode": "raw", "all_columns": self.columns, "column_config": formats, "show_cell_bars": False}
        is_time = columns[self.x].type in TIMES
        grain, label = ("P1M", "%b %Y") if self.x.startswith("month") else ("P1D", "%d %b")
        return {
            "metrics": [*self.metrics],
            "x_axis": self.x,
            "groupby": self.by,
            "time_grain_sqla": grain if is_time else None,
            "xAxisForceCategorical": not is_time,
            "x_axis_sort_asc": True,
            "x_axis_time_format": label,
            "tooltipTimeFormat": "%Y-%m-%d",
            "y_axis_format": self.form,
            "truncateYAxis": self.kind == "line",
            "y_axis_bounds": [None, None],
            "show_legend": len(self.metrics) > 1 or bool(self.by),
            "legendOrientation": "top",
            "rich_tooltip": True,
            "truncate_metric": True,
        }


@dataclass(frozen=True)
class Board:
    """A dashboard: rows of charts, and whether it shows one currency at a time, which the reader chooses."""

    title: str
    meaning: str
    rows: list[list[Chart]]
    currency: bool = False

    @property
    def charts(self) -> list[Chart]:
        """Its charts, row by row."""
        return [chart for row in self.rows for chart in row]

    def document(self, columns: Mapping[str, Mapping[str, Column]]) -> dict[str, Any]:
        """Return it as Superset reads it; it numbers charts itself, so that any number does here."""
        numbers = {chart.title: number for number, chart in enumerate(self.charts, start=1)}
        without = [numbers[chart.title] for chart in self.charts if "currency" not in columns[chart.ask]]
        return {
            "dashboard_title": f"ECommPay: {self.title.lower()}",
            "description": self.meaning,
            "slug": f"ecommpay-{slug(self.title)}",
            "uuid": identifier("dashboard", self.title),
            "published": True,
            "position": self._position(numbers),
            "metadata": {
                "native_filter_configuration": [_currency_filter(without)] if self.currency else [],
                "cross_filters_enabled": False,
                "color_scheme": "supersetColors",
            },
            "version": VERSION,
        }

    def _position(self, numbers: Mapping[str, int]) -> dict[str, Any]:
        rows = [f"ROW-{number}" for number in range(1, len(self.rows) + 1)]
        position: dict[str, Any] = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"id": "ROOT_ID", "type": "ROOT", "children": ["GRID_ID"]},
            "GRID_ID": {"id": "GRID_ID", "type": "GRID", "children": rows, "parents": ["ROOT_ID"]},
            "HEADER_ID": {"id": "HEADER_ID", "type": "HEADER", "meta": {"text": f"ECommPay: {self.title.lower()}"}},
        }
        for row, charts in zip(rows, self.rows, strict=True):
            position[row] = {
                "id": row,
                "type": "ROW",
                "meta": {"background": "BACKGROUND_TRANSPARENT"},
                "children": [f"CHART-{numbers[chart.title]}" for chart in charts],
                "parents": ["ROOT_ID", "GRID_ID"],
            }
            for chart in charts:
                name = f"CHART-{numbers[chart.title]}"
                position[name] = {
                    "id": name,
                    "type": "CHART",
                    "meta": {
                        "chartId": numbers[chart.title],
                        "uuid": identifier("chart", chart.title),
                        "sliceName": chart.title,
                        "width": chart.width,
                        "height": HEIGHTS[charts[0].kind],
                    },
                    "children": [],
                    "parents": ["ROOT_ID", "GRID_ID", row],
                }
        return position


def _currency_filter(without: list[int]) -> dict[str, Any]:
    """Return the choice of one currency, the most used at first; charts `without` a currency stay as they are."""
    (most_used,) = USES
    return {
        "id": "NATIVE_FILTER-currency",
        "type": "NATIVE_FILTER",
        "filterType": "filter_select",
        "name": "Currency",
        "description": "Amounts of several currencies are never added up.",
        "targets": [{"column": {"name": "currency"}, "datasetUuid": identifier("dataset", CURRENCIES)}],
        "controlValues": {
            "multiSelect": False,
            "enableEmptyFilter": True,
            "defaultToFirstItem": True,
            "sortMetric": most_used,
            "sortAscending": False,
        },
        "requiredFirst": True,
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": without},
    }


def identifier(kind: str, name: str) -> str:
    """Return the identifier of what has this name, the same in every bundle."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"ecommpay-sync/superset/{kind}/{name}"))


def slug(title: str) -> str:
    """Return the title as a part of a file's name."""
    return re.sub(r"\W+", "_", title.lower()).strip("_")


def boards() -> list[Board]:
    """Return the boards of docs/dashboards.yaml."""
    return [
        Board(**board | {"rows": [[Chart(**chart) for chart in row] for row in board["rows"]]})
        for board in DECLARED["boards"]
    ]


def datasets() -> list[Question]:
    """Return the questions that boards ask."""
    asked = {CURRENCIES} | {chart.ask for board in boards() for chart in board.charts}
    return [question for question in questions() if question.name in asked]


def metrics_of(name: str) -> dict[str, str]:
    """Return the metrics of a dataset: those of its charts.

    Raises:
        ValueError: two charts have different metrics of one name.
    """
    found = dict(USES) if name == CURRENCIES else {}
    for chart in (chart for board in boards() for chart in board.charts if chart.ask == name):
        for metric, expression in chart.metrics.items():
            if found.setdefault(metric, expression) != expression:
                raise ValueError(f"{name}: two metrics are named {metric}")
    return found


def columns_of(connection: psycopg.Connection[Any], question: Question) -> dict[str, Column]:
    """Return the columns of the answer: types by PostgreSQL, meanings by the comment of the column that each shows."""
    comments = connection.execute(COMMENTS, [question.relations]).fetchall()
    by_place = {(relation, number): comment for relation, number, _, comment in comments}
    by_name: dict[str, str] = {}
    for _, _, name, comment in comments:
        by_name.setdefault(name, comment)
    cursor = connection.execute(f"SELECT * FROM ({question.query}) AS answer LIMIT 0")  # noqa: S608
    found = {}
    for index, column in enumerate(cursor.description or ()):
        place = (cursor.pgresult.ftable(index), cursor.pgresult.ftablecol(index)) if cursor.pgresult else None
        meaning = DECLARED["meanings"].get(column.name) or by_place.get(place) or by_name[column.name]
        found[column.name] = Column(column.name, TYPES[column.type_display.partition("(")[0]], meaning)
    return found


def bundle(connections: Mapping[str, psycopg.Connection[Any]]) -> dict[str, str]:
    """Return the files by their paths; `connections` are those of the readers `bi` and `finance`."""
    columns = {question.name: columns_of(connections[question.reader], question) for question in datasets()}
    asked = {question.name: question for question in datasets()}
    documents: dict[str, dict[str, Any]] = {"metadata": {"version": VERSION}}
    for reader, role in READERS.items():
        documents[f"databases/{role}"] = {
            "database_name": role,
            "sqlalchemy_uri": f"postgresql+psycopg2://{role}@localhost:5432/ecommpay",
            "expose_in_sqllab": True,
            "allow_dml": False,
            "extra": {},
            "uuid": identifier("database", reader),
            "version": VERSION,
        }
    for name, question in asked.items():
        documents[f"datasets/{READERS[question.reader]}/{name}"] = {
            "table_name": name,
            "description": f"{question.title}. {question.explanation}",
            "sql": question.query,
            "columns": [column.document() for column in columns[name].values()],
            "metrics": [
                {"metric_name": metric, "verbose_name": metric, "expression": expression}
                for metric, expression in metrics_of(name).items()
            ],
            "uuid": identifier("dataset", name),
            "version": VERSION,
            "database_uuid": identifier("database", question.reader),
        }
    for board in boards():
        documents[f"dashboards/{slug(board.title)}"] = board.document(columns)
        for chart in board.charts:
            documents[f"charts/{slug(chart.title)}"] = chart.document(asked[chart.ask], columns[chart.ask])
    return {f"{path}.yaml": _text(document) for path, document in documents.items()}


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it is."""


def _scalar(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _scalar)


def _text(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def main() -> None:
    """Write the bundle from a fresh database."""
    from pipelines.cli.accounts import migrated_warehouse, settings_of_all
    from pipelines.marts import build_marts

    settings = settings_of_all()
    with migrated_warehouse() as store:
        build_marts(store, *settings)
        with psycopg.connect(store.url) as connection:
            files = bundle(dict.fromkeys(READERS, connection))
    shutil.rmtree(TARGET, ignore_errors=True)
    for path, text in files.items():
        (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
