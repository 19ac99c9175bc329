"""From an export to the reconciliation: six systems' files by mappings that `ledger map` wrote, and the inbox."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import dagster as dg
import pytest

from fixtures.commands import fetch_all
from fixtures.reconciliation import DAY, everything, four_days, load_all, reconcile
from pipelines.cli.demo_data import write_demo_ledger
from pipelines.reconciliation import ledger_import
from pipelines.reconciliation.ledger_import import (
    files_at_rest,
    import_inbox,
    import_ledger,
    misplaced_files,
    refused_files,
)
from pipelines.reconciliation.mapping import read_mapping
from resources.currencies import exponent_of
from resources.errors import ConfigError
from resources.sandbox import SandboxServer

DECISIONS = {"zone": '"UTC"', "fraction_cells": "true", "dates": '"%m/%d/%Y %I:%M:%S %p"'}
MOST_EDITS = 5
EXPORTS = ("datev.csv", "sap-fbl3n.txt", "1c.csv", "quickbooks.csv", "xero.xlsx", "netsuite.csv")


def decided(path: Path) -> int:
    """Edit the lines that a first mapping leaves to decide, as a person does; return how many they were."""
    lines = path.read_text(encoding="utf-8").splitlines()
    edits = [n for n, line in enumerate(lines) if re.match(r'\w+ = "\?', line)]
    for n in edits:
        key = lines[n].split(" = ")[0]
        lines[n] = f"{key} = {DECISIONS[key]}"
    path.write_text("\n".join(lines), encoding="utf-8")
    return len(edits)


@pytest.fixture
def day(store, tmp_path):
    """A loaded warehouse, a demo day's own books as the contract has them, and as six systems export them."""
    with SandboxServer(four_days()) as sandbox:
        load_all(sandbox, store)
    write_demo_ledger(store, "default", DAY, tmp_path / "books.csv")
    return store, tmp_path


def entries_of(store) -> list[dict]:
    return fetch_all(
        store,
        "SELECT entry_id, booked_at, is_date_only, operation_type, status, currency, amount_minor, fee_minor,"
        " operation_id, project_id, payment_id, reference FROM recon.ledger_entries ORDER BY entry_id",
    )


def breaks_of_books(store) -> list[dict]:
    return fetch_all(
        store,
        "SELECT break_type, operation_id, entry_id, currency, amount_minor, state FROM recon.breaks"
        " ORDER BY break_type, operation_id, entry_id",
    )


def test_six_exports_of_a_day_reconcile_to_the_same_breaks_with_at_most_five_edited_lines_each(
    day, store_url, server_url, command
):
    store, folder = day
    environment = {
        "DATABASE_URL": store_url,
        "SYNC_DATA_DIR": str(folder),
        "SYNC_LEDGER_MAPPINGS": str(folder / "maps"),
    }
    # the first export alone makes the breaks
    first, *others = EXPORTS
    for name in EXPORTS:
        path, mapping = folder / "exports" / name, Path(name).stem
        done = command("ledger", "map", str(path), environment=environment)
        assert done.returncode == 0, done.stderr
        refused = command("ledger", "import", str(path), "--map", mapping, environment=environment)
        assert refused.returncode == 2
        assert "is not decided yet" in refused.stderr
        assert decided(folder / "maps" / f"{mapping}.toml") <= MOST_EDITS
        before = everything(store), entries_of(store)
        dry = command("ledger", "import", str(path), "--map", mapping, "--dry-run", environment=environment)
        assert dry.returncode == 0, dry.stderr
        assert "The first entries" in dry.stdout
        assert "nothing was written" in dry.stdout
        assert (everything(store), entries_of(store)) == before
        done = command("ledger", "import", str(path), "--map", mapping, environment=environment)
        assert done.returncode == 0, done.stderr
        if name == first:
            reconcile(store)
            found = breaks_of_books(store)
            assert len({row["break_type"] for row in found}) >= 8
        else:
            assert re.search(r"imported: 0 new, 0 corrected, [1-9][\d,]* unchanged", done.stdout)
    assert len(others) == 5
    import_ledger(store, "default", folder / "books.csv", "UTC", exponent_of)
    reconcile(store)
    assert breaks_of_books(store) == found
    (counts,) = fetch_all(
        store, "SELECT rows_new, rows_changed FROM recon.ledger_imports ORDER BY import_id DESC LIMIT 1"
    )
    assert set(counts.values()) == {0}, "the contract's file says the same"


