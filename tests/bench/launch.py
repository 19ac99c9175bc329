"""Starts one command and prints what the kernel says it took, as JSON; `measure.py` starts this, small, in between.

A process's peak memory, as Linux counts it, begins with that of the process it was started from: started straight
from the bench, every contestant would be charged with the bench's own memory.
`python -S launch.py TIMEOUT LOG COMMAND…`
"""

import json
import os
import signal
import subprocess
import sys
import time


def launch(timeout: float, log: str, command: list[str]) -> dict[str, float]:
    """Run a command in a process group of its own; kill the whole group after the timeout, or with this process."""
    started = time.perf_counter()
    with open(log, "wb") as output:  # noqa: PTH123  pathlib would be most of this process
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "status": process.returncode,
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps(launch(float(sys.argv[1]), sys.argv[2], sys.argv[3:])))
