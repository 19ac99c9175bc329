"""Fills core.currencies and core.settings from ISO 4217 and the settings; writes only when something changed."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version

from sqlalchemy import Connection

from resources.currencies import WITHDRAWN, iso_periods, periods
from resources.errors import ConfigError
from resources.settings import ReferenceSettings
from resources.warehouse.engine import run, run_many

FINGERPRINT = "reference_fingerprint"


def fill_reference(connection: Connection, settings: ReferenceSettings) -> bool:
    """Bring currencies and settings of the database up to date; return whether anything had to be written.

    Raises:
        ConfigError: the server does not know the reporting zone. Nothing is written then.
    """
    wanted = _fingerprint(settings)
    if any(row.value == wanted for row in run(connection, "warehouse/reference/setting", key=FINGERPRINT)):
        return False
    if not run(connection, "warehouse/reference/is_time_zone", zone=settings.reporting_zone):
        raise ConfigError(
            f"SYNC_REPORTING_ZONE is {settings.reporting_zone!r}, which this PostgreSQL server does not know: "
            "use a name of its view pg_timezone_names."
        )
    run(connection, "warehouse/reference/set", key="reporting_zone", value=settings.reporting_zone)
    run(connection, "warehouse/reference/set", key="fiscal_year_start_month", value=str(settings.fiscal_start_month))
    run(connection, "warehouse/reference/forget_currencies")
    run_many(
        connection,
        "warehouse/reference/add_currency",
        [
            vars(period) | {"smallest_unit": period.smallest_unit}
            for period in periods(iso_periods(), settings.currency_exponents)
        ],
    )
    run(connection, "warehouse/reference/set", key=FINGERPRINT, value=wanted)
    return True


def _fingerprint(settings: ReferenceSettings) -> str:
    overrides = [
        (item.currency, item.exponent, str(item.valid_from or ""))
        for item in sorted(settings.currency_exponents, key=str)
    ]
    facts = [version("iso-4217"), WITHDRAWN, settings.reporting_zone, settings.fiscal_start_month, overrides]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
