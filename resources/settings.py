"""Every variable of the environment: its name, type, default, check, and the sentence that documents it.

How they are read is in `environment`, the kinds of their values in `values`, all of them by their names in
`config_file`, which makes docs/settings.md (`make settings`). Whose tokens there are is in `accounts`. Every function
takes the environment as an argument, so that nothing is read at import.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from resources import currencies, values
from resources.currencies import Rate, read_rates_file
from resources.documents import DocumentsConfig, read_documents_file
from resources.environment import Environment, Variable, make, read
from resources.errors import ConfigError
from resources.values import DEFAULT_BASE_URL, Kind, ProjectOwner, Secret

__all__ = ["DEFAULT_BASE_URL", "Environment", "ProjectOwner", "Secret", "read"]

HOW_TO_GET_A_TOKEN = (
    "in the Dashboard open My profile → API Tokens → New token "  # noqa: S105 - a help text
    '(the right "Manage API tokens" is granted by a Merchant admin under My team)'
)
HOW_TO_GET_A_SECRET = f"it is shown once, when the token is made; if it is lost, make a new token: {HOW_TO_GET_A_TOKEN}"
HOW_TO_GET_MAIL = "alerts by e-mail need ALERT_SMTP_URL, ALERT_EMAIL_FROM, ALERT_EMAIL_TO"
RUNBOOK = "docs/runbook.md"


def _default_data_dir() -> Path:
    """Return `.data` of a clone; of an installed package, the user's own data folder."""
    clone = Path(__file__).resolve().parents[1]
    if (clone / "pyproject.toml").exists():
        return clone / ".data"
    from platformdirs import user_data_path

    return user_data_path("ecommpay-sync")


FraudMode = Literal["auto", "on", "off"]
PersonalMode = Literal["keep", "hash", "drop"]
LogFormat = Literal["text", "json"]


def setting(name: str, default: Any, meaning: str, shown: str = "", **more: Any) -> Any:
    """Declare a field that a variable sets."""
    return field(default=default, metadata={"variable": Variable(name, meaning, shown, **more)})


@dataclass(frozen=True, kw_only=True)
class ApiSettings:
    """Where the Data API is, and who we are there."""

    base_url: Annotated[str, values.BASE_URL] = setting(
        "DATA_API_BASE_URL", DEFAULT_BASE_URL, "The platform; other brands run it under other domains."
    )
    token: Annotated[Secret, values.TOKEN] = setting(
        "DATA_API_TOKEN", MISSING, "The token.", "required", needed=HOW_TO_GET_A_TOKEN, has_file=True
    )
    secret: Annotated[Secret, values.SECRET] = setting(
        "DATA_API_SECRET", MISSING, "The secret key.", "required", needed=HOW_TO_GET_A_SECRET, has_file=True
    )


@dataclass(frozen=True)
class AccountsSettings:
    """Several accounts, instead of `DATA_API_TOKEN`, `DATA_API_SECRET` and `SYNC_ACCOUNT`."""

    file: str | None = setting(
        "ACCOUNTS_FILE",
        None,
        "A TOML file with tables `[accounts.NAME]` (`token` or `token_file`, `secret` or "
        "`secret_file`, `base_url`) and `[projects]`.",
    )
    names: str | None = setting(
        "ACCOUNTS",
        None,
        "Their names with commas: those of `acme,globex` have the variables `DATA_API_TOKEN__ACME`, "
        "`DATA_API_SECRET__ACME` (each also `…_FILE`), `DATA_API_BASE_URL__ACME`; upper case, `-` as `_`.",
    )


@dataclass(frozen=True)
class InstallationSettings:
    """Where this installation keeps its data, and how it logs."""

    database_url: Annotated[Secret | None, values.DATABASE_URL] = setting(
        "DATABASE_URL",
        None,
        "PostgreSQL 14 to 18; a socket directory as `?host=/dir`.",
        "embedded, `postgres` in the data folder",
        has_file=True,
    )
    data_dir: Annotated[Path, values.PATH] = setting(
        "SYNC_DATA_DIR",
        _default_data_dir(),
        "Folder of the embedded PostgreSQL, and of Dagster.",
        "`.data` of a clone; else `ecommpay-sync` in the user's data folder",
    )
    report_dir: Annotated[Path | None, values.PATH] = setting(
        "SYNC_REPORT_DIR", None, "Folder of the daily close reports.", "`reports` in the data folder"
    )
    ledger_mappings: Annotated[Path | None, values.PATH] = setting(
        "SYNC_LEDGER_MAPPINGS",
        None,
        "Folder of your mappings of ledger exports, `NAME.toml` each.",
        "`mappings` in the data folder",
    )
    dagster_home: Annotated[Path | None, values.PATH] = setting(
        "DAGSTER_HOME", None, "Your Dagster instance; what the command did shows there.", "`dagster` in the data folder"
    )
    role_prefix: Annotated[str, values.ROLE_PREFIX] = setting(
        "SYNC_ROLE_PREFIX", "ecommpay", "What the names of the roles of `ecommpay-sync grant` begin with."
    )
    config: Annotated[Path | None, values.PATH] = setting(
        "SYNC_CONFIG",
        None,
        "A TOML file of settings, by the names of these variables; the environment wins, secrets stay in files. "
        "`/dev/null`: none.",
        "`ecommpay-sync.toml` in the working folder, if there is one",
    )
    log_format: Annotated[LogFormat, values.one_of(LogFormat)] = setting(
        "SYNC_LOG_FORMAT", "text", "How log lines are written."
    )


