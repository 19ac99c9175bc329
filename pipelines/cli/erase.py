"""`erase`: take a person's data out of the store; what is looked for is never printed."""

from __future__ import annotations

from pipelines.cli import account, show
from pipelines.cli.store import migrated_store
from pipelines.privacy.erase import erase
from resources.errors import ConfigError


def erase_customer(customer: str) -> None:
    """Erase by customer_id or e-mail address."""
    settings = account.settings()
    if not customer.strip():
        raise ConfigError("--customer is empty: give a customer_id or an e-mail address.")
    with migrated_store() as store:
        done = erase(store, settings.account, customer.strip())
    if not done.found:
        raise ConfigError(f"nothing of account {settings.account} names this customer: nothing was changed.")
    show.line(
        f"erased: {done.operations:,} operations, {done.operation_versions:,} former states, "
        f"{done.fraud_reports:,} fraud reports, {done.rejects:,} rejects, {done.pages:,} raw pages, "
        f"{done.documents:,} documents; "
        "keys, amounts and the ledger stay"
    )
