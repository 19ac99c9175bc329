"""`grant`: make the three roles, and give each what it needs and no more; what that is stands in sql/roles.sql."""

from __future__ import annotations

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from pipelines.marts.build import build_marts
from resources.settings import role_prefix
from resources.warehouse.engine import run, script


def grant_roles() -> None:
    """Make the marts and the roles; safe to run again."""
    prefix, settings = role_prefix(), account.settings_of_all()
    with migrated_store() as store:
        build_marts(store, *settings)
        with store.transaction() as connection:
            run(connection, "cli/admin/name_prefix", prefix=prefix)
            script(connection, "roles")
    show.line(f"{prefix}_loader    owns core, raw, sync, bi (and recon): run ecommpay-sync as this role")
    show.line(f"{prefix}_bi        reads bi.*, without personal data, read-only, 30 s a statement")
    show.line(f"{prefix}_finance   reads bi.* and recon.*, writes owner and note of a break")
    show.line(f"no role has a password from here: ALTER ROLE {prefix}_bi PASSWORD '…' (or \\password in psql)")
