"""`ecommpay-sync` run many times: each time a process of its own, forked from one that has the libraries imported.

Importing them is most of a small run. All that is the project's is imported, read and done anew by each process, whose
output and exit code are its own. That the command starts from nothing is shown by every test that uses support.command.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LIBRARIES = (
    *("dagster", "httpx", "openpyxl", "orjson", "pandas", "psycopg"),
    *("pyarrow", "sqlalchemy", "typer", "xlsxwriter"),
)


class QuickCommands:
    """Calls as support.command does, one after the other."""

    def __init__(self, server: subprocess.Popen, folder: Path) -> None:
        self._server = server
        self._output, self._errors = folder / "stdout", folder / "stderr"

    def __call__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess:
        told = {
            "arguments": arguments,
            "environment": inherited() | dict(environment or {}),
            "outputs": [str(self._output), str(self._errors)],
        }
        self._server.stdin.write(json.dumps(told) + "\n")
        self._server.stdin.flush()
        code = self._server.stdout.readline()
        assert code, "the process that starts the commands has ended"
        said = (file.read_text(encoding="utf-8") for file in (self._output, self._errors))
        return subprocess.CompletedProcess(arguments, int(code), *said)


@contextmanager
def quick_commands() -> Iterator[QuickCommands]:
    with tempfile.TemporaryDirectory(prefix="ecommpay-commands-") as folder:
        with subprocess.Popen(
            [sys.executable, __file__],
            env=inherited(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            yield QuickCommands(server, Path(folder))
            server.stdin.close()
        assert server.returncode == 0


def inherited() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key in {"PATH", "HOME", "LANG", "TMPDIR"}}


def serve() -> None:
    """Start a process for each line that is read, and tell its exit code; in that process, be the command."""
    for name in LIBRARIES:
        __import__(name)
    gc.freeze()  # or each process would copy what it looks through at its end
    for line in sys.stdin:
        told = json.loads(line)
        process = os.fork()
        if process == 0:
            become_the_command(told)
            return
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become_the_command(told: dict) -> None:
    os.environ.clear()
    os.environ.update(told["environment"])
    sys.argv = [str(Path(sys.executable).parent / "ecommpay-sync"), *told["arguments"]]
    for number, file in enumerate(told["outputs"], 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    from pipelines.cli import main

    main()


if __name__ == "__main__":
    serve()
