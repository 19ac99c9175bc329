"""Environment to typed settings, secrets masked; what the settings are used for is elsewhere.

Every function takes the environment as an argument, so that nothing is read at import.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Literal

from resources.api_settings import (
    DEFAULT_BASE_URL,
    HOW_TO_GET_A_TOKEN,
    TOKEN_LENGTH,
    ApiSettings,
    api_settings,
    checked_api_settings,
    checked_base_url,
    is_loopback,
)
from resources.currencies import ExponentOverride
from resources.documents_file import DocumentsConfig, read_documents_file
from resources.errors import ConfigError
from resources.project_owners import ProjectOwner, project_owner, project_owners
from resources.settings_values import (
    Environment,
    Secret,
    account_of,
    cron_of,
    day_of,
    number_of,
    secret_from_file,
    time_of,
    value_or_file,
    zone_of,
)

__all__ = [  # of the modules beside, so that readers of settings need one import
    "DEFAULT_BASE_URL",
    "HOW_TO_GET_A_TOKEN",
    "TOKEN_LENGTH",
    "ApiSettings",
    "Environment",
    "ProjectOwner",
    "Secret",
    "api_settings",
    "checked_api_settings",
    "checked_base_url",
    "is_loopback",
    "project_owner",
    "project_owners",
    "secret_from_file",
    "value_or_file",
]

MOST_DECIMALS = 18
PROJECT_ROOT = Path(__file__).resolve().parents[1]

FraudMode = Literal["auto", "on", "off"]
PersonalMode = Literal["keep", "hash", "drop"]
SHORTEST_KEY = 16
FILES_OF_SECRETS = ("DATA_API_TOKEN", "DATA_API_SECRET", "DATABASE_URL", "SYNC_PERSONAL_DATA_KEY")


@dataclass(frozen=True)
class ReferenceSettings:
    """What business days, fiscal years and minor units mean; the database holds a copy."""

    reporting_zone: str = "UTC"
    fiscal_start_month: int = 1
    currency_exponents: tuple[ExponentOverride, ...] = ()


@dataclass(frozen=True)
class PersonalSettings:
    """What becomes of personal columns before they are stored; `key` is there when they are hashed."""

    mode: PersonalMode = "keep"
    key: Secret | None = None


@dataclass(frozen=True)
class SyncSettings:
    """How the sync is run; every value has a default that suits a nightly run."""

    account: str = "default"
    first_day: date = date(2015, 1, 1)
    look_back_days: int = 3
    windows_in_flight: int = 8
    requests_in_flight: int = 16  # at most, of a token; how many go well is found
    backfill_days: int = 31  # a run over more days yields to shorter ones
    backfill_windows_beside_others: int = 1
    retry_seconds: float = 900.0
    nightly_cron: str = "30 3 * * *"
    balances_cron: str = "0 * * * *"
    schedule_time_zone: str = "UTC"
    fields: tuple[str, ...] = field(default=())
    reference: ReferenceSettings = ReferenceSettings()
    nightly_deadline: time = time(6)  # in the reporting zone
    fraud: FraudMode = "auto"
    fraud_look_back_days: int = 30
    spot_check_sample: int = 20
    raw_days: int = 400
    recon_cutoff_minutes: int = 120
    personal: PersonalSettings = PersonalSettings()
    project_owners: tuple[ProjectOwner, ...] = ()
    documents: tuple[DocumentsConfig, ...] = ()


def open_secret_files(environment: Environment = os.environ, more: Iterable[tuple[str, str]] = ()) -> list[str]:
    """Return the files of secrets, and of `more` (what names each, its path), that others may read, and the modes."""
    named = [(f"{name}_FILE", environment.get(f"{name}_FILE")) for name in FILES_OF_SECRETS]
    found = []
    for name, path in (*named, *more):
        try:
            mode = Path(path).stat().st_mode & 0o777 if path else 0
        except OSError:
            continue  # that it cannot be read is told where it is read
        if mode & 0o004:
            found.append(f"{name} ({path}, mode {mode:04o})")
    return found


def sync_settings(environment: Environment = os.environ) -> SyncSettings:
    """Read the settings of the sync itself; see README.md for the table.

    Raises:
        ConfigError: a value is malformed.
    """
    default = SyncSettings()
    return SyncSettings(
        account=account_of("SYNC_ACCOUNT", environment.get("SYNC_ACCOUNT") or default.account),
        first_day=day_of("SYNC_FIRST_DAY", environment.get("SYNC_FIRST_DAY"), default.first_day),
        look_back_days=number_of("SYNC_LOOK_BACK_DAYS", environment, default.look_back_days, 0, 365),
        windows_in_flight=number_of("SYNC_WINDOWS_IN_FLIGHT", environment, default.windows_in_flight, 1, 16),
        requests_in_flight=number_of("SYNC_REQUESTS_IN_FLIGHT", environment, default.requests_in_flight, 1, 64),
        backfill_days=number_of("SYNC_BACKFILL_DAYS", environment, default.backfill_days, 1, 36_500),
        backfill_windows_beside_others=number_of(
            "SYNC_BACKFILL_WINDOWS_BESIDE_OTHERS", environment, default.backfill_windows_beside_others, 1, 16
        ),
        retry_seconds=float(number_of("SYNC_RETRY_SECONDS", environment, int(default.retry_seconds), 1, 86_400)),
        nightly_cron=cron_of("SYNC_NIGHTLY_CRON", environment, default.nightly_cron),
        balances_cron=cron_of("SYNC_BALANCES_CRON", environment, default.balances_cron),
        schedule_time_zone=zone_of("SYNC_SCHEDULE_TIME_ZONE", environment, default.schedule_time_zone),
        fields=_fields(environment.get("SYNC_FIELDS", "")),
        reference=reference_settings(environment),
        nightly_deadline=time_of("SYNC_NIGHTLY_DEADLINE", environment, default.nightly_deadline),
        fraud=_fraud_mode(environment.get("SYNC_FRAUD") or default.fraud),
        fraud_look_back_days=number_of("SYNC_FRAUD_LOOK_BACK_DAYS", environment, default.fraud_look_back_days, 0, 365),
        spot_check_sample=number_of("SYNC_SPOT_CHECK_SAMPLE", environment, default.spot_check_sample, 0, 1000),
        raw_days=number_of("SYNC_RAW_DAYS", environment, default.raw_days, 0, 36_500),
        recon_cutoff_minutes=number_of("SYNC_RECON_CUTOFF_MINUTES", environment, default.recon_cutoff_minutes, 0, 1440),
        personal=personal_settings(environment),
        project_owners=project_owners(environment.get("SYNC_PROJECT_OWNERS", "")),
        documents=read_documents_file(path) if (path := environment.get("DOCUMENTS_FILE")) else (),
    )


def personal_settings(environment: Environment = os.environ) -> PersonalSettings:
    """Read SYNC_PERSONAL_DATA and, for `hash`, SYNC_PERSONAL_DATA_KEY (or its `…_FILE`).

    Raises:
        ConfigError: the mode is none of the three, or the key is missing or too short.
    """
    modes: dict[str, PersonalMode] = {"keep": "keep", "hash": "hash", "drop": "drop"}
    text = environment.get("SYNC_PERSONAL_DATA") or "keep"
    if text not in modes:
        raise ConfigError(f"SYNC_PERSONAL_DATA is {text!r}: write keep, hash or drop.")
    if text != "hash":
        return PersonalSettings(modes[text])
    key = value_or_file("SYNC_PERSONAL_DATA_KEY", environment)
    if not key:
        raise ConfigError("SYNC_PERSONAL_DATA_KEY is not set: SYNC_PERSONAL_DATA=hash needs a key that never changes.")
    if len(key) < SHORTEST_KEY or key != key.strip() or not key.isprintable():
        raise ConfigError(
            f"SYNC_PERSONAL_DATA_KEY must have at least {SHORTEST_KEY} printable characters and no space around them: "
            "make one with `openssl rand -hex 32`."
        )
    return PersonalSettings("hash", Secret(key))


def reference_settings(environment: Environment = os.environ) -> ReferenceSettings:
    """Read SYNC_REPORTING_ZONE, SYNC_FISCAL_START_MONTH and SYNC_CURRENCY_EXPONENTS.

    Raises:
        ConfigError: a value is malformed.
    """
    default = ReferenceSettings()
    return ReferenceSettings(
        reporting_zone=zone_of("SYNC_REPORTING_ZONE", environment, default.reporting_zone),
        fiscal_start_month=number_of("SYNC_FISCAL_START_MONTH", environment, default.fiscal_start_month, 1, 12),
        currency_exponents=exponent_overrides(environment.get("SYNC_CURRENCY_EXPONENTS", "")),
    )


def role_prefix(environment: Environment = os.environ) -> str:
    """Return what the names of the roles begin with: `SYNC_ROLE_PREFIX`, or `ecommpay`. Roles belong to a whole server.

    Raises:
        ConfigError: it is malformed.
    """
    prefix = environment.get("SYNC_ROLE_PREFIX") or "ecommpay"
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", prefix) or prefix.startswith("pg_"):
        raise ConfigError(f"SYNC_ROLE_PREFIX is {prefix!r}: use a–z, 0–9 and _, at most 48, not beginning with pg_.")
    return prefix


def exponent_overrides(text: str) -> tuple[ExponentOverride, ...]:
    """Read overrides of ISO 4217's exponents: `JPY=2` (always) or `JPY=2@2026-01-01` (from that day), with commas.

    Raises:
        ConfigError: one is malformed, or given twice for the same day.
    """
    found: dict[tuple[str, date | None], ExponentOverride] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        match = re.fullmatch(r"([A-Z0-9]{3,8})=(\d{1,2})(?:@(\S+))?", part, re.ASCII)
        if not match or int(match[2]) > MOST_DECIMALS:
            raise ConfigError(
                f"SYNC_CURRENCY_EXPONENTS has {part!r}: write CODE=DECIMALS or CODE=DECIMALS@DAY, "
                f"decimals from 0 to {MOST_DECIMALS}, for example JPY=2@2026-01-01."
            )
        day = day_of("SYNC_CURRENCY_EXPONENTS", match[3], date.min) if match[3] else None
        if (match[1], day) in found:
            raise ConfigError(f"SYNC_CURRENCY_EXPONENTS gives {match[1]} twice for the same day: keep one of them.")
        found[match[1], day] = ExponentOverride(match[1], day, int(match[2]))
    return tuple(found.values())


def _fraud_mode(text: str) -> FraudMode:
    modes: dict[str, FraudMode] = {"auto": "auto", "on": "on", "off": "off"}
    if text not in modes:
        raise ConfigError(f"SYNC_FRAUD is {text!r}: write auto, on or off.")
    return modes[text]


def _fields(text: str) -> tuple[str, ...]:
    names = tuple(name for name in re.split(r"[,\s]+", text) if name)
    for name in names:
        if not re.fullmatch(r"[a-z0-9_]+(\.[a-z_]+)?", name):
            raise ConfigError(f"SYNC_FIELDS names {name!r}, which is no field of the Data API.")
    return names


def database_url(environment: Environment = os.environ) -> str | None:
    """Return `DATABASE_URL` (or the content of `DATABASE_URL_FILE`); None: the embedded PostgreSQL.

    Raises:
        ConfigError: it is not a libpq URL.
    """
    url = value_or_file("DATABASE_URL", environment)
    if url and not re.match(r"postgres(ql)?://", url):
        raise ConfigError(
            "DATABASE_URL is not a PostgreSQL URL: write postgresql://user:password@host:5432/database "
            "(or postgresql://user@/database?host=/socket/directory)."
        )
    return url


def data_dir(environment: Environment = os.environ) -> Path:
    """Return the folder for the embedded PostgreSQL and Dagster's files; `SYNC_DATA_DIR` or `.data` here."""
    return Path(environment.get("SYNC_DATA_DIR") or PROJECT_ROOT / ".data").absolute()


def report_dir(environment: Environment = os.environ) -> Path:
    """Return the folder of the daily close reports; `SYNC_REPORT_DIR`, or `reports` in the data folder."""
    return Path(environment.get("SYNC_REPORT_DIR") or data_dir(environment) / "reports").absolute()
