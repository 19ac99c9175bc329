"""What the tests of the settings share: a token and a secret that open nothing, and how a refusal must read."""

from __future__ import annotations

import traceback

import pytest

from resources.errors import ConfigError

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
