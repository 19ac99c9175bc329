"""The environment as settings: what is accepted, what is refused and in which words, and that no secret shows."""

from __future__ import annotations

import logging
import pprint
import traceback
from datetime import date
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resources.errors import ConfigError
from resources.settings import (
    DEFAULT_BASE_URL,
    PROJECT_ROOT,
    Secret,
    SyncSettings,
    api_settings,
    checked_base_url,
    data_dir,
    database_url,
    secret_from_file,
    sync_settings,
    value_or_file,
)

TOKEN = "made-up-token-of-30-characters"
SECRET = "made-up-secret-that-opens-nothing"
ENVIRONMENT = {"DATA_API_TOKEN": TOKEN, "DATA_API_SECRET": SECRET}


def refusal(read, *arguments) -> str:
    """The message of the refusal, which is one line, explains itself, and ends the command with 2."""
    with pytest.raises(ConfigError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert message.isprintable(), "one line, without control characters"
    assert message.endswith(".")
    assert caught.value.exit_code == 2
    whole = "".join(traceback.format_exception(caught.value))
    assert "During handling" not in whole
    assert "direct cause" not in whole
    return message


def without(*names: str, **changes: str) -> dict[str, str]:
    return {name: value for name, value in (ENVIRONMENT | changes).items() if name not in names}


# Token and secret


def test_token_and_secret_are_enough_and_the_platform_itself_is_called():
    settings = api_settings(ENVIRONMENT)
    assert settings.base_url == DEFAULT_BASE_URL == "https://data.ecommpay.com/v1"
    assert (settings.token.reveal(), settings.secret.reveal()) == (TOKEN, SECRET)


def test_the_environment_of_the_process_is_read_when_asked_and_no_earlier(monkeypatch):
    with pytest.raises(ConfigError, match="DATA_API_TOKEN is not set"):
        api_settings()
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    assert api_settings().token == Secret(TOKEN)


def test_an_empty_base_url_is_the_default_as_compose_files_pass_unset_variables_on_empty():
    assert api_settings(ENVIRONMENT | {"DATA_API_BASE_URL": ""}).base_url == DEFAULT_BASE_URL


@pytest.mark.parametrize("environment", [without("DATA_API_TOKEN"), without(DATA_API_TOKEN="")])
def test_a_missing_token_is_told_with_the_way_to_get_one(environment):
    message = refusal(api_settings, environment)
    assert message.startswith("DATA_API_TOKEN is not set: in the Dashboard open My profile → API Tokens → New token")
    assert "Manage API tokens" in message


@pytest.mark.parametrize("environment", [without("DATA_API_SECRET"), without(DATA_API_SECRET="")])
def test_a_missing_secret_is_told_with_the_way_to_get_a_new_one(environment):
    message = refusal(api_settings, environment)
    assert message.startswith("DATA_API_SECRET is not set: it is shown once, when the token is made")
    assert "My profile → API Tokens → New token" in message


@pytest.mark.parametrize(
    "token",
    [
        *("x", TOKEN[:29], f"{TOKEN}x", f" {TOKEN}", f"{TOKEN}\n", f'"{TOKEN}"', TOKEN * 2),
        *(f"{TOKEN[:28]} x", f"{TOKEN[:28]}\tx", f"{TOKEN[:29]}\n", f"{TOKEN[:29]}é", f"{TOKEN[:29]}\x7f"),
        *(f"{TOKEN[:29]}\udcff", f"{TOKEN[:29]}٣"),
    ],
)
def test_a_token_is_30_printable_characters_and_another_is_refused_unshown(token):
    message = refusal(api_settings, without(DATA_API_TOKEN=token))
    assert message.startswith(f"DATA_API_TOKEN has {len(token)} characters; a token is 30 printable characters")
    assert "copy it again" in message
    assert TOKEN[:20] not in message


def test_any_printable_character_may_be_in_a_token():
    token = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|"
    assert api_settings(without(DATA_API_TOKEN=token)).token.reveal() == token


@pytest.mark.parametrize("secret", [f" {SECRET}", f"{SECRET} ", f"{SECRET}\n", f"\t{SECRET}", f"{SECRET}\u00a0", " "])
def test_a_secret_with_space_around_it_was_copied_wrong(secret):
    message = refusal(api_settings, without(DATA_API_SECRET=secret))
    assert message == "DATA_API_SECRET begins or ends with a space or a line break: remove it."


@pytest.mark.parametrize("secret", ["line\nline", "a\tb", "\ufeffwith-a-byte-order-mark", "not-utf-8-\udcff", "a\x00b"])
def test_a_secret_with_an_invisible_character_was_copied_wrong(secret):
    message = refusal(api_settings, without(DATA_API_SECRET=secret))
    assert message == "DATA_API_SECRET holds a character that cannot be printed: copy it again."


@pytest.mark.parametrize("secret", ["two words", "ключ", "=+/==", "1", "s" * 500])
def test_any_visible_text_may_be_a_secret(secret):
    assert api_settings(without(DATA_API_SECRET=secret)).secret.reveal() == secret


# Secrets in files


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_token_and_secret_may_stand_in_files_with_a_line_break_at_the_end(tmp_path, end):
    (tmp_path / "token").write_bytes(f"{TOKEN}{end}".encode())
    (tmp_path / "secret").write_bytes(f"{SECRET}{end}".encode())
    settings = api_settings(
        {"DATA_API_TOKEN_FILE": str(tmp_path / "token"), "DATA_API_SECRET_FILE": str(tmp_path / "secret")}
    )
    assert (settings.token.reveal(), settings.secret.reveal()) == (TOKEN, SECRET)


def test_a_space_at_the_end_of_a_secrets_file_is_refused_and_not_guessed_away(tmp_path):
    (tmp_path / "secret").write_text(f"{SECRET} \n")
    message = refusal(api_settings, {"DATA_API_TOKEN": TOKEN, "DATA_API_SECRET_FILE": str(tmp_path / "secret")})
    assert message.startswith("DATA_API_SECRET begins or ends with a space")


@pytest.mark.parametrize("name", ["DATA_API_TOKEN", "DATA_API_SECRET", "DATABASE_URL"])
def test_a_value_and_a_file_at_once_are_refused_since_one_of_them_is_stale(tmp_path, name):
    file = tmp_path / "file"
    file.write_text("from the file")
    message = refusal(value_or_file, name, {name: "from the variable", f"{name}_FILE": str(file)})
    assert message == f"{name} and {name}_FILE are both set: keep one of them."


def test_of_a_value_and_a_file_the_empty_one_counts_as_unset(tmp_path):
    file = tmp_path / "file"
    file.write_text("from the file")
    assert value_or_file("X", {"X": "", "X_FILE": str(file)}) == "from the file"
    assert value_or_file("X", {"X": "from the variable", "X_FILE": ""}) == "from the variable"
    assert value_or_file("X", {"X": "", "X_FILE": ""}) is None
    assert value_or_file("X", {}) is None


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    missing, binary = tmp_path / "missing", tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in [
        (missing, "No such file or directory"),
        (tmp_path, "Is a directory"),
        (binary / "below", "Not a directory"),
        (binary, "not UTF-8 text"),
    ]:
        assert refusal(secret_from_file, "DATA_API_TOKEN", str(path)) == (
            f"DATA_API_TOKEN_FILE cannot be read: {path}: {reason}."
        )


@pytest.mark.parametrize("content", ["", "\n", "\r\n\n"])
def test_an_empty_file_is_named_instead_of_taken_for_unset(tmp_path, content):
    file = tmp_path / "empty"
    file.write_text(content)
    for read in (api_settings, database_url):
        message = refusal(read, {"DATA_API_TOKEN_FILE": str(file), "DATABASE_URL_FILE": str(file)})
        assert message.endswith(f"_FILE is empty: {file}.")


# The base URL


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


# Nothing shows a secret


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, "%s".__mod__, pprint.pformat])
def test_no_way_to_print_shows_token_or_secret(show):
    settings = api_settings(ENVIRONMENT)
    for shown in (show(settings), show(settings.token), show([settings.secret]), show({"key": settings})):
        assert TOKEN not in shown
        assert SECRET not in shown
        assert "*" in shown


