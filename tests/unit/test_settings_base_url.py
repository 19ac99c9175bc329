"""The base URL: where the token may be sent, what is refused in which words, and that nobody reads it otherwise."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fixtures.settings import SECRET, TOKEN, refusal
from resources.config_file import settings_with_origin
from resources.errors import ConfigError
from resources.settings import DEFAULT_BASE_URL, checked_api_settings


def checked_base_url(url: str) -> str:
    return checked_api_settings(base_url=url, token=TOKEN, secret=SECRET).base_url


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8080/v1", "http://127.0.0.1", "http://127.8.8.8/v1", "http://127.255.255.254:1/v1"),
        *("http://localhost:8080/v1", "http://LocalHost/v1", "http://[::1]:8080/v1", "http://[0:0:0:0:0:0:0:1]/v1"),
    ],
)
def test_plain_http_is_allowed_to_this_machine(url):
    assert checked_base_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        *("http://data.ecommpay.com/v1", "HTTP://data.ecommpay.com/v1", "http://8.8.8.8/v1", "http://[2001:db8::1]/v1"),
        *("http://0.0.0.0:8080/v1", "http://[::]/v1", "http://10.0.0.1/v1", "http://192.168.1.1/v1"),
        *("http://172.17.0.1/v1", "http://169.254.169.254/v1", "http://[fe80::1]/v1", "http://[::ffff:10.0.0.1]/v1"),
        *("http://127.0.0.1.example.com/v1", "http://localhost.example.com/v1", "http://localhost./v1"),
        *("http://localhosts/v1", "http://ip6-localhost/v1", "http://example.com/127.0.0.1", "http://0x7f.0.0.1/v1"),
    ],
)
def test_plain_http_is_refused_to_anywhere_else_because_the_token_would_be_readable(url):
    message = refusal(checked_base_url, url)
    assert message.startswith("DATA_API_BASE_URL is plain http to ")
    assert "the token would travel in the clear. Use https://" in message


@pytest.mark.parametrize(
    "url",
    [
        *("http://user@127.0.0.1/v1", "http://user:pass@127.0.0.1/v1", "https://user:pass@data.ecommpay.com/v1"),
        *("http://127.0.0.1@example.com/v1", "http://127.0.0.1:80@example.com/v1", "http://@127.0.0.1/v1"),
        *("http://example.com\\@127.0.0.1/v1", "http://127.0.0.1\\@example.com/v1", "https://user:pass@[bad/v1"),
    ],
)
def test_a_user_name_in_the_url_is_refused_and_not_shown(url):
    message = refusal(checked_base_url, url)
    assert message == "DATA_API_BASE_URL must not contain a user name or password."
    (shown,) = (item.value for item in settings_with_origin({"DATA_API_BASE_URL": url}) if item.origin != "the default")
    assert "user" not in shown
    assert "pass" not in shown


@pytest.mark.parametrize("value", ["t0ken" * 6, "https://data.ecommpay.com/v1?token=t0ken", "https://t0ken#"])
def test_what_may_be_a_token_is_refused_and_not_shown(value):
    assert "t0ken" not in refusal(checked_base_url, value)


@pytest.mark.parametrize(
    "url",
    [
        *("", "data.ecommpay.com/v1", "//data.ecommpay.com/v1", "/v1", "https://", "https:///v1", "http://:80/v1"),
        *("ftp://127.0.0.1/v1", "file:///etc/passwd", "https://example.com/v1?x=1", "https://example.com/v1#x"),
        *("https://example.com/v1?", "https://example.com/v1#", "https://example.com:99999/v1", "https://x:y/v1"),
        *("https://example.com:/v1", "https://[::1/v1", "http://::1/v1", "https://[example.com]/v1"),
        *("https://exam ple.com/v1", "https://example.com/v1 ", " https://example.com/v1", "https://example.com/v1\n"),
        *("http://127.0.0.1\n.example.com/v1", "http://local\thost/v1", "https://example.com\\v1"),
        *("http://[::1].example.com/v1", "http://example.com[::1]/v1", "http://[::1]example.com:80/v1"),
        *("https://a..b/v1", f"https://{'a' * 64}.com/v1", "https://999.1.1.1/v1", "http://127.1/v1"),
        *("http://2130706433/v1", "http://127.0.0.1%2eexample.com/v1", "https://exämple.com/v1", "https://e\udcff/v1"),
    ],
)
def test_what_is_no_base_url_is_refused_with_an_example_before_anything_is_sent(url):
    message = refusal(checked_base_url, url)
    assert message.startswith("DATA_API_BASE_URL is not a ")
    assert message.endswith(f"Example: {DEFAULT_BASE_URL}.")


@pytest.mark.parametrize(
    ("given_url", "used"),
    [
        ("https://data.ecommpay.com/v1/", "https://data.ecommpay.com/v1"),
        ("https://data.example.co.uk/v1//", "https://data.example.co.uk/v1"),
        ("HTTPS://Data.Example.com:8443", "HTTPS://Data.Example.com:8443"),
        ("https://10.0.0.1/v1", "https://10.0.0.1/v1"),
        ("https://[2001:db8::1]:443/v1", "https://[2001:db8::1]:443/v1"),
        ("https://xn--exmple-cua.com./v1", "https://xn--exmple-cua.com./v1"),
    ],
)
def test_https_may_go_anywhere_and_the_slash_at_the_end_is_taken_off(given_url, used):
    assert checked_base_url(given_url) == used


pieces = st.sampled_from(
    [*"@:/?#[]\\%\n\t .;,&", "127.0.0.1", "localhost", "::1", "[::1]", "example.com", "%2e", "0", "80", "v1", "é"]
)


@given(st.lists(pieces, max_size=8).map("".join), st.sampled_from(["http", "https"]))
@example("[::1].example.com", "http")
@example("127.0.0.1\n", "https")
def test_the_host_that_was_judged_is_the_host_that_httpx_will_call(rest, scheme):
    """Two readers of one URL that disagree are how a filter on hosts is passed by."""
    try:
        url = checked_base_url(f"{scheme}://{rest}")
    except ConfigError:
        return
    called = httpx.URL(f"{url}/balance/get")
    assert called.scheme == scheme
    assert not called.userinfo
    assert not called.query
    assert not called.fragment
    assert called.path.endswith("/balance/get")
    if scheme == "http":
        assert called.host in {"127.0.0.1", "localhost", "::1"}
