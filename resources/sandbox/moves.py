"""Faults that change the world between two pages: rows leave the interval, enter it, or appear late."""

from __future__ import annotations

from random import Random
from typing import Final

from resources.sandbox.faults import Fault
from resources.sandbox.queries import Query
from resources.sandbox.world import World

_NOTE: Final = "moved by the sandbox"


def move(fault: Fault, world: World, query: Query, chance: Random) -> int:
    """Do what the fault says to as many rows as it says, and give how many it was done to."""
    count = int(fault.value)
    with world.lock:
        if fault.name == "rows_leave":
            return _leave(world, query, chance, count)
        if fault.name == "rows_enter":
            return _enter(world, query, chance, count)
        return _appear(world, query, chance, count)


def _leave(world: World, query: Query, chance: Random, count: int) -> int:
    """Rows of the interval change: that counts from after the interval on, so they are no longer in it."""
    if query.end is None:
        return 0
    later = max(world.now, query.end + 1)
    ids = world.sample(query, count, chance)
    for operation_id in ids:
        world.change(operation_id, effective=later, visible=world.now, payment_provider_message=_NOTE)
    return len(ids)


def _enter(world: World, query: Query, chance: Random, count: int) -> int:
    """Rows from outside change and come in anywhere; if there are none outside, new ones do."""
    ids = world.sample_outside(query, count, chance)
    for operation_id in ids:
        when = _somewhen(world, query, chance)
        world.change(operation_id, effective=when, visible=world.now, payment_provider_message=_NOTE)
    return len(ids) + (_appear(world, query, chance, count - len(ids)) if len(ids) < count else 0)


def _appear(world: World, query: Query, chance: Random, count: int) -> int:
    """Operations that were effective in the interval all the time become known only now."""
    for _ in range(count):
        when = _somewhen(world, query, chance)
        fields = world.example(query, chance)
        number = world.new_id()
        fields |= {"operation_id": number, "payment_id": f"late-{number}"}
        fields |= {"operation_created_at": when - 20, "operation_completed_at": when}
        world.add(fields, when, world.now)
    return count


def _somewhen(world: World, query: Query, chance: Random) -> int:
    end = world.now if query.end is None else min(query.end, max(world.now, query.start or 0))
    start = end - 86_400 if query.start is None else query.start
    return chance.randint(min(start, end), end)
