"""`ecommpay-sync`: the command. What it does is in `commands`; its subcommands run the same jobs as the UI."""

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager


def main() -> None:
    """Run the command; every failure is one line on stderr and an exit code."""
    # nothing is begun yet: Ctrl-C ends it without a stack trace
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    with imported_without_garbage():
        from pipelines.cli.commands import run
    signal.signal(signal.SIGINT, on_interrupt)
    run()


@contextmanager
def imported_without_garbage() -> Iterator[None]:
    """Look for no garbage while libraries are imported, nor ever in what they keep: a quarter of the time it takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
