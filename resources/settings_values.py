"""How single values of the environment are read and refused: secrets, their files, numbers, days, zones, crons."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from resources.errors import ConfigError

Environment = Mapping[str, str]


@dataclass(frozen=True, repr=False)
class Secret:
    """A string that no `repr`, `str` or format ever shows; `reveal()` is the only way to it."""

    _value: str

    def reveal(self) -> str:
        """Return the secret itself, for the one place that signs or sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"


def value_or_file(name: str, environment: Environment) -> str | None:
    """Return the variable's value, or the content of the file that `NAME_FILE` names (one trailing newline off).

    Raises:
        ConfigError: both are set, or the file cannot be read.
    """
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise ConfigError(f"{name} and {name}_FILE are both set: keep one of them.")
    if value or not path:
        return value or None
    return secret_from_file(name, path)


def secret_from_file(name: str, path: str) -> str:
    """Return the content of a secret's file, without the line break at its end.

    Raises:
        ConfigError: the file cannot be read as text, or is empty.
    """
    return text_of_file(f"{name}_FILE", path)


def text_of_file(where: str, path: str | Path) -> str:
    """Return the content of the file that `where` names, without the line break at its end.

    Raises:
        ConfigError: the file cannot be read as text, or is empty.
    """
    try:
        content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{where} cannot be read: {path}: {reason}.") from None
    if not content:
        raise ConfigError(f"{where} is empty: {path}.")
    return content


def account_of(where: str, name: str) -> str:
    """Return the name of an account; `where` is what it stands in."""
    if not re.fullmatch(r"[a-z0-9_-]{1,63}", name):
        raise ConfigError(f"{where} is {name!r}: use 1 to 63 of a–z, 0–9, _ and -.")
    return name


def day_of(name: str, text: str | None, default: date) -> date:
    """Return the day that `text` is; without a text the default."""
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise ConfigError(f"{name} is {text!r}: write a day as YYYY-MM-DD.") from None


def time_of(name: str, environment: Environment, default: time) -> time:
    """Return the time of the day that the variable holds."""
    text = environment.get(name)
    if not text:
        return default
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ConfigError(f"{name} is {text!r}: write a time of the day as HH:MM.")
    return time.fromisoformat(text)


def number_of(name: str, environment: Environment, default: int, least: int, most: int) -> int:
    """Return the whole number that the variable holds, from `least` to `most`."""
    text = environment.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise ConfigError(f"{name} is {text!r}: write a whole number from {least} to {most}.")
    return int(text)


def cron_of(name: str, environment: Environment, default: str) -> str:
    """Return the cron expression that the variable holds."""
    text = environment.get(name) or default
    if not re.fullmatch(r"[0-9*/,\-A-Za-z]*[0-9*][0-9*/,\-A-Za-z]*( +[0-9A-Za-z*/,\-]+){4}", text.strip()):
        raise ConfigError(f"{name} is {text!r}: write five fields, for example {default!r}.")
    return text


def zone_of(name: str, environment: Environment, default: str) -> str:
    """Return the time zone that the variable names."""
    text = environment.get(name) or default
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{name} is {text!r}, which is no IANA time zone: write for example 'Europe/Berlin'."
        ) from None
    return text
