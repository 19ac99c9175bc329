"""The fixtures of every test here: two accounts at one sandbox, and the environment of a command for both."""

from fixtures.accounts import environment, sandbox, seen, shared, two, world  # noqa: F401 - found by their names
