"""Faults on request: which of them a request meets, by chance or on request, and what each does to its answer."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from random import Random
from threading import Lock
from typing import Any, Final

import orjson

from resources.sandbox.api import EncodedRow, error_body
from resources.sandbox.documents import LISTS, Document
from resources.sandbox.operations import DAY, Query, plain_row
from resources.sandbox.world import World

# An answer that comes instead of the asked one. 429 says when to come back: in seconds, as a date, or not.
INSTEAD: Final = ("http_500", "http_429", "http_429_date", "http_429_bare", "html_502")
# Pages not as long as they should be, properly signed.
PAGES: Final = ("short_page", "capped_page", "empty_page")
# Bodies changed after they were signed; the last cannot be changed further.
BODIES: Final = (
    *("tampered_value", "tampered_key", "tampered_drop", "tampered_swap"),
    *("wrong_signature", "missing_signature", "broken_json"),
)
# The connection ends before the body does.
CUTS: Final = ("cut", "cut_chunked")
# The world changes after the page was made.
MOVES: Final = ("rows_leave", "rows_enter", "late_rows")
NAMES: Final = (*INSTEAD, "slow", *PAGES, *BODIES, *CUTS, *MOVES)
_DEFAULT_VALUES: Final = {"http_429": 1, "http_429_date": 1, "slow": 1, "capped_page": 500, **dict.fromkeys(MOVES, 1)}
_HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_JSON: Final = {"content-type": "application/json; charset=UTF-8"}
_NOTE: Final = "moved by the sandbox"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, with its number if it has one: seconds to wait, rows to cap at, rows to move."""

    name: str
    value: float = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"No fault is called {self.name!r}; there are {', '.join(NAMES)}")
        if not self.value:
            object.__setattr__(self, "value", _DEFAULT_VALUES.get(self.name, 0))


Item = Fault | str | tuple[str, float] | Iterable["Item"] | None
Rate = float | tuple[float, float]


@dataclass(slots=True)
class _Next:
    """A fault that so many of the next requests are to meet, of an endpoint or any."""

    fault: Fault
    times: float
    endpoint: str | None


