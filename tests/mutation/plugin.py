"""What pytest needs beside a mutant (`-p mutation.plugin`): nothing cached, no failure made smaller, one database."""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest

OURS = ("pipelines.", "resources.", "sql.")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Give the server to each run of this process; tests/conftest.py takes it out of the environment."""
    if "MUTATION_URL" in os.environ:
        os.environ["DATABASE_URL"] = os.environ["MUTATION_URL"]


def pytest_configure(config: pytest.Config) -> None:
    """Name functions of tests without their parameters, of which some have hundreds; those with the fewest first."""
    from hypothesis import Phase, settings

    times = Counter(argument.partition("[")[0] for argument in config.args)
    config.args = sorted(times, key=lambda name: times[name])

    settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), deadline=None, database=None)
    settings.load_profile("mutants")


def pytest_runtest_setup() -> None:
    """Forget what cached functions have returned: to the tests before this one, and before the mutant was forked."""
    for name, module in list(sys.modules.items()):
        if name.startswith(OURS):
            for value in list(vars(module).values()):
                if callable(getattr(value, "cache_clear", None)):
                    value.cache_clear()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    """Give the database that was migrated once, for all mutants, where a session of tests makes one of its own."""
    name = os.environ.get("MUTATION_TEMPLATE")
    if name is None or fixturedef.argname != "template":
        return None
    fixturedef.cached_result = (name, fixturedef.cache_key(request), None)
    return name
