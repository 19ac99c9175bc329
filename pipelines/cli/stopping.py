"""A signal ends the command within five seconds, whatever becomes of the exception that it raises.

Python raises the exception in the main thread, wherever that is, and it can be lost there: a finalizer drops what is
raised in it, and Dagster may forget a signal that comes between two steps. The way out can wait, too: for a lock, a
thread, or whoever reads our output. So a thread sees each signal as well. It raises a lost one again, and ends the
process when the time is over. To the ledger that is a `kill -9`: the next run continues from the first hole.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

STOPPED = "stopped; what was committed stays, and the same command continues from there."
SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
SECONDS = 4.0  # for the way out; one is left for the end
PAUSE = 0.05  # until a lost signal is raised again: the finalizer is over then
LOST = 0  # the number of no signal


def take_time() -> None:
    """Let what this command ends take longer than that: other servers, each of which has its own way out."""
    signal.set_wakeup_fd(-1)


class Stopping:
    """The watch over the signals of this process, to be started in its main thread."""

    def __init__(self, end: Callable[[], object]) -> None:
        """Start it; `end` is called before the process is ended, and may take a second."""
        self._end = end
        self._signals, self._written = socket.socketpair()
        self._written.settimeout(0)
        self._report_unraisable = sys.unraisablehook
        sys.unraisablehook = self._unraisable
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.set_wakeup_fd(self._written.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def _unraisable(self, lost: Any) -> None:
        """Note an interruption that went nowhere; all other exceptions are reported as always."""
        if issubclass(lost.exc_type, Exception):
            self._report_unraisable(lost)
        else:
            self._written.send(bytes([LOST]))

    def _watch(self) -> None:
        give_up_at: float | None = None
        while True:
            try:
                numbers = set(self._signals.recv(64))
            except TimeoutError:
                break
            if give_up_at is None and numbers & SIGNALS:
                give_up_at = time.monotonic() + SECONDS
            if give_up_at is None:
                continue
            if LOST in numbers:
                time.sleep(PAUSE)
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self._signals.settimeout(max(give_up_at - time.monotonic(), PAUSE))
        last = threading.Thread(target=self._leave, daemon=True)
        last.start()
        last.join(1 - PAUSE)
        os._exit(1)

    def _leave(self) -> None:
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"ecommpay-sync: {STOPPED}\n".encode())
        self._end()
