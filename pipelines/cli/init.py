"""The command `init`: asks for what an installation needs and writes the settings file and the files of the secrets.

How the file is read is in `resources/config_file.py`; what is checked afterwards is `doctor`, in `status.py`.
"""

import getpass
import json
import os
import secrets
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli import console
from pipelines.cli.status import examine_installation
from resources import config_file
from resources.config_file import known_variables
from resources.environment import Setting, nearest, text_of
from resources.errors import ConfigError
from resources.output import named_if_refused, write_whole
from resources.settings import alert_settings, api_settings, database_url, sync_settings
from resources.values import PATH, Wrong

app = typer.Typer()

FOLDER = "secrets"
KEY = "SYNC_PERSONAL_DATA_KEY"


QUESTIONS = {  # by the variable that they ask for
    "DATA_API_BASE_URL": "Where is the platform's Data API?",
    "DATA_API_TOKEN": "Token (Dashboard: My profile → API Tokens → New token; it is not shown here)",
    "DATA_API_SECRET": "Secret key (shown once in the Dashboard, when the token is made; not shown here)",
    "SYNC_ACCOUNT": "Name of the account, the first part of every key",
    "DATABASE_URL": "PostgreSQL as postgresql://user:password@host:5432/database (not shown here; empty: embedded)",
    "SYNC_REPORTING_ZONE": "Time zone in which a business day begins and ends",
    "SYNC_SCHEDULE_TIME_ZONE": "Time zone of the nightly schedule, 03:30",
    "SYNC_FIRST_DAY": "First day that you ever want to load; decide once",
    "SYNC_PERSONAL_DATA": "Personal data: keep, hash (a key is made) or drop; decide once",
}


@app.command()
def init(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the settings file to write; else ecommpay-sync.toml here")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="a setting, by its variable; again for each one"),
    ] = None,
    *,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the files that are there")] = False,
    no_input: Annotated[bool, typer.Option("--no-input", help="ask nothing: options, environment, defaults")] = False,
) -> None:
    """Ask for what is needed, write the settings file and the files of the secrets, and run `doctor`."""
    path = (config or Path(text_of(config_file.VARIABLE, os.environ) or config_file.FILE)).absolute()
    known = known_variables({})
    given = _given(settings or (), known)
    if several := next((name for name in ("ACCOUNTS", "ACCOUNTS_FILE") if name in given), None):
        raise ConfigError(
            f"{several} is set, and init is for one account: write ecommpay-sync.toml and the file of the accounts "
            "by hand (docs/settings.md)."
        )
    _refuse_what_is_there(path, overwrite=overwrite)
    if sys.stdin.isatty() and not no_input:
        _ask(given, known)
    key = _secret_file(path, KEY)
    if given.get("SYNC_PERSONAL_DATA") == "hash" and not given.keys() & {KEY, f"{KEY}_FILE"}:
        # a key that was made once is kept for ever, or no hash is ever equal to an older one again
        given |= {f"{KEY}_FILE": str(key)} if key.exists() else {KEY: secrets.token_hex(32)}
    for read in (api_settings, sync_settings, alert_settings, database_url):
        read(given)
    _write(path, given, known)
    os.environ[config_file.VARIABLE] = str(path)
    config_file.add_settings_of_file()
    exit_code = examine_installation(None)
    if exit_code == 0:
        if path != Path(config_file.FILE).absolute():
            console.line(f"for every later command: export {config_file.VARIABLE}={path}")
        command = console.command_here()
        console.line(f"next: {command} operations --from DAY --to yesterday")
        console.line(f"then: {command} dev --own    Dagster's daemon and UI; loads every night while it runs")
    sys.exit(exit_code)


