"""Which data about time zones this process reads: the newest at hand, the system's or that of the package `tzdata`.

PostgreSQL brings its own, and a warehouse whose server shows another time than we do is refused. A system that nobody
updates for a year does not know the zones that changed in it; the package that is installed with us does.
"""

import os
import re
import zoneinfo
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

VERSION = re.compile(r"# version (\d{4}[a-z]+)")


def use_newest_zones() -> None:
    """Look zones up in the package if the system's are older; `PYTHONTZPATH` chooses a folder for good."""
    if "PYTHONTZPATH" in os.environ:
        return
    system = next((version_of(folder) for folder in map(Path, zoneinfo.TZPATH) if folder.is_dir()), None)
    package = version_of(files("tzdata") / "zoneinfo")
    if system and package and system < package:
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()


def version_of(folder: Traversable) -> str | None:
    """Return of which version a folder of zones is, such as 2025b; None: it does not say."""
    try:
        with (folder / "tzdata.zi").open(encoding="utf-8") as file:
            match = VERSION.match(file.readline())
    except OSError:
        return None
    return match[1] if match else None