@dataclass(frozen=True)
class ReferenceSettings:
    """What business days, fiscal years and minor units mean; the database holds a copy."""

    reporting_zone: Annotated[str, values.ZONE] = setting(
        "SYNC_REPORTING_ZONE", "UTC", "Where a business day of `bi.*` and `recon.*` begins and ends."
    )
    fiscal_start_month: Annotated[int, values.whole(1, 12)] = setting(
        "SYNC_FISCAL_START_MONTH", 1, "Month in which the fiscal year starts."
    )
    currency_exponents: Annotated[
        tuple[currencies.ExponentOverride, ...],
        Kind(currencies.exponent_overrides, "JPY=2, or JPY=2@2026-01-01 from a day on, with commas"),
    ] = setting(currencies.VARIABLE, (), "Where the platform counts in other decimals than ISO 4217.")


@dataclass(frozen=True)
class PersonalSettings:
    """What becomes of personal columns before they are stored."""

    mode: Annotated[PersonalMode, values.one_of(PersonalMode)] = setting(
        "SYNC_PERSONAL_DATA",
        "keep",
        "`hash`: personal columns become a keyed hash; `drop`: NULL; with either, signed "
        "bodies are not kept and `replay` cannot be used ([security.md](security.md)).",
    )
    key: Annotated[Secret | None, values.HASH_KEY] = setting(
        "SYNC_PERSONAL_DATA_KEY", None, "The key of `hash`; keep it for ever.", has_file=True
    )

    def __post_init__(self) -> None:
        if self.mode == "hash" and not self.key:
            raise ConfigError(
                "SYNC_PERSONAL_DATA_KEY is not set: SYNC_PERSONAL_DATA=hash needs a key that never changes."
            )


