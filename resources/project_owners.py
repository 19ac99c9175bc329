"""Whose a project is in the marts, as the settings name it; who sees which project is in `pipelines.marts.projects`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resources.errors import ConfigError
from resources.settings_values import account_of


@dataclass(frozen=True, order=True)
class ProjectOwner:
    """Whose project it is in the marts, when the tokens of several accounts see it."""

    project_id: str
    account: str


def project_owners(text: str) -> tuple[ProjectOwner, ...]:
    """Read whose a project is in the marts: `22=acme,199=globex`.

    Raises:
        ConfigError: one is malformed, or a project has two owners.
    """
    found: dict[str, ProjectOwner] = {}
    for part in (part.strip() for part in text.split(",") if part.strip()):
        project, _, account = (side.strip() for side in part.partition("="))
        owner = project_owner("SYNC_PROJECT_OWNERS", project, account)
        if project in found:
            raise ConfigError(f"SYNC_PROJECT_OWNERS gives project {project} twice: keep one of them.")
        found[project] = owner
    return tuple(sorted(found.values()))


def project_owner(where: str, project: str, account: str) -> ProjectOwner:
    """Return the owner of a project; `where` is what both stand in.

    Raises:
        ConfigError: the project is no number, or the account's name is malformed.
    """
    if not re.fullmatch(r"\d{1,19}", project, re.ASCII):
        raise ConfigError(f"{where} has the project {project!r}: write its id in digits, for example 22=acme.")
    return ProjectOwner(project, account_of(f"{where}: the owner of project {project}", account))
