"""The queue of breaks: out to a spreadsheet and back, handed out, explained together."""

from __future__ import annotations

import csv
import io
import uuid

import openpyxl
import pytest
from conftest import create_database, drop_database, url_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.commands import execute, fetch_all
from fixtures.reconciliation import (
    CUTOFF,
    DAY,
    NEXT,
    add_entries,
    add_operations,
    at,
    everything,
    reconcile,
)
from pipelines.marts import build_marts
from pipelines.reconciliation.break_files import read_breaks, write_breaks
from pipelines.reconciliation.breaks import (
    BreakFilter,
    Change,
    add_reason,
    apply_rows,
    change_breaks,
    list_breaks,
    owners,
    reasons,
    set_deadline,
)
from pipelines.reconciliation.matching import match
from resources.errors import ConfigError, Incomplete
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse


def missing(store, count: int, **fields) -> None:
    """That many operations of DAY that the books do not have."""
    add_entries(store, {"entry_id": "books", "booked_at": at("09:00", NEXT)})
    add_operations(store, *({"operation_id": f"m{number}", **fields} for number in range(count)))
    reconcile(store)


def write(store, path, **wanted):
    rows = list_breaks(store, "default", BreakFilter(**wanted), explained=True)
    names = [row.reason for row in reasons(store)]
    path.write_bytes(write_breaks(path.suffix, rows, owners(store, "default"), names))
    return path


def apply(store, path, by="Ann"):
    return apply_rows(store, "default", read_breaks(path), by)


def table(path) -> list[list]:
    if path.suffix == ".csv":
        return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))
    return [list(row) for row in openpyxl.load_workbook(path).worksheets[0].iter_rows(values_only=True)]


def save(path, rows, delimiter=",", encoding="utf-8-sig"):
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=delimiter).writerows(rows)
        path.write_bytes(text.getvalue().encode(encoding))
        return path
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def filled(rows, count, **cells):
    """The first rows of a table with these cells filled in."""
    head = rows[0]
    for row in rows[1 : count + 1]:
        for name, value in cells.items():
            row[head.index(name)] = value
    return rows


