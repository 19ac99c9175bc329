"""Runs a command as a whole process and measures it: wall time, CPU, peak memory; kills it when it takes too long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT = 900  # seconds
LAUNCH = Path(__file__).resolve().parent / "launch.py"
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """One run. `cpu` and `peak_mb` (of the largest process) include children; `server_cpu` is PostgreSQL's own."""

    seconds: float
    cpu: float
    peak_mb: float
    server_cpu: float
    status: int
    output: str

    @property
    def what_failed(self) -> str:
        """The last line it said, or that it was killed."""
        if self.status == -signal.SIGKILL:
            return f"killed after {self.seconds:.0f} s"
        return (self.output.strip().splitlines() or [f"exit status {self.status}"])[-1][:200]


def clean_environment(**more: str) -> dict[str, str]:
    """What a contender gets to see: the basics, and what it is told."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return kept | more


def measure(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, server_pid: int, timeout: float = TIMEOUT
) -> Measured:
    """Run a command in a process group of its own, in `folder`, and wait for its end."""
    log = folder / "output.log"
    server_before = cpu_of_tree(server_pid)
    launcher = [sys.executable, "-S", str(LAUNCH), str(timeout), str(log), *command]
    done = subprocess.run(launcher, env=dict(environment), cwd=folder, stdout=subprocess.PIPE, check=True)
    said = log.read_text(encoding="utf-8", errors="replace")
    return Measured(**json.loads(done.stdout), server_cpu=cpu_of_tree(server_pid) - server_before, output=said)


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process, its children that ended, and those that live (PostgreSQL has no grandchildren)."""
    total = 0
    for stat in [Path(f"/proc/{pid}/stat"), *(Path(f"/proc/{child}/stat") for child in _children(pid))]:
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:  # it ended meanwhile, or this is not Linux
            continue
        total += sum(int(ticks) for ticks in fields[11 : 15 if stat.parent.name == str(pid) else 13])
    return total / _TICKS


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return []
