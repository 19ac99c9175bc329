"""How the pages of one window are walked, and when that is complete. Pure decisions: `fetch` sends the requests.

Offset pages are cut from live data, so nothing is trusted that the server merely says: not `limit`, not a
short page, not an empty one. What is trusted is that two pages meet: the next offset is the number of rows
received minus one, so each page must begin with the last row of the page before, and a page of that row
alone is the end. Where the page before was as long as any, more rows were likely, so that the end is asked
for again; after a lone first row, it is the place past it that is asked for. At last the first row is looked
at once more: if it is still the first, no row entered at the head meanwhile, and one that left anywhere
before a page's edge would have shown at that edge.

Pages are asked for one after the other, so that only what happens between two of them must show at their edge:
docs/decisions/018-requests-in-flight.md says why none is requested ahead.

A server that once gave an empty or short answer, and another one when it was asked again, will do so again, at the
worst twice in a row: from then on (`Suspicion`) whatever says that no more rows follow is asked for more often.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, TypeVar

LIMIT = 1000
DEEPEST = 9_990  # rows: about ten pages; a window with more is cut
LOOKS_DEEP = 7_500  # rows: a guess above this is worth a probe at DEEPEST,
FEW_PAGES = 3  # after so many; before, a guess of twice as many
SURE_PROBE = 4  # pages after which the guess, if it never held, gives way to a probe
SHORTEST = timedelta(seconds=1)
LOOKS_AT_AN_END = 2  # where more rows were likely
LOOKS_AT_NOTHING = 3  # an empty window is the one answer that nothing else speaks for
LOOKS_WHEN_UNTRUSTED = 6
WALKS = 3  # of a window that moves, before it is cut
WALKS_OF_ONE_SECOND = 8  # of a window that cannot be cut

MOVED = "the data moved during every walk"
CONTRADICTED = "the platform gave the same first page each time, and pages after it that do not continue it"
REPEATED = "the platform gave the same first page each time, and a row of an earlier page on a later one"

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One answer: the identity of each row, in order; what it brought; the times its rows lie between."""

    ids: tuple[str, ...]
    payload: T
    span: tuple[datetime, datetime] | None = None


Fetch = Callable[[int, int], Page[T]]  # (offset, limit) → page


@dataclass
class Suspicion:
    """Whether the server's ends are believed; shared by all windows of a run, which learn from one another."""

    server_untrusted: bool = False

    def looks(self, usual: int) -> int:
        """Return how often an answer that says "no more rows" must come before it counts."""
        return LOOKS_WHEN_UNTRUSTED if self.server_untrusted else usual


@dataclass
class Walk(Generic[T]):
    """One pass over a window."""

    suspicion: Suspicion = field(default_factory=Suspicion)
    pages: list[Page[T]] = field(default_factory=list)
    requests: int = 0
    probe: Page[T] | None = None  # the row at `DEEPEST`, if it was asked for
    too_deep: bool = False
    moved: bool = False
    moved_after_first_page: bool = False
    repeats: bool = False  # pages continued each other, and a row stood on two of them
    fits_a_page: bool = False  # what followed the first page was its end, only not the last row alone
    emptied: bool = False  # nothing followed the first page, not even its last row
    ids: set[str] = field(default_factory=set)

    def add(self, page: Page[T]) -> None:
        """Add a page."""
        self.pages.append(page)
        self.ids.update(page.ids)


@dataclass(frozen=True)
class Complete(Generic[T]):
    """Every row of the window was received; `pages` in their order."""

    pages: list[Page[T]]
    walks: int
    drifts: int
    requests: int

    @property
    def rows(self) -> int:
        """How many there are, about: neighbouring pages share a row."""
        return sum(len(page.ids) for page in self.pages) // self.walks


@dataclass(frozen=True)
class TooDense:
    """The window holds more than is walked at once; `rows` of it were received within `span`."""

    rows: int
    span: timedelta | None
    requests: int


@dataclass(frozen=True)
class Unstable:
    """Why the window cannot be shown complete: the data moved during every walk, or the platform's pages are wrong."""

    drifts: int
    requests: int
    reason: str  # one of those above