def people(store) -> list[tuple]:
    rows = fetch_all(store, "SELECT owner, reason, note, state, explained_by FROM recon.breaks ORDER BY break_id")
    return [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_500_breaks_go_out_and_300_come_back_at_once_and_a_second_time_changes_nothing(
    command, store, store_url, tmp_path, kind
):
    missing(store, 500)
    environment = {"DATABASE_URL": store_url, "DAGSTER_HOME": str(tmp_path)}
    path = tmp_path / f"queue{kind}"
    written = command("breaks", "--output", str(path), environment=environment)
    assert (written.returncode, written.stderr) == (0, "")
    assert "written: 500 breaks" in written.stdout
    save(path, filled(table(path), 300, owner="Eve", reason="Booked later", note="in the books of Monday"))

    applied = command("breaks", "apply", str(path), "--by", "Ann", environment=environment)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert "300 breaks changed" in applied.stdout
    done = ("Eve", "booked later", "in the books of Monday", "explained", "Ann")
    assert people(store) == [done] * 300 + [(None, None, None, "open", None)] * 200
    events = fetch_all(store, "SELECT event, actor, count(*) FROM recon.break_events GROUP BY 1, 2 ORDER BY 1, 2")
    assert [tuple(row.values()) for row in events] == [("explained", "Ann", 300), ("opened", "reconcile", 500)]

    before = everything(store)
    again = command("breaks", "apply", str(path), "--by", "Bob", environment=environment)
    assert again.returncode == 0
    assert "nothing to change; 300 say so already" in again.stdout
    reconcile(store)
    assert everything(store) == before


AMOUNTS = {  # currency, minor units: the cell of a workbook, that of a CSV file
    ("EUR", 999): (9.99, "9.99"),
    ("EUR", 123_456): (1234.56, "1234.56"),
    ("EUR", 1_234_567_890_12): (1234567890.12, "1234567890.12"),
    ("EUR", 2**53 + 1): ("90071992547409.93", "90071992547409.93"),
    ("JPY", 1_234_567): (1234567, "1234567"),
    ("KWD", 1_234_567): (1234.567, "1234.567"),
    ("CLF", 12_345_678): (1234.5678, "1234.5678"),
    ("XQQ", 1_234): ("1234 minor units", "1234 minor units"),
    ("XQQ", 100): ("100 minor units", "100 minor units"),
    ("EUR", 0): (0, "0.00"),
    ("EUR", None): (None, ""),
}


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_an_amount_of_any_size_and_currency_goes_out_as_a_spreadsheet_takes_it(store, tmp_path, kind):
    add_entries(store, {"entry_id": "books", "booked_at": at("09:00", NEXT)})
    sums = [{"sum_initial_currency": currency, "sum_initial_amount": minor} for currency, minor in AMOUNTS]
    add_operations(store, *({"operation_id": f"m{place:02}", **each} for place, each in enumerate(sums)))
    reconcile(store)
    head, *rows = table(write(store, tmp_path / f"queue{kind}"))
    written = [row[head.index("amount")] for row in sorted(rows, key=lambda row: row[head.index("operation")])]
    assert written == [cells[kind == ".csv"] for cells in AMOUNTS.values()]


def test_a_break_changed_meanwhile_is_named_with_what_changed_and_nothing_is_applied(store, tmp_path):
    missing(store, 5)
    path = write(store, tmp_path / "queue.xlsx")
    save(path, filled(table(path), 4, reason="test"))
    third = table(path)[3][0]
    change_breaks(store, "default", BreakFilter(ids=(third,)), Change(0, owner="Bob"), "Carl")
    before = everything(store)
    with pytest.raises(
        Incomplete, match=rf"row 4: break {third} was changed by Carl at .*: owner none → Bob;?.*"
    ) as told:
        apply(store, path)
    assert str(told.value).count("break ") == 1
    assert everything(store) == before
    rows = [row for row in table(path) if row[0] != third]
    assert apply(store, save(path, rows)).changed == 3, "the row taken out, the others go in"


def test_a_row_that_nobody_filled_in_stops_nothing_though_its_break_changed(store, tmp_path):
    missing(store, 3)
    change_breaks(store, "default", BreakFilter(ids=None), Change(0, owner="Eve"), "Ann")
    path = write(store, tmp_path / "queue.csv")
    rows = table(path)
    change_breaks(store, "default", BreakFilter(ids=(int(rows[3][0]),)), Change(0, owner="Bob"), "Carl")
    applied = apply(store, save(path, filled(rows, 1, note="seen")))
    assert (applied.changed, applied.untouched) == (1, 2)
    assert [row[:4] for row in people(store)] == [
        ("Eve", None, "seen", "open"),
        ("Eve", None, None, "open"),
        ("Bob", None, None, "open"),
    ]
    event = fetch_all(store, "SELECT event, actor FROM recon.break_events ORDER BY event_id DESC LIMIT 1")
    assert event == [{"event": "noted", "actor": "Ann"}]


CLEARED = {  # what a break said, the cells that were emptied, and what it says then
    "the owner": (("Eve", "test", "seen"), ("owner",), (None, "test", "seen", "explained", "Ann"), "assigned"),
    "the reason": (("Eve", "test", "seen"), ("reason",), ("Eve", None, "seen", "open", None), "changed"),
    "the note": (("Eve", "test", "seen"), ("note",), ("Eve", "test", None, "explained", "Ann"), "explained"),
    "all": (("Eve", "test", "seen"), ("owner", "reason", "note"), (None, None, None, "open", None), "changed"),
    "the note of an open one": (("Eve", None, "seen"), ("note",), ("Eve", None, None, "open", None), "noted"),
}


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_a_cell_that_was_filled_when_it_went_out_and_is_empty_when_it_comes_back_is_cleared(store, tmp_path, kind):
    missing(store, len(CLEARED) + 2)
    path = write(store, tmp_path / f"queue{kind}")
    rows = table(path)
    for row, (said, *_) in zip(rows[1:], [*CLEARED.values(), (("Eve", None, "seen"),)], strict=False):
        filled([rows[0], row], 1, **dict(zip(("owner", "reason", "note"), said, strict=True)))
    apply(store, save(path, rows))
    last = fetch_all(store, "SELECT max(event_id) AS last FROM recon.break_events")[0]["last"]
    rows = table(write(store, path))
    for row, (_, emptied, *_) in zip(rows[1:], CLEARED.values(), strict=False):
        filled([rows[0], row], 1, **dict.fromkeys(emptied))
    applied = apply(store, save(path, rows), by="Bob")
    assert (applied.changed, applied.untouched) == (len(CLEARED), 2)
    wanted = [state for _, _, state, _ in CLEARED.values()]
    assert people(store) == [*wanted, ("Eve", None, "seen", "open", None), (None, None, None, "open", None)]
    events = fetch_all(store, f"SELECT event, actor FROM recon.break_events WHERE event_id > {last} ORDER BY event_id")
    assert [tuple(row.values()) for row in events] == [(event, "Bob") for *_, event in CLEARED.values()]
    before = everything(store)
    assert apply(store, path, by="Carl").unchanged == len(CLEARED), "a second time changes nothing"
    assert everything(store) == before


def test_a_column_that_is_not_in_the_file_clears_nothing_and_a_command_gives_a_break_to_nobody(store, tmp_path):
    missing(store, 1)
    change_breaks(store, "default", BreakFilter(types=("missing_in_ledger",)), Change(0, "Eve", note="seen"), "Ann")
    rows = table(write(store, tmp_path / "queue.csv"))
    places = [rows[0].index(name) for name in ("id", "version", "note")]
    assert apply(store, save(tmp_path / "queue.csv", [[row[place] for place in places] for row in rows])).untouched == 1
    assert people(store) == [("Eve", None, "seen", "open", None)]
    change_breaks(store, "default", BreakFilter(types=("missing_in_ledger",)), Change(0, owner=""), "Ann")
    assert people(store) == [(None, None, "seen", "open", None)]


def spreadsheet(rows):
    """What spreadsheets and their users do to a list, none of which changes what it says."""
    head, body = rows[0], rows[1:]
    turned = [list(reversed(row)) for row in rows]
    return {
        "columns moved": turned,
        "columns added": [["mine", *row, "x"] for row in rows],
        "only what is needed": [
            [row[head.index(name)] for name in ("version", "id", "reason", "owner", "note")] for row in rows
        ],
        "sorted": [head, *sorted(body, key=str, reverse=True)],
        "empty rows": [head, [], *(line for row in body for line in (row, [None] * len(row))), []],
        "a sum below": [*rows, [*[None] * 5, "100.00", *[None] * (len(head) - 6)]],
        "names in capitals": [[str(name).upper() + " " for name in head], *body],
        "ids as floats": [head, *([float(row[0]), *row[1:-1], float(row[-1])] for row in body)],
        "ids as text": [head, *([f" {row[0]}.0", *row[1:-1], f"{row[-1]},00"] for row in body)],
        "spaces around": [head, *([*row[:-4], *(f" {cell or ''} " for cell in row[-4:-1]), row[-1]] for row in body)],
    }


@pytest.mark.parametrize("kind", [".xlsx", ".csv"])
def test_what_spreadsheets_do_to_a_list_changes_nothing_of_what_it_says(store, tmp_path, kind):
    missing(store, 3)
    path = write(store, tmp_path / f"queue{kind}")
    rows = filled(table(path), 2, owner="Eve", reason="test", note="one\ntwo")
    shapes = [(rows, ",", "utf-8-sig"), *((shape, ",", "utf-8") for shape in spreadsheet(rows).values())]
    shapes += [(rows, ";", "utf-8"), (rows, "\t", "utf-16")] * (kind == ".csv")
    wanted = sorted((int(row[0]), "Eve", "test", "one\ntwo") for row in rows[1:3])
    for shape, delimiter, encoding in shapes:
        read = read_breaks(save(path, shape, delimiter, encoding))
        found = sorted((row.break_id, row.owner, row.reason, row.note) for row in read if row.owner)
        assert found == wanted, shape[0]
    assert apply(store, path).changed == 2


def test_a_list_is_found_beside_sheets_without_anything_in_them(store, tmp_path):
    missing(store, 1)
    path = write(store, tmp_path / "queue.xlsx")
    book = openpyxl.load_workbook(path)
    book.create_sheet("Notes", 0)
    book["Breaks"].cell(2, table(path)[0].index("owner") + 1).value = "Eve"
    book.save(path)
    assert apply(store, path).changed == 1


def test_formulas_count_as_their_results_and_one_without_is_named(store, tmp_path):
    missing(store, 1)
    path = write(store, tmp_path / "queue.xlsx")
    save(path, filled(table(path), 1, owner='="E"&"ve"'))
    with pytest.raises(ConfigError, match="row 2: the owner has a formula and no value: open the file in a"):
        read_breaks(path)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"reason": "the weather"}, "row 2: 'the weather' is no reason: write one of"),
        ({"owner": "reconcile"}, "row 2: 'reconcile' is no name"),
        ({"owner": "x" * 101}, "row 2: a name has 101 characters"),
        ({"note": "x" * 4001}, "row 2: the note has 4,001 characters"),
        ({"id": "1.23457E+11", "owner": "Eve"}, "row 2: the id is '1.23457E\\+11'"),
        ({"id": 99999, "owner": "Eve"}, "row 2: there is no break 99999"),
        ({"version": 99999, "owner": "Eve"}, "row 2: there is no break .* of version 99999"),
        ({"version": None, "owner": "Eve"}, "row 2: the version is empty"),
        ({"id": None, "owner": "Eve"}, "row 2: the id is empty"),
    ],
)
def test_a_cell_that_cannot_be_taken_is_named_and_nothing_is_applied(shared_queue, tmp_path, cells, message):
    path = write(shared_queue, tmp_path / "queue.csv")
    before = everything(shared_queue)
    rows = filled(filled(table(path), 2, note="good"), 1, **cells)
    with pytest.raises(ConfigError, match=message):
        apply(shared_queue, save(path, rows))
    assert everything(shared_queue) == before


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "is empty"),
        ([["id", "owner"], [1, "Eve"]], "has no column version"),
        ([["id", "version"], [1, 1]], "has no column owner, reason or note"),
        ([["id", "version", "owner", "Owner"], [1, 1, "Eve", "Bob"]], "has the column owner twice"),
    ],
)
def test_a_file_that_is_no_list_of_breaks_is_refused(tmp_path, rows, message):
    with pytest.raises(ConfigError, match=message):
        read_breaks(save(tmp_path / "queue.csv", rows))


