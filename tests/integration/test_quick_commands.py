"""The tests' quick way to run the command says and does what the command itself does, each time from nothing."""

from __future__ import annotations

import pytest

import fixtures.commands as support


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 0),
        (("--help",), 0),
        (("alert", "--test"), 2),
        (("nonsense",), 2),
        (("balances",), 2),
        (("operations", "--from", "soon", "--to", "later"), 2),
    ],
)
def test_output_and_exit_code_are_those_of_the_command(command, store_url, arguments, code):
    environment = {"DATABASE_URL": store_url}
    quick, itself = (run(*arguments, environment=environment) for run in (command, support.command))
    assert (quick.returncode, quick.stdout, quick.stderr) == (itself.returncode, itself.stdout, itself.stderr)
    assert quick.returncode == code
    assert quick.stdout + quick.stderr


def test_nothing_of_one_run_is_known_to_the_next_nor_what_the_tests_themselves_have_set(
    command, store_url, monkeypatch
):
    monkeypatch.setenv("SYNC_ACCOUNT", "of-the-tests-own-shell")
    for settings, account in (({"SYNC_ACCOUNT": "brand-2"}, "brand-2"), ({}, "default")):
        done = command("status", "--account", "nobody", environment={"DATABASE_URL": store_url} | settings)
        assert f"there is no account 'nobody': {account} is configured" in done.stderr
