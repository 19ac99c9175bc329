"""The completeness table: what ours and two other offset paginators lose and double, by behaviour of the server."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import psycopg

from bench.contestants import contender_command, environment_of, our_command
from bench.database import Server, server
from bench.environments import pinned
from bench.report import table, write_section
from bench.scenarios import BEHAVIOURS, FIRST, LAST, ROWS, Handed, Outcome, Read, outcome_of
from resources.sandbox import DEMO_SECRET, DEMO_TOKEN, SandboxServer

PATIENCE = 300  # seconds


def completeness() -> None:
    """Let each read from each server, and write the section."""
    others = {
        f"dlt {pinned('dlt', 'dlt')}, `OffsetPaginator`": _reads("dlt", "dlt_walk"),
        f"Airbyte CDK {pinned('airbyte', 'airbyte-cdk')}, `OffsetIncrement`": _reads("airbyte", "airbyte_walk"),
    }
    rows = []
    with server() as postgres:
        readers = {"ecommpay-sync": _our_read(postgres), **others}
        for behaviour in BEHAVIOURS:
            outcomes = [outcome_of(behaviour, read) for read in readers.values()]
            rows.append([behaviour.title, *(_cell(outcome) for outcome in outcomes)])
            print("  completeness: " + " | ".join(rows[-1]), flush=True)
    text = f"{ROWS:,} operations; each cell: rows lost / rows doubled, and how the run ended.\n\n"
    write_section("completeness", text + table(["the server", *readers], rows))


def _cell(outcome: Outcome) -> str:
    return f"{outcome.lost:,} / {outcome.doubled:,}, {'green' if outcome.green else 'red'}"


def _our_read(postgres: Server) -> Read:
    def read(sandbox: SandboxServer) -> Handed:
        with postgres.database("completeness") as database, tempfile.TemporaryDirectory() as home:
            ended = _run(our_command(FIRST, LAST), sandbox, database, Path(home))
            with psycopg.connect(database) as connection:
                ids = connection.execute("SELECT operation_id FROM core.operations").fetchall()
                (met,) = connection.execute("SELECT coalesce(sum(rows_met), 0)::bigint FROM sync.windows").fetchone()
            return Handed(frozenset(identifier for (identifier,) in ids), met, green=ended == 0)

    return read


def _reads(environment: str, script: str) -> Read:
    def read(sandbox: SandboxServer) -> Handed:
        with tempfile.TemporaryDirectory() as home:
            ids = Path(home) / "ids.txt"
            command = contender_command(environment, script, str(ids))(FIRST, LAST)
            ended = _run(command, sandbox, "", Path(home))
            handed = ids.read_text(encoding="utf-8").split() if ids.exists() else []
            return Handed.of(handed, green=ended == 0)

    return read


def _run(command: list[str], sandbox: SandboxServer, database: str, folder: Path) -> int:
    environment = environment_of(sandbox.url, DEMO_TOKEN, DEMO_SECRET, database, folder)
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    if done.returncode:
        print(f"  {Path(command[0]).name}: exit status {done.returncode}: {done.stderr.strip()[-300:]}", flush=True)
    return done.returncode