TEXTS = st.one_of(
    st.none(),
    st.sampled_from(["=1+1", "'=1", "+49 30", "@x", "-5", "0001", 'a "b", c;d', "one\ntwo", "ü→", "\u202e"]),
    st.text(min_size=1, max_size=20).filter(lambda text: text.strip().lower() != "reconcile"),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXTS, TEXTS, st.booleans()), min_size=3, max_size=3), st.sampled_from([".xlsx", ".csv"]))
def test_whatever_a_break_says_goes_out_and_comes_back_as_it_is(shared_queue, tmp_path, values, kind):
    """Round trip: an untouched list changes nothing; whatever is written into a break is written out again."""
    path = write(shared_queue, tmp_path / f"queue{kind}")
    assert apply(shared_queue, path).untouched == 3
    rows = list_breaks(shared_queue, "default", BreakFilter(), explained=True)
    wanted = []
    for row, (owner, note, explained) in zip(rows, values, strict=True):
        change = Change(row.break_id, owner, "test" if explained else None, note, explained=explained)
        try:
            change_breaks(shared_queue, "default", BreakFilter(ids=(row.break_id,)), change, "Ann")
        except ConfigError:
            continue  # not the name of a person, or an empty note
        wanted.append(row.break_id)
    path = write(shared_queue, path)
    before = everything(shared_queue)
    assert apply(shared_queue, path).untouched == 3
    assert everything(shared_queue) == before
    rewritten = write(shared_queue, tmp_path / f"again{kind}")
    assert table(rewritten) == table(path)
    for row in read_breaks(path):
        assert row.break_id in {state.break_id for state in rows}


