"""Environment to typed settings, secrets masked; what the settings are used for is elsewhere.

Every function takes the environment as an argument, so that nothing is read at import.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from resources.currencies import ExponentOverride
from resources.documents_file import DocumentsConfig, read_documents_file
from resources.errors import ConfigError

DEFAULT_BASE_URL = "https://data.ecommpay.com/v1"
TOKEN_LENGTH = 30
HOW_TO_GET_A_TOKEN = (
    "in the Dashboard open My profile → API Tokens → New token "  # noqa: S105 - a help text
    '(the right "Manage API tokens" is granted by a Merchant admin under My team)'
)
MOST_DECIMALS = 18
PROJECT_ROOT = Path(__file__).resolve().parents[1]

Environment = Mapping[str, str]
FraudMode = Literal["auto", "on", "off"]
PersonalMode = Literal["keep", "hash", "drop"]
SHORTEST_KEY = 16


@dataclass(frozen=True, repr=False)
class Secret:
    """A string that no `repr`, `str` or format ever shows; `reveal()` is the only way to it."""

    _value: str

    def reveal(self) -> str:
        """Return the secret itself, for the one place that signs or sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(****)"

    def __str__(self) -> str:
        return "****"


@dataclass(frozen=True)
class ApiSettings:
    """Where the Data API is, and who we are there."""

    base_url: str
    token: Secret
    secret: Secret


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
    windows_in_flight: int = 4
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
    documents: tuple[DocumentsConfig, ...] = ()


def api_settings(environment: Environment = os.environ) -> ApiSettings:
    """Read and check `DATA_API_BASE_URL`, `DATA_API_TOKEN` and `DATA_API_SECRET` (or their `…_FILE`).

    Raises:
        ConfigError: one is missing or malformed; nothing has been sent.
    """
    return checked_api_settings(
        base_url=environment.get("DATA_API_BASE_URL") or DEFAULT_BASE_URL,
        token=value_or_file("DATA_API_TOKEN", environment),
        secret=value_or_file("DATA_API_SECRET", environment),
    )


def checked_api_settings(*, base_url: str, token: str | None, secret: str | None) -> ApiSettings:
    """Build `ApiSettings`, or say in one line which part is wrong and what to do.

    Raises:
        ConfigError: a part is missing or malformed.
    """
    url = checked_base_url(base_url)
    if not token:
        raise ConfigError(f"DATA_API_TOKEN is not set: {HOW_TO_GET_A_TOKEN}.")
    if not re.fullmatch(rf"[\x21-\x7e]{{{TOKEN_LENGTH}}}", token):
        raise ConfigError(
            f"DATA_API_TOKEN has {len(token)} characters; a token is {TOKEN_LENGTH} printable characters "
            "without spaces: copy it again from My profile → API Tokens."
        )
    if not secret:
        raise ConfigError(
            "DATA_API_SECRET is not set: it is shown once, when the token is made; "
            f"if it is lost, make a new token: {HOW_TO_GET_A_TOKEN}."
        )
    if secret != secret.strip():
        raise ConfigError("DATA_API_SECRET begins or ends with a space or a line break: remove it.")
    if not secret.isprintable():
        raise ConfigError("DATA_API_SECRET holds a character that cannot be printed: copy it again.")
    return ApiSettings(url, Secret(token), Secret(secret))