@dataclass(frozen=True)
class SyncSettings:
    """How the sync is run; every value has a default that suits a nightly run."""

    account: Annotated[str, values.ACCOUNT] = setting(
        "SYNC_ACCOUNT", "default", "Name of the only token's account, the first part of every key."
    )
    first_day: Annotated[date, values.DAY] = setting(
        "SYNC_FIRST_DAY", date(2015, 1, 1), "First day of the partitions; decide once."
    )
    look_back_days: Annotated[int, values.whole(0, 365)] = setting(
        "SYNC_LOOK_BACK_DAYS", 3, "Days that every night walks again."
    )
    windows_in_flight: Annotated[int, values.whole(1, 64)] = setting(
        "SYNC_WINDOWS_IN_FLIGHT",
        24,
        "Intervals walked at once, at most; how many keep this machine busy is found.",
    )
    requests_in_flight: Annotated[int, values.whole(1, 64)] = setting(
        "SYNC_REQUESTS_IN_FLIGHT", 16, "Requests of a token in flight at once, at most; how many go well is found."
    )
    backfill_days: Annotated[int, values.whole(1, 36_500)] = setting(
        "SYNC_BACKFILL_DAYS", 31, "A longer run is a backfill: it prints a forecast first, and yields to shorter runs."
    )
    backfill_windows_beside_others: Annotated[int, values.whole(1, 16)] = setting(
        "SYNC_BACKFILL_WINDOWS_BESIDE_OTHERS",
        1,
        "Intervals that a backfill walks at once while a shorter run, such as the nightly one, is under way.",
    )
    retry_seconds: Annotated[float, values.whole(1, 86_400)] = setting(
        "SYNC_RETRY_SECONDS", 900.0, "How long a failing request is retried.", "`900`"
    )
    nightly_cron: Annotated[str, values.cron("30 3 * * *")] = setting(
        "SYNC_NIGHTLY_CRON", "30 3 * * *", "When the schedule `nightly` runs."
    )
    balances_cron: Annotated[str, values.cron("0 * * * *")] = setting(
        "SYNC_BALANCES_CRON", "0 * * * *", "When the schedule `balances` runs."
    )
    schedule_time_zone: Annotated[str, values.ZONE] = setting(
        "SYNC_SCHEDULE_TIME_ZONE", "UTC", "Zone of the schedules' times."
    )
    fields: Annotated[tuple[str, ...], values.API_FIELDS] = setting(
        "SYNC_FIELDS", (), "Fields to ask for.", "the documentation's default block"
    )
    reference: ReferenceSettings = ReferenceSettings()
    nightly_deadline: Annotated[time, values.TIME] = setting(
        "SYNC_NIGHTLY_DEADLINE", time(6), "When an alert reports a missing day, in the reporting zone.", "`06:00`"
    )
    fraud: Annotated[FraudMode, values.one_of(FraudMode)] = setting(
        "SYNC_FRAUD",
        "auto",
        "`auto`: for a token without the role they are skipped, until a report was once loaded; "
        "`on`: a refusal fails; `off`: reports of fraud are not loaded.",
    )
    fraud_look_back_days: Annotated[int, values.whole(0, 365)] = setting(
        "SYNC_FRAUD_LOOK_BACK_DAYS", 30, "Days of receipt that every night walks again for corrected reports."
    )
    spot_check_sample: Annotated[int, values.whole(0, 1000)] = setting(
        "SYNC_SPOT_CHECK_SAMPLE", 20, "Payments asked for by id every night; 0: none."
    )
    raw_days: Annotated[int, values.whole(0, 36_500)] = setting(
        "SYNC_RAW_DAYS", 400, "Days that raw pages are kept; 0: for ever."
    )
    recon_cutoff_minutes: Annotated[int, values.whole(0, 1440)] = setting(
        "SYNC_RECON_CUTOFF_MINUTES", 120, "Last minutes of a day in which what is alone is a timing break at first."
    )
    ledger_inbox: Annotated[Path | None, values.PATH] = setting(
        "SYNC_LEDGER_INBOX",
        None,
        "Folder from which ledger files are imported, `ACCOUNT/MAPPING/FILE`; `contract` is the mapping of a file "
        "that needs none.",
        "none",
    )
    personal: PersonalSettings = PersonalSettings()
    project_owners: Annotated[tuple[ProjectOwner, ...], values.PROJECT_OWNERS] = setting(
        "SYNC_PROJECT_OWNERS",
        (),
        "For which account the marts count a project that several see; instead of `[projects]` of a file.",
        "who saw it first",
    )
    asset_owners: Annotated[tuple[str, ...], values.OWNERS] = setting(
        "SYNC_ASSET_OWNERS", (), "Owners of the assets in Dagster: addresses or `team:NAME`, with commas."
    )
    asset_tags: Annotated[tuple[tuple[str, str], ...], values.TAGS] = setting(
        "SYNC_ASSET_TAGS", (), "Tags of the assets in Dagster, such as `domain=finance,tier=1`."
    )
    documents: Annotated[tuple[DocumentsConfig, ...], Kind(read_documents_file, "a path")] = setting(
        "DOCUMENTS_FILE",
        (),
        "A TOML file of endpoints to keep as documents; start from "
        "[documents.example.toml](../deploy/documents.example.toml).",
    )


@dataclass(frozen=True)
class SmtpSettings:
    """A mail server, and who writes to whom."""

    server: Annotated[values.SmtpServer, values.SMTP_SERVER] = setting(
        "ALERT_SMTP_URL", MISSING, "The mail server of alerts by e-mail.", "none", needed=HOW_TO_GET_MAIL
    )
    sender: Annotated[str, values.ADDRESS] = setting(
        "ALERT_EMAIL_FROM", MISSING, "From whom alerts come.", "none", needed=HOW_TO_GET_MAIL
    )
    recipients: Annotated[tuple[str, ...], values.ADDRESSES] = setting(
        "ALERT_EMAIL_TO", MISSING, "To whom alerts go.", "none", needed=HOW_TO_GET_MAIL
    )
    password: Annotated[Secret | None, values.SECRET] = setting(
        "ALERT_SMTP_PASSWORD", None, "The password of the user of the mail server.", has_file=True
    )

    def __post_init__(self) -> None:
        if self.server.user and not self.password:
            raise ConfigError("ALERT_SMTP_URL names a user: set ALERT_SMTP_PASSWORD_FILE (or ALERT_SMTP_PASSWORD).")

    @property
    def start_tls(self) -> bool:
        """Whether STARTTLS is asked for: it is left out on this machine only."""
        return not self.server.implicit_tls and not values.is_loopback(self.server.host)