@pytest.fixture(scope="module")
def shared_queue(server_url, template):
    name = f"ecommpay_test_{uuid.uuid4().hex[:12]}"
    create_database(server_url, name, template)
    with Warehouse(url_of(server_url, name)) as store:
        missing(store, 3)
        yield store
    drop_database(server_url, name)


def test_10_000_breaks_are_applied_at_once(store, tmp_path):
    missing(store, 10_000)
    path = write(store, tmp_path / "queue.csv")
    save(path, filled(table(path), 10_000, owner="Eve", reason="test"))
    assert apply(store, path).changed == 10_000


# In figures


def test_the_marts_show_match_rate_open_breaks_time_to_resolve_and_closed_days(store):
    build_marts(store, SyncSettings())
    add_operations(store, {"operation_id": "1"}, {"operation_id": "2"}, {"operation_id": "3"}, {"operation_id": "4"})
    add_entries(
        store,
        {"entry_id": "a", "operation_id": "1"},
        {"entry_id": "b", "operation_type": "x"},
        {"entry_id": "c", "operation_type": "x", "booked_at": at("12:00", NEXT)},
    )
    reconcile(store)
    match(store, "default", ["2"], ["b"], CUTOFF, by="Ann", note="the voucher")
    operations = BreakFilter(types=("missing_in_ledger",))
    change_breaks(store, "default", operations, Change(0, owner="Eve"), "Ann")
    (third, _) = list_breaks(store, "default", operations, explained=False)
    change_breaks(store, "default", BreakFilter(ids=(third.break_id,)), Change(0, note="seen", explained=True), "Ann")

    rates = fetch_all(store, "SELECT pass, matches, operations, operations_alone, match_rate FROM bi.recon_match_rate")
    assert {row["pass"]: row["matches"] for row in rates if row["matches"]} == {"operation_id": 1, "manual": 1}
    assert {(row["operations"], row["operations_alone"], float(row["match_rate"])) for row in rates} == {(4, 2, 0.5)}
    opened = fetch_all(
        store, "SELECT break_type, owner, breaks, breaks_overdue, amount_minor FROM bi.recon_open_breaks"
    )
    assert [tuple(row.values()) for row in opened] == [("missing_in_ledger", "Eve", 1, 1, 1000)]
    ended = fetch_all(store, "SELECT outcome, sum(breaks) AS breaks FROM bi.recon_resolution GROUP BY 1 ORDER BY 1")
    assert [tuple(row.values()) for row in ended] == [("explained", 1), ("resolved", 2)]
    days = fetch_all(store, "SELECT business_date, open_breaks, is_closed FROM bi.recon_days")
    assert [tuple(row.values()) for row in days] == [(DAY, 1, False)]


