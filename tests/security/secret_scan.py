"""Fails on a secret that .secrets.baseline does not know, in any file that git holds or would add; asks no network.

`python tests/security/secret_scan.py` is what `make check` runs; `… --accept` writes what is there now as known.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from detect_secrets.core import baseline
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings, get_settings, transient_settings

BASELINE = Path(".secrets.baseline")
NOT_SCANNED = [
    r"^requirements.*\.lock$",  # hashes of packages
    r"^tests/bench/contenders/requirements-.*\.txt$",
    r"^\.secrets\.baseline$",  # hashes of what is known
]


def main(arguments: list[str]) -> int:
    if arguments == ["--accept"]:
        return accept()
    if arguments:
        sys.exit("usage: secret_scan.py [--accept]")
    return scan()


def scan() -> int:
    known = baseline.load_from_file(str(BASELINE))
    with transient_settings(known):
        new = found(files()) - baseline.load(known)
    for file, secret in sorted(new, key=lambda each: (each[0], each[1].line_number)):
        print(f"{file}:{secret.line_number}: looks like a secret ({secret.type})")
    if new:
        print(
            "take it out; if it opens nothing: `# pragma: allowlist secret` at the end of its line, "
            "or python tests/security/secret_scan.py --accept"
        )
        return 1
    print(f"no secret beyond the {sum(1 for _ in baseline.load(known))} known made-up ones in {BASELINE}")
    return 0


def accept() -> int:
    with default_settings() as settings:
        settings.disable_filters("detect_secrets.filters.common.is_ignored_due_to_verification_policies")
        settings.filters["detect_secrets.filters.regex.should_exclude_file"] = {"pattern": NOT_SCANNED}
        baseline.save_to_file(found(files()), str(BASELINE))
    return 0


def files() -> list[str]:
    """Relative paths, so that the baseline names no machine; what .gitignore names is not looked at."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        sys.exit(f"secret scan: needs a git clone: {listed.stderr.strip()}")
    return [name for name in sorted(listed.stdout.split("\0")) if name and Path(name).is_file()]


def found(names: list[str]) -> SecretsCollection:
    # a secret is asked of no service whether it is one
    assert "detect_secrets.filters.common.is_ignored_due_to_verification_policies" not in get_settings().filters
    secrets = SecretsCollection()
    for name in names:  # not scan_files: its pool of processes hangs at its end, once in some hundred times
        secrets.scan_file(name)
    return secrets


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
