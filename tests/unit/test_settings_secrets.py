"""Token and secret as settings: what is accepted, from where, what is refused in which words, and that none shows."""

from __future__ import annotations

import logging
import pprint

import pytest

from fixtures.settings import ENVIRONMENT, SECRET, TOKEN, refusal
from pipelines.resources import DataApiResource
from resources.accounts import accounts_of
from resources.config_file import settings_with_origin
from resources.environment import secret_of_file, value_or_file
from resources.errors import ConfigError
from resources.settings import (
    DEFAULT_BASE_URL,
    AlertSettings,
    InstallationSettings,
    Secret,
    SyncSettings,
    alert_settings,
    api_settings,
    database_url,
    personal_settings,
    read,
)


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
@pytest.mark.parametrize("begin", ["", "\ufeff"])
def test_b18_token_and_secret_may_stand_in_files_with_a_byte_order_mark_and_a_line_break(tmp_path, begin, end):
    (tmp_path / "token").write_bytes(f"{begin}{TOKEN}{end}".encode())
    (tmp_path / "secret").write_bytes(f"{begin}{SECRET}{end}".encode())
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
    for path, shown, reason in [
        (missing, tmp_path / "****", "No such file or directory"),
        (tmp_path, tmp_path, "Is a directory"),
        (binary / "below", binary / "****", "Not a directory"),
        (binary, binary, "not UTF-8 text"),
    ]:
        assert refusal(secret_of_file, "DATA_API_TOKEN_FILE", str(path)) == (
            f"DATA_API_TOKEN_FILE cannot be read: {shown}: {reason}."
        )


def test_what_looks_like_a_path_is_shown_whole_though_there_is_no_such_file():
    for path in ("/run/secrets/data_api_token", "/nonsuch/.token", "/etc/ecommpay-sync/db.url"):
        assert refusal(secret_of_file, "DATA_API_TOKEN_FILE", path).startswith(
            f"DATA_API_TOKEN_FILE cannot be read: {path}:"
        )


@pytest.mark.parametrize("secret", ["tok/en-30-characters=", "postgresql://u:pass@h/db", "s" * 500, " pass\nword"])
@pytest.mark.parametrize("folder", ["", "/run/no/such/"])
def test_a_secret_that_stands_where_its_file_should_is_not_shown(secret, folder):
    names = ("DATA_API_TOKEN", "DATA_API_SECRET", "DATABASE_URL", "ALERT_WEBHOOK_URL", "SYNC_PERSONAL_DATA_KEY")
    given = {f"{name}_FILE": folder + secret for name in names}
    accounts = accounts_of({"ACCOUNTS": "acme", "DATA_API_TOKEN__ACME_FILE": folder + secret})
    resource = DataApiResource(token_file=folder + secret, secret_file=folder + secret)
    refused = [refusal(read, given) for read in (api_settings, database_url, alert_settings, personal_settings)]
    refused += [refusal(accounts.api_settings, "acme"), refusal(resource.api)]
    assert all("_FILE cannot be read: /" in message for message in refused)
    shown = [*refused, *map(str, settings_with_origin(given))]
    assert not [line for line in shown if any(part in line for part in ("en-30", "pass", "word", "sss"))]


@pytest.mark.parametrize("content", ["", "\n", "\r\n\n"])
def test_an_empty_file_is_named_instead_of_taken_for_unset(tmp_path, content):
    file = tmp_path / "empty"
    file.write_text(content)
    for reader in (api_settings, database_url):
        message = refusal(reader, {"DATA_API_TOKEN_FILE": str(file), "DATABASE_URL_FILE": str(file)})
        assert message.endswith(f"_FILE is empty: {file}.")


# Nothing shows a secret


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r}".format, "%s".__mod__, pprint.pformat])
def test_no_way_to_print_shows_token_or_secret(show):
    settings = api_settings(ENVIRONMENT)
    for shown in (show(settings), show(settings.token), show([settings.secret]), show({"key": settings})):
        assert TOKEN not in shown
        assert SECRET not in shown
        assert "*" in shown


@pytest.mark.parametrize("show", [str, repr, pprint.pformat])
def test_no_other_group_of_settings_shows_what_is_secret(show):
    environment = {
        "DATABASE_URL": f"postgresql://user:{SECRET}@db/finance",
        "SYNC_PERSONAL_DATA": "hash",
        "SYNC_PERSONAL_DATA_KEY": SECRET,
        "ALERT_WEBHOOK_URL": f"https://hooks.example.com/{SECRET}",
        "ALERT_HEARTBEAT_URL": f"https://hc.example.com/{SECRET}",
        "ALERT_SMTP_URL": "smtp://user@mail.example.com",
        "ALERT_SMTP_PASSWORD": SECRET,
        "ALERT_EMAIL_FROM": "a@b.example",
        "ALERT_EMAIL_TO": "c@d.example",
    }
    for group in (InstallationSettings, SyncSettings, AlertSettings):
        shown = show(read(group, environment))
        assert SECRET not in shown
        assert "****" in shown


def test_no_log_line_shows_a_secret(caplog):
    settings = api_settings(ENVIRONMENT)
    logging.getLogger("anyone").error("%s %r %s", settings, settings.token, {"secret": settings.secret})
    assert TOKEN not in caplog.text
    assert SECRET not in caplog.text


def test_equal_secrets_are_equal():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