# In one command


def test_breaks_are_assigned_and_explained_by_ids_and_by_filters(store):
    add_entries(store, {"entry_id": "books", "booked_at": at("09:00", NEXT), "currency": "GBP"})
    add_operations(
        store,
        {"operation_id": "1"},
        {"operation_id": "2", "sum_initial_amount": 5_000},
        {"operation_id": "3", "sum_initial_currency": "USD"},
        {"operation_id": "4", "operation_completed_at": at("12:00", NEXT)},
    )
    reconcile(store)
    reconcile(store, NEXT)

    def chosen(**wanted):
        return {row.operation_id for row in list_breaks(store, "default", BreakFilter(**wanted), explained=False)}

    assert chosen(currency="EUR", least_minor=1_001) == {"2"}
    assert chosen(currency="EUR", most_minor=1_000) == {"1", "4"}
    assert chosen(types=("missing_in_ledger",), first_day=DAY, last_day=DAY) == {"1", "2", "3"}
    assert chosen(min_age=10**6) == set()
    numbers = {row.operation_id: row.break_id for row in list_breaks(store, "default", BreakFilter(), explained=True)}
    ids = BreakFilter(ids=(numbers["1"], numbers["3"]))
    assert len(change_breaks(store, "default", ids, Change(0, owner="Eve"), "Ann")) == 2
    assert chosen(owner="Eve") == {"1", "3"}
    euros = BreakFilter(currency="EUR")
    explanation = Change(0, reason="Platform", note="asked", explained=True)
    assert len(change_breaks(store, "default", euros, explanation, "Bob")) == 3
    assert chosen(currency="EUR") == set()
    states = fetch_all(store, "SELECT owner, reason, state, explained_by FROM recon.breaks ORDER BY operation_id")
    assert [tuple(row.values()) for row in states if row["reason"]] == [
        ("Eve", "platform", "explained", "Bob"),
        ("Bob", "platform", "explained", "Bob"),
        ("Bob", "platform", "explained", "Bob"),
    ]
    with pytest.raises(ConfigError, match="no unresolved break 999"):
        change_breaks(store, "default", BreakFilter(ids=(numbers["3"], 999)), explanation, "Bob")
    assert chosen(currency="USD") == {"3"}, "nothing of it was done"


