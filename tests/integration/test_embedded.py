"""The embedded PostgreSQL: it comes up where one is on its way already, and says in one line why it cannot."""

import hashlib
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from fixtures.commands import command
from resources.errors import WarehouseUnavailable
from resources.warehouse.embedded import embedded_url


def test_threads_that_ask_at_once_share_one_server(tmp_path):
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded_url(tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (url,) = set(urls)
    assert len(urls) == 3
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("ecommpay",)


def test_a_folder_of_another_major_version_is_told_in_one_line_with_where_to_look(tmp_path):
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(WarehouseUnavailable) as error:
        embedded_url(tmp_path)
    assert f"the embedded PostgreSQL in {folder} could not be started" in str(error.value)
    assert f"see {folder / 'log'}, or set DATABASE_URL" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["plain", "with a space", "it's", 'say "hi"', "dollar $HOME", "percent %41 #1", "Zażółć 東京", "x" * 120]
)
def test_b6_it_starts_whatever_the_folder_is_called(tmp_path, name):
    done = command("status", environment={"SYNC_DATA_DIR": str(tmp_path / name)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "The store is empty" in done.stdout
    digest = hashlib.sha256(str(tmp_path.resolve() / name / "postgres").encode()).hexdigest()
    assert not list(Path(tempfile.gettempdir()).glob(f"ecommpay-*-{digest[:12]}")), "its folder for the socket is gone"


def test_processes_with_other_folders_for_temporary_files_share_one_server(tmp_path):
    def status(number: int) -> subprocess.CompletedProcess:
        (tmp_path / f"temporary {number}").mkdir()
        own = {name: str(tmp_path / f"temporary {number}") for name in ("TMPDIR", "XDG_RUNTIME_DIR")}
        return command("status", environment=own | {"SYNC_DATA_DIR": str(tmp_path / "data")})

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(status, range(3)))
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3


def test_b6_it_starts_whatever_locale_and_other_servers_the_environment_names(tmp_path):
    done = command(
        "status",
        environment={
            "SYNC_DATA_DIR": str(tmp_path / "data"),
            "LANG": "uk_UA.UTF-8",
            "LC_ALL": "uk_UA.KOI8-U",
            "LC_MESSAGES": "xx_XX",
            "PGSERVICE": "nowhere",
            "PGSSLNEGOTIATION": "direct",
            "PGSSLMODE": "verify-full",
            "PGHOST": "no-such-host.invalid",
            "PGPORT": "1",
            "PGUSER": "nobody",
            "PGDATA": "/nowhere",
            "PGTZ": "nonsense",
            "PGOPTIONS": "--nonsense",
            "PGCLIENTENCODING": "nonsense",
            "PGTARGETSESSIONATTRS": "standby",
            "PGREQUIREAUTH": "scram-sha-256",
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "The store is empty" in done.stdout


def test_b6_its_own_words_are_shown_when_it_cannot_start(tmp_path):
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(WarehouseUnavailable, match=r"FATAL|postgresql\.conf"):
        embedded_url(tmp_path)


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line_and_its_end_says_no_more(tmp_path):
    (tmp_path / "postgres.lock").mkdir()  # which opens as little as a file on a read-only disk
    done = command("status", environment={"SYNC_DATA_DIR": str(tmp_path)})
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "could not be started" in done.stderr
    assert "/log" not in done.stderr, "there is none"
