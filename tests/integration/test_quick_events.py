"""Dagster's event log over kept connections: its own events in its own files, and nothing lost when killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy

from fixtures.commands import ROOT
from pipelines.cli.quick_events import quick_events

RUN = "a-run-of-the-tests"
EVERY_WAY = pytest.mark.parametrize("way", [quick_events, nullcontext], ids=["quick", "Dagster's own"])


@pytest.fixture(scope="module")
def new_home(tmp_path_factory):
    """A DAGSTER_HOME as the command makes it, in which nothing has run."""
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "dagster.yaml").write_text((ROOT / "deploy" / "dagster.local.yaml").read_text())
    with opened(folder):
        return folder


@pytest.fixture
def home(new_home, tmp_path):
    return Path(shutil.copytree(new_home, tmp_path / "home"))


@pytest.fixture
def other_home(new_home, tmp_path):
    return Path(shutil.copytree(new_home, tmp_path / "other"))


def opened(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(home))


def entry(text: object) -> dg.EventLogEntry:
    return dg.EventLogEntry(
        error_info=None, level="INFO", user_message=str(text), run_id=RUN, timestamp=time.time(), dagster_event=None
    )


def store(instance: dg.DagsterInstance, *texts: object) -> None:
    for text in texts:
        instance.event_log_storage.store_event(entry(text))


def stored(home: Path) -> list[str]:
    """What Dagster itself reads back, with connections of its own."""
    with opened(home) as instance:
        return [found.user_message for found in instance.all_logs(RUN)]


def files(home: Path) -> set[Path]:
    return set((home / "history" / "runs").glob("*.db"))


def open_files(home: Path) -> set[Path]:
    """The event log's files that this process holds open."""
    held = {link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    return held & files(home)


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(["a", "b"]), check_specs=[dg.AssetCheckSpec("whole", asset="numbers")]
)
def numbers(context):
    context.log.info("counted")
    return dg.MaterializeResult(metadata={"rows": 7}, check_results=[dg.AssetCheckResult(passed=True)])


# The events, their tables and their files stay Dagster's


def test_a_run_leaves_the_events_that_it_leaves_without_it(home, other_home):
    left = []
    for place, way in ((home, quick_events), (other_home, nullcontext)):
        with opened(place) as instance, way(instance):
            done = dg.materialize([numbers], instance=instance, partition_key="a")
            inside = [found.dagster_event_type for found in instance.all_logs(done.run_id)]
        with opened(place) as instance:
            logs = instance.all_logs(done.run_id)
            assert [found.dagster_event_type for found in logs] == inside, "read back as it was read meanwhile"
            (made,) = instance.fetch_materializations(dg.AssetKey("numbers"), limit=9).records
            assert made.asset_materialization.metadata["rows"].value == 7
            assert instance.get_materialized_partitions(dg.AssetKey("numbers")) == {"a"}
            key = dg.AssetCheckKey(dg.AssetKey("numbers"), "whole")
            (check,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=9)
            assert check.status.value == "SUCCEEDED"
            told = [found.user_message for found in logs if found.user_message == "counted"]
            left.append((inside, told, {file.name.replace(done.run_id, "run") for file in files(place)}))
    assert left[0] == left[1]
    assert left[0][1] == ["counted"]
    assert len(left[0][0]) > 10


def test_the_tables_are_those_that_dagster_makes(home, other_home):
    made = []
    for place, way in ((home, quick_events), (other_home, nullcontext)):
        with opened(place) as instance, way(instance):
            store(instance, 1)
        for file in sorted(files(place)):
            with closing(sqlite3.connect(file)) as connection:
                schema = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
                version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
                made.append((file.name, schema, version, connection.execute("PRAGMA journal_mode").fetchall()))
    assert made[:2] == made[2:]
    assert [name for name, *_ in made[:2]] == [f"{RUN}.db", "index.db"]


def test_a_file_that_was_written_without_it_is_continued_and_the_other_way_round(home):
    for way, number in ((nullcontext, 1), (quick_events, 2), (nullcontext, 3), (quick_events, 4)):
        with opened(home) as instance, way(instance):
            store(instance, number)
    assert stored(home) == ["1", "2", "3", "4"]