def checked_base_url(base_url: str) -> str:
    """Return the base URL without a trailing slash: https, or http to a loopback address only.

    Raises:
        ConfigError: the URL is malformed, or would carry the token in the clear.
    """
    if "@" in base_url:
        raise ConfigError("DATA_API_BASE_URL must not contain a user name or password.")
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(f"DATA_API_BASE_URL is not a URL: {base_url!r}. Example: {DEFAULT_BASE_URL}.") from None
    if (
        parts.scheme not in {"http", "https"}
        or not _is_host(host)
        # urlsplit passes over line breaks, and over what stands around brackets: judge what will be called
        or parts.netloc.lower() != (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
        or not re.fullmatch(r"[\x21-\x7e]+", base_url)
        or re.search(r"[?#\\]", base_url)
    ):
        raise ConfigError(f"DATA_API_BASE_URL is not a base URL: {base_url!r}. Example: {DEFAULT_BASE_URL}.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            f"DATA_API_BASE_URL is plain http to {host}: the token would travel in the clear. "
            "Use https:// (http:// is allowed to a loopback address only)."
        )
    return base_url.rstrip("/")


def _is_host(host: str) -> bool:
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or address alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def value_or_file(name: str, environment: Environment) -> str | None:
    """Return the variable's value, or the content of the file that `NAME_FILE` names (one trailing newline off).

    Raises:
        ConfigError: both are set, or the file cannot be read.
    """
    value, path = environment.get(name), environment.get(f"{name}_FILE")
    if value and path:
        raise ConfigError(f"{name} and {name}_FILE are both set: keep one of them.")
    if value or not path:
        return value or None
    return secret_from_file(name, path)


def secret_from_file(name: str, path: str) -> str:
    """Return the content of a secret's file, without the line break at its end.

    Raises:
        ConfigError: the file cannot be read as text, or is empty.
    """
    try:
        content = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{name}_FILE cannot be read: {path}: {reason}.") from None
    if not content:
        raise ConfigError(f"{name}_FILE is empty: {path}.")
    return content


def open_secret_files(environment: Environment = os.environ) -> list[str]:
    """Return the files of secrets that other users of this machine may read, each with its mode."""
    found = []
    for name in ("DATA_API_TOKEN", "DATA_API_SECRET", "DATABASE_URL", "SYNC_PERSONAL_DATA_KEY"):
        path = environment.get(f"{name}_FILE")
        try:
            mode = Path(path).stat().st_mode & 0o777 if path else 0
        except OSError:
            continue  # that it cannot be read is told where it is read
        if mode & 0o004:
            found.append(f"{name}_FILE ({path}, mode {mode:04o})")
    return found


def sync_settings(environment: Environment = os.environ) -> SyncSettings:
    """Read the settings of the sync itself; see README.md for the table.

    Raises:
        ConfigError: a value is malformed.
    """
    default = SyncSettings()
    return SyncSettings(
        account=_account(environment.get("SYNC_ACCOUNT") or default.account),
        first_day=_day("SYNC_FIRST_DAY", environment.get("SYNC_FIRST_DAY"), default.first_day),
        look_back_days=_number("SYNC_LOOK_BACK_DAYS", environment, default.look_back_days, 0, 365),
        windows_in_flight=_number("SYNC_WINDOWS_IN_FLIGHT", environment, default.windows_in_flight, 1, 16),
        backfill_days=_number("SYNC_BACKFILL_DAYS", environment, default.backfill_days, 1, 36_500),
        backfill_windows_beside_others=_number(
            "SYNC_BACKFILL_WINDOWS_BESIDE_OTHERS", environment, default.backfill_windows_beside_others, 1, 16
        ),
        retry_seconds=float(_number("SYNC_RETRY_SECONDS", environment, int(default.retry_seconds), 1, 86_400)),
        nightly_cron=_cron("SYNC_NIGHTLY_CRON", environment, default.nightly_cron),
        balances_cron=_cron("SYNC_BALANCES_CRON", environment, default.balances_cron),
        schedule_time_zone=_zone("SYNC_SCHEDULE_TIME_ZONE", environment, default.schedule_time_zone),
        fields=_fields(environment.get("SYNC_FIELDS", "")),
        reference=reference_settings(environment),
        nightly_deadline=_time("SYNC_NIGHTLY_DEADLINE", environment, default.nightly_deadline),
        fraud=_fraud_mode(environment.get("SYNC_FRAUD") or default.fraud),
        fraud_look_back_days=_number("SYNC_FRAUD_LOOK_BACK_DAYS", environment, default.fraud_look_back_days, 0, 365),
        spot_check_sample=_number("SYNC_SPOT_CHECK_SAMPLE", environment, default.spot_check_sample, 0, 1000),
        raw_days=_number("SYNC_RAW_DAYS", environment, default.raw_days, 0, 36_500),
        recon_cutoff_minutes=_number("SYNC_RECON_CUTOFF_MINUTES", environment, default.recon_cutoff_minutes, 0, 1440),
        personal=personal_settings(environment),
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
        reporting_zone=_zone("SYNC_REPORTING_ZONE", environment, default.reporting_zone),
        fiscal_start_month=_number("SYNC_FISCAL_START_MONTH", environment, default.fiscal_start_month, 1, 12),
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
        day = _day("SYNC_CURRENCY_EXPONENTS", match[3], date.min) if match[3] else None
        if (match[1], day) in found:
            raise ConfigError(f"SYNC_CURRENCY_EXPONENTS gives {match[1]} twice for the same day: keep one of them.")
        found[match[1], day] = ExponentOverride(match[1], day, int(match[2]))
    return tuple(found.values())


def _account(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,63}", name):
        raise ConfigError(f"SYNC_ACCOUNT is {name!r}: use 1 to 63 of a–z, 0–9, _ and -.")
    return name


def _day(name: str, text: str | None, default: date) -> date:
    try:
        return date.fromisoformat(text) if text else default
    except ValueError:
        raise ConfigError(f"{name} is {text!r}: write a day as YYYY-MM-DD.") from None


def _time(name: str, environment: Environment, default: time) -> time:
    text = environment.get(name)
    if not text:
        return default
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ConfigError(f"{name} is {text!r}: write a time of the day as HH:MM.")
    return time.fromisoformat(text)


def _number(name: str, environment: Environment, default: int, least: int, most: int) -> int:
    text = environment.get(name)
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
        raise ConfigError(f"{name} is {text!r}: write a whole number from {least} to {most}.")
    return int(text)


def _cron(name: str, environment: Environment, default: str) -> str:
    text = environment.get(name) or default
    if not re.fullmatch(r"[0-9*/,\-A-Za-z]*[0-9*][0-9*/,\-A-Za-z]*( +[0-9A-Za-z*/,\-]+){4}", text.strip()):
        raise ConfigError(f"{name} is {text!r}: write five fields, for example {default!r}.")
    return text


def _zone(name: str, environment: Environment, default: str) -> str:
    text = environment.get(name) or default
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"{name} is {text!r}, which is no IANA time zone: write for example 'Europe/Berlin'."
        ) from None
    return text


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
