"""Projects that the tokens of several accounts see: who sees what, and for which account the marts count it.

The build of the marts decides that (`sql/marts/build.sql`); here it is only read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from resources.warehouse.engine import Warehouse


@dataclass(frozen=True)
class Sight:
    """What an account's token has shown of a project; `only_here` of it the counted account does not hold."""

    account: str
    operations: int
    is_counted: bool | None  # None: the marts were not built since
    only_here: int

    @property
    def verdict(self) -> str:
        """What the marts do with it."""
        if self.is_counted is None:
            return "not built yet"
        if self.is_counted:
            return "counted"
        return "not counted" + (f", {self.only_here:,} of them nowhere" if self.only_here else "")

    def __str__(self) -> str:
        return f"{self.account} ({self.operations:,} operations, {self.verdict})"


@dataclass(frozen=True)
class SharedProject:
    """A project that several accounts see, the counted one first."""

    project_id: str
    sights: tuple[Sight, ...]

    @property
    def accounts(self) -> tuple[str, ...]:
        """Who sees it."""
        return tuple(sight.account for sight in self.sights)

    @property
    def advice(self) -> str:
        """What to do about it."""
        if any(sight.only_here for sight in self.sights):
            return "load the counted account's missing days, or name another owner (SYNC_PROJECT_OWNERS, [projects])"
        return "take the right to see it from all tokens but one, or leave it so"

    def __str__(self) -> str:
        return f"project {self.project_id} is seen by {' and '.join(map(str, self.sights))}: {self.advice}"


def shared_projects(warehouse: Warehouse) -> list[SharedProject]:
    """Return every project that several accounts see."""
    rows = warehouse.query("marts/projects/shared_projects")
    return [
        SharedProject(
            project, tuple(Sight(row.account, row.operations, row.is_counted, row.only_here) for row in of_project)
        )
        for project, of_project in groupby(rows, key=lambda row: str(row.project_id))
    ]
