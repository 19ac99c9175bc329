"""The sandbox's balances: they move with time, and are the same at the same time; no operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from resources.sandbox.pools import PROJECTS

_WOBBLE: Final = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class Balance:
    """One OUT balance; its currency need not be the one in its name."""

    name: str
    currency: str
    project: int
    amount: int
    by_hour: int = 0
    since: int = 0

    def at(self, now: int) -> dict[str, str]:
        """Give the balance as the API shows it: a decimal string of minor units under its currency."""
        hours = (now - self.since) // 3600
        wobble = (hours * _WOBBLE + self.amount) % (2 * abs(self.by_hour) + 1) - abs(self.by_hour)
        moved = hours * self.by_hour + wobble if self.by_hour else 0
        return {"name": self.name, self.currency: str(self.amount + moved)}


def draw_balances(seed: int, since: int) -> Iterator[Balance]:
    """Draw a balance per project and currency; the first is in another currency than its name says."""
    chance = Random(seed)  # noqa: S311  reproducible, not secret
    yield Balance("Project_Cosmo1_balance_USD", "SGD", 198, 310_099, 0, since)
    yield Balance("Reserve — never used", "EUR", 198, 0, 0, since)
    for project, (_, name, currencies, _) in PROJECTS.items():
        for currency in dict.fromkeys(currencies):
            amount = chance.randrange(-50_000, 2_000_000_000)
            if currency == "KWD":
                amount = -amount
            by_hour = chance.randrange(-900, 2_000)
            yield Balance(f"{name} balance {currency}", currency, project, amount, by_hour, since)
