"""Kinds of values that variables and files hold: how one is read, how a wrong one is refused, when a cron is due.

Which values there are is declared in `settings`, `accounts` and `documents`; pydantic reads them by these kinds.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core.core_schema import CoreSchema

DEFAULT_BASE_URL = "https://data.ecommpay.com/v1"
TOKEN_LENGTH = 30
SHORTEST_KEY = 16
KEY_FIELD = "operation_id"
NAME = r"[a-z0-9_-]{1,63}"  # of an account
VISIBLE = r"[\x21-\x7e]"
E_MAIL = r"[^@\s,<>]+@[^@\s,<>]+"
UNEXPANDED = re.compile(r"~|\$\w+|\$\{\w+\}")  # parts of a path that a shell would have replaced
CRON_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
LONGEST_CHANGE = timedelta(hours=2)  # by which a zone sets its clocks, at most
MINUTE = timedelta(minutes=1)
# Dagster's own copy of the library is older and knows no nearest weekday
NEAREST_WEEKDAY = re.compile(r"\dw|\bw\d|\blw\b|\bwl\b", re.IGNORECASE)


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


class Wrong(ValueError):
    """What is wrong with a value: the rest of a sentence that begins with the name of its setting."""


@dataclass(frozen=True)
class Kind:
    """How pydantic reads a field that is `Annotated` with it, and what to write where it cannot."""

    read: Callable[[Any], Any]
    write: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core.core_schema import no_info_plain_validator_function

        del source, handler
        return no_info_plain_validator_function(self.checked)

    def checked(self, value: Any) -> Any:
        """Return the value that was meant.

        Raises:
            Wrong: there is none.
        """
        try:
            return self.read(value)
        except Wrong:
            raise
        except (ValueError, TypeError, AttributeError):
            raise Wrong(f"is {value!r}: write {self.write}.") from None


def whole(least: int, most: int) -> Kind:
    """Return the kind of whole numbers from `least` to `most`."""

    def read(value: Any) -> int:
        number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value
        if type(number) is not int or not least <= number <= most:
            raise ValueError
        return number

    return Kind(read, f"a whole number from {least} to {most}")


def one_of(literal: Any) -> Kind:
    """Return the kind of the words of a `Literal`."""
    words = get_args(literal)

    def read(value: Any) -> Any:
        return words[words.index(value)]

    return Kind(read, f"{', '.join(words[:-1])} or {words[-1]}")


def matching(pattern: str, write: str) -> Kind:
    """Return the kind of texts that match a pattern as a whole."""

    def read(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return Kind(read, write)


def each(pattern: str, write: str) -> Kind:
    """Return the kind of lists, with commas or blanks between their parts, that each match a pattern as a whole.

    A table of a file is a list of `NAME=VALUE`.
    """

    def read(value: str | Mapping[str, str]) -> tuple[str, ...]:
        if isinstance(value, Mapping):
            parts = [f"{name}={item}" for name, item in value.items()]
        else:
            parts = list(filter(None, re.split(r"[,\s]+", re.sub(r"\s*=\s*", "=", value))))
        for part in parts:
            if not re.fullmatch(pattern, part, re.ASCII):
                raise Wrong(f"holds {part!r}: write {write}.")
        if not parts:
            raise ValueError
        return tuple(parts)

    return Kind(read, write)


def pairs(name: str, value: str, write: str, item: Callable[[str, str], Any] = lambda *pair: pair) -> Kind:
    """Return the kind of lists of `NAME=VALUE` without a name twice; `item` makes a value of each."""
    parts = each(f"{name}={value}", write)

    def read(given: str | Mapping[str, str]) -> tuple[Any, ...]:
        found: dict[str, str] = {}
        for key, _, text in (part.partition("=") for part in parts.read(given)):
            if key in found:
                raise Wrong(f"gives {key} twice: keep one of them.")
            found[key] = text
        return tuple(item(*pair) for pair in sorted(found.items()))

    return Kind(read, write)


def cron(example: str) -> Kind:
    """Return the kind of cron expressions, as Dagster takes them."""
    write = f"five fields, for example {example!r}"

    def read(value: str) -> str:
        if reason := why_invalid(value):
            raise Wrong(f"is {value!r}, which is no cron expression ({reason}): write {write}.")
        return value

    return Kind(read, write)


def _time(value: str) -> time:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value, re.ASCII):
        raise ValueError
    return time.fromisoformat(value)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(f"is {value!r}, which is no IANA time zone: write for example 'Europe/Berlin'.") from None
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _day(value: str) -> date:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        raise ValueError
    return date.fromisoformat(value)


def _path(value: str) -> Path:
    path = Path(value)
    if any(map(UNEXPANDED.fullmatch, path.parts)):
        raise Wrong(f"is {value!r}, and nothing here replaces ~ or a variable: write the path in full.")
    _check_edges(value)
    return path


def _check_edges(value: str) -> None:
    if value != value.strip():
        raise Wrong("begins or ends with a space or a line break: remove it.")
    if not value.isprintable():
        raise Wrong("holds a character that cannot be printed: copy it again.")


def _secret(value: str) -> Secret:
    _check_edges(value)
    return Secret(value)


DAY = Kind(_day, "a day as YYYY-MM-DD")
TIME = Kind(_time, "a time of the day as HH:MM")
ZONE = Kind(_zone, "an IANA time zone")
ACCOUNT = matching(NAME, "1 to 63 of a–z, 0–9, _ and -")
PATH = Kind(_path, "a path")
TRUTH = Kind(_truth, "true or false")
SECRET = Kind(_secret, "a secret")


def _token(value: str) -> Secret:
    if not re.fullmatch(f"{VISIBLE}{{{TOKEN_LENGTH}}}", value):
        raise Wrong(
            f"has {len(value)} characters; a token is {TOKEN_LENGTH} printable characters without spaces: "
            "copy it again from My profile → API Tokens."
        )
    return Secret(value)


def _hash_key(value: str) -> Secret:
    if len(value) < SHORTEST_KEY or value != value.strip() or not value.isprintable():
        raise Wrong(
            f"must have at least {SHORTEST_KEY} printable characters and no space around them: "
            "make one with `openssl rand -hex 32`."
        )
    return Secret(value)


def _url(value: str) -> SplitResult | None:
    """Return the parts of a URL with a host; None: it is no URL."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # which is looked at no earlier
    except ValueError:
        return None
    return parts if parts.hostname else None


