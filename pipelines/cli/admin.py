"""Commands that keep the warehouse: marts, data dictionary, rights, erasure of a person, figures and alerts."""

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from pipelines.cli import console
from pipelines.cli.accounts import migrated_warehouse, only_account, reading_warehouse, settings_of_all
from pipelines.cli.console import AsJson, OneAccount
from resources.errors import ConfigError, WarehouseBroken, kind_of
from resources.output import write_named
from resources.settings import database_url, role_prefix
from resources.warehouse.engine import Warehouse, open_warehouse, run, script

app = typer.Typer()
settings_app = typer.Typer(
    name="settings", help="Every setting and where it comes from, and what belongs to the warehouse."
)
app.add_typer(settings_app)

DictionaryFormat = Literal["markdown", "dbt"]
# by format: the schemas, in the order of those who read them, and the template
DICTIONARIES: dict[DictionaryFormat, tuple[list[str], str]] = {
    "markdown": (["bi", "core", "recon", "raw", "sync"], "dictionary.md.j2"),
    "dbt": (["bi", "recon"], "sources.yml.j2"),
}


@app.command()
def marts(
    *, full: Annotated[bool, typer.Option("--full", help="build everything anew, not only what is new")] = False
) -> None:
    """Build the marts of schema bi now, and compare them with the core."""
    from pipelines.marts import build_marts, currencies_missing_from_grain, differences_from_core

    settings = settings_of_all()
    with migrated_warehouse() as store:
        built = build_marts(store, *settings, full=full)
        how = "everything" if built.is_full else f"{built.windows:,} ledger entries that were new"
        console.line(f"built: {how}: {built.days:,} business days, {built.payments:,} payments")
        missing = currencies_missing_from_grain(store)
        if missing:
            raise WarehouseBroken(f"a mart could mix currencies: {missing[0]}.")
        different = differences_from_core(store)
        if different:
            raise WarehouseBroken(
                f"the marts differ from the core in {len(different)} totals, the first: {different[0]}: "
                "run `ecommpay-sync marts --full`."
            )
    console.line("equal to the core: count and Σ minor units of every currency, type and status")


@app.command()
def grant() -> None:
    """Make the roles of loader, BI and finance, and give each what it needs and no more."""
    from pipelines.marts import build_marts

    prefix, settings = role_prefix(), settings_of_all()
    with migrated_warehouse() as store:
        build_marts(store, *settings)
        with store.transaction() as connection:
            run(connection, "cli/admin/name_prefix", prefix=prefix)
            script(connection, "roles")
    console.line(f"{prefix}_loader    owns core, raw, sync, bi (and recon): run ecommpay-sync as this role")
    console.line(f"{prefix}_bi        reads bi.*, without personal data, read-only, 30 s a statement")
    console.line(f"{prefix}_finance   reads bi.* and recon.*, writes owner and note of a break")
    console.line(f"no role has a password from here: ALTER ROLE {prefix}_bi PASSWORD '…' (or \\password in psql)")


@app.command()
def erase(
    customer: Annotated[str, typer.Option(metavar="ID", help="the person's customer_id or e-mail address")],
    account: OneAccount = None,
) -> None:
    """Remove a person's data from every table and raw page; keys, totals and the ledger stay."""
    from pipelines.erasure import erase as erase_customer

    scope = only_account(account)
    if not customer.strip():
        raise ConfigError("--customer is empty: give a customer_id or an e-mail address.")
    with migrated_warehouse(scope) as store:
        erased = erase_customer(store, scope.account, customer.strip())
    if not erased.found:
        raise ConfigError(f"nothing of account {scope.account} names this customer: nothing was changed.")
    console.line(
        f"erased: {erased.operations:,} operations, {erased.operation_versions:,} former states, "
        f"{erased.fraud_reports:,} fraud reports, {erased.rejects:,} rejects, {erased.pages:,} raw pages, "
        f"{erased.documents:,} documents; keys, amounts and the ledger stay"
    )


