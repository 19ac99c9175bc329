"""Every option and variable that names a file or a folder: whatever the name, it is used as it is, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.commands import fetch_all
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN

BOOKS = "entry_id,booked_at,operation_type,currency,amount\n{},2026-03-01,sale,EUR,1.00\n,2026-03-01,sale,EUR,1.00\n"
NAMES = (
    "plain.txt",
    "a b.txt",
    "Відлік №1.txt",
    'it\'s "so".txt',
    "100%s %d.txt",
    "#1;$HOME.txt",
    "-dash",
    "a\\b",
    "[red].t",
)
REFUSED = ("", ".", "folder", "missing/file", "plain.txt/file", "x" * 300)


@pytest.fixture
def bare(store_url, tmp_path):
    return {"DATABASE_URL": store_url, "SYNC_DATA_DIR": str(tmp_path / "data")}


def writers(tmp_path):
    """The commands that write a file, but for its name."""
    books = tmp_path / "books.csv"
    books.write_text(BOOKS.format(1), encoding="utf-8")
    return (
        ["metrics", "--textfile"],
        ["dictionary", "--output"],
        ["ledger", "import", str(books), "--accept-partial", "--rejects"],
    )


def test_a_file_of_any_name_is_written_whole(command, bare, tmp_path):
    folder = tmp_path / "out %s"
    folder.mkdir()
    for arguments in writers(tmp_path):
        for name in NAMES if arguments[0] == "metrics" else NAMES[2:3]:
            done = command(*arguments, f"{folder / name}", environment=bare)
            assert done.returncode in (0, 1), (name, done.stderr)
            assert (folder / name).stat().st_size > 0
            (folder / name).unlink()
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused_in_one_line_and_leaves_nothing(command, bare, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    (folder / "folder").mkdir(parents=True)
    (folder / "plain.txt").write_text("as it was")
    monkeypatch.chdir(folder)
    for arguments in writers(tmp_path):
        for name in REFUSED:
            done = command(*arguments, name if name in ("", ".") else str(folder / name), environment=bare)
            assert done.returncode == 2, (arguments, name, done.stderr)
            assert done.stderr.count("\n") == 1
            assert ("cannot be written: " if name else "it is empty; leave it out") in done.stderr
    assert sorted(path.name for path in folder.rglob("*")) == ["folder", "plain.txt"]
    assert (folder / "plain.txt").read_text() == "as it was"


def test_a_full_disk_is_no_wrong_setting(command, bare, tmp_path):
    for arguments in writers(tmp_path):
        done = command(*arguments, "/dev/full", environment=bare)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.endswith(
            "cannot be written: No space left on device: make room there, then run the same command again.\n"
        )


def test_a_working_folder_that_was_removed_is_told_in_one_line(bare, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    shell = f'rmdir "{gone}"; exec "{Path(sys.executable).parent / "ecommpay-sync"}" "$@"'
    for arguments in (["status"], ["init", "--no-input"], ["balances"]):
        gone.mkdir(exist_ok=True)
        done = subprocess.run(
            ["sh", "-c", shell, "sh", *arguments], cwd=gone, env=os.environ | bare, capture_output=True, check=False
        )
        told = b"ecommpay-sync: the working folder was removed: change into one that there is.\n"
        assert (done.returncode, done.stderr) == (2, told)


def test_a_file_of_dagster_that_cannot_be_opened_is_named_with_what_to_do(command, bare, tmp_path):
    home = tmp_path / "home"
    (home / "history" / "runs.db").mkdir(parents=True)  # as a file of somebody else is, which root would open
    api = {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET, "DAGSTER_HOME": str(home)}
    done = command("balances", environment=bare | api)
    told = f"Dagster's files in {home}: permission denied: let this user write there, or choose another place."
    assert (done.returncode, done.stderr) == (1, f"ecommpay-sync: {told}\n")


def test_a_link_stays_a_link_and_a_device_stays_a_device(command, bare, tmp_path):
    target, link, pipe = tmp_path / "target.prom", tmp_path / "link.prom", tmp_path / "pipe"
    link.symlink_to(target)
    assert command("metrics", "--textfile", str(link), environment=bare).returncode == 0
    assert link.is_symlink()
    assert target.stat().st_size > 0
    assert command("metrics", "--textfile", "/dev/null", environment=bare).returncode == 0
    assert Path("/dev/null").is_char_device()
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert command("metrics", "--textfile", str(pipe), environment=bare).returncode == 0
    assert os.read(reader, 10) != b""
    assert pipe.is_fifo()
    os.close(reader)


def test_books_that_cannot_be_read_are_refused_in_one_line(command, bare, tmp_path, store):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    for name in (
        "",
        ".",
        "folder.csv",
        "missing.csv",
        "empty.csv",
        "loop.csv",
        "empty.csv/x.csv",
        "x" * 300 + ".csv",
        "a",
    ):
        done = command("ledger", "import", name if name in ("", ".") else str(tmp_path / name), environment=bare)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (name, done.stderr)
    for number, name in enumerate(("a b.csv", "Відлік.csv", "it's.CSV", "100%s.csv", "#1$.csv")):
        (tmp_path / name).write_text(BOOKS.format(number).splitlines()[0] + f"\n{number},2026-03-01,sale,EUR,1.00\n")
        done = command("ledger", "import", str(tmp_path / name), environment=bare)
        assert done.returncode == 0, done.stderr
    assert len(fetch_all(store, "SELECT 1 FROM recon.ledger_entries")) == 5


def test_variables_that_name_a_file_or_folder_that_cannot_be_used_are_named(command, bare, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    api = bare | {"DATA_API_TOKEN": DEMO_TOKEN, "DATA_API_SECRET": DEMO_SECRET}
    folders = {
        "SYNC_REPORT_DIR": (["report", "--date", "2024-03-01"], api),
        "DAGSTER_HOME": (["balances"], api),
        "SYNC_DATA_DIR": (["balances"], api),
    }
    files = {
        "DATABASE_URL_FILE": (["status"], {}),
        "DATA_API_TOKEN_FILE": (["balances"], bare | {"DATA_API_SECRET": DEMO_SECRET}),
        "DATA_API_SECRET_FILE": (["balances"], bare | {"DATA_API_TOKEN": DEMO_TOKEN}),
        "ACCOUNTS_FILE": (["balances"], bare),
        "DOCUMENTS_FILE": (["documents"], api),
    }
    cases = [(name, value, *of) for name, of in folders.items() for value in ("file", "file/below")]
    cases += [
        (name, value, *of) for name, of in files.items() for value in ("folder", "missing", "file/below", "x" * 300)
    ]
    for name, value, arguments, environment in cases:
        done = command(*arguments, environment=environment | {name: str(tmp_path / value)})
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), (name, value, done.stdout, done.stderr)
        assert name in done.stderr, (value, done.stderr)
