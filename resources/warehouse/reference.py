"""The settings that belong to the warehouse, and what is filled from them: currencies of ISO 4217 and overrides.

Until the first load they follow the process that connects. From then on a process whose own differ is refused; one that
does not set them takes the warehouse's; `apply_settings` alone changes them.
"""

import hashlib
import hmac
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from importlib.metadata import version
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from resources.currencies import WITHDRAWN, exponent_overrides, iso_periods, periods
from resources.errors import ConfigError
from resources.settings import (
    Environment,
    ReferenceSettings,
    SyncSettings,
    personal_settings,
    reference_settings,
    sync_settings,
)
from resources.warehouse.engine import Warehouse, run, run_many

FINGERPRINT = "reference_fingerprint"
ZONE, MONTH, EXPONENTS = "reporting_zone", "fiscal_year_start_month", "currency_exponents"
REBUILT = {
    ZONE: "all marts are built anew by the next build; days that are not closed must be reconciled again",
    MONTH: "bi.dim_date is built anew by the next build",
    EXPONENTS: "all marts are built anew by the next build",
    "first_day": "nothing; what is loaded stays",
    "personal_data": "nothing; rows that are stored stay as they are until they are loaded again",
}


@dataclass(frozen=True)
class Setting:
    """A setting of the warehouse: its key, the variable that a process gives it by, and how that is read."""

    key: str
    variable: str
    value: Callable[[Environment], str]


@dataclass(frozen=True)
class Change:
    """What `apply_settings` changed of a setting, and what is rebuilt because of it."""

    variable: str
    before: str
    after: str
    rebuilt: str


def personal_data(environment: Environment) -> str:
    """Return the mode of personal data, and for `hash` which key it is, not the key itself."""
    personal = personal_settings(environment)
    if personal.key is None:
        return personal.mode
    digest = hmac.digest(personal.key.reveal().encode(), b"ecommpay-sync personal data", "sha256").hex()
    return f"{personal.mode} with key {digest[:12]}"


SETTINGS = (
    Setting(ZONE, "SYNC_REPORTING_ZONE", lambda environment: reference_settings(environment).reporting_zone),
    Setting(
        MONTH, "SYNC_FISCAL_START_MONTH", lambda environment: str(reference_settings(environment).fiscal_start_month)
    ),
    Setting(EXPONENTS, "SYNC_CURRENCY_EXPONENTS", lambda environment: _exponents_text(reference_settings(environment))),
    Setting("first_day", "SYNC_FIRST_DAY", lambda environment: str(sync_settings(environment).first_day)),
    Setting("personal_data", "SYNC_PERSONAL_DATA", personal_data),
)


def settle_settings(
    connection: Connection, place: str, environment: Environment = os.environ, *, loads: bool = False
) -> None:
    """Write the settings as long as nothing is loaded; then refuse those of a process that differ.

    `loads`: what the process does not set, it would load with its defaults, so that these are compared with the
    warehouse too.

    Raises:
        ConfigError: a setting differs, is malformed, or is unknown to the server. Nothing is written then.
    """
    stored = _stored(connection)
    is_loaded = bool(run(connection, "warehouse/reference/is_loaded"))
    if is_loaded:
        check_settings(connection, place, environment, loads=loads)
        _check_zone(connection, stored)
    given = {
        setting.key: setting.value(environment)
        for setting in SETTINGS
        if not is_loaded or environment.get(setting.variable) or (loads and setting.key not in stored)
    }
    _write(connection, stored | given)


def check_settings(
    connection: Connection, place: str, environment: Environment = os.environ, *, loads: bool = False
) -> None:
    """Only look whether settings of this process differ from those of a warehouse that is loaded.

    Raises:
        ConfigError: one does.
    """
    if not run(connection, "warehouse/reference/is_loaded"):
        return
    stored = _stored(connection)
    for setting in SETTINGS:
        if not environment.get(setting.variable) and not (loads and setting.key == "personal_data"):
            continue
        own, kept = setting.value(environment), stored.get(setting.key)
        if kept is not None and own != kept:
            raise ConfigError(
                f"{setting.variable} is {own or 'none'} here, and {kept or 'none'} in the warehouse ({place}): set it "
                "to that, or change the warehouse by `ecommpay-sync settings apply`, which says what is rebuilt."
            )
    if loads:
        check_account(connection, environment)


def check_account(connection: Connection, environment: Environment = os.environ) -> None:
    """Refuse to add to an account that nobody named, beside those that the warehouse holds.

    Raises:
        ConfigError: SYNC_ACCOUNT is not set, and the warehouse holds other accounts alone.
    """
    accounts = [row.account for row in run(connection, "warehouse/reference/accounts")]
    named = any(environment.get(name) for name in ("SYNC_ACCOUNT", "ACCOUNTS", "ACCOUNTS_FILE"))
    default = sync_settings({}).account
    if accounts and default not in accounts and not named:
        raise ConfigError(
            f"SYNC_ACCOUNT is not set, and the warehouse holds {', '.join(accounts)}: set SYNC_ACCOUNT={accounts[0]}, "
            f"or SYNC_ACCOUNT={default} to load a second copy under that name."
        )


def apply_settings(warehouse: Warehouse, environment: Environment = os.environ) -> list[Change]:
    """Give the warehouse the settings that the environment names, an empty one its default; return what changed.

    Raises:
        ConfigError: one is malformed, or unknown to the server. Nothing is written then.
    """
    with warehouse.transaction() as connection:
        run(connection, "warehouse/reference/lock")
        before = _stored(connection)
        given = {setting.key: setting.value(environment) for setting in SETTINGS if setting.variable in environment}
        _write(connection, before | given)
    return [
        Change(setting.variable, before.get(setting.key, ""), given[setting.key], REBUILT[setting.key])
        for setting in SETTINGS
        if setting.key in given and given[setting.key] != before.get(setting.key)
    ]


