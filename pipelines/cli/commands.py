"""All commands of `ecommpay-sync` under one; its subcommands are in the modules of their groups.

Exit code 0: all that was asked for is complete; 2: wrong input or configuration; 1: anything else. Of several
accounts done in turn the worst of theirs, 2 before 1. Heavy modules are imported where they are used: they are most
of a small run.
"""

from __future__ import annotations

import os
import sys
from copy import copy
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandInfo, TyperInfo

from pipelines.cli import admin, audit, closing, console, demo, finance, init, load, queue, status
from pipelines.cli.accounts import explained
from pipelines.cli.console import Stopping
from resources.config_file import add_settings_of_file, unknown_names, what_was_meant
from resources.errors import ConfigError, Stopped
from resources.output import printable

GROUPS = {
    "Set up": init.app,
    "Load from the platform": load.app,
    "Look at it": status.app,
    "Reconcile": finance.app,
    "Work the breaks": queue.app,
    "Close and report": closing.app,
    "Prove": audit.app,
    "Keep the warehouse": admin.app,
    "Try it": demo.app,
}


class GroupedCommands(TyperGroup):
    """The commands, listed in the help under the headings of their groups."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; Typer would make an exit code of its own, without a word, of its interruption."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Abort from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a list for each group."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        width = max(len(name) for name, _ in commands)
        for heading, group in groupby(commands, key=lambda item: getattr(item[1], "rich_help_panel", None)):
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (name.ljust(width), command.get_short_help_str(formatter.width - width - 6))
                        for name, command in group
                        if command
                    ]
                )


class RefusesEmptyOptions:
    """Refuses an empty value, as a variable leaves it that a script has not set: it is not left out.

    A path would be the working folder. What is needed says itself what an empty value is: `breaks assign --to ""`.
    """

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that looks at the values before they are converted."""
        parser = super().make_parser(ctx)  # type: ignore[misc]  # of the class beside it
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, _, given = parsed = parse(args)
            for param in given:
                value = values.get(param.name)
                if not param.required and "" in (value if isinstance(value, list | tuple) else [value]):
                    raise typer.BadParameter("it is empty; leave it out, or give it a value", ctx=ctx, param=param)
            return parsed

        parser.parse_args = parse_args
        return parser


class Command(RefusesEmptyOptions, TyperCommand):
    """A command that refuses an option without a value."""


class CommandWithCommands(RefusesEmptyOptions, TyperGroup):
    """Such a command that has commands of its own."""


app = typer.Typer(
    name="ecommpay-sync",
    cls=GroupedCommands,
    help="Payment operations and balances from the signed Data API into PostgreSQL, provably complete.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS: dict[str | None, CommandInfo | TyperInfo] = {}
for _heading, _group in GROUPS.items():
    for _command in _group.registered_commands:
        _command.rich_help_panel, _command.cls = _heading, Command
        COMMANDS[_command.name or (_command.callback and _command.callback.__name__)] = _command
    for _commands in _group.registered_groups:
        _commands.rich_help_panel, _commands.cls = _heading, CommandWithCommands
        if _commands.typer_instance:
            COMMANDS[_commands.typer_instance.info.name] = _commands
            for _command in _commands.typer_instance.registered_commands:
                _command.cls = Command
    app.add_typer(_group)


def _print_version(value: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if value:
        console.line(f"ecommpay-sync {metadata.version('ecommpay-sync')}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Take the options of `ecommpay-sync` itself, and read the settings file, which `init` has yet to write."""
    del version  # its callback has ended the command
    try:
        Path.cwd()
    except OSError:
        raise ConfigError("the working folder was removed: change into one that there is.") from None
    if context.invoked_subcommand == "init":
        return
    add_settings_of_file()
    for name in unknown_names():
        console.problem(f"warning: {printable(what_was_meant(*name))}.")


def run() -> None:
    """Run the command; every failure is one line on stderr and an exit code."""
    console.make_streams_safe()
    Stopping(_end_servers)
    try:
        asked_for = _app_of("".join(sys.argv[1:2]))
        exit_code = asked_for(standalone_mode=False)  # Typer would print wrong usage in four lines
        sys.stdout.flush()
        sys.exit(exit_code)
    except typer.TyperException as error:
        message, context = error.format_message(), getattr(error, "ctx", None)
        if "\n" in message:  # the whole help, for a command without a word
            print(message, file=sys.stderr)  # noqa: T201
        else:
            command = context.command_path if context else "ecommpay-sync"
            console.problem(f"{printable(message).rstrip('.')}: see `{command} --help`.")
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):  # where the command does not handle it
        console.problem("stopped.")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last net: one line, whatever it was
        message, exit_code = explained(Stopped(console.STOPPED) if console.SIGNALLED.is_set() else error)
        console.problem(message)
        try:
            sys.stdout.flush()
        except OSError:  # a full disk, which Python would complain of once more
            _drop_output()
        sys.exit(exit_code)


def _app_of(first_word: str) -> typer.Typer:
    """Return the app without the other commands, if the first word is one: Typer reads the options of all that it has.

    That is half of what a small command takes. Help, completion and what is no command need all of them.
    """
    one = COMMANDS.get(first_word)
    if one is None:
        return app
    asked_for = copy(app)
    asked_for.registered_commands = [one] if isinstance(one, CommandInfo) else []
    asked_for.registered_groups = [one] if isinstance(one, TyperInfo) else []
    return asked_for


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end_servers() -> None:
    from resources.warehouse.embedded import end_servers

    end_servers()