def _given(options: Sequence[str], known: Mapping[str, Setting]) -> dict[str, str]:
    """Return what the environment and the options set, which win; a path as an absolute one."""
    found = {name: text for name in known if (text := text_of(name, os.environ)) and name != config_file.VARIABLE}
    for option in options:
        name, equals, value = option.partition("=")
        setting = known.get(name)
        if not equals or setting is None or name == config_file.VARIABLE:
            near = nearest(name, sorted(known)) if equals else None
            meant = f"; {near} was probably meant" if near else ": write NAME=VALUE, by a name of docs/settings.md"
            raise ConfigError(f"--set {name!r} is no setting{meant}.")
        plain = name.removesuffix("_FILE")
        if _is_secret(name, setting):
            raise ConfigError(
                f"--set {name} would show a secret to whoever lists the processes: set {name} in the environment, "
                f"or give --set {name}_FILE=PATH."
            )
        for other in (plain, f"{plain}_FILE"):
            found.pop(other, None)
        found[name] = value
    return {
        name: os.path.normpath(Path(text).absolute()) if known[name].kind == PATH or name.endswith("_FILE") else text
        for name, text in found.items()
    }


def _is_secret(name: str, setting: Setting) -> bool:
    return setting.variable.has_file and name == setting.variable.name


def _secret_file(path: Path, variable: str) -> Path:
    return path.parent / FOLDER / variable.lower()


def _refuse_what_is_there(path: Path, *, overwrite: bool) -> None:
    folder = path.parent / FOLDER
    if folder.exists() and folder.stat().st_mode & 0o077:
        raise ConfigError(f"{folder} is open to others than its owner: chmod 700 it, or remove it.")
    ours = [path, *(_secret_file(path, variable) for variable in QUESTIONS)]
    there = [str(file) for file in ours if file.exists()]
    if there and not overwrite:
        raise ConfigError(f"{', '.join(there)} is there already, and is left as it is: --overwrite replaces it.")


def _ask(given: dict[str, str], known: Mapping[str, Setting]) -> None:
    """Add the answer to each question that neither an option nor the environment answers."""
    console.err.print("Enter takes what stands in brackets. Ctrl-C stops, and nothing is written.")
    for name, question in QUESTIONS.items():
        if not given.keys() & {name, f"{name}_FILE"}:
            answer = _answer(name, question, known[name], given)
            if answer:
                given[name] = answer


def _answer(name: str, question: str, setting: Setting, given: Mapping[str, str]) -> str:
    default = "" if setting.default in {MISSING, None} else str(setting.default)
    if name == "SYNC_SCHEDULE_TIME_ZONE":
        default = given.get("SYNC_REPORTING_ZONE", default)
    while True:
        console.err.print(question + (f" [{default}]" if default else ""), markup=False)
        answer = _typed(hidden=_is_secret(name, setting)).strip() or default
        if not answer and setting.default is MISSING:
            console.err.print("  is needed.")
            continue
        try:
            if answer and setting.kind:
                setting.kind.checked(answer)
        except Wrong as error:
            console.err.print(f"  {error}", markup=False)
            continue
        return answer


def _typed(*, hidden: bool) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass("> ") if hidden else input("> ")
        except (EOFError, KeyboardInterrupt):
            raise typer.Abort from None
        except getpass.GetPassWarning:
            raise ConfigError(
                "this terminal cannot hide what is typed: set DATA_API_TOKEN_FILE, DATA_API_SECRET_FILE and "
                "DATABASE_URL_FILE instead."
            ) from None


def _write(path: Path, given: Mapping[str, str], known: Mapping[str, Setting]) -> None:
    """Write the secrets, each into a file of its own, then the settings file."""
    head = "# Settings of ecommpay-sync, by `ecommpay-sync init`. The environment wins. All: `ecommpay-sync settings`."
    lines = [head]
    with named_if_refused(f"{path}, or a secret in {path.parent / FOLDER},"):
        for name, value in given.items():
            setting = known[name]
            if _is_secret(name, setting):
                file = _secret_file(path, name)
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_whole(file.with_name(".gitignore"), b"*\n", mode=0o600)
                write_whole(file, f"{value}\n".encode(), mode=0o600)
                console.line(f"written: {file}")
                lines.append(_toml_line(f"{name}_FILE", f"{FOLDER}/{file.name}"))
            else:
                lines.append(_toml_line(name, value))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, ("\n".join(lines) + "\n").encode(), mode=0o600)
        console.line(f"written: {path}")


def _toml_line(name: str, value: str) -> str:
    # a basic string of TOML is one of JSON, but for DEL
    return f"{name} = {json.dumps(value, ensure_ascii=False)}".replace("\x7f", "\\u007f")
