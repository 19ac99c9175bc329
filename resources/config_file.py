"""All settings by their names: those of the optional settings file, those in force, unknown ones, and docs/settings.md.

The file is `ecommpay-sync.toml` in the working folder, or what SYNC_CONFIG names. Its keys are the names of the
variables; the environment wins over it. A secret is never in it: the key that ends in `_FILE` names the file which
holds one.
"""

import os
import re
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from resources.environment import Environment, Setting, nearest, shown_path, tables_of_file, text_of, variables_in
from resources.errors import ConfigError
from resources.settings import GROUPS, ApiSettings
from resources.values import PATH

VARIABLE = "SYNC_CONFIG"
FILE = "ecommpay-sync.toml"
LOGIN = re.compile(r"//[^/\s]*@")  # in a URL where none may be, or of a mail server


def add_settings_of_file(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables that the settings file gives and the environment does not.

    Raises:
        ConfigError: the file cannot be read, or holds a name or a value that is no setting's.
    """
    for name, value in settings_of_file(environment).items():
        plain = name.removesuffix("_FILE")
        if not any(text_of(given, environment) for given in (name, plain, f"{plain}_FILE")):
            environment[name] = value


def path_of(environment: Environment = os.environ) -> Path | None:
    """Return the settings file's path; None: there is none, or SYNC_CONFIG is /dev/null."""
    named = text_of(VARIABLE, environment)
    if named:
        return Path(named).absolute() if named != os.devnull else None
    path = Path(FILE).absolute()
    return path if path.exists() else None


def settings_of_file(environment: Environment = os.environ) -> dict[str, str]:
    """Return the variables that the settings file gives, as text; a path in it is relative to its folder.

    Raises:
        ConfigError: the file cannot be read, or holds a name or a value that is no setting's.
    """
    path = path_of(environment)
    if path is None:
        return {}
    where = VARIABLE if text_of(VARIABLE, environment) else FILE
    tables = tables_of_file(where, str(path))
    known = known_variables({**environment, "ACCOUNTS": str(tables.get("ACCOUNTS", ""))})
    del known[VARIABLE]
    found: dict[str, str] = {}
    for name, value in tables.items():
        setting = known.get(name)
        if setting is None:
            near = nearest(name, sorted(known))
            raise ConfigError(
                f"{where}: {name} is no setting here" + (f"; {near} was probably meant." if near else ".")
            )
        names_a_file = name.endswith("_FILE")
        if setting.variable.has_file and not names_a_file:
            raise ConfigError(f"{where}: {name} is a secret: put it into a file of its own, and write {name}_FILE.")
        text = _text(f"{where}: {name}", value)
        found[name] = str(path.parent / text) if names_a_file or setting.kind == PATH else text
    return found


def _text(place: str, value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(place, part) for part in value)
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int) and not isinstance(value, bool):
        if "\0" in str(value):  # no variable takes one
            raise ConfigError(f"{place} holds a NUL character: remove it.")
        return str(value)
    raise ConfigError(f"{place} is neither text, a whole number, a day nor a list of these: write it as text.")


@dataclass(frozen=True)
class SettingInForce:
    """A setting's value as text, a secret hidden, and where it comes from."""

    variable: str
    value: str | None
    origin: str


def settings_with_origin(environment: Environment = os.environ) -> list[SettingInForce]:
    """Return every setting, in the order of the documentation; of a secret only whether it is set, or its file.

    Raises:
        ConfigError: the settings file is malformed.
    """
    of_file, path = settings_of_file(environment), path_of(environment)
    found = []
    for name, setting in known_variables(environment).items():
        variable, text = setting.variable, text_of(name, environment)
        names_a_file = variable.has_file and name.endswith("_FILE")
        if text is not None:
            origin = f"the settings file {path}" if of_file.get(name) == text else "the environment"
            shown = (shown_path(text) if names_a_file else "****") if variable.has_file else LOGIN.sub("//****@", text)
            found.append(SettingInForce(name, shown, origin))
        elif not names_a_file and text_of(f"{name}_FILE", environment) is None:
            found.append(SettingInForce(name, _default(setting).replace("`", "") or None, "the default"))
    return found


def open_secret_files(environment: Environment = os.environ, more: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the files of secrets, and of `more` (what names each, its path), that others may read, and the modes."""
    files = [f"{item.variable.name}_FILE" for item in _all_settings() if item.variable.has_file]
    found = []
    for name, path in (*((name, text_of(name, environment)) for name in files), *more):
        try:
            mode = Path(path).stat().st_mode & 0o777 if path else 0
        except OSError:
            continue  # reported where it is read
        if mode & 0o004:
            found.append(f"{name} ({path}, mode {mode:04o})")
    return found


def known_variables(environment: Environment = os.environ) -> dict[str, Setting]:
    """Return the setting of every name that is read: those that name a file, and those of ACCOUNTS, included."""
    named = (text_of("ACCOUNTS", environment) or "").split(",")
    accounts = [name.strip().upper().replace("-", "_") for name in named if name.strip()]
    own = [*variables_in(ApiSettings)]
    known = {}
    for item in _all_settings():
        variable = item.variable
        for suffix in ("", *(f"__{name}" for name in accounts if item in own)):
            for end in ("", "_FILE") if variable.has_file else ("",):
                known[f"{variable.name}{suffix}{end}"] = item
    return known


def unknown_names(environment: Environment = os.environ) -> list[tuple[str, str | None]]:
    """Return the variables that look like ours and are none, each with the name that was probably meant."""
    known = known_variables(environment)
    ours = [name for name in environment if name.startswith(("SYNC_", "ALERT_", "DATA_API_"))]
    return [(name, nearest(name, sorted(known))) for name in sorted(ours) if name not in known]


def what_was_meant(name: str, near: str | None) -> str:
    """Return the warning about a variable that is none of ours."""
    return f"{name} is no setting" + (f"; {near} was probably meant" if near else ", and is not read")


def _all_settings() -> Iterator[Setting]:
    for group in GROUPS:
        yield from variables_in(group)


INTRODUCTION = """# Settings

Made from `resources/settings.py` by `make settings`: change it there.

Each is a variable of the environment; an empty one is unset. Of one that has `…_FILE` beside it, that names a file
which holds the value; both at once are refused. What is malformed ends the command with 2 and one line that names the
variable. A name that begins as these do and is none of them is reported at the start of a command.
"""


def settings_page() -> str:
    """Return docs/settings.md."""
    parts = [INTRODUCTION]
    for group in GROUPS:
        rows = map(_row, variables_in(group))
        parts.append(
            f"## {(group.__doc__ or '').rstrip('.')}\n\n"
            "| variable | meaning | value | default |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def _row(item: Setting) -> str:
    names = f"`{item.variable.name}`" + (f", `{item.variable.name}_FILE`" if item.variable.has_file else "")
    kind = item.kind.write if item.kind else "a text"
    return f"| {names} | {item.variable.meaning} | {kind} | {_default(item) or 'none'} |"


def _default(item: Setting) -> str:
    """Return the default as the documentation shows it."""
    return item.variable.shown or (f"`{item.default}`" if item.default not in {None, ()} else "")