@dataclass(frozen=True)
class AlertSettings:
    """Where alerts go, and above which open breaks (minor units, by currency) there is one."""

    smtp: SmtpSettings | None = None
    webhook: Annotated[Secret | None, values.WEBHOOK] = setting(
        "ALERT_WEBHOOK_URL", None, "Alerts by webhook, Slack-compatible.", has_file=True
    )
    heartbeat: Annotated[Secret | None, values.WEBHOOK] = setting(
        "ALERT_HEARTBEAT_URL",
        None,
        "Where it is said every hour, and after every night, that all is well: healthchecks.io-compatible "
        "(`/start`, `/fail`). Silence is the alarm.",
        has_file=True,
    )
    runbook: str = setting("ALERT_RUNBOOK_URL", RUNBOOK, "What alerts link to.")
    breaks_above: Annotated[tuple[tuple[str, int], ...], values.LIMITS] = setting(
        "ALERT_BREAKS_ABOVE", (), "Above which open breaks there is an alert, in minor units."
    )
    report_to: Annotated[tuple[str, ...], values.ADDRESSES] = setting(
        "SYNC_REPORT_MAIL_TO",
        (),
        "To whom every night's report goes, page and workbook, by the mail server of the alerts.",
    )

    def __post_init__(self) -> None:
        if self.report_to and self.smtp is None:
            raise ConfigError(f"SYNC_REPORT_MAIL_TO needs a mail server: {HOW_TO_GET_MAIL}.")


def _reporting_currency(value: str) -> str:
    if value not in currencies.iso_exponents():
        raise ValueError
    return value


@dataclass(frozen=True)
class ReportSettings:
    """In which currency reports show a total, beside the exact figures, and how old a rate may be."""

    currency: Annotated[str | None, Kind(_reporting_currency, "a currency of ISO 4217 in use, such as EUR")] = setting(
        "SYNC_REPORTING_CURRENCY",
        None,
        "The currency; needs `SYNC_RATES_FILE` ([how](reconciliation.md#a-total-in-one-currency)).",
    )
    rates: Annotated[tuple[Rate, ...], Kind(read_rates_file, "a path")] = setting(
        "SYNC_RATES_FILE", (), "Your exchange rates, a CSV file with the columns `day,from,to,rate,source`."
    )
    rate_days: Annotated[int, values.whole(0, 366)] = setting(
        "SYNC_RATE_DAYS",
        7,
        "Days for which a rate stands in where a day has none, as after a weekend; an older one is not used.",
    )

    def __post_init__(self) -> None:
        if (self.currency is None) == bool(self.rates):
            raise ConfigError("SYNC_REPORTING_CURRENCY and SYNC_RATES_FILE need each other: set both, or neither.")

    @property
    def decimals(self) -> int:
        """The decimals of the reporting currency, by ISO 4217 alone: overrides are the platform's."""
        return currencies.iso_exponents()[self.currency or ""]


GROUPS: tuple[type, ...] = (
    *(ApiSettings, AccountsSettings, InstallationSettings, SyncSettings, AlertSettings),
    ReportSettings,
)


def checked_api_settings(
    *, base_url: str, token: str | None, secret: str | None, names: Mapping[str, str] | None = None
) -> ApiSettings:
    """Return `ApiSettings`; an error uses the name in `names`, or the variable.

    Raises:
        ConfigError: a part is missing or malformed.
    """
    given = {"base_url": base_url, "token": token or None, "secret": secret or None}
    return make(ApiSettings, {name: value for name, value in given.items() if value is not None}, names)


# How each group is read, of the environment or of what is given in its stead; a ConfigError names what is wrong
api_settings = partial(read, ApiSettings)
sync_settings = partial(read, SyncSettings)
reference_settings = partial(read, ReferenceSettings)
personal_settings = partial(read, PersonalSettings)
alert_settings = partial(read, AlertSettings)
report_settings = partial(read, ReportSettings)


def role_prefix(environment: Environment = os.environ) -> str:
    """Return what the names of the roles begin with. Roles belong to a whole server."""
    return read(InstallationSettings, environment, only="role_prefix").role_prefix


def database_url(environment: Environment = os.environ) -> str | None:
    """Return the libpq URL of the warehouse; None: the embedded PostgreSQL."""
    url = read(InstallationSettings, environment, only="database_url").database_url
    return url.reveal() if url else None


def data_dir(environment: Environment = os.environ) -> Path:
    """Return the folder for the embedded PostgreSQL and Dagster's files."""
    return read(InstallationSettings, environment, only="data_dir").data_dir.absolute()


def report_dir(environment: Environment = os.environ) -> Path:
    """Return the folder of the daily close reports."""
    folder = read(InstallationSettings, environment, only="report_dir").report_dir
    return (folder or data_dir(environment) / "reports").absolute()


def ledger_mappings(environment: Environment = os.environ) -> Path:
    """Return the folder of the mappings of ledger exports."""
    folder = read(InstallationSettings, environment, only="ledger_mappings").ledger_mappings
    return (folder or data_dir(environment) / "mappings").absolute()
