"""The contenders' virtual environments, made once from pinned versions under `.data/bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONTENDERS = Path(__file__).resolve().parent / "contenders"
FOLDER = ROOT / ".data" / "bench"


def python_of(name: str) -> Path:
    """Give the interpreter of an environment; set it up unless its requirements are installed."""
    requirements = CONTENDERS / f"requirements-{name}.txt"
    folder = FOLDER / name
    done = folder / "installed.txt"
    if not done.exists() or done.read_bytes() != requirements.read_bytes():
        print(f"setting up {folder.relative_to(ROOT)} (once)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "-r", str(requirements)], check=True)
        done.write_bytes(requirements.read_bytes())
    return folder / "bin" / "python"


def pinned(name: str, package: str) -> str:
    """Give the version of a package in an environment's requirements."""
    for line in (CONTENDERS / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines():
        found, _, version = line.partition("==")
        if found == package:
            return version
    raise LookupError(f"{package} is not pinned in requirements-{name}.txt")