class Faults:
    """The faults a sandbox makes; switchable at any time. `counts` has those that really happened, by name.

    `rates` gives each fault's chance of meeting a request, or a pair of that and the fault's number:
    `Faults(seed=7, rates={"http_500": 0.05, "slow": (0.01, 2.5)})`.
    """

    def __init__(self, seed: int = 0, rates: Mapping[str, Rate] | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self.chance = Random(seed)  # noqa: S311  reproducible, not secret
        self._rates: list[tuple[float, Fault]] = []
        self._script: dict[int, list[Fault]] = {}
        self._next: list[_Next] = []
        self._seen = 0
        self._lock = Lock()
        self.set_rates(rates or {})

    @classmethod
    def script(cls, items: Iterable[Item] | Mapping[int, Item]) -> Faults:
        """Make the n-th request meet the n-th item (None: nothing), or the item of its number, from 1 on."""
        faults = cls()
        faults.set_script(items)
        return faults

    @classmethod
    def parse(cls, text: str, seed: int = 0) -> Faults:
        """Read `http_500=0.05,slow=0.1:2.5`: name, chance, and after a colon the fault's number."""
        rates: dict[str, Rate] = {}
        for part in filter(None, text.split(",")):
            name, _, numbers = part.strip().partition("=")
            rate, _, value = numbers.partition(":")
            rates[name] = (float(rate), float(value or 0))
        return cls(seed, rates)

    def set_rates(self, rates: Mapping[str, Rate]) -> None:
        """Replace the chances; the rest stays."""
        pairs = {name: rate if isinstance(rate, (tuple, list)) else (rate, 0) for name, rate in rates.items()}
        self._rates = [(chance, Fault(name, value)) for name, (chance, value) in pairs.items()]

    def set_script(self, items: Iterable[Item] | Mapping[int, Item]) -> None:
        """Replace the script; the next request is number 1."""
        numbered = items.items() if isinstance(items, Mapping) else enumerate(items, 1)
        script = {number: _faults(item) for number, item in numbered}
        with self._lock:
            self._script, self._seen = script, 0

    def next(self, fault: Item, times: float = 1, endpoint: str | None = None) -> None:
        """Let the next `times` requests (of an endpoint: `operations/get`) meet a fault."""
        with self._lock:
            self._next.extend(_Next(one, times, endpoint) for one in _faults(fault))

    def always(self, fault: Item, endpoint: str | None = None) -> None:
        """Let every request (of an endpoint) meet a fault from now on."""
        self.next(fault, math.inf, endpoint)

    def clear(self) -> None:
        """End all faults; the counts stay."""
        with self._lock:
            self._rates, self._script, self._next = [], {}, []

    def draw(self, endpoint: str) -> list[Fault]:
        """Give the faults that the next request, to this endpoint, is to meet."""

        def can_happen(fault: Fault) -> bool:
            return endpoint in {"operations/get", *LISTS} or fault.name not in {*PAGES, *MOVES}

        with self._lock:
            self._seen += 1
            drawn = list(self._script.get(self._seen, ()))
            for entry in self._next:
                if entry.endpoint in {None, endpoint} and can_happen(entry.fault):
                    entry.times -= 1
                    drawn.append(entry.fault)
            self._next = [entry for entry in self._next if entry.times > 0]
            drawn += [fault for rate, fault in self._rates if self.chance.random() < rate]
        return list(filter(can_happen, drawn))


class RequestFaults:
    """The faults that one request meets, made in the order of these methods; `made` names those that really were."""

    def __init__(self, faults: Faults, endpoint: str) -> None:
        self.made: list[str] = []
        self._faults = faults
        self._endpoint = endpoint
        self._drawn = faults.draw(endpoint)

    def _of(self, names: Iterable[str]) -> list[Fault]:
        return [fault for name in names for fault in self._drawn if fault.name == name]

    def _happened(self, fault: Fault) -> None:
        self.made.append(fault.name)
        self._faults.counts[fault.name] += 1

    async def wait(self) -> None:
        """Take the platform's time."""
        for fault in self._of(["slow"]):
            self._happened(fault)
            await asyncio.sleep(fault.value)

    def instead(self) -> tuple[int, bytes, dict[str, str]] | None:
        """Give status, body and headers of the answer that comes instead of the asked one, if one does."""
        for fault in self._of(INSTEAD):
            self._happened(fault)
            if fault.name == "html_502":
                return 502, _HTML, {"content-type": "text/html"}
            if fault.name == "http_500":
                return 500, error_body(500, "Internal error, please try again later"), _JSON
            due = math.ceil(time.time() + fault.value)  # a date has whole seconds: no sooner than asked for
            when = {"http_429": str(int(fault.value)), "http_429_date": formatdate(due, usegmt=True)}
            headers = {"retry-after": when[fault.name]} if fault.name in when else {}
            return 429, error_body(429, "Request rate error"), _JSON | headers
        return None

    def shorten(self, rows: list[EncodedRow]) -> list[EncodedRow]:
        """Give the rows that are left of a page."""
        for fault in self._of(PAGES):
            most = {"empty_page": 0, "capped_page": int(fault.value), "short_page": len(rows) - 1}[fault.name]
            if len(rows) > most >= 0:
                rows = rows[:most]
                self._happened(fault)
        return rows

    def change_body(self, name: str, body: bytes) -> bytes:
        """Give the body, whose list or object is `name`, as it is after somebody was at it."""
        for fault in self._of(BODIES):
            changed = _change_body(fault, name, body)
            if changed != body:
                body = changed
                self._happened(fault)
        return body

    def move(self, world: World, query: Query) -> None:
        """Change the world before the next page: rows leave the interval, enter it, or appear late."""
        for fault in self._of(MOVES):
            with world.lock:
                if self._endpoint in LISTS:
                    moved = _move_documents(fault, world, self._endpoint, query, self._faults.chance)
                else:
                    moved = _move_operations(fault, world, query, self._faults.chance)
            if moved:
                self._happened(fault)

    def cut(self) -> str | None:
        """Give how the connection ends in the middle of the body, if it does."""
        faults = self._of(CUTS)
        for fault in faults:
            self._happened(fault)
        return faults[-1].name if faults else None


def _faults(item: Item) -> list[Fault]:
    match item:
        case None:
            return []
        case Fault():
            return [item]
        case str():
            name, _, value = item.partition(":")
            return [Fault(name, float(value or 0))]
        case (str(name), int() | float() as number):
            return [Fault(name, number)]
    return [fault for part in item for fault in _faults(part)]


def _change_body(fault: Fault, name: str, body: bytes) -> bytes:
    """Give the body changed, or as it was if there is nothing in it that can be changed so."""
    if fault.name == "broken_json":
        return body[: len(body) // 2] + b"\x00,}" + body[len(body) // 2 :]
    answer: dict[str, Any] = orjson.loads(body)
    rows = answer[name] if isinstance(answer[name], list) else [answer[name]]
    middle = len(rows) // 2
    if fault.name == "missing_signature":
        del answer["signature"]
    elif fault.name == "wrong_signature":
        digest = bytearray(base64.b64decode(answer["signature"]))
        digest[0] ^= 1
        answer["signature"] = base64.b64encode(digest).decode()
    elif fault.name == "tampered_key":
        (rows[0] if rows else answer)["unsigned_note"] = "added on the way"
    elif fault.name == "tampered_value" and rows:
        _raise_amount(rows[middle])
    elif fault.name == "tampered_drop":
        del rows[middle : middle + 1]
    elif fault.name == "tampered_swap" and rows:
        rows[0], rows[-1] = rows[-1], rows[0]
    return orjson.dumps(answer)


def _raise_amount(row: dict[str, Any]) -> None:
    """Make somebody richer by one minor unit, or change whatever there is."""
    money = row.get("sum_initial")
    if isinstance(money, dict) and isinstance(money.get("amount"), int):
        money["amount"] += 1
        return
    name = list(row)[-1]
    row[name] = row[name] + 1 if isinstance(row[name], int) else f"{row[name]}1"


def _move_operations(fault: Fault, world: World, query: Query, chance: Random) -> int:
    """Move as many operations as the fault says, and give how many that were.

    Those that leave have changed: that counts from after the interval on. Those that enter come from outside or, if
    there are none, are new; so are late ones, which were effective in the interval all the time.
    """
    count = int(fault.value)
    inside = world.select(query)
    if fault.name == "rows_leave":
        if query.end is None:
            return 0
        leaving, later = chance.sample(inside, min(count, len(inside))), max(world.now, query.end + 1)
        for operation, _ in leaving:
            world.change(operation.id, effective=later, visible=world.now, payment_provider_message=_NOTE)
        return len(leaving)
    anywhere = world.select(replace(query, start=None, end=None))
    outside = []
    if fault.name == "rows_enter":
        tried, within = chance.sample(anywhere, min(len(anywhere), 20 * count)), set(inside)
        outside = [known for known in tried if known not in within][:count]
    for operation, _ in outside:
        when = _somewhen(world, query, chance)
        world.change(operation.id, effective=when, visible=world.now, payment_provider_message=_NOTE)
    for _ in range(count - len(outside)):
        when = _somewhen(world, query, chance)
        number = world.new_id()
        if alike := inside or anywhere:
            fields = chance.choice(alike)[0].states[-1].facts()
        else:
            fields = plain_row(number) | ({"project_id": str(min(query.projects))} if query.projects else {})
        fields |= {"operation_id": number, "payment_id": f"late-{number}"}
        fields |= {"operation_created_at": int(when) - 20, "operation_completed_at": int(when)}
        world.add(fields, when, world.now)
    return count


def _somewhen(world: World, query: Query, chance: Random) -> float:
    end = world.now if query.end is None else min(query.end, max(world.now, query.start or 0))
    start = end - DAY if query.start is None else query.start
    second = chance.randint(min(start, end), end)
    return second + chance.randrange(1000) / 1000 if world.fractions else second


def _move_documents(fault: Fault, world: World, endpoint: str, query: Query, chance: Random) -> int:
    """Let documents leave an interval, as by a change now, or appear anywhere in it; give how many did."""
    if query.start is None or query.end is None:
        return 0
    inside, count = world.documents.between(endpoint, query.start, query.end), int(fault.value)
    documents = world.documents.lists[endpoint]
    if fault.name == "rows_leave":
        leaving, later = chance.sample(inside, min(count, len(inside))), max(world.now, query.end + 1)
        for item in leaving:
            documents.remove(item)
            documents.append(Document(later, item.project, {**item.fields, "status": "changed", "updated_at": later}))
        return len(leaving)
    for number in range(count if inside else 0):
        like, at = chance.choice(inside), chance.randint(query.start, query.end)
        new = {**like.fields, "id": f"late-{len(documents)}-{number}", "updated_at": at}
        documents.append(replace(like, at=at, fields=new))
    return count if inside else 0
