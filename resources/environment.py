"""How values are read: of the environment, of files that it names, and into the classes that declare them.

What there is to read is declared in `settings`, `accounts` and `documents`, each value by its kind of `values`. A class
is made by pydantic. What is missing, malformed or unknown is refused in one line that names it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast, get_args, get_origin, get_type_hints

from resources.errors import ConfigError
from resources.values import Kind

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

UNKNOWN = "unexpected_keyword_argument"  # what pydantic calls a key that a table does not have
PLAIN_PATH = re.compile(r"(/[\w.-]{1,24})+", re.ASCII)  # no part is as long as a token or a secret key
NAME_OF_TABLE = "[key]"  # where pydantic finds a name wrong that somebody chose

T = TypeVar("T")
Environment = Mapping[str, str]


@dataclass(frozen=True)
class Variable:
    """The name of a variable, and what it is for."""

    name: str
    meaning: str
    shown: str = ""  # what the documentation shows as the default, where that is not the value itself
    needed: str = ""  # how to get it, where there is no default
    has_file: bool = False  # `NAME_FILE` may name a file that holds it


NO_VARIABLE = Variable("", "")


@dataclass(frozen=True)
class Setting:
    """A field of a class that declares settings: its variable (without one, of no name), or the class within it."""

    name: str
    default: Any
    kind: Kind | None
    variable: Variable
    group: type | None
    is_mapping: bool  # of names to tables of that class


@cache
def settings_in(group: Any) -> tuple[Setting, ...]:
    """Return the fields of a class that declares settings."""
    hints = get_type_hints(group, include_extras=True)
    found = []
    for item in fields(group):
        parts = (hints[item.name], *get_args(hints[item.name]))
        kind = next((part for part in parts if isinstance(part, Kind)), None)
        inner = next((part for part in parts if isinstance(part, type) and is_dataclass(part)), None)
        is_mapping = get_origin(hints[item.name]) is dict
        found.append(
            Setting(item.name, item.default, kind, item.metadata.get("variable", NO_VARIABLE), inner, is_mapping)
        )
    return tuple(found)


class Table:
    """A table of a file: a key that its class does not have is refused."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}


def read(group: type[T], environment: Environment = os.environ, *, only: str | None = None) -> T:
    """Return the settings of a class as the environment has them; with `only`, of one field alone.

    Raises:
        ConfigError: one is missing or malformed, or two of them contradict each other.
    """
    return make(group, _values(group, environment, only))


