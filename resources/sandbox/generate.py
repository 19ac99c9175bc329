"""Draws operations: seeded payments and what follows on each, in the rhythm of days and weeks; no world."""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from operator import attrgetter
from random import Random
from typing import Final

from resources.sandbox import pools
from resources.sandbox.fields import DECIMALS
from resources.sandbox.states import Draft, DrawnState, Operation, State
from resources.sandbox.times import DAY

FIRST_NUMBER: Final = 6_435_212_160_000
_FLOWS: Final = ("sale", "auth", "recurring", "payout", "account verification")
_FLOW_SHARES: Final = tuple(accumulate((70, 11, 10, 7, 2)))
_WAITING: Final = (
    *("processing", "awaiting 3ds result", "awaiting redirect result"),
    *("awaiting clarification", "awaiting customer action", "processing"),
)
_PROJECTS: Final = tuple(pools.PROJECTS)
_PROJECT_SHARES: Final = tuple(accumulate(share for share, *_ in pools.PROJECTS.values()))


def draw_operations(seed: int, start: int, days: int, count: int) -> Iterator[Operation]:
    """Draw `count` operations created within `days` days from the second `start` on, oldest first."""
    if days < 1 or count < 0:
        raise ValueError("A world needs at least one day, and no negative count of operations")
    chance = Random(seed)  # noqa: S311  reproducible, not secret
    with _no_collections():
        drafts = _draw_drafts(chance, start, days, count)
        drafts.sort(key=attrgetter("created"))
        for index, draft in enumerate(drafts):
            draft.number = FIRST_NUMBER + index * 10 + (draft.dice & 7)
            yield Operation(draft.number, draft.project, _draw_states(chance, draft))


def _draw_drafts(chance: Random, start: int, days: int, count: int) -> list[Draft]:
    hours = list(accumulate(_weight(start, hour) for hour in range(days * 24)))
    end = start + days * DAY
    drafts: list[Draft] = []
    payments: Counter[int] = Counter(dict.fromkeys(_PROJECTS, 917_000))
    while len(drafts) < count:
        for hour in chance.choices(range(days * 24), cum_weights=hours, k=max(1, min(10_000, count // 2))):
            created = start + hour * 3600 + int(chance.random() * 3600)
            first = _draw_first(chance, created, payments)
            drafts.append(first)
            if chance.random() < 0.25:
                drafts.extend(draft for draft in _follow_ups(chance, first) if draft.created < end)
    del drafts[count:]
    return drafts


def _weight(start: int, hour: int) -> int:
    second = start + hour * 3600
    return pools.HOURS[second // 3600 % 24] * pools.WEEKDAYS[(second // DAY + 3) % 7]


def _draw_first(chance: Random, created: int, payments: Counter[int]) -> Draft:
    project = chance.choices(_PROJECTS, cum_weights=_PROJECT_SHARES)[0]
    currencies = pools.PROJECTS[project][2]
    currency = currencies[int(chance.random() * len(currencies))]
    kind = chance.choices(_FLOWS, cum_weights=_FLOW_SHARES)[0]
    major = math.exp(chance.gauss(3.4, 1.1)) / pools.USD_WORTH[currency]
    amount = max(1, int(major * 10 ** DECIMALS.get(currency, 2)))
    if kind == "account verification":
        amount = 0
    elif amount > 1000 and chance.random() < 0.6:
        amount -= amount % 50 - 49 if amount % 3 else amount % 100
    payments[project] += 1
    return Draft(
        project=project,
        payment=payments[project],
        kind=kind,
        created=created,
        amount=amount,
        currency=currency,
        dice=chance.getrandbits(128),
    )


def _follow_ups(chance: Random, first: Draft) -> Iterator[Draft]:
    """Draw what a merchant does about a payment later: in the same payment, never for more than it was."""
    luck = chance.random()
    if first.kind == "auth":
        captured = first.amount if luck < 0.8 else max(1, first.amount // 2)
        yield _follow(chance, first, "cancel" if luck > 0.9 else "capture", captured, 3 * DAY)
    elif first.kind in {"sale", "recurring"}:
        if luck < 0.12:
            yield _follow(chance, first, "reversal", first.amount, DAY // 8)
        elif luck < 0.25:
            part = max(1, first.amount // 3)
            yield _follow(chance, first, "refund", part, 6 * DAY)
            yield _follow(chance, first, "refund", max(1, first.amount - part), 20 * DAY)
        else:
            yield _follow(chance, first, "refund", first.amount, 14 * DAY)


def _follow(chance: Random, first: Draft, kind: str, amount: int, within: int) -> Draft:
    return Draft(
        project=first.project,
        payment=first.payment,
        kind=kind,
        created=first.created + 120 + int(chance.random() * within),
        amount=amount,
        currency=first.currency,
        dice=first.dice,
        first=first,
    )


def _draw_states(chance: Random, draft: Draft) -> list[State]:
    luck = chance.random()
    if luck < 0.04:
        waiting = _WAITING[int(luck * 150) % len(_WAITING)]
        return [DrawnState(draft, draft.created, draft.created, status=waiting, completed=None)]
    status = "error" if luck < 0.05 else "decline" if luck < 0.22 else "success"
    if status == "success" and draft.first is not None and not draft.first.succeeded:
        status = "decline"  # nothing is refunded or captured of a payment that brought nothing
    draft.succeeded = status == "success"
    slow = draft.kind in {"payout", "refund"} or chance.random() < 0.08
    completed = draft.created + 1 + int(chance.random() * (DAY if slow else 45))
    states: list[State] = []
    if slow:
        waiting = _WAITING[int(luck * 1000) % len(_WAITING)]
        states.append(DrawnState(draft, draft.created, draft.created, status=waiting, completed=None))
    visible = completed
    if chance.random() < 0.025:  # late: known to the platform itself only hours after
        late = 600 + int(chance.random() * 2.5 * DAY)
        visible += late if draft.kind != "payout" else 0  # which took its money from the balance, so it is known
    states.append(DrawnState(draft, completed, visible, status=status, completed=completed))
    if status == "success" and luck < 0.4:
        states.extend(_later_states(chance, draft, completed, visible))
    return states


def _later_states(chance: Random, draft: Draft, completed: int, visible: int) -> Iterator[State]:
    """Draw the posting for clearing in a night after, and sometimes a correction days later."""
    night = (max(completed, visible) // DAY + 1) * DAY + 7200 + int(chance.random() * 7200)
    yield DrawnState(draft, night, night, status="success", completed=completed, shipped=night - 60)
    if chance.random() < 0.08:
        later = night + 3600 + int(chance.random() * 8 * DAY)
        # a payout that left the balance stays paid: money that came back would be a movement without an operation
        status = "error" if chance.random() < 0.15 and draft.kind != "payout" else "success"
        yield DrawnState(draft, later, later, status=status, completed=completed, shipped=night - 60, revision=1)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Hold the garbage collector: it would go over the growing millions again and again and find nothing."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