MAPPING = """
separator = ";"
decimal = ","
dates = "%d.%m.%Y"
[fields]
entry_id = "Nr"
booked_at = "Datum"
operation_type = { value = "sale" }
currency = { value = "EUR" }
amount = "Betrag"
"""
GOOD = "Nr;Datum;Betrag\n1;05.03.2024;1,50\n2;05.03.2024;2,50\n"
BAD = "Nr;Datum;Betrag\n3;05.03.2024;1.50\n4;99.03.2024;2,50\n5;05.03.2024;2,50\n"


@pytest.fixture
def box(tmp_path):
    """An inbox with a folder for the mapping `books`, and one for files of the contract."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "books.toml").write_text(MAPPING)
    for name in ("books", "contract", "nonsuch"):
        (tmp_path / "inbox" / "default" / name).mkdir(parents=True)
    return tmp_path / "inbox"


def put(box: Path, place: str, content: str, *, seconds_ago: int = 60) -> Path:
    path = box / "default" / place
    path.write_text(content, encoding="utf-8")
    moment = time.time() - seconds_ago
    os.utime(path, (moment, moment))
    return path


def test_a_file_that_keeps_the_time_of_a_clock_that_is_ahead_is_taken_once_it_rests_here(box, monkeypatch):
    path = put(box, "contract/books.csv", "", seconds_ago=-86_400)
    assert files_at_rest(box, "default") == [], "it came just now"
    monkeypatch.setattr(ledger_import, "SECONDS_AT_REST", 0)
    assert files_at_rest(box, "default") == [path]


def take_in(store, box):
    return list(import_inbox(store, "default", box, box.parent / "maps", "UTC", exponent_of))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_files_of_the_inbox_are_imported_and_moved_and_refused_ones_lie_beside_their_report(store, box):
    put(box, "books/März 2024 – Nr. 1.csv", GOOD)
    put(box, "books/bad.csv", BAD, seconds_ago=50)
    put(box, "contract/own.csv", "entry_id,booked_at,operation_type,currency,amount\nX,2024-03-05,sale,EUR,1\n")
    put(box, "nonsuch/file.csv", GOOD)
    found = {result.name: result for result in take_in(store, box)}
    assert {name: result.imported is not None for name, result in found.items()} == {
        "März 2024 – Nr. 1.csv": True,
        "bad.csv": False,
        "own.csv": True,
        "file.csv": False,
    }
    assert [row["entry_id"] for row in entries_of(store)] == ["1", "2", "X"]
    books = box / "default" / "books"
    assert names(books) == ["done", "refused"]
    assert names(books / "done") == ["März 2024 – Nr. 1.csv"]
    assert names(books / "refused") == ["bad.csv", "bad.csv.report.txt"]
    report = (books / "refused" / "bad.csv.report.txt").read_text()
    assert "2 of 3 rows cannot be read" in report
    assert "row 2, Betrag: is no number as the mapping has it" in report
    assert "row 3, Datum: is no date as the mapping has it" in report
    assert "there is no mapping 'nonsuch'" in next((box / "default/nonsuch/refused").glob("*.txt")).read_text()
    assert refused_files(box, "default") == ["default/books/refused/bad.csv", "default/nonsuch/refused/file.csv"]
    assert take_in(store, box) == []


def test_a_link_is_refused_unread_since_it_may_lead_to_any_file_of_this_machine(store, box):
    secret = box.parent / "secret.csv"
    secret.write_text("entry_id,booked_at,operation_type,currency,amount,password\nX,2024-03-05,sale,EUR,1,hunter2\n")
    os.utime(secret, (0, 0))
    (box / "default/contract/books.csv").symlink_to(secret)
    (result,) = take_in(store, box)
    assert "is a link: put the file itself into the inbox" in result.sentence
    report = (box / "default/contract/refused/books.csv.report.txt").read_text()
    assert "password" not in report
    assert secret.exists()
    assert refused_files(box, "default") == ["default/contract/refused/books.csv"]


def test_a_file_with_other_columns_is_told_so(store, box):
    put(box, "contract/books.csv", "entry,amount\nX,1\n")
    (result,) = take_in(store, box)
    assert "its columns are not those of the mapping; nothing of it was imported" in result.sentence


def test_an_inbox_that_is_not_there_is_no_empty_one(store, box):
    with pytest.raises(ConfigError, match="is no folder: make or mount it"):
        list(import_inbox(store, "default", box / "away", box.parent / "maps", "UTC", exponent_of))
    assert take_in(store, box) == []


def test_the_same_file_twice_changes_nothing_and_stays_beside_the_first(store, box):
    put(box, "books/march.csv", GOOD)
    take_in(store, box)
    before = entries_of(store)
    put(box, "books/march.csv", GOOD)
    (again,) = take_in(store, box)
    assert (again.imported.rows_new, again.imported.rows_changed, again.imported.rows_unchanged) == (0, 0, 2)
    assert entries_of(store) == before
    assert names(box / "default/books/done") == ["march (2).csv", "march.csv"]


def test_a_file_that_is_still_written_is_left_until_it_rests(store, box):
    put(box, "books/march.csv", GOOD[:-9], seconds_ago=1)
    put(box, "books/april.csv.part", GOOD)
    put(box, "books/.hidden.csv", GOOD)
    assert files_at_rest(box, "default") == []
    assert take_in(store, box) == []
    assert names(box / "default/books") == [".hidden.csv", "april.csv.part", "march.csv"]
    put(box, "books/march.csv", GOOD)
    assert [result.name for result in take_in(store, box)] == ["march.csv"]


def test_a_file_that_grows_while_it_is_read_is_left_whole_for_the_next_time(store, box, monkeypatch):
    path = put(box, "books/march.csv", GOOD)
    mapping = read_mapping("books", box.parent / "maps")

    def grow(currency, day):
        with path.open("a") as file:
            file.write("9;05.03.2024;9,50\n")
        return exponent_of(currency, day)

    with pytest.raises(ConfigError, match="was written while it was read"):
        import_ledger(store, "default", path, "UTC", grow, mapping=mapping)
    assert entries_of(store) == []
    assert list(import_inbox(store, "default", box, box.parent / "maps", "UTC", grow)) == []
    assert names(box / "default/books") == ["march.csv"]


def test_a_crash_between_import_and_move_is_harmless(store, box, monkeypatch):
    put(box, "books/march.csv", GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_import, "_move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            take_in(store, box)
    before = entries_of(store)
    assert len(before) == 2
    (result,) = take_in(store, box)
    assert result.imported.rows_unchanged == 2
    assert entries_of(store) == before
    assert names(box / "default/books/done") == ["march.csv"]


def test_the_command_imports_the_inbox_and_says_what_became_of_each_file(store_url, box, command):
    put(box, "books/march.csv", GOOD)
    put(box, "books/bad.csv", BAD)
    put(box, "lost.csv", GOOD)
    environment = {"DATABASE_URL": store_url, "SYNC_DATA_DIR": str(box.parent), "SYNC_LEDGER_INBOX": str(box)}
    environment |= {"SYNC_LEDGER_MAPPINGS": str(box.parent / "maps")}
    done = command("ledger", "inbox", environment=environment)
    assert done.returncode == 1
    assert "books/march.csv: imported: 2 new, 0 corrected, 0 unchanged" in done.stdout
    assert "books/bad.csv: refused: 2 of 3 rows cannot be read" in done.stdout
    assert "default/lost.csv is read by nobody: its place is ACCOUNT/MAPPING, and ACCOUNT is default" in done.stdout
    assert "1 of 2 files refused: the reports are beside them; 1 file read by nobody: move or delete." in done.stderr
    (box / "default/lost.csv").unlink()
    done = command("ledger", "inbox", environment=environment)
    assert (done.returncode, done.stdout) == (0, f"no file is complete in {box / 'default'}\n")
    del environment["SYNC_LEDGER_INBOX"]
    done = command("ledger", "inbox", environment=environment)
    assert done.returncode == 2
    assert "SYNC_LEDGER_INBOX is not set" in done.stderr


@pytest.mark.parametrize(
    ("place", "told"),
    {
        "acmee/contract/march.csv": "acme",  # a misspelt account
        "Globex/contract/march.csv": "globex",
        "elsewhere/contract/march.csv": "acme",  # near no name: the first account is told
        "acmee/march.csv": "acme",
        "march.csv": "acme",
        "globex/march.csv": "globex",  # without a mapping
        "globex/contract/2024/march.csv": "globex",
        "globex/contract/march.csv": None,
        "globex/contract/refused/march.csv": None,
        "acmee/contract/done/march.csv": None,  # of an account that was taken out
        "acmee/contract/.march.csv": None,
        "acmee/contract/march.csv.part": None,
    }.items(),
)
def test_a_file_that_nothing_reads_is_told_to_one_account(tmp_path, place, told):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(GOOD)
    os.utime(path, (1, 1))
    found = {account: misplaced_files(tmp_path, account, ["acme", "globex"]) for account in ("acme", "globex")}
    sentence = f"{place} is read by nobody: its place is ACCOUNT/MAPPING, and ACCOUNT is acme or globex"
    assert found == {account: [sentence] if account == told else [] for account in found}


def test_a_dry_run_shows_totals_and_each_row_that_would_be_refused_and_writes_nothing(store, store_url, box, command):
    (box / "bad.csv").write_text(BAD)
    environment = {"DATABASE_URL": store_url, "SYNC_LEDGER_MAPPINGS": str(box.parent / "maps")}
    done = command("ledger", "import", str(box / "bad.csv"), "--map", "books", "--dry-run", environment=environment)
    assert done.returncode == 1
    assert re.search(r"^5 +2024-03-05 +sale +success +EUR +2\.50", done.stdout, re.MULTILINE)
    assert re.search(r"^EUR +sale +success +1 +2\.50$", done.stdout, re.MULTILINE)
    assert re.search(r"^ *2 +Betrag +is no number as the mapping has it", done.stdout, re.MULTILINE)
    assert re.search(r"^ *3 +Datum +is no date as the mapping has it", done.stdout, re.MULTILINE)
    assert "understood: 1 entries of 3 rows" in done.stdout
    assert "2 rows of bad.csv would be refused" in done.stderr
    assert entries_of(store) == []


def test_with_an_inbox_the_night_imports_before_it_reconciles_and_a_sensor_asks_by_day(store_url, box, monkeypatch):
    from pipelines.definitions import definitions
    from resources.accounts import accounts_of

    environment = {
        "SYNC_LEDGER_INBOX": str(box),
        "SYNC_LEDGER_MAPPINGS": str(box.parent / "maps"),
        "DATABASE_URL": store_url,
        "DATA_API_TOKEN": "a" * 30,
        "DATA_API_SECRET": "s",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    defs = definitions(accounts_of())
    night = defs.resolve_job_def("nightly").asset_layer.asset_graph
    assert dg.AssetKey("ledger_entries") in night.get(dg.AssetKey("reconciliation")).parent_keys
    assert dg.AssetKey("ledger_entries") in night.executable_asset_keys
    sensor = defs.get_repository_def().get_sensor_def("ledger_inbox")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    put(box, "books/march.csv", GOOD)
    put(box, "books/bad.csv", BAD)
    (box / "defalt/books").mkdir(parents=True)
    put(box, "../defalt/books/april.csv", GOOD)
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance=instance) as context:
            (first,) = sensor.evaluate_tick(context).run_requests
            (again,) = sensor.evaluate_tick(context).run_requests
        assert first.run_key == again.run_key
        result = defs.resolve_job_def("import_ledger").execute_in_process(instance=instance)
        assert result.success
        (event,) = result.asset_materializations_for_node("ledger_entries")
        assert (event.metadata["files"].value, event.metadata["refused"].value) == (2, 1)
        checks = {check.check_name: (check.passed, check.description) for check in result.get_asset_check_evaluations()}
        assert checks.keys() == {"no_file_refused", "no_file_misplaced"}
        assert not checks["no_file_refused"][0]
        assert "default/books/refused/bad.csv was refused" in checks["no_file_refused"][1]
        assert not checks["no_file_misplaced"][0]
        assert "defalt/books/april.csv is read by nobody" in checks["no_file_misplaced"][1]
        with dg.build_sensor_context(instance=instance) as context:
            assert sensor.evaluate_tick(context).run_requests == []
