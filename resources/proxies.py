"""Which proxy of the environment leads to a URL; the same rules for every connection over HTTP that we make."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from resources.errors import ConfigError
from resources.values import is_loopback

PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")  # the first that is set
EXCEPTIONS = ("no_proxy", "NO_PROXY")


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the proxy that leads to an https URL; None: no proxy. Never one between us and this machine.

    Raises:
        ConfigError: the variable that applies cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    name, proxy = _first(PROXIES, environment)
    if not proxy or parts.scheme != "https" or is_loopback(host) or _is_exception(host, environment):
        return None
    return _checked_proxy(name, proxy)


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> tuple[str, str]:
    return next(((name, environment[name]) for name in names if environment.get(name)), ("", ""))


def _checked_proxy(name: str, proxy: str) -> str:
    # the value may hold a password, so no message shows it
    if not re.fullmatch(r"[\x21-\x7e]+", proxy):
        raise ConfigError(f"{name} holds a space, a line break or another character that no URL has: write it again.")
    url = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ConfigError(f"{name} is not the URL of a proxy: write http://host:port.")
    if parts.scheme not in {"http", "https"}:
        raise ConfigError(
            f"{name} names a proxy of the kind {parts.scheme}, which is not supported: write http://host:port, or "
            "name the hosts that need no proxy in NO_PROXY."
        )
    return url


def _is_exception(host: str, environment: Mapping[str, str]) -> bool:
    name, text = _first(EXCEPTIONS, environment)
    entries = [entry for entry in re.split(r"[,\s]+", text.lower()) if entry]
    covering = [entry for entry in entries if _covers(name, entry, host)]  # of all, so that each is checked
    return bool(covering)


def _covers(name: str, entry: str, host: str) -> bool:
    """Whether an entry of NO_PROXY means a host: a name and all below it, an address, a network, or `*`."""
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            raise ConfigError(f"{name} has {entry!r}, which is no network: write it as 10.0.0.0/8.") from None
        address = _address(host)
        return address is not None and address in network
    if entry.count(":") == 1 or entry.startswith("["):
        entry = re.sub(r":\d+$", "", entry).strip("[]")
    if (address := _address(entry)) is not None:
        return address == _address(host)
    domain = entry.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