@app.command()
def metrics(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="serve on this port until Ctrl-C")] = None,
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    textfile: Annotated[Path | None, typer.Option(metavar="PATH", help="write into this file instead")] = None,
) -> None:
    """Give the figures of the warehouse to Prometheus: on a port, in a file, or printed."""
    from pipelines.alerts.metrics import registry_of, text_of

    if port is not None and textfile is not None:
        raise ConfigError("--port and --textfile exclude each other: give one of them.")
    if port is None:
        with reading_warehouse() as store:
            text = text_of(store)
        if textfile is None:
            console.out.out(text, end="", highlight=False)
        else:
            write_named(f"--textfile {str(textfile)!r}", textfile, text.encode())
        return
    from prometheus_client import start_http_server

    # the server starts while the database is away, too, and reports that as ecommpay_up
    with open_warehouse(database_url(), read_only=True) as store:
        try:
            server, thread = start_http_server(port, addr=host, registry=registry_of(store))
        except OSError as error:
            raise ConfigError(f"--port {port} of {host} cannot be listened on: {error.strerror}.") from None
        console.line(f"metrics: http://{host}:{server.server_port}/metrics — stop with Ctrl-C")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            server.shutdown()
            thread.join()


@app.command()
def alert(
    *,
    test: Annotated[bool, typer.Option("--test", help="send a made-up message through every channel")] = False,
    as_json: AsJson = False,
) -> None:
    """Look for causes and send alerts now; with --test, only try the channels."""
    from pipelines.alerts.conditions import evaluate
    from pipelines.alerts.notifications import Delivery, notify, say_how_alerts_stand, tips_of_chains
    from resources.accounts import account_scopes, accounts_of
    from resources.channels import ChannelFailed, channels_of, heartbeat_of
    from resources.settings import alert_settings
    from resources.warehouse.reference import settings_in_force

    alerting, now = alert_settings(), datetime.now(UTC)
    channels = channels_of(alerting)
    if test:
        _test_channels(channels, alerting.runbook)
        return
    causes, delivery, heartbeat = list[dict[str, str]](), Delivery(0, ()), heartbeat_of(alerting)
    try:
        with migrated_warehouse() as store:
            for scope in account_scopes(accounts_of()):
                found = evaluate(store, settings_in_force(store, scope.settings), alerting, now, option=scope.option)
                for item in found.alerts:
                    text = item.message(alerting.runbook)
                    causes.append({"account": scope.account, "title": item.title, "text": text})
                    if not as_json:
                        console.line(item.title)
                        console.lines(f"{text}\n")
                delivery += notify(store, scope.account, found, channels, now, alerting.runbook)
            tips = tips_of_chains(store)
    except Exception as error:
        if heartbeat:
            with suppress(ChannelFailed):
                heartbeat.fail(f"alerts could not be evaluated ({kind_of(error)})")
        raise
    if heartbeat:
        undelivered = bool(delivery.failures or (causes and not channels))
        say_how_alerts_stand(heartbeat, tips, undelivered=undelivered)
    if as_json:
        console.document({"causes": causes, "sent": delivery.sent, "failures": delivery.failures})
    else:
        console.line(f"{len(causes)} causes stand; {delivery.sent} messages were sent")
    if delivery.failures:
        raise ChannelFailed(delivery.failures[0])


def _test_channels(channels: Sequence[Any], runbook: str) -> None:
    """Send a test message through each channel; the first that does not take it is raised at the end."""
    from resources.channels import ChannelFailed

    if not channels:
        raise ConfigError(
            "no channel is set: ALERT_WEBHOOK_URL_FILE, or ALERT_SMTP_URL, ALERT_EMAIL_FROM and ALERT_EMAIL_TO."
        )
    names = ", ".join(settings.account for settings in settings_of_all())
    failures = []
    for channel in channels:
        try:
            channel.send(
                f"{names}: test",
                "What happened: nothing, somebody ran `ecommpay-sync alert --test`.\n"
                f"What to do: nothing. Runbook: {runbook}",
            )
            console.line(f"ok    {channel.name}: a test message was taken")
        except ChannelFailed as error:
            failures.append(str(error))
            console.line(f"FAIL  {channel.name}: {error}")
    if failures:
        raise ChannelFailed(failures[0])


