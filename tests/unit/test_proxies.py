"""Which proxy leads where, and what is said of a variable that cannot be used."""

from __future__ import annotations

import pytest

from resources.data_api.transport import proxy_for
from resources.errors import ConfigError

URL = "https://data.ecommpay.com/v1"
PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": PROXY}, PROXY),
        ({"https_proxy": PROXY}, PROXY),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ({"ALL_PROXY": PROXY}, PROXY),
        ({"HTTPS_PROXY": PROXY, "ALL_PROXY": "socks5h://other:1"}, PROXY),
        ({"HTTPS_PROXY": "proxy.example:3128"}, PROXY),
        ({"HTTPS_PROXY": "http://user:pass@[fe80::1]:3128/"}, "http://user:pass@[fe80::1]:3128/"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, None),
        ({"HTTP_PROXY": PROXY, "http_proxy": PROXY}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "data.ecommpay.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.example, .ecommpay.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "ECOMMPAY.COM:443"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*.ecommpay.com"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "*"}, None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "pay.com,ecommpay.com.example,.,10.0.0.0/8,fe80::/10"}, PROXY),
        ({"ALL_PROXY": "socks5h://other:1", "NO_PROXY": "data.ecommpay.com"}, None),
    ],
    ids=str,
)
def test_the_proxy_of_the_environment_is_taken_unless_an_exception_names_the_host(environment, expected):
    assert proxy_for(URL, environment) == expected


@pytest.mark.parametrize(
    ("no_proxy", "host", "direct"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("fe80::/10", "[fe80::5]", True),
        ("fe80::5", "[fe80::5]", True),
        ("[fe80::5]:443", "[fe80::5]", True),
        ("fe80::/10", "[2001:db8::5]", False),
    ],
)
def test_an_exception_may_be_an_address_or_a_network(no_proxy, host, direct):
    found = proxy_for(f"https://{host}/v1", {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert (found is None) == direct


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_b16_no_proxy_stands_between_us_and_this_machine(scheme, host):
    environment = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "http_proxy"), PROXY)
    assert proxy_for(f"{scheme}://{host}:8443/v1", environment) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTPS_PROXY", "http://proxy.example:3128\r"),
        ("HTTPS_PROXY", "http://proxy .example"),
        ("https_proxy", "http://proxy.example:port"),
        ("https_proxy", "http://proxy.example:99999"),
        ("https_proxy", "http://"),
        ("https_proxy", "http://[::1"),
        ("ALL_PROXY", "socks5h://proxy.example:1080"),
        ("all_proxy", "ftp://proxy.example"),
        ("NO_PROXY", "fe80::/200"),
        ("no_proxy", "https://data.example/v1"),
    ],
)
def test_b17_a_variable_that_cannot_be_used_is_named_and_its_value_may_be_a_password_so_is_not_shown(name, value):
    environment = {"HTTPS_PROXY": "http://user:pass@fine:1"} if "no_proxy" in name.lower() else {}
    with pytest.raises(ConfigError) as caught:
        proxy_for(URL, environment | {name: value})
    message = str(caught.value)
    assert message.startswith(f"{name} ")
    assert message.isprintable()
    assert "pass" not in message
    assert caught.value.exit_code == 2