def settings_of(warehouse: Warehouse) -> dict[str, str]:
    """Return what belongs to this warehouse, by the variable that a process gives it by."""
    with warehouse.transaction() as connection:
        stored = _stored(connection)
    return {setting.variable: stored[setting.key] for setting in SETTINGS if setting.key in stored}


def settings_in_force(warehouse: Warehouse, settings: SyncSettings) -> SyncSettings:
    """Return `settings` with the reporting zone, fiscal year and exponents of this warehouse."""
    with warehouse.transaction() as connection:
        return replace(settings, reference=_reference(_stored(connection)))


def exponents_in_force(warehouse: Warehouse) -> str:
    """Return the overrides of ISO 4217's exponents in this warehouse, as SYNC_CURRENCY_EXPONENTS writes them."""
    return "".join(row.value for row in warehouse.query("warehouse/reference/setting", key=EXPONENTS))


def fill_reference(connection: Connection, settings: ReferenceSettings) -> bool:
    """Bring currencies, zone and fiscal year to `settings`; return whether anything had to be written.

    Raises:
        ConfigError: the server does not know the reporting zone. Nothing is written then.
    """
    given = {ZONE: settings.reporting_zone, MONTH: str(settings.fiscal_start_month)}
    return _write(connection, _stored(connection) | given | {EXPONENTS: _exponents_text(settings)})


def _write(connection: Connection, wanted: Mapping[str, str]) -> bool:
    reference = _reference(wanted)
    target = dict(wanted) | {FINGERPRINT: _fingerprint(reference)}
    if _stored(connection).items() >= target.items():
        return False
    run(connection, "warehouse/reference/lock")
    stored = _stored(connection)
    if not run(connection, "warehouse/reference/is_time_zone", zone=reference.reporting_zone):
        raise ConfigError(
            f"SYNC_REPORTING_ZONE is {reference.reporting_zone!r}, which this PostgreSQL server does not know: "
            "use a name of its view pg_timezone_names."
        )
    _check_zone(connection, target)
    if stored.get(FINGERPRINT) != target[FINGERPRINT]:
        run(connection, "warehouse/reference/forget_currencies")
        run_many(
            connection,
            "warehouse/reference/add_currency",
            [
                vars(period) | {"smallest_unit": period.smallest_unit}
                for period in periods(iso_periods(), reference.currency_exponents)
            ],
        )
    for key, value in target.items():
        run(connection, "warehouse/reference/set", key=key, value=value)
    return True


def _check_zone(connection: Connection, wanted: Mapping[str, str]) -> None:
    """Refuse a zone in which this server shows another time than we do: days would begin at two moments.

    A moment of each week from the first day to tomorrow is compared.
    """
    first_day = date.fromisoformat(wanted.get("first_day", str(SyncSettings().first_day)))
    since, tomorrow = datetime.combine(first_day, time(12), UTC), datetime.now(UTC) + timedelta(days=1)
    weeks = max((tomorrow - since).days // 7, 0) + 1
    if other := _other_time(connection, wanted[ZONE], [tomorrow - timedelta(weeks=number) for number in range(weeks)]):
        raise ConfigError(other)


def _other_time(connection: Connection, zone: str, moments: Sequence[datetime]) -> str:
    """Return what the moment nearest to now is of which this server shows another time, and what to do; empty: none."""
    ours = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    for row in run(connection, "warehouse/reference/other_time", zone=zone, moments=moments, ours=ours):
        return (
            f"SYNC_REPORTING_ZONE is {zone!r}: at {row.moment:%Y-%m-%d %H:%M} UTC it is {row.ours:%H:%M} there for "
            f"this machine and {row.theirs:%H:%M} for the PostgreSQL server: update the older of the two, let "
            "PYTHONTZPATH name a folder of the server's zones, or name the zone by a city (Europe/Berlin, not CET)."
        )
    return ""


def examine_zone(connection: Connection, environment: Environment = os.environ, *, is_migrated: bool) -> str:
    """Return the zone with a warning, if in the year to come it is one that a load would refuse.

    Raises:
        ConfigError: a load would refuse it today.
    """
    wanted = {setting.key: setting.value(environment) for setting in SETTINGS}
    if is_migrated and run(connection, "warehouse/reference/is_loaded"):
        wanted = _stored(connection)
    _check_zone(connection, wanted)
    now = datetime.now(UTC)
    other = _other_time(connection, wanted[ZONE], [now + timedelta(days=day) for day in range(366)])
    return f"{wanted[ZONE]}, the same time here and for the server" + f" — until it is refused: {other}" * bool(other)


def _stored(connection: Connection) -> dict[str, str]:
    known = {FINGERPRINT, *(setting.key for setting in SETTINGS)}
    return {row.key: row.value for row in run(connection, "warehouse/reference/settings") if row.key in known}


def _reference(stored: Mapping[str, str]) -> ReferenceSettings:
    return ReferenceSettings(stored[ZONE], int(stored[MONTH]), exponent_overrides(stored.get(EXPONENTS, "")))


def _exponents_text(settings: ReferenceSettings) -> str:
    return ",".join(
        f"{item.currency}={item.exponent}" + (f"@{item.valid_from}" if item.valid_from else "")
        for item in sorted(settings.currency_exponents, key=str)
    )


def _fingerprint(settings: ReferenceSettings) -> str:
    facts = [
        version("iso-4217"),
        WITHDRAWN,
        settings.reporting_zone,
        settings.fiscal_start_month,
        _exponents_text(settings),
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