def walk_until_stable(
    fetch: Fetch[T], length: timedelta, suspicion: Suspicion | None = None
) -> Complete[T] | TooDense | Unstable:
    """Walk a window of that length until it is shown complete; or say that it must be cut, or cannot be shown.

    A window of one second cannot be cut. The caller unites the rows of all walks: each was really there
    when it was received. `suspicion` is that of the run.
    """
    suspicion = suspicion or Suspicion()
    pages: list[Page[T]] = []
    ids: set[str] = set()
    reasons: set[str] = set()  # of the walks after the first
    requests = 0
    before: set[str] | None = None  # the first page of the walk before
    can_be_cut = length > SHORTEST
    most = WALKS if can_be_cut else WALKS_OF_ONE_SECOND
    for number in range(1, most + 1):
        walk = walk_once(fetch, length, suspicion)
        requests += walk.requests
        if walk.too_deep:
            return _too_dense(walk, requests)
        pages += walk.pages
        unknown = walk.ids - ids
        ids |= unknown
        if not walk.moved:
            return Complete(pages, number, number - 1, requests)
        first = set(walk.pages[0].ids)
        # one answer is a snapshot of the window, if all around it says that it held the whole of it
        snapshot = walk.fits_a_page or (walk.emptied and before is not None and first < before)
        if snapshot and (number == most or (number > 1 and not unknown)):
            # a row behind that answer may have moved before its end meanwhile: then it stands there now
            again = fetch_whole(fetch, suspicion)
            pages += again.pages
            requests += again.requests
            late = {identifier for page in again.pages for identifier in page.ids} - ids
            ids |= late
            if not late or number == most:
                return Complete(pages, number, number, requests)
        if before is not None:
            reasons.add(_why_moved(walk, is_snapshot=snapshot) if first == before else MOVED)
        before = first
    return Unstable(most, requests, reasons.pop() if len(reasons) == 1 else MOVED)


def fetch_whole(fetch: Fetch[T], suspicion: Suspicion | None = None) -> Complete[T]:
    """Ask for a window whose rows come in one answer, again when it is empty: nothing else can be shown of it."""
    walk: Walk[T] = Walk(suspicion or Suspicion())
    walk.add(_fetch_again_while_empty(fetch, walk, 0))
    return Complete(walk.pages, 1, 0, walk.requests)


def walk_once(fetch: Fetch[T], length: timedelta, suspicion: Suspicion) -> Walk[T]:
    """Pass over a window of that length once, until its end, a sign that the data moved, or `DEEPEST`."""
    walk: Walk[T] = Walk(suspicion)
    page = _fetch_again_while_empty(fetch, walk, 0)
    offset = 0
    while page.ids:
        walk.add(page)
        received = offset + len(page.ids)
        if length > SHORTEST and _is_too_deep(fetch, walk, received, length):
            walk.too_deep = True
            return walk
        offset = received - 1
        following = _fetch_again_while_empty(fetch, walk, offset)
        longest = max(len(page.ids) for page in walk.pages)
        if following.ids == page.ids[-1:] and longest == 1:
            return _end_after_one_row(fetch, walk)
        if following.ids == page.ids[-1:] and (len(page.ids) == longest or suspicion.server_untrusted):
            following = _look_at_the_end_again(fetch, walk, offset, following)
        continues = following.ids[:1] == page.ids[-1:]
        # a row received before stands where another one should be
        if not continues or not walk.ids.isdisjoint(following.ids[1:]):
            _moved(walk, following)
            walk.repeats = continues
            if walk.fits_a_page and suspicion.server_untrusted:
                again = _look_at_the_end_again(fetch, walk, offset, following)
                if again is not following:
                    walk.fits_a_page = False
                    walk.add(again)
            return walk
        if len(following.ids) == 1:
            walk.moved = len(walk.pages) > 1 and _head_changed(fetch, walk)
            return walk
        suspicion.server_untrusted |= len(page.ids) < longest  # a short page that was not the last
        page = following
    return walk


