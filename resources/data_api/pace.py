"""One token's pace: when its requests may start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from resources.data_api.caller import Caller
from resources.data_api.errors import Aborted


class Pace:
    """Lets all workers of a token wait when the platform says 429, or when to come back, to one of them.

    Workers of other processes too, where the caller has a shared rate limit. `now` and `sleep` are the clock's.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[threading.Event, float], object] = threading.Event.wait,
    ) -> None:
        self.now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._resume_at = 0.0
        self.answered = False

    def slow_down(self, seconds: float, caller: Caller) -> None:
        """Let no request of this token start within the next `seconds`."""
        with self._lock:
            self._resume_at = max(self._resume_at, self.now() + seconds)
        if caller.shared:
            caller.shared.slow_down(seconds)

    def wait(self, caller: Caller) -> None:
        """Sleep until requests of this caller may start.

        Raises:
            Aborted: none may, the run was stopped.
        """
        while not caller.stopped.is_set() and (left := self._seconds_left(caller)) > 0:
            self.pause(left, caller)
        if caller.stopped.is_set():
            raise Aborted("the run was stopped; no further request is sent.")

    def pause(self, seconds: float, caller: Caller) -> None:
        """Sleep for one worker's own wait, but not after the run was stopped."""
        self._sleep(caller.stopped, seconds)

    def _seconds_left(self, caller: Caller) -> float:
        own = self._resume_at - self.now()
        return max(own, caller.shared.seconds_left()) if caller.shared else own
