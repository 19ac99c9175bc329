"""Who takes part in the bench: the command each is started with, its environment, where it stores, its versions."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from bench.environments import CONTENDERS, pinned, python_of
from bench.measure import clean_environment
from bench.truth import Place
from resources.sandbox import SandboxProcess

LAST = date(2025, 10, 31)  # fixed, so that every run of the bench has the same rows
DAYS = 31
FIRST = LAST - timedelta(days=DAYS - 1)
NOW = f"{LAST + timedelta(days=1)} 12:00:00"  # the sandbox's clock stands still: nothing moves under the readers


@dataclass(frozen=True)
class Contestant:
    """One of them. `arguments` makes its command for an interval."""

    name: str
    title: str
    versions: str
    place: Place
    arguments: Callable[[date, date], list[str]]
    extra: Mapping[str, str] = field(default_factory=dict)

    def environment(self, sandbox: SandboxProcess, database: str, folder: Path) -> dict[str, str]:
        """Give what its process gets to see, with a home of its own."""
        return environment_of(sandbox.url, sandbox.token, sandbox.secret, database, folder) | dict(self.extra)


def environment_of(url: str, token: str, secret: str, database: str, folder: Path) -> dict[str, str]:
    """Give the environment that every contestant is told its task by."""
    (folder / "dagster").mkdir(exist_ok=True)
    return clean_environment(
        DATA_API_BASE_URL=url,
        DATA_API_TOKEN=token,
        DATA_API_SECRET=secret,
        DATABASE_URL=database,
        DAGSTER_HOME=str(folder / "dagster"),
        HOME=str(folder),
        RUNTIME__DLTHUB_TELEMETRY="false",
    )


def our_command(first: date, last: date) -> list[str]:
    """Give the command as a user types it."""
    return [str(Path(sys.executable).parent / "ecommpay-sync"), "operations", "--from", str(first), "--to", str(last)]


def contender_command(environment: str, script: str, *more: str) -> Callable[[date, date], list[str]]:
    """Give what makes the command of a script under `contenders/`."""
    python = str(python_of(environment))
    return lambda first, last: [python, str(CONTENDERS / f"{script}.py"), str(first), str(last), *more]


def ours() -> Contestant:
    """Give ours: verification, versions, ledger, raw pages and Dagster included."""
    version, dagster = importlib.metadata.version("ecommpay-sync"), importlib.metadata.version("dagster")
    place = Place("core", "sum_initial_amount", "sum_initial_currency")
    return Contestant("ours", "ecommpay-sync", f"{version}, dagster {dagster}", place, our_command)


def contestants() -> list[Contestant]:
    """Give all that take part in the speed table, ours first."""
    plain = Place("public", "sum_initial_amount", "sum_initial_currency")
    arrow = Place("bench", "sum_initial_amount", "sum_initial_currency")
    nested = Place("bench", "sum_initial__amount", "sum_initial__currency")
    script = ", ".join(f"{name} {pinned('script', name)}" for name in ("httpx", "pandas", "psycopg"))
    dlt, arrow_version = pinned("dlt", "dlt"), pinned("dlt", "pyarrow")
    return [
        ours(),
        Contestant("script", "straightforward script", script, plain, contender_command("script", "script")),
        Contestant("dlt_default", "dlt, defaults", f"dlt {dlt}", nested, contender_command("dlt", "dlt_default")),
        Contestant(
            "dlt_tuned",
            "dlt, tuned",
            f"dlt {dlt}, pyarrow {arrow_version}",
            arrow,
            contender_command("dlt", "dlt_tuned"),
        ),
    ]
