"""Requests pages of a window before the walk asks for them; which ones it will most likely ask for, `walk` decides.

A page requested ahead serves one request for its offset, and only of the walk that expected it: whatever is asked for
again is requested anew. A page that no request came for is thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextvars import copy_context
from types import TracebackType
from typing import Generic, Self

from pipelines.ingest.walk import LIMIT, Fetch, Page, T


class PageReader(Generic[T]):
    """The pages of one window as `fetch` brings them, some of them ahead in `pool`, which it shuts down at its end."""

    def __init__(self, fetch: Fetch[T], pool: Executor) -> None:
        self.thrown_away = 0  # requests whose page was not asked for
        self._fetch = fetch
        self._pool = pool
        self._ahead: dict[int, Future[Page[T]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.expect(())
        self._pool.shutdown(wait=error is None, cancel_futures=True)  # what failed is not to wait for other answers

    def fetch(self, offset: int, limit: int) -> Page[T]:
        """Return the page at `offset`: the one requested ahead if there is one, else a new one."""
        ahead = self._ahead.pop(offset, None) if limit == LIMIT else None
        if ahead is None or ahead.cancel():
            return self._fetch(offset, limit)
        return ahead.result()

    def expect(self, offsets: Sequence[int]) -> None:
        """Request full pages at `offsets` ahead, but for the first, which comes next; throw away those at others."""
        for offset in self._ahead.keys() - set(offsets):
            self.thrown_away += not self._ahead.pop(offset).cancel()
        for offset in offsets[1:]:
            if offset not in self._ahead:
                self._ahead[offset] = self._pool.submit(copy_context().run, self._fetch, offset, LIMIT)
