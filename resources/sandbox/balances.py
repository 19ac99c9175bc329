"""The sandbox's balances: payouts drain them, top-ups fill them; what payouts there are is the world's business."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from resources.sandbox.pools import PROJECTS
from resources.sandbox.states import State

_MOST_DRAWN: Final = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Move:
    """Money that came to a project's balance at a second, or left it (negative minor units)."""

    project: int
    currency: str
    at: int
    minor: int


@dataclass(frozen=True, slots=True)
class Balance:
    """One OUT balance; its currency need not be the one in its name. `since=None` never moves."""

    name: str
    currency: str
    project: int
    amount: int
    since: int | None = None

    def at(self, now: int, moves: Iterable[Move]) -> dict[str, str]:
        """Give the balance as the API shows it: a decimal string of minor units under its currency."""
        return {"name": self.name, self.currency: str(self.amount + sum(self._mine(now, moves)))}

    def _mine(self, now: int, moves: Iterable[Move]) -> Iterator[int]:
        if self.since is not None:
            for move in moves:
                same = (move.project, move.currency) == (self.project, self.currency)
                if same and self.since < move.at <= now:
                    yield move.minor


def payouts(states: Iterable[State]) -> Iterator[Move]:
    """Give what successful payouts took, each at the second of its completion."""
    for state in states:
        if state.kind == "payout" and state.status == "success":
            facts = state.facts(all_fields=False)
            money, completed = facts.get("sum_initial") or {}, facts.get("operation_completed_at")
            if isinstance(completed, int) and isinstance(money.get("amount"), int):
                project = str(facts.get("project_id") or 0)
                yield Move(int(project), str(money.get("currency")), completed, -money["amount"])


def draw_balances(seed: int, since: int) -> Iterator[Balance]:
    """Draw a balance per project and currency; the first is in another currency than its name says."""
    chance = Random(seed)  # noqa: S311  reproducible, not secret
    yield Balance("Project_Cosmo1_balance_USD", "SGD", 198, 310_099)
    yield Balance("Reserve — never used", "EUR", 198, 0)
    for project, (_, name, currencies, _) in PROJECTS.items():
        for currency in dict.fromkeys(currencies):
            amount = chance.randrange(-50_000, _MOST_DRAWN)
            if currency == "KWD":
                amount = -amount
            yield Balance(f"{name} balance {currency}", currency, project, amount, since)