def _end_after_one_row(fetch: Fetch[T], walk: Walk[T]) -> Walk[T]:
    """Look past the only row: pages of one row cannot overlap, so a server that caps them so shows no end."""
    beyond = _fetch_again_while_empty(fetch, walk, 1, usual=1)
    return _moved(walk, beyond) if beyond.ids else walk


def _fetch_again_while_empty(fetch: Fetch[T], walk: Walk[T], offset: int, usual: int = LOOKS_AT_NOTHING) -> Page[T]:
    looks = 0
    while True:
        looks += 1
        walk.requests += 1
        page = fetch(offset, LIMIT)
        if page.ids:
            walk.suspicion.server_untrusted |= looks > 1
            return page
        if looks >= walk.suspicion.looks(usual):
            return page


def _look_at_the_end_again(fetch: Fetch[T], walk: Walk[T], offset: int, end: Page[T]) -> Page[T]:
    """Ask for the end until it was seen often enough; return it, or what was there instead."""
    looks = 1
    while looks < walk.suspicion.looks(LOOKS_AT_AN_END):
        looks += 1
        page = _fetch_again_while_empty(fetch, walk, offset)
        if page.ids != end.ids:
            walk.suspicion.server_untrusted = True
            return page
    return end


def _is_too_deep(fetch: Fetch[T], walk: Walk[T], received: int, length: timedelta) -> bool:
    """Ask for a row at `DEEPEST` once, where the rows so far make it likely that there is one."""
    if received > DEEPEST:
        return True
    if walk.probe or not _looks_deep(walk, length):
        return False
    walk.probe = fetch(DEEPEST, 1)
    walk.requests += 1
    return bool(walk.probe.ids)


def _too_dense(walk: Walk[T], requests: int) -> TooDense:
    """Say how dense the window is: by the row at `DEEPEST`, if it was asked for: a burst at its head may mislead."""
    rows, span = _density(walk.pages)
    if walk.probe and walk.probe.span:
        rows, span = DEEPEST + 1, _density([*walk.pages, walk.probe])[1]
    return TooDense(rows, span, requests)


def _looks_deep(walk: Walk[T], length: timedelta) -> bool:
    if len(walk.pages[-1].ids) < (len(walk.pages[0].ids) if len(walk.pages) > 1 else LIMIT):
        return False  # shorter than a full page: most likely the last
    rows, span = _density(walk.pages)
    if span is None:
        return len(walk.pages) >= SURE_PROBE
    first_span = _density(walk.pages[:1])[1]
    if len(walk.pages) >= SURE_PROBE and first_span is not None and first_span > 0.8 * length:
        return True  # the first page lay all over the window, so the rows' times say nothing of what is left
    likely = rows * (length / max(span, SHORTEST))  # if all of the window is as dense as the pages
    return likely > (LOOKS_DEEP if len(walk.pages) >= FEW_PAGES else 2 * LOOKS_DEEP)


def _moved(walk: Walk[T], following: Page[T]) -> Walk[T]:
    walk.moved = True
    walk.moved_after_first_page = len(walk.pages) == 1
    if walk.moved_after_first_page:
        walk.emptied = not following.ids
        first = walk.pages[0].ids  # given once more, it is no end, be it shorter since a row has left
        is_shorter = 0 < len(following.ids) < len(first) and following.ids[0] != first[0]
        walk.fits_a_page = is_shorter and walk.ids.issuperset(following.ids)
    if following.ids:
        walk.add(following)
    return walk


def _why_moved(walk: Walk[T], *, is_snapshot: bool) -> str:
    if walk.repeats:
        return REPEATED
    return CONTRADICTED if walk.moved_after_first_page and not is_snapshot else MOVED


def _head_changed(fetch: Fetch[T], walk: Walk[T]) -> bool:
    for _ in range(2):  # an empty answer counts only the second time
        walk.requests += 1
        head = fetch(0, 1)
        if head.ids:
            return head.ids[0] != walk.pages[0].ids[0]
    return True


def _density(pages: list[Page[T]]) -> tuple[int, timedelta | None]:
    rows = sum(len(page.ids) for page in pages)
    spans = [page.span for page in pages if page.span]
    if not spans:
        return rows, None
    return rows, max(end for _, end in spans) - min(start for start, _ in spans)