def test_another_storage_is_left_as_it_is():
    with dg.DagsterInstance.ephemeral() as instance:
        before = dict(vars(instance.event_log_storage))
        with quick_events(instance):
            assert vars(instance.event_log_storage) == before
            store(instance, 1)
        assert [found.user_message for found in instance.all_logs(RUN)] == ["1"]


# One connection a file, kept while the command runs


def connections_made(work) -> int:
    made = []

    def count(*_):
        made.append(1)

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", count)
    try:
        work()
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", count)
    return len(made)


@EVERY_WAY
def test_no_event_but_the_first_of_a_file_makes_a_connection(home, way):
    with opened(home) as instance, way(instance):
        store(instance, 0)
        made = connections_made(lambda: store(instance, *range(1, 21)))
    assert made == (0 if way is quick_events else 20)
    assert len(stored(home)) == 21


@pytest.mark.parametrize("fails", [False, True])
def test_at_the_end_the_files_are_let_go_and_the_storage_has_its_own_connections_again(home, fails):
    with opened(home) as instance:
        storage = instance.event_log_storage
        own = storage.run_connection, storage.index_connection
        with suppress(ZeroDivisionError), quick_events(instance):
            store(instance, 1)
            instance.get_materialized_partitions(dg.AssetKey("numbers"))
            assert open_files(home) == files(home) != set(), "kept meanwhile"
            assert 1 / (not fails)
        assert open_files(home) == set()
        assert (storage.run_connection, storage.index_connection) == own
        store(instance, 2)
    assert stored(home) == ["1", "2"]


# A transaction, of one thread at a time


def test_what_fails_half_way_leaves_nothing_and_the_next_event_is_stored(home):
    with opened(home) as instance, quick_events(instance):
        store(instance, 1)
        storage = instance.event_log_storage
        with suppress(ZeroDivisionError), storage.run_connection(RUN) as connection:
            assert connection.execute(storage.prepare_insert_event(entry("half"))).rowcount == 1
            raise ZeroDivisionError
        store(instance, 2)
    assert stored(home) == ["1", "2"]


def test_threads_that_write_at_once_lose_nothing(home):
    with opened(home) as instance, quick_events(instance), ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(store, instance, *range(first, first + 20)) for first in range(0, 160, 20)]:
            done.result()
    assert sorted(map(int, stored(home))) == list(range(160))


def test_another_process_that_is_writing_is_waited_for(home):
    with opened(home) as instance, quick_events(instance):
        store(instance, 1)
        (file,) = (file for file in files(home) if file.stem == RUN)
        with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            end = threading.Timer(0.7, other.execute, ["COMMIT"])
            begun = time.monotonic()
            end.start()
            store(instance, 2)
            assert time.monotonic() - begun > 0.6
            end.join()
    assert stored(home) == ["1", "2"]


def test_another_process_reads_what_was_written_while_the_connections_are_kept(home):
    with opened(home) as instance, quick_events(instance):
        store(instance, 1)
        assert stored(home) == ["1"]
        store(instance, 2)
        assert stored(home) == ["1", "2"]


# Killed


WRITES = f"""
import itertools, time
import dagster as dg
from pipelines.cli.run import dagster_instance
with dagster_instance() as instance:
    for number in itertools.count(1):
        instance.event_log_storage.store_event(dg.EventLogEntry(
            error_info=None, level="INFO", user_message=str(number), run_id={RUN!r}, timestamp=time.time(),
            dagster_event=None))
        instance.report_runless_asset_event(dg.AssetMaterialization("days", partition=str(number)))
        print(number, flush=True)
"""


def test_a_process_that_is_killed_loses_no_event_that_was_committed(home):
    """By the command's own instance, which also spares SQLite the wait for the disk."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "DAGSTER_HOME": str(home)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITES], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        told = [process.stdout.readline() for _ in range(100)]
        process.kill()
        told += process.stdout.readlines()
    assert process.returncode == -9
    committed = [line.strip() for line in told if line.endswith("\n")]
    assert committed[:100] == [str(number) for number in range(1, 101)]
    found = stored(home)
    assert found[: len(committed)] == committed
    assert len(found) <= len(committed) + 1, "at most the one that was not told of yet"
    with opened(home) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("days")) >= set(committed)
    for file in files(home):
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
