"""One sync of operations as a process of its own, to be killed.

`python sync_process.py URL DATABASE FIRST LAST IN_FLIGHT` prints a line when it begins, and one
after every window that is committed.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pipelines.sync.operations import OperationsRequest, sync_operations
from resources.data_api.endpoints import DataApi
from resources.data_api.retry import RetryPolicy
from resources.errors import SyncError
from resources.settings import SyncSettings
from resources.warehouse.engine import Warehouse
from support import client_of

PATIENT = RetryPolicy(attempts=30, first_wait=0.001, longest_wait=0.01, bad_signature_attempts=20)


class Told:
    """A progress that tells the parent."""

    def begin(self, what, holes):
        print("begun", flush=True)

    def committed(self, window, report):
        print("committed", flush=True)

    def end(self):
        pass


def main() -> int:
    url, database, first, last, in_flight = sys.argv[1:]
    request = OperationsRequest(date.fromisoformat(first), date.fromisoformat(last))
    settings = SyncSettings(windows_in_flight=int(in_flight))
    with Warehouse(database) as store, client_of(url, policy=PATIENT) as client:
        try:
            sync_operations(DataApi(client), store, settings, request, Told())
        except SyncError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
