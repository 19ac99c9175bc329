"""One token's pace across processes: a 429 to one of them, and how many requests in flight each has found.

Within a process, `resources.data_api.pace` does the waiting; here is only what processes exchange.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import replace

from resources.data_api.pace import TokenState
from resources.errors import SyncError
from resources.warehouse.engine import Warehouse

LOOK_EVERY = 1.0  # seconds


class TokenBudget:
    """The pause of an account's token as PostgreSQL keeps it; safe to use from several threads.

    A database that fails here is ignored: each process keeps its own pace, and the next load reports it.
    """

    def __init__(self, warehouse: Warehouse, account: str) -> None:
        self._warehouse = warehouse
        self._account = account
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._resume_at = 0.0
        self._token = TokenState()

    def slow_down(self, seconds: float) -> None:
        """Tell every process of this token to wait so many seconds."""
        with suppress(SyncError):
            self._warehouse.query("warehouse/rate_limit/slow_down", account=self._account, seconds=seconds)

    def exchange(self, process: str, in_flight_limit: int) -> TokenState:
        """Tell what this process has found, and return the token's state as known within the last second."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_EVERY
                self._token = self._asked(process, in_flight_limit)
                self._resume_at = time.monotonic() + self._token.seconds_left
            return replace(self._token, seconds_left=self._resume_at - time.monotonic())

    def leave(self, process: str) -> None:
        """Tell that this process sends no more requests for now."""
        with suppress(SyncError):
            self._warehouse.query("warehouse/rate_limit/leave", account=self._account, process=process)
        with self._lock:
            self._look_at = 0.0

    def _asked(self, process: str, in_flight_limit: int) -> TokenState:
        with suppress(SyncError):
            (row,) = self._warehouse.query(
                "warehouse/rate_limit/exchange", account=self._account, process=process, in_flight_limit=in_flight_limit
            )
            return TokenState(row.seconds_left, row.processes, row.others_in_flight, row.in_flight_limit)
        return TokenState()
