"""Which data about time zones is read: the newest at hand."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = """
import sys, zoneinfo
zoneinfo.reset_tzpath(to=sys.argv[1:])
import resources
print(*zoneinfo.TZPATH)
print(len(zoneinfo.available_timezones()) > 400)
"""


@pytest.mark.parametrize(
    ("first_line", "is_package_read"),
    [("# version 2001a", True), ("# version 9999z", False), ("# version unknown", False), (None, False)],
)
def test_the_zones_of_a_system_that_is_older_than_the_package_are_not_read(tmp_path, first_line, is_package_read):
    if first_line:
        (tmp_path / "tzdata.zi").write_text(f"{first_line}\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONTZPATH"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    folders, has_zones = done.stdout.splitlines()
    assert folders == ("" if is_package_read else str(tmp_path))
    assert has_zones == "True", "the package stands behind the folder of a system in any case"


def test_a_folder_that_is_chosen_for_python_is_read_whatever_its_version(tmp_path):
    (tmp_path / "tzdata.zi").write_text("# version 2001a\n")
    done = subprocess.run(
        [sys.executable, "-c", "import resources, zoneinfo; print(*zoneinfo.TZPATH)"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
        check=True,
    )
    assert done.stdout.strip() == str(tmp_path)
