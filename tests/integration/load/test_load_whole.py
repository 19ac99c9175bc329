"""A load that ends anywhere leaves all of it, or nothing."""

from __future__ import annotations

import psycopg
import pytest
import sqlalchemy

import sql
from fixtures.commands import fetch_all
from fixtures.load import (
    STATEMENTS,
    TABLES,
    Killed,
    cut_connections,
    everything,
    ledger_is_sound,
    load_rows,
    page_of,
    row,
    started,
)
from resources.errors import WarehouseBroken, WarehouseUnavailable
from resources.warehouse import load
from resources.warehouse.engine import Warehouse
from resources.warehouse.ledger import LoadReport


def _kill(store: Warehouse, name: str) -> str:
    raise Killed


def _cut(store: Warehouse, name: str) -> str:
    cut_connections(store)
    return sql.text(name)


def _fail(store: Warehouse, name: str) -> str:
    return "SELECT 1 / 0"


WAYS = {
    "the process is killed": (_kill, Killed),
    "the connection is cut": (_cut, WarehouseUnavailable),
    "the statement fails": (_fail, WarehouseBroken),
}


@pytest.fixture
def loaded(store):
    """A store with something of everything in it."""
    load_rows(store, row(1, "processing"), row(2), {"arn": "without id"}, pages=[page_of()])
    return store


def load_second(store: Warehouse) -> LoadReport:
    """A window that has everything: a new, a changed, an unchanged row, a reject met before and a new one, pages."""
    rows = [row(1, "success"), row(2), row(3), {"arn": "without id"}, {"arn": "nor this"}]
    return load_rows(store, *rows, second=5, pages=[page_of(), page_of()], unrequested=["bank_name"])


def nothing_of_it_is_stored(store: Warehouse, before: dict) -> bool:
    staging = fetch_all(store, "SELECT relname FROM pg_class WHERE relname LIKE 'staging%'")
    return everything(store) == before and staging == []


def all_of_it_is_stored(store: Warehouse) -> bool:
    counts = {table: len(rows) for table, rows in everything(store).items()}
    return counts == dict(zip(TABLES, (3, 1, 2, 3, 2), strict=True)) and ledger_is_sound(store)


def test_these_are_the_statements_of_a_load_in_their_order(loaded, monkeypatch):
    names = []
    real = sql.text
    with monkeypatch.context() as patch:
        patch.setattr(sql, "text", lambda name: names.append(name) or real(name))
        load_second(loaded)
    assert tuple(name for name in names if name != "warehouse/ledger/start_run") == STATEMENTS
    assert all_of_it_is_stored(loaded)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_load_that_ends_at_any_statement_leaves_nothing_and_the_next_one_works(loaded, monkeypatch, statement):
    before = everything(loaded)
    real = sql.text
    for way, (interrupt, error) in WAYS.items():
        with monkeypatch.context() as patch:

            def text(name, interrupt=interrupt):
                if name != statement:
                    return real(name)
                patch.setattr(sql, "text", real)
                return interrupt(loaded, name)

            patch.setattr(sql, "text", text)
            with pytest.raises(error):
                load_second(loaded)
        assert nothing_of_it_is_stored(loaded, before), way
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


def test_a_load_that_is_cut_off_in_the_middle_of_its_rows_leaves_nothing(loaded, monkeypatch):
    before = everything(loaded)
    write = psycopg.Copy.write

    def half(copy, data):
        write(copy, data[: len(data) // 2])
        cut_connections(loaded)
        write(copy, data[len(data) // 2 :])

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Copy, "write", half)
        with pytest.raises(WarehouseUnavailable):
            load_second(loaded)
    assert nothing_of_it_is_stored(loaded, before)
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


@pytest.mark.parametrize("way", ["the process is killed", "the connection is cut"])
def test_a_load_that_ends_right_before_its_commit_leaves_nothing(loaded, way):
    before = everything(loaded)
    interrupt, error = WAYS[way]
    scope = started(loaded)
    sqlalchemy.event.listen(loaded._engine, "commit", lambda _: interrupt(loaded, STATEMENTS[0]), once=True)
    with pytest.raises(error):
        load_rows(loaded, row(1, "success"), row(3), {"arn": "nor this"}, second=5, pages=[page_of()], scope=scope)
    assert nothing_of_it_is_stored(loaded, before)
    load_second(loaded)
    assert all_of_it_is_stored(loaded)


LOSSES = {
    "a row is lost": lambda data: data[data.index(b"\n") + 1 :],
    "a row is doubled": lambda data: data[: data.index(b"\n") + 1] + data,
    "an amount is changed": lambda data: data.replace(b",4711,", b",4712,"),
    "an amount is lost": lambda data: data.replace(b",4711,", b",,"),
    "a currency is changed": lambda data: data.replace(b'"EUR"', b'"USD"', 1),
    "a status is lost": lambda data: data.replace(b'"success"', b"", 1),
    "nothing arrives": lambda data: b"",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_that_arrive_otherwise_than_they_were_sent_are_not_stored(loaded, monkeypatch, loss):
    before = everything(loaded)
    real = load._csv

    def changed(table):
        assert LOSSES[loss](real(table)) != real(table)
        return LOSSES[loss](real(table))

    with monkeypatch.context() as patch:
        patch.setattr(load, "_csv", changed)
        with pytest.raises(WarehouseBroken, match="what PostgreSQL received differs from what was sent") as error:
            load_rows(loaded, row(3), row(4, amount=4711), second=5)
    assert "\n" not in str(error.value)
    assert nothing_of_it_is_stored(loaded, before)