def test_no_log_line_shows_a_secret(caplog):
    settings = api_settings(ENVIRONMENT)
    logging.getLogger("anyone").error("%s %r %s", settings, settings.token, {"secret": settings.secret})
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


def test_equal_secrets_are_equal():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")


# How the sync is run


def test_the_sync_has_a_default_for_everything():
    settings = sync_settings({})
    assert settings == SyncSettings()
    assert (settings.account, settings.look_back_days, settings.schedule_time_zone) == ("default", 3, "UTC")
    assert settings.fields == (), "none named: the documentation's default block"


def test_every_setting_of_the_sync_is_read():
    environment = {
        "SYNC_ACCOUNT": "brand-2_eu",
        "SYNC_FIRST_DAY": "2021-02-03",
        "SYNC_LOOK_BACK_DAYS": "0",
        "SYNC_WINDOWS_IN_FLIGHT": "16",
        "SYNC_RETRY_SECONDS": "60",
        "SYNC_NIGHTLY_CRON": "0 5 * * *",
        "SYNC_BALANCES_CRON": "*/5 * * * *",
        "SYNC_SCHEDULE_TIME_ZONE": "Asia/Tokyo",
        "SYNC_FIELDS": " operation_id, sum_initial.amount,\n rrn",
    }
    assert sync_settings(environment) == SyncSettings(
        account="brand-2_eu",
        first_day=date(2021, 2, 3),
        look_back_days=0,
        windows_in_flight=16,
        retry_seconds=60.0,
        nightly_cron="0 5 * * *",
        balances_cron="*/5 * * * *",
        schedule_time_zone="Asia/Tokyo",
        fields=("operation_id", "sum_initial.amount", "rrn"),
    )
    assert sync_settings(dict.fromkeys(environment, "")) == SyncSettings(), "empty is unset"


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SYNC_ACCOUNT", "Two Words", "use 1 to 63 of a–z, 0–9, _ and -"),
        ("SYNC_ACCOUNT", "a" * 64, "use 1 to 63"),
        ("SYNC_ACCOUNT", "a'; DROP", "use 1 to 63"),
        ("SYNC_FIRST_DAY", "01.02.2024", "write a day as YYYY-MM-DD"),
        ("SYNC_FIRST_DAY", "2024-02-30", "write a day as YYYY-MM-DD"),
        ("SYNC_LOOK_BACK_DAYS", "-1", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "366", "write a whole number from 0 to 365"),
        ("SYNC_LOOK_BACK_DAYS", "three", "write a whole number from 0 to 365"),
        ("SYNC_WINDOWS_IN_FLIGHT", "0", "write a whole number from 1 to 16"),
        ("SYNC_WINDOWS_IN_FLIGHT", "1.5", "write a whole number from 1 to 16"),
        ("SYNC_RETRY_SECONDS", "inf", "write a whole number from 1 to 86400"),
        ("SYNC_RETRY_SECONDS", "9" * 5000, "write a whole number from 1 to 86400"),
        ("SYNC_NIGHTLY_CRON", "every night", "write five fields, for example '30 3 * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * *", "write five fields, for example '0 * * * *'"),
        ("SYNC_BALANCES_CRON", "0 * * * *; rm", "write five fields"),
        ("SYNC_SCHEDULE_TIME_ZONE", "Mars/Olympus", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "../../etc/passwd", "which is no IANA time zone"),
        ("SYNC_SCHEDULE_TIME_ZONE", "x" * 300, "which is no IANA time zone"),
        ("SYNC_FIELDS", "operation_id;rrn", "which is no field of the Data API"),
        ("SYNC_FIELDS", "a.b.c", "which is no field of the Data API"),
    ],
)
def test_a_malformed_setting_is_named_with_what_to_write(name, value, told):
    message = refusal(sync_settings, {name: value})
    assert message.startswith(name)
    assert told in message