def _check_secrecy(parts: SplitResult, what: str) -> None:
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise Wrong(
            f"is plain http to {parts.hostname}: {what} would travel in the clear. "
            "Use https:// (http:// is allowed to a loopback address only)."
        )


def _base_url(value: str) -> str:
    """Return the base URL without a trailing slash: https, or http to a loopback address only."""
    if "@" in value:
        raise Wrong("must not contain a user name or password.")
    parts = _url(value)
    host = parts.hostname or "" if parts else ""
    if (
        parts is None
        or parts.scheme not in {"http", "https"}
        or not _is_host(host)
        # urlsplit passes over line breaks, and over what stands around brackets: check what will be called
        or parts.netloc.lower() != (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
        or not re.fullmatch(f"{VISIBLE}+", value)
        or re.search(r"[?#\\]", value)
    ):
        # not shown: it may hold a token, or be one
        raise Wrong(f"is not a base URL (nor has one a space, ? or #). Example: {DEFAULT_BASE_URL}.")
    _check_secrecy(parts, "the token")
    return value.rstrip("/")


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
    """Return whether a host is this machine, by its name or address alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _database_url(value: str) -> Secret:
    if not re.match(r"postgres(ql)?://", value):
        raise Wrong(
            "is not a PostgreSQL URL: write postgresql://user:password@host:5432/database "
            "(or postgresql://user@/database?host=/socket/directory)."
        )
    return _secret(value)


@dataclass(frozen=True, order=True)
class ProjectOwner:
    """The account for which the marts count a project that several see."""

    project_id: str
    account: str


@dataclass(frozen=True)
class SmtpServer:
    """A mail server: implicit TLS (`smtps`), or STARTTLS."""

    host: str
    port: int
    user: str | None
    implicit_tls: bool


def _smtp_server(value: str) -> SmtpServer:
    parts = _url(value)
    if parts and parts.password is not None:
        raise Wrong("must not hold a password: put it into ALERT_SMTP_PASSWORD_FILE.")
    if not parts or parts.scheme not in {"smtp", "smtps"} or parts.path not in {"", "/"} or parts.query:
        raise Wrong("is no mail server: write smtp://user@host:587 (STARTTLS) or smtps://user@host.")
    implicit = parts.scheme == "smtps"
    user = unquote(parts.username) if parts.username else None
    return SmtpServer(parts.hostname or "", parts.port or (465 if implicit else 587), user, implicit)


def _webhook(value: str) -> Secret:
    parts = _url(value)
    # the URL of a webhook is itself the key to it: no message shows it
    if not parts or parts.scheme not in {"http", "https"} or not re.fullmatch(f"{VISIBLE}+", value):
        raise Wrong("is no URL: write https://… as the chat's settings show it.")
    _check_secrecy(parts, "the key in it")
    return Secret(value)


def _limit(currency: str, minor: str) -> tuple[str, int]:
    return currency, int(minor)


_FIELDS = each(r"[a-z0-9_]+(\.[a-z_]+)?", "names of fields of the Data API, with commas")


def _api_fields(value: str) -> tuple[str, ...]:
    fields: tuple[str, ...] = _FIELDS.read(value)
    if KEY_FIELD not in fields:
        raise Wrong(f"lacks {KEY_FIELD}, without which no row can be stored: add it.")
    return fields


TOKEN = Kind(_token, f"{TOKEN_LENGTH} characters")
HASH_KEY = Kind(_hash_key, f"at least {SHORTEST_KEY} characters")
BASE_URL = Kind(_base_url, "a URL; http:// only to a loopback address")
DATABASE_URL = Kind(_database_url, "a libpq URL")
ROLE_PREFIX = matching(
    r"(?!pg_)[a-z][a-z0-9_]{0,47}", "a–z, 0–9 and _, at most 48, beginning with a letter, not with pg_"
)
API_FIELDS = Kind(_api_fields, _FIELDS.write)
PROJECT_OWNERS = pairs(
    r"\d{1,19}", NAME, "22=acme,199=globex, projects by their ids, accounts in a–z, 0–9, _ and -", ProjectOwner
)
SMTP_SERVER = Kind(_smtp_server, "smtp://user@host:587 (STARTTLS) or smtps://user@host")
ADDRESS = matching(E_MAIL, "an e-mail address")
ADDRESSES = each(E_MAIL, "e-mail addresses, with commas")
OWNERS = each(r"team:\w+|[\w.+-]+@[\w-]+(\.[\w-]+)+", "e-mail addresses or team:NAME, with commas")  # as Dagster
TAGS = pairs(r"[\w.-]{1,63}", r"[\w.-]{1,63}", "domain=finance,tier=1, of letters, digits, '.', '_' and '-'")
WEBHOOK = Kind(_webhook, "an https URL")
LIMITS = pairs("[A-Z]{3}", r"\d{1,18}", "minor units by currency, EUR=100000,JPY=50000", _limit)


def why_invalid(cron: str) -> str | None:
    """Return what keeps Dagster from taking an expression; None: it takes it."""
    from croniter import croniter

    fields = cron.split()
    if len(fields) != len(CRON_FIELDS) and not (len(fields) == 1 and fields[0].startswith("@")):
        return f"it has {len(fields)} fields, not {len(CRON_FIELDS)}"
    for number, (name, field) in enumerate(zip(CRON_FIELDS, fields, strict=False)):
        alone = " ".join(field if place == number else "*" for place in range(len(CRON_FIELDS)))
        if len(fields) > 1 and (NEAREST_WEEKDAY.search(field) or not croniter.is_valid(alone)):
            return f"{field!r} is no {name}"
    if not croniter.is_valid(cron):
        return f"{cron!r} is not known"
    _, _, days, months, _ = croniter.expand(cron)[0]
    return "February never has that day" if months == [2] and days in ([30], [31]) else None


def next_due(cron: str, zone: str, after: datetime) -> datetime | None:
    """Return the first time after `after`, in UTC, at which Dagster starts a schedule; None: never.

    Raises:
        ValueError: the expression cannot be read.
    """
    return _due(cron, zone, after, ahead=True)


def last_due(cron: str, zone: str, until: datetime) -> datetime | None:
    """Return the last time, not after `until`, in UTC, at which Dagster starts a schedule; None: never.

    Raises:
        ValueError: the expression cannot be read.
    """
    return _due(cron, zone, until, ahead=False)


def _due(cron: str, zone: str, bound: datetime, *, ahead: bool) -> datetime | None:
    """Return the nearest time on one side of `bound`.

    The library walks the clock on the wall, on which times repeat: the walk goes on for as long as a later time on
    the wall can still be a nearer one.
    """
    place, best, limit = ZoneInfo(zone), None, None
    for wall, times in _times(cron, place, bound, ahead=ahead):
        if limit is not None and abs(wall - limit) > LONGEST_CHANGE:
            break
        for moment in times:
            if moment > bound if ahead else moment <= bound:
                best = moment if best is None else min(best, moment) if ahead else max(best, moment)
                limit = limit or wall
    return best


def _times(cron: str, place: ZoneInfo, bound: datetime, *, ahead: bool) -> Iterator[tuple[datetime, list[datetime]]]:
    """Yield times on the wall from about `bound` on, ahead or back, and when in UTC each of them is due."""
    from croniter import CroniterBadDateError, croniter

    start = bound.astimezone(place).replace(tzinfo=None, fold=0)
    ticks = croniter(cron, start - LONGEST_CHANGE if ahead else start + LONGEST_CHANGE)
    every_hour = croniter.expand(cron)[0][1] == ["*"]
    while True:
        try:
            wall = ticks.get_next(datetime) if ahead else ticks.get_prev(datetime)
        except CroniterBadDateError:  # none within 50 years
            return
        yield wall, _in_zone(wall, place, every_hour=every_hour)


def _in_zone(wall: datetime, place: ZoneInfo, *, every_hour: bool) -> list[datetime]:
    """Return when a time on the wall is due, as Dagster has it, where the clocks are changed.

    A skipped one is due once the clocks have changed, one that comes twice the second time; a schedule of every hour
    is due in each hour that there is.
    """
    first, second = (wall.replace(tzinfo=place, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return [first, second] if every_hour else [second]
    return [] if every_hour else _in_zone(wall + MINUTE, place, every_hour=every_hour)
