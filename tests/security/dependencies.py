"""Fails on a dependency that is not what the lock files say, or that its index has withdrawn; part of `make check`.

What needs no network always runs. What asks the package index, or the advisory service behind it, says so in a line
that begins with "NOT CHECKED" when there is no answer; with --network that is a failure too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-k8s.lock")
INSTALLED_FROM = "requirements-dev.lock"
NOT_LOCKED = {"ecommpay-sync", "setuptools"}  # this project, and what a new virtual environment holds
BIN = Path(sys.executable).parent
PINNED = re.compile(r"^(?P<name>[\w.-]+)(\[[\w,.-]+\])?==(?P<version>[\w.!+-]+)\s*(;(?P<marker>.*))?$")
HASH = re.compile(r"--hash=(\w+:[0-9a-f]+)")
NO_ANSWER = re.compile(
    r"error sending request|dns error|timed out|[Ff]ailed to fetch|connection|ConnectionError", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Pin:
    """A locked requirement: hashes are of the files that may be installed."""

    name: str
    version: str
    marker: str
    hashes: frozenset[str]

    @property
    def applies(self) -> bool:
        return not self.marker or Marker(self.marker).evaluate()


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found wrong, and what could not be looked at."""

    wrong: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--network"]):
        sys.exit("usage: dependencies.py [--network]")
    locks = {name: read_lock(name, Path(name).read_text(encoding="utf-8")) for name in LOCKS}
    wrong = [problem for _, problems in locks.values() for problem in problems]
    wrong += differences(locks[INSTALLED_FROM][0], installed())
    wrong += ["uv pip check: " + line for line in inconsistent()]
    findings = [
        *until_unanswered(lambda name: ask_index(name, locks[name][0])),
        *until_unanswered(ask_advisories),
    ]
    wrong += [line for finding in findings for line in finding.wrong]
    unknown = [line for finding in findings for line in finding.not_checked]
    for line in wrong:
        print(line)
    for line in unknown:
        print(f"NOT CHECKED: {line}")
    if not wrong:
        total = len({(pin.name, pin.version) for pins, _ in locks.values() for pin in pins})
        more = "" if unknown else ", nothing known against them"
        print(f"{total} dependencies: pinned with hashes, installed as locked{more}")
    return 1 if wrong or (unknown and arguments) else 0


def until_unanswered(ask: Callable[[str], Finding]) -> Iterator[Finding]:
    """Ask of each lock file; a service that does not answer is not asked again."""
    for name in LOCKS:
        finding = ask(name)
        yield finding
        if finding.not_checked:
            return


def read_lock(file: str, text: str) -> tuple[list[Pin], list[str]]:
    """The pins of a lock file, and what in it is not one version with hashes."""
    pins, problems = [], []
    for line in text.replace("\\\n", " ").splitlines():
        wanted, *_ = line.split("--hash=")
        if not wanted.strip() or wanted.lstrip().startswith("#"):
            continue
        match, hashes = PINNED.match(wanted.strip()), frozenset(HASH.findall(line))
        if match and hashes:
            name = canonicalize_name(match["name"])
            pins.append(Pin(name, match["version"], (match["marker"] or "").strip(), hashes))
        else:
            problems.append(f"{file}: {wanted.strip()} is not one version with a hash: make lock")
    return pins, problems


def installed() -> dict[str, str]:
    return {canonicalize_name(each.name): each.version for each in metadata.distributions()}


def differences(pins: list[Pin], present: dict[str, str]) -> list[str]:
    """What of this environment is not as locked."""
    locked = {pin.name: pin.version for pin in pins if pin.applies}
    found = [
        f"{name}: {version} is locked, {present.get(name, 'nothing')} is installed: make clean, make check"
        for name, version in sorted(locked.items())
        if present.get(name) != version
    ]
    extra = sorted(present.keys() - locked.keys() - NOT_LOCKED)
    return found + [
        f"{name}: installed, but in no lock file: add it to pyproject.toml, or make clean" for name in extra
    ]


def inconsistent() -> list[str]:
    answer = run("uv", "pip", "check", "--python", sys.executable)
    return answer.stderr.strip().splitlines() if answer.returncode else []


def ask_index(file: str, pins: list[Pin]) -> Finding:
    """Is each locked version still offered, not withdrawn ("yanked"), and are the locked hashes those of its files?"""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "again.txt"
        answer = run(
            *("uv", "pip", "compile", file, "--no-deps", "--universal", "--python-version", "3.11", "--no-header"),
            *("--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-cache", "--output-file", str(output)),
        )
        offered = output.read_text(encoding="utf-8") if output.exists() else ""
    return judge_index(file, pins, answer, offered)


def judge_index(file: str, pins: list[Pin], answer: subprocess.CompletedProcess, offered: str) -> Finding:
    said = " ".join(answer.stderr.split())
    if answer.returncode:
        if answer.returncode == 2 and NO_ANSWER.search(said):
            return Finding(not_checked=("withdrawn versions: the package index does not answer",))
        return Finding(wrong=(f"{file}: the package index no longer offers what is locked: {said}",))
    yanked = [f"{file}: {line.strip()}" for line in answer.stderr.splitlines() if " is yanked" in line]
    hashes = {(pin.name, pin.version): pin.hashes for pin in read_lock(file, offered)[0]}
    foreign = [
        f"{file}: {pin.name}=={pin.version} has a hash of no file in the package index"
        for pin in pins
        if pin.hashes - hashes.get((pin.name, pin.version), frozenset())
    ]
    return Finding(wrong=(*yanked, *foreign))


def ask_advisories(file: str) -> Finding:
    """pip-audit ends well on what it had to skip, so that skipping is made an error (--strict) and told."""
    return judge_advisories(
        file,
        run(
            *("pip-audit", "--strict", "--disable-pip", "--require-hashes", "--requirement", file),
            *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
        ),
    )


def judge_advisories(file: str, answer: subprocess.CompletedProcess) -> Finding:
    try:
        audited = json.loads(answer.stdout)["dependencies"]
    except ValueError:
        said = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
        return Finding(not_checked=(f"advisories: pip-audit: {said.rpartition('_cli:')[2]}",))
    return Finding(
        tuple(
            f"{file}: {each['name']}=={each['version']}: {flaw['id']}"
            f" (mended in {', '.join(flaw['fix_versions']) or 'no version yet'})"
            for each in audited
            for flaw in each.get("vulns", ())
        )
    )


def run(program: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(BIN / program), *arguments], capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