# The warehouse


@pytest.mark.parametrize(
    "url", ["postgresql://user:pass@db:5432/finance", "postgres://user@/finance?host=/var/run/postgresql"]
)
def test_a_libpq_url_is_taken_as_it_is(tmp_path, url):
    (tmp_path / "url").write_text(f"{url}\n")
    assert database_url({"DATABASE_URL": url}) == url
    assert database_url({"DATABASE_URL_FILE": str(tmp_path / "url")}) == url


def test_no_database_url_means_the_embedded_postgresql():
    assert database_url({}) is None
    assert database_url({"DATABASE_URL": ""}) is None


@pytest.mark.parametrize("url", ["mysql://user:hush-hush@db/x", "host=db password=hush-hush", "hush-hush"])
def test_what_is_no_libpq_url_is_refused_without_its_password(url):
    message = refusal(database_url, {"DATABASE_URL": url})
    assert message.startswith("DATABASE_URL is not a PostgreSQL URL: write postgresql://")
    assert "hush-hush" not in message


def test_data_lies_beside_the_project_or_where_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_dir({}) == PROJECT_ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": ""}) == PROJECT_ROOT / ".data"
    assert data_dir({"SYNC_DATA_DIR": "/var/lib/sync"}) == Path("/var/lib/sync")
    assert data_dir({"SYNC_DATA_DIR": "here"}) == tmp_path / "here"