def _values(group: type, environment: Environment, only: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in settings_in(group):
        if item.variable.name and only in {None, item.name}:
            read_text = value_or_file if item.variable.has_file else text_of
            found[item.name] = read_text(item.variable.name, environment)
        elif item.group and only is None:
            needed = {inner.name for inner in settings_in(item.group) if inner.default is MISSING}
            within = _values(item.group, environment)
            # a group that needs values is there when one of them is
            found[item.name] = within if not needed or needed & within.keys() else None
    return {name: value for name, value in found.items() if value is not None}


def make(group: type[T], given: Mapping[str, Any], names: Mapping[str, str] | None = None) -> T:
    """Return the object of a class with these values; `names` are those of fields where they are not the variables'.

    Raises:
        ConfigError: one is missing or malformed; its name is in the message.
    """

    def refuse(details: Any) -> str:
        inner: Any = group
        variable = NO_VARIABLE
        for part in details["loc"]:
            item = next(item for item in settings_in(inner) if item.name == part)
            inner, variable = item.group or inner, item.variable
        name = (names or {}).get(str(details["loc"][-1]), variable.name)
        if details["type"] == "missing":
            return f"{name} is not set: {variable.needed}."
        return f"{name} {details['ctx']['error']}"

    return validated(group, given, refuse)


def variables_in(group: type) -> Iterator[Setting]:
    """Yield the settings of a class that have a variable, and those of the classes within it."""
    for item in settings_in(group):
        if item.variable.name:
            yield item
        elif item.group:
            yield from variables_in(item.group)


def text_of(name: str, environment: Environment) -> str | None:
    """Return the variable's value, without the carriage return of a file from another system; None: unset or empty."""
    return environment.get(name, "").rstrip("\r") or None


def value_or_file(name: str, environment: Environment) -> str | None:
    """Return the variable's value, or the content of the file that `NAME_FILE` names.

    Raises:
        ConfigError: both are set, or the file cannot be read.
    """
    value, path = text_of(name, environment), text_of(f"{name}_FILE", environment)
    if value and path:
        raise ConfigError(f"{name} and {name}_FILE are both set: keep one of them.")
    return secret_of_file(f"{name}_FILE", path) if path else value


def secret_of_file(where: str, path: str) -> str:
    """Return the content of a secret's file, as `text_of_file` does."""
    return _content(where, path, shown_path(path))


def text_of_file(where: str, path: str | Path) -> str:
    """Return the content of the file that `where` names, without a byte order mark and the line break at its end.

    Raises:
        ConfigError: the file cannot be read as text, or is empty.
    """
    return _content(where, path, str(path))


def shown_path(path: str) -> str:
    """Return the path of a secret's file, if it looks like one, or as far as there is one.

    The secret itself may stand in its place.
    """
    if PLAIN_PATH.fullmatch(path):
        return path
    whole = there = os.path.abspath(path)  # noqa: PTH100 - nor may a name that is too long for a path raise here
    while not os.path.exists(there):  # noqa: PTH110
        there = os.path.dirname(there)  # noqa: PTH120
    return path if there == whole else os.path.join(there, "****")  # noqa: PTH118


def _content(where: str, path: str | Path, shown: str) -> str:
    try:
        content = Path(path).read_text(encoding="utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{where} cannot be read: {shown}: {reason}.") from None
    if not content:
        raise ConfigError(f"{where} is empty: {shown}.")
    return content


def tables_of_file(where: str, path: str) -> dict[str, Any]:
    """Return the tables of the TOML file that `where` names.

    Raises:
        ConfigError: the file cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(text_of_file(where, path))
    except tomllib.TOMLDecodeError as error:
        # its own words can repeat a part of the line, and that may be a token
        place = str(error).rpartition("(")[2].rstrip(")")
        raise ConfigError(f"{where} ({path}) is not TOML: look {place}.") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def validated(kind: type[T], given: Mapping[str, Any], refuse: Callable[[ErrorDetails], str]) -> T:
    """Return the object of a class that the given values make.

    Raises:
        ConfigError: a value is wrong; `refuse` says how.
    """
    from pydantic import ValidationError

    try:
        made: T = _adapter(cast("Any", kind)).validate_python(given)
    except ValidationError as error:
        faults = error.errors(include_url=False)
        # a name that is misspelt is missing as well: the misspelt one says more
        fault = next((fault for fault in faults if fault["type"] == UNKNOWN), faults[0])
        raise ConfigError(refuse(fault)) from None
    return made


def model_of_file(kind: type[T], variable: str, path: str) -> T:
    """Return the object of a class that the TOML file makes which a variable names.

    Raises:
        ConfigError: the file cannot be read, or a key or value in it is none; with file and key.
    """
    where = f"{variable} ({path})"
    return validated(
        kind, tables_of_file(variable, path), lambda fault: fault_of_file(where, fault, _keys_at(kind, fault["loc"]))
    )


def _keys_at(kind: Any, place: Sequence[Any]) -> list[str]:
    """Return the keys that the table has in which the last part of `place` stands."""
    parts = iter(place[:-1])
    for part in parts:
        item = next(item for item in settings_in(kind) if item.name == part)
        kind = item.group or kind
        if item.is_mapping:
            next(parts, None)  # its name, which anybody chooses
    return [item.name for item in settings_in(kind)]


def fault_of_file(where: str, fault: ErrorDetails, keys: Sequence[str]) -> str:
    """Return what is wrong in a TOML file; `keys` are those that may stand where it is."""
    place = ".".join(str(part) for part in fault["loc"] if part != NAME_OF_TABLE)
    if fault["type"] == UNKNOWN:
        near = nearest(str(fault["loc"][-1]), keys)
        said = f" is unknown: {f'did you mean {near}? There' if near else 'there'} are {', '.join(keys)}."
    elif fault["type"] == "missing":
        said = " is missing: add it."
    elif fault["type"] == "string_type":
        said = " is no text: put it in quotes."
    elif fault["type"] == "value_error":
        wrong = str(fault["ctx"]["error"])
        said = wrong if wrong.startswith((".", "[")) else f" {wrong}"
    else:
        said = f" is no table: write [{place}], and its keys below."
    return f"{where}: {place}{said}"


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return which of the known names was probably meant; None: none is near."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.7)), None)