def test_reasons_and_deadlines_are_kept_in_the_warehouse(store):
    missing(store, 1)
    assert add_reason(store, "Acquirer", "the acquirer is asked", "Ann")
    assert not add_reason(store, "acquirer", "again", "Bob")
    change_breaks(store, "default", BreakFilter(types=("missing_in_ledger",)), Change(0, reason="acquirer"), "Ann")
    (row,) = list_breaks(store, "default", BreakFilter(overdue=True), explained=False)
    assert (row.reason, row.is_overdue) == ("acquirer", True)
    set_deadline(store, "missing_in_ledger", 3650, "Ann")
    assert list_breaks(store, "default", BreakFilter(overdue=True), explained=False) == []


def test_a_note_alone_explains_nothing_also_when_the_break_comes_back(store):
    add_operations(store, {"operation_id": "1"})
    add_entries(store, {"entry_id": "a", "operation_id": "1", "amount_minor": 900})
    reconcile(store)
    change_breaks(store, "default", BreakFilter(types=("amount",)), Change(0, note="seen"), "Ann")
    for amount in (1000, 900):
        execute(store, f"UPDATE recon.ledger_entries SET amount_minor = {amount}")
        reconcile(store)
    assert people(store) == [(None, None, "seen", "open", None)]


def test_one_statement_over_many_breaks_leaves_an_event_of_its_own_kind_for_each(store):
    add_operations(store, *({"operation_id": str(n)} for n in (1, 2, 3)))
    add_entries(store, {"entry_id": "a", "booked_at": at("12:00", NEXT), "operation_type": "payout"})
    reconcile(store)
    execute(
        store,
        "UPDATE recon.breaks SET owner = 'Ann' WHERE operation_id = '2'; DELETE FROM recon.break_events;"
        "UPDATE recon.breaks SET owner = 'Bob', note = CASE WHEN operation_id = '1' THEN 'asked' END,"
        " state = CASE WHEN operation_id = '3' THEN 'resolved' ELSE state END",
    )
    events = fetch_all(
        store,
        "SELECT b.operation_id, e.event, e.owner FROM recon.break_events e JOIN recon.breaks b"
        " USING (account, break_id) ORDER BY 1",
    )
    assert [tuple(event.values()) for event in events] == [
        ("1", "changed", "Bob"),
        ("2", "assigned", "Bob"),
        ("3", "resolved", "Bob"),
    ]
