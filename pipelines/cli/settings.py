"""`settings apply`: change what belongs to the warehouse, and say what is rebuilt because of it."""

from __future__ import annotations

import typer

from pipelines.cli import show
from pipelines.resources import open_warehouse
from resources.settings import database_url
from resources.warehouse.migrate import migrate
from resources.warehouse.reference import apply_settings, settings_of

app = typer.Typer(
    name="settings", help="What belongs to the warehouse: reporting zone, fiscal year, exponents, personal data."
)


@app.callback(invoke_without_command=True)
def show_settings(context: typer.Context) -> None:
    """Show the settings of the warehouse."""
    if context.invoked_subcommand is None:
        with open_warehouse(database_url(), read_only=True) as store:
            rows = [(variable, value or "none") for variable, value in settings_of(store).items()]
        show.table("Settings of the warehouse", ("variable", "value"), rows)


@app.command("apply")
def apply() -> None:
    """Give the warehouse the settings of this environment; what the environment does not name stays."""
    with open_warehouse(database_url()) as store:
        migrate(store, reference=None, changes_settings=True)
        changes = apply_settings(store)
    for change in changes:
        show.line(f"{change.variable}: {change.before or 'none'} → {change.after or 'none'}; rebuilt: {change.rebuilt}")
    if not changes:
        show.line("nothing changed: the warehouse has these settings already")
