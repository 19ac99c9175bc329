"""Where the Data API is and who we are there, checked before anything is sent; whose account it is: `accounts`."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from resources.errors import ConfigError
from resources.settings_values import Environment, Secret, value_or_file

DEFAULT_BASE_URL = "https://data.ecommpay.com/v1"
TOKEN_LENGTH = 30
HOW_TO_GET_A_TOKEN = (
    "in the Dashboard open My profile → API Tokens → New token "  # noqa: S105 - a help text
    '(the right "Manage API tokens" is granted by a Merchant admin under My team)'
)


@dataclass(frozen=True)
class ApiNames:
    """What the three settings are called where they were given, so that a refusal names the place."""

    base_url: str = "DATA_API_BASE_URL"
    token: str = "DATA_API_TOKEN"  # noqa: S105 - a name
    secret: str = "DATA_API_SECRET"  # noqa: S105 - a name


NAMES = ApiNames()


@dataclass(frozen=True)
class ApiSettings:
    """Where the Data API is, and who we are there."""

    base_url: str
    token: Secret
    secret: Secret


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


def checked_api_settings(
    *, base_url: str, token: str | None, secret: str | None, names: ApiNames = NAMES
) -> ApiSettings:
    """Build `ApiSettings`, or say in one line which part, by its name in `names`, is wrong and what to do.

    Raises:
        ConfigError: a part is missing or malformed.
    """
    url = checked_base_url(base_url, names.base_url)
    if not token:
        raise ConfigError(f"{names.token} is not set: {HOW_TO_GET_A_TOKEN}.")
    if not re.fullmatch(rf"[\x21-\x7e]{{{TOKEN_LENGTH}}}", token):
        raise ConfigError(
            f"{names.token} has {len(token)} characters; a token is {TOKEN_LENGTH} printable characters "
            "without spaces: copy it again from My profile → API Tokens."
        )
    if not secret:
        raise ConfigError(
            f"{names.secret} is not set: it is shown once, when the token is made; "
            f"if it is lost, make a new token: {HOW_TO_GET_A_TOKEN}."
        )
    if secret != secret.strip():
        raise ConfigError(f"{names.secret} begins or ends with a space or a line break: remove it.")
    if not secret.isprintable():
        raise ConfigError(f"{names.secret} holds a character that cannot be printed: copy it again.")
    return ApiSettings(url, Secret(token), Secret(secret))


def checked_base_url(base_url: str, name: str = NAMES.base_url) -> str:
    """Return the base URL without a trailing slash: https, or http to a loopback address only.

    Raises:
        ConfigError: the URL is malformed, or would carry the token in the clear.
    """
    if "@" in base_url:
        raise ConfigError(f"{name} must not contain a user name or password.")
    try:
        parts = urlsplit(base_url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigError(f"{name} is not a URL: {base_url!r}. Example: {DEFAULT_BASE_URL}.") from None
    if (
        parts.scheme not in {"http", "https"}
        or not _is_host(host)
        # urlsplit passes over line breaks, and over what stands around brackets: judge what will be called
        or parts.netloc.lower() != (f"[{host}]" if ":" in host else host) + ("" if port is None else f":{port}")
        or not re.fullmatch(r"[\x21-\x7e]+", base_url)
        or re.search(r"[?#\\]", base_url)
    ):
        raise ConfigError(f"{name} is not a base URL: {base_url!r}. Example: {DEFAULT_BASE_URL}.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(
            f"{name} is plain http to {host}: the token would travel in the clear. "
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