@app.command()
def dictionary(
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="write it here instead of printing it")] = None,
    form: Annotated[
        DictionaryFormat, typer.Option("--format", help="Markdown, or the sources of a dbt project: bi and recon")
    ] = "markdown",
) -> None:
    """Give the data dictionary: every table, view and column, from the comments in the database."""
    from pipelines.marts import build_marts

    settings = settings_of_all()
    with migrated_warehouse() as store:
        build_marts(store, *settings)
        text = dictionary_text(store, form)
    if output is None:
        console.lines(text.rstrip("\n"))
        return
    write_named(f"--output {str(output)!r}", output, text.encode())
    console.line(f"written: {output}")


def dictionary_text(warehouse: Warehouse, form: DictionaryFormat = "markdown") -> str:
    """Return the dictionary of the migrated database whose marts are built.

    For dbt it is a sources.yml of what readers may see: a source a schema, with comments, types and NOT NULL.
    It depends on the migrations and the marts alone: not on the server's version, nor on what is stored.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    schemas, template = DICTIONARIES[form]
    explained = {row.name: row.explained for row in warehouse.query("cli/admin/schemas", schemas=schemas)}
    relations: dict[str, dict[str, list[Any]]] = {schema: {} for schema in schemas}
    for column in warehouse.query("cli/admin/columns", schemas=schemas):
        relations[column.schema_name].setdefault(column.relation, []).append(column)
    environment = Environment(  # noqa: S701 - it writes no HTML
        loader=PackageLoader("pipelines.cli"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(explained=explained, relations=relations, quoted=_quoted)


def _quoted(text: str) -> str:
    """Return the text as a quoted scalar of YAML, in which braces are no Jinja: a string of JSON is one."""
    return json.dumps(text.replace("{{", "{ {").replace("{%", "{ %"), ensure_ascii=False)


@settings_app.callback(invoke_without_command=True)
def show_settings(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show every setting, its value, and where it comes from; then those that the warehouse keeps."""
    from resources.config_file import settings_with_origin
    from resources.warehouse.migrate import is_migrated
    from resources.warehouse.reference import settings_of

    if context.invoked_subcommand is not None:
        return
    own = settings_with_origin()
    if not as_json:
        rows = [(item.variable, item.value or "none", item.origin) for item in own]
        columns = {"variable": itemgetter(0), "value": itemgetter(1), "from": itemgetter(2)}
        console.table("Settings of this process", rows, columns)
    with open_warehouse(database_url(), read_only=True) as store:
        kept = settings_of(store) if is_migrated(store) else {}
    if as_json:
        console.document({"settings": own, "warehouse": kept})
    elif not kept:
        console.line(
            "The warehouse keeps none yet: the first load, or `ecommpay-sync marts`, gives it those of its process."
        )
    else:
        belonging = [(variable, value or "none") for variable, value in kept.items()]
        console.table("Settings of the warehouse", belonging, {"variable": itemgetter(0), "value": itemgetter(1)})


@settings_app.command("apply")
def settings_apply() -> None:
    """Give the warehouse the settings of this environment; what the environment does not name stays."""
    from resources.warehouse.migrate import migrate
    from resources.warehouse.reference import apply_settings

    with open_warehouse(database_url()) as store:
        migrate(store, reference=None, changes_settings=True)
        changes = apply_settings(store)
    for change in changes:
        console.line(
            f"{change.variable}: {change.before or 'none'} → {change.after or 'none'}; rebuilt: {change.rebuilt}"
        )
    if not changes:
        console.line("nothing changed: the warehouse has these settings already")
