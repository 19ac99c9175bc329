"""One token's pace across processes: a 429 to one of them is told to the others through sync.pace.

Within a process, `resources.data_api.retry.Pace` does the waiting; here is only what it asks and tells.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from resources.errors import SyncError
from resources.warehouse.engine import Warehouse

LOOK_EVERY = 1.0  # seconds


class TokenBudget:
    """The pause of an account's token as PostgreSQL keeps it; safe to use from several threads.

    A database that fails here is passed over: each process keeps its own pace, and the next load tells of it.
    """

    def __init__(self, warehouse: Warehouse, account: str) -> None:
        self._warehouse = warehouse
        self._account = account
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._resume_at = 0.0

    def slow_down(self, seconds: float) -> None:
        """Tell every process of this token to wait so many seconds."""
        with suppress(SyncError):
            self._warehouse.query("warehouse/rate_limit/slow_down", account=self._account, seconds=seconds)

    def seconds_left(self) -> float:
        """Return how long to wait, as known within the last second; 0 or less: not at all."""
        with self._lock:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_EVERY
                self._resume_at = time.monotonic() + self._asked()
            return self._resume_at - time.monotonic()

    def _asked(self) -> float:
        with suppress(SyncError):
            for row in self._warehouse.query("warehouse/rate_limit/seconds_left", account=self._account):
                return float(row.seconds)
        return 0.0
